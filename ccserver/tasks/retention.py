"""What happens to old jobs and old node states. Contract: spec/job-archive.md 16, spec/operations.md 10.

Each function is one run of a daily task; all of them block and stop between two jobs when cancelled.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import and_

from ccserver.archive import ArchiveError, JobArchive, JobNotArchivedError
from ccserver.archive.backends import BackendError, archive_of
from ccserver.cancelling import stop_when_cancelled
from ccserver.database.tables import job
from ccserver.jobs.repository import JobRepository, older
from ccserver.model.job import Job
from ccserver.model.metrics import JobData
from ccserver.nodes import NodeRepository

log = logging.getLogger(__name__)

DAY = 86400
DEFAULT_DAYS = 7
MARKER = ".copy-marker"


@dataclass(frozen=True, slots=True)
class Retention:
    """Section `archive.retention`; `days` is at least 1, so that a missing age deletes nothing of today."""

    policy: str
    days: int = DEFAULT_DAYS
    include_db: bool = True
    omit_tagged: str = "none"
    target: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The section of an archive or a place: keys without their `target-`."""
    parquet: bool = False
    max_file_size: int = 512 << 20
    """Bytes of a Parquet file."""

    @classmethod
    def of(cls, section: dict[str, Any]) -> Retention:
        days = section.get("age", DEFAULT_DAYS)
        return cls(
            policy=section["policy"],
            days=days if days > 0 else DEFAULT_DAYS,
            include_db=section.get("include-db", True),
            omit_tagged=section.get("omit-tagged", "none"),
            target=target_of(section),
            parquet=section.get("format", "json") == "parquet",
            max_file_size=section.get("max-file-size-mb", 512) << 20,
        )


@dataclass(slots=True)
class RetentionRun:
    """How many jobs were transferred, deleted from the archive, and left alone because of an error."""

    transferred: int = 0
    deleted: int = 0
    failed: int = 0


class _Target(Protocol):
    def store_cluster(self, cluster: str, document: bytes) -> None: ...

    def add(self, job: Job, data: JobData) -> list[Job]:
        """Takes a job; returns the jobs that have arrived safely since the last call."""

    def flush(self) -> list[Job]: ...


class _ArchiveTarget:
    """Jobs arrive one by one in another archive."""

    def __init__(self, archive: JobArchive) -> None:
        self._archive = archive
        self.store_cluster = archive.store_cluster

    def add(self, job: Job, data: JobData) -> list[Job]:
        self._archive.import_job(job, data)
        return [job]

    def flush(self) -> list[Job]:
        return []


def target_of(section: Mapping[str, Any]) -> dict[str, Any]:
    """The keys `target-...` of a section as the section of an archive; kind `file` where none is given."""
    found = {key.removeprefix("target-"): section[key] for key in section if key.startswith("target-")}
    return {"kind": "file", **found}


def retain(
    retention: Retention, jobs: JobRepository, archive: JobArchive, now: float | None = None
) -> RetentionRun:
    """Carry out the policy once; running jobs and those whose transfer failed are left alone."""
    cutoff = int(time.time() if now is None else now) - retention.days * DAY
    run = RetentionRun()
    copying = retention.policy == "copy"
    since = _number(_marker(retention)) if copying else None
    if retention.policy == "delete":
        for one in _old_jobs(jobs, cutoff, retention.omit_tagged, None):
            stop_when_cancelled()
            _delete(one, retention, jobs, archive, run)
    elif copying or retention.policy == "move":
        old = itertools.chain.from_iterable(
            _old_jobs(jobs, cutoff, retention.omit_tagged, since, cluster) for cluster in archive.clusters()
        )
        for one in _transferred(old, archive, _opened(retention), run):
            if not copying:
                _delete(one, retention, jobs, archive, run)
    if copying:
        marker = _marker(retention)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(str(cutoff), encoding="ascii")
    log.info("retention (%s): %s", retention.policy, run)
    return run


def _transferred(
    old: Iterator[Job], archive: JobArchive, target: _Target, run: RetentionRun
) -> Iterator[Job]:
    """Jobs of the database as they arrive in the target; first the configuration of their cluster.

    Raises ArchiveError at the end when the target took jobs that did not arrive.
    """
    known: set[str] = set()
    on_the_way: dict[tuple[str, int, int], Job] = {}

    def arrived(records: list[Job]) -> Iterator[Job]:
        run.transferred += len(records)
        for record in records:
            yield on_the_way.pop(_key(record))

    for one in old:
        stop_when_cancelled()
        try:
            if one.cluster not in known:
                target.store_cluster(one.cluster, archive.cluster_file(one.cluster))
                known.add(one.cluster)
            record = archive.load_meta(*_key(one))
            data = archive.load_data(record)
            on_the_way[_key(record)] = one
            records = target.add(record, data)
        except JobNotArchivedError as error:
            log.info("retention: job %d: %s", one.id, error)
        except (ArchiveError, OSError) as error:
            log.error("retention: job %d left alone: %s", one.id, error)
            run.failed += 1
            on_the_way.pop(_key(one), None)
        else:
            yield from arrived(records)
    yield from arrived(target.flush())
    if on_the_way:
        raise ArchiveError(f"retention: {len(on_the_way)} jobs could not be transferred")


def _delete(
    one: Job, retention: Retention, jobs: JobRepository, archive: JobArchive, run: RetentionRun
) -> None:
    try:
        archive.delete_job(*_key(one))
        run.deleted += 1
    except JobNotArchivedError as error:
        log.info("retention: job %d: %s", one.id, error)  # never archived: there is only its row
    except (ArchiveError, OSError) as error:
        log.error("retention: job %d left alone: %s", one.id, error)
        run.failed += 1
        return
    if retention.include_db:
        jobs.delete(one.id)


def _key(one: Job) -> tuple[str, int, int]:
    return one.cluster, one.job_id, one.start_time


def compress(days: int, jobs: JobRepository, archive: JobArchive, now: float | None = None) -> int:
    """Pack the data of jobs that became older than `days` since the last run; returns how many."""
    until = int(time.time() if now is None else now) - (days if days > 0 else DEFAULT_DAYS) * DAY
    last = archive.compress_marker()
    packed = 0
    for one in _old_jobs(jobs, until + 1, "none", last):
        stop_when_cancelled()
        try:
            packed += archive.compress_job(one.cluster, one.job_id, one.start_time)
        except (ArchiveError, OSError) as error:
            log.warning("data of job %d not compressed: %s", one.id, error)
    # Not before: what an interrupted run left would never be packed.
    archive.store_compress_marker(until)
    return packed


def forget_node_states(hours: int, nodes: NodeRepository, now: float | None = None) -> int:
    """Delete node states older than `hours`, all but the newest of each node; returns how many."""
    return nodes.delete_before(int(time.time() if now is None else now) - hours * 3600)


def move_node_states(section: Mapping[str, Any], nodes: NodeRepository, now: float | None = None) -> int:
    """As `forget_node_states`, after writing the states to Parquet files; returns how many.

    `section` is `main.nodestate-retention`. Raises ArchiveError; only what lies safely in a file is deleted.
    """
    from ccserver.archive.parquet import write_node_states
    from ccserver.archive.places import PlaceError, place_of

    try:
        place = place_of(target_of(section))
    except PlaceError as error:
        raise ArchiveError(f"main.nodestate-retention.target-{error}") from None
    before = int(time.time() if now is None else now) - section.get("age", 24) * 3600
    moved = 0
    most = section.get("max-file-size-mb", 128) << 20
    for ids in write_node_states(nodes.outdated(before), place, most):
        nodes.delete_states(ids)
        moved += len(ids)
        stop_when_cancelled()
    return moved


def _old_jobs(
    jobs: JobRepository, before: int, omit_tagged: str, since: int | None, cluster: str | None = None
) -> Iterator[Job]:
    condition = and_(older(before, omit_tagged), job.c.job_state != "running")
    if since is not None:
        condition = and_(condition, job.c.start_time >= since)
    if cluster is not None:
        condition = and_(condition, job.c.cluster == cluster)
    return jobs.iterate(condition=condition)


def _opened(retention: Retention) -> _Target:
    """Raises ArchiveError."""
    if retention.parquet:
        from ccserver.archive.parquet import ParquetWriter  # pyarrow takes its time to load
        from ccserver.archive.places import PlaceError, place_of

        try:
            return ParquetWriter(place_of(retention.target), retention.max_file_size)
        except PlaceError as error:
            raise ArchiveError(f"archive.retention.target-{error}") from None
    try:
        target = archive_of(retention.target)
    except BackendError as error:
        raise ArchiveError(f"archive.retention.target-{error}") from None
    target.open()
    return _ArchiveTarget(target)


def _marker(retention: Retention) -> Path:
    """Where the start time up to which jobs were copied is kept."""
    if retention.target["kind"] == "file":
        return Path(retention.target["path"]) / MARKER
    return Path("var") / f"cc-copy-marker-{retention.target.get('bucket', '')}"


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else None
