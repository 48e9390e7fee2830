"""Nodes over time, as a list, and one by one. Contract: spec/web-ui.md 6.9 to 6.11, 5.11."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, enter
from tests.browser.site_data import Site


def test_heat_map_has_a_row_per_node_and_troubled_ones_first(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/systems/small?metric=cpu_load")
    heat = page.get_by_test_id("plot-nodes-heat")
    expect(heat).to_have_attribute("data-rows", "6")
    expect(heat).to_have_attribute("data-first", "g02")  # the one node that never sent anything
    expect(page.get_by_test_id("panel-trouble")).to_contain_text("g02 no data")


def test_heat_map_is_read_with_the_keyboard(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/systems/small?metric=mem_used&node=n0")
    area = page.get_by_test_id("plot-nodes-heat").get_by_role("application")
    area.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_test_id("heat-tell")).to_contain_text("n01")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/monitoring/node/small/n01"))


def test_filters_of_nodes_live_in_the_address(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/systems/small")
    page.get_by_test_id("node-filter").fill("g0")
    expect(page).to_have_url(re.compile("node=g0"))
    expect(page.get_by_test_id("count")).to_have_text("2 nodes")
    page.get_by_test_id("metric").select_option("mem_used")
    expect(page).to_have_url(re.compile("metric=mem_used"))
    page.reload()
    expect(page.get_by_test_id("count")).to_have_text("2 nodes")


def test_times_of_the_address_are_asked_for_exactly(open_page: OpenPage, site: Site) -> None:
    end = int(time.time()) - 600
    page = open_page("root", "/")
    with page.expect_request(lambda request: "NodeList" in (request.post_data or "")) as asked:
        page.goto(f"{site.url}/monitoring/systems/small?from={end - 900}&to={end}")
    variables = asked.value.post_data_json["variables"]
    assert variables["from"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(end - 900))
    assert variables["to"] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(end))


def test_senseless_times_are_named_and_harmless(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/node/small/n01?from=yesterday&to=x")
    expect(page.get_by_text("make no sense")).to_be_visible()
    expect(page.get_by_test_id("plot-cpu_load-n01")).to_have_attribute("data-state", "ready")


def test_list_of_a_subcluster_has_its_nodes_only(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/systems/list/small/gpu")
    expect(page.get_by_test_id("table-nodes").locator("tbody th")).to_have_count(2)
    expect(page.get_by_test_id("node-row-g01")).to_contain_text("1002")
    page.get_by_role("button", name="Show the plots of g01").click()
    expect(page.get_by_test_id("plot-cpu_load-g01")).to_have_attribute("data-state", "ready")


def test_node_shows_its_jobs_and_all_metrics(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/node/small/g01")
    expect(page.get_by_test_id("job-lanes").get_by_role("link", name="1002")).to_have_attribute(
        "href", f"/monitoring/job/{site.gpu}"
    )
    for metric in ("acc_utilization", "cpu_load", "flops_any", "mem_used"):
        expect(page.get_by_test_id(f"plot-{metric}-g01")).to_have_attribute("data-state", "ready")
    expect(page.get_by_test_id("node-jobs")).to_have_text("1 running job")


def test_unknown_node_is_said_in_words(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/node/small/nowhere")
    expect(page.get_by_role("heading", name="404 Page Not Found")).to_be_visible()
    page.get_by_role("link", name="Back to Home").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    # A link inside the pages does not ask the server for the page.
    enter(page, "/monitoring/node/small/nowhere")
    expect(page.get_by_role("heading", name="No such node")).to_be_visible()
