"""Reports of the content security policy. Contract: spec/web-ui.md 7.7."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.running import Server


@pytest.fixture
def server(template: Path, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "site"
    shutil.copytree(template, folder)
    server = Server(folder)
    server.configure()
    server.start()
    yield server
    server.stop()


def old_form(blocked: str) -> str:
    report = {
        "document-uri": "http://monitor/monitoring/jobs/?user=secretuser",
        "effective-directive": "script-src-elem",
        "blocked-uri": blocked,
    }
    return json.dumps({"csp-report": report})


def test_a_kind_of_violation_is_logged_once_and_without_what_was_searched(server: Server) -> None:
    new_form = json.dumps(
        [{"type": "csp-violation", "body": {"effectiveDirective": "img-src", "blockedURL": "inline"}}]
    )
    for body in (old_form("http://evil/x.js?q=secretuser"), old_form("http://evil/x.js"), new_form):
        assert httpx.post(f"{server.url}/frontend/csp", content=body).status_code == 204
    assert server.log.count("stopped 'http://evil/x.js' on 'http://monitor/monitoring/jobs/'") == 1
    assert "img-src" in server.log
    assert "secretuser" not in server.log
    policy = httpx.get(f"{server.url}/login").headers["content-security-policy"]
    assert policy.endswith("report-uri /frontend/csp")


def test_whatever_is_sent_is_answered(server: Server) -> None:
    bodies = [
        "",
        "{",
        "[]",
        "[1]",
        "{}",
        '{"csp-report": []}',
        '{"csp-report": {"blocked-uri": "http://[x"}}',
    ]
    for body in bodies:
        assert httpx.post(f"{server.url}/frontend/csp", content=body).status_code == 204, body
    assert httpx.post(f"{server.url}/frontend/csp", content=b"x" * 100_000).status_code == 413
    assert "Traceback" not in server.log


def test_many_kinds_do_not_fill_the_log(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        for number in range(150):
            client.post("/frontend/csp", content=old_form(f"http://evil{number}/line\nbreak"))
    assert server.log.count("content security policy") == 100
    assert "\nbreak" not in server.log
