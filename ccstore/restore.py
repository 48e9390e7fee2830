"""Checkpoint files: reading them back into a store that may already be taking writes.

Files are read from the newest to the oldest; blocks are decompressed in threads of their own and put into
the store one after the other, in short holds of the writers' lock. A file or block that is damaged costs
itself only: what can be read is used, the file is moved aside.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore import checkpoint
from ccstore.checkpoint import BLOCK, END, FRAME, HEADER, MAGIC, VERSION, SavedFile, decompress, unpack
from ccstore.kernels import snapshot
from ccstore.kernels.layout import BASE, HOST_KEPT
from ccstore.numbering import Numbering
from ccstore.steps import step
from ccstore.tables import StoreTables
from ccstore.types import RestoreProgress, RestoreReport

log = logging.getLogger(__name__)

_LARGEST = 1 << 26  # bytes of a part of a block: guards against a size that is damage
_MOST_SLOTS = 1 << 16  # of a page
_PAGES_PER_HOLD = 256  # of the writers' lock: a tenth of a millisecond


class Damaged(Exception):
    """A file that is not, or not completely, a checkpoint."""


@dataclass(slots=True)
class Block:
    """Columns as in docs/format/checkpoint.md; values of all pages, one after the other."""

    meta: Mapping[str, Any]
    columns: NDArray[np.int32]
    segments: NDArray[np.int32]
    pages: NDArray[np.int32]
    values: NDArray[np.float32]


@dataclass(slots=True)
class Header:
    """What a file says of itself: `files` are the sequence numbers and ends (unix seconds) of the older files
    that complete it."""

    journal: int
    files: list[tuple[int, int]]


class ProgressMeter:
    """Counts what a restore has done; read by any thread."""

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._series = 0
        self._begun = 0.0
        self._ended = 0.0

    def begin(self, total: int) -> None:
        self._total = total
        self._begun = time.monotonic()

    def advance(self, size: int, series: int = 0) -> None:
        self._done = min(self._done + size, self._total)
        self._series += series

    def end(self) -> None:
        self._done = self._total
        self._ended = time.monotonic()

    def value(self) -> RestoreProgress:
        until = self._ended or time.monotonic()
        return RestoreProgress(
            self._total, self._done, self._series, until - self._begun if self._begun else 0.0
        )


class Restorer:
    """Puts the checkpoints of a directory back."""

    def __init__(
        self,
        tables: StoreTables,
        lock: threading.Lock,
        directory: Path,
        workers: int,
        meter: ProgressMeter,
    ) -> None:
        self._tables = tables
        self._numbering = Numbering(tables)
        self._lock = lock
        self._directory = directory
        self._workers = workers
        self._meter = meter
        self._in_use: Collection[tuple[str, str]] | None = ()
        self._rasters = np.zeros(len(tables.series), np.uint8)
        self._begins = np.zeros(len(tables.series), np.int32)
        self._closed = False
        self._exact = True
        self.chain: list[SavedFile] = []
        """After `restore`: the files that have exactly what the store got from them; empty when none do."""
        self.journal = 0
        """After `restore`: the number of the first journal file with messages it has not put back."""

    def restore(self, cutoff: int, in_use: Collection[tuple[str, str]] | None = ()) -> RestoreReport:
        """Everything that ends at or after the cutoff (unix seconds).

        Of hosts in use, (cluster, host), everything there is; None: all are. Never raises for what is in the
        directory.
        """
        started = time.perf_counter()
        self._in_use = in_use
        series = samples = files = damaged = 0
        for path in self._directory.glob("*.unfinished"):
            if path.is_file():
                path.unlink(missing_ok=True)
        step("restore: begun")
        beginnings = []
        expected: dict[int, int] | None = None  # sequence numbers and ends of files not read yet
        saved: list[SavedFile] = []
        with ThreadPoolExecutor(self._workers, thread_name_prefix="restore") as pool:
            for number, path in reversed(checkpoint.checkpoints(self._directory)):
                if self._closed and expected is not None and number not in expected:
                    # Left behind when it could not be removed: newer files have what it has.
                    continue
                files += 1
                reading = _Reading(self, path, cutoff, pool)
                try:
                    reading.run()
                except (Damaged, OSError) as error:
                    log.warning("%s: %s", path, error)
                    reading.whole = False
                series += reading.series
                samples += reading.samples
                step("restore: file read")
                if reading.header is not None:
                    if not self._closed:
                        beginnings.append(reading.header.journal)
                    if expected is None:
                        expected = dict(reading.header.files)
                if expected is not None:
                    expected.pop(number, None)
                if reading.whole:
                    self._closed = True
                    saved.append(
                        SavedFile(number, path, reading.end, reading.values, frozenset(reading.hosts))
                    )
                else:
                    damaged += 1
                    checkpoint.move_aside(path)
                    step("restore: file moved aside")
        missing = sorted(number for number, end in (expected or {}).items() if end >= cutoff)
        if missing:
            log.warning("%s: checkpoint files %s are missing, with what they had", self._directory, missing)
        if not damaged and not missing and self._exact:
            self.chain = saved[::-1]
        self.journal = min(beginnings, default=0)
        return RestoreReport(files, damaged, series, samples, seconds=time.perf_counter() - started)

    def insert(self, block: Block, cutoff: int) -> tuple[int, int, set[int]]:
        """Series made, samples stored, and the numbers of the hosts that the block has pages of."""
        columns, segments, pages = block.columns, block.segments, block.pages
        self._number(block.meta, columns)
        n = columns.shape[1]
        places = np.empty(n, np.int32)
        made = 0
        progress = np.zeros(4, np.int64)
        while progress[0] < n:
            with self._lock:
                self._tables.grow()
                made += snapshot.insert_series(
                    self._tables.flat,
                    columns,
                    segments,
                    cutoff - BASE,
                    int(self._closed),
                    places,
                    self._rasters,
                    self._begins,
                    progress,
                )
        ends = np.cumsum(columns[snapshot.C_SEGMENTS], dtype=np.int32)
        stored = 0
        progress = np.array([0, 0, 0, _PAGES_PER_HOLD], np.int64)
        while progress[0] < pages.shape[1]:
            with self._lock:
                stored += snapshot.insert_pages(
                    self._tables.flat,
                    columns,
                    segments,
                    ends,
                    pages,
                    block.values,
                    cutoff - BASE,
                    places,
                    self._rasters,
                    self._begins,
                    progress,
                )
        placed = places[places >= 0]
        if np.any(self._rasters[placed] == snapshot.OTHER_RASTER):
            self._exact = False
        hosts = set(np.unique(columns[snapshot.C_HOST]).tolist()) - {-1} if pages.shape[1] else set()
        return made, stored, hosts

    def _number(self, meta: Mapping[str, Any], columns: NDArray[np.int32]) -> None:
        """Replaces the block's numbers of hosts, metrics and components by those of this store."""
        with self._lock:
            clusters = [self._numbering.cluster(cluster) for cluster, _ in meta["hosts"]]
            hosts = [
                self._numbering.host(cluster, host)
                for cluster, (_, host) in zip(clusters, meta["hosts"], strict=True)
            ]
            for number, (cluster, host) in zip(hosts, meta["hosts"], strict=True):
                if number >= 0 and (self._in_use is None or (cluster, host) in self._in_use):
                    self._tables.hosts[number, HOST_KEPT] = 1
            components = [
                self._numbering.component((kind, one, subtype, sub))
                for kind, one, subtype, sub in meta["components"]
            ]
            tables = [int(self._tables.clusters[c]) if c >= 0 else -1 for c in clusters]
        known = self._tables.table_metrics
        names = meta["metrics"]
        # A metric of the same name is another one in another cluster.
        by_table = {
            t: np.array([known[t].get(name, (-1,))[0] if t >= 0 else -1 for name in names], np.int32)
            for t in set(tables)
        }
        host_of = columns[snapshot.C_HOST]
        metric_of = columns[snapshot.C_METRIC].copy()
        table_of = np.array(tables, np.int32)[host_of]
        for table, numbers in by_table.items():
            chosen = table_of == table
            columns[snapshot.C_METRIC, chosen] = numbers[metric_of[chosen]]
        columns[snapshot.C_COMPONENT] = np.array(components, np.int32)[columns[snapshot.C_COMPONENT]]
        columns[snapshot.C_HOST] = np.array(hosts, np.int32)[host_of]


class _Reading:
    """One file on its way into the store."""

    def __init__(self, restorer: Restorer, path: Path, cutoff: int, pool: ThreadPoolExecutor) -> None:
        self._restorer = restorer
        self._path = path
        self._cutoff = cutoff
        self._pool = pool
        self.header: Header | None = None
        self.whole = True
        self.series = self.samples = self.values = self.end = 0
        self.hosts: set[int] = set()

    def run(self) -> None:
        """Raises Damaged and OSError; what could be read until then is in the store."""
        running: deque[tuple[int, Future[Block]]] = deque()
        with open(self._path, "rb") as file:
            self.header = read_header(file)
            try:
                for at, raw, payload in frames_of(file):
                    if raw[:4] == END:
                        self.end = int(summary_of(raw, payload).get("end", 0))
                        break
                    running.append((at, self._pool.submit(decoded, raw, payload)))
                    self._restorer._meter.advance(len(raw) + len(payload))
                    if len(running) > self._restorer._workers + 1:
                        self._insert(*running.popleft())
            finally:
                while running:
                    self._insert(*running.popleft())

    def _insert(self, at: int, future: Future[Block]) -> None:
        try:
            block = future.result()
            series, samples, hosts = self._restorer.insert(block, self._cutoff)
        except (Damaged, KeyError, TypeError, ValueError, IndexError) as error:
            log.warning("%s: the block at byte %d is not what it should be: %s", self._path, at, error)
            self.whole = False
            return
        self.series += series
        self.samples += samples
        self.values += len(block.values)
        self.hosts |= hosts
        self._restorer._meter.advance(0, series)
        step("restore: block inserted")


def frames_of(file: BinaryIO) -> Iterator[tuple[int, bytes, bytes]]:
    """Place, frame and payload of every block, the end block included. Raises Damaged where these end early
    or are none."""
    while True:
        at = file.tell()
        raw = file.read(FRAME.size)
        if len(raw) < FRAME.size:
            raise Damaged(f"ends at byte {at} without its end block")
        magic, stored_meta, stored_values, meta_size, values_size, _ = FRAME.unpack(raw)
        if magic not in (BLOCK, END) or max(stored_meta, stored_values, meta_size, values_size) > _LARGEST:
            raise Damaged(f"no block at byte {at}")
        payload = file.read(stored_meta + stored_values)
        if len(payload) < stored_meta + stored_values:
            raise Damaged(f"the block at byte {at} is cut off")
        yield at, raw, payload
        if magic == END:
            return


def decoded(raw: bytes, payload: bytes) -> Block:
    """A block from its frame and payload; raises Damaged and ValueError."""
    meta, shuffled = parts_of(raw, payload)
    values = np.empty(len(shuffled) // 4, np.float32)
    snapshot.unshuffle(np.frombuffer(shuffled, np.uint8), values)
    columns = _columns(meta, checkpoint.SERIES_COLUMNS)
    segments = _columns(meta, checkpoint.SEGMENT_COLUMNS)
    pages = _columns(meta, checkpoint.PAGE_COLUMNS)
    _check(meta, columns, segments, pages, values)
    return Block(meta, columns, segments, pages, values)


def summary_of(raw: bytes, payload: bytes) -> dict[str, Any]:
    """The map of an end block; raises Damaged."""
    try:
        return parts_of(raw, payload)[0]
    except ValueError as error:
        raise Damaged(f"the end block cannot be decoded: {error}") from None


def parts_of(raw: bytes, payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Meta map and shuffled values; raises Damaged and ValueError."""
    _, stored_meta, _, meta_size, values_size, check = FRAME.unpack(raw)
    if zlib.crc32(payload, zlib.crc32(raw[:-4])) != check:
        raise Damaged("wrong checksum")
    view = memoryview(payload)
    try:
        meta = unpack(decompress(view[:stored_meta], meta_size))
    except msgpack.exceptions.UnpackException as error:
        raise ValueError(str(error)) from error
    return meta, decompress(view[stored_meta:], values_size) if values_size else b""


def _columns(meta: Mapping[str, Any], names: tuple[str, ...]) -> NDArray[np.int32]:
    columns = [np.frombuffer(meta[name], "<i4") for name in names]
    return np.ascontiguousarray(np.stack(columns), np.int32)


def _check(
    meta: Mapping[str, Any],
    columns: NDArray[np.int32],
    segments: NDArray[np.int32],
    pages: NDArray[np.int32],
    values: NDArray[np.float32],
) -> None:
    """Raises ValueError when kernels would look outside of arrays."""
    n, m, p = columns.shape[1], segments.shape[1], pages.shape[1]
    if (n, m, p) != (meta["series"], meta["segments"], meta["pages"]) or n == 0:
        raise ValueError("columns do not fit their number")
    counts, rows = columns[snapshot.C_SEGMENTS], columns[snapshot.C_ROW]
    groups = columns[snapshot.C_GROUP]
    if counts.min() < 0 or counts.sum() != m or columns[snapshot.C_STEP].min() < 1:
        raise ValueError("series do not fit their segments")
    if np.any(np.diff(groups) < 0) or rows.min() < 0:
        raise ValueError("series do not stand in the order of their groups")
    for column, names in (("host", "hosts"), ("metric", "metrics"), ("component", "components")):
        numbers = columns[checkpoint.SERIES_COLUMNS.index(column)]
        if numbers.min() < 0 or numbers.max() >= len(meta[names]):
            raise ValueError(f"{names} are missing")
    slots, heights = pages[snapshot.P_SLOTS].astype(np.int64), pages[snapshot.P_ROWS].astype(np.int64)
    if p == 0 and len(values) == 0:
        return
    if (
        slots.min(initial=1) < 1
        or slots.max(initial=1) > _MOST_SLOTS
        or heights.min(initial=1) < 1
        or int((slots * heights).sum()) != len(values)
        or np.any(np.diff(pages[snapshot.P_GROUP]) < 0)
    ):
        raise ValueError("pages do not fit their values")
    tallest = np.zeros(int(groups.max()) + 1, np.int32)
    np.maximum.at(tallest, groups, rows + 1)
    of_page = pages[snapshot.P_GROUP]
    if of_page.min() < 0 or of_page.max() >= len(tallest) or np.any(heights < tallest[of_page]):
        raise ValueError("pages have fewer rows than their groups have series")


def total_size(paths: list[Path]) -> int:
    """Bytes of the files that are there."""
    size = 0
    for path in paths:
        try:
            size += os.stat(path).st_size
        except OSError:
            continue
    return size


def journal_after(path: Path) -> int | None:
    """Number of the first journal file with messages that may not be in this checkpoint; None when its header
    cannot be read."""
    try:
        with open(path, "rb") as file:
            return read_header(file).journal
    except (Damaged, OSError):
        return None


def read_header(file: BinaryIO) -> Header:
    """The header of a checkpoint; raises Damaged when it is none of ours."""
    raw = file.read(HEADER.size)
    try:
        magic, version, size, check = HEADER.unpack(raw)
    except struct.error:
        raise Damaged("too short for a checkpoint") from None
    if magic != MAGIC:
        raise Damaged("not a checkpoint")
    if version != VERSION:
        raise Damaged(f"a checkpoint of version {version}; this program reads version {VERSION}")
    packed = file.read(min(size, _LARGEST))
    if zlib.crc32(packed) != check:
        raise Damaged("wrong checksum of the header")
    try:
        header = unpack(packed)
        if header["base"] != BASE:
            raise Damaged("a checkpoint with another time base")
        return Header(int(header["journal"]), [(int(n), int(end)) for n, end in header["files"]])
    except (KeyError, TypeError, ValueError, msgpack.exceptions.UnpackException) as error:
        raise Damaged(f"its header is not what it should be: {error!r}") from None
