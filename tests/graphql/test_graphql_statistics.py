"""`jobsStatistics`, analysis over many jobs. Contract: spec/graphql.md 9, 11."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest

from ccserver.graphql.resolvers import analysis
from ccserver.graphql.resolvers.analysis import count_points
from ccserver.graphql.resolvers.statistics import histogram_points
from ccserver.model.metrics import JobData, JobMetric, Unit
from tests.graphql.graphql_world import IDS, START, World, job, series, statements


def test_totals_and_groups_as_the_contract_shows_them(world: World) -> None:
    query = """query ($f: [JobFilter!]) {
      top: jobsStatistics(filter: $f, groupBy: USER, sortBy: TOTALCOREHOURS,
                           page: {itemsPerPage: 2, page: 1}) {
        id name totalJobs totalWalltime totalCoreHours }
      all: jobsStatistics(filter: $f, metrics: ["mem_used"], numDurationBins: "12h", numMetricBins: 10) {
        id name totalJobs shortJobs runningJobs totalUsers totalWalltime totalNodes totalAccs
        histDuration { value count } histNumNodes { value count } histNumAccs { value count }
        histMetrics { metric unit stat data { bin min max count } } } }"""
    data = world.data("root", query)
    assert data["top"] == [
        {"id": "carol", "name": "", "totalJobs": 1, "totalWalltime": 24, "totalCoreHours": 768},
        {"id": "bob", "name": "Bob A.", "totalJobs": 2, "totalWalltime": 3, "totalCoreHours": 24},
    ]
    [overall] = data["all"]
    assert {key: overall[key] for key in overall if not key.startswith("hist")} == {
        "id": "",
        "name": "",
        "totalJobs": 5,
        "shortJobs": 2,
        "runningJobs": 1,
        "totalUsers": 3,
        "totalWalltime": 28,
        "totalNodes": 8,
        "totalAccs": 1,
    }
    assert len(overall["histDuration"]) == 14
    assert overall["histDuration"][0] == {"value": 43200, "count": 4}
    assert overall["histDuration"][2] == {"value": 129600, "count": 1}
    assert overall["histNumNodes"] == [{"value": 1, "count": 4}, {"value": 4, "count": 1}]
    assert overall["histNumAccs"] == [{"value": 0, "count": 4}, {"value": 1, "count": 1}]
    [histogram] = overall["histMetrics"]
    assert (histogram["metric"], histogram["unit"], histogram["stat"]) == ("mem_used", "GB", "max")
    assert [point["count"] for point in histogram["data"]] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert histogram["data"][1] == {"bin": 2, "min": 6, "max": 12, "count": 1}


def test_aliases_with_equal_filters_share_a_statement(world: World) -> None:
    query = """{ a: jobsStatistics(groupBy: USER) { id totalJobs } b: jobsStatistics(groupBy: USER) { ...f }
                 c: jobsStatistics(groupBy: CLUSTER) { id } d: jobsStatistics { totalJobs }
                 e: jobsStatistics { runningJobs totalWalltime }
                 f: jobsStatistics(filter: {user: {eq: "bob"}}) { totalJobs } }
               fragment f on JobsStatistics { id totalNodes }"""
    with statements() as seen:
        data = world.data("root", query)
    assert len([statement for statement in seen if "FROM job" in statement]) == 4
    assert data["a"][0] == {"id": "alice", "totalJobs": 2}
    assert data["b"][0] == {"id": "alice", "totalNodes": 2}
    assert (data["d"], data["f"]) == ([{"totalJobs": 5}], [{"totalJobs": 2}])
    assert data["e"] == [{"runningJobs": 1, "totalWalltime": 28}]


def test_a_user_counts_own_jobs_only(world: World) -> None:
    query = "{ jobsStatistics(groupBy: USER) { id totalJobs } }"
    assert world.data("alice", query)["jobsStatistics"] == [{"id": "alice", "totalJobs": 2}]


def test_nothing_matches(world: World) -> None:
    query = """{ jobsStatistics(filter: {user: {eq: "nobody"}}) {
                 id totalJobs totalWalltime histNumNodes { count } } }"""
    assert world.data("root", query)["jobsStatistics"] == [
        {"id": "", "totalJobs": 0, "totalWalltime": 0, "histNumNodes": []}
    ]


@pytest.mark.parametrize("selection", ["histDuration { count }", "...f", "... @include(if: true) { ...f }"])
def test_histograms_have_no_groups(world: World, selection: str) -> None:
    query = "{ jobsStatistics(groupBy: USER) { id " + selection + " } }"
    if "...f" in selection:
        query += " fragment f on JobsStatistics { histNumNodes { count } }"
    assert world.error("root", query) == "histograms only implemented without groupBy argument"


def test_metric_histograms_have_no_groups(world: World) -> None:
    query = '{ jobsStatistics(groupBy: CLUSTER, metrics: ["a"]) { histMetrics { metric } } }'
    assert world.error("root", query) == "metric histograms only implemented without groupBy argument"


def test_a_skipped_histogram_is_not_asked_for(world: World) -> None:
    query = """query($no: Boolean!) { jobsStatistics(groupBy: SUBCLUSTER) { id runningJobs
               histDuration @skip(if: $no) { count } histMetrics @include(if: false) { metric } } }"""
    assert world.data("root", query, no=True)["jobsStatistics"] == [
        {"id": "cpu", "runningJobs": 0},
        {"id": "gpu", "runningJobs": 1},
    ]


def test_strange_metric_names_are_left_out(world: World) -> None:
    query = '{ jobsStatistics(metrics: ["x-y", "cpu_load"]) { histMetrics { metric stat } } }'
    assert world.data("root", query)["jobsStatistics"][0]["histMetrics"] == [
        {"metric": "cpu_load", "stat": "avg"}
    ]


def test_labels_are_whole_numbers() -> None:
    points = histogram_points([1] * 11, 8.0)
    assert {(point.min, point.max) for point in points} == {(0, 0)}
    assert [point.max_f for point in points] == pytest.approx([0.8 * bin for bin in range(1, 11)])


def test_who_asks_for_exact_edges_gets_what_lies_above_the_peak(world: World) -> None:
    world.site.jobs.insert_all([job(1007, "bob", ["c01"], duration=60, footprint={"mem_used_max": 200.0})])
    query = """{ jobsStatistics(metrics: ["mem_used"], numMetricBins: 2) { histMetrics { data {
                 bin min max count EDGES } } } }"""
    ask = lambda edges: world.data("root", query.replace("EDGES", edges))["jobsStatistics"][0]  # noqa: E731
    assert [point["bin"] for point in ask("")["histMetrics"][0]["data"]] == [1, 2]
    first, second, above = ask("minF maxF")["histMetrics"][0]["data"]
    assert (first["minF"], first["maxF"], second["maxF"]) == (0, 32, 64)
    assert above == {"bin": 3, "min": 64, "max": None, "count": 1, "minF": 64, "maxF": None}


def test_tags_are_combined_and_zero_can_be_asked_for(world: World) -> None:
    query = """query($f: [JobFilter!]) { jobs(filter: $f) { items { jobId } } }"""
    ids = [job["id"] for job in world.data("root", "{ jobs { items { id } } }")["jobs"]["items"]]
    tags = [
        world.data("root", f'mutation {{ createTag(type: "t", name: "{name}", scope: "global") {{ id }} }}')
        for name in "ab"
    ]
    a, b = (tag["createTag"]["id"] for tag in tags)
    add = "mutation($job: ID!, $tags: [ID!]!) { addTagsToJob(job: $job, tagIds: $tags) { id } }"
    world.data("root", add, job=ids[0], tags=[a, b])
    world.data("root", add, job=ids[1], tags=[a])

    def count(**filter: object) -> int:
        return len(world.data("root", query, f=[filter])["jobs"]["items"])

    assert count(tags=[a, b]) == count(tags=[a, b], tagMode="OR") == 2
    assert count(tags=[a, b], tagMode="AND") == 1
    assert count(tagsNot=[b]) == len(ids) - 1
    assert count(numAccelerators={"from": 0, "to": 0, "exact": 0}) == len(ids) - 1


def test_footprints_of_finished_jobs(world: World) -> None:
    query = """{ jobsFootprints(filter: {user: {neq: "bob"}}, metrics: ["flops_any", "cpu_load"]) {
                 jobs { id jobId user } timeWeights { nodeHours accHours coreHours }
                 metrics { metric data } } }"""
    data = world.data("root", query)["jobsFootprints"]
    assert [(one["id"], one["jobId"], one["user"]) for one in data["jobs"]] == [
        (IDS[number], number, user) for number, user in ((1001, "alice"), (1002, "alice"), (1005, "carol"))
    ]
    assert data["timeWeights"]["nodeHours"] == pytest.approx([3599 / 60, 200 / 60, 1440 * 4])
    assert data["timeWeights"]["coreHours"] == pytest.approx([3599 * 8 / 60, 200 * 8 / 60, 1440 * 32])
    assert data["timeWeights"]["accHours"] == [1.0, 1.0, 1.0]
    assert data["metrics"] == [
        {"metric": "flops_any", "data": [31.2, None, None]},
        {"metric": "cpu_load", "data": [4.0, None, 7.5]},
    ]


TREND = """query($edges: [Int!]!, $f: [JobFilter!]) {
    footprintTrend(filter: $f, metrics: ["mem_used", "mem_bw", "cpu_load"], edges: $edges) {
      metric stat unit { prefix base } means jobs } }"""


def test_trend_of_footprints_is_the_mean_of_what_started_between_the_edges(world: World) -> None:
    everything = (
        "{ jobs(page: {page: 1, itemsPerPage: -1}) { items { startTime footprint { name value } } } }"
    )
    jobs = world.data("root", everything)["jobs"]["items"]
    starts = [int(datetime.fromisoformat(one["startTime"]).timestamp()) for one in jobs]
    for edges in ([START, START + 1], [0, START + 1, START + 2], [*range(START - 300, START + 4000, 100)]):
        memory, load = world.data("root", TREND, edges=edges)["footprintTrend"]  # mem_bw has no footprint
        assert (memory["metric"], memory["stat"], memory["unit"]) == (
            "mem_used", "max", {"prefix": "G", "base": "B"},
        )  # fmt: skip
        for row in (memory, load):
            for place, (low, high) in enumerate(pairwise(edges)):
                values = [
                    entry["value"]
                    for one, start in zip(jobs, starts, strict=True)
                    for entry in one["footprint"]
                    if low <= start < high and entry["name"] == row["metric"]
                ]
                assert row["jobs"][place] == len(values)
                mean = row["means"][place]
                assert mean == (pytest.approx(np.mean(values), abs=0.01) if values else None)
    [memory, load] = world.data("alice", TREND, edges=[0, START + 1])["footprintTrend"]
    assert (memory["jobs"], load["jobs"], load["means"]) == ([1], [1], [4.0])  # only her own


@pytest.mark.parametrize("edges", [[], [1], [1, 1], [2, 1], list(range(108))])
def test_trend_refuses_edges_that_do_not_rise(world: World, edges: list[int]) -> None:
    assert world.error("root", TREND, edges=edges) == "edges must be from 2 to 107 rising times"


def test_roofline_counts_points_of_all_hosts(world: World) -> None:
    query = """{ rooflineHeatmap(filter: {user: {eq: "carol"}}, rows: 2, cols: 3,
                 minX: 1, minY: 1, maxX: 1000, maxY: 100) }"""
    heatmap = world.data("root", query)["rooflineHeatmap"]
    assert heatmap == [[0, 0, 0], [0, 8, 0]]


def test_roofline_compares_series_of_the_same_host(world: World) -> None:
    """c01 has a bandwidth only, 100 times that of c02: paired with it, points would lie elsewhere."""
    stored = job(1006, "bob", ["c01", "c02"], duration=600, start_time=START + 100)
    world.site.jobs.insert_started(stored)
    data: JobData = {
        "flops_any": {"node": JobMetric(Unit("F/s", "G"), 60, [series("c02", [20.0])])},
        "mem_bw": {"node": JobMetric(Unit("B/s", "G"), 60, [series("c01", [200.0]), series("c02", [2.0])])},
    }
    world.site.archive.import_job(stored, data)
    query = """{ rooflineHeatmap(filter: {jobId: {eq: "1006"}}, rows: 1, cols: 3,
                 minX: 0.01, minY: 1, maxX: 100, maxY: 100) }"""
    assert world.data("root", query)["rooflineHeatmap"] == [[0, 0, 1]]


@pytest.mark.parametrize(
    "query",
    [
        '{ jobsFootprints(metrics: ["cpu_load"]) { metrics { data } } }',
        "{ rooflineHeatmap(filter: {}, rows: 2, cols: 3, minX: 1, minY: 1, maxX: 1000, maxY: 100) }",
    ],
)
def test_too_many_jobs_for_an_analysis(world: World, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "MOST_JOBS", 5)
    world.data("root", query)
    monkeypatch.setattr(analysis, "MOST_JOBS", 4)
    assert "too many jobs matched (max: 4)" in world.error("root", query)
    monkeypatch.setattr(analysis, "MOST_JOBS", 2)
    sampled = world.data("root", re.sub(r"\) \{ m|\) \}", lambda end: ", sample: true" + end[0], query))
    if "jobsFootprints" in sampled:
        assert len(sampled["jobsFootprints"]["metrics"][0]["data"]) == 2


def test_points_outside_the_bounds_and_gaps_are_skipped() -> None:
    counts = np.zeros((2, 2), np.int64)
    flops = np.array([1, 10, np.nan, 100, 0.5, 10, 0], np.float32)
    bandwidth = np.array([1, 1, 1, 1, 1, np.nan, 1, 1], np.float32)
    count_points(counts, flops, bandwidth, (0.0, 2.0), (0.0, 2.0))
    assert counts.tolist() == [[1, 0], [0, 1]]


def test_bounds_must_make_sense(world: World) -> None:
    query = "{ rooflineHeatmap(filter: {}, rows: 2, cols: 3, minX: 0, minY: 1, maxX: 1000, maxY: 100) }"
    assert "bounds" in world.error("root", query)
