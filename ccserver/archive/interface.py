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


@dataclass(frozen=True, slots=True)
class Entry:
    """A job of the archive that has not been read; `size` in bytes of what is stored of it."""

    cluster: str
    job_id: int
    start_time: int
    size: int
    place: str


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The two documents of a job as an archive of files holds them, byte for byte."""

    meta: bytes
    data_name: str
    """`data.json` or `data.json.gz`."""
    data: bytes


class JobArchive(Protocol):
    """Finished jobs: their record and their metric data, by (cluster, job id, start time).

    All methods are safe to call from any thread. They raise ArchiveError, JobNotArchivedError where a job is
    asked for that is not there.
    """

    def __str__(self) -> str:
        """Where it lies."""

    def open(self) -> None:
        """Checks the version, sets up an archive where there is nothing yet; raises ArchiveVersionError."""

    def clusters(self) -> list[str]:
        """Names of the clusters, byte-wise sorted."""

    def cluster_documents(self) -> dict[str, Any]:
        """The decoded `cluster.json` of every cluster by directory name, sorted."""

    def cluster_file(self, cluster: str) -> bytes:
        """The `cluster.json` of a cluster as it is."""

    def store_cluster(self, cluster: str, document: bytes) -> None:
        """Adds or replaces a `cluster.json`."""

    def delete_cluster(self, cluster: str) -> None:
        """Removes a cluster, its jobs and its configuration."""

    def exists(self, job: Job) -> bool: ...

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job: ...

    def load_data(self, job: Job) -> JobData:
        """Metric data as stored; arrays are read-only."""

    def load_files(self, cluster: str, job_id: int, start_time: int) -> JobFiles:
        """Both documents unread: what an export passes on."""

    def store_meta(self, job: Job) -> None:
        """Overwrites the record of a job that is in the archive."""

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        """Reads the record, applies `change` to it and writes it back; one such update at a time."""

    def import_job(self, job: Job, data: JobData) -> None:
        """Adds a job, or replaces it; never leaves half of one."""

    def delete_job(self, cluster: str, job_id: int, start_time: int) -> None:
        """Removes a job."""

    def compress_job(self, cluster: str, job_id: int, start_time: int) -> bool:
        """Packs the metric data of a job; False when it is packed already, or there is none."""

    def compress_marker(self) -> int | None:
        """Up to which start time data was packed."""

    def store_compress_marker(self, until: int) -> None: ...

    def count(self) -> int:
        """Number of jobs, without reading them."""

    def entries(self, cluster: str) -> Iterator[Entry | BrokenEntry]:
        """All jobs of a cluster, without reading them."""

    def iterate(
        self, known: Callable[[str, int, int], bool] = lambda cluster, job_id, start_time: False
    ) -> Iterator[Job | BrokenEntry]:
        """The records of all jobs of all clusters, in no particular order.

        Jobs for which `known(cluster, job id, start time)` holds are left out without being read.
        """
