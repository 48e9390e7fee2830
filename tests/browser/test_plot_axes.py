"""Axes of the plots of a job. Contract: spec/web-ui.md 5.1, 9.1, 9.7."""

from __future__ import annotations

import json
import re
import time

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site, samples


def row_of_axis(page: Page, plot: str) -> list[int]:
    """Where the topmost and the lowest pixel of the first series lie, in parts of a hundred of the plot."""
    found: list[int] = page.evaluate(
        """name => {
            const canvas = document.querySelector(`[data-testid=plot-${name}] canvas`);
            const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const style = getComputedStyle(document.documentElement);
            const colour = style.getPropertyValue('--mon-series-1').trim();
            const want = [1, 3, 5].map(place => parseInt(colour.slice(place, place + 2), 16));
            const rows = [];
            for (let at = 0; at < data.length; at += 4) {
                const near = want.every((value, channel) => Math.abs(value - data[at + channel]) < 12);
                if (near && data[at + 3] > 200) rows.push(Math.floor(at / 4 / canvas.width));
            }
            return [rows[0], rows.at(-1)].map(row => Math.round((row / canvas.height) * 100));
        }""",
        plot,
    )
    return found


def test_values_are_shown_in_powers_of_ten_or_fitted(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.gpu}")
    plot = page.get_by_test_id("plot-mem_used")  # 20 GB all the time, usual is 32 GB
    expect(plot.locator("[data-y='linear']")).to_have_count(1)
    linear = row_of_axis(page, "mem_used")
    page.get_by_test_id("y-scale").select_option("log")
    expect(plot.locator("[data-y='log']")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"[?&]y=log"))
    assert row_of_axis(page, "mem_used")[0] < linear[0] - 5  # nearer to the top than half-way
    page.reload()
    expect(page.get_by_test_id("y-scale")).to_have_value("log")
    page.get_by_test_id("y-scale").select_option("fit")
    expect(plot.locator("[data-y='fit']")).to_have_count(1)
    assert abs(row_of_axis(page, "mem_used")[0] - 45) < 12  # a level curve lies in the middle


def test_time_since_the_start_or_of_day(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}", timezone_id="UTC")
    area = page.get_by_test_id("plot-mem_used").locator(".u-over")
    tip = page.get_by_test_id("plot-mem_used").locator(".tip")
    area.hover(position={"x": 80, "y": 60})
    expect(tip).to_contain_text(re.compile(r"\d min"))
    page.get_by_test_id("time-axis").select_option("clock")
    area.hover(position={"x": 90, "y": 60})
    expect(tip).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"))
    expect(page).to_have_url(re.compile("time=clock"))


def test_a_dragged_zoom_reaches_the_address_once_it_rests(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    box = page.get_by_test_id("zoom-strip").bounding_box()
    assert box is not None
    page.evaluate(
        """() => {
            const replace = history.replaceState.bind(history);
            window.replaced = 0;
            history.replaceState = (...given) => { window.replaced += 1; replace(...given); };
        }"""
    )
    page.mouse.move(box["x"] + 20, box["y"] + 15)
    page.mouse.down()
    for step in range(40):
        page.mouse.move(box["x"] + 100 + 5 * step, box["y"] + 15)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    assert page.evaluate("() => window.replaced") < 10  # browsers refuse a hundred in half a minute


def test_strip_zooms_all_plots_by_mouse_and_keyboard(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    zoomed = page.locator("[data-xrange]:not([data-xrange=''])")
    page.get_by_role("slider", name="Start of the time shown").press("ArrowRight")
    expect(zoomed).to_have_count(3)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.get_by_role("slider", name="Start of the time shown").press("Home")
    expect(zoomed).to_have_count(0)
    box = page.get_by_test_id("zoom-strip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 15, steps=4)
    page.mouse.up()
    expect(zoomed).to_have_count(3)
    low, high = map(float, (zoomed.first.get_attribute("data-xrange") or "").split("-"))
    assert 1.8 < high / low < 2.2


def test_zoom_asks_for_points_in_between(open_page: OpenPage, site: Site) -> None:
    now = int(time.time())
    start = now - 14_400
    job = site.start(1500, ["n04"], startTime=start)
    site.write(samples("n04", start, now, {"cpu_load": 3.0, "mem_used": 20.0, "flops_any": 5.0}))
    page = open_page("root", "/monitoring/jobs/")
    asked: list[int] = []

    def note(body: str | None) -> None:
        query = json.loads(body or "{}")
        if "query JobMetrics" in query.get("query", "") and "cpu_load" in query["variables"]["metrics"]:
            asked.append(query["variables"]["resolution"])

    page.on("request", lambda request: note(request.post_data) if request.url.endswith("/query") else None)
    page.goto(f"{site.url}/monitoring/job/{job}")
    plot = page.get_by_test_id("plot-cpu_load").locator("[data-resolution]")
    expect(plot).to_have_attribute("data-resolution", "20")
    page.goto(f"{site.url}/monitoring/job/{job}?zoom=3000-3900")
    expect(plot).to_have_attribute("data-resolution", "10")
    expect(plot).to_have_attribute("data-xrange", "3000-3900")
    page.get_by_test_id("zoom-reset").click()
    expect(plot).to_have_attribute("data-resolution", "20")
    assert asked[0] == 20
    assert 10 in asked
    site.stop(1500)


def test_detail_and_node_of_a_plot_stand_in_the_address(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    plot = page.get_by_test_id("plot-flops_any")
    page.get_by_test_id("scope-flops_any").select_option(label="finer …")
    page.get_by_test_id("scope-flops_any").select_option("core")
    plot.get_by_label("Node").select_option("n02")
    expect(page).to_have_url(re.compile(r"scope\.flops_any=core"))
    expect(page).to_have_url(re.compile(r"host\.flops_any=n02"))
    page.reload()
    expect(plot).to_have_attribute("data-scope", "core")
    expect(plot.locator("[data-series='4']")).to_have_count(1)


def test_series_far_from_the_others_can_be_hidden(open_page: OpenPage, site: Site) -> None:
    now = int(time.time())
    start = now - 1500
    for host in ("g01", "g02", "n04"):
        site.write(
            [
                f"flops_any,hostname={host},type=hwthread,type-id={thread} "
                f"value={300 if (host, thread) == ('g02', 0) else 5} {moment}"
                for moment in range(start, now, 10)
                for thread in range(4)
            ]
        )
    job = site.start(1501, ["g01", "g02", "n04"], startTime=start)
    page = open_page("root", f"/monitoring/job/{job}")
    plot = page.get_by_test_id("plot-flops_any")
    page.get_by_test_id("scope-flops_any").select_option(label="finer …")
    page.get_by_test_id("scope-flops_any").select_option("core")
    expect(plot.locator("[data-series='12']")).to_have_count(1)
    expect(plot.get_by_text("clipped")).to_be_visible()  # 300 is more than ten times what a core can do
    page.get_by_test_id("hide-outliers").check()
    expect(plot.get_by_text("clipped")).to_have_count(0)
    plot.get_by_role("button", name="Show the 12 series").click()
    expect(plot.locator("li.hidden")).to_have_text(re.compile("g02"))
    site.stop(1501)
    # Other tests know it as the node that never sent anything.
    assert site.api.post(f"/api/free/?to={now + 1000}", json=[["small", "g02"]]).status_code == 200
