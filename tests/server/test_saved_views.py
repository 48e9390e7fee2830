"""Saved views, renamed tags, health of the service. Contract: spec/web-ui.md 3.6, 6.7, 6.17, 9.14."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.running import Server


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """A job of ute in the project lab, which max manages."""
    job = {
        "jobId": 8801, "cluster": "small", "subCluster": "main", "user": "ute", "project": "lab",
        "numNodes": 1, "walltime": 3600, "shared": "none", "startTime": 1_700_000_000,
        "resources": [{"hostname": "n01"}],
    }  # fmt: skip
    with server.client() as client:
        assert client.post("/api/jobs/start_job/", json=job).status_code == 201
    return server


def save(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/frontend/views/", data={"route": "/monitoring/jobs/", "name": "mine"} | form)


def names(server: Server, user: str) -> list[tuple[str, bool]]:
    with server.browser(user) as client:
        return [(view["name"], view["own"]) for view in client.get("/frontend/views/").json()]


def test_a_view_is_private_until_shared_with_a_project(filled: Server) -> None:
    with filled.browser("ute") as ute:
        assert save(ute, query="state=running").status_code == 201
        assert names(filled, "ute") == [("mine", True)]
        assert names(filled, "max") == []
        again = save(ute, query="state=failed", project="lab")
        assert again.status_code == 201
        assert names(filled, "ute") == [("mine", True)]  # replaced
        assert names(filled, "max") == [("mine", False)]
        assert names(filled, "both") == []  # sees no job of lab
        with filled.browser("max") as other:  # deletes own ones only
            other.delete("/frontend/views/", params={"id": again.json()["id"]})
        assert names(filled, "max") == [("mine", False)]
        ute.delete("/frontend/views/", params={"id": again.json()["id"]})
    assert names(filled, "max") == names(filled, "ute") == []


def test_what_is_no_view_is_refused(filled: Server) -> None:
    with filled.browser("ute") as ute:
        assert save(ute, name=" ").status_code == 400
        assert save(ute, name="x" * 101).status_code == 400
        assert save(ute, route="https://evil.example/").status_code == 400
        assert save(ute, query="x" * 5000).status_code == 400
        assert save(ute, project="secret").status_code == 403


def test_views_somebody_wrote_as_a_setting_are_checked(filled: Server) -> None:
    bad = '[{"id": "1", "name": "n", "route": "javascript:alert(1)", "query": "", "project": "lab"}, 7]'
    with filled.browser("both") as client:
        form = {"key": "ui_savedViews", "value": bad}
        assert client.post("/frontend/configuration/", data=form).status_code == 200
    assert names(filled, "both") == []
    assert names(filled, "max") == []


def tag(client: httpx.Client, type: str, name: str, scope: str) -> int:
    query = (
        "mutation($t: String!, $n: String!, $s: String!) { createTag(type: $t, name: $n, scope: $s) {id} }"
    )
    answer = client.post("/query", json={"query": query, "variables": {"t": type, "n": name, "s": scope}})
    return int(answer.json()["data"]["createTag"]["id"])


def test_a_tag_is_renamed_by_whoever_may_delete_it(filled: Server) -> None:
    def rename(client: httpx.Client, id: int, **form: Any) -> int:
        return client.post(f"/frontend/tags/{id}", data={"type": "t", "name": "new"} | form).status_code

    with filled.browser("root") as root, filled.browser("sue") as sue, filled.browser("ute") as ute:
        public, private = tag(root, "t", "old", "global"), tag(ute, "p", "own", "ute")
        assert rename(sue, public) == 403
        assert rename(ute, public) == 403
        assert rename(root, private) == 403
        assert rename(root, public) == 200
        assert rename(ute, private) == 422  # there is such a tag now
        assert rename(ute, private, name="other") == 200
        assert rename(ute, private, name="") == 400
        assert rename(root, 999_999) == 404
        listed = ute.post("/query", json={"query": "{tags {type name}}"}).json()["data"]["tags"]
        assert {"type": "t", "name": "new"} in listed
        assert {"type": "t", "name": "other"} in listed


def test_health_of_the_parts(filled: Server) -> None:
    with filled.browser("sue") as sue:
        assert sue.get("/frontend/health/").status_code == 403
    with filled.browser("root") as root:
        before = {one["name"]: one for one in root.get("/frontend/health/").json()}
        assert before["Collectors of small"]["state"] == "failed"
        assert before["Metric store"]["state"] == "ok"
        with filled.client() as adapter:
            line = "cpu_load,cluster=small,hostname=n01,type=node value=1"
            assert adapter.post("/api/write/", content=line).status_code == 200
        after = {one["name"]: one for one in root.get("/frontend/health/").json()}
        assert after["Collectors of small"]["state"] == "ok"
        assert after["Collectors of small"]["text"].startswith("1 of 1 nodes send")
