"""A session that ends while somebody types. Contract: spec/web-ui.md 2.5."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site

ACCOUNT = "boss"  # so that its log-ins are counted apart from those of other tests


def log_in_again(page: Page, bar: Locator, account: str, address: str) -> None:
    expect(bar).to_contain_text("Session expired - Log in again")
    bar.get_by_role("link", name="Log in again").click()
    page.fill("#username", account)
    page.fill("#password", account)
    page.click("button[type=submit]")
    expect(page).to_have_url(address)


def test_a_form_of_the_settings_keeps_what_was_typed(open_page: OpenPage, site: Site) -> None:
    page = open_page(ACCOUNT, "/config?tab=admin")
    form = page.get_by_test_id("create-user")
    fields = {
        "Username": "late",
        "Password": "long enough",
        "Name": "Late Comer",
        "E-mail": "late@example.org",
    }
    for label, text in fields.items():
        form.get_by_label(label, exact=True).fill(text)
    page.context.clear_cookies()
    form.get_by_role("button", name="Create").click()
    bar = page.get_by_test_id("session-ended")
    expect(bar).to_be_visible()
    expect(page.get_by_test_id("create-result")).to_contain_text("Your session has expired")
    for label, text in fields.items():
        expect(form.get_by_label(label, exact=True)).to_have_value(text)
    log_in_again(page, bar, ACCOUNT, f"{site.url}/config?tab=admin")
    expect(page.get_by_test_id("create-user")).to_be_visible()
    expect(page.get_by_test_id("session-ended")).to_have_count(0)


def test_the_tag_dialog_keeps_what_was_typed_and_leads_to_the_login(open_page: OpenPage, site: Site) -> None:
    address = f"/monitoring/job/{site.wide}?tab=statistics"
    page = open_page(ACCOUNT, address)
    page.get_by_test_id("tags-manage").click()
    dialog = page.get_by_test_id("dialog-tags")
    dialog.get_by_test_id("tag-search").fill("typed: before the end")
    here = page.url
    page.context.clear_cookies()
    dialog.get_by_test_id("tag-create").click()
    bar = dialog.get_by_test_id("session-ended")
    expect(bar).to_be_visible()
    expect(dialog.get_by_test_id("tag-search")).to_have_value("typed: before the end")
    log_in_again(page, bar, ACCOUNT, here)
    expect(page.get_by_test_id(f"jobinfo-{site.wide}")).to_be_visible()
