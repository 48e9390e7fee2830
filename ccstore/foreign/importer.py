"""Finds checkpoints of the reference in a directory and puts them into a store.

A file that is damaged costs what is missing of it; nothing here changes or moves the files.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccstore.checkpoint import sync_directory
from ccstore.foreign import binary_snapshot, json_snapshot, wal
from ccstore.foreign.samples import Piece, Times, Unreadable, Values, component_of, joined
from ccstore.kernels import samples
from ccstore.kernels.layout import BASE, HOST_KEPT
from ccstore.numbering import Numbering
from ccstore.tables import Component, StoreTables
from ccstore.types import ImportReport

log = logging.getLogger(__name__)

_WAL = "current.wal"
_PROGRESS = 30.0  # seconds between two log lines
_NO_FILE = (-1, -1)

Files = Mapping[tuple[str, str], list[Path]]
"""Files by cluster and host."""


def new_files(directory: Path, marks: Marks | None) -> Files:
    """Checkpoints of the reference below a directory, without the marked ones. A host with a new file is
    listed with all its files: they complete each other."""
    found: dict[tuple[str, str], list[Path]] = {}
    known = marks.read() if marks else {}
    for cluster in _folders(directory):
        for host in _folders(cluster):
            files = [path for path in _entries(host) if _is_checkpoint(path)]
            if any(known.get(_key(path)) != _stamp(path) for path in files):
                found[cluster.name, host.name] = files
    return found


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        log.warning("%s cannot be read: %s", directory, error)
        return []


def _folders(directory: Path) -> Iterator[Path]:
    return (path for path in _entries(directory) if path.is_dir())


def _is_checkpoint(path: Path) -> bool:
    named = path.name == _WAL or (path.suffix in (".json", ".bin") and path.stem.isdecimal())
    return named and path.is_file()


def _key(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    try:
        status = path.stat()
    except OSError:
        return _NO_FILE
    return status.st_size, status.st_mtime_ns


class Marks:
    """The list, in the checkpoint directory, of files that have been taken over."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "imported.json"

    def read(self) -> dict[str, tuple[int, int]]:
        try:
            files = json.loads(self._path.read_bytes())["files"]
            return {str(name): (int(size), int(changed)) for name, (size, changed) in files.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s cannot be used, all old checkpoints are read once more: %r", self._path, error)
            return {}

    def add(self, files: Files) -> None:
        """Durable when this returns; raises OSError."""
        marked = self.read() | {_key(path): _stamp(path) for paths in files.values() for path in paths}
        draft = self._path.with_suffix(".unfinished")
        with open(draft, "w", encoding="utf-8") as file:
            json.dump({"files": marked}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)
        sync_directory(self._path.parent)


@dataclass(frozen=True, slots=True)
class _Series:
    component: Component
    metric: str
    times: Times
    values: Values


class Importer:
    """Takes files over, host by host; writers and readers go on meanwhile."""

    def __init__(self, tables: StoreTables, lock: threading.Lock) -> None:
        self._tables = tables
        self._lock = lock
        self._numbering = Numbering(tables)
        self._unknown: Counter[str] = Counter()
        self._damaged = 0
        self._in_use: Collection[tuple[str, str]] | None = ()

    def run(
        self, files: Files, begin: int, end: int, in_use: Collection[tuple[str, str]] | None = ()
    ) -> ImportReport:
        """Samples of [begin, end], unix seconds; those of hosts in use, (cluster, host), also from before.
        None: all are."""
        hosts = stored = 0
        self._in_use = in_use
        reported = time.monotonic()
        for number, ((cluster, host), paths) in enumerate(files.items()):
            if time.monotonic() - reported > _PROGRESS:
                reported = time.monotonic()
                log.info("importing checkpoints: %d of %d hosts", number, len(files))
            count = self._host(cluster, host, paths, begin, end)
            hosts += count > 0
            stored += count
        for metric, count in self._unknown.items():
            log.warning("metric %s is not configured: %d series are not imported", metric, count)
        read = sum(map(len, files.values()))
        return ImportReport(hosts, read, self._damaged, stored, dict(self._unknown))

    def _host(self, cluster: str, host: str, paths: list[Path], begin: int, end: int) -> int:
        with self._lock:
            cluster_number = self._numbering.cluster(cluster)
        if cluster_number < 0:
            log.warning("%s: the cluster is not configured, its checkpoints are left out", paths[0].parent)
            return 0
        table = self._tables.table_metrics[int(self._tables.clusters[cluster_number])]
        stored = 0
        for series in self._series(paths):
            if series.metric not in table:
                self._unknown[series.metric] += 1
                continue
            row, _ = table[series.metric]
            inside = (series.times >= BASE) & (series.times <= end)
            times, values = series.times[inside], series.values[inside]
            if not len(times):
                continue
            with self._lock:
                host_number = self._numbering.host(cluster_number, host)
                component = self._numbering.component(series.component)
                if host_number < 0 or component < 0:
                    log.warning("%s: this is no name of a host, or there are too many", paths[0].parent)
                    return stored
                if self._in_use is None or (cluster, host) in self._in_use:
                    self._tables.hosts[host_number, HOST_KEPT] = 1
                self._tables.grow()
                flat = self._tables.flat
                count = int(samples.fill(flat, host_number, row, component, times, values, begin))
            if count == samples.NO_ROOM:
                log.error("no room for more series: %s is not imported completely", paths[0].parent)
                return stored
            stored += count
        return stored

    def _series(self, paths: list[Path]) -> Iterator[_Series]:
        """All series of a host; write-ahead log before binary before JSON, earlier files before later."""
        pieces: defaultdict[tuple[Component, str], list[Piece]] = defaultdict(list)
        for path in sorted(paths, key=_precedence):
            for piece in self._read(path):
                try:
                    pieces[component_of(piece.levels), piece.metric].append(piece)
                except Unreadable as error:
                    log.warning("%s: left out: %s", path, error)
        for (component, metric), of_series in pieces.items():
            times, values = joined(of_series)
            yield _Series(component, metric, times, np.ascontiguousarray(values))

    def _read(self, path: Path) -> list[Piece]:
        try:
            if path.suffix == ".json":
                return json_snapshot.read(path)
            if path.suffix == ".bin":
                return binary_snapshot.read(path)
            pieces, trouble = wal.read(path)
        except (Unreadable, OSError) as error:
            pieces, trouble = [], str(error)
        if trouble:
            self._damaged += 1
            log.warning("%s: damaged, what could be read is used: %s", path, trouble)
        return pieces


def _precedence(path: Path) -> tuple[int, int]:
    if path.name == _WAL:
        return 0, 0
    return (1 if path.suffix == ".bin" else 2), int(path.stem)
