"""What happens to old jobs and old node states. Contract: spec/job-archive.md 16, spec/operations.md 10.

Each function is one run of a daily task; all of them block and stop between two jobs when cancelled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import and_

from ccserver.archive import ArchiveError, FileArchive, JobArchive, JobNotArchivedError
from ccserver.database.tables import job
from ccserver.jobs.repository import JobRepository, older
from ccserver.model.job import Job
from ccserver.nodes import NodeRepository
from ccserver.tasks.cancelling import stop_when_cancelled

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
    target: Path | None = None

    @classmethod
    def of(cls, section: dict[str, Any]) -> Retention:
        days = section.get("age", DEFAULT_DAYS)
        return cls(
            policy=section["policy"],
            days=days if days > 0 else DEFAULT_DAYS,
            include_db=section.get("include-db", True),
            omit_tagged=section.get("omit-tagged", "none"),
            target=Path(section["target-path"]) if section.get("target-path") else None,
        )


@dataclass(slots=True)
class RetentionRun:
    """How many jobs were transferred, deleted from the archive, and left alone because of an error."""

    transferred: int = 0
    deleted: int = 0
    failed: int = 0


def retain(
    retention: Retention, jobs: JobRepository, archive: JobArchive, now: float | None = None
) -> RetentionRun:
    """Carry out the policy once; running jobs and those whose transfer failed are left alone."""
    cutoff = int(time.time() if now is None else now) - retention.days * DAY
    run = RetentionRun()
    target = _opened(retention) if retention.policy in ("copy", "move") else None
    since = _marker(target) if target is not None and retention.policy == "copy" else None
    for one in _old_jobs(jobs, cutoff, retention.omit_tagged, since):
        stop_when_cancelled()
        try:
            if target is not None:
                transfer(one, archive, target)
                run.transferred += 1
            if retention.policy in ("delete", "move"):
                archive.delete_job(one.cluster, one.job_id, one.start_time)
                run.deleted += 1
                if retention.include_db:
                    jobs.delete(one.id)
        except JobNotArchivedError as error:
            # Never archived, so there is nothing to transfer and nothing but the row to delete.
            log.info("retention: job %d: %s", one.id, error)
            if retention.policy == "delete" and retention.include_db:
                jobs.delete(one.id)
        except (ArchiveError, OSError) as error:
            log.error("retention: job %d left alone: %s", one.id, error)
            run.failed += 1
    if target is not None and retention.policy == "copy":
        (target.root / MARKER).write_text(str(cutoff), encoding="ascii")
    log.info("retention (%s): %s", retention.policy, run)
    return run


def transfer(one: Job, archive: JobArchive, target: JobArchive) -> None:
    """Copy a job, and first the configuration of its cluster; raises ArchiveError and OSError."""
    if one.cluster not in target.clusters():
        target.store_cluster(one.cluster, archive.cluster_file(one.cluster))
    record = archive.load_meta(one.cluster, one.job_id, one.start_time)
    target.import_job(record, archive.load_data(record))


def compress(days: int, jobs: JobRepository, archive: JobArchive, now: float | None = None) -> int:
    """Pack the data of jobs that became older than `days` since the last run; returns how many."""
    until = int(time.time() if now is None else now) - (days if days > 0 else DEFAULT_DAYS) * DAY
    last = archive.replace_compress_marker(until)
    packed = 0
    for one in _old_jobs(jobs, until + 1, "none", last):
        stop_when_cancelled()
        try:
            packed += archive.compress_job(one.cluster, one.job_id, one.start_time)
        except (ArchiveError, OSError) as error:
            log.warning("data of job %d not compressed: %s", one.id, error)
    return packed


def forget_node_states(hours: int, nodes: NodeRepository, now: float | None = None) -> int:
    """Delete node states older than `hours`, all but the newest of each node; returns how many."""
    return nodes.delete_before(int(time.time() if now is None else now) - hours * 3600)


def _old_jobs(jobs: JobRepository, before: int, omit_tagged: str, since: int | None) -> Iterator[Job]:
    condition = and_(older(before, omit_tagged), job.c.job_state != "running")
    if since is not None:
        condition = and_(condition, job.c.start_time >= since)
    return jobs.iterate(condition=condition)


def _opened(retention: Retention) -> FileArchive:
    if retention.target is None:
        raise ArchiveError("archive.retention.target-path is missing")
    target = FileArchive(retention.target)
    target.open()
    return target


def _marker(target: FileArchive) -> int | None:
    return _number(target.root / MARKER)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() else None
