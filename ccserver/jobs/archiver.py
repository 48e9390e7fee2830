"""Moves the metric data of stopped jobs into the job archive, one by one. Contract: spec/job-archive.md 11.

A job waits for archiving as long as its row says so: not running, monitoring status 1. The queue in memory
only gives the order. Hence nothing is lost when the process dies: at the next start `run` looks for such rows
and archives them from the restored metric store. An orderly shutdown (`drain`) gives the queue a time limit
and marks what is left in it as failed, as the contract wants, or leaves that to the next start too.

A file system or database that refuses for a moment costs no job its data: such a job is tried again a few
times, behind the others. Missing data do not come back: that job has failed at once.

The archive entries of jobs that lost a deleted tag are rewritten in between, when no job waits; those that an
earlier process did not reach are noted on disk (`ccserver.jobs.untagging`) and come first.
"""

from __future__ import annotations

import logging
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from ccserver.archive import ArchiveError
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.jobs.untagging import Untagging
from ccserver.model.job import MONITORING_ARCHIVED, MONITORING_FAILED, MONITORING_RUNNING, Job
from ccserver.model.metrics import JobData, JobStatistic

log = logging.getLogger(__name__)

QUEUE_LENGTH = 128

RETRIES = (2.0, 10.0, 30.0)  # seconds before the second, third, fourth attempt

_READY_POLL = 0.2  # seconds
_MOST_RETRIES = 1024  # jobs that wait for another attempt; more are left to the next start
_TRANSIENT = (OSError, SQLAlchemyError, ArchiveError)

_Work = tuple[Callable[[int], None], int]


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


@dataclass(frozen=True, slots=True)
class ArchiverState:
    """What an operator wants to see; counts are since the start, `current` is a database id.

    `untagging` counts archive entries that still name a deleted tag.
    """

    waiting: int
    limit: int
    current: int | None
    retrying: int
    untagging: int
    archived: int
    failed: int
    last_error: str


class Archiver:
    """Bounded queues of job ids and the work done on each.

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
        retries: Sequence[float] = RETRIES,
    ) -> None:
        self._jobs = jobs
        self._tags = tags
        self._source = source
        self._archive = archive
        self._archived = archived
        self._ready = ready
        self._queue_length = queue_length
        self._queue: deque[int] = deque()
        self._untagged: deque[tuple[array[int], Untagging]] = deque()  # per deleted tag, what is left of it
        self._pauses = tuple(retries)
        self._attempts: dict[int, int] = {}  # failed ones of jobs that will be tried again
        self._due: deque[tuple[float, int]] = deque()  # when to try again; pauses differ, so not sorted
        self._change = threading.Condition()
        self._running = False
        self._current: int | None = None
        self._archived_jobs = self._failed_jobs = 0
        self._last_error = ""
        self._draining = False
        self._given_up = False

    @property
    def waiting(self) -> int:
        """Number of queued jobs, without the one being archived."""
        return len(self._queue)

    @property
    def state(self) -> ArchiverState:
        with self._change:
            return ArchiverState(
                waiting=len(self._queue),
                limit=self._queue_length,
                current=self._current,
                retrying=len(self._attempts),
                untagging=sum(len(ids) for ids, _ in self._untagged),
                archived=self._archived_jobs,
                failed=self._failed_jobs,
                last_error=self._last_error,
            )

    def put(self, id: int) -> None:
        """Queue a stopped job; blocks while the queue is full. After `drain` it is left to the next start."""
        with self._change:
            self._change.wait_for(lambda: len(self._queue) < self._queue_length or self._draining)
            if not self._draining:
                self._queue.append(id)
                self._change.notify_all()

    def offer(self, id: int) -> bool:
        """As `put`, but False instead of waiting."""
        with self._change:
            if len(self._queue) >= self._queue_length and not self._draining:
                return False
            self.put(id)
            return True

    def put_untagged(self, lost: Untagging) -> None:
        """Have the tags in the archive entries of these jobs brought up to date.

        Blocks while the entries of as many tags wait as the queue may hold jobs. Where nobody runs the
        archiver the work is done here.
        """
        with self._change:
            self._change.wait_for(lambda: len(self._untagged) < self._queue_length or not self._at_work)
            if self._at_work:
                self._untagged.append((lost.ids[:], lost))
                self._change.notify_all()
                return
        self._tags.update_all_archived(lost)

    def run(self) -> None:
        """Archive queued jobs, and ones an earlier process left behind, until `drain` ends it.

        To be run in one thread of its own.
        """
        with self._change:
            self._running = True
            self._untagged.extend((lost.ids[:], lost) for lost in self._tags.left_tagged())
        left_behind = self._left_behind()
        try:
            while (work := self._next(left_behind)) is not None:
                do, id = work
                try:
                    do(id)
                except Exception:
                    log.exception("job %d: the archiver failed and could not record it", id)
                with self._change:
                    self._current = None
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
            self._change.wait_for(lambda: not self._running or self._idle, timeout)
            self._given_up = True
            queued = [*self._queue, *(id for _, id in self._due)]
            left = [id for id in queued if id != self._current]
            self._queue.clear()
            self._due.clear()
            named = sum(len(ids) for ids, _ in self._untagged)
            self._untagged.clear()
            self._change.notify_all()
        if left:
            # One found in the table before its turn came may have been archived and still be in the queue.
            waiting = set(self._left_behind())
            left = [id for id in left if id in waiting]
        if give_up:
            for id in left:
                self._jobs.set_monitoring_status(id, MONITORING_FAILED)
        if left:
            fate = "given up" if give_up else "left to the next start"
            log.warning("%d jobs were not archived before the shutdown and are %s: %s", len(left), fate, left)
        if named:
            log.info("%d archive entries that name a deleted tag are left to the next start", named)
        return len(left)

    def _left_behind(self) -> Iterator[int]:
        last = 0
        while ids := self._jobs.waiting_for_archive(after=last):
            yield from ids
            last = ids[-1]

    def _next(self, left_behind: Iterator[int]) -> _Work | None:
        """What to do next, with which job; marks the archiver busy. None when it shall end."""
        while not self._ready():
            with self._change:
                self._change.wait_for(lambda: self._given_up, _READY_POLL)
                if self._given_up:
                    return None
        with self._change:
            ending = self._draining
            if not ending and (id := self._again()) is not None:
                return self._take(id)
            if self._queue and not self._given_up:
                return self._take(self._queue.popleft())
        if not ending and (id := next(left_behind, None)) is not None:
            with self._change:
                return self._take(id)
        with self._change:
            while not (self._queue or self._untagged or self._draining):
                if (id := self._again()) is not None:
                    return self._take(id)
                next_due = min((due for due, _ in self._due), default=None)
                self._change.wait(None if next_due is None else next_due - time.monotonic())
            if self._queue and not self._given_up:
                return self._take(self._queue.popleft())
            if self._untagged and not self._given_up:
                return self._take_untagged()
            return None

    @property
    def _idle(self) -> bool:
        return not (self._queue or self._untagged) and self._current is None

    @property
    def _at_work(self) -> bool:
        return self._running and not self._draining

    def _take(self, id: int) -> _Work:
        self._current = id
        self._change.notify_all()
        return self._archive_one, id

    def _take_untagged(self) -> _Work:
        ids, lost = self._untagged[0]
        self._current = id = ids.pop()
        if ids:
            return self._tags.update_archived, id
        self._untagged.popleft()
        self._change.notify_all()

        def last(id: int) -> None:
            self._tags.update_archived(id)
            lost.done()

        return last, id

    def _again(self) -> int | None:
        """A job whose next attempt is due."""
        now = time.monotonic()
        for place, (due, id) in enumerate(self._due):
            if due <= now:
                del self._due[place]
                return id
        return None

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
            self._failed(job, error)
            return
        with self._change:
            self._attempts.pop(id, None)
            self._archived_jobs += 1
        self._catch_up(job)
        log.info(
            "job %d (%d on %s): archived in %.3f s", id, job.job_id, job.cluster, time.monotonic() - began
        )
        self._archived(job)

    def _failed(self, job: Job, error: Exception) -> None:
        log.debug("job %d", job.id, exc_info=error)
        text = f"job {job.id} ({job.job_id} on {job.cluster}): archiving failed: {error}"
        with self._change:
            self._last_error = text
            attempts = self._attempts.pop(job.id, 0)
            again = isinstance(error, _TRANSIENT) and attempts < len(self._pauses)
            if again and len(self._attempts) < _MOST_RETRIES and not self._draining:
                self._attempts[job.id] = attempts + 1
                self._due.append((time.monotonic() + self._pauses[attempts], job.id))
            elif not again:
                self._failed_jobs += 1
        if again:
            log.warning("%s; it will be tried again", text)
        else:
            log.error("%s", text)
            self._jobs.set_monitoring_status(job.id, MONITORING_FAILED)

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
