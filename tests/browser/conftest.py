"""Chromium against real servers: one of each for all browser tests, a fresh profile per test.

`site` is a small cluster whose curves are known by heart, `centre` the large seed of spec/web-ui.md 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import centre as centre_seed
from tests.browser.centre import Centre
from tests.browser.site_data import Site, build
from tests.conftest import ROOT, require_program

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
]

OpenPage = Callable[..., Page]

expect.set_options(
    timeout=20_000
)  # ms; the live state moves every five seconds, slow machines take their time


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = require_program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (ROOT / "ccserver" / "web" / "index.html").is_file():
        pytest.fail("the web interface is not built; run `python frontend/build.py`")
    site = build(Path(tmp_path_factory.mktemp("browser")))
    yield site
    site.api.close()
    site.server.stop()


@pytest.fixture(scope="package")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    centre = centre_seed.build(Path(tmp_path_factory.mktemp("centre")))
    yield centre
    centre.api.close()
    centre.server.stop()


@pytest.fixture(scope="package")
def sessions() -> dict[str, Any]:
    """Cookies by account: the server refuses more than a few log-ins of one account in a short time."""
    return {}


class Visits:
    """Pages of fresh profiles; what goes wrong in them is noted."""

    def __init__(self, chromium: Browser, cleanup: ExitStack) -> None:
        self.troubles: list[str] = []
        self._chromium = chromium
        self._cleanup = cleanup

    def page(self, **options: Any) -> Page:
        context = self._chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self._cleanup.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        page.on("dialog", self._dialog)
        page.on("console", lambda entry: self.troubles.append(entry.text) if _is_trouble(entry) else None)
        return page

    def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visits(chromium: Browser) -> Iterator[Visits]:
    """Script errors, policy violations and dialogs fail the test at its end."""
    with ExitStack() as cleanup:
        visits = Visits(chromium, cleanup)
        yield visits
    assert not visits.troubles, visits.troubles


@pytest.fixture
def open_page(visits: Visits, site: Site, sessions: dict[str, Any]) -> OpenPage:
    """Opens a path of the small site as an account (password = name)."""

    def open_as(user: str, path: str, **options: Any) -> Page:
        page = visits.page(**options)
        if user and user not in sessions:
            answer = page.request.post(
                f"{site.url}/login", form={"username": user, "password": user}, max_redirects=0
            )
            assert answer.status == 302, answer.text()
            sessions[user] = page.context.cookies()
        elif user:
            page.context.add_cookies(sessions[user])
        page.goto(site.url + path)
        return page

    return open_as


@pytest.fixture
def visit(visits: Visits, centre: Centre) -> OpenPage:
    """Opens a path of the computing centre as an account."""

    def open_as(user: str, path: str, **options: Any) -> Page:
        page = visits.page(**options)
        if user:
            page.context.add_cookies([centre.session(user)])
        page.goto(centre.url + path)
        return page

    return open_as


def enter(page: Page, path: str) -> None:
    """Follows a link inside the page, as a click does."""
    page.evaluate(
        "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path
    )


def _is_trouble(entry: Any) -> bool:
    # A refused request is the subject of some tests; policy violations and warnings of the code are not.
    return entry.type == "error" and "Failed to load resource" not in entry.text
