from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.metricdata import MetricData, MetricDataError, ScopedStatistic
from ccserver.model.job import Job
from ccserver.model.metrics import (
    JobData,
    JobMetric,
    JobStatistic,
    Series,
    Statistics,
    StatisticsSeries,
    Unit,
)
from tests.archive.jobs import job
from tests.metricdata.conftest import NOW


def series(host: str, length: int = 4, id_: str | None = None, factor: float = 1.0) -> Series:
    return Series(host, np.arange(length, dtype=np.float64) * factor, Statistics(1.5, 0, 3), id_)


def metric(*all_series: Series, statistics: StatisticsSeries | None = None, timestep: int = 60) -> JobMetric:
    return JobMetric(Unit("W"), timestep, list(all_series), statistics)


DATA: JobData = {
    "cpu_load": {"node": metric(series("d03"), series("d04"))},
    "cpu_user": {"hwthread": metric(series("d03", 4, "0"))},
    "flops_any": {
        "core": metric(series("d03", 4, "0"), series("d03", 4, "1")),
        "hwthread": metric(series("d03", 4, "0")),
    },
    "mem_bw": {
        "socket": metric(series("d03", 4, "0"), series("d03", 4, "1")),
        "core": metric(series("d03", 4, "0")),
    },
}


@pytest.fixture
def metric_data(clusters: Clusters, archive: FileArchive) -> MetricData:
    return MetricData(clusters, None, archive, clock=lambda: NOW)


@pytest.fixture
def archived(archive: FileArchive) -> Job:
    one = job()
    archive.import_job(one, DATA)
    one.statistics = None
    return one


def scopes(data: JobData) -> dict[str, list[str]]:
    return {name: sorted(found) for name, found in data.items()}


def test_everything_is_returned_without_lists(metric_data: MetricData, archived: Job) -> None:
    assert scopes(metric_data.job_data(archived)) == scopes(DATA)


def test_a_single_scope_is_kept_whether_asked_for_or_not(metric_data: MetricData, archived: Job) -> None:
    data = metric_data.job_data(archived, ["cpu_user", "cpu_load"], ["core"])
    assert scopes(data) == {"cpu_load": ["node"], "cpu_user": ["hwthread"]}


def test_of_several_scopes_the_requested_ones_are_kept_or_else_all(
    metric_data: MetricData, archived: Job
) -> None:
    assert scopes(metric_data.job_data(archived, ["flops_any"], ["core"])) == {"flops_any": ["core"]}
    assert scopes(metric_data.job_data(archived, ["flops_any"], ["socket"])) == {
        "flops_any": ["core", "hwthread"]
    }


def test_node_sums_are_made_from_the_coarsest_scope(metric_data: MetricData, archived: Job) -> None:
    data = metric_data.job_data(archived, ["mem_bw"], ["node"])
    assert scopes(data) == {"mem_bw": ["core", "node", "socket"]}
    np.testing.assert_array_equal(data["mem_bw"]["node"].series[0].data, [0, 2, 4, 6])


def test_job_statistics_are_those_of_the_record(metric_data: MetricData, archived: Job) -> None:
    assert metric_data.job_statistics(archived, ["cpu_load", "nope"]) == {
        "cpu_load": Statistics(7.85, 0.1, 8.0),
        "nope": Statistics(0, 0, 0),
    }
    assert metric_data.job_statistics(archived) == {"cpu_load": Statistics(7.85, 0.1, 8.0)}


def test_statistics_that_were_loaded_with_the_job_are_used(metric_data: MetricData) -> None:
    known = job(statistics={"m": JobStatistic(Unit(), 1, 2, 3)})
    assert metric_data.job_statistics(known, ["m"]) == {"m": Statistics(1, 2, 3)}


def test_averages(metric_data: MetricData, archived: Job) -> None:
    load, missing = metric_data.averages(archived, ["cpu_load", "nope"])
    assert load == 7.85
    assert math.isnan(missing)


def test_node_statistics(metric_data: MetricData, archived: Job) -> None:
    found = metric_data.node_statistics(archived, ["cpu_load", "flops_any"])
    assert found == {"cpu_load": {"d03": Statistics(1.5, 0, 3), "d04": Statistics(1.5, 0, 3)}}


def test_scoped_statistics_are_everything_there_is(metric_data: MetricData, archived: Job) -> None:
    found = metric_data.scoped_statistics(archived, [], [])
    assert {name: sorted(s) for name, s in found.items()} == scopes(DATA)
    assert found["mem_bw"]["socket"] == [
        ScopedStatistic("d03", "0", Statistics(1.5, 0, 3)),
        ScopedStatistic("d03", "1", Statistics(1.5, 0, 3)),
    ]


def test_a_job_that_is_not_in_the_archive_is_an_error(metric_data: MetricData) -> None:
    with pytest.raises(MetricDataError, match="job 5 on demo"):
        metric_data.job_data(job(5))
    with pytest.raises(MetricDataError, match="job 5 on demo"):
        metric_data.job_statistics(job(5, statistics=None))


def test_a_failed_job_needs_no_live_data(metric_data: MetricData, archived: Job) -> None:
    archived.monitoring_status = 2
    assert metric_data.job_data(archived, ["cpu_load"])


def long_job(archive: FileArchive, data: JobData) -> Job:
    one = job(77)
    archive.import_job(one, data)
    return one


def test_long_series_are_resampled(metric_data: MetricData, archive: FileArchive) -> None:
    one = long_job(archive, {"cpu_load": {"node": metric(series("d03", 1200))}})
    native = metric_data.job_data(one)
    coarse = metric_data.job_data(one, resolution=600)["cpu_load"]["node"]
    assert coarse.timestep == 600
    assert len(coarse.series[0].data) == 120
    assert len(native["cpu_load"]["node"].series[0].data) == 1200
    assert len(metric_data.job_data(one)["cpu_load"]["node"].series[0].data) == 1200


@pytest.mark.parametrize(("algorithm", "second"), [("average", 14.5), ("simple", 10)])
def test_algorithms(metric_data: MetricData, archive: FileArchive, algorithm: str, second: float) -> None:
    one = long_job(archive, {"cpu_load": {"node": metric(series("d03", 1200))}})
    data = metric_data.job_data(one, resolution=600, algorithm=algorithm)["cpu_load"]["node"].series[0].data
    assert data[1] == second


def test_an_unknown_algorithm_is_an_error(metric_data: MetricData, archive: FileArchive) -> None:
    one = long_job(archive, {"cpu_load": {"node": metric(series("d03", 1200))}})
    with pytest.raises(MetricDataError, match="unknown resampler algorithm: magic"):
        metric_data.job_data(one, resolution=600, algorithm="magic")


def test_short_series_keep_their_step(metric_data: MetricData, archive: FileArchive) -> None:
    one = long_job(archive, {"cpu_load": {"node": metric(series("d03", 999))}})
    assert metric_data.job_data(one, resolution=600)["cpu_load"]["node"].timestep == 60


def test_the_shortest_length_that_is_resampled_is_configured(
    clusters: Clusters, archive: FileArchive
) -> None:
    one = long_job(archive, {"cpu_load": {"node": metric(series("d03", 20))}})
    metric_data = MetricData(clusters, None, archive, minimum_points=10, clock=lambda: NOW)
    assert metric_data.job_data(one, resolution=120)["cpu_load"]["node"].timestep == 120


def test_metrics_with_another_step_are_not_hurt_by_a_resolution_that_does_not_fit(
    metric_data: MetricData, archive: FileArchive
) -> None:
    data = {
        "a": {"node": metric(series("d03", 1200))},
        "b": {"node": metric(series("d03", 1200), timestep=70)},
    }
    found = metric_data.job_data(long_job(archive, data), resolution=300)
    assert (found["a"]["node"].timestep, found["b"]["node"].timestep) == (300, 350)


def test_series_of_one_metric_keep_a_common_step(metric_data: MetricData, archive: FileArchive) -> None:
    one = long_job(archive, {"a": {"node": metric(series("d03", 1200), series("d04", 500))}})
    found = metric_data.job_data(one, resolution=300)["a"]["node"]
    assert found.timestep == 60
    assert [len(s.data) for s in found.series] == [1200, 500]


@pytest.mark.parametrize("count", [2, 9])
def test_stored_statistics_of_many_series_follow_the_resolution(
    metric_data: MetricData, archive: FileArchive, count: int
) -> None:
    curve = np.arange(1200, dtype=np.float64)
    statistics = StatisticsSeries(min=curve, max=curve, median=curve)
    data = {"a": {"node": metric(*[series(f"d{i}", 1200) for i in range(count)], statistics=statistics)}}
    found = metric_data.job_data(long_job(archive, data), resolution=600)["a"]["node"].statistics_series
    assert found is not None
    assert found.median is not None
    assert len(found.median) == 120


def test_a_real_job(fixtures: Path) -> None:
    real = FileArchive(fixtures / "job-archive")
    (one,) = real.iterate()
    assert isinstance(one, Job)
    metric_data = MetricData(Clusters.from_documents(real.cluster_documents()), None, real)
    data = metric_data.job_data(one, resolution=600)
    assert len(data) == 9
    load: Any = data["cpu_load"]["node"]
    assert (load.timestep, len(load.series), len(load.series[0].data)) == (600, 32, 144)
    assert len(load.statistics_series.median) == 144
    assert data["ipc"]["node"].series[0].statistics == Statistics(0, 0, 0)
    assert metric_data.job_statistics(one, ["mem_bw"]) == {"mem_bw": Statistics(63.57, 0, 74.5)}
