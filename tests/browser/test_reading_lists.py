"""Finding, judging and comparing in lists. Contract: spec/web-ui.md 4.2, 4.3, 6.2, 6.5, 6.13, 9.13."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_footprint_is_a_column_of_choice(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?cluster=small")
    bars = page.get_by_test_id(f"footprint-{site.hostile}")
    expect(page.get_by_test_id(f"job-row-{site.hostile}")).to_be_visible()
    expect(bars).to_have_count(0)
    page.get_by_test_id("metrics-open").click()
    page.get_by_test_id("footprint-column").check()
    expect(bars).to_contain_text("cpu_load")
    expect(page).to_have_url(re.compile("footprint=1"))
    page.get_by_test_id("footprint-column").uncheck()
    expect(page).to_have_url(re.compile("footprint=0"))


def test_list_is_narrowed_while_typing(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?cluster=small")
    page.get_by_test_id("find").press_sequentially("job-1002")
    expect(page).to_have_url(re.compile("jobName=job-1002"))
    expect(page.locator("[data-testid^=job-row]")).to_have_count(1)
    page.get_by_test_id("find").fill("")
    expect(page).not_to_have_url(re.compile("jobName"))
    page.get_by_test_id("find-by").select_option("user")
    page.get_by_test_id("find").press_sequentially("ma")
    expect(page).to_have_url(re.compile(r"user=ma&userMatch=contains"))
    expect(page.get_by_test_id(f"job-row-{site.hostile}")).to_be_visible()
    expect(page.get_by_test_id(f"job-row-{site.wide}")).to_have_count(0)


def test_tags_can_be_asked_for_at_once(open_page: OpenPage, site: Site) -> None:
    job = site.api.post(
        f"/api/jobs/tag_job/{site.wide}",
        json=[
            {"type": "list", "name": "red", "scope": "global"},
            {"type": "list", "name": "blue", "scope": "global"},
        ],
    )
    assert job.status_code == 200, job.text
    site.api.post(f"/api/jobs/tag_job/{site.gpu}", json=[{"type": "list", "name": "red", "scope": "global"}])
    tags = {tag["name"]: tag["id"] for tag in job.json()["tags"]}
    page = open_page("root", f"/monitoring/jobs/?tag={tags['red']}&tag={tags['blue']}")
    rows = page.locator("[data-testid^=job-row]")
    expect(rows).to_have_count(2)
    page.get_by_test_id("filter-pill-tag").get_by_role("button").first.click()
    page.get_by_test_id("tag-mode").get_by_label("all of them").check()
    page.get_by_test_id("apply").click()
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("tagMode=and"))
    expect(page.get_by_test_id("filter-pill-tag")).to_contain_text(" and ")
    page.reload()
    expect(rows).to_have_count(1)


def test_groups_have_a_row_of_totals(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/users/")
    table = page.get_by_test_id("table-users")
    expect(table.locator("tfoot")).to_be_visible()
    jobs = [int(text) for text in table.locator("tbody tr td:nth-child(3)").all_inner_texts()]
    expect(table.locator("tfoot td").nth(1)).to_have_text(str(sum(jobs)))
    page.get_by_test_id("name-filter").fill("max")
    expect(table.locator("tfoot")).to_have_count(0)  # of one row there is nothing to add up


def test_jobs_of_the_same_name_are_compared(open_page: OpenPage, site: Site) -> None:
    past = int(time.time()) - 7200
    first = site.start(1601, ["n04"], startTime=past, metaData={"jobName": "again"})
    site.stop(1601)
    second = site.start(1602, ["n04"], startTime=past + 60, metaData={"jobName": "again"})
    page = open_page("root", f"/monitoring/job/{second}?tab=similar")
    table = page.get_by_test_id("table-similar")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table).to_contain_text("1602 (this one)")
    expect(page.get_by_test_id("compare-similar")).to_have_attribute(
        "href", f"/monitoring/compare?sel={second},{first}"
    )
    site.stop(1602)


def test_alerts_name_jobs_far_off_and_can_be_put_off(visit: OpenPage, centre: Centre) -> None:
    def report(state: str) -> None:
        nodes = [{"hostname": f"b{i}", "states": [state if i == 8 else "idle"]} for i in range(1, 9)]
        answer = centre.api.post("/api/nodestate/", json={"cluster": "beta", "nodes": nodes})
        assert answer.status_code == 200

    report("down")
    try:
        page = visit("root1", "/monitoring/status/detail/beta?tab=alerts")
        alert = page.get_by_test_id("alert-node:beta:b8")
        expect(alert).to_contain_text("marked down by the scheduler")
        expect(alert.get_by_role("link")).to_have_attribute("href", "/monitoring/node/beta/b8")
        with page.expect_response(lambda answer: "updateConfiguration" in (answer.request.post_data or "")):
            alert.get_by_role("button").click()
        expect(alert).to_have_count(0)
        page.get_by_label("1 ignored for a day").check()
        with page.expect_response(lambda answer: "updateConfiguration" in (answer.request.post_data or "")):
            alert.get_by_role("button").click()
        page.reload()
        expect(alert).to_be_visible()

    finally:
        report("idle")
