"""Tags. Contract: spec/web-ui.md 4.4, 6.7."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_create_attach_find_remove_delete(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    page.get_by_test_id("tags-manage").click()
    dialog = page.get_by_test_id("dialog-tags")
    dialog.get_by_test_id("tag-search").fill("check: <b>odd</b>")
    dialog.get_by_test_id("tag-scope").select_option("global")
    dialog.get_by_test_id("tag-create").click()
    facts = page.get_by_test_id(f"jobinfo-{site.wide}")
    expect(facts).to_contain_text("check: <b>odd</b>")
    dialog.get_by_role("button", name="Close").click()
    facts.get_by_role("link", name="check:").click()
    expect(page).to_have_url(re.compile(r"tag=\d+"))
    expect(page.get_by_test_id("count")).to_have_text("1 job")
    expect(page.get_by_test_id("filter-pill-tag")).to_contain_text("check: <b>odd</b>")

    page.goto(f"{site.url}/monitoring/tags/")
    expect(page.get_by_role("link", name="check:")).to_contain_text("1")
    page.get_by_role("button", name="Delete the tag check:").click()
    dialog = page.get_by_test_id("dialog-confirm")
    expect(dialog).to_contain_text("1 job loses it")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("link", name="check:")).to_be_visible()
    page.get_by_role("button", name="Delete the tag check:").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_role("link", name="check:")).to_have_count(0)


def test_users_write_private_tags_only(open_page: OpenPage, site: Site) -> None:
    page = open_page("ute", f"/monitoring/job/{site.wide}")
    page.get_by_test_id("tags-manage").click()
    page.get_by_test_id("tag-search").fill("mine: one")
    expect(page.get_by_test_id("tag-scope").locator("option")).to_have_text(["Private (ute)"])
