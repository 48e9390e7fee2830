"""A lost network and a restarted server. Contract: spec/web-ui.md 9.2, 9.27."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_lost_network_is_said_and_data_comes_back(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    row = page.get_by_test_id(f"job-row-{site.wide}")
    expect(row).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("button", name="State, duration").click()
    expect(page.get_by_test_id("offline")).to_be_visible()
    expect(row).to_be_visible()  # what was there stays
    page.context.set_offline(False)
    expect(page.get_by_test_id("offline")).to_have_count(0)
    expect(page.get_by_text("Not up to date")).to_have_count(0)


def test_view_opened_without_network_follows_later(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/users/")
    expect(page.get_by_test_id("table-users")).to_contain_text("ute")
    page.context.set_offline(True)
    page.get_by_test_id("nav-jobs").click()
    expect(page.get_by_test_id("offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible(timeout=60_000)


def test_restarted_server_is_found_again_without_reload(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live")
    page.evaluate("window.stillTheSamePage = true")
    site.server.stop()
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "polling")
    page.get_by_test_id("refresh").click()
    expect(page.get_by_test_id("offline")).to_be_visible()
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()
    site.server.start()
    expect(page.get_by_test_id("offline")).to_have_count(0, timeout=60_000)
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live", timeout=60_000)
    assert page.evaluate("window.stillTheSamePage")
