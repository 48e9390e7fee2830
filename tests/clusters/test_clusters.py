from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ccserver.clusters import Cluster, ClusterConfigError, ClusterError, Clusters
from ccserver.model.job import Resource
from ccserver.model.metrics import Unit
from ccstore.types import Metric
from tests.clusters.documents import demo, metric, subcluster


def load(document: Any, directory: str = "demo") -> Cluster:
    return Cluster.from_document(document, directory)


def test_an_override_replaces_the_whole_group_of_attributes() -> None:
    effective = load(demo()).subclusters["big"].metrics["mem_used"]
    assert (effective.peak, effective.normal, effective.caution, effective.alert) == (512, 0, 0, 0)
    assert (effective.footprint, effective.energy) == ("max", "")
    assert effective.lower_is_better
    assert (effective.unit, effective.scope, effective.timestep) == (Unit("B", "G"), "node", 60)


def test_an_override_without_footprint_takes_the_metric_out_of_the_footprint() -> None:
    cluster = load(demo())
    assert cluster.subclusters["small"].footprint == ["cpu_load", "mem_used", "flops_any", "mem_bw"]
    assert cluster.subclusters["small"].energy_footprint == ["cpu_power", "acc_power"]
    assert cluster.subclusters["big"].footprint == ["cpu_load", "mem_used"]
    assert "flops_any" in cluster.subclusters["big"].metrics


def test_a_removed_metric_does_not_exist_on_the_subcluster() -> None:
    cluster = load(demo())
    assert "mem_bw" not in cluster.subclusters["big"].metrics
    assert cluster.metric("mem_bw", "big") is None
    assert cluster.metric("mem_bw", "small") is not None


def test_lists_of_the_file_come_before_the_computed_ones() -> None:
    document = demo()
    document["subClusters"][1].update(
        footprint=["own"], energyFootprint=["own"], metricConfig=[metric("own", timestep=10)]
    )
    cluster = load(document)
    assert cluster.subclusters["big"].footprint == ["own", "cpu_load", "mem_used"]
    assert next(iter(cluster.subclusters["big"].metrics)) == "own"
    table = Clusters([cluster]).store_metrics()["demo"]
    assert Metric("own", 10, "avg", "node") in table
    assert len(table) == len(demo()["metricConfig"]) + 1


def test_what_may_be_missing_or_null() -> None:
    document = {
        "name": "mini",
        "numberOfNodes": 5,
        "metricConfig": [{"name": "cpu_load", "unit": {"base": ""}, "timestep": 60, "aggregation": None}],
        "subClusters": [{"name": "main", "nodes": "*", "topology": {"node": [0], "die": [[0, None]]}}],
    }
    cluster = load(document)
    assert cluster.metrics["cpu_load"].scope == "node"
    assert cluster.subclusters["main"].number_of_nodes == 0
    assert cluster.subclusters["main"].topology.die == ((0, None),)


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = document
        for key in parents:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value

    return apply


@pytest.mark.parametrize(
    ("alter", "mentions"),
    [
        (change("name", ""), ["folder"]),
        (change("metricConfig", []), ["demo", "metricConfig"]),
        (change("metricConfig", None), ["demo", "metricConfig"]),
        (change("subClusters", []), ["demo", "subClusters"]),
        (change("metricConfig.0.name", ""), ["demo"]),
        (change("metricConfig.0.timestep", 0), ["demo", "cpu_load", "0"]),
        (change("metricConfig.0.scope", "llc"), ["demo", "cpu_load", "llc"]),
        (change("metricConfig.0.unit", "load 1m"), ["folder", "unit"]),
        (change("subClusters.0.nodes", "d[01-1"), ["demo/cluster.json", "d[01-1", "not closed"]),
        (change("subClusters.0.flopRateScalar", 32), ["folder", "flopRateScalar"]),
    ],
)
def test_a_file_nobody_can_work_with_is_refused_with_the_place(
    alter: Callable[[dict[str, Any]], None], mentions: list[str]
) -> None:
    document = demo()
    alter(document)
    with pytest.raises(ClusterConfigError) as caught:
        load(document, "folder")
    assert all(word in str(caught.value) for word in mentions), str(caught.value)


def resources(*hosts: str) -> list[Resource]:
    return [Resource(host) for host in hosts]


def test_a_job_goes_to_the_first_subcluster_that_lists_its_first_host() -> None:
    document = demo()
    document["subClusters"].append({**document["subClusters"][0], "name": "twin"})
    clusters = Clusters([load(document)])
    assert clusters.assign_subcluster("demo", "", resources("d03", "d17")) == "small"
    assert clusters.assign_subcluster("demo", "", resources("dbig-2")) == "big"


def test_a_given_subcluster_is_only_checked_to_exist() -> None:
    clusters = Clusters([load(demo())])
    assert clusters.assign_subcluster("demo", "big", resources("d03")) == "big"


@pytest.mark.parametrize(
    ("cluster", "name", "hosts", "message"),
    [
        ("nope", "", ["d01"], "no such cluster: nope"),
        ("demo", "nope", ["d01"], "already assigned subcluster nope unkown"),
        ("demo", "", [], "job without any resources/hosts"),
        ("demo", "", ["x1"], "no subcluster found for cluster demo and host x1"),
    ],
)
def test_assignment_errors(cluster: str, name: str, hosts: list[str], message: str) -> None:
    with pytest.raises(ClusterError, match=message):
        Clusters([load(demo())]).assign_subcluster(cluster, name, resources(*hosts))


def test_the_star_takes_the_remaining_hosts_only_on_the_first_subcluster() -> None:
    document = demo()
    document["subClusters"][0]["nodes"] = "*"
    assert load(document).subcluster_of_host("x1") == "small"
    assert load(document).subcluster_of_host("d18") == "big"
    document = demo()
    document["subClusters"][1]["nodes"] = "*"
    assert load(document).subcluster_of_host("x1") is None


def two_clusters() -> Clusters:
    other = demo()
    other["name"] = "other"
    other["metricConfig"] = [
        metric("cpu_load", "core", unit={"base": "load"}, footprint="max"),
        metric("only_here", restrict=True),
        metric("cpu_user", "hwthread", subClusters=[{"name": "small", "restrict": True}]),
    ]
    return Clusters.from_documents({"other": other, "demo": demo()})


def test_global_metrics_take_unit_and_scope_of_the_first_cluster_and_the_last_footprint() -> None:
    metrics = {metric.name: metric for metric in two_clusters().global_metrics(restricted=False)}
    assert list(metrics) == sorted(metrics)
    load_ = metrics["cpu_load"]
    assert (load_.unit, load_.scope, load_.footprint) == (Unit(""), "node", "max")
    assert [(a.cluster, a.subclusters) for a in load_.availability] == [
        ("demo", ["small", "big"]),
        ("other", ["small", "big"]),
    ]
    assert [a.subclusters for a in metrics["mem_bw"].availability] == [["small"]]


def test_restricted_metrics_are_hidden_where_they_are_restricted() -> None:
    metrics = {metric.name: metric for metric in two_clusters().global_metrics(restricted=True)}
    assert "only_here" not in metrics
    assert [(a.cluster, a.subclusters) for a in metrics["cpu_user"].availability] == [("other", ["big"])]
    assert "cpu_load" in metrics


def test_the_store_gets_a_table_per_cluster() -> None:
    tables = two_clusters().store_metrics()
    assert Metric("mem_bw", 60, "sum", "socket") in tables["demo"]
    assert [metric.name for metric in tables["other"]] == ["cpu_load", "only_here", "cpu_user"]


def test_the_store_keeps_a_metric_that_no_subcluster_has() -> None:
    document = demo()
    document["metricConfig"] = [
        metric("m", subClusters=[{"name": n, "remove": True} for n in ("small", "big")])
    ]
    assert Clusters([load(document)]).store_metrics()["demo"] == [Metric("m", 60, "avg", "node")]


def test_an_aggregation_nobody_knows_means_none(caplog: pytest.LogCaptureFixture) -> None:
    document = demo()
    document["metricConfig"] = [metric("odd", aggregation="median")]
    assert Clusters([load(document)]).store_metrics()["demo"] == [Metric("odd", 60, "", "node")]
    assert "median" in caplog.text


def test_clusters_keep_the_order_of_their_directories() -> None:
    clusters = two_clusters()
    assert clusters.names() == ["demo", "other"]
    assert "demo" in clusters
    assert clusters["demo"].name == "demo"
    assert len(clusters) == 2


def test_a_subcluster_document_needs_no_node_list() -> None:
    document = demo()
    document["subClusters"] = [subcluster("none", "", {"node": [0]})]
    assert load(document).subcluster_of_host("d01") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("job-archive/fritz/cluster.json", "main 19 992, spr1tb 15 64, spr2tb 14 16"),
        ("job-archive/emmy/cluster.json", "haswell 9 38, skylake 12 63, kabylake 13 111, icelake 13 70"),
        ("importer/cluster-fritz.json", "main 19 1080"),
        ("cluster/cluster-woody.json", "haswell 13 38, skylake 13 63, kabylake 13 111, icelake 13 70"),
        ("cluster/cluster-meggie.json", "main 14 696"),
        ("cluster/cluster-tinygpu.json", "rtx3080 21 7, rtx2080 21 12, a100 21 8, v100 21 4"),
    ],
)
def test_real_clusters_load(fixtures: Path, path: str, expected: str) -> None:
    cluster = load(json.loads((fixtures / path).read_text()))
    found = [f"{s.name} {len(s.metrics)} {s.number_of_nodes}" for s in cluster.subclusters.values()]
    assert ", ".join(found) == expected


def test_footprints_of_a_real_cluster(fixtures: Path) -> None:
    cluster = load(json.loads((fixtures / "job-archive/fritz/cluster.json").read_text()))
    main = cluster.subclusters["main"]
    assert main.footprint == ["cpu_load", "mem_used", "flops_any", "mem_bw"]
    assert main.energy_footprint == ["cpu_power", "mem_power"]


def test_the_format_before_archive_version_one_is_refused(fixtures: Path) -> None:
    document = json.loads((fixtures / "cluster/cluster-legacy-unversioned.json").read_text())
    with pytest.raises(ClusterConfigError, match="flopRateScalar"):
        load(document)
