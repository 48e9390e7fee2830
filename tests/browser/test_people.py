"""Users, projects, one user, analysis, compare. Contract: spec/web-ui.md 6.3, 6.5, 6.6, 6.8."""

from __future__ import annotations

import csv
import json
import re
import time

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_users_sort_filter_and_export(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/users/")
    table = page.get_by_test_id("table-users")
    expect(table.locator("tbody th").first).to_have_text("ute")  # most jobs first
    table.get_by_role("button", name="Username").click()
    expect(table.locator("tbody th").first).to_have_text("max")
    page.get_by_test_id("export-users").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    with open(download.value.path(), encoding="utf-8", newline="") as text:
        lines = list(csv.reader(text))
    assert [line[0] for line in lines] == ["Username", "max", "ute"]
    assert "Total Core Hours [core h]" in lines[0]
    page.get_by_test_id("name-filter").fill("UT")
    expect(table.locator("tbody th")).to_have_text(["ute"])


def test_users_have_an_efficiency(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/users/")
    table = page.get_by_test_id("table-users")
    head = table.get_by_role("columnheader", name="Efficiency")
    expect(head).to_be_visible()
    table.get_by_role("button", name="Efficiency").click()
    expect(head).to_have_attribute("aria-sort", "descending")


def test_calendar_holds_the_core_hours_of_the_jobs(open_page: OpenPage, site: Site) -> None:
    start = int(time.time()) - 3 * 86400
    site.start(1041, ["n04"], startTime=start, user="old", project="old")
    site.stop(1041)
    page = open_page("root", "/monitoring/user/old?tz=UTC", timezone_id="UTC")
    calendar = page.get_by_test_id("plot-calendar")
    expect(calendar).to_have_attribute("data-hours", "288")  # 4 cores for three days
    days = calendar.locator("rect title", has_text=re.compile(r"(^|[^.\d])96 core h"))
    expect(days).to_have_count(2)  # between the first and the last
    expect(page.get_by_test_id("total-jobs")).to_have_text("1")


def test_cores_appear_for_running_jobs_only(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/projects/?state=running")
    table = page.get_by_test_id("table-projects")
    expect(table.get_by_role("columnheader", name="Cores")).to_be_visible()
    page.goto(page.url.replace("?state=running", ""))
    expect(table.locator("tbody th").first).to_be_visible()
    expect(table.get_by_role("columnheader", name="Cores")).to_have_count(0)


def test_histogram_of_a_user_holds_all_jobs(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/user/ute")
    total = page.get_by_test_id("total-jobs")
    expect(total).to_have_text(re.compile(r"\d+"))
    jobs = total.inner_text()
    expect(page.get_by_test_id("plot-durations")).to_have_attribute("data-sum", jobs)
    expect(page.get_by_test_id("plot-sizes")).to_have_attribute("data-sum", jobs)
    expect(page.get_by_test_id("count")).to_contain_text(f"{jobs} job")


def test_a_bar_lists_its_jobs(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/user/ute")
    page.get_by_test_id("plot-sizes").get_by_role("link").last.click()
    expect(page).to_have_url(re.compile("numNodes="))
    expect(page.get_by_test_id("filter-pill-numNodes")).to_be_visible()


def test_other_users_are_not_there(open_page: OpenPage, site: Site) -> None:
    page = open_page("ute", "/")
    assert page.request.get(f"{site.url}/monitoring/user/max").status == 404


def test_analysis_shares_and_histograms(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/analysis/small")
    expect(page.get_by_test_id("plot-top")).to_contain_text("ute")
    page.get_by_test_id("top-entity").select_option("project")
    expect(page.get_by_test_id("plot-top")).to_contain_text("lab")
    expect(page).to_have_url(re.compile("entity=project"))
    expect(page.get_by_test_id("plot-average-flops_any")).to_be_visible()


def test_compare_selected_jobs(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    for job in (1001, 1002):
        page.get_by_label(f"Select job {job} for comparing").check()
    page.get_by_test_id("compare-toggle").click()
    expect(page).to_have_url(re.compile(f"sel={site.wide}(,|%2C){site.gpu}"))
    expect(page.get_by_test_id("table-compare").locator("tbody tr")).to_have_count(2)
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-points", "2")
    page.get_by_test_id("baseline").select_option(label="job 1001")
    expect(page.get_by_test_id("table-compare")).to_contain_text("%)")
    page.reload()
    expect(page.get_by_test_id("table-compare").locator("tbody tr")).to_have_count(2)


def test_jobs_export_as_they_are_listed(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/jobs/?jobId=1001&jobId=1003")
    expect(page.get_by_test_id("count")).to_have_text("2 jobs")
    page.get_by_test_id("export-jobs").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON of all").click()
    table = json.loads(download.value.path().read_text(encoding="utf-8"))
    names = [column["name"] for column in table["columns"]]
    assert sorted(row[names.index("jobId")] for row in table["rows"]) == [1001, 1003]
