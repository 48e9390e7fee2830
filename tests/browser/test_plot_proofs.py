"""One plot of a metric: thresholds, colours, zoom, legend. Contract: spec/web-ui.md 5.1, 10."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.centre import CORES, PEAKS, Centre
from tests.browser.conftest import OpenPage
from tests.browser.test_differences import variables

SHADOW = "plot => getComputedStyle(plot).boxShadow"


def colour(page: Page, metric: str) -> str:
    """Of the edge that says that a level was passed."""
    found = re.search(r"rgba?\([^)]*\)", page.get_by_test_id(f"plot-{metric}").evaluate(SHADOW))
    return found[0] if found else ""


def test_a_plot_says_by_colour_and_word_when_its_average_is_off(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", f"/monitoring/job/{centre.jobs['J7']}")
    levels = {"flops_any": "alert", "mem_used": "caution", "cpu_load": "normal"}  # mem_used: less is better
    for metric, level in levels.items():
        expect(page.get_by_test_id(f"plot-{metric}")).to_have_attribute("data-level", level)
    expect(page.get_by_test_id("plot-flops_any")).to_contain_text(re.compile("alert"))
    usual = {metric: colour(page, metric) for metric in levels}
    assert len({usual["flops_any"], usual["mem_used"]}) == 2
    assert "inset" not in page.get_by_test_id("plot-cpu_load").evaluate(SHADOW)

    def put(key: str, value: str) -> None:
        form = {"key": f"plotConfiguration_{key}", "value": value}
        assert page.request.post(f"{centre.url}/frontend/configuration/", form=form).ok
        page.reload()
        expect(page.get_by_test_id("plot-flops_any")).to_have_attribute("data-level", "alert")

    try:
        put("colorblindMode", "true")
        safe = {metric: colour(page, metric) for metric in levels}
        for metric in ("flops_any", "mem_used"):
            assert safe[metric] != usual[metric]
        put("colorBackground", "false")
        for metric in levels:
            assert "inset" not in page.get_by_test_id(f"plot-{metric}").evaluate(SHADOW)
    finally:
        put("colorblindMode", "false")
        put("colorBackground", "true")


def test_thresholds_of_sums_are_shared_out_among_the_units(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}")
    plot = page.get_by_test_id("plot-flops_any")
    normal = PEAKS["flops_any"] / 2
    expect(plot).to_have_attribute("data-normal", f"{normal:g}")
    page.get_by_test_id("scope-flops_any").select_option(label="finer …")
    expect(plot).to_have_attribute("data-scope", "core")
    expect(plot).to_have_attribute("data-normal", f"{normal / CORES:g}")


def test_zoom_asks_once_for_the_closest_resolution(visit: OpenPage, centre: Centre) -> None:
    # a job of 3.6 hours at native 60 s; a coarse answer has 120 s or more
    found = centre.query(
        "root1",
        """{ jobs(filter: [{user: {eq: "alice"}}, {state: [running]}], page: {itemsPerPage: 1, page: 1}) {
             items { id } } }""",
    )
    page = visit("root1", f"/monitoring/job/{found['jobs']['items'][0]['id']}")
    plot = page.get_by_test_id("plot-cpu_load")
    drawn = plot.locator("[data-resolution]")
    expect(drawn).to_have_attribute("data-resolution", re.compile(r"\d+"))
    first = int(drawn.get_attribute("data-resolution") or 0)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    asked = variables(page, "query JobMetrics")
    box = plot.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    zoomed = drawn.get_attribute("data-xrange")
    assert zoomed
    assert int(drawn.get_attribute("data-resolution") or 0) <= first
    assert all(one["resolution"] in (0, 60, 120, 300, 600) for one in asked)
    plot.locator(".u-over").dblclick(position={"x": 60, "y": 40})
    expect(drawn).to_have_attribute("data-xrange", "")


@pytest.mark.parametrize("host", ["a7"])
def test_one_of_many_lines_is_isolated_by_its_legend(visit: OpenPage, centre: Centre, host: str) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs['J2']}?scope.cpu_load=node")
    plot = page.get_by_test_id("plot-cpu_load")
    plot.get_by_role("button", name=re.compile("the 16 series")).click()
    plot.get_by_label("Find a series").fill(host)
    line = plot.get_by_role("button", name=re.compile(rf"^{host}\b"))
    line.click()
    expect(line).to_have_attribute("aria-pressed", "true")
    plot.locator(".u-over").hover(position={"x": 90, "y": 60})
    rows = plot.locator(".tip tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(host)
