"""Jobs with their metric data for other programs, streamed job by job. Described in docs/export.md.

Everything here is a generator of bytes: memory is one job's data (and a row group for tables), whatever the
number of jobs, and whoever stops asking frees it all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import orjson

from ccserver.archive import ArchiveError, JobArchive, JobFiles, decode_meta, encode_meta, pack_data
from ccserver.archive.tarball import END, entry
from ccserver.clusters import Clusters
from ccserver.jobs.filters import JobFilter
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.scopes import readable
from ccserver.jobs.wire import encode_job
from ccserver.metricdata import MetricData, MetricDataError
from ccserver.metricdata.archived import select
from ccserver.model.job import MONITORING_ARCHIVED, Job
from ccserver.model.metrics import JobData, JobMetric
from ccserver.model.user import Principal

log = logging.getLogger(__name__)

Table = Literal["samples", "jobs"]

REPORT = "export.json"
_BATCH = 100  # jobs per look-up of tags and metadata
_NAMED_SKIPS = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which metrics and scopes; None is all. Of a metric without any of the scopes everything is kept."""

    metrics: Sequence[str] | None = None
    scopes: Sequence[str] | None = None

    @property
    def everything(self) -> bool:
        return self.metrics is None and self.scopes is None


class NotExportable(Exception):
    """A job has no place in a job archive (yet); the message says why."""


class Exporter:
    """Reads jobs as `viewer` sees them and writes them as tar, Parquet, CSV or JSON."""

    def __init__(
        self, jobs: JobRepository, archive: JobArchive, clusters: Clusters, metric_data: MetricData
    ) -> None:
        self._jobs = jobs
        self._archive = archive
        self._clusters = clusters
        self._metric_data = metric_data

    def jobs(
        self, filters: Sequence[JobFilter], viewer: Principal, after: int, last: int | None
    ) -> Iterator[Job]:
        """Matching jobs with ids above `after`, up to `last`, by rising id, with tags and metadata."""
        found = self._jobs.iterate(filters, viewer, after=after, last=last)
        while batch := list(islice(found, _BATCH)):
            ids = [job.id for job in batch]
            tags, metadata = self._jobs.tags_of(ids, viewer), self._jobs.metadata_of(ids)
            for job in batch:
                job.tags, job.metadata = list(tags[job.id]), metadata.get(job.id)
                yield job

    # ---- tar

    def tar(
        self, jobs: Iterable[Job], viewer: Principal, clusters: Iterable[str], selection: Selection
    ) -> Iterator[bytes]:
        """A job archive with the finished jobs among `jobs`; the last entry reports what it holds."""
        now = int(self._jobs.clock())
        yield entry("version.txt", b"3\n", now)
        for cluster in clusters:
            yield entry(f"{cluster}/cluster.json", self._archive.cluster_file(cluster), now)
        written, last = 0, 0
        skipped: list[dict[str, Any]] = []
        number_skipped = 0
        for job in jobs:
            last = job.id
            try:
                yield self._tar_job(job, viewer, selection)
                written += 1
            except NotExportable as error:
                number_skipped += 1
                if len(skipped) < _NAMED_SKIPS:
                    skipped.append({"id": job.id, "jobId": job.job_id, "reason": str(error)})
        report = {"jobs": written, "lastId": last, "skipped": number_skipped, "skippedJobs": skipped}
        yield entry(REPORT, json.dumps(report, indent=1).encode() + b"\n", now) + END

    def tar_of_one(self, job: Job, viewer: Principal, selection: Selection) -> Iterator[bytes]:
        """As `tar`; raises NotExportable at once where the job has no archive entry."""
        files = self._tar_job(job, viewer, selection)
        return _chained(self._head_of_one(job), files + END)

    def _head_of_one(self, job: Job) -> bytes:
        now = int(self._jobs.clock())
        cluster = entry(f"{job.cluster}/cluster.json", self._archive.cluster_file(job.cluster), now)
        return entry("version.txt", b"3\n", now) + cluster

    def _tar_job(self, job: Job, viewer: Principal, selection: Selection) -> bytes:
        files = self._files(job)
        try:
            meta = _readable_meta(files.meta, viewer)
            name, data = files.data_name, files.data
            if not selection.everything:
                name, data = pack_data(self._selected(self._archive.load_data(job), selection))
        except ArchiveError as error:
            log.error("export of job %d: %s", job.id, error)
            raise NotExportable("its archive entry cannot be read") from None
        folder = f"{job.cluster}/{job.job_id // 1000}/{job.job_id % 1000:03d}/{job.start_time}"
        modified = job.start_time + job.duration
        return entry(f"{folder}/meta.json", meta, modified, comment=f"id {job.id}") + entry(
            f"{folder}/{name}", data, modified
        )

    def _files(self, job: Job) -> JobFiles:
        if job.running:
            raise NotExportable("the job is running")
        if job.reads_store:
            raise NotExportable("the job is waiting to be archived")
        try:
            return self._archive.load_files(job.cluster, job.job_id, job.start_time)
        except ArchiveError as error:
            log.error("export of job %d: %s", job.id, error)
            raise NotExportable("the job is not in the archive") from None

    # ---- tables

    def table(
        self, jobs: Iterable[Job], table: Table, kind: Literal["parquet", "csv"], selection: Selection
    ) -> Iterator[bytes]:
        """One file, in pieces: the samples of the jobs, or one row per job."""
        from ccserver.archive import tables  # pyarrow takes its time to load

        if table == "jobs":
            return tables.job_rows(map(self._with_statistics, jobs), kind)
        return tables.samples(self._with_data(jobs, selection), kind)

    def _with_data(self, jobs: Iterable[Job], selection: Selection) -> Iterator[tuple[Job, JobData]]:
        for job in jobs:
            try:
                yield job, self.data(job, selection)
            except MetricDataError as error:
                log.warning("export of job %d without samples: %s", job.id, error)

    # ---- JSON

    def json(self, jobs: Iterable[Job], selection: Selection) -> Iterator[bytes]:
        """An array with one job a line, each as `json_of_one` writes it."""
        separator = b"[\n"
        for job in jobs:
            yield separator
            yield from self.json_of_one(job, selection)
            separator = b",\n"
        yield b"\n]\n" if separator != b"[\n" else b"[]\n"

    def json_of_one(self, job: Job, selection: Selection) -> Iterator[bytes]:
        """`{"Meta": ..., "Data": ...}`; `Data` is null, with an `Error` beside it, where it cannot be had."""
        yield b'{"Meta":' + orjson.dumps(encode_job(self._with_statistics(job)))
        try:
            data = self.data(job, selection)
        except MetricDataError as error:
            yield b',"Data":null,"Error":' + orjson.dumps(str(error)) + b"}"
            return
        yield b',"Data":'
        yield from metrics_json(data)
        yield b"}"

    # ---- what jobs consist of

    def data(self, job: Job, selection: Selection) -> JobData:
        """Curves in their native step; of a finished job as they are stored. Raises MetricDataError."""
        if job.reads_store:
            return self._metric_data.job_data(job, selection.metrics, selection.scopes)
        # past the cache: an export touches every job once and would only push out what people look at
        return self._selected(self._metric_data.stored_data(job, cached=False), selection)

    @staticmethod
    def _selected(data: JobData, selection: Selection) -> JobData:
        return select(data, selection.metrics, selection.scopes)

    def _with_statistics(self, job: Job) -> Job:
        if job.statistics is None and job.monitoring_status == MONITORING_ARCHIVED:
            try:
                job.statistics = self._archive.load_meta(job.cluster, job.job_id, job.start_time).statistics
            except ArchiveError as error:
                log.warning("export of job %d without statistics: %s", job.id, error)
        return job


def metrics_json(data: JobData) -> Iterator[bytes]:
    """Metric name -> scope -> metric, as `data.json` of the archive has it."""
    yield b"{"
    for position, (name, scopes) in enumerate(data.items()):
        yield (b"," if position else b"") + orjson.dumps(name) + b":{"
        for inner, (scope, metric) in enumerate(scopes.items()):
            yield (b"," if inner else b"") + orjson.dumps(scope) + b":" + _json_metric(metric)
        yield b"}"
    yield b"}"


def _chained(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces


def _readable_meta(raw: bytes, viewer: Principal) -> bytes:
    """The record as it is, unless it shows tags that the viewer may not see."""
    if b'"tags"' not in raw:
        return raw
    job = decode_meta(raw)
    shown = [tag for tag in job.tags or () if readable(tag.scope or "global", viewer)]
    if len(shown) == len(job.tags or ()):
        return raw
    job.tags = shown
    return encode_meta(job)


def _json_metric(metric: JobMetric) -> bytes:
    members = {
        "unit": {"base": metric.unit.base, **({"prefix": metric.unit.prefix} if metric.unit.prefix else {})},
        "timestep": metric.timestep,
        "series": [
            {
                "hostname": series.hostname,
                **({} if series.id is None else {"id": series.id}),
                "statistics": series.statistics,
                "data": series.data,
            }
            for series in metric.series
        ],
    }
    if metric.statistics_series is not None:
        members["statisticsSeries"] = metric.statistics_series
    return orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY)
