"""Choosing jobs in the plots of the analysis, by range and by what stands out.

Contract: spec/web-ui.md 5.4, 6.8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage

ADDRESS = "/monitoring/analysis/alpha?startTime=last30d"
WHERE: list[dict[str, Any]] = [{"cluster": {"eq": "alpha"}}, {"startTime": {"range": "last30d"}}]
POINTS = """query($f: [JobFilter!], $m: [String!]!) { jobsFootprints(filter: $f, metrics: $m, sample: true) {
    jobs { id jobId user } metrics { data } } }"""
HINTS = """query($f: [JobFilter!]) { jobs(filter: $f, page: {page: 1, itemsPerPage: 100}) {
    items { id hints { severity } } } }"""


def drawn(page: Page, area: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A box from one corner to the other, in parts of the area."""
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    corners = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=5)
    page.mouse.up()


def settled(page: Page, total: int, plot: str = "plot-durations") -> None:
    expect(page.get_by_test_id(plot)).to_have_attribute("data-sum", str(total))
    expect(page.get_by_test_id("panel-totals").locator("dd").first).to_have_text(f"{total}")


def test_a_point_of_a_scatter_plot_is_a_job(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/analysis/alpha?startTime=last24h&user=bob&userMatch=eq")
    where = [WHERE[0], {"startTime": {"range": "last24h"}}, {"user": {"eq": "bob"}}]
    truth = centre.query("sue", POINTS, f=where, m=["flops_any", "mem_bw"])["jobsFootprints"]
    plot = page.get_by_test_id("plot-scatter-flops_any-mem_bw")
    expect(plot).to_have_attribute("data-points", str(len(truth["jobs"])))
    point = plot.locator(f"a[href='/monitoring/job/{centre.jobs['J8']}']")
    expect(point).to_have_attribute(
        "aria-label", re.compile("^Job 5008 of bob: flops_any .*GF/s, mem_bw .*GB/s, ")
    )
    point.hover(force=True)
    expect(plot).to_contain_text("Job 5008 of bob: flops_any")
    # one of them is in the order of the keyboard, the arrows lead to the others
    expect(plot.locator("svg[data-plot] a[tabindex='0']")).to_have_count(1)
    ordered = sorted(
        zip(
            *(metric["data"] for metric in truth["metrics"]),
            (one["id"] for one in truth["jobs"]),
            strict=True,
        )
    )
    plot.locator("svg[data-plot] a").nth(0).focus()
    for _ in truth["jobs"]:
        page.keyboard.press("ArrowLeft")
    for _, _, id in ordered[1:]:
        page.keyboard.press("ArrowRight")
        expect(plot.locator("a:focus")).to_have_count(1)
        last = id
    expect(plot.locator("a:focus")).to_have_attribute("href", f"/monitoring/job/{last}")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/monitoring/job/{last}$"))
    page.go_back()
    point.click(force=True)
    expect(page).to_have_url(re.compile(f"/monitoring/job/{centre.jobs['J8']}$"))


def test_a_range_drawn_in_a_histogram_is_a_filter(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", ADDRESS)
    plot = page.get_by_test_id("plot-average-flops_any")
    before = plot.get_attribute("data-sum")
    drawn(page, plot.locator("ul.bars"), (0.1, 0.5), (0.3, 0.5))
    expect(page).to_have_url(re.compile(r"stat=flops_any_avg-"))
    pill = page.get_by_test_id("filter-pill-stat")
    expect(pill).to_contain_text("flops_any_avg")
    low, high = map(float, re.findall(r"flops_any_avg-([\d.]+)-([\d.]+)", page.url)[0])
    assert high > 1.5 * low  # more than the bar where the drawing began
    stats = {"metricStats": [{"metricName": "flops_any_avg", "range": {"from": low, "to": high}}]}
    total = centre.count("sue", [*WHERE, stats])
    assert 0 < total < centre.count("sue", WHERE)
    expect(page.get_by_test_id("count")).to_have_text(f"{total} jobs")
    settled(page, total)
    page.go_back()
    expect(pill).to_have_count(0)
    expect(plot).to_have_attribute("data-sum", before or "")


def test_a_range_is_chosen_from_lists_without_a_pointer(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", ADDRESS)
    plot = page.get_by_test_id("plot-durations")
    plot.get_by_test_id("range-of-durations").focus()
    page.keyboard.press("Enter")
    plot.locator("select").first.select_option(label="1 h")
    plot.locator("select").last.select_option(label="3 h")
    plot.get_by_role("button", name="Filter").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("duration=3601-10800"))
    total = centre.count("sue", [*WHERE, {"duration": {"from": 3601, "to": 10800}}])
    settled(page, total)
    cores = page.get_by_test_id("plot-cores")
    cores.get_by_test_id("range-of-cores").click()
    cores.get_by_role("button", name="Filter").click()
    expect(page.get_by_test_id("filter-pill-numHWThreads")).to_be_visible()
    settled(page, total)


def test_a_box_in_a_scatter_plot_narrows_by_both_metrics(visit: OpenPage, centre: Centre) -> None:
    # cpu_power has no footprint that jobs could be filtered by: it narrows the panels of this page
    page = visit("root1", f"{ADDRESS}&pairs=cpu_load:cpu_power&metrics=mem_bw&user=alice&userMatch=eq")
    where = [*WHERE, {"user": {"eq": "alice"}}]
    truth = centre.query("root1", POINTS, f=where, m=["cpu_load", "cpu_power"])["jobsFootprints"]
    power = [value for value in truth["metrics"][1]["data"] if value is not None]
    plot = page.get_by_test_id("plot-scatter-cpu_load-cpu_power")
    expect(plot).to_have_attribute("data-points", str(len(power)))
    drawn(page, plot.locator("[data-area]"), (0.0, 0.999), (0.999, 0.4))
    expect(page).to_have_url(re.compile(r"stat=cpu_load_avg-.*narrow=cpu_power"))
    chip = page.get_by_test_id("narrow-cpu_power")
    expect(chip).to_contain_text("average cpu_power")
    page.get_by_test_id("filter-pill-stat").get_by_role("button", name=re.compile("Remove")).click()
    high = float(re.findall(r"narrow=cpu_power%3A(?:lessthan-|[\d.]+-)([\d.]+)", page.url)[0])
    total = sum(value <= high for value in power)
    assert total > 0
    expect(page.get_by_test_id("count")).to_have_text(re.compile(rf"^{total} of \d+ jobs$"))
    settled(page, total)
    expect(plot).to_have_attribute("data-points", str(total))
    page.reload()
    settled(page, total)
    chip.click()
    expect(page).not_to_have_url(re.compile("narrow"))
    settled(page, centre.count("root1", where))
    # the same with typed numbers
    plot.get_by_test_id("range-of-scatter-cpu_load-cpu_power").click()
    plot.get_by_label("cpu_load to").fill("4")
    plot.get_by_role("button", name="Filter").click()
    expect(page.get_by_test_id("filter-pill-stat")).to_contain_text("cpu_load_avg")
    stats = {"metricStats": [{"metricName": "cpu_load_avg", "range": {"from": 0, "to": 4}}]}
    settled(page, centre.count("root1", [*where, stats]))


def judged(centre: Centre, where: list[dict[str, Any]]) -> Callable[[set[str]], set[str]]:
    """Ids of the jobs whose gravest hint is one of those."""
    jobs = centre.query("sue", HINTS, f=where)["jobs"]["items"]
    gravest = {str(one["id"]): (one["hints"] or [{"severity": ""}])[0]["severity"] for one in jobs}
    return lambda wanted: {id for id, severity in gravest.items() if severity in wanted}


def test_only_inefficient_jobs_are_shown_by_how_grave_it_is(visit: OpenPage, centre: Centre) -> None:
    address = "/monitoring/analysis/alpha?startTime=last24h"
    where = [WHERE[0], {"startTime": {"range": "last24h"}}]
    those = judged(centre, where)
    grave, critical = those({"critical", "warning"}), those({"critical"})
    everything = centre.count("sue", where)
    assert 0 < len(critical) < len(grave) < everything
    page = visit("sue", address)
    settled(page, everything)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.get_by_test_id("only-inefficient").click()
    settled(page, len(grave))
    expect(page.get_by_test_id("count")).to_have_text(f"{len(grave)} of {everything} jobs")
    expect(page.get_by_test_id("judged")).to_have_text(re.compile(rf"^judged \d+ of {everything} jobs"))
    expect(page.get_by_test_id("severity-critical")).to_have_text(str(len(critical)))
    expect(page.get_by_test_id("severity-warning")).to_have_text(str(len(grave) - len(critical)))
    page.get_by_test_id("severity").select_option("critical")
    settled(page, len(critical))
    expect(page).to_have_url(re.compile("inefficient=critical"))
    page.reload()
    settled(page, len(critical))
    page.get_by_test_id("list-chosen").click()
    expect(page.get_by_test_id("count")).to_have_text(re.compile(rf"^{len(critical)} jobs?$"))
    page.go_back()
    page.get_by_test_id("only-inefficient").click()
    settled(page, everything)


def test_a_page_that_judges_nothing_reads_no_curves_for_it(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/tags/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.goto(f"{centre.url}{ADDRESS}")
    expect(page.get_by_test_id("plot-average-flops_any")).to_have_attribute(
        "data-points", re.compile("[1-9]")
    )
    assert not any("hints" in body for body in asked)


def test_averages_stand_in_fifty_parts_whose_bars_list_their_jobs(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", f"{ADDRESS}&metrics=mem_bw")
    plot = page.get_by_test_id("plot-average-mem_bw")
    expect(plot).to_have_attribute("data-points", re.compile("[1-9]"))
    plot.get_by_test_id("plot-menu-average-mem_bw").click()
    page.get_by_role("button", name="Show as table").click()
    expect(page.get_by_test_id("plot-table").locator("tbody tr")).to_have_count(50)
    page.keyboard.press("Escape")
    bar = plot.locator("ul.bars a").first
    href = bar.get_attribute("href") or ""
    low, high = re.findall(r"mem_bw_avg-([\d.]+)-([\d.]+)", href)[0]
    stats = {"metricStats": [{"metricName": "mem_bw_avg", "range": {"from": float(low), "to": float(high)}}]}
    bar.click()
    expect(page.get_by_test_id("count")).to_have_text(f"{centre.count('sue', [*WHERE, stats])} jobs")
