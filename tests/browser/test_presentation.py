"""Presentation mode: nothing that a page of the session fetches names anybody.

Contract: spec/web-ui.md 9.20.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from playwright.sync_api import Error, Page, Response, expect

from tests.browser.centre import ACCOUNTS, FORMULA, ODD_PROJECT, Centre
from tests.browser.conftest import OpenPage, Visits
from tests.browser.test_views import violations

FULL = [full for _, full, _ in ACCOUNTS.values() if full]
USERS = ["alice", "bob", "carl", "manny", "sue", "root1", "adapter", "apionly"]
REAL = re.compile(
    r"\b(" + "|".join(USERS) + r"|user\d\d|proj\d\d|[abg][1-9]\d?|a\[1-9,10-40\]|run-\d+|live-\d+)\b"
    + "|mü&|" + "|".join(map(re.escape, [*FULL, ODD_PROJECT, quote(ODD_PROJECT), FORMULA]))
    + r"|#!/bin|\bsrun\b|line two"
)  # fmt: skip
PROGRAM = re.compile(r"/(assets|img)/|\.(js|css|svg|png|ico|woff2?)$|/frontend/events")
"""The program, and the stream of events, which never ends (tests/server/test_presentation.py reads it)."""


VIEWS = [
    "/",
    "/monitoring/jobs/",
    "/monitoring/jobs/?view=groups",
    "/monitoring/job/{J1}",
    "/monitoring/job/{J2}",
    "/monitoring/job/{J3}",
    "/monitoring/job/{J5}",
    "/monitoring/job/{J7}",
    "/monitoring/compare?sel={J2},{J8}",
    "/monitoring/users/",
    "/monitoring/projects/",
    "/monitoring/tags/",
    "/monitoring/systems/alpha",
    "/monitoring/systems/alpha?view=plots",
    "/monitoring/systems/alpha?view=map",
    "/monitoring/systems/list/alpha",
    "/monitoring/analysis/alpha?startTime=last30d",
    "/monitoring/status/alpha",
    "/monitoring/status/detail/alpha",
    "/monitoring/status/detail/alpha?tab=metrics",
    "/monitoring/status/detail/alpha?tab=usage",
    "/monitoring/status/detail/alpha?tab=alerts",
    "/monitoring/dashboard/alpha",
    "/monitoring/logs",
    "/monitoring/logs?tab=health",
    "/config",
    "/config?tab=admin",
    "/config?tab=account",
]


def watch(page: Page) -> list[Response]:
    found: list[Response] = []
    page.on("response", lambda one: None if PROGRAM.search(one.url) else found.append(one))
    return found


def loaded(page: Page) -> None:
    """Waits until the view stands and what lies in sight has its data; a long list goes on below."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator("[data-state=loading]")).to_have_count(0)
    page.wait_for_function(
        """() => [...document.querySelectorAll('.waiting')].every(one => {
            const {top, bottom} = one.getBoundingClientRect();
            return bottom < 0 || top > innerHeight;
        })"""
    )


def leaks(responses: list[Response]) -> list[str]:
    """Real names in bodies, with where they came from and what is around them."""
    found = []
    for response in responses:
        try:
            text = response.text()
        except Error:  # aborted, or a redirect
            continue
        for match in REAL.finditer(text):
            around = text[max(match.start() - 60, 0) : match.end() + 20]
            found.append(f"{response.url} {(response.request.post_data or '')[:80]}: {around}")
            break
    return found


def presenting(visits: Visits, centre: Centre) -> Page:
    page = visits.page()
    page.context.add_cookies([centre.session("root1", presentation=True)])
    return page


def test_no_view_fetches_a_real_name(visits: Visits, centre: Centre) -> None:
    page = presenting(visits, centre)
    responses = watch(page)
    queries = 0
    page.goto(f"{centre.url}/monitoring/jobs/?jobId=5001")
    loaded(page)
    row = page.get_by_test_id(f"job-row-{centre.jobs['J1']}")
    expect(row).to_contain_text(re.compile(r"user-[a-z2-7]{8}"))
    user = page.locator("a[href^='/monitoring/user/']", has_text="user-").first.get_attribute("href") or ""
    for view in [*VIEWS, user]:
        path = view.format(**centre.jobs)
        page.goto(centre.url + path)
        loaded(page)
        text = page.locator("body").inner_text()
        assert not REAL.search(text), (path, REAL.search(text))
        assert leaks(responses) == []
        queries += sum(one.url.endswith("/query") for one in responses)
        responses.clear()  # the browser forgets the bodies with the page
    assert queries > len(VIEWS)


def test_links_filters_and_the_search_work_with_pseudonyms(visits: Visits, centre: Centre) -> None:
    page = presenting(visits, centre)
    page.goto(f"{centre.url}/monitoring/job/{centre.jobs['J8']}")
    link = page.locator("main a[href^='/monitoring/user/']").first
    user = link.inner_text()
    assert re.fullmatch(r"user-[a-z2-7]{8}", user)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(user)
    count = centre.count("root1", [{"user": {"eq": "bob"}}])
    page.goto(f"{centre.url}/monitoring/jobs/?user={user}")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(rf"^{count} jobs?$"))
    page.goto(f"{centre.url}/search?searchId={user}")
    expect(page).to_have_url(f"{centre.url}/monitoring/user/{user}")
    page.goto(f"{centre.url}/monitoring/jobs/?user=bob")
    expect(page.get_by_text("No jobs found")).to_be_visible()


def test_an_administrator_switches_it_on_and_off(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/config?tab=admin")
    expect(page.get_by_test_id("presenting")).to_have_count(0)
    page.get_by_test_id("presentation-switch").click()
    expect(page.get_by_test_id("presenting")).to_be_visible()
    page.goto(f"{centre.url}/monitoring/users/")
    table = page.get_by_test_id("table-users")
    expect(table).to_contain_text(re.compile("user-[a-z2-7]{8}"))
    expect(table).not_to_contain_text("alice")
    assert violations(page) == []
    page.get_by_test_id("presenting-off").click()
    expect(page.get_by_test_id("presenting")).to_have_count(0)
    page.goto(f"{centre.url}/monitoring/users/")
    expect(table).to_contain_text("alice")


def test_others_are_not_offered_it(visit: OpenPage) -> None:
    page = visit("sue", "/config?tab=admin")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("presentation-switch")).to_have_count(0)
