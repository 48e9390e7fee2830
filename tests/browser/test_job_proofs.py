"""The job view on jobs with something odd about them. Contract: spec/web-ui.md 5.1, 5.2, 6.4, 8, 10."""

from __future__ import annotations

import csv
import json
import re

from playwright.sync_api import Page, Request, expect

from tests.browser.centre import HOSTILE, Centre
from tests.browser.conftest import OpenPage


def drag(page: Page, plot: str, start: int, end: int) -> None:
    box = page.get_by_test_id(f"plot-{plot}").locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + end, box["y"] + 60, steps=5)
    page.mouse.up()


def test_sixteen_nodes_lines_statistics_and_heat_map(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}")
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-scope", "node")
    expect(plot).to_have_attribute("data-level", "normal")
    expect(plot).to_contain_text("lowest, median, highest")
    expect(plot.locator("[data-series='3']")).to_have_count(1)
    page.get_by_test_id("scope-cpu_load").select_option("node")
    expect(plot.locator("[data-series='16']")).to_have_count(1)
    plot.locator(".u-over").hover(position={"x": 90, "y": 60})
    tip = plot.locator(".tip")
    expect(tip).to_contain_text("rank")  # diff-21: more than 12 series have a tooltip
    expect(tip.locator("tr")).to_have_count(3)
    with page.expect_request(lambda request: "jobMetricGrid" in (request.post_data or "")) as asked:
        page.get_by_test_id("heat-cpu_load").click()
    grid = asked.value.response()
    assert grid is not None
    assert len(grid.json()["data"]["jobMetricGrid"]["rows"]) == 16
    heat = page.get_by_test_id("plot-heat-cpu_load")
    expect(heat).to_have_attribute("data-rows", "16")
    expect(heat).to_have_attribute("data-first", "a1")
    heat.get_by_role("application").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("heat-tell")).to_contain_text("a2")  # diff-23: a2 before a10


def test_zoom_is_shared_kept_in_the_address_and_reset_at_once(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J5']}")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    total = page.locator("[data-xrange]").count()
    drag(page, "cpu_load", 60, 160)
    zoomed = page.locator("[data-xrange]:not([data-xrange=''])")
    expect(zoomed).to_have_count(total)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.get_by_test_id("scope-flops_any").select_option(label="finer …")
    expect(page.get_by_test_id("plot-flops_any")).to_have_attribute("data-scope", "core")
    expect(zoomed).to_have_count(total)  # diff-24: another scope does not lose the zoom
    address = page.url
    page.goto(address)
    expect(zoomed).to_have_count(total)
    page.get_by_test_id("zoom-reset").click()
    expect(zoomed).to_have_count(0)


def test_missing_metric_and_silent_host_come_first(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J5']}")
    expect(page.get_by_role("tab").first).to_have_text("Missing data")
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text("mem_bw")
    expect(panel).to_contain_text("a23")
    expect(page.get_by_test_id("plot-mem_bw")).to_have_attribute("data-state", "empty")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")  # diff-14


def test_diff_08_statistics_sort_at_core_scope_with_gaps_last(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}?tab=statistics")
    table = page.get_by_test_id("table-statistics")
    expect(table.locator("tbody th").first).to_have_text("a1")
    hosts = table.locator("tbody th").all_inner_texts()
    assert hosts == [f"a{number}" for number in range(1, 17)]  # natural order
    page.get_by_test_id("statistics-scope").select_option("core")
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(128)
    names = [text.split()[0] for text in table.locator("th[scope=colgroup]").all_inner_texts()]
    place = names.index("flops_any")
    table.get_by_role("button", name="avg").nth(place).click()
    shown = table.locator(f"tbody tr td:nth-child({3 * place + 3})").all_inner_texts()
    values = [float(text) for text in shown if re.fullmatch(r"[\d.]+", text)]
    assert len(values) == 128
    assert values == sorted(values, reverse=True)
    table.get_by_role("button", name="avg").nth(place).click()
    assert table.locator(f"tbody tr td:nth-child({3 * place + 3})").first.inner_text() == shown[-1]
    page.get_by_role("button", name="Export").last.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    with open(download.value.path(), encoding="utf-8", newline="") as text:
        lines = list(csv.reader(text))
    assert len(lines) == 129
    assert any("GF/s" in head for head in lines[0])
    assert lines[1][0] == rows.first.locator("th").inner_text().split()[0]


def test_shared_job_tells_of_its_neighbours_to_staff_only(visit: OpenPage, centre: Centre) -> None:
    address = f"/monitoring/job/{centre.jobs['J3']}"
    page = visit("sue", address)
    facts = page.get_by_test_id(f"jobinfo-{centre.jobs['J3']}")
    expect(facts).to_contain_text("shared with other jobs")
    link = facts.get_by_role("link", name="2 other jobs")
    expect(link).to_be_visible()
    expect(page.get_by_test_id("plot-mem_used")).to_contain_text("includes other jobs")
    link.click()
    expect(page.get_by_test_id("table-jobs")).to_contain_text("5030")
    page = visit("alice", address)
    facts = page.get_by_test_id(f"jobinfo-{centre.jobs['J3']}")
    expect(facts).to_contain_text("shared with other jobs")
    expect(facts.get_by_role("link", name=re.compile("other job"))).to_have_count(0)


def test_diff_09_footprint_names_value_peak_and_the_worst_first(visit: OpenPage, centre: Centre) -> None:
    number = centre.jobs["J7"]
    page = visit("root1", f"/monitoring/job/{number}")
    rows = page.get_by_test_id(f"footprint-{number}").locator(".row")
    expect(rows.first).to_contain_text("flops_any")  # 10 of 400 GF/s: alert
    expect(rows.first).to_have_class(re.compile("alert"))
    expect(rows.nth(1)).to_contain_text("mem_used")  # 210 of 256 GB where less is better: caution
    expect(rows.nth(1)).to_have_class(re.compile("caution"))
    for row in rows.all():
        expect(row).to_contain_text(" of ")  # diff-10: x / y pairs keep x
    expect(page.get_by_test_id("plot-flops_any")).to_have_attribute("data-level", "alert")
    expect(page.get_by_test_id("plot-mem_used")).to_have_attribute("data-level", "caution")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-level", "normal")


def test_diff_19_texts_of_others_are_never_markup(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J7']}?tab=script")
    expect(page.get_by_test_id("job-name")).to_have_text(HOSTILE)
    expect(page.get_by_role("note")).to_contain_text(f"Note {HOSTILE}")
    expect(page.locator("pre")).to_contain_text(f"# {HOSTILE}")
    expect(page.get_by_test_id(f"jobinfo-{centre.jobs['J7']}")).to_contain_text(f"check: {HOSTILE}")
    for path in (
        "/monitoring/tags/",
        f"/monitoring/jobs/?tag={centre.tags['hostile']}",
        "/monitoring/status/alpha",
        "/",
    ):
        page.goto(centre.url + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if "tag" in path:
            expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.locator("img[src=x]").count() == 0, path


def test_idle_accelerator_is_said_with_evidence(visit: OpenPage, centre: Centre) -> None:
    page = visit("alice", f"/monitoring/job/{centre.jobs['J6']}")
    hint = page.locator("[data-hint=idle-gpu]")
    expect(hint).to_contain_text("1 of 4 GPUs idle")
    expect(hint).to_contain_text("1 %")
    expect(page.get_by_test_id("plot-acc_utilization")).to_have_attribute("data-state", "ready")
    expect(page.get_by_test_id("plot-acc_utilization").locator("[data-series='4']")).to_have_count(1)
    expect(page.get_by_test_id("plot-cpu_power")).to_have_count(0)  # a restricted metric
    page = visit("sue", f"/monitoring/job/{centre.jobs['J6']}")
    expect(page.get_by_test_id("plot-cpu_power")).to_have_attribute("data-state", "ready")


def test_job_without_measurements_keeps_the_rest(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J4']}")
    expect(page.get_by_text("This job was not monitored.")).to_be_visible()
    expect(page.get_by_test_id(f"jobinfo-{centre.jobs['J4']}")).to_contain_text("alice")
    page.get_by_role("tab", name="Job script").click()
    expect(page.locator("pre")).to_contain_text("srun ./5004")
    expect(page).to_have_url(re.compile("tab=script"))
    page.get_by_role("tab", name="Scheduler details").click()
    expect(page.get_by_text("The scheduler sent no details.")).to_be_visible()


def test_only_the_panel_that_is_refined_asks_again(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}")
    expect(page.get_by_test_id("plot-mem_bw")).to_have_attribute("data-state", "ready")
    expect(page.locator("[data-state=loading]")).to_have_count(0)
    asked: list[list[str]] = []

    def note(request: Request) -> None:
        if "jobMetrics" in (request.post_data or ""):
            asked.append(json.loads(request.post_data or "{}")["variables"]["metrics"])

    page.on("request", note)
    page.get_by_test_id("scope-mem_bw").select_option(label="finer …")
    expect(page.get_by_test_id("plot-mem_bw")).to_have_attribute("data-scope", "socket")
    expect(page.get_by_test_id("plot-flops_any")).to_have_attribute("data-scope", "node")
    assert asked == [["mem_bw"]]
    page.get_by_test_id("plot-mem_bw").get_by_label("Node").select_option("a3")
    expect(page.get_by_test_id("plot-mem_bw").locator("[data-series='2']")).to_have_count(1)


def test_plot_is_read_with_keys_and_as_a_table(visit: OpenPage, centre: Centre) -> None:
    page = visit(
        "alice",
        f"/monitoring/job/{centre.jobs['J8']}".replace(str(centre.jobs["J8"]), str(centre.jobs["J9"])),
    )
    plot = page.get_by_test_id("plot-mem_used")
    expect(plot).to_have_attribute("data-state", "ready")
    area = plot.get_by_role("application")
    assert "mem_used" in (area.get_attribute("aria-label") or "")
    expect(plot.get_by_role("figure")).to_have_attribute("aria-label", re.compile("mem_used, GB, 1 series"))
    area.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    said = plot.locator("[aria-live=polite]")
    expect(said).to_have_text(re.compile(r"a27, 1 min, [\d.]+\sGB"))
    value = said.inner_text().split(", ")[2].split()[0]
    page.keyboard.press("+")
    expect(page.locator("[data-xrange]:not([data-xrange=''])").first).to_be_attached()
    page.keyboard.press("0")
    expect(page.locator("[data-xrange]:not([data-xrange=''])")).to_have_count(0)
    plot.get_by_role("button", name="Export and more").click()
    page.get_by_role("button", name="Show as table").click()
    row = page.get_by_test_id("plot-table").locator("tbody tr").nth(1)
    expect(row).to_contain_text("60")
    assert abs(float(row.locator("th, td").last.inner_text()) - float(value)) < 0.1


def test_plots_are_saved_as_picture_and_values(visit: OpenPage, centre: Centre) -> None:
    page = visit("alice", f"/monitoring/job/{centre.jobs['J9']}")
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-state", "ready")

    def saved(kind: str) -> bytes:
        plot.get_by_role("button", name="Export and more").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Save as {kind}").click()
        assert download.value.suggested_filename.lower() == f"alpha-5090-cpu_load.{kind.lower()}"
        return download.value.path().read_bytes()

    picture = saved("PNG")
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 2000
    lines = list(csv.reader(saved("CSV").decode().splitlines()))
    answer = centre.query(
        "root1",
        """query($id: ID!) { jobMetrics(id: $id, metrics: ["cpu_load"], scopes: [node]) {
             metric { series { data } } } }""",
        id=str(centre.jobs["J9"]),
    )
    truth = answer["jobMetrics"][0]["metric"]["series"][0]["data"]
    assert [float(line[1]) for line in lines[1:]] == truth
    table = json.loads(saved("JSON"))
    assert [row[1] for row in table["rows"]] == truth


def test_parts_of_the_page_can_be_switched_off(visit: OpenPage, centre: Centre) -> None:
    page = visit("manny", "/monitoring/tags/")
    keys = ("jobView_showPolarPlot", "jobView_showRoofline", "jobView_showStatTable")

    def set_all(value: str) -> None:
        for key in keys:
            assert page.request.post(
                f"{centre.url}/frontend/configuration/", form={"key": key, "value": value}
            ).ok

    page.goto(f"{centre.url}/monitoring/job/{centre.jobs['J2']}")
    expect(page.get_by_test_id("polar-open")).to_be_visible()
    expect(page.get_by_test_id("plot-job-roofline")).to_be_visible()
    expect(page.get_by_role("tab", name="Statistics")).to_be_visible()
    set_all("false")
    try:
        page.reload()
        expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
        expect(page.get_by_test_id("polar-open")).to_have_count(0)
        expect(page.get_by_test_id("plot-job-roofline")).to_have_count(0)
        expect(page.get_by_role("tab", name="Statistics")).to_have_count(0)
    finally:
        set_all("true")


def test_restricted_metrics_are_for_the_staff(visit: OpenPage, centre: Centre) -> None:
    path = f"/monitoring/job/{centre.jobs['J1']}"
    page = visit("root1", path)
    expect(page.get_by_test_id("plot-cpu_power")).to_have_count(1)
    page = visit("alice", path)
    expect(page.get_by_test_id("plot-mem_bw")).to_have_attribute("data-state", "ready")
    expect(page.get_by_test_id("plot-cpu_power")).to_have_count(0)
