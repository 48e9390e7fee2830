"""Jobs as rows of Parquet files, for retention and conversion. Contract: spec/job-archive.md 21.3.

<cluster>/cluster.json
<cluster>/cc-archive-YYYY-MM-DD-NNN.parquet

Cost: rows are held until a file is full (512 MB by default), since its rows are sorted.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet

from ccserver.archive.data import decode_data, encode_data
from ccserver.archive.errors import ArchiveError
from ccserver.archive.file import check_cluster_name, unpack_data
from ccserver.archive.interface import BrokenEntry, JobArchive
from ccserver.archive.manage import Copied
from ccserver.archive.meta import decode_meta, encode_meta
from ccserver.archive.places import PARQUET, Place, read, write
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

log = logging.getLogger(__name__)

_COLUMNS: tuple[tuple[str, pa.DataType, str, bool], ...] = (
    ("job_id", pa.int64(), "jobId", True),
    ("cluster", pa.string(), "cluster", True),
    ("sub_cluster", pa.string(), "subCluster", True),
    ("partition", pa.string(), "partition", False),
    ("project", pa.string(), "project", True),
    ("user", pa.string(), "user", True),
    ("job_state", pa.string(), "jobState", True),
    ("start_time", pa.int64(), "startTime", True),
    ("duration", pa.int32(), "duration", True),
    ("walltime", pa.int64(), "walltime", True),
    ("num_nodes", pa.int32(), "numNodes", True),
    ("num_hwthreads", pa.int32(), "numHwthreads", True),
    ("num_acc", pa.int32(), "numAcc", True),
    ("exclusive", pa.int32(), "", True),
    ("energy", pa.float64(), "energy", True),
    ("smt", pa.int32(), "smt", True),
    ("resources_json", pa.binary(), "resources", True),
    ("statistics_json", pa.binary(), "statistics", False),
    ("tags_json", pa.binary(), "tags", False),
    ("meta_data_json", pa.binary(), "metaData", False),
    ("footprint_json", pa.binary(), "footprint", False),
    ("energy_footprint_json", pa.binary(), "energyFootprint", False),
    ("metric_data_gz", pa.binary(), "", True),
)
"""Column, type, key of `meta.json`, required."""
SCHEMA = pa.schema([pa.field(name, kind, nullable=not must) for name, kind, _key, must in _COLUMNS])
_SORTED_BY = ("sub_cluster", "project", "start_time")
_STATES = pa.schema(
    [
        pa.field(name, kind, nullable=name == "health_metrics")
        for name, kind in (
            ("time_stamp", pa.int64()), ("node_state", pa.string()), ("health_state", pa.string()),
            ("health_metrics", pa.string()), ("cpus_allocated", pa.int32()), ("memory_allocated", pa.int64()),
            ("gpus_allocated", pa.int32()), ("jobs_running", pa.int32()), ("hostname", pa.string()),
            ("cluster", pa.string()), ("subcluster", pa.string()),
        )
    ]
)  # fmt: skip
_STATES_SORTED_BY = ("cluster", "subcluster", "hostname", "time_stamp")
_STATE = 150  # bytes that a state is estimated at beside its metrics
_ROW = 200  # bytes that a row is estimated at beside its texts
_AT_ONCE = 16  # rows that are read; one may hold some MB

Row = dict[str, Any]


class ParquetWriter:
    """Gathers jobs and writes a file whenever one is full, another cluster follows, or all are there."""

    def __init__(self, place: Place, most: int) -> None:
        """`most`: bytes of a file, estimated before compression."""
        self._place = place
        self._most = most
        self._rows: list[Row] = []
        self._jobs: list[Job] = []
        self._size = 0

    def store_cluster(self, cluster: str, document: bytes) -> None:
        check_cluster_name(cluster)
        body = json.dumps(json.loads(document), indent=2, ensure_ascii=False).encode()
        try:
            write(self._place, f"{cluster}/cluster.json", body)
        except OSError as error:
            raise ArchiveError(f"{self._place}/{cluster}: {error}") from error

    def add(self, job: Job, data: JobData) -> list[Job]:
        """Takes a job; returns those that lie safely in a file since this call. Raises ArchiveError."""
        row = _row(job, data)
        size = _ROW + sum(len(value) for value in row.values() if isinstance(value, str | bytes))
        full = self._rows and (self._size + size > self._most or self._jobs[-1].cluster != job.cluster)
        written = self.flush() if full else []
        self._rows.append(row)
        self._jobs.append(job)
        self._size += size
        return written

    def flush(self) -> list[Job]:
        """Writes what was gathered and returns those jobs. What cannot be written is forgotten."""
        if not self._rows:
            return []
        rows, jobs = self._rows, self._jobs
        self._rows, self._jobs, self._size = [], [], 0
        rows.sort(key=lambda row: tuple(row[name] for name in _SORTED_BY))
        folder = jobs[0].cluster
        try:
            _write_file(self._place, f"{folder}/cc-archive", SCHEMA, _SORTED_BY, rows)
        except OSError as error:
            raise ArchiveError(f"{self._place}/{folder}: {len(jobs)} jobs not written: {error}") from error
        return jobs


def read_parquet(place: Place, cluster: str) -> Iterator[tuple[Job, JobData] | BrokenEntry]:
    """The jobs of all Parquet files of a cluster; the format does not keep `shared`, it is "none"."""
    for key in sorted(place.files(cluster)):
        if not key.endswith(".parquet"):
            continue
        try:
            with place.reading(key) as file:
                for batch in pa.parquet.ParquetFile(file).iter_batches(_AT_ONCE):
                    for row in batch.to_pylist():
                        yield _job_or_broken(row, f"{place}/{key}")
        except (OSError, pa.ArrowException) as error:
            yield BrokenEntry(f"{place}/{key}", str(error))


def export_parquet(
    source: JobArchive, target: Place, most: int, progress: Callable[[Copied], None]
) -> Copied:
    """All jobs of an archive as Parquet files of at most about `most` bytes; a bad entry costs itself."""
    result = Copied()
    writer = ParquetWriter(target, most)
    for cluster in source.clusters():
        writer.store_cluster(cluster, source.cluster_file(cluster))
    for entry in source.iterate():
        try:
            if isinstance(entry, BrokenEntry):
                raise ArchiveError(f"{entry.place}: {entry.reason}")
            data = source.load_data(entry)
        except ArchiveError as error:
            log.error("%s", error)
            result.failed += 1
        else:
            # Not caught: a target that takes no more ends the conversion.
            result.jobs += len(writer.add(entry, data))
        progress(result)
    result.jobs += len(writer.flush())
    return result


def import_parquet(source: Place, target: JobArchive, progress: Callable[[Copied], None]) -> Copied:
    """All jobs of Parquet files into an archive; those it has are skipped."""
    result = Copied()
    for cluster in source.folders():
        try:
            target.store_cluster(cluster, read(source, f"{cluster}/cluster.json"))
        except OSError as error:
            raise ArchiveError(f"{source}/{cluster}/cluster.json: {error}") from error
        for found in read_parquet(source, cluster):
            try:
                if isinstance(found, BrokenEntry):
                    raise ArchiveError(f"{found.place}: {found.reason}")
                job, data = found
                if target.exists(job):
                    result.present += 1
                else:
                    target.import_job(job, data)
                    result.jobs += 1
            except ArchiveError as error:
                log.error("%s", error)
                result.failed += 1
            progress(result)
    return result


def _row(job: Job, data: JobData) -> Row:
    document = orjson.loads(encode_meta(job))
    row: Row = {}
    for name, kind, key, must in _COLUMNS:
        value = document.get(key)
        if pa.types.is_binary(kind) and key:
            row[name] = orjson.dumps(value) if value is not None else None
        elif must and key and value is None:
            row[name] = 0  # meta.json leaves zeros out
        else:
            row[name] = value
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(encode_data(data))
    row.update(exclusive=0, metric_data_gz=packed.getvalue())
    return row


def _job_or_broken(row: Row, place: str) -> tuple[Job, JobData] | BrokenEntry:
    try:
        document = {
            key: orjson.loads(row[name]) if pa.types.is_binary(kind) else row[name]
            for name, kind, key, _must in _COLUMNS
            if key and row.get(name) is not None
        }
        job = decode_meta(orjson.dumps({**document, "shared": "none"}))
        return job, decode_data(unpack_data(row["metric_data_gz"]))
    except (ArchiveError, KeyError, TypeError, ValueError) as error:
        return BrokenEntry(f"{place}: job {row.get('job_id')}", str(error))


def write_node_states(states: Iterable[tuple[int, Row]], place: Place, most: int) -> Iterator[list[int]]:
    """Writes states of nodes, sorted as they come, to files of about `most` bytes at the root of `place`.

    Yields the ids of those that lie in a file. Raises ArchiveError.
    """
    ids: list[int] = []
    rows: list[Row] = []
    size = 0

    def write_states() -> list[int]:
        try:
            _write_file(place, "cc-nodestate", _STATES, _STATES_SORTED_BY, rows)
        except OSError as error:
            raise ArchiveError(f"{place}: {len(ids)} node states not written: {error}") from error
        return ids

    for id, row in states:
        if rows and size > most:
            yield write_states()
            ids, rows, size = [], [], 0
        ids.append(id)
        rows.append(row)
        size += _STATE + len(row["health_metrics"] or "")
    if rows:
        yield write_states()


def _write_file(
    place: Place, prefix: str, schema: pa.Schema, sorted_by: Sequence[str], rows: list[Row]
) -> None:
    """Raises OSError."""
    sorting = [pa.parquet.SortingColumn(schema.names.index(name)) for name in sorted_by]
    with (
        place.writing(_free_key(place, prefix), PARQUET) as file,
        pa.parquet.ParquetWriter(
            file, schema, compression="zstd", sorting_columns=sorting, store_schema=False
        ) as writer,
    ):
        writer.write_table(pa.Table.from_pylist(rows, schema))


def _free_key(place: Place, prefix: str) -> str:
    day = time.strftime("%Y-%m-%d")
    number = 1
    while place.has(key := f"{prefix}-{day}-{number:03}.parquet"):
        number += 1
    return key
