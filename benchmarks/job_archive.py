"""The job archive: one large job read, many small ones exported, and a database rebuilt from them.

Each row stands beside the obvious way to do the same: `gzip` with `json` for reading, `tarfile` over the
directory for the export, `json` with `sqlite3` for rebuilding.
"""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.database import migrate, open_database
from ccserver.jobs.export import Exporter, Selection
from ccserver.jobs.init_db import rebuild
from ccserver.jobs.repository import JobRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Job, Resource
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from ccserver.model.user import Principal

ROUNDS = 5
JOBS = 1000
EVERYBODY = Principal("bench", frozenset({"admin", "api"}))
METRICS = [f"metric_{number}" for number in range(10)]


def cluster() -> dict[str, object]:
    peak = {"unit": {"base": "F/s", "prefix": "G"}, "value": 1}
    metric = {"unit": {"base": "B/s", "prefix": "G"}, "timestep": 60, "aggregation": "avg", "scope": "node"}
    return {
        "name": "bench",
        "metricConfig": [
            {"name": name, **metric, "footprint": "avg", "peak": 1, "normal": 1, "caution": 1, "alert": 1}
            for name in METRICS
        ],
        "subClusters": [
            {
                "name": "all", "nodes": "*", "processorType": "", "socketsPerNode": 1, "coresPerSocket": 1,
                "threadsPerCore": 1, "flopRateScalar": peak, "flopRateSimd": peak, "memoryBandwidth": peak,
                "topology": {"node": [0], "socket": [[0]], "memoryDomain": [[0]]},
            }
        ],
    }  # fmt: skip


def job(number: int, nodes: int, points: int) -> Job:
    return Job(
        job_id=100_000 + number,
        cluster="bench",
        user=f"user{number % 50}",
        start_time=1_700_000_000 + number,
        resources=[Resource(f"n{node:04}") for node in range(nodes)],
        num_nodes=nodes,
        project="project",
        subcluster="all",
        state="completed",
        duration=60 * points,
        monitoring_status=3,
        metadata={"jobName": "benchmark", "jobScript": "#!/bin/sh\nsrun solver\n" * 20},
        statistics={name: JobStatistic(Unit("B/s", "G"), 1.5, 0.25, 3.0) for name in METRICS},
    )


def data(nodes: int, points: int) -> JobData:
    """Curves that wander, with two decimals."""
    random = np.random.default_rng(7)

    def curve() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        steps = random.normal(0, 0.4, points).cumsum()
        return np.round(np.abs(50 + steps), 2).astype(np.float32)

    return {
        name: {
            "node": JobMetric(
                Unit("B/s", "G"),
                60,
                [Series(f"n{node:04}", curve(), Statistics(1.5, 0.25, 3.0)) for node in range(nodes)],
            )
        }
        for name in METRICS
    }


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median wall and processor time of the process."""
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return statistics.median(walls), statistics.median(cpus)


def load_job(archive: FileArchive) -> None:
    large = job(0, 64, 1440)
    archive.import_job(large, data(64, 1440))
    path = archive.root / "bench" / "100" / "000" / str(large.start_time) / "data.json.gz"

    def plain() -> None:
        document = json.loads(gzip.decompress(path.read_bytes()))
        for scopes in document.values():
            for metric in scopes.values():
                for series in metric["series"]:
                    np.array(series["data"], dtype=np.float64)

    archive.load_data(large)
    wall, cpu = seconds(lambda: archive.load_data(large))
    plain_wall, plain_cpu = seconds(plain)
    print(
        f"load 64 nodes x 10 metrics x 1440: {wall * 1e3:.0f} ms ({cpu * 1e3:.0f} ms of processor), "
        f"json and gzip {plain_wall * 1e3:.0f} ms ({plain_cpu * 1e3:.0f}), target 40"
    )


def export(archive: FileArchive, clusters: Clusters, jobs: JobRepository) -> None:
    exporter = Exporter(jobs, archive, clusters, MetricData(clusters, None, archive))

    def run(pieces: Callable[[], object]) -> Callable[[], None]:
        def work() -> None:
            for _ in pieces():  # type: ignore[attr-defined]
                pass

        return work

    selection = Selection()
    ways = {
        "tar": lambda: exporter.tar(exporter.jobs([], EVERYBODY, -1, None), EVERYBODY, ["bench"], selection),
        "json": lambda: exporter.json(exporter.jobs([], EVERYBODY, -1, None), selection),
        "parquet": lambda: exporter.table(
            exporter.jobs([], EVERYBODY, -1, None), "samples", "parquet", selection
        ),
        "csv": lambda: exporter.table(exporter.jobs([], EVERYBODY, -1, None), "samples", "csv", selection),
    }

    def plain_tar() -> None:
        with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
            tar.add(archive.root)

    plain = seconds(plain_tar, 3)
    print(f"tarfile over the directory: {JOBS / plain[0]:.0f} jobs/s ({JOBS / plain[1]:.0f} per CPU second)")
    for name, way in ways.items():
        wall, cpu = seconds(run(way), 3)
        print(f"export as {name}: {JOBS / wall:.0f} jobs/s ({JOBS / cpu:.0f} per CPU second), target 200")


def init_db(archive: FileArchive, clusters: Clusters, folder: Path) -> JobRepository:
    migrate(folder / "job.db")
    database = open_database(folder / "job.db")
    metric_data = MetricData(clusters, None, archive)
    wall, cpu = seconds(lambda: rebuild(database, archive, clusters, metric_data), 3)

    def plain() -> None:
        with sqlite3.connect(":memory:") as connection:
            connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, job_id, cluster, start, meta)")
            for path in archive.root.glob("*/*/*/*/meta.json"):
                meta = json.loads(path.read_bytes())
                row = (meta["jobId"], meta["cluster"], meta["startTime"], json.dumps(meta))
                connection.execute("INSERT INTO job VALUES (NULL, ?, ?, ?, ?)", row)

    plain_wall, plain_cpu = seconds(plain, 3)
    print(
        f"init-db: {JOBS / wall:.0f} jobs/s ({JOBS / cpu:.0f} per CPU second), "
        f"json and sqlite3 {JOBS / plain_wall:.0f} ({JOBS / plain_cpu:.0f}), target 500"
    )
    return JobRepository(database)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for root in ("large", "small"):
            (folder / root).mkdir()
        large = FileArchive(folder / "large")
        large.open()
        load_job(large)
        small = FileArchive(folder / "small")
        small.open()
        document = data(4, 120)
        for number in range(JOBS):
            small.import_job(job(number, 4, 120), document)
        (small.root / "bench" / "cluster.json").write_text(json.dumps(cluster()))
        clusters = Clusters.from_documents(small.cluster_documents())
        jobs = init_db(small, clusters, folder)
        export(small, clusters, jobs)
        jobs.database.close()


if __name__ == "__main__":
    main()
