"""One job. Contract: spec/web-ui.md 5.1, 6.4, 9.4."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import HOSTILE, Site


def painted(page: Page, plot: str) -> int:
    """Number of pixels in the colour of the first series, or of the lines of a range."""
    return int(
        page.evaluate(
            """name => {
                const canvas = document.querySelector(`[data-testid=plot-${name}] canvas`);
                const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                const style = getComputedStyle(document.documentElement);
                const colour = style.getPropertyValue('--mon-series-1').trim();
                const want = [1, 3, 5].map(place => parseInt(colour.slice(place, place + 2), 16));
                let found = 0;
                for (let at = 0; at < data.length; at += 4) {
                    const near = want.every((value, channel) => Math.abs(value - data[at + channel]) < 12);
                    if (near && data[at + 3] > 200) found += 1;
                }
                return found;
            }""",
            plot,
        )
    )


def test_curves_are_drawn(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-scope", "node")
    expect(plot.locator("[data-series='3']")).to_have_count(1)
    points = int(plot.locator("[data-points]").get_attribute("data-points") or 0)
    assert points >= 170  # half an hour, every ten seconds
    assert painted(page, "cpu_load") > 100
    expect(page.get_by_test_id("plot-flops_any")).to_contain_text("GF/s")


def test_scope_can_be_refined_in_place(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    plot = page.get_by_test_id("plot-flops_any")
    expect(plot).to_have_attribute("data-scope", "node")
    page.get_by_test_id("scope-flops_any").select_option(label="finer …")
    expect(plot).to_have_attribute("data-scope", "core")
    page.get_by_test_id("scope-flops_any").select_option("core")
    expect(plot.locator("[data-series='12']")).to_have_count(1)  # four cores on three nodes
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-scope", "node")


def test_zoom_holds_for_all_plots_until_reset(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    area = page.get_by_test_id("plot-cpu_load").locator(".u-over")
    box = area.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 60, steps=5)
    page.mouse.up()
    zoomed = page.locator("[data-xrange]:not([data-xrange=''])")
    expect(zoomed).to_have_count(3)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.get_by_test_id("zoom-reset").click()
    expect(zoomed).to_have_count(0)
    expect(page).not_to_have_url(re.compile("zoom="))


def test_values_under_the_cursor(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    area = page.get_by_test_id("plot-mem_used").locator(".u-over")
    area.hover(position={"x": 80, "y": 60})
    tip = page.get_by_test_id("plot-mem_used").locator(".tip")
    expect(tip).to_contain_text("n01")
    expect(tip).to_contain_text("20 GB")
    expect(tip).to_contain_text("16 GB")
    expect(tip).to_contain_text("1 GB")


def test_what_stands_out_is_said(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    expect(page.locator("[data-hint=imbalance]")).to_contain_text("n03 does 5 % of what n01 does")
    page.goto(f"{site.url}/monitoring/job/{site.gpu}")
    expect(page.locator("[data-hint=idle-gpu]")).to_contain_text("1 of 2 GPUs idle")
    expect(page.locator("[data-hint=imbalance]")).to_have_count(0)


def test_a_job_is_exported_whole_and_what_is_shown_of_it(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}?metrics=mem_used")
    expect(page.get_by_test_id("plot-mem_used")).to_be_visible()
    for name, file in (("Measurements shown, as CSV", "metrics.csv"), ("Whole job as JSON", "job.json")):
        page.get_by_test_id("export-job").click()
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.suggested_filename.endswith(file)
        text = download.value.path().read_text(encoding="utf-8")
        assert ("mem_used" in text, "cpu_load" in text) == (True, file == "job.json")


def test_statistics_have_units_and_sort(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    table = page.get_by_test_id("table-statistics")
    expect(table.get_by_role("columnheader", name="mem_used")).to_contain_text("GB")
    hosts = table.locator("tbody th")
    expect(hosts).to_have_text(["n01", "n02", "n03"])
    table.get_by_role("button", name="avg").first.click()
    table.get_by_role("button", name="avg").first.click()
    expect(hosts.first).to_have_text("n03")


def test_columns_of_the_statistics_are_a_choice_that_is_kept(open_page: OpenPage, site: Site) -> None:
    page = open_page("max", f"/monitoring/job/{site.wide}")
    heads = page.get_by_test_id("table-statistics").locator("thead th[scope=colgroup]")
    expect(heads).to_have_count(2)  # flops_any and mem_used of the three usual ones
    page.get_by_test_id("statistics-metrics").click()
    with page.expect_response(lambda answer: "updateConfiguration" in (answer.request.post_data or "")):
        page.get_by_test_id("metric-row-cpu_load").get_by_role("checkbox").check()
    expect(heads).to_have_count(3)
    page.reload()
    expect(heads).to_have_count(3)
    expect(heads.last).to_contain_text("cpu_load")


def test_script_and_name_are_text(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.hostile}?tab=script")
    expect(page.get_by_test_id("job-name")).to_have_text(HOSTILE)
    expect(page.locator("pre")).to_have_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0


def test_finished_job_shows_archived_curves(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.hostile}")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    assert painted(page, "cpu_load") > 50
    expect(page.get_by_test_id(f"footprint-{site.hostile}")).to_contain_text("cpu_load")


def test_unknown_and_forbidden_jobs_look_the_same(open_page: OpenPage, site: Site) -> None:
    page = open_page("ute", f"/monitoring/job/{site.hostile}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("404")
    forbidden = page.locator("main").inner_text()
    page.goto(f"{site.url}/monitoring/job/999999")
    assert page.locator("main").inner_text() == forbidden


def test_dark_mode_is_kept(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_test_id("nav-theme").click()  # light
    page.get_by_test_id("nav-theme").click()  # dark
    dark = page.evaluate(background)
    assert light != dark
    page.reload()
    assert page.evaluate(background) == dark
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    assert painted(page, "cpu_load") > 100  # in the colours of the dark theme
