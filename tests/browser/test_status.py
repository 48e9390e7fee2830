"""The live state of a cluster. Contract: spec/web-ui.md 6.12, 9.2."""

from __future__ import annotations

import time

from playwright.sync_api import Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site, samples

USUAL = {"cpu_load": 3.5, "mem_used": 20.0, "flops_any": 5.0, "acc_utilization": 80.0}


def now_on(site: Site, host: str, load: float) -> None:
    """One fresh sample per metric of a host."""
    moment = int(time.time())
    site.write(samples(host, moment, moment + 1, USUAL | {"cpu_load": load}))


def test_new_samples_change_the_picture(open_page: OpenPage, site: Site) -> None:
    now_on(site, "n01", 1.25)
    page = open_page("root", "/monitoring/status/small")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live")
    node = page.get_by_test_id("node-n01")
    expect(node).to_have_attribute("data-value", "1.25")
    now_on(site, "n01", 3.75)
    expect(node).to_have_attribute("data-value", "3.75")
    expect(node).to_contain_text("3.75")


def test_started_jobs_are_counted(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/status/small")
    running = page.get_by_test_id("running-jobs")
    expect(running).to_have_text("2")
    site.start(2001, ["n04"])
    expect(running).to_have_text("3")
    site.stop(2001)
    expect(running).to_have_text("2")


def test_silent_nodes_come_first(open_page: OpenPage, site: Site) -> None:
    for host in ("n01", "n02", "n03", "n04", "g01"):
        now_on(site, host, 1.0)
    page = open_page("root", "/monitoring/status/small")
    expect(page.get_by_test_id("nodes-up")).to_contain_text("5 of 6")
    expect(page.get_by_test_id("panel-trouble")).to_contain_text("g02 no data at all")
    expect(page.get_by_test_id("panel-gpu").locator("button").first).to_contain_text("g02")
    page.get_by_test_id("view-table").click()
    expect(page.get_by_test_id("table-nodes").locator("tbody th").first).to_contain_text("g02")


def test_other_metrics_with_their_unit(open_page: OpenPage, site: Site) -> None:
    now_on(site, "n01", 1.0)
    page = open_page("root", "/monitoring/status/small")
    page.get_by_test_id("status-metric").select_option("mem_used")
    expect(page.get_by_test_id("mean-value")).to_contain_text("GB")
    expect(page.get_by_test_id("node-n01")).to_contain_text("20")
    page.get_by_test_id("status-metric").select_option("acc_utilization")
    expect(page.get_by_test_id("panel-main")).to_contain_text("not measured on these nodes")


def test_polls_while_the_stream_is_down(open_page: OpenPage, site: Site) -> None:
    now_on(site, "n01", 2.5)
    page = open_page("root", "/")
    page.route("**/frontend/events*", lambda route: refuse(route))
    page.goto(f"{site.url}/monitoring/status/small")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "polling")
    expect(page.get_by_test_id("node-n01")).to_have_attribute("data-value", "2.5", timeout=30_000)
    page.unroute("**/frontend/events*")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live", timeout=20_000)


def refuse(route: Route) -> None:
    route.abort("connectionrefused")


def test_fits_a_phone(open_page: OpenPage, site: Site) -> None:
    now_on(site, "n01", 1.0)
    page = open_page("root", "/monitoring/status/small?view=table")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_test_id("table-nodes")).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
