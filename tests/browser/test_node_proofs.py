"""The node overview against the API: states, ranges, metrics, names. Contract: spec/web-ui.md 6.9, 10."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage, enter

OVERVIEW = "/monitoring/systems/beta?view=plots"
STATES = ["allocated", "idle", "reserved", "mixed", "down", "unknown", "notindb"]
REPORTED = {"b1": "allocated", "b2": "idle", "b3": "mixed", "b4": "reserved"}


@pytest.fixture(scope="module", autouse=True)
def reported(centre: Centre) -> Iterator[None]:
    """Four of the eight nodes of beta have been reported by the scheduler."""
    nodes = [{"hostname": host, "states": [state]} for host, state in REPORTED.items()]
    assert centre.api.post("/api/nodestate/", json={"cluster": "beta", "nodes": nodes}).status_code == 200
    yield
    for node in nodes:
        node["states"] = ["allocated"]
    centre.api.post("/api/nodestate/", json={"cluster": "beta", "nodes": nodes})


def asks_for_all(request: Request) -> bool:
    """The first of two: those that nobody reported are asked for afterwards."""
    data = request.post_data or ""
    return "nodeMetricsList" in data and json.loads(data)["variables"]["state"] == "all"


def of_api(centre: Centre, state: str) -> dict[str, str]:
    """Host and state of each node that the server has for a filter."""
    text = """query ($state: String!) { nodeMetricsList(cluster: "beta", subCluster: "", stateFilter: $state,
        nodeFilter: "", scopes: [node], metrics: ["cpu_load"], from: "2026-01-01T00:00:00Z",
        to: "2026-01-01T00:10:00Z", page: {page: 1, itemsPerPage: -1}) { items { host nodeState } } }"""
    items = centre.query("sue", text, state=state)["nodeMetricsList"]["items"]
    return {item["host"]: item["nodeState"] or "never reported" for item in items}


def shown(page: Page) -> dict[str, str]:
    grid: list[list[str]] = page.evaluate(
        """() => [...document.querySelectorAll('[data-testid^=node-plot-]')].map(one => [
            one.dataset.testid.slice(10), one.querySelector('.state').textContent.trim()])"""
    )
    return {host: state for host, state in grid}


def test_each_state_shows_the_nodes_of_the_server_with_their_badge(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", OVERVIEW)
    expect(page.locator("[data-testid^=node-plot-]")).to_have_count(8)
    everything = of_api(centre, "all") | of_api(centre, "notindb")
    assert len(everything) == 8
    assert REPORTED.items() <= everything.items()
    assert shown(page) == everything
    assert list(shown(page)) == [f"b{number}" for number in range(1, 9)]
    for state in STATES:
        page.get_by_test_id("state-filter").select_option(state)
        expect(page).to_have_url(re.compile(f"state={state}"))
        expected = of_api(centre, state)
        expect(page.locator("[data-testid^=node-plot-]")).to_have_count(len(expected))
        assert shown(page) == expected
        if not expected:
            expect(page.get_by_text("No node fits these filters.")).to_be_visible()


def test_name_metric_and_range_are_asked_for_and_stand_in_the_address(visit: OpenPage) -> None:
    page = visit("sue", OVERVIEW)
    asked: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if "nodeMetricsList" in (request.post_data or ""):
            asked.append(json.loads(request.post_data or "{}")["variables"])

    page.on("request", note)
    with page.expect_request(lambda request: '"node":"b2"' in (request.post_data or "")):
        page.get_by_test_id("node-filter").fill("b2")
    expect(page.locator("[data-testid^=node-plot-]")).to_have_count(1)
    expect(page).to_have_url(re.compile("node=b2"))
    assert asked[-1]["node"] == "b2"
    page.get_by_test_id("metric").select_option("mem_bw")
    expect(page).to_have_url(re.compile("metric=mem_bw"))
    expect(page.get_by_test_id("panel-nodes")).to_have_attribute("data-state", "ready")
    for seconds in ("900", "1800", "3600", "7200", "43200", "86400"):
        with page.expect_request(asks_for_all) as request:
            page.get_by_test_id("range").select_option(seconds)
        variables = json.loads(request.value.post_data or "{}")["variables"]
        assert variables["metrics"] == ["mem_bw"]
        begin, end = (datetime.fromisoformat(variables[key]) for key in ("from", "to"))
        assert (end - begin).total_seconds() == int(seconds)
        expect(page).to_have_url(re.compile(f"range={seconds}"))


def test_a_drag_free_window_can_be_typed_and_moved(visit: OpenPage) -> None:
    page = visit("sue", f"{OVERVIEW}&from=1700000000&to=1700003600", timezone_id="UTC")
    expect(page.get_by_test_id("panel-nodes")).to_have_attribute("data-state", "ready")
    page.get_by_role("button", name="Earlier").click()
    expect(page).to_have_url(re.compile("from=1699996400&to=1700000000"))
    page.get_by_role("button", name="Change the times").click()
    page.get_by_label("from", exact=True).fill("2023-11-14T20:00")
    page.get_by_label("to", exact=True).fill("2023-11-14T21:00")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("from=1699992000&to=1699995600"))


@pytest.mark.parametrize("path", ["systems/beta", "systems/list/beta", "node/beta/b1"])
def test_views_of_nodes_refresh_at_the_pace_chosen(visit: OpenPage, centre: Centre, path: str) -> None:
    page = visit("sue", "/monitoring/tags/")
    page.clock.install()
    page.goto(f"{centre.url}/monitoring/{path}")
    refresher = page.get_by_test_id("refresher")
    expect(refresher).to_have_value("60")
    expect(refresher.locator("option")).to_have_text(
        ["No Interval", "30 Seconds", "60 Seconds", "Two Minutes", "5 Minutes"]
    )
    expect(page.get_by_test_id("refresh")).to_be_disabled()
    expect(page.locator("[data-state=loading]")).to_have_count(0)
    refresher.select_option("30")
    with page.expect_request(asks_for_all):
        page.clock.run_for(31_000)
    refresher.select_option("0")
    with page.expect_request(asks_for_all):
        page.get_by_test_id("refresh").click()
    page.goto(f"{centre.url}/monitoring/{path}?from=1700000000&to=1700003600")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(refresher).to_have_count(0)  # a time that is over does not change


def test_the_node_list_asks_for_the_resolution_chosen(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/systems/list/beta")
    expect(page.get_by_test_id("panel-nodes")).to_have_attribute("data-state", "ready")
    choice = page.get_by_test_id("resolution")
    expect(choice.locator("option")).to_have_count(5)
    with page.expect_request(asks_for_all) as request:
        choice.select_option("120")
    assert json.loads(request.value.post_data or "{}")["variables"]["resolution"] == 120
    expect(page).to_have_url(re.compile("resolution=120"))
    with page.expect_request(asks_for_all) as request:
        page.goto(page.url.partition("?")[0])  # the same session
    assert json.loads(request.value.post_data or "{}")["variables"]["resolution"] == 120


def hosts_listed(page: Page) -> list[str]:
    return page.locator("tr[data-testid^=node-row-]").evaluate_all(
        "rows => rows.map(row => row.dataset.testid.slice(9))"
    )


def test_the_node_list_goes_on_as_one_scrolls(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/systems/list/alpha/main")
    expect(page.get_by_test_id("panel-nodes")).to_have_attribute("data-state", "ready")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if asks_for_all(request) else None)
    shown = page.get_by_test_id("rows-shown")
    expect(shown).not_to_have_text("40 of 40")
    expect(page.get_by_test_id("paging")).to_have_count(0)
    more = page.get_by_test_id("load-more")
    before = len(hosts_listed(page))
    more.focus()
    page.keyboard.press("Enter")
    expect(shown).not_to_have_text(f"{before} of 40")
    while more.count():
        page.mouse.wheel(0, 2000)
        page.evaluate("new Promise(requestAnimationFrame)")
    expect(shown).to_have_text("40 of 40")
    assert sorted(hosts_listed(page)) == sorted(f"a{number}" for number in range(1, 41))
    assert asked == []  # everything was there, nothing is asked for twice
    page.get_by_test_id("refresher").select_option("0")
    with page.expect_response(lambda response: asks_for_all(response.request)):
        page.get_by_test_id("refresh").click()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(shown).to_have_text("40 of 40")


def test_the_node_list_has_pages_for_those_who_want_them(visit: OpenPage, centre: Centre) -> None:
    change = 'mutation ($v: String!) { updateConfiguration(name: "nodeList_usePaging", value: $v) }'
    page = visit("sue", "/config?tab=support")
    page.get_by_test_id("set-node-paging").check()
    expect(page.get_by_test_id("toast")).to_contain_text("Saved")
    try:
        page.goto(f"{centre.url}/monitoring/systems/list/alpha/main")
        paging = page.get_by_test_id("paging")
        expect(paging).to_contain_text("1\N{EN DASH}10 of 40")
        first = hosts_listed(page)
        page.get_by_role("button", name="Next page").click()
        expect(paging).to_contain_text("11\N{EN DASH}20 of 40")
        assert not set(first) & set(hosts_listed(page))
        page.get_by_label("Rows").select_option("25")
        expect(paging).to_contain_text("1\N{EN DASH}25 of 40")
        expect(page).to_have_url(re.compile("perPage=25"))
    finally:
        centre.query("sue", change, v="false")


def test_what_a_row_counts_is_what_its_links_list(visit: OpenPage, centre: Centre) -> None:
    started = []
    for number, user, threads in ((7101, "alice", [0, 1]), (7102, "alice", [2]), (7103, "bob", [4])):
        job = centre.start(
            number, ["b5"], startTime=centre.now - 4000, user=user, shared="multi_user",
            resources=[{"hostname": "b5", "hwthreads": threads}],
            project="proj02" if number == 7102 else "proj01",
        )  # fmt: skip
        started.append(job)
    try:
        page = visit("sue", "/monitoring/systems/list/beta?node=b5")
        row = page.get_by_test_id("node-row-b5")
        expect(row).to_contain_text("shared")
        tables = {"jobs": "3 jobs", "users": "2 users", "projects": "2 projects"}
        for what, text in tables.items():
            expect(row.get_by_role("link", name=text)).to_have_attribute(
                "href", re.compile(f"^/monitoring/{what}/")
            )
        row.get_by_role("link", name="3 jobs").click()
        expect(page.get_by_test_id("count")).to_have_text("3 jobs")
        for what in ("users", "projects"):
            page.goto(f"{centre.url}/monitoring/systems/list/beta?node=b5")
            row.get_by_role("link", name=tables[what]).click()
            expect(page.get_by_test_id(f"table-{what}").locator("tbody th")).to_have_count(2)
    finally:
        for job in started:
            assert centre.api.delete(f"/api/jobs/delete_job/{job}").status_code == 200


def test_an_open_row_has_two_plots_where_there_are_statistics(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/systems/list/alpha/main?node=a31&metrics=flops_any,mem_bw")
    page.get_by_role("button", name="Show the plots of a31").click()
    cores = page.get_by_test_id("plot-flops_any-a31")
    expect(cores).to_have_attribute("data-scope", "core")  # eight of them
    expect(page.get_by_test_id("spread-flops_any-a31").locator("canvas")).to_be_visible()
    expect(cores.locator("canvas")).to_have_count(2)
    sockets = page.get_by_test_id("plot-mem_bw-a31")
    expect(sockets).to_have_attribute("data-scope", "socket")
    expect(sockets.locator("canvas")).to_have_count(1)


def cards(page: Page, host: str) -> dict[str, str]:
    """What the grid of a node's page has for each metric, in the order of the page."""
    found: list[list[str]] = page.evaluate(
        """host => [...document.querySelectorAll(`[data-testid^=plot-][data-testid$="-${host}"]`)].map(one =>
            [one.dataset.testid.split("-")[1], one.dataset.reason ?? one.dataset.state])""",
        host,
    )
    return dict(found)


def test_a_node_shows_every_metric_in_alphabetical_order_with_cards_in_place(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/node/alpha/a31")
    expect(page.get_by_test_id("plot-cpu_load-a31")).to_have_attribute("data-state", "ready")
    assert list(cards(page, "a31").items()) == [
        ("acc_utilization", "disabled"), ("cpu_load", "ready"), ("cpu_power", "ready"),
        ("flops_any", "ready"), ("mem_bw", "ready"), ("mem_used", "ready"),
    ]  # fmt: skip
    card = page.get_by_test_id("plot-acc_utilization-a31")
    expect(card).to_contain_text("This metric is disabled for the subcluster main.")
    enter(page, "/monitoring/node/beta/b8")
    expect(page.get_by_test_id("plot-cpu_load-b8")).to_contain_text("Empty Metric")
    assert list(cards(page, "b8").items()) == [
        ("acc_utilization", "unconfigured"), ("cpu_load", "empty"), ("cpu_power", "empty"),
        ("flops_any", "empty"), ("mem_bw", "empty"), ("mem_used", "empty"),
    ]  # fmt: skip
    card = page.get_by_test_id("plot-acc_utilization-b8")
    expect(card).to_contain_text("This metric is not configured for the cluster beta.")


def test_a_node_is_shown_in_the_scope_chosen_and_its_neighbours_are_a_click_away(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/node/alpha/a31")
    flops = page.get_by_test_id("plot-flops_any-a31")
    expect(flops).to_have_attribute("data-scope", "node")
    expect(page.get_by_test_id("scope").locator("option")).to_have_text(
        ["node", "socket", "memory domain", "core"]
    )
    page.get_by_test_id("scope").select_option("socket")
    expect(flops).to_have_attribute("data-scope", "socket")
    expect(page.get_by_test_id("plot-mem_used-a31")).to_have_attribute("data-scope", "node")  # has no other
    page.get_by_role("link", name="a32").click()
    expect(page).to_have_url(re.compile(r"/node/alpha/a32\?scope=socket"))
    expect(page.get_by_test_id("plot-flops_any-a32")).to_have_attribute("data-scope", "socket")
    page.get_by_role("link", name="a31").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Node a31")
    expect(page.get_by_test_id("job-lanes").get_by_role("link", name="5001")).to_be_visible()


def test_a_node_that_is_down_says_so(visit: OpenPage, centre: Centre) -> None:
    def report(state: str) -> None:
        body = {"cluster": "beta", "nodes": [{"hostname": "b7", "states": [state]}]}
        assert centre.api.post("/api/nodestate/", json=body).status_code == 200

    report("down")
    try:
        page = visit("sue", "/monitoring/node/beta/b7")
        expect(page.get_by_role("heading", level=1)).to_have_text("Node b7")
        expect(page.get_by_test_id("node-state")).to_contain_text("down")
        expect(page.get_by_test_id("node-health")).to_be_visible()
        expect(page.get_by_test_id("plot-cpu_load-b7")).to_contain_text("Empty Metric")
        expect(
            page.get_by_text("This node sent no data in this time; the scheduler says it is down.")
        ).to_be_visible()
        page.goto(f"{centre.url}/monitoring/systems/list/beta")
        row = page.get_by_test_id("node-row-b7")
        expect(row).to_contain_text("down")
        expect(row).to_contain_text("no data")
    finally:
        report("idle")
