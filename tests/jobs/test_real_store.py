"""A job from its start to its archive entry, with samples written into a real metric store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.jobs.lifecycle import JobLifeCycle
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.jobs.wire import StopRequest
from ccserver.metricdata import MetricData
from ccserver.model.job import Resource
from ccserver.nodes import NodeReport, NodeRepository
from ccserver.tasks import update_footprints
from ccstore import MetricStore, StoreOptions
from tests.jobs.records import NOW, make_job

START = NOW - 1200  # a multiple of 60
HOSTS = ("a01", "a02")


@pytest.fixture
def store(clusters: Clusters) -> Iterator[MetricStore]:
    """20 minutes of samples: cpu_load 2 and 4 on the two hosts, mem_used rising to 19 and 38, 300 W each."""
    store = MetricStore(
        clusters.store_metrics(), StoreOptions(directory=None, journal=False), clock=lambda: NOW
    )
    lines = []
    for factor, host in enumerate(HOSTS, 1):
        for step in range(20):
            moment = START + 60 * step
            for metric, value in (("cpu_load", 2 * factor), ("mem_used", step * factor), ("cpu_power", 300)):
                lines.append(f"{metric},cluster=alpha,hostname={host},type=node value={value} {moment}")
    report = store.write("\n".join(lines).encode() + b"\n")
    assert report.stored == len(lines)
    yield store
    store.close()


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    (tmp_path / "archive").mkdir()
    archive = FileArchive(tmp_path / "archive")
    archive.open()
    return archive


@pytest.fixture
def metric_data(clusters: Clusters, store: MetricStore, archive: FileArchive) -> MetricData:
    return MetricData(clusters, store, archive, clock=lambda: NOW)


def test_from_start_to_archive(
    jobs: JobRepository,
    database: Database,
    clusters: Clusters,
    store: MetricStore,
    metric_data: MetricData,
    archive: FileArchive,
) -> None:
    life_cycle = JobLifeCycle(jobs, TagRepository(database, archive), clusters, metric_data, archive)
    started = life_cycle.start(make_job(1, start_time=START, resources=[Resource(host) for host in HOSTS]))
    jobs.update_durations()
    assert update_footprints(jobs, clusters, metric_data).updated == 1
    running = jobs.find(started.id)
    assert running is not None
    assert running.footprint == {"cpu_load_avg": 3.0, "mem_used_max": 38.0}
    assert running.energy == 0.2  # 600 W for 1200 s

    stopped = life_cycle.stop(StopRequest(1, START + 600))
    archiver = threading.Thread(target=life_cycle.run_archiver)
    archiver.start()
    life_cycle.drain(60)
    archiver.join(60)

    final = jobs.find(stopped.id)
    assert final is not None
    assert (final.monitoring_status, final.duration, final.energy) == (3, 600, 0.1)
    assert final.footprint is not None
    assert final.footprint["cpu_load_avg"] == 3.0
    meta = archive.load_meta("alpha", 1, START)
    assert meta.statistics is not None
    assert meta.statistics["cpu_load"].max == 4.0
    stored = archive.load_data(meta)["mem_used"]["node"]
    assert [series.hostname for series in stored.series] == list(HOSTS)
    assert stored.series[1].data.tolist()[:10] == [2.0 * step for step in range(10)]
    assert metric_data.job_data(final, ["cpu_load"])["cpu_load"]["node"].timestep == 60


def test_the_store_judges_reported_nodes(database: Database, clusters: Clusters, store: MetricStore) -> None:
    nodes = NodeRepository(database, clusters, clock=lambda: NOW)
    nodes.record_states("alpha", [NodeReport("a01", ("idle",)), NodeReport("a05", ("idle",))], store)
    assert [(one.hostname, one.health_state) for one in nodes.latest()] == [
        ("a01", "full"),
        ("a05", "failed"),
    ]
