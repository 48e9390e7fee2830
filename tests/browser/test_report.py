"""The report of a job on paper. Contract: spec/web-ui.md 9.18."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage

A4_WITHIN_MARGINS = {"width": 718, "height": 1047}  # CSS pixels of 190 mm times 277 mm


def fits_the_width(page: Page) -> bool:
    page.set_viewport_size(A4_WITHIN_MARGINS)
    table = page.get_by_test_id("table-statistics")
    return bool(table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth"))


@pytest.mark.parametrize("job", ["J1", "J2", "J6", "J9"])
def test_a_job_is_reported_on_one_page(visit: OpenPage, centre: Centre, job: str) -> None:
    page = visit("root1", f"/monitoring/job/{centre.jobs[job]}")
    expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    page.evaluate(
        "() => { window.print = () => { document.documentElement.dataset.printed = 'yes'; }; }"
    )  # in a function of its own: Playwright calls what an expression results in
    page.get_by_test_id("print-report").click()
    expect(page.locator("html[data-printed=yes]")).to_be_attached()
    expect(page.get_by_test_id("table-statistics")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.evaluate("addEventListener('afterprint', () => { document.documentElement.dataset.over = 'yes'; })")
    paper = page.pdf(prefer_css_page_size=True)  # asks the page to get ready as the print dialog does
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    assert re.search(rb"/MediaBox \[0 0 59[45][.\d]* 84[12]", paper)
    expect(page.locator("html[data-over=yes]")).to_be_attached()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert fits_the_width(page)
    rows = page.get_by_test_id("table-statistics").locator("tbody tr")
    expect(rows).to_have_count({"J1": 4, "J2": 8}.get(job, 1))
    if job == "J2":
        expect(page.get_by_text("8 of 16 rows")).to_be_visible()
