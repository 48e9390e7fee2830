"""Every view without a network, after a reload and for the Tab key. Contract: spec/web-ui.md 10 (general)."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, enter
from tests.browser.site_data import Site
from tests.browser.test_views import VIEWS, address, settled

DATA = re.compile(r"^(?!.*/(assets|img)/).*$")  # everything but the program itself
READ_FROM_ELSEWHERE = ("/config", "/monitoring/logs")  # views without data of their own, or by REST alone
VIEWS_WITH_DATA = [view for view in VIEWS if not view.startswith(READ_FROM_ELSEWHERE)]


@pytest.mark.parametrize("view", VIEWS_WITH_DATA)
def test_a_view_entered_without_a_network_says_so_and_follows_later(
    open_page: OpenPage, site: Site, view: str
) -> None:
    page = open_page("root", "/config")
    settled(page)
    page.route(DATA, lambda route: route.abort("internetdisconnected"))
    page.route(re.compile("/img/logo"), lambda route: route.abort("internetdisconnected"))
    page.evaluate("window.samePage = true")
    enter(page, address(view, site))
    expect(page.get_by_test_id("offline")).to_be_visible()
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.get_by_role("button", name="Retry").first).to_be_visible()
    page.unroute_all()
    page.get_by_test_id("offline").get_by_role("button").click()
    expect(page.get_by_test_id("offline")).to_have_count(0)
    settled(page)
    expect(page.locator("[data-state=error]")).to_have_count(0)
    expect(page.get_by_text("Not up to date")).to_have_count(0)
    assert page.evaluate("window.samePage")


def facts(page: Page) -> list[str]:
    """What stands on the page, without what moves by itself."""
    settled(page)
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('h1, h2, th, [data-testid]')].map(one => [
            one.tagName, one.dataset.testid ?? '', one.dataset.state ?? '', one.dataset.scope ?? '',
            /^(H|TH)/.test(one.tagName) ? one.innerText.replace(/[0-9.,:]+/g, '#') : ''].join(' '))"""
    )
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_a_reload_shows_the_same(open_page: OpenPage, site: Site, view: str) -> None:
    page = open_page("root", address(view, site))
    before, url = facts(page), page.url
    page.reload()
    assert page.url == url
    assert facts(page) == before


CONTROLS = """() => {
    const kinds = 'a[href], button, input, select, textarea, summary, [tabindex]';
    window.controls = [...document.querySelectorAll(kinds)].filter(
        one => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true})
            && !(one.type === 'radio' && !one.checked));
    return window.controls.length;
}"""


@pytest.mark.parametrize("view", VIEWS)
def test_the_tab_key_reaches_every_control(open_page: OpenPage, site: Site, view: str) -> None:
    page = open_page("root", address(view, site))
    settled(page)
    controls = page.evaluate(CONTROLS)
    assert controls > 3
    reached: set[int] = set()
    for _ in range(controls + 10):  # rows that come into view may bring some more
        page.keyboard.press("Tab")
        reached.add(page.evaluate("window.controls.indexOf(document.activeElement)"))
    missed = page.evaluate(
        """reached => window.controls.filter((one, at) => one.isConnected && !reached.includes(at))
            .map(one => one.outerHTML.slice(0, 120))""",
        list(reached),
    )
    assert missed == []
