"""Jobs and their curves as tables for spreadsheets and notebooks, streamed. Described in docs/export.md.

Everything here is a generator of bytes: memory is a batch of jobs, or the curves of one job.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import orjson

from ccserver.clusters import Clusters
from ccserver.model.job import Job
from ccserver.model.metrics import SCOPES, JobData

Cell = str | int | float | None

COLUMNS: dict[str, tuple[str, Callable[[Job], Cell]]] = {
    "id": ("", lambda job: job.id),
    "jobId": ("", lambda job: job.job_id),
    "jobName": ("", lambda job: (job.metadata or {}).get("jobName", "")),
    "user": ("", lambda job: job.user),
    "project": ("", lambda job: job.project),
    "cluster": ("", lambda job: job.cluster),
    "subCluster": ("", lambda job: job.subcluster),
    "partition": ("", lambda job: job.partition),
    "state": ("", lambda job: job.state),
    "startTime": ("", lambda job: datetime.fromtimestamp(job.start_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    "duration": ("s", lambda job: job.duration),
    "walltime": ("s", lambda job: job.walltime),
    "numNodes": ("", lambda job: job.num_nodes),
    "numHWThreads": ("", lambda job: job.num_hwthreads),
    "numAcc": ("", lambda job: job.num_acc),
    "energy": ("kWh", lambda job: job.energy),
    "tags": ("", lambda job: " ".join(f"{tag.type}:{tag.name}" for tag in job.tags or ())),
}
"""What is known of every job: unit and value. Footprints follow, under the name of their key."""

# A spreadsheet would run a text that starts like this as a formula.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_QUOTED = re.compile(r'[",\n\r;]')


def footprint_columns(clusters: Clusters) -> list[str]:
    """Keys of the footprints that jobs of this site have, `mem_used_max`."""
    return sorted(
        {
            f"{name}_{subcluster.metrics[name].footprint or 'avg'}"
            for cluster in clusters.by_name.values()
            for subcluster in cluster.subclusters.values()
            for name in subcluster.footprint
            if name in subcluster.metrics
        }
    )


def jobs_csv(jobs: Iterable[Job], columns: Sequence[str]) -> Iterator[bytes]:
    """A line per job, its units in the head."""
    yield _line(_heading(name) for name in columns)
    for job in jobs:
        yield _line(_value(job, name) for name in columns)


def jobs_json(jobs: Iterable[Job], columns: Sequence[str]) -> Iterator[bytes]:
    """`{"columns": [{name, unit}], "rows": [[...]]}`, as the tables of the pages."""
    heads = [{"name": name, **({"unit": unit} if (unit := _unit(name)) else {})} for name in columns]
    yield b'{"columns":' + orjson.dumps(heads) + b',"rows":['
    separator = b"\n"
    for job in jobs:
        yield separator + orjson.dumps([_value(job, name) for name in columns])
        separator = b",\n"
    yield b"\n]}\n"


def metrics_csv(start: int, data: JobData) -> Iterator[bytes]:
    """A line per sample: time in unix seconds, metric, unit, scope, host, component, value."""
    yield _line(["time [s]", "metric", "unit", "scope", "host", "id", "value"])
    for name, scopes in data.items():
        for scope in sorted(scopes, key=SCOPES.index):
            metric = scopes[scope]
            unit = metric.unit.prefix + metric.unit.base
            for series in metric.series:
                middle = _line([name, unit, scope, series.hostname, series.id]).removesuffix(b"\r\n")
                times = range(start, start + len(series.data) * metric.timestep, metric.timestep)
                texts = map(str, series.data)  # the shortest digits that are this number
                yield b"".join(
                    b"%d,%s,%s\r\n" % (time, middle, b"" if missing else text.encode())
                    for time, text, missing in zip(times, texts, np.isnan(series.data).tolist(), strict=True)
                )


def _heading(name: str) -> str:
    return f"{name} [{unit}]" if (unit := _unit(name)) else name


def _unit(name: str) -> str:
    return COLUMNS[name][0] if name in COLUMNS else ""


def _value(job: Job, name: str) -> Cell:
    if name in COLUMNS:
        return COLUMNS[name][1](job)
    return (job.footprint or {}).get(name)


def _line(cells: Iterable[Cell]) -> bytes:
    return (",".join(map(_cell, cells)) + "\r\n").encode()


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return str(cell)
    text = f"'{cell}" if _FORMULA.match(cell) else cell
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
