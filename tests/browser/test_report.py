"""The report of a job on paper. Contract: spec/web-ui.md 9.18."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage


@pytest.mark.parametrize("job", ["J2", "J6", "J9"])
def test_a_job_is_reported_on_one_page(visit: OpenPage, centre: Centre, job: str) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs[job]}?tab=statistics")
    expect(page.get_by_test_id("table-statistics")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.emulate_media(media="print", color_scheme="light")
    paper = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    assert re.search(rb"/MediaBox \[0 0 59[45][.\d]* 84[12]", paper)  # A4 in points
    # nothing of the table is cut off: with 210 mm less margins of 10 mm it fits
    table = page.get_by_test_id("table-statistics")
    page.set_viewport_size({"width": 718, "height": 1047})
    width = table.evaluate("table => [table.scrollWidth, table.parentElement.clientWidth]")
    assert width[0] <= width[1]
