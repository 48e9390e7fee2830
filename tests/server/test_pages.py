"""Pages, static files, and what holds for every answer. Contract: spec/web-ui.md 2, spec/operations.md 4."""

from __future__ import annotations

import json
import re
import socket
import time

import pytest

from tests.server.running import Server

STATUS = "/monitoring/status/small"
LEVELS = {
    "/": {"ute", "max", "sue", "boss"},
    "/config": {"ute", "max", "sue", "boss"},
    "/monitoring/jobs/": {"ute", "max", "sue", "boss"},
    "/monitoring/tags/": {"ute", "max", "sue", "boss"},
    "/monitoring/users/": {"max", "sue", "boss"},
    "/monitoring/projects/": {"max", "sue", "boss"},
    "/monitoring/systems/small": {"sue", "boss"},
    "/monitoring/systems/list/small/main": {"sue", "boss"},
    "/monitoring/node/small/n01": {"sue", "boss"},
    "/monitoring/analysis/small": {"sue", "boss"},
    STATUS: {"boss"},
    "/monitoring/logs": {"boss"},
}


@pytest.mark.parametrize("path", LEVELS)
def test_pages_by_level(server: Server, path: str) -> None:
    for name in ("ute", "max", "sue", "boss"):
        with server.browser(name) as client:
            assert client.get(path).status_code == (200 if name in LEVELS[path] else 403), name


def test_what_is_not_there_or_not_for_you_is_404(server: Server) -> None:
    with server.browser("boss") as client:
        for path in ("/nope", "/monitoring/status/big", "/monitoring/job/1x", "/monitoring/job/99999",
                     "/monitoring/user/nobody", "/monitoring/node/small/n99"):  # fmt: skip
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert "404 Page Not Found" in answer.text
    with server.browser("ute") as client:
        assert client.get("/monitoring/user/max").status_code == 404
        assert client.get("/monitoring/user/ute").status_code == 200
    with server.browser("max") as client:  # manages no project of ute
        assert client.get("/monitoring/user/ute").status_code == 404
    with server.browser("sue") as client:
        assert client.get("/monitoring/user/ute").status_code == 200


def test_a_page_begins_with_its_data(server: Server) -> None:
    with server.browser("ute") as client:
        page = client.get("/monitoring/user/ute")
        assert "<title>User ute - ccserver</title>" in page.text
        found = re.search(r'id="boot">(.*?)</script>', page.text)
        assert found
        boot = json.loads(found[1])
        assert boot["user"]["username"] == "ute"
        assert boot["user"]["authLevel"] == 2
        assert boot["page"] == {"name": "user", "params": {"username": "ute"}}
        assert boot["clusters"] == [{"name": "small", "subClusters": ["main"], "partitions": []}]
        assert boot["config"]["jobList_hideShortRunningJobs"] == 300
        assert "script-src 'self'" in page.headers["content-security-policy"]


def test_first_page_after_a_login_is_the_one_set(server: Server) -> None:
    def logged_in_to() -> str:
        form = {"username": "max", "password": "max"}
        with server.client("") as client:
            return str(client.post("/login", data=form).headers["location"])

    with server.browser("max") as client:
        for value, target in (('"/monitoring/jobs/"', "/monitoring/jobs/"), ("null", "/")):
            setting = {"key": "ui_landing", "value": value}
            assert client.post("/frontend/configuration/", data=setting).status_code == 200
            assert logged_in_to() == target
            assert ('"ui_landing"' in client.get("/").text) == (target != "/")


def test_texts_cannot_leave_the_data_block(server: Server) -> None:
    with server.browser("boss") as client:
        for content in ("<img src=x>", ""):
            client.post("/config/notice/", data={"new-content": content})
            page = client.get("/").text
            assert "<img" not in page
            assert ("\\u003cimg src=x\\u003e" in page) == bool(content)
        page = client.get("/search", params={"searchId": "name:<img src=x>"}).text
        assert "<img src=x" not in page
        assert "&lt;img src=x&gt;" in page


def test_the_other_slash_form_of_a_page_redirects(server: Server) -> None:
    with server.browser("ute") as client:
        answer = client.get("/monitoring/jobs?state=running")
        assert (answer.status_code, answer.headers["location"]) == (308, "/monitoring/jobs/?state=running")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("jobId:12", "/monitoring/jobs/?jobId=12"),
        ("12", "/monitoring/jobs/?jobId=12"),
        ("projectId: lab ", "/monitoring/jobs/?projectMatch=eq&project=lab"),
        ("username:ute", "/monitoring/users/?user=ute&startTime=last30d"),
        (' jobName : "a:b" ', "&jobName=a%3Ab"),
        ("ute", "/monitoring/user/ute"),
    ],
)
def test_search(server: Server, text: str, target: str) -> None:
    with server.browser("boss") as client:
        answer = client.get("/search", params={"searchId": text})
        assert answer.status_code == 302
        assert answer.headers["location"].endswith(target)


def test_a_search_that_leads_nowhere_shows_a_message(server: Server) -> None:
    with server.browser("ute") as client:
        for text, why in (
            ("", "The search is empty"),
            ("color:red", "There is no search for"),
            ("username:max", "Nothing was found"),
            ("jobId:soon", "jobId takes a number"),
            ("a:b:c", "as type:query"),
            ("jobName:", "as type:query"),
        ):
            answer = client.get("/search", params={"searchId": text})
            assert answer.status_code == 200
            assert why in answer.text, text
        assert client.get("/search", params={"searchId": "ute"}).headers["location"] == "/monitoring/user/ute"
        assert client.get("/search", params={"searchId": "max"}).headers["location"].endswith("&jobName=max")


def test_unknown_paths_of_interfaces_are_json(server: Server) -> None:
    with server.client("") as client:
        for path in ("/api/nope", "/userapi/nope/", "/frontend/nope", "/config/nope"):
            answer = client.get(path)
            assert answer.status_code == 404
            assert answer.json() == {
                "status": "Resource not found",
                "error": "the requested endpoint does not exist",
            }
        wrong = client.delete("/api/jobs/")
        assert (wrong.status_code, wrong.content) == (405, b"")
        assert "GET" in wrong.headers["allow"]


def test_security_headers_are_everywhere(server: Server) -> None:
    with server.client("") as client:
        for path in ("/", "/login", "/api/jobs/", "/nope", "/assets/nope.js", "/api/write", "/healthz"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "same-origin"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "Origin" in headers["vary"]
            assert "strict-transport-security" not in headers
        assert "strict-transport-security" in client.get("/", headers={"X-Forwarded-Proto": "https"}).headers


def test_cross_origin_requests(server: Server) -> None:
    with server.client("") as client:
        header = "Access-Control-Request-Headers"
        asked = {"Origin": "https://e", "Access-Control-Request-Method": "POST"}
        allowed = client.options("/api/nope", headers=asked | {header: "authorization"})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in allowed.headers
        refused = client.options("/api/jobs/", headers=asked | {header: "x-auth-token"})
        assert refused.status_code == 200
        assert "access-control-allow-origin" not in refused.headers
        plain = client.get("/api/jobs/", headers={"Origin": "https://e"})
        assert plain.headers["access-control-allow-origin"] == "*"


def test_cross_site_writes_are_blocked(server: Server) -> None:
    with server.client() as client:
        for path in ("/api/write", "/logout", "/query"):
            answer = client.post(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert (answer.status_code, answer.text) == (403, "cross-site request blocked")
        assert client.post("/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
        assert client.get("/login", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_answers_are_compressed_when_asked(server: Server) -> None:
    with server.client() as client:
        packed = client.get("/api/clusters/", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["vary"]
        plain = client.get("/api/clusters/", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert packed.json() == plain.json()


@pytest.mark.parametrize(
    "target",
    ["/assets/../index.html", "/assets/%2e%2e/index.html", "/img/../../.env", "/assets/..%2f..%2fapp.py",
     "/.env", "/config.json", "/assets/", "/img", "/index.html", "/login.html", "//etc/passwd"],
)  # fmt: skip
def test_only_built_files_are_served(server: Server, target: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.split()[1] in (b"404", b"401")


def test_liveness_and_readiness(server: Server) -> None:
    with server.client("") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_notice(server: Server) -> None:
    with server.browser("boss") as client:
        answer = client.post("/config/notice/", data={"new-content": "<b>down</b> on Monday"})
        assert answer.text == "Update Notice Content Success"
        assert "\\u003cb\\u003edown" in client.get("/").text
        assert client.post("/config/notice/", data={"new-content": "x" * 10001}).status_code == 400
        assert client.post("/config/notice/", data={"new-content": ""}).text == "Empty Notice Content Success"


def test_graphql_is_reached(server: Server) -> None:
    with server.browser("ute") as client:
        answer = client.post("/query", json={"query": "{ clusters { name } }"})
        assert answer.json() == {"data": {"clusters": [{"name": "small"}]}}
        refused = client.get("/query")
        assert (refused.status_code, refused.json()["data"]) == (400, None)
        assert refused.json()["errors"][0]["message"] == "transport not supported"
    with server.client("") as client:
        assert client.post("/query", json={"query": "{ clusters { name } }"}).status_code == 401


def test_a_long_body_does_not_hold_up_others(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as slow, server.client() as client:
        head = f"POST /api/jobs/start_job/ HTTP/1.1\r\nhost: x\r\nx-auth-token: {server.token('adapter')}\r\n"
        slow.sendall(f"{head}content-length: 1000\r\n\r\n{{".encode())
        time.sleep(0.1)
        assert client.get("/healthz").status_code == 200
