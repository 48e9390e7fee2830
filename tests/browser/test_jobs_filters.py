"""Filters, order, columns and pages of the jobs list. Contract: spec/web-ui.md 4.1 to 4.3, 6.2, 10."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Page, Request, Response, expect

from tests.browser.centre import HOSTILE, ODD_PROJECT, ODD_USER, Centre
from tests.browser.conftest import OpenPage, enter


def go(page: Page, query: str) -> None:
    """Changes the query string as Back and Forward do, without loading the page again."""
    enter(page, urlsplit(page.url).path + (f"?{query}" if query else ""))


def says(number: int) -> re.Pattern[str]:
    grouped = f"{number:,}".replace(",", r"\s?")
    return re.compile(f"^{grouped} jobs?$")


def listed(page: Page) -> list[str]:
    return page.locator("[data-testid^=job-row-] .id").all_inner_texts()


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def cases(centre: Centre) -> list[tuple[list[tuple[str, str]], list[dict[str, Any]]]]:
    """Query strings, and what they ask the server for."""
    week = centre.now - 7 * 86400
    return [
        ([("cluster", "beta")], [{"cluster": {"eq": "beta"}}]),
        (
            [("cluster", "alpha"), ("subCluster", "gpu")],
            [{"cluster": {"eq": "alpha"}}, {"subCluster": {"eq": "gpu"}}],
        ),
        ([("state", "failed"), ("state", "timeout")], [{"state": ["failed", "timeout"]}]),
        ([("shared", "multi_user")], [{"shared": "multi_user"}]),
        ([("startTime", "last7d")], [{"startTime": {"range": "last7d"}}]),
        ([("startTime", f"0-{week}")], [{"startTime": {"to": iso(week)}}]),
        ([("startTime", f"{week}-0")], [{"startTime": {"from": iso(week)}}]),
        ([("duration", "lessthan-300")], [{"duration": {"from": 0, "to": 300}}]),
        ([("duration", "600-900")], [{"duration": {"from": 600, "to": 900}}]),
        ([("numNodes", "2-8")], [{"numNodes": {"from": 2, "to": 8}}]),
        ([("numHWThreads", "morethan-16")], [{"numHWThreads": {"from": 16, "to": 0}}]),
        ([("numAccelerators", "4-4")], [{"numAccelerators": {"from": 4, "to": 4}}]),
        ([("user", "lic")], [{"user": {"contains": "lic"}}]),
        ([("user", ODD_USER), ("userMatch", "eq")], [{"user": {"eq": ODD_USER}}]),
        ([("user", "bob"), ("user", "carl")], [{"user": {"in": ["bob", "carl"]}}]),
        ([("project", "oj0"), ("projectMatch", "contains")], [{"project": {"contains": "oj0"}}]),
        ([("project", ODD_PROJECT), ("projectMatch", "eq")], [{"project": {"eq": ODD_PROJECT}}]),
        ([("jobName", "run-1000")], [{"jobName": {"contains": "run-1000"}}]),
        ([("jobId", "5002"), ("jobId", "5006")], [{"jobId": {"in": ["5002", "5006"]}}]),
        ([("jobId", "509"), ("jobIdMatch", "contains")], [{"jobId": {"contains": "509"}}]),
        ([("arrayJobId", "5090")], [{"arrayJobId": 5090}]),
        ([("node", "a1")], [{"node": {"eq": "a1"}}]),
        ([("node", "a1"), ("nodeMatch", "contains")], [{"node": {"contains": "a1"}}]),
        ([("energy", "lessthan-0.15")], [{"energy": {"from": 0, "to": 0.15}}]),
        (
            [("stat", "flops_any_avg-100.5-120")],
            [{"metricStats": [{"metricName": "flops_any_avg", "range": {"from": 100.5, "to": 120}}]}],
        ),
        ([("tag", str(centre.tags["hostile"]))], [{"tags": [str(centre.tags["hostile"])]}]),
    ]  # fmt: skip


def test_each_filter_of_the_address_asks_for_exactly_that(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/")
    everything = centre.count("root1", [])
    expect(page.get_by_test_id("count")).to_have_text(says(everything))
    for pairs, filters in cases(centre):
        expected = centre.count("root1", filters)
        assert 0 < expected < everything, pairs
        query = urlencode(pairs)
        go(page, query)
        expect(page.get_by_test_id("count"), query).to_have_text(says(expected))
        shown = page.locator("[data-testid^=filter-pill-]")
        names = {key for key, _ in pairs if not key.endswith("Match")}
        assert {item.get_attribute("data-testid") for item in shown.all()} == {
            f"filter-pill-{key}" for key in names
        }
        assert page.url.endswith(query), page.url


def test_diff_01_02_03_a_full_address_survives_a_reload(visit: OpenPage, centre: Centre) -> None:
    pairs = [
        ("cluster", "alpha"), ("state", "completed"), ("state", "failed"), ("project", ODD_PROJECT[:5]),
        ("projectMatch", "contains"), ("user", "ca"), ("userMatch", "contains"), ("jobId", "100"),
        ("jobIdMatch", "contains"), ("node", "a"), ("nodeMatch", "contains"), ("energy", "0.001-99.5"),
        ("stat", "flops_any_avg-0.5-1000.25"), ("startTime", f"{centre.now - 90 * 86400}-0"),
        ("duration", "lessthan-900000"), ("numNodes", "1-2"), ("numHWThreads", "morethan-1"),
        ("jobName", "run"), ("other", "kept & left"),
    ]  # fmt: skip
    asked: list[Any] = []

    def note(request: Request) -> None:
        if "hasNextPage" in (request.post_data or ""):  # the list itself
            asked.append(json.loads(request.post_data or "{}")["variables"])

    page = visit("root1", "/monitoring/tags/")
    page.on("request", note)
    address = f"{centre.url}/monitoring/jobs/?{urlencode(pairs)}"
    page.goto(address)
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    for _ in range(2):
        merged: dict[str, Any] = {}
        for one in asked[0]["filter"]:
            merged |= one
        assert merged["project"] == {"contains": ODD_PROJECT[:5]}
        assert merged["user"] == {"contains": "ca"}
        assert merged["jobId"] == {"contains": "100"}
        assert merged["node"] == {"contains": "a"}
        assert merged["energy"] == {"from": 0.001, "to": 99.5}
        assert merged["metricStats"][0]["range"] == {"from": 0.5, "to": 1000.25}
        assert list(merged["startTime"]) == ["from"]
        assert merged["duration"] == {"from": 0, "to": 900000}
        assert page.url == address
        expect(page.locator("[data-testid^=filter-pill-]")).to_have_count(13)
        asked.clear()
        page.reload()
        expect(page.get_by_test_id("count")).to_have_text("1 job")


def test_senseless_filters_are_named_and_left_out(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?numNodes=many&state=asleep&cluster=beta&startTime=soon")
    expect(page.get_by_test_id("count")).to_have_text(
        says(centre.count("root1", [{"cluster": {"eq": "beta"}}]))
    )
    notice = page.get_by_role("status").filter(has_text="makes no sense")
    for key in ("numNodes", "state", "startTime"):
        expect(notice).to_contain_text(key)
    notice.get_by_role("button").click()
    expect(page).to_have_url(re.compile(r"\?cluster=beta$"))


def test_filters_are_removed_one_by_one_and_all_at_once(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?cluster=beta&duration=morethan-3600")
    wanted: list[dict[str, Any]] = [{"cluster": {"eq": "beta"}}, {"duration": {"from": 3600, "to": 0}}]
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", wanted)))
    page.get_by_test_id("filter-pill-duration").get_by_role("button", name="Remove").click()
    expect(page.get_by_test_id("filter-pill-duration")).to_have_count(0)
    expect(page.locator(":focus")).to_have_count(1)  # not lost with the filter
    page.go_back()  # diff-05: undoes the last change
    expect(page.get_by_test_id("filter-pill-duration")).to_be_visible()
    page.get_by_test_id("filters-clear").click()
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [])))


def test_diff_04_partition_and_subcluster_are_told_apart(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?cluster=alpha&partition=main")
    expect(page.get_by_test_id("count")).to_have_text("0 jobs")  # `main` is a subcluster, no partition
    expect(page.get_by_text("No jobs found")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [])))
    go(page, "subCluster=gpu&cluster=alpha")  # by name, whatever the order
    expect(page.get_by_test_id(f"job-row-{centre.jobs['J6']}")).to_be_visible()


def test_diff_05_order_is_that_of_the_server_and_in_the_address(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?cluster=alpha")
    expect(page.locator("[data-testid^=job-row-]").first).to_be_visible()
    text = """query($f: [JobFilter!], $o: OrderByInput) {
        jobs(filter: $f, order: $o, page: {page: 1, itemsPerPage: 10}) { items { jobId } } }"""
    for field, kind, up in (
        ("flops_any_avg", "foot", False),
        ("energy", "col", True),
        ("numNodes", "col", False),
    ):
        order = {"field": field, "type": kind, "order": "ASC" if up else "DESC"}
        answer = centre.query("root1", text, f=[{"cluster": {"eq": "alpha"}}], o=order)
        wanted = [str(row["jobId"]) for row in answer["jobs"]["items"]]
        page.get_by_test_id("sort-open").click()
        row = page.get_by_test_id(f"sort-row-{field}")
        row.get_by_label("ascending" if up else "descending").check()
        page.get_by_test_id("apply").click()
        expect(page).to_have_url(re.compile(f"sort={field}(:|%3A){'asc' if up else 'desc'}"))
        expect(page.locator("[data-testid^=job-row-] .id").first).to_have_text(wanted[0])
        page.wait_for_function(
            "wanted => [...document.querySelectorAll('[data-testid^=job-row-] .id')].slice(0, 10)"
            ".map(one => one.textContent).join() === wanted.join()",
            arg=wanted,
        )
    page.go_back()
    expect(page).to_have_url(re.compile("sort=energy"))


SORTS = [
    "Start Time (Default)", "Duration", "Number of Nodes", "Number of HWThreads", "Number of Accelerators",
    "Total Energy", "acc_utilization (avg)", "cpu_load (avg)", "flops_any (avg)", "mem_bw (avg)",
    "mem_used (avg)",
]  # fmt: skip


def test_the_order_is_chosen_by_keyboard_left_and_reset(visit: OpenPage) -> None:
    page = visit("root1", "/monitoring/jobs/?page=1")
    expect(page.locator("[data-testid^=job-row-]").first).to_be_visible()
    opener, dialog = page.get_by_test_id("sort-open"), page.get_by_test_id("sort-modal")
    expect(opener).to_have_text("Sorting")
    page.keyboard.press("s")
    expect(dialog.locator(".name")).to_have_text(SORTS)
    chosen = dialog.get_by_label("Start Time (Default), descending")
    expect(chosen).to_be_checked()
    chosen.focus()
    page.keyboard.press("ArrowDown")  # the next of all arrows
    expect(dialog.get_by_label("Duration, ascending")).to_be_checked()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    expect(page).not_to_have_url(re.compile("sort="))
    page.keyboard.press("Enter")
    dialog.get_by_label("mem_bw (avg), ascending").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?sort=mem_bw_avg(:|%3A)asc$"))
    expect(opener).to_have_text(re.compile(r"Sorting\s*mem_bw \(avg\), rising"))
    expect(page.get_by_role("columnheader", name="mem_bw")).to_have_attribute("aria-sort", "ascending")
    opener.click()
    dialog.get_by_role("button", name="Reset").click()
    expect(page).to_have_url(re.compile(r"/monitoring/jobs/$"))


def columns(page: Page) -> list[str]:
    return [text.split("\n")[0].strip() for text in page.locator("th.metric").all_inner_texts()]


def saves_columns(request: Request, *names: str) -> bool:
    data = request.post_data or ""
    return "updateConfiguration" in data and json.loads(json.loads(data)["variables"]["value"]) == [*names]


def test_diff_18_columns_are_picked_and_moved_by_keyboard_and_kept(visit: OpenPage) -> None:
    page = visit(ODD_USER, "/monitoring/jobs/")
    expect(page.locator("th.metric")).to_have_count(4)
    assert columns(page) == ["cpu_load", "flops_any", "mem_bw", "mem_used"]
    page.get_by_test_id("metrics-open").click()
    expect(page.get_by_test_id("metric-row-cpu_power")).to_have_count(0)  # not for users
    page.get_by_test_id("metric-row-flops_any").get_by_role("checkbox").uncheck()
    expect(page.locator("th.metric")).to_have_count(3)
    box = page.get_by_test_id("metric-row-mem_used").get_by_role("checkbox")
    box.focus()
    with page.expect_response(lambda answer: saves_columns(answer.request, "cpu_load", "mem_used", "mem_bw")):
        page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("th.metric").nth(1)).to_contain_text("mem_used")
    expect(box).to_be_focused()
    expect(page).to_have_url(re.compile("metrics=cpu_load(,|%2C)mem_used(,|%2C)mem_bw"))
    page.reload()
    expect(page.locator("th.metric").nth(1)).to_contain_text("mem_used")
    elsewhere = visit(ODD_USER, "/monitoring/jobs/")
    expect(elsewhere.locator("th.metric").nth(1)).to_contain_text("mem_used")
    assert columns(elsewhere) == ["cpu_load", "mem_used", "mem_bw"]


def test_columns_are_moved_by_dragging(visit: OpenPage) -> None:
    page = visit("manny", "/monitoring/jobs/?density=compact&metrics=cpu_load,flops_any,mem_bw")
    expect(page.locator("th.metric")).to_have_count(3)
    page.get_by_test_id("metrics-open").click()
    last, first = (page.get_by_test_id(f"metric-row-{name}") for name in ("mem_bw", "cpu_load"))
    with page.expect_response(
        lambda answer: saves_columns(answer.request, "mem_bw", "cpu_load", "flops_any")
    ):
        last.drag_to(first)
    expect(page.locator("th.metric").first).to_contain_text("mem_bw")
    assert columns(page) == ["mem_bw", "cpu_load", "flops_any"]
    expect(page).to_have_url(re.compile("metrics=mem_bw(,|%2C)cpu_load(,|%2C)flops_any"))
    page.reload()
    expect(page.locator("th.metric").first).to_contain_text("mem_bw")
    elsewhere = visit("manny", "/monitoring/jobs/?density=compact")
    expect(elsewhere.locator("th.metric").first).to_contain_text("mem_bw")
    assert columns(elsewhere) == ["mem_bw", "cpu_load", "flops_any"]
    elsewhere.get_by_test_id("metrics-open").click()
    with elsewhere.expect_response(saves_setting("metricConfig_jobListMetrics", "null")):
        elsewhere.get_by_test_id("metrics-reset").click()
    expect(elsewhere.locator("th.metric").first).to_contain_text("cpu_load")
    assert columns(elsewhere)[:4] == ["cpu_load", "flops_any", "mem_bw", "mem_used"]


def saves_setting(name: str, value: str) -> Callable[[Response], bool]:
    def is_that(answer: Response) -> bool:
        data = answer.request.post_data or ""
        return "updateConfiguration" in data and json.loads(data)["variables"] == {
            "name": name,
            "value": value,
        }

    return is_that


def test_columns_are_kept_for_the_cluster_and_subcluster_of_the_list(visit: OpenPage) -> None:
    page = visit("manny", "/monitoring/jobs/?density=compact&cluster=alpha&subCluster=gpu")
    expect(page.locator("th.metric").last).to_contain_text("acc_utilization")
    page.get_by_test_id("metrics-open").click()
    accelerators, load = (
        page.get_by_test_id(f"metric-row-{name}") for name in ("acc_utilization", "cpu_load")
    )
    expect(accelerators.locator(".where")).to_have_text("gpu")
    expect(load.locator(".where")).to_have_text("main, gpu")
    for name in ("flops_any", "mem_bw", "mem_used"):
        page.get_by_test_id(f"metric-row-{name}").get_by_role("checkbox").uncheck()
    key = "metricConfig_jobListMetrics:alpha:gpu"
    with page.expect_response(saves_setting(key, '["acc_utilization","cpu_load"]')):
        accelerators.get_by_role("button", name="Move acc_utilization up").click()
    elsewhere = visit("manny", "/monitoring/jobs/?density=compact&cluster=alpha&subCluster=gpu")
    expect(elsewhere.locator("th.metric").first).to_contain_text("acc_utilization")
    assert columns(elsewhere) == ["acc_utilization", "cpu_load"]
    go(elsewhere, "density=compact&cluster=alpha")
    expect(elsewhere.locator("th.metric").first).to_contain_text("cpu_load")
    assert columns(elsewhere)[:4] == ["cpu_load", "flops_any", "mem_bw", "mem_used"]
    elsewhere.get_by_test_id("metrics-open").click()
    expect(elsewhere.get_by_test_id("metric-row-cpu_load").locator(".where")).to_have_text("main, gpu")
    go(elsewhere, "density=compact")
    expect(elsewhere.get_by_test_id("metric-row-cpu_load").locator(".where")).to_have_text("alpha, beta")
    with page.expect_response(saves_setting(key, "null")):
        page.get_by_test_id("metrics-reset").click()
    expect(page.locator("th.metric")).to_have_count(5)


def test_a_list_without_any_metric_says_so(visit: OpenPage, centre: Centre) -> None:
    page = visit("manny", "/monitoring/jobs/?cluster=beta&metrics=cpu_load")
    row = page.locator("[data-testid^=job-row-]").first
    expect(row.locator("[data-metric=cpu_load]")).to_be_visible()
    page.get_by_test_id("metrics-open").click()
    page.get_by_test_id("metric-row-cpu_load").get_by_role("checkbox").uncheck()
    expect(row.locator("[data-card=unchosen]")).to_have_text("No metrics selected")
    expect(page).to_have_url(re.compile("metrics=none"))
    page.reload()
    expect(row.locator("[data-card=unchosen]")).to_be_visible()
    expect(page.locator("th.metric")).to_have_text(["Metrics"])
    go(page, "cluster=beta")  # kept as well
    expect(row.locator("[data-card=unchosen]")).to_be_visible()
    page.get_by_test_id("metrics-open").click()
    page.get_by_test_id("metrics-reset").click()
    expect(row.locator("[data-metric=cpu_load]")).to_be_visible()


def test_diff_07_continuous_scroll_shows_each_job_once(visit: OpenPage, centre: Centre) -> None:
    filters: list[dict[str, Any]] = [{"cluster": {"eq": "beta"}}, {"state": ["failed"]}]
    total = centre.count("root1", filters)
    assert total > 50
    pages: list[int] = []

    def note(request: Request) -> None:
        if "hasNextPage" in (request.post_data or ""):
            pages.append(json.loads(request.post_data or "{}")["variables"]["page"]["page"])

    page = visit("root1", "/monitoring/tags/")
    page.on("request", note)
    page.goto(f"{centre.url}/monitoring/jobs/?cluster=beta&state=failed")
    every = page.get_by_text("That is all.")
    for _ in range(600):  # each page takes as long as it takes
        if every.is_visible():
            break
        page.keyboard.press("End")
        page.wait_for_timeout(100)
    expect(every).to_be_visible()
    rows = listed(page)
    assert len(rows) == len(set(rows)) == total
    assert pages == list(range(1, -(-total // 10) + 1))
    page.get_by_test_id("refresh").click()
    expect(page.locator("[data-testid^=job-row-]")).to_have_count(total)  # what was loaded stays
    page.keyboard.press("Home")
    page.keyboard.press("End")
    expect(page.locator("[data-testid^=job-row-]").last).to_have_attribute("data-state", "ready")
    assert pages.count(2) == pages.count(3) == 1


def test_paging_instead_of_scrolling(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/tags/")
    form: dict[str, str | float | bool] = {"key": "jobList_usePaging", "value": "true"}
    assert page.request.post(f"{centre.url}/frontend/configuration/", form=form).ok
    try:
        page.goto(f"{centre.url}/monitoring/jobs/?cluster=beta&state=failed&perPage=10")
        total = centre.count("sue", [{"cluster": {"eq": "beta"}}, {"state": ["failed"]}])
        expect(page.get_by_text(f"1\N{EN DASH}10 of {total}")).to_be_visible()
        before = listed(page)[0]
        page.get_by_role("button", name="Next page").click()
        expect(page.locator("[data-testid^=job-row-] .id").first).not_to_have_text(before)
        expect(page.get_by_text(f"11\N{EN DASH}20 of {total}")).to_be_visible()
        expect(page).to_have_url(re.compile("page=2"))
        first = listed(page)[0]
        page.reload()
        expect(page.locator("[data-testid^=job-row-] .id").first).to_have_text(first)
        page.get_by_role("button", name="First page").click()
        expect(page.locator("[data-testid^=job-row-] .id").first).to_have_text(before)
    finally:
        form["value"] = "false"
        page.request.post(f"{centre.url}/frontend/configuration/", form=form)


def test_each_size_of_a_page_shows_each_job_once(visit: OpenPage, centre: Centre) -> None:
    form: dict[str, str | float | bool] = {"key": "jobList_usePaging", "value": "true"}
    page = visit("sue", "/monitoring/tags/")
    assert page.request.post(f"{centre.url}/frontend/configuration/", form=form).ok
    total = centre.count("sue", [{"cluster": {"eq": "beta"}}, {"state": ["failed"]}])
    assert total > 50
    try:
        page.goto(f"{centre.url}/monitoring/jobs/?cluster=beta&state=failed")
        following = page.get_by_role("button", name="Next page")
        for size in (50, 25, 10):
            page.get_by_label("Rows").select_option(str(size))  # from the last page of another size
            seen: list[str] = []
            for first in range(1, total + 1, size):
                last = min(first + size - 1, total)
                expect(page.get_by_text(f"{first}\N{EN DASH}{last} of {total}")).to_be_visible()
                expect(page.locator("[data-testid^=job-row-]")).to_have_count(last - first + 1)
                seen += listed(page)
                if last < total:
                    following.click()
            expect(following).to_be_disabled()
            assert len(set(seen)) == len(seen) == total
    finally:
        form["value"] = "null"
        page.request.post(f"{centre.url}/frontend/configuration/", form=form)


def test_rows_of_jobs_with_trouble_say_which(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/")
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [])))
    first = listed(page)
    assert first[0] == "5001"  # newest first
    ids = {name: page.get_by_test_id(f"job-row-{number}") for name, number in centre.jobs.items()}
    expect(ids["J4"]).to_contain_text("Not monitored")
    expect(ids["J5"].locator("[data-metric=mem_bw]")).to_have_text("no data")
    expect(ids["J5"].locator("[data-metric=cpu_load] path").first).to_be_attached()
    expect(ids["J7"]).to_contain_text(HOSTILE)
    expect(ids["J1"]).to_contain_text("running")
    for name in ("J1", "J2", "J3", "J6", "J8"):
        expect(ids[name]).to_have_attribute("data-state", "ready")
    expect(ids["J3"]).to_contain_text("shared")
    expect(ids["J6"].locator("[data-hint]")).to_have_attribute("data-hint", "idle-gpu")
    assert page.locator("img[src=x]").count() == 0


def test_diff_24_only_running_rows_are_asked_for_again(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    page.route("**/frontend/events*", lambda route: route.abort("connectionrefused"))
    page.clock.install()
    page.goto(f"{centre.url}/monitoring/jobs/")
    running, finished = (page.get_by_test_id(f"job-row-{centre.jobs[name]}") for name in ("J1", "J2"))
    for row in (running, finished):
        expect(row.locator("path").first).to_be_attached()
    page.get_by_role("button", name="Show the plots of job 5002").click()
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-state", "ready")
    asked: list[int] = []

    def note(request: Request) -> None:
        if "jobMetrics" in (request.post_data or ""):
            variables = json.loads(request.post_data or "{}")["variables"]
            asked.extend(int(value) for name, value in variables.items() if name.endswith("id"))

    page.on("request", note)
    page.clock.run_for(61_000)
    for _ in range(100):
        if asked:
            break
        page.wait_for_timeout(100)
    expect(plot.locator("canvas")).to_be_visible()  # the opened row stays open
    assert set(asked) == {centre.jobs["J1"]}


def test_the_refresher_asks_for_running_jobs_and_keeps_zoom_and_place(
    visit: OpenPage, centre: Centre
) -> None:
    page = visit("root1", "/monitoring/tags/")
    page.clock.install()
    page.goto(f"{centre.url}/monitoring/jobs/?jobId=5001&jobId=5002&density=plots")
    running, finished = (page.get_by_test_id(f"job-row-{centre.jobs[name]}") for name in ("J1", "J2"))
    expect(running).to_have_attribute("data-state", "ready")
    page.get_by_test_id("refresher").select_option("30 Seconds")
    plot = page.get_by_test_id("plot-cpu_load").first
    over = plot.locator(".u-over")
    expect(over).to_be_visible()
    finished.scroll_into_view_if_needed()
    expect(page.get_by_test_id("plot-cpu_load")).to_have_count(2)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 90, steps=5)
    page.mouse.up()
    drawn = plot.get_by_role("figure")
    expect(drawn).to_have_attribute("data-xrange", re.compile(r"\d+-\d+"))
    expect(page.locator("[aria-busy=true], .progress-line")).to_have_count(0)
    page.mouse.wheel(0, 120)
    page.wait_for_function("scrollY > 0")
    before = (drawn.get_attribute("data-xrange"), page.evaluate("scrollY"))
    asked: list[tuple[str, int]] = []

    def note(request: Request) -> None:
        text = request.post_data or ""
        if "jobMetrics" in text:
            variables = json.loads(text)["variables"]
            rows = [int(value) for name, value in variables.items() if name == "id" or name.endswith("_id")]
            asked.extend(("row" if "query Rows(" in text else "plots", job) for job in rows)

    page.on("request", note)
    with page.expect_response(lambda answer: "query Jobs(" in (answer.request.post_data or "")):
        page.clock.run_for(30_500)
    expect(page.locator("[aria-busy=true], .progress-line")).to_have_count(0)
    expect(running).to_have_attribute("data-state", "ready")
    assert {job for _, job in asked} == {centre.jobs["J1"]}
    assert {kind for kind, _ in asked} == {"row", "plots"}
    assert (drawn.get_attribute("data-xrange"), page.evaluate("scrollY")) == before


def test_the_ten_newest_jobs_come_first_with_their_plots(visit: OpenPage, centre: Centre) -> None:
    """What a site shows that configures nothing."""
    page = visit("root1", "/monitoring/jobs/?density=plots")
    rows = page.locator("[data-testid^=job-row-]")
    expect(rows).to_have_count(10)
    newest = centre.query(
        "root1",
        """{ jobs(order: {field: "startTime", type: "col", order: DESC}, page: {page: 1, itemsPerPage: 10})
             { items { id } count } }""",
    )["jobs"]
    identifiers = [row.get_attribute("data-testid") or "" for row in rows.all()]
    assert identifiers == [f"job-row-{item['id']}" for item in newest["items"]]
    expect(page.get_by_test_id("count")).to_have_text(says(newest["count"]))
    expect(page.locator("[data-testid=plot-cpu_load][data-state=ready]").first).to_be_visible()


def test_a_row_that_is_open_has_the_facts_of_the_job(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?arrayJobId=5090&density=plots")
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [{"arrayJobId": 5090}])))
    facts = page.locator("tr.detail .facts").first
    expect(facts).to_contain_text("partition batch")
    link = facts.get_by_role("link", name="Array Job #5090")
    expect(link).to_have_attribute("href", re.compile(r"\?arrayJobId=5090&cluster=\w+$"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    facts.get_by_role("button", name="Copy job id").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == listed(page)[0]
