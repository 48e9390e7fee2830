"""Who gets in where: tokens, sessions, roles. Contract: spec/operations.md 2."""

from __future__ import annotations

import base64
import time

import httpx
import jwt
import pytest

from tests.server.running import Server

JOBS, USER_JOBS, WRITE = "/api/jobs/", "/userapi/jobs/", "/api/write"
CONFIG, FRONTEND, PAGE = "/config/users/", "/frontend/jwt/?username=", "/config"

# which of the paths above a token, resp. a session, of an account opens
BY_TOKEN = {
    "root": {JOBS, USER_JOBS, WRITE, PAGE},
    "adapter": {JOBS, USER_JOBS, WRITE, PAGE},
    "both": {USER_JOBS, WRITE, PAGE},
    "ute": {PAGE},
    "sue": {PAGE},
    "boss": {PAGE},
}
BY_SESSION = {
    "root": {CONFIG, FRONTEND, PAGE},
    "boss": {CONFIG, FRONTEND, PAGE},
    "ute": {FRONTEND, PAGE},
    "sue": {FRONTEND, PAGE},
}


def opens(client: httpx.Client, path: str, name: str) -> bool:
    if path == WRITE:
        answer = client.post(path)
    elif path == FRONTEND:
        answer = client.get(path + name)
    else:
        answer = client.get(path)
    assert answer.status_code in (200, 401), f"{path}: {answer.status_code} {answer.text}"
    if answer.status_code == 401 and path != PAGE:
        assert answer.json()["status"] == "Unauthorized"
    return answer.status_code == 200


@pytest.mark.parametrize("name", BY_TOKEN)
def test_tokens(server: Server, name: str) -> None:
    with server.client(name) as client:
        paths = (JOBS, USER_JOBS, WRITE, CONFIG, FRONTEND, PAGE)
        assert {path for path in paths if opens(client, path, name)} == BY_TOKEN[name]


@pytest.mark.parametrize("name", BY_SESSION)
def test_sessions(server: Server, name: str) -> None:
    with server.browser(name) as client:
        paths = (JOBS, USER_JOBS, WRITE, CONFIG, FRONTEND, PAGE)
        assert {path for path in paths if opens(client, path, name)} == BY_SESSION[name]


def test_nobody_gets_in_without_credentials(server: Server) -> None:
    with server.client("") as client:
        assert client.get(JOBS).json() == {"status": "Unauthorized", "error": "no user for secured check"}
        assert client.get(USER_JOBS).json() == {"status": "Unauthorized", "error": "unauthorized"}
        page = client.get("/monitoring/jobs/?state=running")
        assert page.status_code == 401
        assert 'value="/monitoring/jobs/?state=running"' in page.text


def test_a_token_may_come_as_bearer_or_bare(server: Server) -> None:
    token = server.token("adapter")
    with server.client("") as client:
        for value in (f"Bearer {token}", token):
            assert client.get(JOBS, headers={"Authorization": value}).status_code == 200
        basic = base64.b64encode(b"a:b").decode()
        mixed = {"Authorization": f"Basic {basic}", "X-Auth-Token": token}
        assert client.get(JOBS, headers=mixed).status_code == 200


def test_broken_tokens(server: Server) -> None:
    lines = (server.folder / ".env").read_text().splitlines()
    keys = dict(line.replace('"', "").split("=", 1) for line in lines if line.startswith("JWT"))
    public = base64.b64decode(keys["JWT_PUBLIC_KEY"])
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    own = Ed25519PrivateKey.from_private_bytes(base64.b64decode(keys["JWT_PRIVATE_KEY"])[:32])
    claims = {"sub": "root", "roles": ["admin", "api"]}
    now = int(time.time())
    broken = [
        "nonsense",
        jwt.encode(claims, public, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        jwt.encode(claims | {"exp": now - 1}, own, algorithm="EdDSA"),
        jwt.encode(claims | {"nbf": now + 60}, own, algorithm="EdDSA"),
        jwt.encode({"roles": ["admin", "api"]}, own, algorithm="EdDSA"),
        jwt.encode({"sub": "root", "roles": "admin,api"}, own, algorithm="EdDSA"),
    ]
    good = claims | {"exp": now + 60, "nbf": now - 60, "aud": "somebody", "iat": now + 1000, "iss": "else"}
    with server.client("") as client:
        for token in broken:
            assert client.get(JOBS, headers={"X-Auth-Token": token}).status_code == 401
        good_token = jwt.encode(good, own, algorithm="EdDSA")
        assert client.get(JOBS, headers={"X-Auth-Token": good_token}).status_code == 200


def test_a_broken_token_is_not_followed_by_the_session(server: Server) -> None:
    with server.browser("root") as client:
        answer = client.get("/", headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("text/plain")


def test_login_sets_a_cookie_and_returns_to_the_wanted_page(server: Server) -> None:
    with server.client("") as client:
        form = {"username": "ute", "password": "ute", "redirect": "/monitoring/jobs/?a=b"}
        answer = client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/monitoring/jobs/?a=b")
        cookie = answer.headers["set-cookie"]
        for part in ("session=", "Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=604800"):
            assert part in cookie
        assert "Secure" not in cookie
        proxied = client.post("/login", data=form, headers={"X-Forwarded-Proto": "https"})
        assert "; Secure" in proxied.headers["set-cookie"]
        assert "strict-transport-security" in proxied.headers


@pytest.mark.parametrize(
    ("name", "target"),
    [("both", "https://e"), ("both", "//e"), ("both", "/\\e"), ("both", "javascript:1"), ("both", "/\te"),
     ("sue", "/a\x7f"), ("sue", "e"), ("sue", "/a\\..\\e")],
)  # fmt: skip
def test_login_never_leads_elsewhere(server: Server, name: str, target: str) -> None:
    form = {"username": name, "password": name, "redirect": target}
    with server.client("") as client:
        answer = client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (302, "/")


def test_wrong_password_and_unknown_user_look_the_same(server: Server) -> None:
    with server.client("") as client:
        wrong = client.post("/login", data={"username": "sue", "password": "no"})
        unknown = client.post("/login", data={"username": "nobody", "password": "no"})
        assert (wrong.status_code, unknown.status_code) == (401, 401)
        assert wrong.text == unknown.text
        assert "set-cookie" not in wrong.headers
        passwordless = client.post("/login", data={"username": "max", "password": "x" * 100})
        assert passwordless.status_code == 401


def test_five_attempts_then_a_pause(server: Server) -> None:
    with server.client("") as client:
        texts = [
            client.post(
                "/login",
                data={"username": "guess", "password": "no"},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
            ).text
            for number in range(6)
        ]
        assert "Too many" not in texts[4]
        assert "Too many" in texts[5]
        assert client.post("/login", data={"username": "other", "password": "no"}).status_code == 401


def test_a_worthless_cookie_is_cleared_and_does_not_lock_out(server: Server) -> None:
    with server.browser("boss") as client:
        value = client.cookies["session"]
        for bad in ("garbage", value[:-2], value + "x", "", value.replace("e", "f", 1)):
            headers = {"Cookie": f"session={bad}"}
            page = httpx.get(server.url + "/", headers=headers)
            assert page.status_code == 401
            if bad:
                assert "session=;" in page.headers["set-cookie"]
                assert "Max-Age=0" in page.headers["set-cookie"]
            out = httpx.post(server.url + "/logout", headers=headers)
            assert out.status_code == 200
        assert client.get("/").status_code == 200


def test_logout(server: Server) -> None:
    with server.client("") as client:
        client.post("/login", data={"username": "max", "password": "max"})
        assert client.get("/").status_code == 200
        assert client.get("/logout").status_code == 405
        answer = client.post("/logout")
        assert "Logout successful" in answer.text
        assert "session" not in client.cookies
        assert client.get("/").status_code == 401


def test_tokens_from_the_page(server: Server) -> None:
    with server.browser("ute") as client:
        own = client.get("/frontend/jwt/?username=ute")
        assert jwt.decode(own.text, options={"verify_signature": False})["sub"] == "ute"
        assert client.get("/frontend/jwt/?username=root").status_code == 403
        assert client.get("/frontend/users/").json()["status"] == "Resource not found"


def test_accounts_by_web(server: Server) -> None:
    with server.browser("root") as client:
        form = {"username": "neu", "password": "secret", "role": "user"}
        assert client.post("/config/users/", data=form).status_code == 200
        assert client.post("/config/users/", data=form).status_code == 422
        assert client.post("/config/users/", data=form | {"role": "wizard"}).status_code == 400
        assert client.post("/config/users/", data=form | {"username": ""}).status_code == 400
        assert (
            client.post("/config/users/", data=form | {"username": "m", "role": "manager"}).status_code == 400
        )
        changed = client.post("/config/user/neu", data={"add-role": "manager"})
        assert changed.json() == {"msg": "Add Role Success"}
        assert client.post("/config/user/neu", data={"add-role": "manager"}).status_code == 422
        assert client.post("/config/user/neu", data={}).status_code == 400
        account = next(one for one in client.get("/config/users/").json() if one["username"] == "neu")
        assert account == {
            "username": "neu", "name": "", "email": "", "roles": ["user", "manager"], "projects": [],
            "authType": 0, "authSource": 0,
        }  # fmt: skip
        assert client.request("DELETE", "/config/users/", data={"username": "neu"}).status_code == 200
        assert client.get("/config/roles/").json() == ["api", "user", "manager", "support", "admin"]
    with server.client("adapter") as client:
        assert client.get("/api/users/").status_code == 403
    with server.client("root") as client:
        changed = client.post("/api/user/both", json={"add-role": "support"})
        assert changed.json() == {"msg": "Add Role Success for user both"}
        assert client.post("/api/user/both", json={"remove-role": "support"}).status_code == 200
        assert client.post("/api/user/both", json={"nonsense": "x"}).status_code == 400


def test_own_settings(server: Server) -> None:
    with server.browser("sue") as client:
        form = {"key": "plotConfiguration_lineWidth", "value": "5"}
        assert client.post("/frontend/configuration/", data=form).text == "success"
        assert '"plotConfiguration_lineWidth":5' in client.get("/config").text
        assert client.post("/frontend/configuration/", data=form | {"value": "{"}).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "search=$(id)", "search=a;b", "since=--file=/etc/passwd", "lines=0", "lines=x", "lines=-1",
        "lines=" + "9" * 5000, "level=8",
    ],
)  # fmt: skip
def test_log_viewer_takes_plain_words_only(server: Server, query: str) -> None:
    with server.browser("boss") as client:
        assert client.get(f"/frontend/logs/?{query}").status_code == 400
    with server.browser("sue") as client:
        assert client.get("/frontend/logs/").status_code == 403


def test_machine_states_need_a_directory(server: Server) -> None:
    with server.client() as client:
        assert client.put("/api/machine_state/small/n01", content="{}").status_code == 404


def test_machine_states(installation: Server) -> None:
    installation.configure(lambda config: config["main"].update({"machine-state-dir": "./var/machines"}))
    installation.start()
    try:
        with installation.client() as client:
            assert client.get("/api/machine_state/small/n01").status_code == 404
            assert client.put("/api/machine_state/small/n01", content='{"a": 1}').status_code == 201
            found = client.get("/api/machine_state/small/n01")
            assert (found.json(), "last-modified" in found.headers) == ({"a": 1}, True)
            for path in (
                "..%2f..%2fetc/passwd", "small/..%2f..%2fx", "small/a%5cb", "small/a/b",
                f"small/{'n' * 251}", f"{'c' * 300}/n01",
            ):  # fmt: skip
                assert client.get(f"/api/machine_state/{path}").status_code == 400, path
                assert client.put(f"/api/machine_state/{path}", content="{}").status_code == 400, path
            assert client.put(f"/api/machine_state/small/{'n' * 250}", content="{}").status_code == 201
    finally:
        assert installation.stop() == 0
