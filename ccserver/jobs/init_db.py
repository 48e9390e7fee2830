"""Rebuild the job tables from the job archive. Contract: spec/operations.md 9.8, spec/job-archive.md 15.

The first step empties the tables. A run that was interrupted goes on where it stopped when it is started
again: as long as a rebuild is unfinished, the database has a table that says so. Jobs that are stored already
are then recognised by their place in the archive and not read again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, inspect, select

from ccserver.archive import BrokenEntry
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.database.tables import job as job_table
from ccserver.jobs.checks import check_job
from ccserver.jobs.repository import JobRepository, insert_job, insert_jobs
from ccserver.jobs.tags import TagExists, attach_new
from ccserver.model.job import MONITORING_ARCHIVED, Job
from ccserver.model.metrics import JobStatistic

log = logging.getLogger(__name__)

BATCH = 100  # jobs per transaction


_unfinished = Table("init_db_unfinished", MetaData(), Column("archive", Text))


class ArchivedJobs(Protocol):
    def iterate(self, known: Callable[[str, int, int], bool]) -> Iterator[Job | BrokenEntry]: ...


class Footprints(Protocol):
    """What rebuilding needs of the metric data service."""

    def footprint(self, job: Job, statistics: Mapping[str, JobStatistic]) -> dict[str, float]: ...

    def energy(self, job: Job, statistics: Mapping[str, JobStatistic]) -> tuple[dict[str, float], float]: ...


@dataclass(slots=True)
class Rebuilt:
    """Numbers of jobs stored, of archive entries skipped, and of jobs that an interrupted run had stored."""

    jobs: int = 0
    failed: int = 0
    kept: int = 0


def rebuild(
    database: Database,
    archive: ArchivedJobs,
    clusters: Clusters,
    footprints: Footprints,
    progress: Callable[[Rebuilt], None] = lambda so_far: None,
    *,
    source: str = "",
) -> Rebuilt:
    """Replace all jobs, tags and links by what the archive holds; users, settings and nodes stay.

    Bad entries are logged, counted and skipped. `progress` is called after each transaction of 100 jobs.
    `source` names the archive: an interrupted run over another one is not continued.
    """
    stored = _begin(database, source)
    result = Rebuilt(kept=stored.count)
    if stored.count:
        log.warning("continuing an interrupted rebuild: %d jobs are stored already", stored.count)
    for batch in _batches(_good_jobs(archive.iterate(stored.has), clusters, footprints, result)):
        new = database.write(partial(_store, jobs=batch))
        result.jobs += new
        result.failed += len(batch) - new
        progress(result)
    database.write(_unfinished.drop)
    if result.failed:
        log.warning("%d jobs of the archive could not be registered", result.failed)
    return result


class _Stored:
    """Jobs in the database by cluster, job id and start time; 70 bytes each."""

    def __init__(self, rows: Iterable[tuple[str, int, int]]) -> None:
        self._keys: dict[str, set[int]] = {}
        self.count = 0
        for cluster, job_id, start_time in rows:
            self._keys.setdefault(cluster, set()).add(job_id << 64 | start_time)
            self.count += 1

    def has(self, cluster: str, job_id: int, start_time: int) -> bool:
        return job_id << 64 | start_time in self._keys.get(cluster, ())


def _begin(database: Database, source: str) -> _Stored:
    """Empties the tables, unless a run over the same archive was interrupted."""

    def work(connection: Connection) -> bool:
        if inspect(connection).has_table(_unfinished.name):
            if connection.execute(select(_unfinished.c.archive)).scalar() == source:
                return True
            _unfinished.drop(connection)
        JobRepository(database).clear()
        _unfinished.create(connection)
        connection.execute(insert(_unfinished).values(archive=source))
        return False

    if not database.write(work):
        return _Stored(())
    columns = (job_table.c.cluster, job_table.c.job_id, job_table.c.start_time)
    with database.read() as connection:
        return _Stored((row[0], row[1], row[2]) for row in connection.execute(select(*columns)))


def _good_jobs(
    entries: Iterable[Job | BrokenEntry], clusters: Clusters, footprints: Footprints, result: Rebuilt
) -> Iterator[Job]:
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            log.error("%s: %s", entry.place, entry.reason)
            result.failed += 1
            continue
        try:
            yield enriched(entry, clusters, footprints)
        except Exception as error:
            log.error("%s: %s", _name(entry), error)
            result.failed += 1


def enriched(job: Job, clusters: Clusters, footprints: Footprints) -> Job:
    """The job as it is stored: checked, with sub-cluster, footprint and energy. Raises InvalidJob."""
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
                _attach(connection, id, job)
            return len(jobs)
    except Exception:  # one of them: find out which
        return _store_singly(connection, jobs)


def _store_singly(connection: Connection, jobs: list[Job]) -> int:
    stored = 0
    for job in jobs:
        try:
            with connection.begin_nested():
                _attach(connection, insert_job(connection, job), job)
            stored += 1
        except Exception as error:
            log.error("%s: %s", _name(job), getattr(error, "orig", None) or error)
    return stored


def _attach(connection: Connection, id: int, job: Job) -> None:
    """A tag that another job has in another scope is left out: widening a private one would publish it."""
    for tag in job.tags or ():
        try:
            attach_new(connection, id, [tag])
        except TagExists as error:
            log.warning("%s: registered without one of its tags: %s", _name(job), error)


def _name(job: Job) -> str:
    return f"job {job.job_id} of cluster {job.cluster} started at {job.start_time}"
