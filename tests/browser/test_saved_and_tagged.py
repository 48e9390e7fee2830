"""Saved views, tags for many jobs, renamed tags, health. Contract: spec/web-ui.md 6.7, 6.17, 9.12, 9.14."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_a_view_is_saved_and_opened_by_its_name(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/?state=running&sort=numNodes%3Adesc")
    page.get_by_test_id("views-open").click()
    page.get_by_test_id("view-save").click()
    page.get_by_test_id("dialog-save-view").get_by_label("Name").fill("large <b>ones</b>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_test_id("toast")).to_contain_text("Saved")
    page.goto(f"{site.url}/monitoring/jobs/")
    page.get_by_test_id("views-open").click()
    page.get_by_test_id("view-large <b>ones</b>").click()
    expect(page).to_have_url(re.compile(r"state=running&sort=numNodes%3Adesc"))
    page.get_by_test_id("views-open").click()
    page.get_by_role("button", name="Delete the view large").click()
    expect(page.get_by_test_id("view-large <b>ones</b>")).to_have_count(0)


def test_selected_jobs_are_tagged_together(open_page: OpenPage, site: Site) -> None:
    tag = [{"type": "bulk", "name": "many", "scope": "global"}]
    assert site.api.post(f"/api/jobs/tag_job/{site.gpu}", json=tag).status_code == 200
    page = open_page("root", "/monitoring/jobs/?cluster=small")
    for job in (site.wide, site.gpu):
        page.get_by_test_id(f"job-row-{job}").locator("[data-select]").check()
    page.get_by_test_id("bulk-open").click()
    dialog = page.get_by_test_id("dialog-bulk-tags")
    expect(dialog).to_contain_text("The 2 selected jobs can be changed")
    dialog.get_by_test_id("bulk-tag").select_option(label="bulk: many")
    outcome = dialog.get_by_test_id("bulk-result")
    expect(outcome).to_have_text("1 job will get this tag, 1 has it already.")
    dialog.get_by_test_id("bulk-apply").click()
    expect(outcome).to_have_text("1 job got this tag, 1 has it already.")
    expect(dialog.get_by_test_id("bulk-apply")).to_be_disabled()
    dialog.get_by_label("take it off").check()
    expect(outcome).to_have_text("2 jobs will lose this tag.")
    dialog.get_by_test_id("bulk-apply").click()
    expect(outcome).to_have_text("2 jobs lost this tag.")
    row = page.get_by_test_id(f"job-row-{site.wide}")
    expect(row.get_by_label(re.compile("bulk: many"))).to_have_count(0)


def test_all_jobs_that_match_are_tagged_together(open_page: OpenPage, site: Site) -> None:
    tag = [{"type": "bulk", "name": "all of max", "scope": "global"}]
    assert site.api.post(f"/api/jobs/tag_job/{site.wide}", json=tag).status_code == 200
    page = open_page("root", "/monitoring/jobs/?cluster=small&user=max")
    page.get_by_test_id("bulk-open").click()
    dialog = page.get_by_test_id("dialog-bulk-tags")
    dialog.get_by_test_id("bulk-tag").select_option(label="bulk: all of max")
    outcome = dialog.get_by_test_id("bulk-result")
    expect(outcome).to_have_text("1 job will get this tag.")
    dialog.get_by_test_id("bulk-apply").click()
    expect(outcome).to_have_text("1 job got this tag.")
    page.keyboard.press("Escape")
    row = page.get_by_test_id(f"job-row-{site.hostile}")
    expect(row.get_by_label(re.compile("bulk: all of max"))).to_have_count(1)


def test_a_tag_gets_another_name(open_page: OpenPage, site: Site) -> None:
    tag = [{"type": "typo", "name": "mistke", "scope": "global"}]
    assert site.api.post(f"/api/jobs/tag_job/{site.gpu}", json=tag).status_code == 200
    page = open_page("root", "/monitoring/tags/?q=typo")
    page.get_by_role("button", name="Rename the tag typo: mistke").click()
    page.get_by_test_id("dialog-rename-tag").get_by_label("Name").fill("mistake")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("link", name="typo: mistake")).to_be_visible()
    page.goto(f"{site.url}/monitoring/job/{site.gpu}")
    expect(page.get_by_role("link", name="typo: mistake")).to_be_visible()


def test_health_says_how_the_parts_are(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/logs?tab=health")
    expect(page.get_by_test_id("part-Metric store")).to_have_attribute("data-state", "ok")
    collectors = page.get_by_test_id("part-Collectors of small")
    expect(collectors).to_contain_text(re.compile(r"\d of \d nodes send"))
