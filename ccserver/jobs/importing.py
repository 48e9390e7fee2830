"""Single jobs from a pair of files into archive and database. Contract: spec/job-archive.md 15."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ccserver.archive import ArchiveError, JobArchive, decode_data
from ccserver.archive.schemas import Kind, problems
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.jobs.checks import InvalidJob
from ccserver.jobs.init_db import Footprints, enriched
from ccserver.jobs.repository import JobRepository, insert_job
from ccserver.jobs.tags import TagError, attach_new
from ccserver.jobs.wire import WireError, decode_job
from ccserver.metricdata import MetricDataError
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

log = logging.getLogger(__name__)


class ImportRefused(Exception):
    """A pair of files cannot be imported; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of a `meta.json` and the `data.json` (not compressed) that belongs to it."""

    meta: Path
    data: Path


def pairs_of(argument: str) -> list[Pair]:
    """The pairs in `meta:data[,meta:data...]`; raises ImportRefused."""
    pairs = []
    for text in argument.split(","):
        meta, colon, data = text.partition(":")
        if not (meta and colon and data) or ":" in data:
            raise ImportRefused(f"{text!r} is not of the form <meta.json>:<data.json>")
        pairs.append(Pair(Path(meta), Path(data)))
    return pairs


def import_pair(
    pair: Pair,
    database: Database,
    archive: JobArchive,
    clusters: Clusters,
    footprints: Footprints,
    *,
    validate: bool = False,
) -> Job:
    """Adds one job; raises ImportRefused, and then neither archive nor database has changed.

    A job of the archive that the database does not know is replaced. `validate` refuses documents that break
    their schema.
    """
    job = _meta(pair.meta, validate)
    data = _data(pair.data, validate)
    try:
        job = enriched(job, clusters, footprints)
    except (InvalidJob, MetricDataError) as error:
        raise ImportRefused(f"{pair.meta}: {error}") from None
    stored = JobRepository(database).find_by(job.job_id, job.cluster, job.start_time)
    if stored is not None:
        raise ImportRefused(
            f"{pair.meta}: job {job.job_id} of cluster {job.cluster} started at {job.start_time} "
            f"is in the database already (id {stored.id})"
        )

    def store(connection: Connection) -> int:
        id = insert_job(connection, job)
        attach_new(connection, id, job.tags or ())
        archive.import_job(job, data)  # last: should it fail, the rows are taken back
        return id

    try:
        job.id = database.write(store)
    except (SQLAlchemyError, OverflowError, TagError, ArchiveError) as error:
        raise ImportRefused(f"{pair.meta}: {getattr(error, 'orig', None) or error}") from None
    return job


def _meta(path: Path, validate: bool) -> Job:
    raw = _read(path, "meta", validate)
    try:
        return decode_job(raw)
    except WireError as error:
        raise ImportRefused(f"{path}: {error}") from None


def _data(path: Path, validate: bool) -> JobData:
    raw = _read(path, "data", validate)
    try:
        return decode_data(raw, strict=True)
    except ArchiveError as error:
        raise ImportRefused(f"{path}: {error}") from None


def _read(path: Path, kind: Kind, validate: bool) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ImportRefused(f"{path}: {error.strerror}") from None
    if validate and (found := problems(kind, raw)):
        raise ImportRefused(f"{path}: breaks its schema: {'; '.join(found)}")
    return raw
