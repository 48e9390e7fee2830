"""Settings, administration, notice, logs. Contract: spec/web-ui.md 6.1, 6.15, 6.17, 7.2."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site


def test_notice_is_text_on_the_home_page(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/config?tab=admin")
    page.get_by_test_id("notice").fill("Down on <b>Monday</b>, see https://site.example/down?a=1&b=2.")
    page.get_by_test_id("notice-save").click()
    expect(page.get_by_test_id("toast")).to_be_visible()
    page = open_page("ute", "/")
    expect(page.get_by_text("Down on <b>Monday</b>, see")).to_be_visible()
    link = page.get_by_role("link", name="https://site.example/down?a=1&b=2", exact=True)
    expect(link).to_have_attribute("href", "https://site.example/down?a=1&b=2")
    page = open_page("root", "/config?tab=admin")
    page.get_by_test_id("notice").fill("")
    page.get_by_test_id("notice-save").click()
    expect(page.get_by_test_id("toast")).to_be_visible()


def test_accounts_are_made_and_refused_with_a_reason(open_page: OpenPage) -> None:
    page = open_page("root", "/config?tab=admin")
    form = page.get_by_test_id("create-user")
    form.get_by_label("Username").fill("newcomer")
    form.get_by_label("Password").fill("secret")
    form.get_by_label("Role").select_option("support")
    form.get_by_role("button", name="Create").click()
    expect(page.get_by_test_id("create-result")).to_contain_text("successfully created")
    expect(page.get_by_test_id("table-accounts")).to_contain_text("newcomer")
    form.get_by_label("Username").fill("newcomer")
    form.get_by_label("Password").fill("secret")
    form.get_by_role("button", name="Create").click()
    expect(page.get_by_test_id("create-result")).to_have_attribute("data-kind", "danger")
    page.get_by_role("button", name="Delete newcomer").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("table-accounts")).not_to_contain_text("newcomer")
    expect(page.get_by_role("button", name="Delete root")).to_have_count(0)


def test_administration_is_for_administrators(open_page: OpenPage) -> None:
    page = open_page("ute", "/config")
    expect(page.get_by_role("tab", name="My settings")).to_be_visible()
    expect(page.get_by_role("tab", name="Administration")).to_have_count(0)


def test_time_zone_holds_everywhere_and_in_the_next_session(open_page: OpenPage, site: Site) -> None:
    page = open_page("sue", "/config")
    page.get_by_test_id("set-zone").select_option("Asia/Tokyo")
    expect(page.get_by_test_id("toast")).to_contain_text("Saved")
    page = open_page("sue", f"/monitoring/job/{site.wide}")
    expect(page.get_by_test_id("nav-zone")).to_contain_text("Tokyo")
    shown = page.get_by_test_id(f"jobinfo-{site.wide}").locator("dd").nth(3).inner_text()
    expected = page.evaluate(
        """async id => {
            const query = `{ job(id: ${id}) { startTime } }`;
            const headers = {'Content-Type': 'application/json'};
            const answer = await fetch('/query', {method: 'POST', headers, body: JSON.stringify({query})});
            const start = new Date((await answer.json()).data.job.startTime);
            const there = new Date(start.getTime() + 9 * 3600 * 1000);
            return there.toISOString().slice(0, 16).replace('T', ' ');
        }""",
        str(site.wide),
    )
    assert shown == expected


def test_look_of_plots_shows_in_the_preview(open_page: OpenPage) -> None:
    page = open_page("sue", "/config")
    preview = page.get_by_test_id("preview")
    expect(preview.locator("canvas")).to_have_count(3)
    page.get_by_test_id("set-per-row").fill("2")
    page.get_by_test_id("set-per-row").press("Tab")
    expect(preview.locator("canvas")).to_have_count(2)
    expect(preview.locator(".tinted")).to_have_count(1)
    page.get_by_test_id("set-background").uncheck()
    expect(preview.locator(".tinted")).to_have_count(0)
    before = preview.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")
    page.get_by_test_id("set-line-width").fill("9")
    page.get_by_test_id("set-line-width").press("Tab")
    page.wait_for_function(
        "before => document.querySelector('[data-testid=preview] canvas').toDataURL() !== before", arg=before
    )


def test_settings_hold_until_all_are_reset(open_page: OpenPage) -> None:
    page = open_page("sue", "/config")
    page.get_by_test_id("set-density").select_option("groups")
    expect(page.get_by_test_id("toast").first).to_contain_text("Saved")
    page = open_page("sue", "/monitoring/jobs/")
    expect(page.get_by_test_id("table-groups")).to_be_visible()
    page = open_page("sue", "/config")
    page.get_by_test_id("reset-all").click()
    page.get_by_test_id("dialog-confirm-reset").get_by_test_id("confirm").click()
    expect(page.get_by_test_id("set-density")).to_have_value("compact")
    expect(page.get_by_test_id("set-per-row")).to_have_value("3")


def test_logs_show_a_table_or_say_why_not(open_page: OpenPage) -> None:
    page = open_page("root", "/monitoring/logs")
    page.get_by_test_id("logs-level").select_option("3")
    panel = page.get_by_test_id("panel-logs")
    expect(panel).not_to_have_attribute("data-state", "loading")
    state = panel.get_attribute("data-state")
    if state == "error":
        expect(panel.get_by_role("alert")).to_contain_text("journalctl")
    else:
        assert state in ("ready", "empty")
    assert "level=3" in page.url
