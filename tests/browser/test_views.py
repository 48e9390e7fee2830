"""What holds for every view: it loads, fits a phone, and is free of serious accessibility violations.

Contract: spec/web-ui.md 2.1, 7.3, 7.5, 10 (general).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.site_data import Site
from tests.conftest import ROOT

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

VIEWS = [
    "/",
    "/monitoring/jobs/",
    "/monitoring/job/{wide}",
    "/monitoring/compare?sel={wide},{gpu}",
    "/monitoring/users/",
    "/monitoring/projects/",
    "/monitoring/user/ute",
    "/monitoring/tags/",
    "/monitoring/systems/small",
    "/monitoring/systems/small?view=plots",
    "/monitoring/systems/small?view=map",
    "/monitoring/systems/list/small",
    "/monitoring/node/small/n01",
    "/monitoring/analysis/small",
    "/monitoring/status/small",
    "/monitoring/status/detail/small",
    "/monitoring/status/detail/small?tab=metrics",
    "/monitoring/status/detail/small?tab=usage",
    "/monitoring/dashboard/small",
    "/monitoring/logs",
    "/config",
    "/config?tab=admin",
]


def address(view: str, site: Site) -> str:
    return view.format(wide=site.wide, gpu=site.gpu)


def settled(page: Page) -> None:
    """Waits until the view has a heading and no panel waits for its data any more."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator("[data-state=loading]")).to_have_count(0)
    for row in page.locator("[data-testid^=job-row-]").all():
        row.scroll_into_view_if_needed()  # a row in sight asks for its data, one that leaves gives up
        expect(row).to_have_attribute("data-state", re.compile("ready|empty|error"))
    page.evaluate("window.scrollTo(0, 0)")
    expect(page.locator(".waiting")).to_have_count(0)
    expect(page.locator("[data-state=loading]")).to_have_count(0)
    standing_still(page)


def standing_still(page: Page) -> None:
    """Waits for transitions: what is half faded in has no contrast yet."""
    page.evaluate(
        """() => Promise.all(document.getAnimations()
            .filter(one => one.effect.getComputedTiming().iterations !== Infinity)
            .map(one => one.finished.catch(() => null)))"""
    )


def violations(page: Page) -> list[str]:
    """Serious and critical findings of axe-core, one line each."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)"
    )
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_accessible_in_both_themes_and_on_a_phone(open_page: OpenPage, site: Site, view: str) -> None:
    page = open_page("root", address(view, site), color_scheme="light")
    settled(page)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    standing_still(page)
    assert violations(page) == []
    for width in (390, 320):  # 320: also what is left of 1280 pixels at 400 %
        page.set_viewport_size({"width": width, "height": 844})
        expect(page.get_by_test_id("nav-menu")).to_have_count(0 if "dashboard" in view else 1)
        # Plots follow a moment later.
        page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)


def test_titles_name_the_view(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/systems/small")
    expect(page).to_have_title(re.compile("^Cluster small Node Overview - "))
    page.goto(f"{site.url}/monitoring/node/small/n01")
    expect(page).to_have_title(re.compile("^Node n01 - "))


def test_roles_see_the_menus_they_may_use(open_page: OpenPage) -> None:
    page = open_page("ute", "/")
    for there in ("nav-mine", "nav-jobs", "nav-tags", "nav-settings"):
        expect(page.get_by_test_id(there)).to_be_visible()
    for hidden in ("nav-users", "nav-projects", "nav-info", "nav-nodes", "nav-status", "nav-logs"):
        expect(page.get_by_test_id(hidden)).to_have_count(0)
    page = open_page("root", "/")
    for there in ("nav-mine", "nav-jobs", "nav-tags", "nav-users", "nav-projects", "nav-info"):
        expect(page.get_by_test_id(there)).to_be_visible()
    page.set_viewport_size({"width": 1600, "height": 900})
    for there in ("nav-nodes", "nav-analysis", "nav-status", "nav-logs"):
        expect(page.get_by_test_id(there)).to_be_visible()


def test_pages_of_others_are_refused(open_page: OpenPage, site: Site) -> None:
    page = open_page("ute", "/")
    for path in (
        "systems/small",
        "systems/list/small",
        "node/small/n01",
        "analysis/small",
        "status/small",
        "logs",
    ):
        answer = page.request.get(f"{site.url}/monitoring/{path}")
        assert answer.status == 403, path


def test_single_keys_lead_to_views(open_page: OpenPage) -> None:
    page = open_page("root", "/")
    settled(page)
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile("/monitoring/jobs/$"))
    page.keyboard.press("?")
    expect(page.get_by_test_id("dialog-keys")).to_contain_text("go to nodes")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("dialog-keys")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_test_id("search")).to_be_focused()


def test_no_view_contains_inline_script() -> None:
    built = Path(ROOT / "ccserver" / "web" / "index.html").read_text()
    scripts = re.findall(r"<script(?![^>]*src=)(?![^>]*application/json)", built)
    assert scripts == []


def test_search_suggests_while_typing(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/monitoring/jobs/")
    search = page.get_by_test_id("search")
    search.press_sequentially("100")
    jobs = page.locator("[role=option][data-kind=job]")
    expect(jobs.filter(has_text="1001")).to_have_count(1)
    search.press("ArrowDown")
    expect(search).to_have_attribute("aria-activedescendant", "suggestion-0")
    search.press("Escape")
    expect(jobs).to_have_count(0)
    search.fill("1001")
    expect(jobs).to_have_count(1)
    search.press("ArrowDown")
    search.press("Enter")
    expect(page).to_have_url(re.compile(rf"/monitoring/job/{site.wide}$"))


def test_search_without_a_choice_is_answered_by_the_server(open_page: OpenPage, site: Site) -> None:
    page = open_page("root", "/")
    page.get_by_test_id("search").fill("username: ute")
    page.get_by_test_id("search").press("Enter")
    expect(page).to_have_url(re.compile(r"/monitoring/users/\?user=ute&startTime=last30d"))
    page.get_by_test_id("search").fill("a:b:c")
    page.get_by_test_id("search").press("Enter")
    expect(page.get_by_role("searchbox")).to_have_value("a:b:c")
