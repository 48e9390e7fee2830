"""The status dashboard against the API, and minute by minute. Contract: spec/web-ui.md 6.12, 10."""

from __future__ import annotations

import json
import re
import time
from collections import Counter

from playwright.sync_api import Request, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage

PANELS = ["cluster", "projects", "roofline", "utilization", "states", "health"]


def test_six_panels_are_ready_and_their_sums_are_those_of_the_server(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/status/alpha")
    for name in PANELS:
        expect(page.get_by_test_id(f"panel-{name}")).to_have_attribute("data-state", "ready")
    running = [{"cluster": {"eq": "alpha"}}, {"state": ["running"]}]
    answer = centre.query(
        "root1",
        """query ($filter: [JobFilter!]) {
            all: jobsStatistics(filter: $filter) { totalJobs totalUsers totalCores totalAccs }
            by: jobsStatistics(filter: $filter, groupBy: PROJECT, sortBy: TOTALJOBS) { id totalJobs }
            allocatedNodes(cluster: "alpha") { count } }""",
        filter=running,
    )
    sums = answer["all"][0]
    cluster = page.get_by_test_id("panel-cluster")
    expect(cluster.locator("dd").nth(0)).to_have_text(str(sums["totalJobs"]))
    expect(cluster.locator("dd").nth(1)).to_have_text(str(sums["totalUsers"]))
    nodes = sum(row["count"] for row in answer["allocatedNodes"])
    used = [nodes, sums["totalCores"], sums["totalAccs"]]
    expect(cluster.locator("li strong")).to_have_text([str(number) for number in used])
    projects = page.get_by_test_id("panel-projects")
    for group in answer["by"][:10]:
        row = projects.get_by_role("row").filter(has_text=group["id"])
        expect(row).to_contain_text(str(group["totalJobs"]))


def test_a_minute_later_everything_is_asked_for_once(visit: OpenPage) -> None:
    page = visit("root1", "/monitoring/status/alpha")
    for name in PANELS:
        expect(page.get_by_test_id(f"panel-{name}")).to_have_attribute("data-state", "ready")
    asked: Counter[str] = Counter()

    def note(request: Request) -> None:
        if request.url.endswith("/query"):
            found = re.search(r"query (\w+)", json.loads(request.post_data or "{}")["query"])
            asked[found[1] if found else "?"] += 1

    page.on("request", note)
    page.clock.set_fixed_time(time.time() + 61)  # timers keep their pace
    for _again in range(3):  # only the first finds that a minute has passed
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert {"ClusterNow", "ClusterSeries", "StateHistory"} <= asked.keys()
    assert set(asked.values()) == {1}, asked


def test_tables_of_the_details_are_those_of_the_server(visit: OpenPage, centre: Centre) -> None:
    nodes = [{"hostname": "a1", "states": ["idle"]}, {"hostname": "a2", "states": ["allocated"]}]
    assert centre.api.post("/api/nodestate/", json={"cluster": "alpha", "nodes": nodes}).status_code == 200
    page = visit("root1", "/monitoring/status/detail/alpha?tab=metrics")
    text = """query ($filter: [NodeFilter!]) {
        nodesWithMeta(filter: $filter) { items { hostname schedulerState healthState } } }"""
    items = centre.query("root1", text, filter=[{"cluster": {"eq": "alpha"}}])["nodesWithMeta"]["items"]
    for plot, field in (("scheduler", "schedulerState"), ("health", "healthState")):
        table = page.get_by_test_id(f"plot-{plot}").locator("table")
        for state, number in Counter(item[field] for item in items).items():
            row = table.get_by_role("row", name=re.compile(f"^{state} "))
            expect(row.get_by_role("cell").first).to_have_text(str(number))
    hosts = page.get_by_test_id("table-health").locator("tbody tr")
    expect(hosts).to_have_count(len(items))

    running = [{"cluster": {"eq": "alpha"}}, {"state": ["running"]}]
    text = """query ($filter: [JobFilter!]) {
        jobsStatistics(filter: $filter, groupBy: USER, sortBy: TOTALJOBS) { id totalJobs } }"""
    users = centre.query("root1", text, filter=running)["jobsStatistics"]
    page.get_by_role("tab", name="Cluster Usage").click()
    table = page.get_by_test_id("plot-user-running-jobs").locator("table")
    for user in users[:10]:
        row = table.get_by_role("row", name=re.compile(f"^{re.escape(user['id'])} "))
        expect(row.get_by_role("cell").first).to_have_text(str(user["totalJobs"]))


def test_numbers_open_the_lists_they_count(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/status/alpha")
    panel = page.get_by_test_id("panel-cluster")
    expect(panel.locator("dd").first).to_have_text("1")
    for name in PANELS:
        expect(page.get_by_test_id(f"panel-{name}")).to_have_attribute("data-state", "ready")
    unlinked = page.get_by_test_id("panel-cluster").evaluate(
        "panel => [...panel.querySelectorAll('dd, li strong')].filter(one => !one.querySelector('a')).length"
    )
    assert unlinked == 0
    for tile in page.get_by_test_id("panel-summary").locator(".big").all():
        expect(tile.locator("a").first).to_be_visible()

    def opens(text: str | re.Pattern[str], address: str) -> None:
        page.goto(f"{centre.url}/monitoring/status/alpha")
        link = panel.get_by_role("link", name=text, exact=True).first
        expect(link).to_be_visible()
        link.click()
        expect(page).to_have_url(re.compile(address))

    opens("1", r"/monitoring/jobs/\?cluster=alpha&state=running$")
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    opens(re.compile(r"^\d+ free$"), r"/monitoring/systems/list/alpha\?sort=jobs%3Aasc")
    expect(page.get_by_test_id("count")).to_have_text("44 nodes")
    opens("32", r"/monitoring/jobs/\?cluster=alpha&state=running&sort=numHwthreads%3Adesc")
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    page.goto(f"{centre.url}/monitoring/status/alpha")
    whole = page.get_by_test_id("plot-projects").locator("svg[data-plot] path")
    assert whole.evaluate("path => path.getBBox().width") > 90  # the only project has the whole circle
    row = page.get_by_test_id("panel-projects").get_by_role("row").filter(has_text="proj01")
    row.get_by_role("link", name="proj01").click()
    expect(page).to_have_url(re.compile("project=proj01&projectMatch=eq"))
    expect(page.get_by_test_id("count")).to_have_text("1 job")


def test_free_parts_of_shared_nodes_are_told(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/status/beta")
    line = page.get_by_test_id("free-parts")
    expect(line).to_have_text("No node with jobs has room for more.")
    job = centre.start(
        7201, ["b6"], startTime=centre.now - 4000, shared="multi_user", numHwthreads=3,
        resources=[{"hostname": "b6", "hwthreads": [0, 1, 7]}],
    )  # fmt: skip
    try:
        text = '{ freeResources(cluster: "beta") { subCluster nodes cores accelerators memory } }'
        assert centre.query("root1", text)["freeResources"] == [
            {"subCluster": "small", "nodes": 1, "cores": 5, "accelerators": 0, "memory": None}
        ]
        page.reload()
        expect(line).to_have_text("On 1 shared node there is room for 5 cores.")
        page.goto(f"{centre.url}/monitoring/status/detail/beta")
        card = page.get_by_test_id("panel-card-small")
        expect(card.get_by_test_id("free-parts")).to_have_text("On 1 shared node there is room for 5 cores.")
        expect(card.get_by_test_id("use-Cores")).to_contain_text("3 of 64 in use, 61 free")
    finally:
        assert centre.api.delete(f"/api/jobs/delete_job/{job}").status_code == 200


def test_details_have_a_pace_of_their_own(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    page.clock.install()
    page.goto(f"{centre.url}/monitoring/status/detail/beta?tab=metrics")
    refresher = page.get_by_test_id("refresher")
    expect(refresher).to_have_value("120")
    expect(refresher.locator("option:checked")).to_have_text("Two Minutes")
    expect(page.get_by_test_id("panel-health")).not_to_have_attribute("data-state", "loading")

    def asks(request: Request) -> bool:
        return "NodeStates" in (request.post_data or "")

    with page.expect_request(asks):
        page.clock.run_for(121_000)
    refresher.select_option("0")
    with page.expect_request(asks):
        page.get_by_test_id("refresh").click()


def test_home_counts_what_the_viewer_may_see(visit: OpenPage, centre: Centre) -> None:
    for role in ("alice", "root1"):
        page = visit(role, "/")
        main = page.get_by_role("main")
        for cluster in ("alpha", "beta"):
            everything = centre.count(role, [{"cluster": {"eq": cluster}}])
            running = centre.count(role, [{"cluster": {"eq": cluster}}, {"state": ["running"]}])
            all_jobs = main.locator(f"a[href='/monitoring/jobs/?cluster={cluster}']")
            expect(all_jobs).to_have_text(re.compile(rf"^{everything:,}$".replace(",", r"\s?")))
            expect(
                main.locator(f"a[href='/monitoring/jobs/?cluster={cluster}&state=running']").first
            ).to_have_text(f"{running} job{'' if running == 1 else 's'}")
        for name in ("Status View", "System View"):
            expect(main.get_by_role("link", name=name)).to_have_count(2 if role == "root1" else 0)
    assert centre.count("alice", []) < centre.count("root1", [])
