"""Nodes, status, logs, live list, time zones, and all without a mouse. Contract: spec/web-ui.md 10."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.centre import HOSTILE, Centre
from tests.browser.conftest import OpenPage, enter

VIEWS = [
    "/monitoring/jobs/",
    "/monitoring/users/",
    "/monitoring/projects/",
    "/monitoring/user/alice",
    "/monitoring/systems/alpha",
    "/monitoring/systems/list/alpha",
    "/monitoring/node/alpha/a31",
    "/monitoring/analysis/alpha",
    "/monitoring/status/detail/alpha",
    "/monitoring/status/alpha",
    "/monitoring/dashboard/alpha",
    "/monitoring/job/{J2}",
    "/monitoring/compare?sel={J1},{J2}",
]


@pytest.mark.parametrize("view", VIEWS)
def test_slow_answers_show_a_skeleton_and_back_returns(visit: OpenPage, centre: Centre, view: str) -> None:
    page = visit("root1", "/")
    view = view.format(**centre.jobs)
    held: list[Route] = []
    waits = True

    def hold(route: Route) -> None:
        if waits:
            held.append(route)
        else:
            route.continue_()

    page.route("**/query", hold)
    enter(page, view)
    expect(page.locator("[aria-busy=true]").first).to_be_visible()
    waits = False
    for route in held:
        route.continue_()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.go_back()
    expect(page).to_have_url(f"{centre.url}/")


def test_list_of_a_subcluster_counts_what_its_links_list(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/systems/list/alpha/gpu")
    expect(page.get_by_test_id("table-nodes").locator("tbody tr[data-testid^=node-row-]")).to_have_count(4)
    page.goto(f"{centre.url}/monitoring/systems/list/alpha/main?node=a31")
    expect(page.get_by_test_id("node-row-a31")).to_contain_text("5001")
    found = centre.count("root1", [{"node": {"eq": "a31"}, "state": ["running"]}])
    assert found == 1
    page.goto(f"{centre.url}/monitoring/node/alpha/a31")
    expect(page.get_by_test_id("node-jobs")).to_have_text("1 running job")
    titles = page.locator("[data-testid^=plot-][data-testid$=-a31]").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    assert titles == sorted(titles)
    assert {"cpu_load", "flops_any", "mem_bw", "mem_used"} <= set(titles)


def test_parts_of_the_status_ask_only_when_opened_and_are_kept(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/")
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.post_data or "") if "/query" in request.url else None
    )
    page.goto(f"{centre.url}/monitoring/status/detail/alpha")
    expect(page.get_by_test_id("panel-history")).to_have_attribute("data-state", "ready")
    assert not any("histMetrics" in body for body in asked)
    page.get_by_role("tab", name="Statistics").click()
    expect(page.get_by_test_id("panel-statistics")).not_to_have_attribute("data-state", "loading")
    assert any("histMetrics" in body for body in asked)
    page.get_by_role("tab", name="Cluster Usage").click()
    expect(page).to_have_url(re.compile("tab=usage"))
    page.reload()
    expect(page.get_by_role("tab", name="Cluster Usage")).to_have_attribute("aria-selected", "true")


def test_status_counts_the_jobs_that_run(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/status/alpha")
    running = centre.count("root1", [{"cluster": {"eq": "alpha"}, "state": ["running"]}])
    expect(page.get_by_test_id("running-jobs")).to_have_text(str(running))


def test_logs_ask_for_what_is_chosen_show_text_and_follow(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/")
    lines: list[dict[str, Any]] = [
        {"timestamp": str((centre.now + number) * 1_000_000), "priority": 4, "message": f"{HOSTILE} {number}"}
        for number in range(200)
    ]

    def answer(route: Route) -> None:
        route.fulfill(content_type="application/json", body=json.dumps(lines))

    page.route(re.compile("/frontend/logs/"), answer)
    page.goto(f"{centre.url}/monitoring/logs")
    region = page.get_by_role("region", name="Log entries")
    last = page.get_by_test_id("table-logs").locator("tbody tr").last
    expect(last).to_contain_text(f"{HOSTILE} 199")
    expect(last).to_be_in_viewport()
    for test_id, value in (("logs-since", "6h"), ("logs-level", "3"), ("logs-lines", "500")):
        page.get_by_test_id(test_id).select_option(value)
    lines.append({**lines[0], "message": "about a disk"})
    with page.expect_request(re.compile("search=disk")) as request:
        page.get_by_test_id("logs-search").fill("disk")
    for part in ("6+hours+ago|6%20hours%20ago", "level=3", "lines=500"):
        assert re.search(part.replace("+", r"\+"), request.value.url), request.value.url
    expect(last).to_contain_text("about a disk")  # until then an answer may still move the list
    region.evaluate("box => { box.scrollTop = 0; }")
    expect(page.get_by_text("do not move the list")).to_be_visible()
    lines.append({**lines[0], "message": "newest"})
    page.get_by_test_id("refresh").click()
    expect(last).to_contain_text("newest")
    assert region.evaluate("box => box.scrollTop") == 0


def test_list_follows_a_job_from_start_to_end(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?cluster=beta")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live")
    expect(page.locator("[data-testid^=job-row-]").first).to_be_visible()
    job = centre.start(7001, ["b1"], startTime=centre.now - 1900)  # others know J1 as the newest
    page.get_by_role("button", name=re.compile("1 new job")).click()
    row = page.get_by_test_id(f"job-row-{job}")
    expect(row).to_contain_text("running")
    tagged = row.get_by_label("Tags: proof: live")
    expect(tagged).to_have_count(0)
    tag = centre.api.post(
        f"/api/jobs/tag_job/{job}", json=[{"type": "proof", "name": "live", "scope": "global"}]
    )
    assert tag.status_code == 200, tag.text
    expect(tagged).to_be_visible()
    centre.stop(7001)
    expect(row).to_contain_text("completed")


def test_a_week_with_a_change_of_clocks_asks_for_the_same_moments(visit: OpenPage, centre: Centre) -> None:
    begin, end = 1_774_483_200, 1_775_088_000  # around 2026-03-29, when clocks change in Berlin
    asked = []
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        page = visit("root1", "/", timezone_id=zone)
        with page.expect_request(lambda request: "query Jobs" in (request.post_data or "")) as request:
            page.goto(f"{centre.url}/monitoring/jobs/?startTime={begin}-{end}")
        asked.append(request.value.post_data_json["variables"]["filter"])
    assert asked[0] == asked[1] == asked[2]


DRAWN = """
    window.drawn = [];
    const draw = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.drawn.push(text);
        return draw.call(this, text, ...rest);
    };
"""


@pytest.mark.parametrize("name", ["UTC", "Asia/Kolkata"])
def test_axis_table_and_input_are_in_the_zone_of_the_account(
    visit: OpenPage, centre: Centre, name: str
) -> None:
    zone = ZoneInfo(name)
    page = visit("sue", "/monitoring/tags/", timezone_id="America/New_York")
    form: dict[str, str | float | bool] = {"key": "ui_timezone", "value": json.dumps(name)}
    assert page.request.post(f"{centre.url}/frontend/configuration/", form=form).ok
    try:
        page.add_init_script(DRAWN)
        page.goto(f"{centre.url}/monitoring/node/alpha/a31")
        expect(page.get_by_test_id("plot-cpu_load-a31")).to_have_attribute("data-state", "ready")
        page.wait_for_function("() => window.drawn.some(text => /^\\d\\d:\\d\\d$/.test(text))")
        drawn: list[str] = page.evaluate("() => window.drawn.filter(text => /^\\d\\d:\\d\\d$/.test(text))")
        now = datetime.now(zone)
        possible = {(now - timedelta(minutes=ago)).strftime("%H:%M") for ago in range(5 * 60)}
        assert set(drawn) <= possible
        page.get_by_test_id("range").select_option("custom")
        typed = page.get_by_label("to", exact=True).input_value()
        assert abs(datetime.fromisoformat(typed).replace(tzinfo=zone) - now) < timedelta(minutes=10)
        page.goto(f"{centre.url}/monitoring/jobs/?jobId=5002&density=compact")
        rows = centre.query("sue", '{ jobs(filter: [{jobId: {eq: "5002"}}]) { items { startTime } } }')
        started = datetime.fromisoformat(rows["jobs"]["items"][0]["startTime"]).astimezone(zone)
        row = page.get_by_test_id(f"job-row-{centre.jobs['J2']}")
        expect(row.locator(".started")).to_contain_text(started.strftime("%Y-%m-%d %H:%M"))
        expect(page.get_by_test_id("nav-zone")).to_contain_text(name.rpartition("/")[2])
    finally:
        form["value"] = json.dumps("browser")
        page.request.post(f"{centre.url}/frontend/configuration/", form=form)


def focus_is_visible(page: Page) -> bool:
    return bool(
        page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const box = document.activeElement.getBoundingClientRect();
                return box.width > 0 && (style.outlineStyle !== 'none' || style.boxShadow !== 'none');
            }"""
        )
    )


def tab_to(page: Page, selector: str) -> None:
    """With the Tab key alone; every stop on the way shows that it has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        # Behind the last stop comes the browser itself, then the first one again.
        at_the_end = page.evaluate("document.activeElement === document.body")
        assert at_the_end or focus_is_visible(page), page.evaluate(
            "document.activeElement.outerHTML.slice(0, 300)"
        )
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"{selector} is not reached")


def test_a_job_is_found_read_and_left_without_a_mouse(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/")
    expect(page.locator("[data-testid^=job-row-]").first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("5002")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("jobId=5002"))
    job = centre.jobs["J2"]
    expect(page.get_by_test_id(f"job-row-{job}")).to_be_visible()
    tab_to(page, f"a[href='/monitoring/job/{job}']")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    tab_to(page, "[data-testid=tags-manage]")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    tab_to(page, "[data-testid=plot-cpu_load] [role=application]")
    page.keyboard.press("+")
    expect(page.locator("[data-xrange]:not([data-xrange=''])").first).to_be_attached()
    page.keyboard.press("0")
    expect(page.locator("[data-xrange]:not([data-xrange=''])")).to_have_count(0)
    page.go_back()
    expect(page.get_by_test_id(f"job-row-{job}")).to_be_visible()
