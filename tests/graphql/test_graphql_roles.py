"""Which jobs whose queries see. Contract: spec/graphql.md 4, spec/README.md (settled questions)."""

from __future__ import annotations

import json

import pytest

from ccserver.graphql import view
from ccserver.graphql.request import Request
from ccserver.model.user import Principal
from tests.graphql.graphql_world import IDS, World

VISIBLE = {
    "root": {1001, 1002, 1003, 1004, 1005},
    "sue": {1001, 1002, 1003, 1004, 1005},
    "script": {1001, 1002, 1003, 1004, 1005},
    "mona": {1001, 1002, 1005},
    "alice": {1001, 1002},
    "bob": {1003, 1004},
    "carol": {1005},
}
OPENING = [
    "job(id: $id) { jobId }",
    "jobMetrics(id: $id) { name }",
    "jobStats(id: $id, metrics: []) { name }",
    "scopedJobStats(id: $id) { name }",
]
LISTS = {
    "jobs": "jobs { count items { jobId } }",
    "jobsStatistics": "jobsStatistics { totalJobs }",
    "jobsMetricStats": "jobsMetricStats { jobId }",
    "jobsFootprints": "jobsFootprints(metrics: []) { jobs { jobId } timeWeights { nodeHours } }",
}


def matched(answer: object) -> int:
    match answer:
        case {"count": int(count)}:
            return count
        case [{"totalJobs": int(count)}]:
            return count
        case {"timeWeights": {"nodeHours": list(items)}}:
            return len(items)
        case list(items):
            return len(items)
    raise AssertionError(answer)


@pytest.mark.parametrize("user", VISIBLE)
def test_lists_show_visible_jobs(world: World, user: str) -> None:
    found = world.data(user, "{ jobs { count items { jobId } } }")["jobs"]
    assert {item["jobId"] for item in found["items"]} == VISIBLE[user]
    assert found["count"] == len(VISIBLE[user])


@pytest.mark.parametrize("user", VISIBLE)
@pytest.mark.parametrize("name", LISTS)
def test_operations_over_jobs_cover_visible_jobs(world: World, user: str, name: str) -> None:
    answer = world.data(user, "{ " + LISTS[name] + " }")[name]
    assert matched(answer) == len(VISIBLE[user])


@pytest.mark.parametrize("user", VISIBLE)
@pytest.mark.parametrize("operation", OPENING)
def test_visible_jobs_open_and_others_are_missing(world: World, user: str, operation: str) -> None:
    query = "query($id: ID!) { " + operation + " }"
    for job_id, id in IDS.items():
        if job_id in VISIBLE[user]:
            assert "errors" not in world.ask(user, query, id=id)
        else:
            assert world.error(user, query, id=id) == "sql: no rows in result set"


def test_filters_do_not_widen_what_one_sees(world: World) -> None:
    query = '{ jobs(filter: {user: {eq: "bob"}}) { count items { jobId } } }'
    assert world.data("alice", query)["jobs"] == {"count": 0, "items": []}


def test_tags_of_a_job_depend_on_the_reader(world: World) -> None:
    query = "query($id: ID!) { job(id: $id) { tags { name } } }"
    seen = {
        user: [tag["name"] for tag in world.data(user, query, id=IDS[1005])["job"]["tags"]]
        for user in ("root", "mona", "carol", "script")
    }
    assert seen == {"root": ["md", "odd"], "mona": ["md"], "carol": ["md"], "script": ["md"]}


def test_an_api_token_sees_no_accounts(world: World) -> None:
    document = world.ask(
        "script", "{ jobs(page: {itemsPerPage: 1, page: 1}) { items { jobId userData { name } } } }"
    )
    assert document["data"]["jobs"]["items"] == [{"jobId": 1001, "userData": None}]
    assert [error["message"] for error in document["errors"]] == ["forbidden"]
    assert document["errors"][0]["path"] == ["jobs", "items", 0, "userData"]


@pytest.mark.parametrize("roles", [(), ("anonymous",), ("api", "robot")])
@pytest.mark.parametrize(
    "query", ["{ jobs { count } }", "{ job(id: 1) { id } }", "{ jobsStatistics { totalJobs } }"]
)
def test_unknown_roles_see_no_jobs(world: World, roles: tuple[str, ...], query: str) -> None:
    request = Request(world.site, Principal("nobody", frozenset(roles)))
    _status, _headers, pieces = view.answer(json.dumps({"query": query}).encode(), request)
    assert json.loads(b"".join(pieces))["errors"][0]["message"] == "user has no or unknown roles"


@pytest.mark.parametrize(
    "query", ["{ jobs { count } }", "{ tags { id } }", '{ user(username: "a") { name } }']
)
def test_nobody_is_not_the_server(world: World, query: str) -> None:
    _status, _headers, pieces = view.answer(json.dumps({"query": query}).encode(), Request(world.site, None))
    assert json.loads(b"".join(pieces))["errors"][0]["message"] == "user context is nil"


def test_nobody_changes_nothing(world: World) -> None:
    mutation = (
        b'{"query": "mutation { createTag(type: \\"a\\", name: \\"b\\", scope: \\"global\\") { id } }"}'
    )
    _status, _headers, pieces = view.answer(mutation, Request(world.site, None))
    assert json.loads(b"".join(pieces))["errors"][0]["message"] == "no user in context"
    assert len(world.site.tags.list(None)) == 3
