"""Every operation for every role: who gets an answer, and what the others are told.

Contract: spec/graphql.md 4 and 14, spec/README.md (an API-only token opens what it lists).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ccserver.graphql.scalars import rfc3339
from ccserver.graphql.schema import core_schema
from ccserver.model.job import Tag
from tests.graphql.graphql_world import IDS, NOW, World

ROLES = ("root", "sue", "mona", "bob", "alice", "script")
"""Admin, support, manager of p1, users (bob of p2, alice of p1), API-only token."""

OK = ""
MISSING = "sql: no rows in result set"
STAFF = "you need to be administrator or support staff for this query"
UNKNOWN_ROLE = "user has no or unknown roles"
FORBIDDEN = "forbidden"
NO_TAG = "not authorized to"

EVERYBODY = dict.fromkeys(ROLES, OK)


def only(*allowed: str, others: str) -> dict[str, str]:
    return {role: OK if role in allowed else others for role in ROLES}


BOBS_JOB = only("root", "sue", "bob", "script", others=MISSING)
WINDOW = f'from: "{rfc3339(NOW - 600)}", to: "{rfc3339(NOW)}"'
ROOFLINE = "rows: 2, cols: 2, minX: 0.01, minY: 1, maxX: 1000, maxY: 1000"
LIST = 'subCluster: "", stateFilter: "all", nodeFilter: "", scopes: ["node"], metrics: ["cpu_load"]'

OPERATORS = only("root", "sue", others=UNKNOWN_ROLE)
STAFF_ONLY = only("root", "sue", others=STAFF)

QUERIES: dict[str, tuple[str, Mapping[str, str]]] = {
    "clusters": ("clusters { name }", EVERYBODY),
    "tags": ("tags { id }", EVERYBODY),
    "globalMetrics": ("globalMetrics { name }", EVERYBODY),
    "user": (
        'user(username: "bob") { username }',
        only("root", "sue", "mona", "bob", others=FORBIDDEN),
    ),
    "allocatedNodes": ('allocatedNodes(cluster: "tc") { count }', EVERYBODY),
    "freeResources": ('freeResources(cluster: "tc") { cores }', EVERYBODY),
    "node": ("node(id: 1) { id }", OPERATORS),
    "nodes": ("nodes { count }", OPERATORS),
    "nodesWithMeta": ("nodesWithMeta { count }", OPERATORS),
    "nodeStates": ("nodeStates { count }", OPERATORS),
    "nodeStatesTimed": ('nodeStatesTimed(type: "node") { state }', OPERATORS),
    "nodeJobs": (
        f'nodeJobs(cluster: "tc", host: "c01", {WINDOW}) {{ id }}',
        OPERATORS,
    ),
    "nodeEvents": (
        f'nodeEvents(cluster: "tc", host: "c01", {WINDOW}) {{ time }}',
        OPERATORS,
    ),
    "job": ("job(id: $job) { id }", BOBS_JOB),
    "similarJobs": ("similarJobs(id: $job) { id }", BOBS_JOB),
    "jobMetrics": ("jobMetrics(id: $job) { name }", BOBS_JOB),
    "jobMetricGrid": (
        'jobMetricGrid(id: $job, metric: "cpu_load", scope: "node", cols: 2) { rows }',
        BOBS_JOB,
    ),
    "jobStats": ('jobStats(id: $job, metrics: ["cpu_load"]) { name }', BOBS_JOB),
    "scopedJobStats": ("scopedJobStats(id: $job) { name }", BOBS_JOB),
    "jobs": ("jobs { count }", EVERYBODY),
    "jobsStatistics": ("jobsStatistics { totalJobs }", EVERYBODY),
    "jobsMetricStats": ("jobsMetricStats { id }", EVERYBODY),
    "jobsFootprints": ('jobsFootprints(metrics: ["cpu_load"]) { metrics { data } }', EVERYBODY),
    "footprintTrend": (
        'footprintTrend(metrics: ["cpu_load"], edges: [0, 1]) { means }',
        EVERYBODY,
    ),
    "rooflineHeatmap": (f"rooflineHeatmap(filter: [], {ROOFLINE})", EVERYBODY),
    "nodeMetrics": (f'nodeMetrics(cluster: "tc", {WINDOW}) {{ host }}', STAFF_ONLY),
    "nodeMetricsList": (
        f'nodeMetricsList(cluster: "tc", {LIST}, {WINDOW}) {{ totalNodes }}',
        STAFF_ONLY,
    ),
    "clusterMetrics": (
        f'clusterMetrics(cluster: "tc", {WINDOW}) {{ nodeCount }}',
        STAFF_ONLY,
    ),
}

SCOPES = ("global", "admin", "alice")
MUTATIONS: dict[str, tuple[str, dict[str, Mapping[str, str]]]] = {
    "createTag": (
        "createTag(type: $type, name: $name, scope: $scope) { id }",
        {
            "global": only("root", "sue", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "addTagsToJob": (
        "addTagsToJob(job: $job, tagIds: [$tag]) { id }",
        {
            "global": only("root", "sue", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "removeTagsFromJob": (
        "removeTagsFromJob(job: $job, tagIds: [$tag]) { id }",
        {
            "global": only("root", "sue", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "addTagsToJobs": (
        "addTagsToJobs(filter: [{dbId: [$job]}], tagIds: [$tag]) { changed }",
        {
            "global": only("root", "sue", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "removeTagsFromJobs": (
        "removeTagsFromJobs(filter: [{dbId: [$job]}], tagIds: [$tag]) { changed }",
        {
            "global": only("root", "sue", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "removeTagFromList": (
        "removeTagFromList(tagIds: [$tag])",
        {
            "global": only("root", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
    "deleteTag": (
        "deleteTag(id: $tag)",
        {
            "global": only("root", others=NO_TAG),
            "admin": only("root", others=NO_TAG),
            "alice": only("alice", others=NO_TAG),
        },
    ),
}


def outcome(world: World, user: str, document: str, variables: dict[str, Any]) -> str:
    """The message of the first error, empty for an answer without any."""
    types = {"job": "ID!", "tag": "ID!", "type": "String!", "name": "String!", "scope": "String!"}
    used = {name: value for name, value in variables.items() if f"${name}" in document}
    declared = ", ".join(f"${name}: {types[name]}" for name in used)
    kind, _, selection = document.partition(" ")
    head = f"{kind}({declared})" if declared else kind
    answer = world.ask(user, f"{head} {{ {selection} }}", **used)
    return str(answer["errors"][0]["message"]) if "errors" in answer else OK


def judged(message: str, expected: str) -> bool:
    return message == OK if expected == OK else expected in message


def test_no_operation_is_missing_here() -> None:
    assert core_schema.query_type is not None
    assert core_schema.mutation_type is not None
    assert set(QUERIES) == set(core_schema.query_type.fields)
    assert {*MUTATIONS, "updateConfiguration"} == set(core_schema.mutation_type.fields)


@pytest.mark.parametrize("operation", QUERIES)
def test_queries(world: World, operation: str) -> None:
    selection, expected = QUERIES[operation]
    for role in ROLES:
        message = outcome(world, role, f"query {selection}", {"job": str(IDS[1004])})
        assert judged(message, expected[role]), (role, message)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("operation", MUTATIONS)
def test_tags_by_scope(world: World, operation: str, scope: str) -> None:
    """Everybody tries with a tag of that scope, on a job that they see (those of p1 hide from bob)."""
    selection, expected = MUTATIONS[operation]
    for role in ROLES:
        tag = world.site.tags.create(Tag("matrix", f"{operation}-{role}", scope), None)
        job = IDS[1004] if role == "bob" else IDS[1001]
        variables = {
            "job": str(job), "tag": str(tag.id), "type": "new", "name": f"by-{role}", "scope": scope,
        }  # fmt: skip
        message = outcome(world, role, f"mutation {selection}", variables)
        assert judged(message, expected[scope][role]), (role, message)
        left = {one.id for one in world.site.tags.list(None)}
        removes = operation in ("removeTagFromList", "deleteTag") and expected[scope][role] == OK
        assert (tag.id in left) != removes


@pytest.mark.parametrize("name", ["admin", "global"])
def test_an_account_with_the_name_of_a_scope_owns_nothing(name: str) -> None:
    from ccserver.jobs.scopes import readable, writable
    from ccserver.model.user import Principal

    namesake = Principal(name, frozenset({"user"}))
    assert not writable(name, namesake)
    assert readable(name, namesake) == (name == "global")


@pytest.mark.parametrize("role", ROLES)
def test_everybody_has_settings(world: World, role: str) -> None:
    answer = world.data(role, 'mutation { updateConfiguration(name: "a_setting", value: "[1]") }')
    assert answer == {"updateConfiguration": None}
    assert world.site.users.configuration(role) == {"a_setting": [1]}
