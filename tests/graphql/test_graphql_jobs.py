"""`job` and `jobs` with everything that hangs on a job. Contract: spec/graphql.md 5 to 8."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graphql.graphql_world import GPU, IDS, NOW, World, statements


def numbers(world: World, user: str, filter: Any = None, **more: Any) -> list[int]:
    query = """query($filter: [JobFilter!], $order: OrderByInput, $page: PageRequest) {
               jobs(filter: $filter, order: $order, page: $page) { items { jobId } } }"""
    items = world.data(user, query, filter=filter, **more)["jobs"]["items"]
    return [item["jobId"] for item in items]


def test_a_list_as_the_contract_shows_it(world: World) -> None:
    query = """query ($filter: [JobFilter!]!, $sorting: OrderByInput!, $paging: PageRequest!) {
      jobs(filter: $filter, order: $sorting, page: $paging) {
        count hasNextPage offset limit
        items { id jobId user startTime duration state shared numNodes
                tags { id type name scope } userData { name } metaData
                resources { hostname } footprint { name stat value } } } }"""
    answer = world.data(
        "root",
        query,
        filter=[{"cluster": {"eq": "tc"}}, {"project": {"eq": "p1"}}],
        sorting={"field": "duration", "type": "col", "order": "DESC"},
        paging={"itemsPerPage": 2, "page": 1},
    )["jobs"]
    assert (answer["count"], answer["hasNextPage"], answer["offset"], answer["limit"]) == (
        3,
        True,
        None,
        None,
    )
    first, second = answer["items"]
    assert first == {
        "id": IDS[1005],
        "jobId": 1005,
        "user": "carol",
        "startTime": "2023-11-14T22:13:20Z",
        "duration": 86400,
        "state": "timeout",
        "shared": "none",
        "numNodes": 4,
        "tags": [
            {"id": 1, "type": "app", "name": "md", "scope": "global"},
            {"id": 2, "type": "state", "name": "odd", "scope": "admin"},
        ],
        "userData": None,
        "metaData": None,
        "resources": [{"hostname": host} for host in ("c01", "c02", "c03", "c04")],
        "footprint": [
            {"name": "cpu_load", "stat": "avg", "value": 7.9999},
            {"name": "mem_used", "stat": "max", "value": 63.0},
        ],
    }
    assert (second["jobId"], second["userData"], second["metaData"]) == (
        1001,
        {"name": "Alice A."},
        {"jobName": "md_run"},
    )


def test_empty_values(world: World) -> None:
    query = """query($id: ID!) { job(id: $id) { arrayJobId SMT numAcc numHWThreads energy footprint { name }
               energyFootprint { metric } resources { hwthreads accelerators configuration } } }"""
    assert world.data("root", query, id=IDS[1002])["job"] == {
        "arrayJobId": 0,
        "SMT": 0,
        "numAcc": 0,
        "numHWThreads": 8,
        "energy": 0.0,
        "footprint": [],
        "energyFootprint": [],
        "resources": [{"hwthreads": None, "accelerators": None, "configuration": ""}],
    }


def test_a_running_job_grows(world: World) -> None:
    query = "query($id: ID!) { job(id: $id) { duration state resources { hwthreads accelerators } } }"
    assert world.data("root", query, id=IDS[1004])["job"] == {
        "duration": 3600,
        "state": "running",
        "resources": [{"hwthreads": [0, 1, 2, 3], "accelerators": [GPU]}],
    }


def test_energy_footprint_names_the_hardware(world: World) -> None:
    query = "query($id: ID!) { job(id: $id) { energyFootprint { hardware metric value } } }"
    assert world.data("root", query, id=str(IDS[1001]))["job"]["energyFootprint"] == [
        {"hardware": "Accelerator", "metric": "acc_power", "value": 0.5},
        {"hardware": "CPU", "metric": "cpu_x", "value": 1.0},
    ]


def test_concurrent_jobs_include_the_job_itself(world: World) -> None:
    query = "query($id: ID!) { job(id: $id) { concurrentJobs { count listQuery items { id jobId } } } }"
    found = world.data("root", query, id=IDS[1003])["job"]["concurrentJobs"]
    assert found == {
        "count": 2,
        "listQuery": "cluster=tc&jobId=1003&jobId=1004",
        "items": [{"id": str(IDS[1003]), "jobId": 1003}, {"id": str(IDS[1004]), "jobId": 1004}],
    }
    assert world.data("root", query, id=IDS[1001])["job"]["concurrentJobs"] is None


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (None, [1001, 1002, 1003, 1004, 1005]),
        ([], [1001, 1002, 1003, 1004, 1005]),
        ([{}], [1001, 1002, 1003, 1004, 1005]),
        ({"user": {"eq": "alice"}}, [1001, 1002]),
        ([{"user": {"contains": "LI"}}, {"jobId": {"eq": 1001}}], [1001]),
        ([{"state": ["running", "timeout"]}], [1004, 1005]),
        ([{"state": []}], []),
        ([{"node": {"eq": "c02"}}], [1002, 1005]),
        ([{"duration": {"from": 3000, "to": 0}}, {"numNodes": {"from": 1, "to": "1"}}], [1001, 1003]),
        ([{"startTime": {"from": "2023-11-16T00:00:00.000Z"}}], [1003, 1004]),
        ([{"startTime": {"range": "last6h"}}], [1003, 1004]),
        ([{"metricStats": [{"metricName": "cpu_load_avg", "range": {"from": 5, "to": 8}}]}], [1005]),
        ([{"tags": [1]}], [1005]),
        ([{"dbId": ["1", "x"]}], [1001]),
        ([{"numHWThreads": {"from": 9, "to": 0}}], [1005]),
        ([{"shared": "multi_user"}], [1003, 1004]),
        ([{"jobName": {"startsWith": "md"}}], [1001]),
        ([{"partition": {"in": ["gpu"]}}], [1003, 1004]),
        ([{"user": None, "state": None}], [1001, 1002, 1003, 1004, 1005]),
    ],
)
def test_filters(world: World, filter: Any, expected: list[int]) -> None:
    assert numbers(world, "root", filter) == expected


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ([{"user": {"neq": "x"}}] * 201, "201 conditions"),
        ([{"metricStats": [{"metricName": "a_avg", "range": {"from": 0, "to": 1}}] * 201}], "201 conditions"),
        ([{"dbId": list(range(60_000))}, {"user": {"in": ["x"] * 40_001}}], "100001 values"),
        ([{"user": {"contains": "x" * 10_001}}], "10000 characters"),
    ],
)
def test_filters_that_no_statement_could_hold(world: World, filter: Any, message: str) -> None:
    query = "query($f: [JobFilter!]) { jobs(filter: $f) { count items { id } } }"
    assert message in world.error("root", query, f=filter)


def test_the_largest_filters_are_answered(world: World) -> None:
    every = {"user": {"startsWith": "%" * 10_000}}
    assert len(numbers(world, "root", [every, {"dbId": list(range(100_000))}])) == 5
    for condition, expected in (
        ({"numNodes": {"from": 1, "to": 9}}, 5),
        ({"node": {"contains": "0"}}, 3),
        ({"tags": [1]}, 1),
        ({"metricStats": [{"metricName": "cpu_load_avg", "range": {"from": 1, "to": 9}}]}, 2),
    ):
        assert len(numbers(world, "root", [condition] * 200)) == expected


def test_a_literal_state_may_be_quoted_or_bare(world: World) -> None:
    for state in ("running", '"running"'):
        query = "{ jobs(filter: {state: [" + state + "]}) { items { jobId } } }"
        assert world.data("root", query)["jobs"]["items"] == [{"jobId": 1004}]


def test_an_unknown_state_is_an_error_of_the_field(world: World) -> None:
    document = world.ask("root", "{ jobs(filter: {state: [sleeping]}) { count } }")
    assert document["data"] is None
    assert document["errors"][0]["path"] == ["jobs"]


@pytest.mark.parametrize("bad", [17, "yesterday", "2024-05-01", "2024-05-01T10:00:00"])
def test_bad_times_are_errors_of_the_field(world: World, bad: object) -> None:
    document = world.ask(
        "root",
        "query($f: [JobFilter!]) { jobs(filter: $f) { count } }",
        f=[{"startTime": {"from": bad}}],
    )
    assert document["data"] is None
    assert document["errors"][0]["path"] == ["jobs"]


def test_pages(world: World) -> None:
    query = "query($p: PageRequest) { jobs(page: $p) { hasNextPage items { jobId } } }"

    def page(number: int, size: int) -> tuple[list[int], bool]:
        found = world.data("root", query, p={"itemsPerPage": size, "page": number})["jobs"]
        return [item["jobId"] for item in found["items"]], found["hasNextPage"]

    assert page(1, 3) == ([1001, 1002, 1003], True)
    assert page(0, 3) == page(1, 3)
    assert page(2, 3) == ([1004, 1005], False)
    assert page(9, 3) == ([], False)
    assert page(1, 5)[1] is False
    assert page(7, -1) == ([1001, 1002, 1003, 1004, 1005], False)
    assert world.error("root", query, p={"itemsPerPage": 0, "page": 1}) == "invalid items-per-page value: 0"


def test_an_unknown_sort_field_is_an_error(world: World) -> None:
    query = 'query($f: String!) { jobs(order: {field: $f, type: "col"}) { items { id } } }'
    assert "errors" in world.ask("root", query, f="nonsense")
    assert "errors" in world.ask("root", query, f="id; drop table job")


def test_the_default_direction_is_ascending(world: World) -> None:
    order = {"field": "startTime", "type": "col"}
    assert numbers(world, "root", {"user": {"eq": "bob"}}, order=order) == [1003, 1004]


def test_footprint_order_puts_jobs_without_it_first(world: World) -> None:
    order = {"field": "cpu_load_avg", "type": "foot", "order": "ASC"}
    assert numbers(world, "root", order=order)[-2:] == [1001, 1005]


def test_the_count_alone_reads_no_page(world: World) -> None:
    with statements() as seen:
        assert world.data("root", "{ jobs { count } }") == {"jobs": {"count": 5}}
    assert len(seen) == 1


def test_nested_fields_cost_one_statement_per_level(world: World) -> None:
    query = """{ jobs { items { tags { name } metaData userData { name } footprint { name }
                 concurrentJobs { count } } } }"""
    with statements() as seen:
        world.data("root", query)
    assert len(seen) == 5


@pytest.mark.parametrize("id", ["x", "99", "-1", "1e3", "9999999999999999999999", "0_1", " 1", "\u0661"])
def test_a_job_that_is_not_there_leaves_its_siblings(world: World, id: str) -> None:
    document = world.ask("root", "query($id: ID!) { job(id: $id) { jobId } tags { name } }", id=id)
    assert document["data"]["job"] is None
    assert document["data"]["tags"]
    assert [error["path"] for error in document["errors"]] == [["job"]]


def test_aliases_and_fragments(world: World) -> None:
    query = """query($n: Boolean!) { a: jobs(filter: {user: {eq: "alice"}}) { ...list }
                 b: jobs(filter: {user: {eq: "bob"}}) { ...list } }
               fragment list on JobResultList { items { n: jobId tags { name } __typename
                 user @skip(if: $n) project @include(if: $n) } }"""
    data = world.data("root", query, n=True)
    assert data["a"]["items"][0] == {"n": 1001, "tags": [], "__typename": "Job", "project": "p1"}
    assert [item["n"] for item in data["b"]["items"]] == [1003, 1004]


def test_times_are_utc(world: World) -> None:
    data = world.data("root", "query($id: ID!) { job(id: $id) { startTime } }", id=IDS[1004])
    assert data["job"]["startTime"] == "2023-11-16T21:13:20Z"
    assert NOW - 3600 == 1_700_169_200


def test_hints_of_jobs_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """{ jobs(order: {field: "id", type: "col", order: ASC}) { items {
                 jobId hints { id severity metric evidence { value threshold unit } } } } }"""
    found = {job["jobId"]: job["hints"] for job in world.data("root", text)["jobs"]["items"]}
    assert found[1002] is None  # ran for 200 s
    assert [hint["id"] for hint in found[1001]] == ["low-cpu", "walltime"]
    assert found[1001][1] == {
        "id": "walltime", "severity": "info", "metric": None,
        "evidence": {"value": 3599, "threshold": 34560, "unit": "s"},
    }  # fmt: skip
    monkeypatch.setattr("ccserver.graphql.resolvers.job_fields.MOST_JUDGED", 1)
    again = world.data("root", text)["jobs"]["items"]
    assert [job["hints"] is None for job in again] == [False, True, True, True, True]


def similar(world: World, user: str, id: int, **more: Any) -> list[int]:
    text = """query($id: ID!, $limit: Int = 20, $by: [String!]) {
                similarJobs(id: $id, limit: $limit, by: $by) { jobId footprint { value } } }"""
    return [job["jobId"] for job in world.data(user, text, id=IDS[id], **more)["similarJobs"]]


def test_similar_jobs_agree_in_what_is_asked_for(world: World) -> None:
    assert similar(world, "root", 1001) == []  # nobody else has that name
    assert similar(world, "root", 1002) == []  # it has no name
    assert similar(world, "root", 1002, by=["user"]) == [1001]
    assert similar(world, "root", 1002, by=["project"]) == [1005, 1001]
    assert similar(world, "root", 1002, by=["project", "numNodes"]) == [1001]
    assert similar(world, "root", 1005, by=["project"], limit=1) == [1002]
    assert similar(world, "alice", 1002, by=["project"]) == [1001]  # 1005 is carol's


def test_similar_jobs_of_what_one_may_not_see_or_ask(world: World) -> None:
    for user, query in (
        ("bob", f'similarJobs(id: {IDS[1002]}, by: ["user"])'),
        ("root", f'similarJobs(id: {IDS[1002]}, by: ["colour"])'),
        ("root", f"similarJobs(id: {IDS[1002]}, limit: 101)"),
    ):
        assert world.ask(user, f"{{ {query} {{ jobId }} }}")["errors"]
