"""Logging in. Contract: spec/web-ui.md 2.5, 6.16."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_wanted_page_comes_after_login(open_page: OpenPage, site: Site) -> None:
    page = open_page("", "/monitoring/jobs/?state=running")
    page.fill("#username", "root")
    page.fill("#password", "root")
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{site.url}/monitoring/jobs/?state=running")
    expect(page.get_by_test_id("filter-pill-state")).to_contain_text("running")


def test_wrong_password_says_so(open_page: OpenPage) -> None:
    page = open_page("", "/login")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.fill("#username", "root")
    page.fill("#password", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.locator("#username")).to_be_focused()


def test_form_fits_a_phone(open_page: OpenPage) -> None:
    page = open_page("", "/login")
    page.set_viewport_size({"width": 390, "height": 844})
    box = page.locator("#username").bounding_box()
    assert box is not None
    assert box["width"] > 250
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_logging_out_ends_the_session(open_page: OpenPage, site: Site, sessions: dict[str, Any]) -> None:
    page = open_page("sue", "/")
    del sessions["sue"]  # the next test logs in anew
    page.get_by_test_id("nav-logout").click()
    expect(page.locator("#username")).to_be_visible()
    page.goto(f"{site.url}/monitoring/jobs/")
    expect(page.locator("#username")).to_be_visible()


def test_expired_session_is_announced(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/jobs/")
    expect(page.get_by_test_id("table-jobs")).to_be_visible()
    page.context.clear_cookies()
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("alert").filter(has_text="Session expired")).to_be_visible()
    expect(page.get_by_test_id("table-jobs")).to_be_visible()  # what was there stays
