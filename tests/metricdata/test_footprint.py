from __future__ import annotations

import logging

import numpy as np
import pytest

from ccserver.clusters import Cluster, SubCluster
from ccserver.metricdata import MetricDataError
from ccserver.metricdata.footprint import energy, footprint, over_hosts, statistics_for_archive
from ccserver.model.metrics import JobMetric, JobStatistic, Series, Statistics, Unit
from tests.archive.jobs import job
from tests.clusters.documents import demo, metric

NAN = float("nan")


def subcluster(*metrics: dict[str, object]) -> SubCluster:
    document = demo()
    if metrics:
        document["metricConfig"] = list(metrics)
    return Cluster.from_document(document, "demo").subclusters["small"]


def test_the_footprint_keeps_the_configured_statistic() -> None:
    statistics = {
        "cpu_load": JobStatistic(Unit(), 7.85, 0.1, 8.2),
        "mem_used": JobStatistic(Unit("B", "G"), 21.5, 3.2, 30.25),
        "clock": JobStatistic(Unit(), 1, 1, 1),
    }
    assert footprint(subcluster(), statistics) == {
        "cpu_load_avg": 7.85,
        "mem_used_max": 30.25,
        "flops_any_avg": 0.0,
        "mem_bw_avg": 0.0,
    }


def test_the_footprint_can_be_a_minimum() -> None:
    assert footprint(subcluster(metric("a", footprint="min")), {"a": Statistics(2, 1, 3)}) == {"a_min": 1}


def test_a_statistic_nobody_knows_is_an_error() -> None:
    with pytest.raises(MetricDataError, match="metric a: footprint 'median'"):
        footprint(subcluster(metric("a", footprint="median")), {})


def test_energy_is_mean_power_times_nodes_times_hours() -> None:
    statistics = {"cpu_power": JobStatistic(Unit("W"), 210.75, 80, 260)}
    assert energy(subcluster(), job(), statistics) == ({"cpu_power": 0.84, "acc_power": 0.0}, 0.84)


def test_energy_example_of_the_contract() -> None:
    cluster = subcluster(metric("cpu_power", energy="power"), metric("mem_power", energy="power"))
    statistics = {"cpu_power": Statistics(150.018, 0, 0), "mem_power": Statistics(7.725, 0, 0)}
    short = job(duration=177, num_nodes=1)
    assert energy(cluster, short, statistics) == ({"cpu_power": 0.01, "mem_power": 0.0}, 0.01)


def test_energy_counters_are_not_added_up_yet(caplog: pytest.LogCaptureFixture) -> None:
    cluster = subcluster(metric("e", energy="energy"))
    with caplog.at_level(logging.WARNING):
        assert energy(cluster, job(), {"e": Statistics(5, 5, 5)}) == ({"e": 0.0}, 0.0)
    assert "metric e" in caplog.text


def node(*series: tuple[str, list[float], Statistics]) -> JobMetric:
    return JobMetric(Unit("W"), 60, [Series(h, np.array(d, dtype=np.float32), s) for h, d, s in series])


def test_archived_statistics_divide_by_the_number_of_nodes() -> None:
    data = {
        "cpu_load": {
            "node": node(
                ("a", [1, 3], Statistics(2.005, 1, 3)),
                ("b", [5], Statistics(5, 4.004, 6)),
                ("silent", [NAN], Statistics(0, 0, 0)),
            )
        },
        "fine": {"core": node(("a", [1], Statistics(1, 1, 1)))},
    }
    metrics = Cluster.from_document(demo(), "demo").metrics
    assert statistics_for_archive(job(num_nodes=3), data, metrics) == {
        "cpu_load": JobStatistic(Unit(), 2.34, 1, 6),
    }


def test_a_metric_without_any_value_is_zero() -> None:
    data = {"x": {"node": node(("a", [NAN], Statistics(0, 0, 0)))}}
    assert statistics_for_archive(job(), data, {}) == {"x": JobStatistic(Unit("W"), 0, 0, 0)}


def test_over_hosts() -> None:
    hosts = [Statistics(1.001, 0.5, 2), Statistics(2.004, 0.25, 1.999)]
    assert over_hosts(hosts) == Statistics(1.5, 0.25, 2)
    assert over_hosts([]) == Statistics(0, 0, 0)
