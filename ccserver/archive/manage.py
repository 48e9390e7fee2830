"""What is done to a whole archive: an overview, validation, removal by date, copying into another one.

Contract: spec/job-archive.md 2 (info, clean) and 22.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ccserver.archive.errors import ArchiveError
from ccserver.archive.file import FileArchive, unpack_data
from ccserver.archive.interface import BrokenEntry, JobArchive
from ccserver.archive.schemas import problems

log = logging.getLogger(__name__)


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


def overview(archive: FileArchive) -> list[ClusterInfo]:
    """One entry per cluster, the last one is the total. A cluster without jobs has first = now, last = 0."""
    now = int(time.time())
    total = ClusterInfo("TOTAL", first=now)
    infos = []
    for cluster in archive.clusters():
        info = ClusterInfo(cluster, first=now)
        for place, start in _started(archive, cluster):
            info.add(1, start, start, sum(entry.stat().st_size for entry in os.scandir(place)))
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


def validate(archive: FileArchive, report: Callable[[str], None]) -> int:
    """Holds every document of every job against its schema; returns how many break it."""
    broken = 0
    for cluster in archive.clusters():
        for place in archive.places(cluster):
            if isinstance(place, BrokenEntry):
                report(f"{place.place}: {place.reason}")
                broken += 1
                continue
            for name, found in _problems(place):
                report(f"{place / name}: {'; '.join(found)}")
                broken += 1
    return broken


def clean(archive: FileArchive, before: int, after: int) -> int:
    """Removes jobs that started before `before` or after `after` (0: never); returns how many.

    Raises ArchiveError, before anything is removed from a cluster, for a place that is no start time.
    """
    removed = 0
    for cluster in archive.clusters():
        for place, start in list(_started(archive, cluster)):
            if start < before or 0 < after < start:
                shutil.rmtree(place)
                _remove_if_empty(place.parent)
                removed += 1
    return removed


def copy(source: JobArchive, target: JobArchive, progress: Callable[[Copied], None]) -> Copied:
    """Cluster configurations, then all jobs that the target does not have; a bad entry costs itself."""
    result = Copied()
    for cluster in source.clusters():
        target.store_cluster(cluster, source.cluster_file(cluster))
    for entry in source.iterate():
        if isinstance(entry, BrokenEntry):
            log.error("%s", entry.reason)
            result.failed += 1
        elif target.exists(entry):
            result.present += 1
        else:
            try:
                target.import_job(entry, source.load_data(entry))
                result.jobs += 1
            except ArchiveError as error:
                log.error("%s", error)
                result.failed += 1
        progress(result)
    return result


def _problems(place: Path) -> Iterator[tuple[str, list[str]]]:
    files = ("meta.json", "data.json.gz" if (place / "data.json.gz").exists() else "data.json")
    for name in files:
        try:
            raw = (place / name).read_bytes()
            if name.endswith(".gz"):
                raw = unpack_data(raw)
        except OSError as error:
            yield name, [error.strerror or str(error)]
            continue
        except ArchiveError as error:
            yield name, [str(error)]
            continue
        if found := problems("meta" if name == "meta.json" else "data", raw):
            yield name, found


def _started(archive: FileArchive, cluster: str) -> Iterator[tuple[Path, int]]:
    for place in archive.places(cluster):
        if isinstance(place, BrokenEntry):
            raise ArchiveError(f"{place.place}: {place.reason}")
        if not place.name.isdecimal():
            raise ArchiveError(f"{place}: the name is no start time")
        yield place, int(place.name)


def _remove_if_empty(folder: Path) -> None:
    if not any(os.scandir(folder)):
        folder.rmdir()
