"""A small cluster and jobs on it."""

from __future__ import annotations

from typing import Any

from ccserver.jobs.repository import JobRepository
from ccserver.model.job import Job, Resource

NOW = 1_700_000_000

CLUSTER: dict[str, Any] = {
    "name": "alpha",
    "metricConfig": [
        {
            "name": name,
            "unit": unit,
            "scope": "node",
            "aggregation": "sum",
            "timestep": 60,
            "peak": 100,
            "normal": 50,
            "caution": 20,
            "alert": 10,
            **extra,
        }
        for name, unit, extra in (
            ("cpu_load", {"base": ""}, {"footprint": "avg"}),
            ("mem_used", {"base": "B", "prefix": "G"}, {"footprint": "max"}),
            ("cpu_power", {"base": "W"}, {"energy": "power"}),
        )
    ],
    "subClusters": [
        {
            "name": "main",
            "nodes": "a[01-08]",
            "processorType": "test",
            "socketsPerNode": 1,
            "coresPerSocket": 4,
            "threadsPerCore": 1,
            "flopRateScalar": {"unit": {"base": "F/s", "prefix": "G"}, "value": 14},
            "flopRateSimd": {"unit": {"base": "F/s", "prefix": "G"}, "value": 112},
            "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": 24},
            "topology": {
                "node": [0, 1, 2, 3],
                "socket": [[0, 1, 2, 3]],
                "memoryDomain": [[0, 1, 2, 3]],
                "core": [[0], [1], [2], [3]],
            },
        }
    ],
}


def make_job(job_id: int = 1, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "cluster": "alpha",
        "user": "alice",
        "project": "physics",
        "start_time": NOW - 3600,
        "resources": [Resource("a01")],
        "num_nodes": 1,
        "subcluster": "main",
        "partition": "batch",
        "state": "running",
        "num_hwthreads": 4,
        **changes,
    }
    if "resources" in changes and "num_nodes" not in changes:
        values["num_nodes"] = len(changes["resources"])
    return Job(job_id, **values)


def stored(jobs: JobRepository, *records: Job) -> list[int]:
    """Insert jobs and return their ids; fails the test when one is refused."""
    ids = []
    for outcome in jobs.insert_all(records):
        assert isinstance(outcome, int), outcome
        ids.append(outcome)
    return ids
