"""What rows, plots and panels show in place of data. Contract: spec/web-ui.md 4.5, 6.2."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Request, Route, expect
from sqlalchemy import update

from ccserver.database import open_database
from ccserver.database.tables import job as job_table
from ccserver.model.job import MONITORING_ARCHIVED, MONITORING_RUNNING
from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage


def asks_for_rows(request: Request) -> bool:
    return "query Rows(" in (request.post_data or "")


def test_plots_of_a_job_say_why_a_metric_is_not_there(visit: OpenPage, centre: Centre) -> None:
    metrics = "cpu_load,mem_bw,acc_utilization"
    page = visit("root1", f"/monitoring/jobs/?jobId=5005&density=plots&metrics={metrics}")
    plots = page.locator("tr.detail")
    expect(plots.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    missing = plots.get_by_test_id("plot-mem_bw")
    expect(missing).to_have_attribute("data-state", "empty")
    expect(missing.get_by_role("combobox")).to_have_count(0)  # of nothing there is no detail
    expect(missing.locator("[data-card=missing][data-kind=warning]")).to_contain_text("collector")
    disabled = plots.get_by_test_id("plot-acc_utilization").locator("[data-card=disabled][data-kind=info]")
    expect(disabled).to_contain_text("acc_utilization is disabled for main.")
    page.goto(f"{centre.url}/monitoring/jobs/?cluster=beta&density=plots&metrics=acc_utilization")
    light = page.get_by_test_id("plot-acc_utilization").first.locator("[data-card=unconfigured]")
    expect(light).to_have_attribute("data-kind", "light")
    expect(light).to_contain_text("acc_utilization is not configured for beta.")


def test_a_metric_without_values_is_told_from_one_that_is_not_there(visit: OpenPage, centre: Centre) -> None:
    def emptied(route: Route) -> None:
        response = route.fetch()
        answer: dict[str, Any] = response.json()
        for metric in (answer.get("data") or {}).get("jobMetrics") or []:
            if metric["name"] == "mem_bw":
                for series in metric["metric"]["series"]:
                    series["data"] = [None] * len(series["data"])
        route.fulfill(response=response, json=answer)

    page = visit("root1", "/monitoring/tags/")
    page.route("**/query", emptied)
    page.goto(f"{centre.url}/monitoring/jobs/?jobId=5008&density=plots")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    card = page.get_by_test_id("plot-mem_bw").locator("[data-card=empty][data-kind=warning]")
    expect(card).to_contain_text("Empty Metric")


def test_a_job_that_has_just_begun_collects_its_first_data(visit: OpenPage, centre: Centre) -> None:
    job = centre.start(7301, ["b6"])
    try:
        page = visit("root1", f"/monitoring/job/{job}")
        plot = page.get_by_test_id("plot-cpu_load")
        expect(plot.locator("[data-card=young][data-kind=info]")).to_contain_text("Collecting first data")
        expect(plot).to_have_attribute("data-level", "none")
        page.goto(f"{centre.url}/monitoring/jobs/?jobId=7301")
        expect(page.get_by_test_id(f"job-row-{job}")).to_contain_text("no data yet")
    finally:
        centre.stop(7301)
        assert centre.api.delete(f"/api/jobs/delete_job/{job}").status_code == 200


def test_an_error_is_cut_and_has_details_and_another_try(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    told = "x" * 900
    page.route("**/query", lambda route: route.fulfill(json={"data": None, "errors": [{"message": told}]}))
    page.goto(f"{centre.url}/monitoring/jobs/?jobId=5002")
    panel = page.get_by_test_id("panel-jobs")
    expect(panel).to_have_attribute("data-state", "error")
    card = panel.get_by_role("alert")
    expect(card).to_have_attribute("data-kind", "danger")
    assert len(card.inner_text()) < 600  # folded
    card.get_by_text("Details").click()
    expect(card).to_contain_text(told)
    page.unroute("**/query")
    card.get_by_role("button", name="Retry").click()
    expect(page.get_by_test_id(f"job-row-{centre.jobs['J2']}")).to_be_visible()


def test_waiting_long_can_be_cancelled_and_begun_again(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    held: list[Route] = []
    page.route(
        "**/query",
        lambda route: (
            held.append(route) if "query Jobs(" in (route.request.post_data or "") else route.continue_()
        ),
    )
    page.clock.install()
    page.goto(f"{centre.url}/monitoring/jobs/?jobId=5002")
    panel = page.get_by_test_id("panel-jobs")
    expect(panel).to_have_attribute("aria-busy", "true")
    cancel = panel.get_by_role("button", name="Cancel")
    page.clock.run_for(9_000)
    expect(cancel).to_have_count(0)
    page.clock.run_for(2_000)
    expect(panel).to_contain_text("longer than usual")
    with page.expect_event("requestfailed") as failed:
        cancel.click()
    assert "query Jobs(" in (failed.value.post_data or "")
    expect(panel).to_have_attribute("data-state", "error")
    expect(panel).to_contain_text("cancelled")
    page.unroute("**/query")
    panel.get_by_role("button", name="Retry").click()
    expect(page.get_by_test_id(f"job-row-{centre.jobs['J2']}")).to_be_visible()


def test_refreshing_keeps_what_is_shown_under_a_thin_line(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?jobId=5002")
    row, panel = page.get_by_test_id(f"job-row-{centre.jobs['J2']}"), page.get_by_test_id("panel-jobs")
    expect(row).to_have_attribute("data-state", "ready")
    expect(panel.locator(".progress-line")).to_have_count(0)
    held: list[Route] = []
    page.route("**/query", lambda route: held.append(route))
    with page.expect_request(lambda request: "query Jobs(" in (request.post_data or "")):
        page.get_by_test_id("refresh").click()
    expect(panel.locator(".progress-line")).to_have_count(1)
    expect(row).to_be_visible()
    expect(panel).to_have_attribute("data-state", "ready")
    for route in held:
        route.abort()
    expect(panel.locator(".progress-line")).to_have_count(0)
    expect(panel).to_have_attribute("data-state", "stale")
    expect(row).to_be_visible()


def test_a_row_that_leaves_gives_up_its_request(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/tags/")
    held: list[Route] = []
    page.route(
        "**/query", lambda route: held.append(route) if asks_for_rows(route.request) else route.continue_()
    )
    with page.expect_request(asks_for_rows):
        page.goto(f"{centre.url}/monitoring/jobs/?cluster=alpha&density=compact")
    first = page.get_by_test_id(f"job-row-{centre.jobs['J1']}")
    expect(first).to_have_attribute("data-state", "loading")
    with page.expect_event("requestfailed", predicate=asks_for_rows):
        page.evaluate("document.querySelector('main, #app, body').style.paddingTop = '20000px'")
    page.unroute("**/query")
    with page.expect_request(asks_for_rows):
        page.evaluate("document.querySelector('main, #app, body').style.paddingTop = ''")
    expect(first).to_have_attribute("data-state", "ready")


def test_a_job_being_archived_says_so_and_is_asked_for_again(visit: OpenPage, centre: Centre) -> None:
    database = open_database(centre.server.folder / "var" / "job.db")

    def report(status: int) -> None:
        change = update(job_table).where(job_table.c.job_id == 5008).values(monitoring_status=status)
        database.write(lambda connection: connection.execute(change))

    try:
        report(MONITORING_RUNNING)
        page = visit("root1", "/monitoring/tags/")
        page.route("**/frontend/events*", lambda route: route.abort("connectionrefused"))
        page.clock.install()
        page.goto(f"{centre.url}/monitoring/jobs/?jobId=5008")
        row = page.get_by_test_id(f"job-row-{centre.jobs['J8']}")
        expect(row).to_contain_text("archiving in progress")
        expect(page.get_by_test_id("live-state")).to_have_attribute("data-connection", "polling")
        report(MONITORING_ARCHIVED)
        with page.expect_request(
            lambda request: f'"dbId":["{centre.jobs["J8"]}"]' in (request.post_data or "")
        ):
            page.clock.run_for(61_000)
        expect(row).not_to_contain_text("archiving")
        expect(row).to_contain_text("completed")
    finally:
        report(MONITORING_ARCHIVED)
        database.close()
