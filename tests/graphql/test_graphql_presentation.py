"""Presentation mode: no name leaves, pseudonyms are understood. Contract: spec/web-ui.md 9.20."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ccserver.graphql.scalars import rfc3339
from ccserver.model.job import Tag
from ccserver.pseudonyms import Kind, Names
from tests.graphql.graphql_world import IDS, NOW, PRINCIPALS, World

SECRET = "of one session"
NAMES = (
    "alice",
    "bob",
    "carol",
    "Alice A.",
    "Bob A.",
    "@example.org",
    "md_run",
    '"p1"',
    '"p2"',
    '"c0',
    '"g1"',
)


@pytest.fixture
def stage(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same world; root and mona show it to others."""
    for name in ("root", "mona"):
        monkeypatch.setitem(PRINCIPALS, name, replace(PRINCIPALS[name], presentation=SECRET))
    return world


def names(world: World) -> Names:
    return world.site.names(PRINCIPALS["root"])


JOBS = """query($f: [JobFilter!]) { jobs(filter: $f) { count items { id jobId user project metaData
  userData { username name email } resources { hostname } tags { name scope } hints { title detail }
  concurrentJobs { listQuery } } } }"""
WINDOW = f'from: "{rfc3339(NOW - 600)}", to: "{rfc3339(NOW)}"'
EVERYTHING = [
    JOBS,
    "{ clusters { name subClusters { name nodes } } tags { name scope } }",
    "{ jobsStatistics(groupBy: USER) { id name totalJobs } }",
    "{ jobsStatistics(groupBy: PROJECT) { id name totalJobs } }",
    f'{{ nodeMetrics(cluster: "tc", {WINDOW}) {{ host metrics {{ metric {{ series {{ hostname }} }} }} }} }}',
    f"""{{ nodeMetricsList(cluster: "tc", subCluster: "", stateFilter: "all", nodeFilter: "",
        scopes: ["node"], metrics: ["cpu_load"], {WINDOW})
        {{ items {{ host nodeState metrics {{ metric {{ series {{ hostname }} }} }} }} }} }}""",
    "{ nodesWithMeta { items { hostname metaData healthData } } }",
    'query($id: ID!) { jobMetrics(id: $id, scopes: ["node"]) { metric { series { hostname } } } }',
    """query($id: ID!) { scopedJobStats(id: $id, metrics: ["cpu_load"], scopes: ["node"])
        { stats { hostname } } }""",
    'query($id: ID!) { jobMetricGrid(id: $id, metric: "cpu_load", scope: "node", cols: 3) { rows } }',
    f'{{ nodeJobs(cluster: "tc", host: "g1", {WINDOW}) {{ user project }} }}',
    '{ user(username: "alice") { username name email } }',
    "{ node(id: 1) { hostname } }",
]


@pytest.mark.parametrize("text", EVERYTHING, ids=range(len(EVERYTHING)))
def test_no_name_is_in_an_answer(stage: World, text: str) -> None:
    stage.site.jobs.set_metadata(IDS[1001], "jobScript", "#!/bin/bash\n# by alice\n")
    more = {"id": IDS[1005]} if "$id" in text else {}
    answer = json.dumps(stage.ask("root", text, **more))
    assert not [name for name in (*NAMES, "#!/bin") if name in answer], answer
    assert '"data": null' not in answer or "errors" in answer


def test_the_answers_are_not_simply_empty(stage: World) -> None:
    shown = names(stage).shown
    found = stage.data("root", JOBS, f=[])["jobs"]["items"]
    first = next(job for job in found if job["jobId"] == 1001)
    user = shown(Kind.USER, "alice")
    assert (first["user"], first["project"]) == (user, shown(Kind.PROJECT, "p1"))
    assert first["metaData"] == {"jobName": shown(Kind.JOB_NAME, "md_run")}
    assert first["userData"]["username"] == user
    assert first["resources"] == [{"hostname": shown(Kind.HOST, "c01")}]
    groups = stage.data("root", EVERYTHING[2])["jobsStatistics"]
    assert {one["id"]: one["totalJobs"] for one in groups}[user] == 2
    hosts = {one["host"] for one in stage.data("root", EVERYTHING[4])["nodeMetrics"]}
    assert shown(Kind.HOST, "g1") in hosts
    nodes = stage.data("root", EVERYTHING[1])["clusters"][0]["subClusters"][0]["nodes"]
    assert nodes.split(",")[0] == shown(Kind.HOST, "c01")


@pytest.mark.parametrize(
    ("member", "kind", "real", "count"),
    [
        ("user", Kind.USER, "alice", 2),
        ("project", Kind.PROJECT, "p1", 3),
        ("jobName", Kind.JOB_NAME, "md_run", 1),
        ("node", Kind.HOST, "c01", 2),
    ],
)
def test_a_filter_takes_pseudonyms(stage: World, member: str, kind: Kind, real: str, count: int) -> None:
    shown = names(stage).shown(kind, real)

    def counted(**condition: Any) -> int:
        return int(stage.data("root", JOBS, f=[{member: condition}])["jobs"]["count"])

    assert counted(eq=shown) == counted(**{"in": [shown, "user-none"]}) == count
    assert counted(contains=shown[2:]) == counted(startsWith=shown) == counted(endsWith=shown[-5:]) == count
    assert counted(eq=real) == counted(contains=real) == 0  # who guesses a name does not learn whose it is


def test_nodes_are_asked_for_by_pseudonyms(stage: World) -> None:
    host = names(stage).shown(Kind.HOST, "c02")
    text = "query($f: [NodeFilter!]) { nodes(filter: $f) { items { hostname schedulerState } } }"
    [found] = stage.data("root", text, f=[{"hostname": {"contains": host[3:]}}])["nodes"]["items"]
    assert found == {"hostname": host, "schedulerState": "idle"}
    listed = EVERYTHING[5].replace('nodeFilter: ""', f'nodeFilter: "{host[3:]}"')
    assert [one["host"] for one in stage.data("root", listed)["nodeMetricsList"]["items"]] == [host]
    jobs = EVERYTHING[10].replace('"g1"', f'"{names(stage).shown(Kind.HOST, "g1")}"')
    assert stage.data("root", jobs)["nodeJobs"]
    assert stage.data("root", EVERYTHING[10])["nodeJobs"] == []


def test_rights_stay_those_of_the_account(stage: World) -> None:
    shown = names(stage).shown
    found = stage.data("mona", JOBS, f=[])["jobs"]
    assert {job["project"] for job in found["items"]} == {shown(Kind.PROJECT, "p1")}
    account = stage.data(
        "mona", "query($n: String!) { user(username: $n) { username } }", n=shown(Kind.USER, "bob")
    )
    assert account["user"] == {"username": shown(Kind.USER, "bob")}


def test_errors_name_nobody(stage: World) -> None:
    host = names(stage).shown(Kind.HOST, "c02")
    text = f'{{ nodeMetrics(cluster: "alice", nodes: ["{host}"], {WINDOW}) {{ host }} }}'
    message = stage.ask("root", text)["errors"][0]["message"]
    assert message == f"no such cluster: {names(stage).shown(Kind.USER, 'alice')}"


def test_settings_are_not_kept_and_private_tags_are_ones_own(stage: World) -> None:
    stage.data("root", 'mutation { updateConfiguration(name: "seen", value: "1") }')
    assert "seen" not in stage.site.users.configuration("root")
    me = names(stage).shown(Kind.USER, "root")
    made = stage.data("root", f'mutation {{ createTag(type: "t", name: "n", scope: "{me}") {{ id scope }} }}')
    assert made["createTag"]["scope"] == me
    assert stage.site.tags.get(int(made["createTag"]["id"])) == Tag(
        "t", "n", "root", int(made["createTag"]["id"])
    )


def test_pseudonyms_differ_between_sessions(world: World) -> None:
    first, second = (world.site.names(replace(PRINCIPALS["root"], presentation=one)) for one in ("a", "b"))
    assert first.shown(Kind.USER, "alice") != second.shown(Kind.USER, "alice")
    assert first.shown(Kind.USER, "alice") != first.shown(Kind.PROJECT, "alice").replace("project", "user")
    assert world.site.names(PRINCIPALS["root"]).shown(Kind.USER, "alice") == "alice"
