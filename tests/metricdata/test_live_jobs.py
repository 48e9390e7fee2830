"""Jobs that run: 16 samples of 60 s up to NOW on d01, d02 (8 threads, 2 sockets) and dbig-1 (accelerator)."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.metricdata import MetricData, MetricDataError, ScopedStatistic
from ccserver.metricdata.blocks import NodeBlock
from ccserver.model.job import MONITORING_RUNNING, Job, Resource
from ccserver.model.metrics import Statistics
from ccstore.types import SeriesResult
from tests.archive.jobs import job as archived_job
from tests.metricdata.conftest import NOW

STEPS = 16
START = NOW - STEPS * 60


def line(metric: str, host: str, value: float, time: int, component: str = "node") -> str:
    kind, _, id_ = component.partition(" ")
    tags = f"type={kind}" + (f",type-id={id_}" if id_ else "")
    return f"{metric},cluster=demo,hostname={host},{tags} value={value} {time}"


@pytest.fixture(autouse=True)
def samples(store: Any) -> None:
    lines = []
    for step in range(STEPS):
        time = START + step * 60
        for number, host in enumerate(["d01", "d02"]):
            lines.append(line("cpu_load", host, 1 + number + step, time))
            for thread in range(8):
                lines.append(line("flops_any", host, thread + 1, time, f"hwthread {thread}"))
                lines.append(line("cpu_user", host, 10 * thread, time, f"hwthread {thread}"))
            for socket in range(2):
                lines.append(line("mem_bw", host, 10 * (socket + 1), time, f"socket {socket}"))
        lines.append(line("cpu_load", "dbig-1", 5, time))
        lines.append(line("acc_power", "dbig-1", 300, time, "accelerator 00000000:0E:00.0"))
    store.write(("\n".join(lines) + "\n").encode(), "")


def job(**more: Any) -> Job:
    fields = {
        "start_time": START,
        "resources": [Resource("d01"), Resource("d02")],
        "state": "running",
        "duration": 0,
        "monitoring_status": MONITORING_RUNNING,
        "statistics": None,
        **more,
    }
    return archived_job(**fields)


GPU = {
    "resources": [Resource("dbig-1", accelerators=["00000000:0E:00.0"])],
    "num_nodes": 1,
    "num_acc": 1,
    "subcluster": "big",
}


def test_all_metrics_at_node_scope_unless_asked_otherwise(metric_data: MetricData) -> None:
    data = metric_data.job_data(job())
    assert {name: list(scopes) for name, scopes in data.items()} == {
        "cpu_load": ["node"],
        "cpu_user": ["node"],
        "flops_any": ["node"],
        "mem_bw": ["node"],
    }
    load = data["cpu_load"]["node"]
    assert [(s.hostname, s.id) for s in load.series] == [("d01", None), ("d02", None)]
    np.testing.assert_array_equal(load.series[1].data, np.arange(2, 18))
    assert load.series[0].statistics == Statistics(8.5, 1, 16)
    assert load.timestep == 60
    assert data["flops_any"]["node"].series[0].data[0] == 36  # sum
    assert data["cpu_user"]["node"].series[0].data[0] == 35  # mean


def test_components_carry_their_own_ids(metric_data: MetricData) -> None:
    part = job(resources=[Resource("d01", hwthreads=[5, 2])], num_nodes=1)
    data = metric_data.job_data(part, ["flops_any", "mem_bw"], ["hwthread", "core", "socket"])
    found = {
        (name, scope): [(s.id, float(s.data[0])) for s in metric.series]
        for name, scopes in data.items()
        for scope, metric in scopes.items()
    }
    assert found == {
        ("flops_any", "hwthread"): [("5", 6.0), ("2", 3.0)],
        ("flops_any", "core"): [("2", 3.0), ("5", 6.0)],
        ("flops_any", "socket"): [("0", 10.0), ("1", 26.0)],
        ("mem_bw", "socket"): [("0", 10.0), ("1", 20.0)],
    }


def test_many_series_get_statistics(metric_data: MetricData) -> None:
    core = metric_data.job_data(job(), ["flops_any"], ["core"])["flops_any"]["core"]
    assert len(core.series) == 16
    assert core.statistics_series is not None
    assert core.statistics_series.median is not None
    assert core.statistics_series.median[0] == 4.5


def test_curves_cover_the_whole_time_of_the_job(metric_data: MetricData) -> None:
    early = job(start_time=START - 120, state="completed", duration=240)
    data = metric_data.job_data(early, ["cpu_load"])["cpu_load"]["node"].series[0].data
    np.testing.assert_array_equal(data, [np.nan, np.nan, 1, 2])


def test_a_running_job_ends_now(clusters: Clusters, store: Any, archive: FileArchive) -> None:
    now = [START + 120.9]
    metric_data = MetricData(clusters, store, archive, clock=lambda: now[0])
    assert len(metric_data.job_data(job(), ["cpu_load"])["cpu_load"]["node"].series[0].data) == 2
    now[0] = START - 5
    assert metric_data.job_data(job(job_id=5), ["cpu_load"])["cpu_load"]["node"].series[0].data.size == 0


def test_what_the_cluster_does_not_have_is_left_out(metric_data: MetricData) -> None:
    assert list(metric_data.job_data(job(), ["nope", "cpu_load", "cpu_load"])) == ["cpu_load"]
    assert metric_data.job_data(job(), ["nope"]) == {}
    assert metric_data.job_data(job(), []) == {}
    assert metric_data.job_data(job(), ["mem_used"]) == {}
    assert metric_data.job_data(job(**GPU), ["mem_bw"]) == {}


def test_accelerators(metric_data: MetricData) -> None:
    data = metric_data.job_data(job(**GPU), ["acc_power"], ["node", "core", "accelerator"])["acc_power"]
    assert {scope: [s.id for s in metric.series] for scope, metric in data.items()} == {
        "node": [None],
        "accelerator": ["00000000:0E:00.0"],
    }


def test_accelerator_metrics_are_skipped_for_jobs_without_accelerators(metric_data: MetricData) -> None:
    assert metric_data.job_data(job(**{**GPU, "num_acc": 0}), ["acc_power"], ["accelerator"]) == {}


def test_node_sums_of_two_metrics(metric_data: MetricData) -> None:
    data = metric_data.job_data(job(), ["flops_any"], ["node", "core"])["flops_any"]
    assert set(data) == {"node", "core"}


def test_answers_are_shared_and_therefore_read_only(metric_data: MetricData) -> None:
    first = metric_data.job_data(job(), ["cpu_load", "mem_bw"])
    assert metric_data.job_data(job(), ["mem_bw", "cpu_load"]) is first
    with pytest.raises(ValueError, match="read-only"):
        first["cpu_load"]["node"].series[0].data[0] = 5


def test_a_job_that_stops_is_asked_for_anew(metric_data: MetricData) -> None:
    running = metric_data.job_data(job(), ["cpu_load"])
    stopped = metric_data.job_data(job(state="completed", duration=120), ["cpu_load"])
    assert stopped is not running
    assert len(stopped["cpu_load"]["node"].series[0].data) == 2


def test_job_statistics_are_over_the_hosts_that_have_data(metric_data: MetricData) -> None:
    wide = job(resources=[Resource("d01"), Resource("d02"), Resource("d03")], num_nodes=3)
    assert metric_data.job_statistics(wide, ["cpu_load", "mem_used"]) == {
        "cpu_load": Statistics(9.0, 1.0, 17.0),
        "mem_used": Statistics(0, 0, 0),
    }


def test_node_statistics_leave_out_hosts_without_data(metric_data: MetricData) -> None:
    wide = job(resources=[Resource("d01"), Resource("d03")])
    assert metric_data.node_statistics(wide, ["cpu_load"]) == {"cpu_load": {"d01": Statistics(8.5, 1, 16)}}


def test_averages_are_sums_over_hosts(metric_data: MetricData) -> None:
    load, nothing = metric_data.averages(job(), ["cpu_load", "mem_used"])
    assert load == 18.0
    assert np.isnan(nothing)


def test_scoped_statistics(metric_data: MetricData) -> None:
    part = job(resources=[Resource("d01", hwthreads=[5, 2])], num_nodes=1)
    assert metric_data.scoped_statistics(part, ["mem_bw", "cpu_load"], ["socket", "node"]) == {
        "mem_bw": {
            "socket": [
                ScopedStatistic("d01", "0", Statistics(10, 10, 10)),
                ScopedStatistic("d01", "1", Statistics(20, 20, 20)),
            ],
            "node": [ScopedStatistic("d01", None, Statistics(30, 30, 30))],
        },
        "cpu_load": {"node": [ScopedStatistic("d01", None, Statistics(8.5, 1, 16))]},
    }


def test_archiving_keeps_core_scope_of_small_jobs(metric_data: MetricData) -> None:
    stopped = job(state="completed", duration=STEPS * 60)
    scopes = {name: set(found) for name, found in metric_data.archive_job_data(stopped).items()}
    assert scopes == {
        "cpu_load": {"node"},
        "cpu_user": {"node", "core"},
        "flops_any": {"node", "core"},
        "mem_bw": {"node", "socket"},
    }
    large = job(state="completed", duration=STEPS * 60, num_nodes=9)
    assert all(set(found) == {"node"} for found in metric_data.archive_job_data(large).values())


def test_archiving_keeps_accelerators(metric_data: MetricData) -> None:
    stopped = job(**GPU, state="completed", duration=STEPS * 60)
    assert set(metric_data.archive_job_data(stopped)["acc_power"]) == {"node", "accelerator"}


def test_from_the_store_into_the_archive_and_back(metric_data: MetricData, archive: FileArchive) -> None:
    stopped = job(state="completed", duration=STEPS * 60)
    data = metric_data.archive_job_data(stopped)
    stopped.statistics = metric_data.statistics_for_archive(stopped, data)
    stopped.monitoring_status = 3
    stopped.footprint = metric_data.footprint(stopped, stopped.statistics)
    archive.import_job(stopped, data)
    read = metric_data.job_data(stopped, ["cpu_load"], ["node"])["cpu_load"]["node"]
    np.testing.assert_array_equal(read.series[0].data, np.arange(1, 17))
    assert metric_data.job_statistics(stopped, ["cpu_load"]) == {"cpu_load": Statistics(9.0, 1.0, 17.0)}
    assert stopped.footprint == {
        "cpu_load_avg": 9.0,
        "mem_used_max": 0.0,
        "flops_any_avg": 36.0,
        "mem_bw_avg": 30.0,
    }


class Failing:
    """A store that answers some hosts with an error."""

    def __init__(self, real: Any, *hosts: str) -> None:
        self.real, self.hosts = real, hosts

    def query(self, cluster: str, start: int, to: int, queries: Any, **more: Any) -> Any:
        answer = self.real.query(cluster, start, to, queries, **more)
        for row, query in zip(answer.rows, answer.queries or queries, strict=True):
            if query.host in self.hosts:
                row[:] = [SeriesResult(start, to, 60, None, 0, 0, 0, error="out of order")]
        return answer


def test_errors_beside_data_are_logged_and_the_data_returned(
    clusters: Clusters, store: Any, archive: FileArchive, caplog: pytest.LogCaptureFixture
) -> None:
    metric_data = MetricData(clusters, Failing(store, "d02"), archive, clock=lambda: NOW)
    with caplog.at_level(logging.WARNING):
        data = metric_data.job_data(job(), ["cpu_load"])
    assert [s.hostname for s in data["cpu_load"]["node"].series] == ["d01"]
    assert caplog.text.count("failed to fetch 'cpu_load' from host 'd02': out of order") == 1


def test_errors_without_data_are_raised_and_not_cached(
    clusters: Clusters, store: Any, archive: FileArchive
) -> None:
    broken = Failing(store, "d01", "d02")
    metric_data = MetricData(clusters, broken, archive, clock=lambda: NOW)
    with pytest.raises(MetricDataError, match="failed to fetch 'cpu_load' from host 'd01': out of order"):
        metric_data.job_data(job(), ["cpu_load"])
    broken.hosts = ()
    assert "cpu_load" in metric_data.job_data(job(), ["cpu_load"])


def test_without_a_store_there_is_no_live_data(clusters: Clusters, archive: FileArchive) -> None:
    with pytest.raises(MetricDataError, match="no metric store is configured for cluster demo"):
        MetricData(clusters, None, archive).job_data(job())


@pytest.mark.parametrize("scope", ["demo-small", "demo", "*"])
def test_an_external_store_is_asked_instead(
    clusters: Clusters, store: Any, archive: FileArchive, scope: str
) -> None:
    metric_data = MetricData(
        clusters, None, archive, external={scope: store, "other": None}, clock=lambda: NOW
    )  # type: ignore[dict-item]
    assert "cpu_load" in metric_data.job_data(job(), ["cpu_load"])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"cluster": "x"}, "no such cluster: x"), ({"subcluster": "x"}, "no such subcluster: x")],
)
def test_jobs_of_unknown_hardware(metric_data: MetricData, change: dict[str, str], message: str) -> None:
    with pytest.raises(MetricDataError, match=message):
        metric_data.job_data(job(**change))


def rows(block: NodeBlock) -> dict[str, list[str]]:
    """Metric -> its hosts."""
    return {one.metric.name: [block.hosts[row] for row in one.rows] for one in block.metrics}


def test_node_data_of_chosen_nodes(metric_data: MetricData) -> None:
    block = metric_data.node_block(
        "demo", ["cpu_load", "nope", "mem_bw"], ["d02", "dbig-1", "d09"], START, START + 120
    )
    assert block.hosts == ["d02", "dbig-1"]
    assert rows(block) == {"cpu_load": ["d02", "dbig-1"], "mem_bw": ["d02"]}
    load, bandwidth = block.metrics
    np.testing.assert_array_equal(load.data, [[2, 3], [5, 5]])
    np.testing.assert_array_equal(load.statistics, [[2.5, 5], [2, 5], [3, 5]])
    np.testing.assert_array_equal(bandwidth.data, [[30, 30]])


def test_node_data_of_all_nodes(metric_data: MetricData) -> None:
    block = metric_data.node_block("demo", None, None, START, START + 120)
    assert set(block.hosts) == {"d01", "d02", "dbig-1"}
    assert rows(block)["acc_power"] == ["dbig-1"]
    assert metric_data.node_block("demo", None, [], START, START + 120).hosts == []


def test_node_data_without_a_value_has_no_statistics(metric_data: MetricData) -> None:
    [load] = metric_data.node_block("demo", ["cpu_load"], ["d01"], START - 7200, START - 3600).metrics
    assert np.isnan(load.data).all()
    np.testing.assert_array_equal(load.statistics, [[0], [0], [0]])


def test_node_data_refuses_nonsense(metric_data: MetricData) -> None:
    with pytest.raises(MetricDataError, match="no such cluster"):
        metric_data.node_block("nope", None, None, START, NOW)
    with pytest.raises(MetricDataError):
        metric_data.node_block("demo", None, ["d01"], NOW, START)


def test_node_list_covers_the_whole_node(metric_data: MetricData) -> None:
    data = metric_data.node_list_data(
        "demo",
        "",
        ["d01", "dbig-1", "unknown", "d09"],
        None,
        ["core", "socket", "accelerator"],
        START,
        START + 120,
    )
    assert set(data) == {"d01", "dbig-1"}
    assert {name: set(scopes) for name, scopes in data["d01"].items()} == {
        "cpu_load": {"node"},
        "cpu_user": {"core", "socket", "hwthread"},
        "flops_any": {"core", "socket", "hwthread"},
        "mem_bw": {"socket"},
    }
    assert len(data["d01"]["flops_any"]["core"].series) == 8
    assert data["d01"]["flops_any"]["core"].statistics_series is not None
    assert [s.id for s in data["dbig-1"]["acc_power"]["accelerator"].series] == ["00000000:0E:00.0"]


def test_cluster_totals_add_every_host(metric_data: MetricData) -> None:
    totals = metric_data.cluster_totals("demo", ["mem_bw", "cpu_load", "mem_used"], START, START + 120)
    assert totals.node_count == 3
    assert list(totals.metrics) == ["mem_bw", "cpu_load"]
    bandwidth = totals.metrics["mem_bw"]
    assert (bandwidth.unit.base, bandwidth.unit.prefix, bandwidth.timestep) == ("B/s", "T", 60)
    np.testing.assert_array_equal(bandwidth.data, [0.06, 0.06])
    np.testing.assert_array_equal(totals.metrics["cpu_load"].data, [0, 0])


def test_many_jobs_are_read_at_once(metric_data: MetricData) -> None:
    """Every job gets what it gets alone, also one that began later, has part of a host, or no data."""
    jobs = [
        job(id=1),
        job(id=2, start_time=START + 300, resources=[Resource("d01", [0, 1])]),
        job(id=3, resources=[Resource("d09")]),
        job(id=4, subcluster="nope"),
    ]
    metrics = ["cpu_load", "flops_any", "mem_bw", "nope", "cpu_load"]
    found = {one.id: statistics for one, statistics in metric_data.statistics_of_jobs(jobs, metrics)}
    assert found == {one.id: metric_data.job_statistics(one, metrics) for one in jobs[:3]}
    assert found[1]["cpu_load"].avg > 0
    averages = list(metric_data.averages_of_jobs(jobs[:3], metrics))
    np.testing.assert_array_equal(averages, [metric_data.averages(one, metrics) for one in jobs[:3]])
