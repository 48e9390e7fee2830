"""Where this interface differs from the one people know. Contract: spec/web-ui.md 8.

Every line of that list has a test named `diff_NN`; those missing here stand beside the views they belong to.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from playwright.sync_api import Page, Request, Route, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage


def variables(page: Page, operation: str) -> list[dict[str, Any]]:
    """What the page sends from now on under the name of an operation."""
    sent: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        body = request.post_data or ""
        if request.url.endswith("/query") and f"{operation}(" in body:
            sent.append(json.loads(body)["variables"])

    page.on("request", note)
    return sent


def iso(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))


def test_diff_06_systems_and_nodes_honour_times_and_survive_senseless_ones(
    visit: OpenPage, centre: Centre
) -> None:
    start, end = centre.now - 1500, centre.now - 300
    page = visit("sue", "/monitoring/tags/")
    asked = variables(page, "query NodeList")
    for path in ("systems/alpha", "systems/list/alpha", "node/alpha/a31"):
        for times in (f"from={start}&to={end}", f"from={iso(start)}&to={iso(end)}"):
            asked.clear()
            with page.expect_request(lambda request: "query NodeList(" in (request.post_data or "")):
                page.goto(f"{centre.url}/monitoring/{path}?{times}")
            expect(page.locator("[data-state]").first).to_be_visible()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            expect(page.get_by_text("make no sense")).to_have_count(0)
            assert {(one["from"], one["to"]) for one in asked} == {(iso(start), iso(end))}, (path, times)
        for times in ("from=yesterday&to=x", f"from={end}&to={start}", "from=9e99", "to=1", "range=-5"):
            page.goto(f"{centre.url}/monitoring/{path}?{times}")
            expect(page.get_by_text("make no sense")).to_be_visible()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            expect(page.locator("[data-state=ready]").first).to_be_visible()
            expect(page.locator("[data-state=error]")).to_have_count(0)


def test_diff_11_weights_called_hours_are_hours(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/analysis/alpha?jobId=5002&jobId=5006")
    plot = page.get_by_test_id("plot-average-flops_any")
    # J2 ran half an hour on 16 nodes of 8 cores, J6 as long on one with 4 accelerators
    expect(plot).to_have_attribute("data-sum", "8.5")
    expect(plot).to_contain_text("node hours")
    page.get_by_test_id("weight").select_option("coreHours")
    expect(plot).to_have_attribute("data-sum", "68")
    page.get_by_test_id("weight").select_option("accHours")
    expect(plot).to_have_attribute("data-sum", "2")


def test_diff_12_rooflines_show_all_subclusters_and_legends_cover_no_data(
    visit: OpenPage, centre: Centre
) -> None:
    page = visit("sue", "/monitoring/analysis/alpha?jobId=5002&jobId=5006")
    plot = page.get_by_test_id("plot-roofline")
    expect(plot).to_have_attribute("data-roofs", "2")
    expect(plot).to_have_attribute("data-axes", "log-log")
    for address in (page.url, f"{centre.url}/monitoring/job/{centre.jobs['J2']}"):
        page.goto(address)
        plot = page.locator("[data-testid$=roofline][data-axes=log-log]")
        expect(plot).to_have_attribute("data-points", re.compile("[1-9]"))
        canvas, legend = plot.locator("canvas").bounding_box(), plot.locator(".legend").bounding_box()
        assert canvas is not None
        assert legend is not None
        assert canvas["y"] + canvas["height"] <= legend["y"]


SWATCHES = """plot => {
    const colours = [...plot.querySelectorAll("svg[data-plot] path")]
        .map(slice => getComputedStyle(slice).fill);
    const rows = [...plot.querySelectorAll("tbody tr")].map(row => [
        row.querySelector("th").textContent, getComputedStyle(row.querySelector(".swatch")).backgroundColor]);
    return {colours, rows};
}"""


def swatches(page: Page) -> dict[str, str]:
    """Colours by key, after checking that every slice has that of its row."""
    plot = page.get_by_test_id("plot-top")
    expect(plot.locator("tbody th").first).not_to_be_empty()
    found = plot.evaluate(SWATCHES)
    assert found["colours"] == [colour for _, colour in found["rows"]]
    colours = dict(found["rows"])
    assert len(set(colours.values())) == len(colours)
    return colours


def test_diff_13_colours_follow_the_key_and_suit_the_colour_blind(visit: OpenPage, centre: Centre) -> None:
    setting = {"key": "plotConfiguration_colorblindMode", "value": "true"}
    page = visit("sue", "/monitoring/analysis/alpha?startTime=last30d")
    before = swatches(page)
    # other jobs, another order: who stays keeps the colour
    page.get_by_test_id("top-category").select_option("totalNodeHours")
    expect(page).to_have_url(re.compile("totalNodeHours"))
    page.get_by_test_id("filters-open").click()
    page.get_by_role("button", name=re.compile("Exclude Short Jobs")).click()
    expect(page.get_by_test_id("filter-pill-duration")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    after = swatches(page)
    common = before.keys() & after.keys() - {"Others"}
    assert len(common) > 2
    assert {key: before[key] for key in common} == {key: after[key] for key in common}
    try:
        assert page.request.post(f"{centre.url}/frontend/configuration/", form=setting).ok
        page.reload()
        expect(page.locator("html[data-colourblind]")).to_be_attached()
        safe = swatches(page)
        assert all(safe[key] != before[key] for key in common)
    finally:
        page.request.post(f"{centre.url}/frontend/configuration/", form=setting | {"value": "false"})


def fail(route: Route) -> None:
    """An error for what the analysis view asks besides totals; the rest is answered by the server."""
    body = route.request.post_data or ""
    if "rooflineHeatmap" in body or "jobsFootprints" in body:
        route.fulfill(json={"errors": [{"message": "out of luck"}], "data": None})
    else:
        route.continue_()


def test_diff_14_a_failed_panel_leaves_the_others_alone(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/tags/")
    page.route("**/query", fail)
    page.goto(f"{centre.url}/monitoring/analysis/alpha?startTime=last24h")
    for panel in ("roofline", "averages", "scatter"):
        expect(page.get_by_test_id(f"panel-{panel}")).to_have_attribute("data-state", "error")
    for panel in ("totals", "top", "durations", "cores"):
        expect(page.get_by_test_id(f"panel-{panel}")).to_have_attribute("data-state", "ready")
    page.unroute("**/query")
    page.get_by_test_id("panel-roofline").get_by_role("button", name="Retry").click()
    expect(page.get_by_test_id("panel-roofline")).to_have_attribute("data-state", "ready")


def test_diff_15_empty_lists_say_so(visit: OpenPage, centre: Centre) -> None:
    nothing = "user=nobody-at-all&userMatch=eq"
    page = visit("root1", "/")
    for path, text in {
        f"/monitoring/jobs/?{nothing}": "No jobs found",
        f"/monitoring/users/?{nothing}": "No ",
        f"/monitoring/projects/?{nothing}": "No ",
        f"/monitoring/compare?{nothing}": "No jobs to compare",
        f"/monitoring/analysis/alpha?{nothing}": "No data available",
        "/monitoring/user/alice?jobId=1": "No jobs found",
        "/monitoring/systems/alpha?node=nowhere": "No node fits",
        "/monitoring/systems/list/alpha?node=nowhere": "No node",
    }.items():
        page.goto(centre.url + path)
        expect(page.get_by_text(text).first).to_be_visible()
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.goto(f"{centre.url}/monitoring/users/?{nothing}")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_test_id("table-users").locator("tbody tr").nth(1)).to_be_visible()
    expect(page).not_to_have_url(re.compile("nobody"))
    page.goto(f"{centre.url}/monitoring/tags/?q=nothing-like-this")
    expect(page.get_by_text("No tag has this in its name.")).to_be_visible()


def test_diff_16_refreshing_a_user_includes_the_histograms(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/user/alice")
    expect(page.get_by_test_id("plot-durations")).to_have_attribute("data-sum", re.compile("[1-9]"))
    expect(page.get_by_test_id("table-jobs").locator("tbody tr").first).to_be_visible()
    totals, lists = variables(page, "query Totals"), variables(page, "query Jobs")
    page.get_by_test_id("refresh").click()
    with page.expect_response(lambda answer: "histDuration" in (answer.request.post_data or "")):
        page.get_by_test_id("refresh").click()
    assert totals
    assert lists
    offered = page.get_by_test_id("find-by").locator("option")
    expect(offered).to_have_text(["Jobname", "Project"])  # the user is fixed here
    page.goto(f"{centre.url}/monitoring/jobs/")
    expect(offered).to_have_text(["Jobname", "Project", "User"])
    page = visit("alice", "/monitoring/jobs/")
    expect(page.get_by_test_id("find-by").locator("option")).to_have_text(["Jobname", "Project"])


def test_diff_20_status_asks_for_sums_not_for_all_jobs(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/query"):
            asked.append(json.loads(request.post_data or "{}")["query"])

    page.goto(f"{centre.url}/monitoring/status/alpha")
    expect(page.get_by_test_id("panel-summary")).to_have_attribute("data-state", "ready")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.on("request", note)
    with page.expect_request(lambda request: "ClusterNow" in (request.post_data or "")):
        page.clock.set_fixed_time(time.time() + 61)  # timers keep their pace: the stream stays live
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    fields = {name for text in asked for name in re.findall(r"^  (?:\w+: )?(\w+)\(", text, re.MULTILINE)}
    assert "jobsStatistics" in fields
    assert not fields & {"jobs", "jobsMetricStats", "nodeMetrics"}, fields


def test_diff_21_many_series_still_have_a_tooltip(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}?scope.cpu_load=node")
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot.locator("[data-series='16']")).to_have_count(1)
    plot.locator(".u-over").hover(position={"x": 90, "y": 60})
    tip = plot.locator(".tip")
    expect(tip).to_contain_text(re.compile(r"a\d+"))
    expect(tip).to_contain_text(re.compile(r"rank \d+ of 16; lowest .+, median .+, highest"))
    expect(tip.locator("tr")).to_have_count(3)


def test_diff_23_nodes_stand_in_natural_order_and_down_ones_stay(visit: OpenPage, centre: Centre) -> None:
    states = [{"hostname": f"b{number}", "states": ["idle"]} for number in range(1, 8)]
    report = {"cluster": "beta", "nodes": [*states, {"hostname": "b8", "states": ["down"]}]}
    assert centre.api.post("/api/nodestate/", json=report).status_code == 200
    states = [{"hostname": f"a{number}", "states": ["idle"]} for number in (1, *range(11, 20))]
    report = {"cluster": "alpha", "nodes": [*states, {"hostname": "a10", "states": ["down"]}]}
    assert centre.api.post("/api/nodestate/", json=report).status_code == 200
    page = visit("sue", "/monitoring/systems/alpha?view=plots&node=a1")
    plots = page.locator("[data-testid^=node-plot-]")
    expect(plots).to_have_count(11)
    names = [plot.get_attribute("data-testid") for plot in plots.all()]
    assert names == ["node-plot-a1", *(f"node-plot-a{number}" for number in range(10, 20))]
    down = page.get_by_test_id("node-plot-a10")
    expect(down).to_have_attribute("data-state", "empty")
    expect(down).to_contain_text("down")
    expect(down).to_contain_text("No data: the node is down")
    page.goto(f"{centre.url}/monitoring/systems/list/beta")
    expect(page.get_by_test_id("table-nodes").locator("tbody th")).to_have_count(8)
    expect(page.get_by_test_id("node-row-b8")).to_contain_text("down")
    page.goto(f"{centre.url}/monitoring/node/beta/b8")
    expect(page.get_by_text("the scheduler says it is down")).to_be_visible()
