"""Presentation mode over HTTP: pseudonyms wherever the pages ask. Contract: spec/web-ui.md 9.20."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ccserver.auth.guards import Group
from ccserver.rest.routes import TABLE
from tests.server.running import Server
from tests.server.test_boot import boot

JOB = {
    "jobId": 77, "user": "ute", "project": "lab", "cluster": "small", "numNodes": 1, "partition": "main",
    "resources": [{"hostname": "n01"}], "walltime": 3600, "shared": "none", "numHwthreads": 2,
    "metaData": {"jobName": "secret_code", "jobScript": "#!/bin/bash\nexport KEY=1\n", "message": "of ute"},
}  # fmt: skip
REAL = re.compile(r"\b(ute|max|sue|boss|lab|n0[1-3]|secret_code)\b|#!/bin|KEY=1")
QUERY = (
    '{ jobs(filter: [{jobId: {eq: "77"}}]) { items { id user project resources { hostname } metaData } } }'
)


@pytest.fixture(scope="module")
def job(server: Server) -> int:
    with server.client() as api:
        answer = api.post("/api/jobs/start_job/", json={**JOB, "startTime": int(time.time()) - 600})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])


@pytest.fixture
def stage(server: Server, job: int) -> Iterator[httpx.Client]:
    """An admin who has switched the mode on."""
    with server.browser("boss") as client:
        switch(client, on=True)
        yield client


def switch(client: httpx.Client, *, on: bool) -> None:
    answer = client.post("/frontend/presentation/", data={"on": str(on).lower()})
    assert answer.status_code == 200, answer.text
    value = re.match(r"session=([^;]+)", answer.headers["set-cookie"])
    assert value
    client.cookies.clear()
    client.cookies.set("session", value[1])


def shown(client: httpx.Client) -> dict[str, Any]:
    [found] = client.post("/query", json={"query": QUERY}).json()["data"]["jobs"]["items"]
    return dict(found)


def test_it_is_switched_on_and_off_in_one_session(server: Server, job: int) -> None:
    with server.browser("boss") as client, server.browser("boss") as other:
        assert shown(client)["user"] == "ute"
        switch(client, on=True)
        assert boot(client)["presentation"] is True
        first = shown(client)
        assert not REAL.search(json.dumps(first)), first
        assert shown(client) == first
        assert first["metaData"].keys() == {"jobName"}
        assert shown(other)["user"] == "ute"
        switch(client, on=False)
        assert shown(client)["user"] == "ute"
        switch(client, on=True)
        assert shown(client)["user"] != first["user"]


def test_only_admins_switch_it_on(server: Server) -> None:
    for name in ("ute", "max", "sue"):
        with server.browser(name) as client:
            assert client.post("/frontend/presentation/", data={"on": "true"}).status_code == 403
    with server.browser("boss") as client:
        assert client.post("/frontend/presentation/", data={"on": "maybe"}).status_code == 400


def test_pages_are_found_under_pseudonyms_only(stage: httpx.Client) -> None:
    found = shown(stage)
    user, host = found["user"], found["resources"][0]["hostname"]
    for path in (f"/monitoring/user/{user}", f"/monitoring/node/small/{host}", "/monitoring/jobs/", "/"):
        page = stage.get(path)
        assert page.status_code == 200, path
        assert not REAL.search(page.text), path
    assert boot(stage, f"/monitoring/user/{user}")["page"]["params"] == {"username": user}
    for path in ("/monitoring/user/ute", "/monitoring/node/small/n01"):
        assert stage.get(path).status_code == 404
    me = boot(stage)["user"]
    assert me["username"].startswith("user-")
    assert stage.get(f"/monitoring/user/{me['username']}").status_code == 200


def test_the_search_finds_pseudonyms(stage: httpx.Client) -> None:
    found = shown(stage)

    def target(text: str) -> str:
        return str(stage.get("/search", params={"searchId": text}).headers["location"])

    assert target(found["user"]) == f"/monitoring/user/{found['user']}"
    assert target(found["project"]).endswith(f"project={found['project']}")
    assert "jobName=ute" in target("ute")  # as of any word that is no name here
    for text, kind in (
        (found["user"], "user"),
        (found["project"], "project"),
        (found["resources"][0]["hostname"], "node"),
        (found["metaData"]["jobName"], "job"),
    ):
        answer = stage.get("/frontend/suggest", params={"q": text[2:]})
        assert kind in {one["kind"] for one in answer.json()}
        assert not REAL.search(answer.text)
    for real in ("ute", "lab", "n01", "secret_code"):
        assert stage.get("/frontend/suggest", params={"q": real}).json() == []


def test_exports_carry_pseudonyms(stage: httpx.Client, job: int) -> None:
    found = shown(stage)
    for kind in ("csv", "json"):
        answer = stage.get(f"/frontend/export/jobs.{kind}", params={"user": found["user"]})
        assert found["user"] in answer.text
        assert not REAL.search(answer.text)
        assert "user-" not in stage.get(f"/frontend/export/jobs.{kind}", params={"user": "ute"}).text
        metrics = stage.get(f"/frontend/export/job/{job}/metrics.{kind}")
        assert not REAL.search(metrics.text)
    assert stage.get(f"/frontend/export/job/{job}/job.json").status_code == 403


def test_accounts_and_views_are_listed_without_names(server: Server, stage: httpx.Client) -> None:
    with server.browser("boss") as client:
        form = {
            "name": "those of ute",
            "route": "/monitoring/user/ute",
            "query": "user=ute&node=n01&state=running",
        }
        assert client.post("/frontend/views/", data=form).status_code == 201
    accounts = stage.get("/config/users/")
    assert len(accounts.json()) >= 5
    assert not REAL.search(accounts.text.replace('"admin"', ""))
    views = stage.get("/frontend/views/")
    [view] = views.json()
    assert not REAL.search(views.text)
    found = shown(stage)
    assert view["route"] == f"/monitoring/user/{found['user']}"
    assert f"user={found['user']}" in view["query"]
    assert "state=running" in view["query"]
    assert not REAL.search(json.dumps(boot(stage)))


def test_events_carry_pseudonyms(stage: httpx.Client) -> None:
    host = shown(stage)["resources"][0]["hostname"]
    with stage.stream("GET", "/frontend/events", params={"topics": "status.small"}) as stream:
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert host in json.loads(data[6:])["hosts"]
    assert not REAL.search(data)


def test_every_route_of_the_pages_is_closed_unless_it_says_otherwise(stage: httpx.Client, job: int) -> None:
    pages = (Group.FRONTEND, Group.CONFIG_API)
    closed = [route for route in TABLE if route.group in pages and not route.presentable]
    assert {"/frontend/jwt/", "/frontend/logs/", "/config/notice/"} <= {route.rule for route in closed}
    for route in closed:
        path = re.sub(r"<\w+>", str(job), route.rule)
        for method in route.methods.split():
            answer = stage.request(method, path)
            assert (answer.status_code, "presentation mode" in answer.text) == (403, True), (method, path)


def test_a_display_names_no_node(stage: httpx.Client) -> None:
    answer = stage.get("/frontend/display/small")
    assert answer.status_code == 200
    assert not REAL.search(answer.text)
