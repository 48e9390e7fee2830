"""Login at a real OpenID Connect provider through a real server. Contract: spec/operations.md 2.9, S18."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from itsdangerous.url_safe import URLSafeTimedSerializer

from ccserver.auth.users import UserRepository
from ccserver.database import open_database
from ccserver.model.user import SOURCE_OIDC
from tests.auth.provider import CLIENT, SECRET, Provider, provider
from tests.server.running import Server, ccserver, free_port

ANN = {"preferred_username": "ann", "name": "Ann Example"}


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Provider]]:
    folder = tmp_path_factory.mktemp("oidc") / "site"
    shutil.copytree(template, folder)
    server = Server(folder)
    with provider() as there:
        with (folder / ".env").open("a") as file:
            file.write(f'OID_CLIENT_ID="{CLIENT}"\nOID_CLIENT_SECRET="{SECRET}"\n')
        oidc = {"provider": there.url, "sync-user-on-login": True}
        server.configure(lambda config: config["auth"].update({"oidc": oidc}))
        server.start()
        yield server, there
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log, server.log
        assert SECRET not in server.log


@pytest.fixture
def there(site: tuple[Server, Provider]) -> Provider:
    """The provider as it is when nobody tampers with it."""
    state = site[1]
    fresh = Provider(port=state.port, key=state.key, key_name=state.key_name, user=dict(ANN))
    state.__dict__.update(fresh.__dict__)
    return state


@pytest.fixture
def browser(site: tuple[Server, Provider]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site[0].url, timeout=30) as client:
        yield client


def came_back(browser: httpx.Client, path: str = "/oidc-login") -> httpx.Response:
    """Away to the provider and back to the callback, which is not followed."""
    return browser.get(returning(browser, path))


def returning(browser: httpx.Client, path: str = "/oidc-login") -> str:
    away = browser.get(path)
    assert away.status_code == 302
    return httpx.get(away.headers["location"]).headers["location"]


def session(answer: httpx.Response) -> dict[str, Any]:
    """The content of the session cookie; it is signed, not secret."""
    _, found = URLSafeTimedSerializer("").loads_unsafe(answer.cookies["session"])
    assert isinstance(found, dict)
    return found


def test_the_login_page_leads_there(browser: httpx.Client) -> None:
    assert 'href="/oidc-login?redirect=' in browser.get("/monitoring/jobs/?a=b").text


def test_departure(browser: httpx.Client, there: Provider) -> None:
    away = browser.get("/oidc-login", headers={"X-Forwarded-Proto": "https", "Host": "jobs.example.org"})
    query = parse_qs(urlsplit(away.headers["location"]).query)
    assert query["redirect_uri"] == ["https://jobs.example.org/oidc-callback"]
    cookies = {line.partition("=")[0]: line for line in away.headers.get_list("set-cookie")}
    for name in ("state", "verifier", "nonce"):
        for part in ("Max-Age=3600", "HttpOnly", "SameSite=Lax", "Path=/", "; Secure"):
            assert part in cookies[name]
    assert len(query["state"][0]) == len(query["nonce"][0]) == 32
    assert query["state"] != parse_qs(urlsplit(browser.get("/oidc-login").headers["location"]).query)["state"]
    assert "Secure" not in browser.get("/oidc-login").headers["set-cookie"]


def test_login(browser: httpx.Client, there: Provider, site: tuple[Server, Provider]) -> None:
    there.extra = {
        "realm_access": {"roles": ["support", "api", "offline_access"]},
        "resource_access": {CLIENT: {"roles": ["manager"]}, "wiki": {"roles": ["admin"]}},
        "projects": ["lab", 7],
    }
    answer = came_back(browser)
    assert (answer.status_code, answer.headers["location"]) == (302, "/")
    gone = [line for line in answer.headers.get_list("set-cookie") if "Max-Age=0" in line]
    assert {line.partition("=")[0] for line in gone} == {"state", "verifier", "nonce", "redirect"}
    found = session(answer)
    assert (found["u"], found["r"], found["p"], found["s"]) == (
        "ann", ["manager", "support"], ["lab"], SOURCE_OIDC
    )  # fmt: skip
    assert '"username":"ann"' in browser.get("/").text
    database = open_database(site[0].folder / "var/job.db")
    account = UserRepository(database).get("ann")
    database.close()
    assert account is not None
    assert (account.name, account.source) == ("Ann Example", SOURCE_OIDC)


def test_the_wanted_page_survives(browser: httpx.Client, there: Provider) -> None:
    answer = came_back(browser, "/oidc-login?redirect=%2Fmonitoring%2Fjobs%2F%3Fa%3Db%26c%3D%C3%A4")
    assert answer.headers["location"].startswith("/monitoring/jobs/?a=b&c=")
    for target in ("https://e", "//e", "/%5Ce"):
        assert came_back(browser, f"/oidc-login?redirect={target}").headers["location"] == "/"
    browser.cookies.set("redirect", b"//evil.example.org".hex())
    assert came_back(browser).headers["location"] == "/"


def test_without_roles_one_is_a_user(browser: httpx.Client, there: Provider) -> None:
    there.extra = {"resource_access": {"wiki": {"roles": ["admin"]}}, "realm_access": "admin"}
    assert session(came_back(browser))["r"] == ["user"]


def test_the_id_token_may_name_the_user(browser: httpx.Client, there: Provider) -> None:
    there.user, there.extra = {}, {"preferred_username": "bea"}
    assert session(came_back(browser))["u"] == "bea"


def test_nobody_without_name(browser: httpx.Client, there: Provider) -> None:
    there.user = {"preferred_username": ""}
    answer = came_back(browser)
    assert answer.status_code == 400
    assert "session" not in browser.cookies


@pytest.mark.parametrize("cookie", ["state", "verifier", "nonce"])
def test_every_cookie_is_needed(browser: httpx.Client, there: Provider, cookie: str) -> None:
    target = returning(browser)
    del browser.cookies[cookie]
    assert browser.get(target).status_code == 400
    assert "session" not in browser.cookies


@pytest.mark.parametrize(("cookie", "status"), [("state", 400), ("nonce", 400), ("verifier", 500)])
def test_a_login_somebody_else_began(
    browser: httpx.Client, there: Provider, cookie: str, status: int
) -> None:
    target = returning(browser)
    value = browser.cookies[cookie]
    browser.cookies.clear()
    browser.get("/oidc-login")
    other = browser.cookies[cookie]
    assert other != value
    target = returning(browser)
    browser.cookies.delete(cookie)
    browser.cookies.set(cookie, value)
    assert browser.get(target).status_code == status
    assert "session" not in browser.cookies


@pytest.mark.parametrize("change", ["code=", "state=x", "code=x"])
def test_parameters_of_the_callback(browser: httpx.Client, there: Provider, change: str) -> None:
    target = urlsplit(returning(browser))
    name, _, value = change.partition("=")
    query = {key: values[0] for key, values in parse_qs(target.query).items()} | {name: value}
    answer = browser.get("/oidc-callback", params=query)
    assert answer.status_code == (500 if change == "code=x" else 400)
    assert "session" not in browser.cookies


def test_a_code_works_once(browser: httpx.Client, there: Provider) -> None:
    target = returning(browser)
    helpers = dict(browser.cookies)
    assert browser.get(target).status_code == 302
    browser.cookies.clear()
    browser.cookies.update(helpers)
    assert browser.get(target).status_code == 500


STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TAMPERED: dict[str, tuple[dict[str, Any], int]] = {
    "another key": ({"signing_key": STRANGER}, 500),
    "signed with the client secret": ({"signing_key": SECRET * 4, "algorithm": "HS256"}, 500),
    "not signed": ({"signing_key": "", "algorithm": "none"}, 500),
    "another issuer": ({"extra": {"iss": "https://else"}}, 500),
    "another client": ({"extra": {"aud": "wiki"}}, 500),
    "expired": ({"extra": {"exp": int(time.time()) - 60}}, 500),
    "without expiry": ({"extra": {"exp": None}}, 500),
    "another nonce": ({"extra": {"nonce": "n"}}, 400),
    "without nonce": ({"extra": {"nonce": None}}, 400),
    "without ID token": ({"id_token": False}, 500),
    "user of another subject": ({"userinfo_subject": "subject-2"}, 500),
    "userinfo fails": ({"fail": "/userinfo"}, 500),
    "token endpoint fails": ({"fail": "/token"}, 500),
}


@pytest.mark.parametrize(("change", "status"), TAMPERED.values(), ids=TAMPERED)
def test_tampered(browser: httpx.Client, there: Provider, change: dict[str, Any], status: int) -> None:
    there.__dict__.update(change)
    answer = came_back(browser)
    assert answer.status_code == status, answer.text
    assert "session" not in browser.cookies
    assert "Traceback" not in answer.text


def test_a_new_key_of_the_provider_is_found(
    browser: httpx.Client, there: Provider, site: tuple[Server, Provider]
) -> None:
    assert came_back(browser).status_code == 302
    time.sleep(0.1)
    there.key, there.key_name = rsa.generate_private_key(public_exponent=65537, key_size=2048), "key-2"
    # Keys are looked up at most every ten seconds; a stranger cannot make us ask more often.
    statuses = {came_back(browser).status_code}
    end = time.monotonic() + 30
    while 302 not in statuses and time.monotonic() < end:
        time.sleep(1)
        statuses.add(came_back(browser).status_code)
    assert 302 in statuses


def test_without_the_provider_the_server_does_not_start(installation: Server) -> None:
    nowhere = {"provider": f"http://127.0.0.1:{free_port()}"}
    installation.configure(lambda config: config["auth"].update({"oidc": nowhere}))
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "/auth/oidc/provider" in done.stderr
