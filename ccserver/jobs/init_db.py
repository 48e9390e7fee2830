"""Rebuild the job tables from the job archive. Contract: spec/operations.md 9.8, spec/job-archive.md 15.

Starting over gives the same result: the first step empties the tables. Interrupted, it leaves the jobs
inserted so far; run it again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from ccserver.archive import BrokenEntry
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.jobs.checks import check_job
from ccserver.jobs.repository import JobRepository, insert_job, insert_jobs
from ccserver.jobs.tags import attach_new
from ccserver.model.job import MONITORING_ARCHIVED, Job
from ccserver.model.metrics import JobStatistic

log = logging.getLogger(__name__)

BATCH = 100  # jobs per transaction


class ArchivedJobs(Protocol):
    def iterate(self) -> Iterator[Job | BrokenEntry]: ...


class Footprints(Protocol):
    """What rebuilding needs of the metric data service."""

    def footprint(self, job: Job, statistics: Mapping[str, JobStatistic]) -> dict[str, float]: ...

    def energy(self, job: Job, statistics: Mapping[str, JobStatistic]) -> tuple[dict[str, float], float]: ...


@dataclass(slots=True)
class Rebuilt:
    """Number of jobs stored, and of archive entries that were skipped."""

    jobs: int = 0
    failed: int = 0


def rebuild(
    database: Database,
    archive: ArchivedJobs,
    clusters: Clusters,
    footprints: Footprints,
    progress: Callable[[Rebuilt], None] = lambda so_far: None,
) -> Rebuilt:
    """Replace all jobs, tags and links by what the archive holds; users, settings and nodes stay.

    Bad entries are logged, counted and skipped. `progress` is called after each transaction of 100 jobs.
    """
    JobRepository(database).clear()
    result = Rebuilt()
    for batch in _batches(_good_jobs(archive.iterate(), clusters, footprints, result)):
        stored = database.write(partial(_store, jobs=batch))
        result.jobs += stored
        result.failed += len(batch) - stored
        progress(result)
    if result.failed:
        log.warning("%d jobs of the archive could not be registered", result.failed)
    return result


def _good_jobs(
    entries: Iterable[Job | BrokenEntry], clusters: Clusters, footprints: Footprints, result: Rebuilt
) -> Iterator[Job]:
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            log.error("%s: %s", entry.place, entry.reason)
            result.failed += 1
            continue
        try:
            yield _enriched(entry, clusters, footprints)
        except Exception as error:
            log.error("%s: %s", _name(entry), error)
            result.failed += 1


def _enriched(job: Job, clusters: Clusters, footprints: Footprints) -> Job:
    job.id = 0
    job.monitoring_status = MONITORING_ARCHIVED
    check_job(job, clusters)
    statistics = job.statistics or {}
    job.footprint = footprints.footprint(job, statistics)
    job.energy_footprint, job.energy = footprints.energy(job, statistics)
    return job


def _batches(jobs: Iterator[Job]) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in jobs:
        batch.append(job)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _store(connection: Connection, jobs: list[Job]) -> int:
    """Number of jobs stored: usually all at once, one by one when any of them is refused."""
    try:
        with connection.begin_nested():
            for id, job in zip(insert_jobs(connection, jobs), jobs, strict=True):
                attach_new(connection, id, job.tags or ())
            return len(jobs)
    except Exception:  # one of them: find out which
        return _store_singly(connection, jobs)


def _store_singly(connection: Connection, jobs: list[Job]) -> int:
    stored = 0
    for job in jobs:
        try:
            with connection.begin_nested():
                attach_new(connection, insert_job(connection, job), job.tags or ())
            stored += 1
        except Exception as error:
            log.error("%s: %s", _name(job), getattr(error, "orig", None) or error)
    return stored


def _name(job: Job) -> str:
    return f"job {job.job_id} of cluster {job.cluster} started at {job.start_time}"
