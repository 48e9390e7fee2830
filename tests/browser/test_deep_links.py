"""A link leads where it says after any kind of login. Contract: spec/web-ui.md 2.5, 8."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.auth.provider import CLIENT, SECRET, provider
from tests.browser.conftest import Visits
from tests.server.running import Server, set_up

WANTED = "/monitoring/jobs/?state=failed&jobName=a%26b%2B%C3%A4&sort=energy%3Aasc"
SHARED = b"a secret that both sites know, long enough for HS512............"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("deep") / "site"
    folder.mkdir()
    server = set_up(folder)
    with provider() as there:
        there.user = {"preferred_username": "ann", "name": "Ann Example"}
        there.extra = {"realm_access": {"roles": ["user"]}}
        with (folder / ".env").open("a") as file:
            file.write(f'OID_CLIENT_ID="{CLIENT}"\nOID_CLIENT_SECRET="{SECRET}"\n')
            file.write(f'CROSS_LOGIN_JWT_HS512_KEY="{base64.b64encode(SHARED).decode()}"\n')
        oidc = {"provider": there.url, "sync-user-on-login": True}
        server.configure(lambda config: config["auth"].update({"oidc": oidc}))
        server.start()
        yield server
        server.stop()


def lands(page: Page, server: Server) -> None:
    expect(page).to_have_url(server.url + WANTED)
    expect(page.get_by_test_id("filter-pill-jobName")).to_contain_text("a&b+ä")
    expect(page.get_by_test_id("filter-pill-state")).to_contain_text("failed")


@pytest.mark.parametrize("way", ["password", "oidc", "jwt"])
def test_diff_22_deep_links_survive_every_login(visits: Visits, server: Server, way: str) -> None:
    page = visits.page()
    answer = page.goto(server.url + WANTED)
    assert answer is not None
    assert answer.status == 401
    if way == "password":
        page.fill("#username", "ute")
        page.fill("#password", "ute")
        page.click("button[type=submit]")
    elif way == "oidc":
        page.locator("a[href^='/oidc-login']").click()
    else:
        claims = {"sub": "ute", "roles": ["user"], "exp": int(time.time()) + 300}
        token = jwt.encode(claims, SHARED, algorithm="HS512")
        page.goto(f"{server.url}/jwt-login?{urlencode({'login-token': token, 'redirect': WANTED})}")
    lands(page, server)
