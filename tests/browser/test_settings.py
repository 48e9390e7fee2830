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


def test_forms_of_administrators_refuse_and_accept(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/config?tab=admin")
    form = page.get_by_test_id("create-user")
    result = page.get_by_test_id("create-result")
    name, password = form.get_by_label("Username"), form.get_by_label("Password")
    # what the form itself refuses never leaves the page
    form.get_by_role("button", name="Create").click()
    assert name.evaluate("field => field.validity.valueMissing")
    expect(result).to_have_count(0)
    name.fill("formed")
    form.get_by_role("button", name="Create").click()
    assert password.evaluate("field => field.validity.valueMissing")
    form.get_by_label("Role").select_option("manager")
    assert form.get_by_label("Project").evaluate("field => field.required")
    form.get_by_label("Role").select_option("api")
    form.get_by_role("button", name="Create").click()  # a script needs no password
    expect(result).to_have_attribute("data-kind", "success")
    # what the server refuses says why, and nothing typed is lost
    name.fill("root")
    password.fill("secret")
    form.get_by_role("button", name="Create").click()
    expect(result).to_have_attribute("data-kind", "danger")
    expect(name).to_have_value("root")

    toast = page.get_by_test_id("toast")
    row = page.get_by_test_id("table-accounts").get_by_role("row").filter(has_text="formed")
    row.get_by_role("button", name="Change").click()
    dialog = page.get_by_test_id("dialog-account")
    dialog.get_by_label("Role", exact=True).select_option("manager")
    dialog.get_by_test_id("role-add").click()
    expect(dialog).to_contain_text("manager")
    expect(dialog.get_by_role("button", name="Add project")).to_be_disabled()
    dialog.get_by_label("Project", exact=True).fill("lab")
    dialog.get_by_role("button", name="Add project").click()
    expect(dialog.get_by_role("button", name="Remove the project lab")).to_be_visible()
    dialog.get_by_role("button", name="Remove the project lab").click()
    expect(dialog.get_by_role("button", name="Remove the project lab")).to_have_count(0)
    dialog.get_by_role("button", name="Remove role").first.click()
    expect(toast.last).to_be_visible()
    dialog.get_by_test_id("jwt-formed").click()
    expect(dialog.get_by_test_id("jwt-text")).to_contain_text("\N{BULLET}")  # masked until it is asked for
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete formed").click()
    page.get_by_test_id("dialog-confirm").get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(1)
    page.get_by_role("button", name="Delete formed").click()
    page.get_by_test_id("confirm").click()
    expect(row).to_have_count(0)
    refused = page.request.delete(f"{site.url}/config/users/", form={"username": "root"})
    assert refused.status == 422  # not even by hand
    assert "your own account" in refused.text()


def test_an_account_that_was_made_can_log_in(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/config?tab=admin")
    form = page.get_by_test_id("create-user")
    form.get_by_label("Username").fill("fresh")
    form.get_by_label("Password").fill("of a kind")
    form.get_by_role("button", name="Create").click()
    expect(page.get_by_test_id("create-result")).to_have_attribute("data-kind", "success")
    guest = open_page("", "/")
    guest.get_by_label("Username").fill("fresh")
    guest.get_by_label("Password", exact=True).fill("of a kind")
    guest.keyboard.press("Enter")
    expect(guest.get_by_test_id("nav-logout")).to_contain_text("fresh")
    deleted = page.request.delete(f"{site.url}/config/users/", form={"username": "fresh"})
    assert deleted.ok


def test_numbers_beyond_their_limits_are_brought_back(open_page: OpenPage) -> None:
    page = open_page("max", "/config")
    for test_id, typed, kept in (
        ("set-per-row", "9", "6"), ("set-per-row", "-4", "1"), ("set-per-row", "3", "3"),
        ("set-line-width", "99", "20"), ("set-line-width", "-4", "1"), ("set-line-width", "3", "3"),
    ):  # fmt: skip
        field = page.get_by_test_id(test_id)
        field.fill(typed)
        field.press("Tab")
        expect(field).to_have_value(kept)
    expect(page.get_by_test_id("toast").last).to_contain_text("Saved")


def test_a_colour_scheme_changes_plots_at_once_and_elsewhere(open_page: OpenPage, site: Site) -> None:
    page = open_page("max", "/config")
    picture = "() => document.querySelector('[data-testid=preview] canvas').toDataURL()"
    expect(page.get_by_test_id("preview").locator("canvas").first).to_be_visible()
    before = page.evaluate(picture)
    page.get_by_test_id("scheme-HighContrast").check()
    page.wait_for_function(f"before => ({picture})() !== before", arg=before)
    expect(page.get_by_test_id("toast").last).to_contain_text("Saved")
    elsewhere = open_page("max", f"/monitoring/job/{site.wide}")
    expect(elsewhere.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")
    colours: list[str] = elsewhere.evaluate(
        "() => JSON.parse(document.getElementById('boot').textContent).config.plotConfiguration_colorScheme"
    )
    chosen = open_page("max", "/config")
    expect(chosen.get_by_test_id("scheme-HighContrast")).to_be_checked()
    assert len(colours) >= 3
    chosen.get_by_test_id("scheme-Default").check()
    expect(chosen.get_by_test_id("toast").last).to_contain_text("Saved")


def test_blocks_are_those_of_the_role(open_page: OpenPage) -> None:
    own = ["My settings", "My account"]
    tabs = {"ute": own, "sue": [*own, "Support"], "root": [*own, "Support", "Administration"]}
    for role, expected in tabs.items():
        page = open_page(role, "/config")
        expect(page.get_by_role("tab")).to_have_text(expected)
