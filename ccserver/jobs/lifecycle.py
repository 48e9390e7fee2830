"""The life of a job: started, stopped, archived. Contract: spec/rest-api.md 3.7, 3.8, 5.

Knows nothing of HTTP or NATS: transports hand it decoded requests and translate `LifeCycleError.status`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from ccserver.clusters import Clusters
from ccserver.jobs.archiver import (
    QUEUE_LENGTH,
    RETRIES,
    Archiver,
    ArchiverState,
    ArchiveSource,
    ArchiveTarget,
)
from ccserver.jobs.checks import InvalidJob, check_job
from ccserver.jobs.repository import (
    DuplicateJob,
    JobRepository,
    empty_cache,
    insert_started,
    mark_stopped,
    newest,
)
from ccserver.jobs.tags import TagError, TagRepository
from ccserver.jobs.wire import StopRequest
from ccserver.model.job import (
    JOB_STATES,
    MONITORING_DISABLED,
    MONITORING_FAILED,
    MONITORING_RUNNING,
    Job,
    Tag,
)
from ccserver.model.user import Principal

log = logging.getLogger(__name__)

_STORAGE_ERRORS = (SQLAlchemyError, OverflowError)  # the latter for numbers that no column holds
_LONGEST = (1 << 31) - 1  # seconds; durations are 32-bit numbers on the wire
UNFINISHED = frozenset({"running", "pending", "suspended"})


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job, for listeners such as the live views."""

    kind: Literal["started", "stopped", "archived", "tagged"]
    job: Job


Rest = Callable[[], None] | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one job whose caller waits for the database in its own way.

    `work` goes to `Database.submit`, `finish` takes the future that comes from there once it is done: it
    raises LifeCycleError, and does not block. The last step of what it returns may block, may raise
    LifeCycleError too, and is to be called before anybody is answered; None where nothing is left to do.
    """

    work: Callable[[Connection], None]
    finish: Callable[[Future[None]], tuple[Job, Rest]]


class LifeCycleError(Exception):
    """A request is refused; `status` is the HTTP status that says so, the message goes to the client."""

    status = 500


class JobRefused(LifeCycleError):
    """The job fails a check."""

    status = 400


class JobExists(LifeCycleError):
    """A job with that number started less than a day before."""

    status = 422


class JobUnknown(LifeCycleError):
    """There is no such job."""

    status = 404


class JobNotRunning(LifeCycleError):
    """The job has been stopped before."""

    status = 422


class NotFailed(LifeCycleError):
    """There is nothing to archive again."""

    status = 422


class StopRefused(LifeCycleError):
    """Stop time or state of the request cannot be."""

    status = 400


class TagsNotAdded(LifeCycleError):
    """The job was stored, its tags were not."""


class NotStored(LifeCycleError):
    """The database refused the change."""


class JobLifeCycle:
    """Starts and stops jobs and has stopped ones archived.

    `on_event` are called in the thread that caused the event, after it was committed; `start_hooks` after a
    job was started, `stop_hooks` after it was archived. What they raise is logged.
    """

    def __init__(
        self,
        jobs: JobRepository,
        tags: TagRepository,
        clusters: Clusters,
        metric_data: ArchiveSource,
        archive: ArchiveTarget,
        *,
        start_hooks: Sequence[Callable[[Job], None]] = (),
        stop_hooks: Sequence[Callable[[Job], None]] = (),
        ready: Callable[[], bool] = lambda: True,
        queue_length: int = QUEUE_LENGTH,
        retries: Sequence[float] = RETRIES,
    ) -> None:
        self.on_event: list[Callable[[JobEvent], None]] = []
        self.start_hooks = list(start_hooks)
        self.stop_hooks = list(stop_hooks)
        self._jobs = jobs
        self._tags = tags
        tags.on_change = partial(self._tell, "tagged")
        self._clusters = clusters
        self._archive = archive
        self._archiver = Archiver(
            jobs,
            tags,
            metric_data,
            archive,
            archived=self._after_archiving,
            ready=ready,
            queue_length=queue_length,
            retries=retries,
        )

    def start(self, job: Job, by: Principal | None = None) -> Job:
        """Store a started job and return it with its id; its tags are attached with the rights of `by`.

        Raises JobRefused, JobExists, NotStored, TagsNotAdded.
        """
        return self._changed(self.starting(job, by))

    def starting(self, job: Job, by: Principal | None = None) -> Change:
        """As `start`, in the two parts of a change. Raises JobRefused."""
        started = replace(job, state="running", id=0, tags=None, statistics=None)
        try:
            check_job(started, self._clusters)
        except InvalidJob as error:
            raise JobRefused(str(error)) from error
        adopted: Sequence[int] = ()
        failure: TagError | None = None

        def work(connection: Connection) -> None:
            nonlocal adopted, failure
            adopted = empty_cache(connection)
            started.id = insert_started(connection, started)
            if job.tags:
                # a tag that fails leaves the job and the tags before it
                attached, failure = self._tags.attach_started(connection, started.id, job.tags, by)
                started.tags = list(attached)

        def finish(committed: Future[None]) -> tuple[Job, Rest]:
            try:
                committed.result()
            except DuplicateJob as error:
                raise JobExists(str(error)) from error
            except _STORAGE_ERRORS as error:
                log.exception("job %d on %s could not be stored", job.job_id, job.cluster)
                raise NotStored(f"insert into database failed: {_cause(error)}") from error
            self._tell("started", started)
            return started, rest if adopted or self.start_hooks or failure else None

        def rest() -> None:
            self._adopted(adopted)
            self._call(self.start_hooks, started)
            if failure is not None:
                raise TagsNotAdded(f"adding tag to new job {started.id} failed: {failure}") from failure

        return Change(work, finish)

    def stop(self, request: StopRequest, by: Principal | None = None) -> Job:
        """End the newest job the request names and queue it for archiving; returns it in its final state.

        Blocks while the archiving queue is full. Raises JobUnknown, JobNotRunning, StopRefused, NotStored.
        """
        return self._changed(self.stopping(request))

    def stopping(self, request: StopRequest) -> Change:
        """As `stop`, in the two parts of a change. Raises StopRefused."""
        number = request.job_id
        if number is None:
            raise StopRefused("the field 'jobId' is required")

        def find(connection: Connection) -> Job:
            job = newest(connection, number, request.cluster, request.start_time)
            if job is None:
                raise JobUnknown(f"finding job failed: no job with jobId {number}")
            return job

        return self._stopping(find, request)

    def stop_by_id(self, id: int, request: StopRequest, by: Principal | None = None) -> Job:
        """As `stop`, for the job with database id `id`."""

        def find(connection: Connection) -> Job:
            job = self._jobs.find(id)  # reads in the transaction of the change
            if job is None:
                raise JobUnknown(f"finding job failed: no job with id {id}")
            return job

        return self._changed(self._stopping(find, request))

    def _stopping(self, find: Callable[[Connection], Job], request: StopRequest) -> Change:
        adopted: Sequence[int] = ()
        stopped: Job | None = None

        def work(connection: Connection) -> None:
            nonlocal adopted, stopped
            adopted = empty_cache(connection)
            job = find(connection)
            state, duration = _end(job, request)
            try:
                mark_stopped(connection, job.id, state, duration)
            except _STORAGE_ERRORS as error:
                log.exception("job %d could not be stopped", job.id)
                raise NotStored(
                    f"marking job as '{state}' (DB ID: {job.id}) failed: {_cause(error)}"
                ) from error
            job.state, job.duration = state, duration
            stopped = job

        def finish(committed: Future[None]) -> tuple[Job, Rest]:
            try:
                committed.result()
            except _STORAGE_ERRORS as error:
                log.exception("job %s could not be stopped", request.job_id)
                raise NotStored(f"marking job as '{request.state}' failed: {_cause(error)}") from error
            assert stopped is not None
            self._tell("stopped", stopped)
            archived = stopped.monitoring_status == MONITORING_DISABLED or self._archiver.offer(stopped.id)
            return stopped, None if archived and not adopted else partial(rest, stopped, archived)

        def rest(job: Job, archived: bool) -> None:
            self._adopted(adopted)
            if not archived:
                self._archiver.put(job.id)

        return Change(work, finish)

    def _changed(self, change: Change) -> Job:
        job, rest = change.finish(self._jobs.database.submit(change.work))
        if rest is not None:
            rest()
        return job

    def archive_again(self, id: int) -> Job:
        """Queue a job whose archiving failed once more; its data must still be in the metric store.

        Raises JobUnknown, NotFailed.
        """
        job = self._jobs.find(id)
        if job is None:
            raise JobUnknown(f"finding job failed: no job with id {id}")
        if job.running or job.monitoring_status != MONITORING_FAILED:
            raise NotFailed(
                f"archiving of job {id} has not failed (monitoring status {job.monitoring_status})"
            )
        self._jobs.set_monitoring_status(id, MONITORING_RUNNING)
        job.monitoring_status = MONITORING_RUNNING
        self._archiver.put(id)
        return job

    def stop_overdue(self, grace: int) -> int:
        """Fail jobs that exceed their walltime by more than `grace` seconds, unarchived; returns how many."""
        ids = self._jobs.stop_overdue(grace)
        for id in ids:
            job = self._jobs.find(id)
            if job is not None:
                self._tell("stopped", job)
        if ids:
            log.warning("%d jobs exceeded their walltime and count as failed: %s", len(ids), ids)
        return len(ids)

    def set_metadata(self, id: int, key: str, value: str) -> Job:
        """Add or overwrite one metadata key, in the archived record too once the job has one.

        Raises JobUnknown, NotStored.
        """
        metadata = self._jobs.set_metadata(id, key, value)
        job = self._jobs.find(id)
        if metadata is None or job is None:
            raise JobUnknown(f"finding job failed: no job with id {id}")
        job.metadata = metadata

        def change(archived: Job) -> None:
            archived.metadata = {**(archived.metadata or {}), key: value}

        if not job.running:
            try:
                if self._archive.exists(job):
                    self._archive.update_meta(job.cluster, job.job_id, job.start_time, change)
            except Exception as error:
                log.exception("job %d: its metadata could not be written to the archive", id)
                raise NotStored(f"updating archived metadata of job {id} failed") from error
        return job

    def delete_tags(self, unwanted: Iterable[Tag], viewer: Principal | None) -> int:
        """Delete tags everywhere, archive entries follow in the background; returns how many.

        Rules and errors as in `TagRepository.delete`. Blocks while too many of them wait for the archive.
        """
        return self._tags.delete(unwanted, viewer, self._archiver.put_untagged)

    def take_over_cache(self) -> int:
        """Adopt started jobs that another program left in `job_cache`; returns how many."""
        ids = self._jobs.take_over_cache()
        self._adopted(ids)
        return len(ids)

    def _adopted(self, ids: Sequence[int]) -> None:
        for id in ids:
            job = self._jobs.find(id)
            if job is not None:
                self._tell("started", job)
                self._call(self.start_hooks, job)

    def run_archiver(self) -> None:
        """Archive stopped jobs until `drain`; blocks, for one thread of its own."""
        self._archiver.run()

    def drain(self, timeout: float, *, give_up: bool = True) -> int:
        """End archiving within `timeout` seconds; returns how many queued jobs were not archived.

        Those get monitoring status 2, or wait for the next start where `give_up` is false.
        """
        return self._archiver.drain(timeout, give_up=give_up)

    @property
    def waiting(self) -> int:
        """Number of jobs queued for archiving."""
        return self._archiver.waiting

    @property
    def archiving(self) -> ArchiverState:
        """What the archiver does, and what it did since the start."""
        return self._archiver.state

    def _after_archiving(self, job: Job) -> None:
        self._tell("archived", job)
        self._call(self.stop_hooks, job)

    def _tell(self, kind: Literal["started", "stopped", "archived", "tagged"], job: Job) -> None:
        event = JobEvent(kind, job)
        for listener in list(self.on_event):
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed on a job that was %s", kind)

    def _call(self, hooks: Sequence[Callable[[Job], None]], job: Job) -> None:
        for hook in hooks:
            try:
                hook(job)
            except Exception:
                log.exception("job %d: a hook failed", job.id)


def _end(job: Job, request: StopRequest) -> tuple[str, int]:
    """Final state and duration in seconds."""
    if not job.running:
        raise JobNotRunning(f"job has already been stopped (state is: {job.state})")
    if request.stop_time < job.start_time:
        raise StopRefused(
            f"stopTime {request.stop_time} must be larger/equal than startTime {job.start_time}"
        )
    state = request.state or "completed"
    if state not in JOB_STATES or state in UNFINISHED:
        raise StopRefused(f"invalid requested job state: {state}")
    duration = request.stop_time - job.start_time
    if duration > _LONGEST:
        raise StopRefused(f"stopTime {request.stop_time} lies more than 68 years after startTime")
    return state, duration


def _cause(error: Exception) -> str:
    """The database's own words, without statement and values."""
    return str(getattr(error, "orig", None) or type(error).__name__)
