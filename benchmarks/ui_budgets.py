"""The pages in Chromium against a real server: 100,000 jobs, 1,000 nodes and a site of 64 nodes.

Contract: spec/web-ui.md 7.6. Each line: value, budget, ok or missed. The web interface must be built.
"""

from __future__ import annotations

import gzip
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.graphql_statistics import fill
from ccserver.auth.sessions import Sessions
from ccserver.auth.users import UserRepository
from ccserver.database import open_database
from ccserver.model.user import Principal
from tests.browser.conftest import ARGUMENTS
from tests.conftest import ROOT, require_program
from tests.server.running import Server, ccserver

JOBS = 100_000
STEP = 60  # seconds
DAY = 86_400
METRICS = {
    "cpu_load": ("", 72.0),
    "flops_any": ("F/s", 4000.0),
    "mem_bw": ("B/s", 400.0),
    "mem_used": ("B", 256.0),
}
SIZES = {"c": 1000, "s": 64}  # nodes by cluster
ROUNDS = 3
WEB = ROOT / "ccserver" / "web"

# The time of the first plot or table row, since navigation began, and how far things moved.
OBSERVE = """
    const plot = "canvas, svg[data-points], [data-testid^=panel-] svg rect";
    const content = `${plot}, tbody tr, [data-testid^=job-row], .big`;
    window.moved = 0;
    new PerformanceObserver(list => {
        for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;
    }).observe({type: "layout-shift", buffered: true});
    function look() {
        const now = performance.now();
        if (!window.firstContent && document.querySelector(content)) window.firstContent = now;
        if (!window.firstPlot && document.querySelector(plot)) window.firstPlot = now;
        if (now < 20000 && !(window.firstContent && window.firstPlot)) requestAnimationFrame(look);
    }
    requestAnimationFrame(look);
"""
FRAMES = """
    window.frames_ = [];
    (function note(now) { window.frames_.push(now); requestAnimationFrame(note); })(performance.now());
"""


def cluster(name: str, nodes: int) -> dict[str, Any]:
    def value(base: str, number: int) -> dict[str, Any]:
        return {"unit": {"base": base, "prefix": "G"}, "value": number}

    return {
        "name": name,
        "metricConfig": [
            {
                "name": metric, "scope": "node", "unit": {"base": base, "prefix": "G" if base else ""},
                "timestep": STEP, "aggregation": "sum", "peak": peak, "normal": peak / 2,
                "caution": peak / 4, "alert": peak / 8, "footprint": "avg",
            }
            for metric, (base, peak) in METRICS.items()
        ],
        "subClusters": [
            {
                "name": "main", "nodes": f"{prefix(name)}[0001-{nodes:04}]", "processorType": "72 cores",
                "socketsPerNode": 1, "coresPerSocket": 1, "threadsPerCore": 1,
                "flopRateScalar": value("F/s", 1000), "flopRateSimd": value("F/s", 4000),
                "memoryBandwidth": value("B/s", 400),
                "topology": {"node": [0], "socket": [[0]], "memoryDomain": [[0]], "core": [[0]]},
            }
        ],
    }  # fmt: skip


def prefix(name: str) -> str:
    return "n" if name == "c" else name


def samples(hosts: list[str], start: int, end: int) -> str:
    lines = []
    for moment in range(start - start % STEP, end, STEP):
        for place, host in enumerate(hosts):
            part = (1 + (place * 37 + moment // STEP * 11) % 60) / 70
            lines += [
                f"{metric},hostname={host},type=node value={peak * part:.2f} {moment}"
                for metric, (_, peak) in METRICS.items()
            ]
    return "\n".join(lines) + "\n"


class BusySite:
    """A server with all that; `wide` runs on 64 nodes for a day, `drawn` on 12 for ten hours."""

    def __init__(self, folder: Path) -> None:
        done = ccserver(folder, "-init")
        if done.returncode:
            raise RuntimeError(done.stderr)
        for name, nodes in SIZES.items():
            place = folder / "var" / "job-archive" / name
            place.mkdir()
            (place / "cluster.json").write_text(json.dumps(cluster(name, nodes)))
        fill(folder / "var" / "job.db", JOBS)
        database = open_database(folder / "var" / "job.db")
        UserRepository(database).add("root", ["admin", "api"])
        database.close()
        self.server = Server(folder)
        self.server.configure()
        self.server.start()
        self.api = self.server.client("root")
        now = int(time.time())
        self.hosts = {
            name: [f"{prefix(name)}{number:04}" for number in range(1, nodes + 1)]
            for name, nodes in SIZES.items()
        }
        self.write("c", samples(self.hosts["c"], now - 3600, now))
        for begin in range(now - DAY, now, DAY // 12):
            self.write("s", samples(self.hosts["s"], begin, min(begin + DAY // 12, now)))
        self.wide = self.start(900_001, self.hosts["s"], now - DAY)
        self.drawn = self.start(900_002, self.hosts["s"][:12], now - 600 * STEP)

    def write(self, name: str, lines: str) -> None:
        self.api.post("/api/write/", params={"cluster": name}, content=lines, timeout=120).raise_for_status()

    def start(self, number: int, hosts: list[str], begin: int) -> int:
        job = {
            "jobId": number, "cluster": "s", "user": "root", "project": "lab", "numNodes": len(hosts),
            "numHwthreads": len(hosts), "walltime": 2 * DAY, "shared": "none", "partition": "main",
            "startTime": begin, "resources": [{"hostname": host} for host in hosts],
            "metaData": {"jobName": "wide"},
        }  # fmt: skip
        answer = self.api.post("/api/jobs/start_job/", json=job)
        answer.raise_for_status()
        return int(answer.json()["id"])

    def cookie(self) -> Any:
        key = self.server.keys().session
        assert key is not None
        value = Sessions(key, 7200).issue(Principal("root", frozenset({"admin", "api"}), ()))
        return {"name": "session", "value": value, "url": self.server.url}


def report(title: str, value: float, unit: str, budget: float, *, least: bool = False) -> None:
    held = value >= budget if least else value <= budget
    bound = "at least" if least else "at most"
    print(f"{title:58}{value:9.1f} {unit:6}{bound:>9} {budget:7g}  {'ok' if held else 'missed'}", flush=True)


def scripts_at_start() -> float:
    """kB, compressed, of the scripts that the page names."""
    page = (WEB / "index.html").read_text()
    names = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)
    return sum(len(gzip.compress((WEB / name).read_bytes(), 9)) for name in names) / 1000


def open_page(browser: Browser, site: BusySite, path: str) -> Page:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([site.cookie()])
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(OBSERVE)
    page.goto(site.server.url + path)
    return page


def first(browser: Browser, site: BusySite, path: str, what: str) -> float:
    """Median time in ms of the first content or plot of a view, every time in a fresh profile."""
    times = []
    for _ in range(ROUNDS):
        page = open_page(browser, site, path)
        # A string would be evaluated, which the policy of the pages forbids.
        page.wait_for_function(f"() => window.{what}")
        times.append(float(page.evaluate(f"window.{what}")))
        page.context.close()
    return statistics.median(times)


def busy(protocol: CDPSession) -> float:
    """Seconds of processor time that the main thread has taken; what other processes took does not count."""
    figures = protocol.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in figures if one["name"] == "TaskDuration"))


def protocol_of(page: Page) -> CDPSession:
    protocol = page.context.new_cdp_session(page)
    protocol.send("Performance.enable", {"timeDomain": "threadTicks"})
    return protocol


def frames(page: Page, work: Callable[[], None]) -> float:
    """Frames a second while `work` goes on."""
    page.evaluate(FRAMES)
    work()
    moments = page.evaluate("window.frames_")
    return 1000 * (len(moments) - 1) / (moments[-1] - moments[0])


def all_lines(page: Page) -> None:
    """The first plot with a line per node instead of lowest, median and highest."""
    page.get_by_test_id("scope-flops_any").select_option("node")
    page.get_by_test_id("plot-flops_any").locator("[data-series]").first.wait_for()
    page.wait_for_timeout(1000)


def drag_strip(page: Page) -> None:
    """The window of time is drawn out for two seconds; all plots of the job follow."""
    box = page.get_by_test_id("zoom-strip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 15)
    page.mouse.down()
    for step in range(120):
        page.mouse.move(box["x"] + box["width"] * (0.2 + step / 200), box["y"] + 15)
        page.wait_for_timeout(1000 / 60)
    page.mouse.up()


def scroll(page: Page) -> None:
    page.mouse.move(700, 500)
    for _ in range(120):
        page.mouse.wheel(0, 40)
        page.wait_for_timeout(1000 / 60)


def of_views(browser: Browser, site: BusySite) -> None:
    now = int(time.time())
    site.write("c", samples(site.hosts["c"], now - STEP, now))
    site.write("s", samples(site.hosts["s"], now - STEP, now))
    report("jobs list, first row", first(browser, site, "/monitoring/jobs/", "firstContent"), "ms", 1500)
    report("jobs list, first plot", first(browser, site, "/monitoring/jobs/", "firstPlot"), "ms", 3000)
    for view in (
        "/", "/monitoring/jobs/?cluster=s", f"/monitoring/job/{site.wide}", "/monitoring/users/",
        "/monitoring/projects/", "/monitoring/user/root", "/monitoring/systems/s",
        "/monitoring/systems/list/s",
        "/monitoring/node/s/s0001", "/monitoring/analysis/s", "/monitoring/status/s",
        "/monitoring/status/detail/s", "/monitoring/dashboard/s",
    ):  # fmt: skip
        report(f"64 nodes: {view}, first content", first(browser, site, view, "firstContent"), "ms", 500)


def of_work(browser: Browser, site: BusySite) -> None:
    page = open_page(browser, site, "/monitoring/jobs/")
    sizes: list[int] = []
    page.on(
        "requestfinished",
        lambda one: sizes.append(one.sizes()["responseBodySize"]) if "/query" in one.url else None,
    )
    page.reload()
    page.wait_for_timeout(4000)
    report("jobs list, data of the first page", sum(sizes) / 1000, "kB", 300)
    report("jobs list, layout shift (x 1000)", 1000 * float(page.evaluate("window.moved")), "", 100)
    page.context.close()

    page = open_page(browser, site, f"/monitoring/job/{site.wide}")
    all_lines(page)
    report("zooming 64 series x 1440 points", frames(page, lambda: drag_strip(page)), "/s", 60, least=True)
    page.context.close()

    page = open_page(browser, site, f"/monitoring/job/{site.drawn}")
    all_lines(page)
    protocol = protocol_of(page)
    plots = page.locator("[data-xrange]").count()
    before = busy(protocol)
    page.get_by_role("slider", name="Start of the time shown").press("ArrowRight")
    page.wait_for_timeout(1000)
    report(
        "one zoom, main thread per plot, 12 x 600 points", 1000 * (busy(protocol) - before) / plots, "ms", 16
    )
    page.context.close()

    page = open_page(browser, site, "/monitoring/systems/c?view=plots")
    page.locator("main canvas").first.wait_for()
    page.wait_for_timeout(2000)
    report("scrolling the plots of 1,000 nodes", frames(page, lambda: scroll(page)), "/s", 50, least=True)
    page.context.close()

    page = open_page(browser, site, "/monitoring/status/c")
    page.wait_for_timeout(5000)
    protocol = protocol_of(page)
    costs = []
    for _ in range(5):
        # The stream tells of new samples every five seconds.
        now = int(time.time())
        site.write("c", samples(site.hosts["c"], now - now % STEP, now + 1))
        before = busy(protocol)
        page.wait_for_timeout(5000)
        costs.append(1000 * (busy(protocol) - before))
    report("status of 1,000 nodes, main thread per 5 s of updates", statistics.median(costs), "ms", 50)
    page.context.close()


def of_memory(browser: Browser, site: BusySite) -> None:
    page = open_page(browser, site, "/")
    protocol = protocol_of(page)

    def round_trip() -> None:
        for name in ("nav-jobs", "nav-tags"):
            page.get_by_test_id(name).first.click()
            page.wait_for_timeout(700)

    def heap() -> float:
        protocol.send("HeapProfiler.collectGarbage")
        return float(protocol.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    round_trip()
    before = heap()
    for _ in range(10):
        round_trip()
    report(f"growth of {before:.1f} MB of memory in 20 view changes", 100 * (heap() / before - 1), "%", 10)
    page.context.close()


def main() -> None:
    if not (WEB / "index.html").is_file():
        raise SystemExit("the web interface is not built; run `python frontend/build.py`")
    print(f"{JOBS:,} jobs; medians of {ROUNDS} in fresh profiles")
    report("scripts that every page loads, compressed", scripts_at_start(), "kB", 250)
    with tempfile.TemporaryDirectory() as name:
        site = BusySite(Path(name))
        try:
            with sync_playwright() as playwright:
                program = require_program("chromium", "chromium-browser", "google-chrome")
                browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
                for measure in (of_views, of_work, of_memory):
                    measure(browser, site)
                browser.close()
        finally:
            site.api.close()
            site.server.stop()


if __name__ == "__main__":
    main()
