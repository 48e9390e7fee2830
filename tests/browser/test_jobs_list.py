"""The list of jobs. Contract: spec/web-ui.md 4.2, 6.2."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import HOSTILE, Site


def test_rows_show_curves(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    row = page.get_by_test_id(f"job-row-{site.wide}")
    cell = row.locator("[data-metric=cpu_load]")
    expect(cell.locator("path")).to_have_attribute("d", re.compile(r"^M.*L.*L"))
    expect(cell.locator(".num")).to_have_text("2.16")  # (3.5 + 2.8 + 0.175) / 3
    expect(page.get_by_role("columnheader").filter(has_text="flops_any")).to_contain_text("F/s")
    heights = page.eval_on_selector_all(
        "[data-testid^=job-row-]", "rows => rows.map(row => row.offsetHeight)"
    )
    assert all(36 <= height <= 48 for height in heights), heights


def test_accelerators_get_a_column_of_their_own(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    cell = page.get_by_test_id(f"job-row-{site.gpu}").locator("[data-metric=acc_utilization]")
    expect(cell.locator(".num")).to_have_text(re.compile(r"^40"))  # 80 % and 0.1 % on two GPUs
    none = page.get_by_test_id(f"job-row-{site.wide}").locator("[data-metric=acc_utilization]")
    expect(none).to_contain_text("not measured")


def test_markup_in_names_is_text(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    expect(page.get_by_test_id(f"job-row-{site.hostile}")).to_contain_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0


def test_filters_live_in_the_address(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    expect(page.get_by_test_id(f"job-row-{site.hostile}")).to_be_visible()
    page.get_by_test_id("filters-open").click()
    page.get_by_role("button", name="Job States", exact=True).click()
    page.get_by_role("button", name="Deselect All").click()
    page.get_by_label("failed", exact=True).check()
    page.get_by_test_id("apply").click()
    expect(page).to_have_url(re.compile(r"state=failed"))
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    page.go_back()
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()
    expect(page.get_by_test_id("filter-pill-state")).to_have_count(0)


def test_nothing_found_offers_to_clear(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?user=nobody-of-that-name")
    expect(page.get_by_text("No jobs found with these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()


def test_senseless_filter_is_named(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?jobId=abc")
    expect(page.get_by_text("makes no sense")).to_contain_text("jobId")
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()


def test_sorting_by_start(open_page: OpenPage, site: Site) -> None:
    site.start(1010, ["n04"])  # now: whatever other tests started is older
    page = open_page("root", "/monitoring/jobs/")
    first = page.locator("[data-testid^=job-row-] .id").first
    expect(first).to_have_text("1010")
    page.get_by_role("button", name="Started").click()
    expect(page).to_have_url(re.compile(r"sort=startTime%3Aasc"))
    expect(first).not_to_have_text("1010")
    site.stop(1010)


def test_row_opens_to_full_plots(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?jobId=1001")
    page.get_by_role("button", name="Show the plots of job 1001").click()
    plot = page.get_by_test_id("plot-cpu_load")
    expect(plot).to_have_attribute("data-state", "ready")
    expect(plot.locator("canvas")).to_be_visible()


def test_density_plots_opens_every_row(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/jobs/?jobId=1001&jobId=1002")
    page.get_by_test_id("density").select_option("plots")
    expect(page).to_have_url(re.compile("density=plots"))
    expect(page.get_by_test_id("plot-cpu_load")).to_have_count(1)
    page.locator("[data-testid^=job-row-]").last.scroll_into_view_if_needed()  # what is not in sight waits
    expect(page.get_by_test_id("plot-cpu_load")).to_have_count(2)
    page.get_by_role("button", name="Hide the plots of job 1001").click()
    expect(page.get_by_test_id("plot-cpu_load")).to_have_count(1)


def test_density_groups_adds_up_jobs_of_one_name(open_page: OpenPage, site: Site) -> None:
    start = int(time.time()) - 3600
    for number in (1031, 1032):
        site.start(number, ["n04"], startTime=start, metaData={"jobName": "twin"})
        site.stop(number)
    page = open_page("root", "/monitoring/jobs/?density=groups&jobName=twin")
    line = page.get_by_test_id("table-groups").locator("tbody tr").first
    expect(line.locator("td").nth(2)).to_have_text("2")
    expect(line.locator("td").nth(3)).to_have_text(
        re.compile(r"^\s*8(\.\d+)?\s*$")
    )  # core h: 2 x 4 cores x 1 h
    page.get_by_role("button", name="Show the jobs of ute").click()
    expect(page.get_by_role("link", name="1031", exact=True)).to_be_visible()
    page.get_by_role("link", name="twin").click()
    expect(page.get_by_test_id("count")).to_have_text("2 jobs")


def test_new_jobs_are_announced_not_inserted(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "live")
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()
    started = site.start(1020, ["n04"])
    bar = page.get_by_test_id("new-jobs")
    expect(bar).to_contain_text("1 new job")
    expect(page.get_by_test_id(f"job-row-{started}")).to_have_count(0)
    bar.click()
    expect(page.get_by_test_id(f"job-row-{started}")).to_contain_text("running")
    site.stop(1020, "cancelled")
    expect(page.get_by_test_id(f"job-row-{started}")).to_contain_text("cancelled")


def test_users_see_their_own_jobs_only(open_page: OpenPage, site: Site) -> None:
    page = open_page("ute", "/monitoring/jobs/")
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()
    expect(page.get_by_test_id(f"job-row-{site.hostile}")).to_have_count(0)
    expect(page.get_by_test_id("nav-status-small")).to_have_count(0)


def test_fits_a_phone_with_the_menu_in_reach(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_test_id(f"job-row-{site.wide}").locator("path").first).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")
    page.get_by_test_id("nav-menu").click()
    page.get_by_test_id("nav-home").click()
    expect(page.get_by_test_id("cluster-small")).to_be_visible()
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


def test_refresher_asks_again_at_the_pace_chosen(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/tags/")
    page.clock.install()
    page.goto(f"{site.url}/monitoring/jobs/")
    refresher, button = page.get_by_test_id("refresher"), page.get_by_test_id("refresh")
    labels = ["Live", "No Interval", "30 Seconds", "60 Seconds", "Two Minutes", "5 Minutes"]
    expect(refresher.locator("option")).to_have_text(labels)
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_be_visible()
    refresher.select_option("60 Seconds")
    expect(button).to_be_disabled()
    started = site.start(1051, ["n04"])
    with page.expect_request(lambda request: "query Jobs(" in (request.post_data or "")):
        page.clock.run_for(61_000)
    expect(page.get_by_test_id(f"job-row-{started}")).to_be_visible()
    refresher.select_option("No Interval")
    expect(button).to_be_enabled()
    site.stop(1051)
