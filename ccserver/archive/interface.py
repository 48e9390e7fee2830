"""What every archive back end offers. Contract: spec/job-archive.md 1."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ccserver.model.job import Job
from ccserver.model.metrics import JobData

VERSION = 3


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """A job of the archive that cannot be read: where it lies and why."""

    place: str
    reason: str


class JobArchive(Protocol):
    """Finished jobs: their record and their metric data, by (cluster, job id, start time).

    All methods are safe to call from any thread. They raise ArchiveError, JobNotArchivedError where a job is
    asked for that is not there.
    """

    def open(self) -> None:
        """Checks the version, sets up an archive where there is nothing yet; raises ArchiveVersionError."""

    def cluster_documents(self) -> dict[str, Any]:
        """The decoded `cluster.json` of every cluster by directory name, sorted."""

    def exists(self, job: Job) -> bool: ...

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job: ...

    def load_data(self, job: Job) -> JobData:
        """Metric data as stored; arrays are read-only."""

    def store_meta(self, job: Job) -> None:
        """Overwrites the record of a job that is in the archive."""

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        """Reads the record, applies `change` to it and writes it back; one such update at a time."""

    def import_job(self, job: Job, data: JobData) -> None:
        """Adds a job, or replaces it; never leaves half of one."""

    def iterate(self) -> Iterator[Job | BrokenEntry]:
        """The records of all jobs of all clusters, in no particular order."""
