"""Jobs as tests need them: small, and with every field set or none."""

from __future__ import annotations

import numpy as np

from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit


def job(job_id: int = 4711042, start_time: int = 1700000400, **more: object) -> Job:
    fields: dict[str, object] = {
        "cluster": "demo",
        "user": "alice",
        "resources": [Resource("d03"), Resource("d04", [0, 1])],
        "num_nodes": 2,
        "project": "phys1",
        "subcluster": "small",
        "state": "completed",
        "duration": 7200,
        "monitoring_status": 3,
        "statistics": {"cpu_load": JobStatistic(Unit(), 7.85, 0.1, 8.0)},
        **more,
    }
    return Job(job_id=job_id, start_time=start_time, **fields)  # type: ignore[arg-type]


def full_job() -> Job:
    return job(
        partition="work",
        walltime=86400,
        submit_time=1700000000,
        requested_memory=2048,
        array_job_id=7,
        num_hwthreads=16,
        num_acc=1,
        smt=1,
        energy=0.84,
        footprint={"mem_used_max": 30.25, "cpu_load_avg": 7.85},
        energy_footprint={"cpu_power": 0.84},
        metadata={"jobName": "relax <b>&", "jobScript": "#!/bin/bash\nsrun\u2028x"},
        tags=[Tag("app", "vasp", "alice", 12)],
        resources=[Resource("d03"), Resource("d04", [0, 1], ["00000000:0E:00.0"], "none")],
        id=99,
    )


def series(host: str, values: list[float | None], id_: str | None = None) -> Series:
    data = np.array(values, dtype=np.float32)
    return Series(host, data, Statistics(5.43, 0.1, 8.2), id_)


def data() -> JobData:
    return {
        "mem_bw": {
            "socket": JobMetric(Unit("B/s", "G"), 60, [series("d03", [0.2, 14.8, 30], "0")]),
            "node": JobMetric(Unit("B/s", "G"), 60, [series("d03", [0.5, 29.8, 60])]),
        },
        "cpu_load": {
            "node": JobMetric(
                Unit(), 60, [series("d03", [0.1, 8, 8.2, None]), series("d04", [8, 8.1, 8.1, 8])]
            )
        },
    }
