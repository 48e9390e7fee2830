"""What is done to a whole archive: an overview, validation, removal, copying into another one.

Contract: spec/job-archive.md 2 (info, clean) and 22.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ccserver.archive.errors import ArchiveError
from ccserver.archive.file import PACKED, unpack_data
from ccserver.archive.interface import BrokenEntry, Entry, JobArchive
from ccserver.archive.schemas import problems
from ccserver.model.job import Job

log = logging.getLogger(__name__)

_COPYING = 4  # jobs at once


@dataclass(slots=True)
class ClusterInfo:
    """Jobs of one cluster, their first and last start (unix seconds) and what their files take (bytes)."""

    name: str
    jobs: int = 0
    first: int = 0
    last: int = 0
    size: int = 0

    def add(self, jobs: int, first: int, last: int, size: int) -> None:
        self.first = min(self.first, first)
        self.last = max(self.last, last)
        self.jobs += jobs
        self.size += size


@dataclass(slots=True)
class Copied:
    jobs: int = 0
    present: int = 0
    failed: int = 0


def overview(archive: JobArchive) -> list[ClusterInfo]:
    """One entry per cluster, the last one is the total. A cluster without jobs has first = now, last = 0."""
    now = int(time.time())
    total = ClusterInfo("TOTAL", first=now)
    infos = []
    for cluster in archive.clusters():
        info = ClusterInfo(cluster, first=now)
        for entry in _entries(archive, cluster):
            info.add(1, entry.start_time, entry.start_time, entry.size)
        total.add(info.jobs, info.first, info.last, info.size)
        infos.append(info)
    return [*infos, total]


def overview_text(infos: list[ClusterInfo]) -> str:
    """The overview as a table, times in local time."""

    def moment(seconds: int) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))

    rows = [["cluster", "#jobs", "from", "to", "du (MB)"]]
    rows += [
        [info.name, str(info.jobs), moment(info.first), moment(info.last), f"{info.size * 1e-6:.2f}"]
        for info in infos
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join(
        "".join(f"{cell:<{width}}  |" for cell, width in zip(row, widths, strict=True)) + "\n" for row in rows
    )


def validate(archive: JobArchive, report: Callable[[str], None]) -> int:
    """Holds every document of every job against its schema; returns how many break it."""
    broken = 0
    for cluster in archive.clusters():
        for entry in archive.entries(cluster):
            if isinstance(entry, BrokenEntry):
                report(f"{entry.place}: {entry.reason}")
                broken += 1
                continue
            for name, found in _problems(archive, entry):
                report(f"{entry.place}/{name}: {'; '.join(found)}")
                broken += 1
    return broken


def clean(archive: JobArchive, before: int, after: int) -> int:
    """Removes jobs that started before `before` or after `after` (0: never); returns how many.

    Raises ArchiveError, before anything is removed from a cluster, for a place that is no start time.
    """
    removed = 0
    for cluster in archive.clusters():
        for entry in list(_entries(archive, cluster)):
            if entry.start_time < before or 0 < after < entry.start_time:
                archive.delete_job(cluster, entry.job_id, entry.start_time)
                removed += 1
    return removed


def copy(source: JobArchive, target: JobArchive, progress: Callable[[Copied], None]) -> Copied:
    """Cluster configurations, then all jobs that the target does not have; a bad entry costs itself."""
    result = Copied()
    for cluster in source.clusters():
        target.store_cluster(cluster, source.cluster_file(cluster))

    def count(one: Future[str]) -> None:
        outcome = one.result()
        setattr(result, outcome, getattr(result, outcome) + 1)
        progress(result)

    with ThreadPoolExecutor(_COPYING, thread_name_prefix="copy") as workers:
        pending: deque[Future[str]] = deque()
        for entry in source.iterate():
            pending.append(workers.submit(_copied, entry, source, target))
            if len(pending) >= 4 * _COPYING:
                count(pending.popleft())
        while pending:
            count(pending.popleft())
    return result


def _copied(entry: Job | BrokenEntry, source: JobArchive, target: JobArchive) -> str:
    """Which number of Copied goes up."""
    try:
        if isinstance(entry, BrokenEntry):
            raise ArchiveError(entry.reason)
        if target.exists(entry):
            return "present"
        target.import_job(entry, source.load_data(entry))
    except ArchiveError as error:
        log.error("%s", error)
        return "failed"
    return "jobs"


def _problems(archive: JobArchive, entry: Entry) -> Iterator[tuple[str, list[str]]]:
    try:
        files = archive.load_files(entry.cluster, entry.job_id, entry.start_time)
    except ArchiveError as error:
        yield "", [str(error)]
        return
    if found := problems("meta", files.meta):
        yield "meta.json", found
    try:
        data = unpack_data(files.data) if files.data_name == PACKED else files.data
    except ArchiveError as error:
        yield files.data_name, [str(error)]
        return
    if found := problems("data", data):
        yield files.data_name, found


def _entries(archive: JobArchive, cluster: str) -> Iterator[Entry]:
    for entry in archive.entries(cluster):
        if isinstance(entry, BrokenEntry):
            raise ArchiveError(f"{entry.place}: {entry.reason}")
        yield entry
