"""Settings, administration, notice, logs. Contract: spec/web-ui.md 6.1, 6.15, 6.17, 7.2."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, expect

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


@contextmanager
def settings_of(page: Page, site: Site, **values: object) -> Iterator[None]:
    """Settings of the account for a while, as its pages store them; then those of the site again."""

    def store(key: str, value: object) -> None:
        form = {"key": key, "value": json.dumps(value)}
        assert page.request.post(f"{site.url}/frontend/configuration/", form=form).ok

    for key, value in values.items():
        store(key, value)
    try:
        yield
    finally:
        for key in values:
            store(key, None)


def stored(page: Page) -> dict[str, Any]:
    """The settings that a page of the account is given."""
    config: dict[str, Any] = page.evaluate(
        "() => JSON.parse(document.getElementById('boot').textContent).config"
    )
    return config


def test_days_are_written_as_chosen(open_page: OpenPage, site: Site) -> None:
    page = open_page("sue", "/config")
    with settings_of(page, site, ui_dateFormat=None):
        expect(page.get_by_test_id("now")).to_contain_text(re.compile(r"now \d{4}-\d\d-\d\d \d\d:\d\d"))
        page.get_by_test_id("set-dates").select_option("dmy")
        expect(page.get_by_test_id("now")).to_contain_text(re.compile(r"now \d\d\.\d\d\.\d{4} \d\d:\d\d"))
        expect(page.get_by_test_id("toast")).to_contain_text("Saved")
        page.goto(f"{site.url}/monitoring/job/{site.wide}")
        facts = page.get_by_test_id(f"jobinfo-{site.wide}")
        expect(facts).to_contain_text(re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d"))
        page.goto(f"{site.url}/config")
        page.get_by_test_id("set-dates").select_option("mdy")
        expect(page.get_by_test_id("now")).to_contain_text(re.compile(r"now \d\d/\d\d/\d{4} \d\d:\d\d"))
        expect(page.get_by_test_id("toast")).to_contain_text("Saved")


def test_nothing_moves_for_those_who_want_it_so(open_page: OpenPage, site: Site) -> None:
    moves = """() => { const box = document.createElement('div');
        box.style.transition = 'opacity 3s'; document.body.append(box);
        return parseFloat(getComputedStyle(box).transitionDuration) > 1; }"""
    page = open_page("sue", "/config", reduced_motion="no-preference")
    with settings_of(page, site, ui_motion=None):
        assert page.evaluate(moves)
        page.get_by_test_id("set-motion").select_option("reduced")
        assert not page.evaluate(moves)
        expect(page.get_by_test_id("toast")).to_contain_text("Saved")
        page.goto(f"{site.url}/monitoring/tags/")
        assert not page.evaluate(moves)


def test_lists_begin_with_the_default_filters(open_page: OpenPage, site: Site) -> None:
    page = open_page("sue", "/config")
    field = page.get_by_test_id("set-filters")
    with settings_of(page, site, ui_defaultFilters=None):
        field.fill("numNodes=many&state=running")
        field.press("Tab")
        expect(page.get_by_text("Not kept: numNodes cannot be read.")).to_be_visible()
        field.fill(f"{site.url}/monitoring/jobs/?sort=duration%3Aasc&state=running&state=failed&page=2")
        field.press("Tab")
        expect(field).to_have_value("state=running&state=failed")  # filters only
        expect(page.get_by_test_id("toast").last).to_contain_text("Saved")
        for path in ("jobs", "users", "projects"):
            page.goto(f"{site.url}/monitoring/{path}/")
            expect(page).to_have_url(re.compile(rf"/{path}/\?state=running&state=failed$"))
            expect(page.get_by_test_id("filter-pill-state")).to_be_visible()
        page.goto(f"{site.url}/monitoring/jobs/")
        pill = page.get_by_test_id("filter-pill-state")
        pill.get_by_role("button", name=re.compile("Remove")).click()
        expect(pill).to_have_count(0)
        expect(page).to_have_url(f"{site.url}/monitoring/jobs/")  # and it stays away
        page.goto(f"{site.url}/monitoring/jobs/?user=ute")
        expect(page.get_by_test_id("filter-pill-user")).to_be_visible()
        expect(pill).to_have_count(0)  # who asks for something gets that


def read_file(page: Page, settings: object) -> None:
    content = settings if isinstance(settings, str) else json.dumps(settings)
    file: Any = {"name": "settings.json", "mimeType": "application/json", "buffer": content.encode()}
    page.get_by_test_id("import-settings").set_input_files(file)


def test_a_file_of_settings_is_taken_over_but_for_what_is_named(open_page: OpenPage, site: Site) -> None:
    page = open_page("sue", "/config")
    keys = ("plotConfiguration_plotsPerRow", "ui_density", "jobList_usePaging")
    with settings_of(page, site, **dict.fromkeys(keys)):
        read_file(page, "[1, 2")
        expect(page.get_by_test_id("toast")).to_contain_text("no settings")
        settings = {
            "plotConfiguration_plotsPerRow": 2, "plotConfiguration_lineWidth": "thick", "secret": 1,
            "ui_density": "groups", "jobList_usePaging": True,
        }  # fmt: skip
        read_file(page, settings)
        result = page.get_by_test_id("import-result")
        expect(result).to_contain_text("3 settings taken over, 2 not")
        expect(result.locator("li")).to_have_text(
            ["plotConfiguration_lineWidth has a value that makes no sense", "secret is no setting"]
        )
        result.get_by_role("button").click()
        expect(page.get_by_test_id("set-per-row")).to_have_value("2")
        expect(page.get_by_test_id("set-density")).to_have_value("groups")
        assert "secret" not in stored(page)


OLD = {
    "plot_list_selectedMetrics:small": (["cpu_load"], "metricConfig_jobListMetrics:small"),
    "job_view_selectedMetrics": (["mem_used"], "metricConfig_jobViewPlotMetrics"),
    "job_view_nodestats_selectedMetrics": (["mem_used"], "metricConfig_jobViewTableMetrics"),
    "plot_list_jobsPerPage": (25, "jobList_jobsPerPage"),
    "plot_general_colorBackground": (False, "plotConfiguration_colorBackground"),
    "plot_general_colorscheme": (["#112233", "#445566"], "plotConfiguration_colorScheme"),
    "plot_general_lineWidth": (5, "plotConfiguration_lineWidth"),
    "plot_view_plotsPerRow": (4, "plotConfiguration_plotsPerRow"),
    "plot_view_showPolarplot": (False, "jobView_showPolarPlot"),
    "plot_view_showRoofline": (False, "jobView_showRoofline"),
    "plot_view_showStatTable": (False, "jobView_showStatTable"),
    "system_view_selectedMetric": ("mem_used", "nodeOverview_selectedMetric"),
}


def test_settings_of_older_interfaces_are_read(open_page: OpenPage, site: Site) -> None:
    page = open_page("sue", "/config")
    with settings_of(page, site, **{key: None for _, key in OLD.values()}):
        with page.expect_navigation():
            read_file(page, {old: value for old, (value, _) in OLD.items()})
        config = stored(page)
        for value, key in OLD.values():
            assert config[key] == value, key
        # A list of metrics for no cluster in particular holds everywhere.
        page.goto(f"{site.url}/monitoring/job/{site.wide}")
        expect(page.get_by_test_id("plot-mem_used")).to_have_attribute("data-state", "ready")
        expect(page.get_by_test_id("plot-cpu_load")).to_have_count(0)


def test_summary_of_a_job_is_what_was_chosen(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", f"/monitoring/job/{site.wide}")
    panel = page.get_by_test_id("panel-footprint")
    bars = page.get_by_test_id(f"footprint-{site.wide}").or_(panel.get_by_text("Averages are computed"))
    columns = """() => getComputedStyle(document.querySelector('[data-testid^=jobinfo-]').parentElement)
        .gridTemplateColumns.split(' ').length"""

    def reload() -> None:
        page.reload()
        expect(page.get_by_test_id("plot-cpu_load")).to_have_attribute("data-state", "ready")

    expect(page.get_by_test_id("polar-open")).to_be_visible()  # this site shows both
    expect(bars).to_be_visible()
    with settings_of(page, site, jobView_showFootprint=False):
        reload()
        expect(page.get_by_test_id("plot-polar")).to_be_visible()
        expect(bars).to_have_count(0)
        expect(page.get_by_test_id("polar-open")).to_have_count(0)
        assert page.evaluate(columns) == 3
        with settings_of(page, site, jobView_showPolarPlot=False):
            reload()
            expect(panel).to_have_count(0)
            assert page.evaluate(columns) == 2  # the others have its room
            with settings_of(page, site, jobView_showRoofline=False):
                reload()
                assert page.evaluate(columns) == 1
    with settings_of(page, site, jobView_showPolarPlot=False):
        reload()
        expect(bars).to_be_visible()
        expect(page.get_by_test_id("plot-polar")).to_have_count(0)
