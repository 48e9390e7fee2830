"""Metric data and statistics of jobs, live and archived. Contract: spec/graphql.md 10."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ccserver.archive import FileArchive
from ccserver.graphql import view
from ccserver.graphql.request import Request
from tests.graphql.graphql_world import GPU, IDS, PRINCIPALS, START, STEPS, World

METRICS = """query($id: ID!, $metrics: [String!], $scopes: [MetricScope!], $resolution: Int) {
  jobMetrics(id: $id, metrics: $metrics, scopes: $scopes, resolution: $resolution) {
    name scope metric { unit { prefix base } timestep
      series { hostname id statistics { min avg max } data }
      statisticsSeries { min median max mean } } } }"""


def metrics(world: World, job_id: int, **arguments: Any) -> dict[tuple[str, str], Any]:
    found = world.data("root", METRICS, id=IDS[job_id], **arguments)["jobMetrics"]
    return {(entry["name"], entry["scope"]): entry["metric"] for entry in found}


def test_archived_data_as_the_contract_shows_it(world: World) -> None:
    found = world.data("root", METRICS, id=IDS[1005], metrics=["mem_bw", "cpu_load"], scopes=["node"])
    first, second = found["jobMetrics"]
    assert (first["name"], second["name"], second["scope"]) == ("mem_bw", "cpu_load", "node")
    metric = second["metric"]
    assert (metric["unit"], metric["timestep"]) == ({"prefix": "", "base": ""}, 60)
    assert metric["statisticsSeries"] is None
    assert metric["series"][0] == {
        "hostname": "c01",
        "id": None,
        "statistics": {"min": 0.2, "avg": 4.15, "max": 8.1},
        "data": [0.2, 8.1],
    }
    assert metric["series"][1]["data"] == [0.2, None]


def test_live_data_of_the_jobs_own_threads(world: World) -> None:
    found = metrics(
        world, 1004, metrics=["flops_any", "acc_power"], scopes=["node", "accelerator"], resolution=0
    )
    assert set(found) == {
        ("flops_any", "node"),
        ("flops_any", "hwthread"),
        ("acc_power", "node"),
        ("acc_power", "accelerator"),
    }
    [node] = found["flops_any", "node"]["series"]
    assert node["data"] == [0.0 + 1 + 2 + 3] * STEPS
    [gpu] = found["acc_power", "accelerator"]["series"]
    assert (gpu["hostname"], gpu["id"], gpu["statistics"]) == (
        "g1",
        GPU,
        {"min": 200, "avg": 200, "max": 200},
    )
    assert [series["id"] for series in found["flops_any", "hwthread"]["series"]] == ["0", "1", "2", "3"]


def test_live_defaults_are_all_metrics_at_node_scope(world: World) -> None:
    found = metrics(world, 1004)
    assert {scope for _name, scope in found} == {"node"}
    assert ("mem_used", "node") in found
    assert ("secret", "node") not in found


def test_float32_values_read_back_exactly(world: World) -> None:
    [series] = metrics(world, 1004, metrics=["mem_used"], resolution=0)["mem_used", "node"]["series"]
    assert {np.float32(value) for value in series["data"]} == {np.float32(9.123456)}


def test_unknown_metrics_are_left_out(world: World) -> None:
    assert metrics(world, 1004, metrics=["nope"]) == {}


def test_an_unknown_scope_is_an_error_of_the_field(world: World) -> None:
    document = world.ask("root", METRICS, id=IDS[1004], scopes=["Node"])
    assert document["data"] is None
    assert document["errors"][0]["path"] == ["jobMetrics"]


def test_statistics_of_finished_and_running_jobs(world: World) -> None:
    query = "query($id: ID!, $m: [String!]) { jobStats(id: $id, metrics: $m) { name data { min avg max } } }"
    assert world.data("root", query, id=IDS[1001], m=["cpu_load", "nope"])["jobStats"] == [
        {"name": "cpu_load", "data": {"min": 0.2, "avg": 4, "max": 8.1}},
        {"name": "nope", "data": {"min": 0, "avg": 0, "max": 0}},
    ]
    assert world.data("root", query, id=IDS[1004], m=["cpu_load"])["jobStats"] == [
        {"name": "cpu_load", "data": {"min": 1, "avg": 1, "max": 1}}
    ]
    assert world.data("root", query, id=IDS[1001])["jobStats"] == []


def test_scoped_statistics(world: World) -> None:
    query = """query($id: ID!, $m: [String!], $s: [MetricScope!]) {
                 scopedJobStats(id: $id, metrics: $m, scopes: $s) {
                   name scope stats { hostname id data { min avg max } } } }"""
    archived = world.data("root", query, id=IDS[1001], m=["cpu_load"], s=["node"])["scopedJobStats"]
    assert {entry["name"] for entry in archived} == {"cpu_load", "flops_any", "mem_bw"}
    live = world.data("root", query, id=IDS[1004], m=["flops_any"], s=["hwthread", "node"])["scopedJobStats"]
    assert [entry["scope"] for entry in live] == ["node", "hwthread"]
    assert live[1]["stats"][3] == {"hostname": "g1", "id": "3", "data": {"min": 3, "avg": 3, "max": 3}}
    assert world.data("root", query, id=IDS[1004])["scopedJobStats"] == []


def test_statistics_of_many_jobs_leave_out_the_unreadable(world: World) -> None:
    query = """{ jobsMetricStats(metrics: ["cpu_load", "nope"]) { id jobId startTime duration cluster
                 subCluster numNodes numHWThreads numAccelerators missing
                 stats { name data { min avg max } } } }"""
    archive = world.site.archive
    assert isinstance(archive, FileArchive)
    [record] = (archive.root / "tc" / "1" / "002").rglob("meta.json")
    record.write_text("broken")
    found = world.data("root", query)["jobsMetricStats"]
    assert [entry["jobId"] for entry in found] == ["1001", "1005", "1003", "1004"]
    assert found[0] == {
        "id": IDS[1001],
        "jobId": "1001",
        "startTime": 1_700_000_000,
        "duration": 3599,
        "cluster": "tc",
        "subCluster": "cpu",
        "numNodes": 1,
        "numHWThreads": 8,
        "numAccelerators": 0,
        "missing": ["nope"],
        "stats": [
            {"name": "cpu_load", "data": {"min": 0.2, "avg": 4, "max": 8.1}},
            {"name": "nope", "data": {"min": 0, "avg": 0, "max": 0}},
        ],
    }


def test_histograms_of_running_jobs_come_from_the_store(world: World) -> None:
    query = """{ jobsStatistics(filter: {state: [running]}, metrics: ["cpu_load", "mem_used"],
                                numMetricBins: 4) {
                   histMetrics { metric unit stat data { bin min max count } } } }"""
    [load, memory] = world.data("root", query)["jobsStatistics"][0]["histMetrics"]
    assert (load["metric"], load["unit"], load["stat"]) == ("cpu_load", "", None)
    assert load["data"][0] == {"bin": 1, "min": 0, "max": 2, "count": 1}
    assert [point["count"] for point in memory["data"]] == [1, 0, 0, 0]


def test_footprints_of_running_jobs_are_sums_over_nodes(world: World) -> None:
    query = (
        '{ jobsFootprints(filter: {state: [running]}, metrics: ["mem_used", "nope"]) { metrics { data } } }'
    )
    [memory, nothing] = world.data("root", query)["jobsFootprints"]["metrics"]
    assert memory["data"][0] == pytest.approx(9.123456)
    assert nothing["data"] == [None]


async def test_an_answer_travels_in_pieces_through_the_view(world: World) -> None:
    body = json.dumps({"query": METRICS, "variables": {"id": IDS[1004], "resolution": 0}}).encode()
    status, headers, pieces = await view.handle(body, PRINCIPALS["root"], world.site, accept_encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert int(headers["Content-Length"]) == sum(map(len, pieces))


def test_an_abandoned_request_stops(world: World) -> None:
    request = Request(world.site, PRINCIPALS["root"], abandoned=True)
    status, _headers, pieces = view.answer(b'{"query":"{ clusters { name } tags { name } }"}', request)
    document = json.loads(b"".join(pieces))
    assert (status, document["data"]) == (200, None)
    assert document["errors"][0]["message"] == "request abandoned"


GRID = """query($id: ID!, $metric: String!, $scope: MetricScope!, $cols: Int!) {
  jobMetricGrid(id: $id, metric: $metric, scope: $scope, cols: $cols) {
    scope unit { prefix base } rows times values } }"""


def grid(world: World, job_id: int, metric: str, scope: str, cols: int) -> Any:
    variables = {"id": IDS[job_id], "metric": metric, "scope": scope, "cols": cols}
    return world.data("root", GRID, **variables)["jobMetricGrid"]


def test_a_grid_has_a_row_per_host_and_keeps_gaps(world: World) -> None:
    assert grid(world, 1005, "cpu_load", "node", 10) == {
        "scope": "node",
        "unit": {"prefix": "", "base": ""},
        "rows": ["c01", "c02", "c03", "c04"],
        "times": [START, START + 60],
        "values": [[0.2, 8.1], [0.2, None], [0.2, 8.1], [0.2, 8.1]],
    }
    [first, second, *_] = grid(world, 1005, "cpu_load", "node", 1)["values"]
    assert first == pytest.approx([4.15])
    assert second == pytest.approx([0.2])


def test_a_grid_of_components_of_a_running_job(world: World) -> None:
    found = grid(world, 1004, "flops_any", "hwthread", 6)
    assert found["rows"] == ["0", "1", "2", "3"]
    assert [set(row) for row in found["values"]] == [{0.0}, {1.0}, {2.0}, {3.0}]
    assert len(found["times"]) == len(found["values"][0]) <= 6
    assert grid(world, 1004, "acc_power", "node", 6)["scope"] == "node"


def test_a_grid_is_bounded_and_null_without_curves(world: World) -> None:
    assert grid(world, 1005, "acc_power", "node", 5) is None
    answer = world.ask("root", GRID, id=IDS[1005], metric="cpu_load", scope="node", cols=100_000)
    assert "cols must be from 1 to 2000" in answer["errors"][0]["message"]
