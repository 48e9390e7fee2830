"""Moves the metric data of stopped jobs into the job archive, one by one. Contract: spec/job-archive.md 11.

A job waits for archiving as long as its row says so: not running, monitoring status 1. The queue in memory
only gives the order. Hence nothing is lost when the process dies: at the next start `run` looks for such rows
and archives them from the restored metric store. An orderly shutdown (`drain`) gives the queue a time limit
and marks what is left in it as failed, as the contract wants, or leaves that to the next start too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.model.job import MONITORING_ARCHIVED, MONITORING_FAILED, MONITORING_RUNNING, Job
from ccserver.model.metrics import JobData, JobStatistic

log = logging.getLogger(__name__)

QUEUE_LENGTH = 128

_READY_POLL = 0.2  # seconds


class ArchiveSource(Protocol):
    """What archiving needs of the metric data service."""

    def archive_job_data(self, job: Job) -> JobData: ...

    def statistics_for_archive(self, job: Job, data: JobData) -> dict[str, JobStatistic]: ...

    def footprint(self, job: Job, statistics: Mapping[str, JobStatistic]) -> dict[str, float]: ...

    def energy(self, job: Job, statistics: Mapping[str, JobStatistic]) -> tuple[dict[str, float], float]: ...


class ArchiveTarget(Protocol):
    """What archiving needs of the job archive."""

    def exists(self, job: Job) -> bool: ...

    def import_job(self, job: Job, data: JobData) -> None: ...

    def update_meta(
        self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]
    ) -> None: ...


class Archiver:
    """A bounded queue of job ids and the work done on each.

    `ready` says whether metric data can be read yet (the store may still be restoring); `archived` is called
    with each job after its row says monitoring status 3.
    """

    def __init__(
        self,
        jobs: JobRepository,
        tags: TagRepository,
        source: ArchiveSource,
        archive: ArchiveTarget,
        *,
        archived: Callable[[Job], None] = lambda job: None,
        ready: Callable[[], bool] = lambda: True,
        queue_length: int = QUEUE_LENGTH,
    ) -> None:
        self._jobs = jobs
        self._tags = tags
        self._source = source
        self._archive = archive
        self._archived = archived
        self._ready = ready
        self._queue_length = queue_length
        self._queue: deque[int] = deque()
        self._change = threading.Condition()
        self._running = False
        self._busy = False
        self._draining = False
        self._given_up = False

    @property
    def waiting(self) -> int:
        """Number of queued jobs, without the one being archived."""
        return len(self._queue)

    def put(self, id: int) -> None:
        """Queue a stopped job; blocks while the queue is full. After `drain` it is left to the next start."""
        with self._change:
            self._change.wait_for(lambda: len(self._queue) < self._queue_length or self._draining)
            if not self._draining:
                self._queue.append(id)
                self._change.notify_all()

    def run(self) -> None:
        """Archive queued jobs, and ones an earlier process left behind, until `drain` ends it.

        To be run in one thread of its own.
        """
        with self._change:
            self._running = True
        left_behind = self._left_behind()
        try:
            while (id := self._next(left_behind)) is not None:
                try:
                    self._archive_one(id)
                except Exception:
                    log.exception("job %d: archiving failed and the failure could not be recorded", id)
                with self._change:
                    self._busy = False
                    self._change.notify_all()
        finally:
            with self._change:
                self._running = False
                self._change.notify_all()

    def drain(self, timeout: float, *, give_up: bool = True) -> int:
        """Accept no more jobs, finish the queued ones within `timeout` seconds, end `run`.

        Jobs still queued then get monitoring status 2, or stay for the next start where `give_up` is false
        (right when the timeout is short and the store saves its samples); returns their number. The one being
        archived is not interrupted: should the process end first, the next start archives it again.
        """
        with self._change:
            self._draining = True
            self._change.notify_all()
            self._change.wait_for(lambda: not self._running or not (self._queue or self._busy), timeout)
            self._given_up = True
            left = list(self._queue)
            self._queue.clear()
            self._change.notify_all()
        if give_up:
            for id in left:
                self._jobs.set_monitoring_status(id, MONITORING_FAILED)
        if left:
            fate = "given up" if give_up else "left to the next start"
            log.warning("%d jobs were not archived before the shutdown and are %s: %s", len(left), fate, left)
        return len(left)

    def _left_behind(self) -> Iterator[int]:
        last = 0
        while ids := self._jobs.waiting_for_archive(after=last):
            yield from ids
            last = ids[-1]

    def _next(self, left_behind: Iterator[int]) -> int | None:
        """The next id to archive; marks the archiver busy. None when it shall end."""
        while not self._ready():
            with self._change:
                self._change.wait_for(lambda: self._given_up, _READY_POLL)
                if self._given_up:
                    return None
        with self._change:
            if self._queue and not self._given_up:
                return self._take()
            ending = self._draining
        if not ending and (id := next(left_behind, None)) is not None:
            with self._change:
                self._busy = True
            return id
        with self._change:
            self._change.wait_for(lambda: self._queue or self._draining)
            return self._take() if self._queue and not self._given_up else None

    def _take(self) -> int:
        self._busy = True
        id = self._queue.popleft()
        self._change.notify_all()
        return id

    def _archive_one(self, id: int) -> None:
        job = self._jobs.find(id, with_metadata=True)
        if job is None or job.running or job.monitoring_status != MONITORING_RUNNING:
            return  # deleted meanwhile, or archived already
        began = time.monotonic()
        try:
            job.tags = list(self._tags.of_job(id))
            data = self._source.archive_job_data(job)
            job.statistics = self._source.statistics_for_archive(job, data)
            job.footprint = self._source.footprint(job, job.statistics)
            job.energy_footprint, job.energy = self._source.energy(job, job.statistics)
            job.monitoring_status = MONITORING_ARCHIVED
            self._archive.import_job(job, data)
            self._jobs.mark_archived(job)
        except Exception as error:
            log.error("job %d (%d on %s): archiving failed: %s", id, job.job_id, job.cluster, error)
            log.debug("job %d", id, exc_info=error)
            self._jobs.set_monitoring_status(id, MONITORING_FAILED)
            return
        self._catch_up(job)
        log.info(
            "job %d (%d on %s): archived in %.3f s", id, job.job_id, job.cluster, time.monotonic() - began
        )
        self._archived(job)

    def _catch_up(self, job: Job) -> None:
        """Tags and metadata that changed while the data was written: their own update found no entry yet."""
        tags = list(self._tags.of_job(job.id))
        metadata = self._jobs.metadata_of([job.id]).get(job.id)
        if tags == job.tags and metadata == job.metadata:
            return

        def change(archived: Job) -> None:
            archived.tags, archived.metadata = tags, metadata

        job.tags, job.metadata = tags, metadata
        self._archive.update_meta(job.cluster, job.job_id, job.start_time, change)
