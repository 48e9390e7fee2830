"""Users, projects, one user, compare. Contract: spec/web-ui.md 6.3, 6.5, 6.6, 8, 10."""

from __future__ import annotations

import csv
import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.centre import FORMULA, ODD_PROJECT, ODD_USER, Centre
from tests.browser.conftest import OpenPage

GROUPS = """query($f: [JobFilter!]) {
    jobsStatistics(filter: $f, groupBy: USER) { id totalJobs totalCoreHours } }"""


def test_very_many_short_jobs_are_said(visit: OpenPage, centre: Centre) -> None:
    """The site's limit is 50; one is enough where it is none."""
    page = visit("root1", "/monitoring/user/alice")
    expect(page.get_by_test_id("total-jobs")).not_to_have_text("0")
    expect(page.locator("[data-hint=short-jobs]")).to_have_count(0)
    page.route(
        "**/monitoring/user/alice",
        lambda route: route.fulfill(
            response=(answer := route.fetch()),
            body=answer.text().replace('"shortJobStorm":50', '"shortJobStorm":0'),
        ),
    )
    page.reload()
    expect(page.locator("[data-hint=short-jobs]")).to_contain_text("in 24 hours")


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def names(page: Page, table: str) -> list[str]:
    return page.get_by_test_id(table).locator("tbody th").all_inner_texts()


def test_managers_see_managed_people_only(visit: OpenPage, centre: Centre) -> None:
    page = visit("manny", "/monitoring/users/")
    table = page.get_by_test_id("table-users")
    expect(table.locator("tbody th").first).to_have_text("alice")
    rows = {row["id"]: row for row in centre.query("manny", GROUPS, f=[])["jobsStatistics"]}
    assert set(names(page, "table-users")) == set(rows)
    assert "bob" not in rows
    page.goto(f"{centre.url}/monitoring/projects/")
    expect(page.get_by_test_id("table-projects").locator("tbody th")).to_have_text(["proj01"])


def test_diff_17_names_are_found_in_any_case_and_columns_sort(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/users/")
    table = page.get_by_test_id("table-users")
    expect(table.locator("tbody th").first).to_have_text("alice")
    rows = {row["id"]: row for row in centre.query("sue", GROUPS, f=[])["jobsStatistics"]}
    buttons = table.locator("thead button")
    for index in range(buttons.count()):
        head = table.locator("thead th").nth(index)
        buttons.nth(index).click()
        expect(head).to_have_attribute("aria-sort", re.compile("ascending|descending"))
        before = head.get_attribute("aria-sort")
        buttons.nth(index).click()
        expect(head).not_to_have_attribute("aria-sort", before or "")
    page.get_by_test_id("name-filter").fill("ALICE å")
    expect(page.get_by_test_id("name-filter")).to_have_value("ALICE å")
    page.get_by_test_id("name-filter").fill("  ÅNGSTRÖM ")
    expect(table.locator("tbody th")).to_have_text(["alice"])
    assert rows["alice"]["totalJobs"] == number(
        table.locator("tbody tr").first.locator("td").nth(1).inner_text()
    )
    page.get_by_test_id("name-filter").fill("nobody at all")
    expect(page.get_by_text("in the name.")).to_be_visible()  # diff-15: an empty list says empty


def test_tables_are_saved_as_filtered_and_without_formulas(visit: OpenPage) -> None:
    page = visit("sue", "/monitoring/users/")
    expect(page.get_by_test_id("table-users").locator("tbody th").first).to_have_text("alice")

    def rows() -> list[list[str]]:
        page.get_by_test_id("export-users").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        assert download.value.suggested_filename == "users.csv"
        with open(download.value.path(), encoding="utf-8", newline="") as text:
            return list(csv.reader(text))

    everybody = rows()
    first = [line[0] for line in everybody[1:]]
    assert ODD_USER in first
    assert FORMULA not in first  # a spreadsheet would run it
    assert f"'{FORMULA}" in first
    assert "[core h]" in ",".join(everybody[0])
    page.get_by_test_id("name-filter").fill("carl")
    expect(page.get_by_test_id("table-users").locator("tbody th")).to_have_text(["carl"])
    assert [line[0] for line in rows()[1:]] == ["carl"]
    page.get_by_test_id("name-filter").fill("=CMD")
    expect(page.get_by_test_id("table-users").locator("tbody th")).to_have_text([FORMULA])
    assert [line[0] for line in rows()[1:]] == [f"'{FORMULA}"]


# Heads of the table as read from left to right, with the field of the server that each stands for.
FIELDS = {
    "Total Jobs": "totalJobs", "Total Cores": "totalCores", "Total Accelerators": "totalAccs",
    "Short Jobs": "shortJobs", "Total Walltime": "totalWalltime", "Total Core Hours": "totalCoreHours",
    "Total Accelerator Hours": "totalAccHours",
}  # fmt: skip
SUMS = """query($f: [JobFilter!], $by: Aggregate!) { jobsStatistics(filter: $f, groupBy: $by) {
    id totalJobs totalCores totalAccs shortJobs totalWalltime totalCoreHours totalAccHours } }"""
WITHOUT_CORES = [name for name in FIELDS if name not in ("Total Cores", "Total Accelerators")]


@pytest.mark.parametrize("kind", ["users", "projects"])
@pytest.mark.parametrize("account", ["manny", "sue"])
def test_every_order_is_that_of_the_numbers_of_the_server(
    visit: OpenPage, centre: Centre, account: str, kind: str
) -> None:
    by = "USER" if kind == "users" else "PROJECT"
    rows = centre.query(account, SUMS, f=[{"cluster": {"eq": "alpha"}}], by=by)["jobsStatistics"]
    page = visit(account, f"/monitoring/{kind}/?cluster=alpha")
    table = page.get_by_test_id(f"table-{kind}")
    expect(table.locator("tbody th")).to_have_count(len(rows))
    heads = [text.split("\n")[0] for text in table.locator("thead button").all_inner_texts()]
    assert [head for head in heads if head in FIELDS] == WITHOUT_CORES
    for label in WITHOUT_CORES:
        field = FIELDS[label]
        head = table.locator("thead th").nth(heads.index(label))
        for direction in ("descending", "ascending"):
            if head.get_attribute("aria-sort") != direction:
                head.get_by_role("button").click()
            expect(head).to_have_attribute("aria-sort", direction)
            ordered = sorted(rows, key=lambda row: row[field], reverse=direction == "descending")
            expect(table.locator("tbody th")).to_have_text([row["id"] for row in ordered])
    name = table.locator("thead th").first
    name.get_by_role("button").click()
    expect(name).to_have_attribute("aria-sort", "ascending")
    order = "names => names.sort(new Intl.Collator(undefined, {numeric: true}).compare)"
    expect(table.locator("tbody th")).to_have_text(page.evaluate(order, [row["id"] for row in rows]))


@pytest.mark.parametrize("kind", ["users", "projects"])
@pytest.mark.parametrize("account", ["manny", "sue"])
def test_of_running_jobs_the_cores_in_use_are_listed(
    visit: OpenPage, centre: Centre, account: str, kind: str
) -> None:
    by = "USER" if kind == "users" else "PROJECT"
    filters = [{"state": ["running"]}]
    page = visit(account, f"/monitoring/{kind}/?state=running")
    table = page.get_by_test_id(f"table-{kind}")
    expect(table.locator("tbody th").first).to_be_visible()
    heads = [text.split("\n")[0] for text in table.locator("thead button").all_inner_texts()]
    assert [head for head in heads if head in FIELDS] == list(FIELDS)
    rows = {row["id"]: row for row in centre.query(account, SUMS, f=filters, by=by)["jobsStatistics"]}
    assert set(names(page, f"table-{kind}")) == set(rows)
    for line in table.locator("tbody tr").all():
        row = rows[line.locator("th").inner_text()]
        for label in ("Total Jobs", "Total Cores", "Total Accelerators"):
            shown = line.locator("th, td").nth(heads.index(label)).inner_text()
            assert number(shown) == row[FIELDS[label]], (row["id"], label)


def test_diff_02_odd_names_lead_to_their_jobs(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/projects/")
    page.get_by_test_id("table-projects").get_by_role("link", name=ODD_PROJECT).click()
    expect(page.get_by_test_id("filter-pill-project")).to_contain_text(ODD_PROJECT)
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    page.get_by_test_id("table-jobs").get_by_role("link", name="carl").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("carl")
    page.goto(f"{centre.url}/monitoring/users/")
    page.get_by_test_id("table-users").get_by_role("link", name=ODD_USER).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(ODD_USER)
    expect(page.get_by_test_id("total-jobs")).to_have_text("1")
    page.reload()
    expect(page.get_by_test_id("total-jobs")).to_have_text("1")
    expect(page.get_by_text("Müller & Söhne")).to_be_visible()


def test_diff_10_histograms_hold_every_job_at_every_width(visit: OpenPage, centre: Centre) -> None:
    asked: list[dict[str, Any]] = []
    page = visit("alice", "/monitoring/tags/")

    def note(request: Request) -> None:
        if "numDurationBins" in (request.post_data or ""):
            asked.append(json.loads(request.post_data or "{}")["variables"])

    page.on("request", note)
    page.goto(f"{centre.url}/monitoring/user/alice")
    total = centre.count("alice", [{"user": {"eq": "alice"}}])
    plot = page.get_by_test_id("plot-durations")
    expect(plot).to_have_attribute("data-sum", str(total))  # with the job of 60 hours in the open bar
    for width in ("1m", "12h"):
        with page.expect_request(lambda request: "numDurationBins" in (request.post_data or "")):
            page.get_by_test_id("duration-bins").select_option(width)
        expect(page).to_have_url(re.compile(f"bins={width}"))
        expect(plot).to_have_attribute("data-sum", str(total))
        assert width in str(asked[-1])
    for metric in ("cpu_load", "flops_any", "mem_bw"):
        expect(page.get_by_test_id(f"plot-histogram-{metric}")).to_have_attribute(
            "data-sum", re.compile(r"[1-9]\d*")
        )
    sums = [
        int(page.get_by_test_id(f"plot-histogram-{metric}").get_attribute("data-sum") or 0)
        for metric in ("cpu_load", "flops_any")
    ]
    assert total - 2 <= sums[0] <= total  # J1 has no averages yet, J4 none at all
    assert sums[0] == sums[1]
    with page.expect_response(lambda answer: "numDurationBins" in (answer.request.post_data or "")):
        page.get_by_test_id("refresh").click()  # diff-16: histograms as well
    expect(page.get_by_test_id("count")).to_contain_text(re.compile(r"jobs"))


def test_too_many_jobs_are_not_compared_and_the_reason_is_given(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?user=alice&userMatch=eq")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(r"^6\d\d jobs$"))
    compare = page.get_by_test_id("compare-toggle")
    expect(compare).to_be_disabled()
    expect(compare).to_have_attribute("title", re.compile("At most 500"))
    for job in (5001, 5002, 5003):
        page.get_by_label(f"Select job {job} for comparing").check()
    expect(compare).to_have_text("Compare 3 Jobs")
    compare.click()
    expect(page.get_by_test_id("table-compare").locator("tbody tr")).to_have_count(3)
