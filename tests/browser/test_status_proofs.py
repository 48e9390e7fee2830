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
            ).to_have_text(str(running))
        for name in ("Status View", "System View"):
            expect(main.get_by_role("link", name=name)).to_have_count(2 if role == "root1" else 0)
    assert centre.count("alice", []) < centre.count("root1", [])
