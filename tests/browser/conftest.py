"""Chromium against a real server: one of each for all browser tests, a fresh profile per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

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
def sessions() -> dict[str, Any]:
    """Cookies by account: the server refuses more than a few log-ins of one account in a short time."""
    return {}


@pytest.fixture
def open_page(chromium: Browser, site: Site, sessions: dict[str, Any]) -> Iterator[OpenPage]:
    """Opens a path as an account (password = name); script errors and dialogs fail the test at its end."""
    troubles: list[str] = []

    def note(text: str, afterwards: Callable[[], None] = lambda: None) -> None:
        troubles.append(text)
        afterwards()

    with ExitStack() as cleanup:

        def open_as(user: str, path: str, **options: Any) -> Page:
            context = chromium.new_context(viewport={"width": 1440, "height": 900}, **options)
            cleanup.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
            page.on("dialog", lambda dialog: note(f"dialog: {dialog.message}", dialog.dismiss))
            page.on("console", lambda entry: note(entry.text) if _is_trouble(entry) else None)
            if user and user not in sessions:
                answer = context.request.post(
                    f"{site.url}/login", form={"username": user, "password": user}, max_redirects=0
                )
                assert answer.status == 302, answer.text()
                sessions[user] = context.cookies()
            elif user:
                context.add_cookies(sessions[user])
            page.goto(site.url + path)
            return page

        yield open_as
    assert not troubles, troubles


def _is_trouble(entry: Any) -> bool:
    # A refused request is the subject of some tests; policy violations and warnings of the code are not.
    return entry.type == "error" and "Failed to load resource" not in entry.text
