"""The trend of footprints on the page of a user. Contract: spec/web-ui.md 6.6."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Request, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage

JOBS = """query($f: [JobFilter!]) { jobs(filter: $f, page: {page: 1, itemsPerPage: 1000}) {
    items { startTime footprint { name value } } } }"""


def test_trend_is_the_mean_of_the_jobs_of_each_week(visit: OpenPage, centre: Centre) -> None:
    page = visit("alice", "/monitoring/user/alice", timezone_id="UTC")
    jobs = centre.query("alice", JOBS, f=[{"user": {"eq": "alice"}}])["jobs"]["items"]
    values: dict[str, list[float]] = {}
    for job in jobs:
        start = datetime.fromisoformat(job["startTime"]).astimezone(UTC)
        monday = (start - timedelta(days=start.weekday())).date().isoformat()
        values.setdefault(monday, []).extend(
            one["value"] for one in job["footprint"] if one["name"] == "cpu_load"
        )
    weeks = {monday: found for monday, found in values.items() if found}
    plot = page.get_by_test_id("plot-trend-cpu_load")
    expect(plot).to_have_attribute("data-points", str(len(weeks)))
    expect(plot).to_have_attribute("data-sum", str(sum(map(len, weeks.values()))))
    said = [link.get_attribute("aria-label") or "" for link in plot.locator("svg[data-plot] a").all()]
    assert len(said) == len(weeks) > 3
    for text, (monday, found) in zip(said, sorted(weeks.items()), strict=True):
        told = re.fullmatch(r"Week of (\S+): ([\d.]+), mean of (\d+) jobs?", text)
        assert told is not None, text
        assert (told[1], int(told[3])) == (monday, len(found))
        assert float(told[2]) == pytest.approx(sum(found) / len(found), abs=0.006)
    plot.locator("svg[data-plot] a").last.click()
    expect(page).to_have_url(re.compile(r"startTime=\d+-\d+"))
    expect(page.get_by_test_id("total-jobs")).to_have_text(re.compile(r"^\d+$"))


def test_the_refresher_asks_for_the_trend_as_well(visit: OpenPage, centre: Centre) -> None:
    page = visit("alice", "/monitoring/user/alice")
    expect(page.get_by_test_id("plot-trend-cpu_load")).to_have_attribute("data-points", re.compile("[1-9]"))

    def again(request: Request) -> bool:
        body: dict[str, Any] = json.loads(request.post_data or "{}")
        return "query FootprintTrend" in body.get("query", "")

    with page.expect_request(again):
        page.get_by_test_id("refresh").click()


def test_a_user_without_jobs_has_zeros_and_empty_plots(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/user/manny")
    expect(page.get_by_test_id("total-jobs")).to_have_text("0")
    expect(page.get_by_test_id("plot-durations")).to_have_attribute("data-points", "0")
    expect(page.get_by_test_id("plot-trend-cpu_load")).to_contain_text("No averages of these jobs yet.")
