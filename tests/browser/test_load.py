"""A large cluster: 1,500 nodes, a job on 1,000 of them, many plots, many changes of view.

Contract: spec/web-ui.md 7.6, 10 (load). What is asserted are facts, never times.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.conftest import Visits, enter
from tests.server.running import CLUSTER, Server, eventually, set_up

NODES, JOB_NODES, STEP, SAMPLES = 1500, 1000, 10, 30
HOSTS = [f"w{number:04}" for number in range(1, NODES + 1)]


def large_cluster() -> dict[str, Any]:
    metrics = [metric | {"scope": "node"} for metric in CLUSTER["metricConfig"]]  # type: ignore[union-attr]
    for name in ("mem_bw", "mem_used"):
        metrics.append(metrics[0] | {"name": name})
    sub = CLUSTER["subClusters"][0] | {"nodes": "w[0001-1500]"}  # type: ignore[index]
    return CLUSTER | {"name": "large", "metricConfig": metrics, "subClusters": [sub]}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = set_up(tmp_path_factory.mktemp("large"))
    folder = server.folder / "var" / "job-archive" / "large"
    folder.mkdir()
    (folder / "cluster.json").write_text(json.dumps(large_cluster()))
    server.start()
    start = int(time.time()) // STEP * STEP - SAMPLES * STEP
    with server.client("adapter") as client:
        for number, hosts in ((1, HOSTS[:JOB_NODES]), *((n, [HOSTS[n]]) for n in range(2, 12))):
            job = {
                "jobId": number, "user": "ute", "project": "lab", "cluster": "large", "numNodes": len(hosts),
                "startTime": start, "resources": [{"hostname": host} for host in hosts], "shared": "none",
            }  # fmt: skip
            assert client.post("/api/jobs/start_job/", json=job).status_code == 201
        for at in range(SAMPLES):
            moment = start + at * STEP
            body = "".join(
                f"{metric},hostname={host} value={(place + at) % 100} {moment}\n"
                for metric in ("cpu_load", "flops_any", "mem_bw", "mem_used")
                for place, host in enumerate(HOSTS)
            )
            assert client.post("/api/write?cluster=large", content=gzip.compress(body.encode()),
                               headers={"Content-Encoding": "gzip"}).status_code == 200  # fmt: skip
        eventually(lambda: client.get("/readyz").status_code == 200)
    yield server
    assert server.stop() == 0


@pytest.fixture
def page(visits: Visits, large: Server) -> Page:
    page = visits.page()
    session = large.browser("boss").cookies["session"]
    page.context.add_cookies([{"name": "session", "value": session, "url": large.url}])
    return page


def test_1500_nodes_are_all_there_and_few_of_them_drawn(page: Page, large: Server) -> None:
    page.goto(f"{large.url}/monitoring/systems/large?view=plots")
    plots = page.locator("[data-testid^=node-plot-]")
    expect(plots).to_have_count(NODES, timeout=60_000)
    shown: list[str] = plots.evaluate_all("all => all.map(one => one.dataset.testid.slice(10))")
    assert shown == HOSTS
    expect(plots.first.locator("canvas")).to_have_count(1)
    assert page.locator("canvas").count() < 100
    page.keyboard.press("End")
    plots.last.scroll_into_view_if_needed()
    expect(plots.last.locator("canvas")).to_have_count(1)
    assert page.locator("canvas").count() < 250


def test_a_list_draws_forty_plots(page: Page, large: Server) -> None:
    sizes: list[int] = []
    page.on(
        "response",
        lambda answer: (
            sizes.append(int(answer.headers.get("content-length", "0")))
            if answer.url.endswith("/query")
            else None
        ),
    )
    page.goto(f"{large.url}/monitoring/jobs/?density=plots&perPage=10")
    rows = page.locator("[data-testid^=job-row-]")
    expect(rows.nth(9)).to_be_attached()
    for at in range(10):
        rows.nth(at).scroll_into_view_if_needed()
        expect(page.locator("tr.detail").nth(at).locator("canvas")).to_have_count(4)
    expect(page.locator("tr.detail [data-testid^=plot-][data-state=ready]").nth(39)).to_be_attached()
    assert 0 < sum(sizes) <= 300_000


def test_the_legend_of_1000_series_is_searched_and_isolates_one(page: Page, large: Server) -> None:
    page.goto(f"{large.url}/monitoring/job/1")
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-state", "ready", timeout=60_000)
    page.get_by_test_id("scope-cpu_load").select_option("node")
    plot.get_by_role("button", name=re.compile("Show the 1000 series")).click()
    expect(plot.locator("li")).to_have_count(JOB_NODES)
    plot.get_by_label("Find a series").fill("w0777")
    expect(plot.locator("li")).to_have_count(1)
    plot.locator("li button").click()
    expect(plot.locator("li button")).to_have_attribute("aria-pressed", "true")


def used(protocol: CDPSession) -> float:
    """Bytes of the heap that are still reachable."""
    for _ in range(3):  # what a first collection finalises, a second one frees
        protocol.send("HeapProfiler.collectGarbage")
    return float(protocol.send("Runtime.getHeapUsage")["usedSize"])


def test_views_leave_no_memory_behind(page: Page, large: Server) -> None:
    views = [
        "/monitoring/jobs/?density=plots",
        "/monitoring/job/1",
        "/monitoring/systems/large",
        "/monitoring/tags/",
    ]

    def tour() -> None:
        for view in views:
            enter(page, view)
            expect(page.locator("h1")).to_be_visible()
            expect(page.locator("[data-state=loading]")).to_have_count(0)
            page.wait_for_timeout(300)  # what is drawn later belongs to the view, too

    page.goto(f"{large.url}/monitoring/tags/")
    for _ in range(2):
        tour()
    protocol = page.context.new_cdp_session(page)
    before = used(protocol)
    for _ in range(5):
        tour()
    after = used(protocol)
    print(f"{before / 1e6:.1f} MB, then {after / 1e6:.1f} MB")
    assert after < 1.1 * before
