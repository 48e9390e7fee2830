"""Jobs and their samples as tables, written to Parquet or CSV while they are read (docs/export.md).

Cost: rows are gathered until a row group is full, so memory is one row group (about 25 MB) plus the job being
read, however many jobs there are.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from ccserver.model.job import Job
from ccserver.model.metrics import JobData, Series, Unit

ROWS = 262_144
"""Rows of a row group."""
_PIECE = 1 << 20  # bytes of CSV
_JOB_ROWS = 2_000  # job rows may hold scripts of megabytes

_TIME = pa.timestamp("s", tz="UTC")
_NAME = pa.dictionary(pa.int32(), pa.string())

SAMPLES = pa.schema(
    [
        ("id", pa.int64()), ("job_id", pa.int64()), ("cluster", _NAME), ("subcluster", _NAME),
        ("user", _NAME), ("project", _NAME), ("metric", _NAME), ("scope", _NAME), ("hostname", _NAME),
        ("component", _NAME), ("unit", _NAME), ("time", _TIME), ("value", pa.float64()),
    ]
)  # fmt: skip

JOBS = pa.schema(
    [
        ("id", pa.int64()), ("job_id", pa.int64()), ("cluster", pa.string()), ("subcluster", pa.string()),
        ("partition", pa.string()), ("user", pa.string()), ("project", pa.string()), ("state", pa.string()),
        ("shared", pa.string()), ("start_time", _TIME), ("duration", pa.int64()), ("walltime", pa.int64()),
        ("num_nodes", pa.int64()), ("num_hwthreads", pa.int64()), ("num_acc", pa.int64()),
        ("smt", pa.int64()), ("array_job_id", pa.int64()), ("monitoring_status", pa.int64()),
        ("energy", pa.float64()), ("resources", pa.string()), ("tags", pa.string()),
        ("metadata", pa.string()), ("footprint", pa.string()), ("energy_footprint", pa.string()),
        ("statistics", pa.string()),
    ]
)  # fmt: skip

Kind = Literal["parquet", "csv"]


def samples(jobs: Iterable[tuple[Job, JobData]], kind: Kind) -> Iterator[bytes]:
    """The samples of all jobs as one file, in pieces; the columns are those of SAMPLES."""
    if kind == "csv":
        return _sample_lines(jobs)
    return _written(_sample_batches(jobs), SAMPLES, kind)


def job_rows(jobs: Iterable[Job], kind: Kind) -> Iterator[bytes]:
    """One row per job as one file, in pieces; the columns are those of JOBS."""
    return _written(_job_batches(jobs), JOBS, kind)


def unit_text(unit: Unit) -> str:
    """As people write it: "GB/s"."""
    return unit.prefix + unit.base


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


class _Pieces(io.RawIOBase):
    """What a writer has written since the last `take`."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        copied = bytes(piece)
        self._pieces.append(copied)
        self._position += len(copied)
        return len(copied)

    def tell(self) -> int:
        return self._position

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _written(batches: Iterator[pa.RecordBatch], schema: pa.Schema, kind: Kind) -> Iterator[bytes]:
    pieces = _Pieces()
    writer: _Writer
    if kind == "parquet":
        # Statistics let readers skip row groups: time and job columns are nearly sorted.
        writer = pyarrow.parquet.ParquetWriter(pieces, schema, compression="zstd", compression_level=1)
    else:
        options = pyarrow.csv.WriteOptions(quoting_style="needed")
        writer = pyarrow.csv.CSVWriter(pieces, _plain(schema), write_options=options)
    for batch in batches:
        writer.write_batch(batch if kind == "parquet" else _plain_batch(batch))
        if piece := pieces.take():
            yield piece
    writer.close()
    yield pieces.take()


def _plain(schema: pa.Schema) -> pa.Schema:
    """As CSV has it: times are texts before the writer sees them."""
    return pa.schema([(f.name, pa.string() if f.type == _TIME else f.type) for f in schema])


def _plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [_time_texts(one) if one.type == _TIME else one for one in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=_plain(batch.schema))


def _time_texts(times: pa.Array) -> pa.Array:
    # Times with a zone are formatted thirteen times as slowly as ones without.
    naive = times.cast(pa.timestamp("s")).cast(pa.string())
    return pyarrow.compute.binary_join_element_wise(naive, "Z", "")


@dataclass(frozen=True, slots=True)
class _Run:
    """One series with what every one of its rows says."""

    job: Job
    metric: str
    scope: str
    unit: str
    timestep: int
    series: Series

    def __len__(self) -> int:
        return len(self.series.data)


def _sample_batches(jobs: Iterable[tuple[Job, JobData]]) -> Iterator[pa.RecordBatch]:
    runs: list[_Run] = []
    rows = 0
    for job, data in jobs:
        for run in _runs(job, data):
            if runs and rows + len(run) > ROWS:
                yield _sample_batch(runs)
                runs, rows = [], 0
            runs.append(run)
            rows += len(run)
    if runs:
        yield _sample_batch(runs)


def _runs(job: Job, data: JobData) -> Iterator[_Run]:
    for name, scopes in data.items():
        for scope, metric in scopes.items():
            unit = unit_text(metric.unit)
            for series in metric.series:
                if len(series.data):
                    yield _Run(job, name, scope, unit, metric.timestep, series)


def _sample_batch(runs: Sequence[_Run]) -> pa.RecordBatch:
    lengths = np.array([len(run) for run in runs], dtype=np.int64)
    begins = np.cumsum(lengths) - lengths
    steps = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(begins, lengths)
    starts = np.array([run.job.start_time for run in runs], dtype=np.int64)
    times = np.repeat(starts, lengths) + steps * np.repeat(
        np.array([run.timestep for run in runs], dtype=np.int64), lengths
    )
    values = np.concatenate([run.series.data for run in runs]).astype(np.float64, copy=False)

    def number(of: Sequence[int]) -> pa.Array:
        return pa.array(np.repeat(np.array(of, dtype=np.int64), lengths))

    def name(of: Sequence[str | None]) -> pa.Array:
        codes = {text: code for code, text in enumerate(dict.fromkeys(t for t in of if t is not None))}
        per_run = np.array([-1 if text is None else codes[text] for text in of], dtype=np.int32)
        per_row = np.repeat(per_run, lengths)
        indices = pa.array(per_row, mask=per_row < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(list(codes), pa.string()))

    columns = [
        number([run.job.id for run in runs]),
        number([run.job.job_id for run in runs]),
        name([run.job.cluster for run in runs]),
        name([run.job.subcluster for run in runs]),
        name([run.job.user for run in runs]),
        name([run.job.project for run in runs]),
        name([run.metric for run in runs]),
        name([run.scope for run in runs]),
        name([run.series.hostname for run in runs]),
        name([run.series.id for run in runs]),
        name([run.unit for run in runs]),
        pa.array(times).cast(_TIME),
        pa.array(values, mask=np.isnan(values)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SAMPLES)


def _sample_lines(jobs: Iterable[tuple[Job, JobData]]) -> Iterator[bytes]:
    """Lines of text, put together from what is the same in all lines of a series and what is not.

    That is four times as fast as a table that is written as CSV.
    """
    pieces = [_csv_line(SAMPLES.names).encode()]
    size = 0
    for job, data in jobs:
        texts: dict[tuple[int, int], list[str]] = {}
        for run in _runs(job, data):
            key = run.timestep, len(run)
            if key not in texts:
                steps = job.start_time + run.timestep * np.arange(len(run), dtype=np.int64)
                texts[key] = _time_texts(pa.array(steps).cast(_TIME)).to_pylist()
            pieces.append(_run_lines(run, texts[key]))
            size += len(pieces[-1])
            if size >= _PIECE:
                yield b"".join(pieces)
                pieces, size = [], 0
    yield b"".join(pieces)


def _run_lines(run: _Run, times: list[str]) -> bytes:
    job, series = run.job, run.series
    names = (
        job.id, job.job_id, job.cluster, job.subcluster, job.user, job.project, run.metric, run.scope,
        series.hostname, series.id, run.unit,
    )  # fmt: skip
    head = _csv_line(names)[:-1] + ","
    numbers = np.ascontiguousarray(series.data)
    values = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].decode()
    lines = map(",".join, zip(times, values.replace("null", "").split(","), strict=True))
    return (head + ("\n" + head).join(lines) + "\n").encode()


def _csv_line(cells: Iterable[str | int | None]) -> str:
    """Texts are quoted, so that an empty one differs from none."""
    return ",".join(map(_csv_cell, cells)) + "\n"


def _csv_cell(cell: str | int | None) -> str:
    if isinstance(cell, str):
        return '"' + cell.replace('"', '""') + '"'
    return "" if cell is None else str(cell)


def _job_batches(jobs: Iterable[Job]) -> Iterator[pa.RecordBatch]:
    remaining = iter(jobs)
    while rows := [_job_row(job) for job in islice(remaining, _JOB_ROWS)]:
        yield pa.RecordBatch.from_pylist(rows, schema=JOBS)


def _job_row(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "job_id": job.job_id,
        "cluster": job.cluster,
        "subcluster": job.subcluster,
        "partition": job.partition,
        "user": job.user,
        "project": job.project,
        "state": job.state,
        "shared": job.shared,
        "start_time": job.start_time,
        "duration": job.duration,
        "walltime": job.walltime,
        "num_nodes": job.num_nodes,
        "num_hwthreads": job.num_hwthreads,
        "num_acc": job.num_acc,
        "smt": job.smt,
        "array_job_id": job.array_job_id,
        "monitoring_status": job.monitoring_status,
        "energy": job.energy,
        "resources": _json(job.resources),
        "tags": _json(job.tags or []),
        "metadata": _json(job.metadata),
        "footprint": _json(job.footprint),
        "energy_footprint": _json(job.energy_footprint),
        "statistics": _json(job.statistics),
    }


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
