"""Checkpoint files: writing. docs/format/checkpoint.md draws the format; ccstore/restore.py reads it.

A checkpoint is a chain of files: a full one, then increments with the pages that have changed since. Every
file lists all series, so the newest one says what there is, and pages are looked for from the newest file to
the oldest. A chain that grows too long is replaced by a full file.

The writers' lock is held while one block of at most 1 MB is copied (well below a millisecond); shuffling,
compression and checksums run in threads of their own, without the interpreter lock; then comes the disk.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import lz4.block
import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, snapshot
from ccstore.kernels.layout import BASE, HOST_KEPT, UNIT_BYTES
from ccstore.steps import step
from ccstore.tables import StoreTables

log = logging.getLogger(__name__)

MAGIC = b"CCSTORE\n"
VERSION = 2
BLOCK = b"CBLK"
END = b"CEND"
HEADER = struct.Struct("<8sIII")  # magic, version, size of the header's msgpack, its CRC-32
FRAME = struct.Struct("<4sIIIII")  # magic, stored size of meta, of values, sizes of both, CRC-32 of all else
SUFFIX = ".checkpoint"

_VALUES_OF_BLOCK = 1 << 18
_SERIES_OF_BLOCK = 4096
_SEGMENTS_OF_BLOCK = 16384
_PAGES_OF_BLOCK = 4096

MOST_FILES = 16
"""Files of a chain: the next checkpoint after that is a full one."""
_MOST_OVERHEAD = 3  # times the memory in use that the pages of a chain may have
_SMALL = 64 << 20  # bytes of pages up to which that is not looked at

SERIES_COLUMNS = (
    "host",
    "metric",
    "component",
    "step",
    "last",
    "time",
    "shift",
    "deviation",
    "age",
    "begin",
    "group",
    "row",
    "segment_count",
)
SEGMENT_COLUMNS = ("segment_first", "segment_offset")
PAGE_COLUMNS = ("page_group", "page_first", "page_slots", "page_rows")
"""Columns, in the order of ccstore.kernels.snapshot."""


@dataclass(frozen=True, slots=True)
class Written:
    series: int
    pages: int
    size: int


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of the chain: its last sample ends at `end` (unix seconds), `values` is the number of slots in
    its pages, `hosts` are the numbers of the hosts these belong to."""

    sequence: int
    path: Path
    end: int
    values: int
    hosts: Collection[int]


@dataclass(slots=True)
class _Buffers:
    """What one block is collected into."""

    columns: NDArray[np.int32] = field(
        default_factory=lambda: np.empty((snapshot.COLUMNS, _SERIES_OF_BLOCK), np.int32)
    )
    segments: NDArray[np.int32] = field(
        default_factory=lambda: np.empty((snapshot.SEGMENT_COLUMNS, _SEGMENTS_OF_BLOCK), np.int32)
    )
    pages: NDArray[np.int32] = field(
        default_factory=lambda: np.empty((snapshot.PAGE_COLUMNS, _PAGES_OF_BLOCK), np.int32)
    )
    values: NDArray[np.float32] = field(default_factory=lambda: np.empty(_VALUES_OF_BLOCK, np.float32))
    shuffled: NDArray[np.uint8] = field(default_factory=lambda: np.empty(4 * _VALUES_OF_BLOCK, np.uint8))
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)  # series, segments, pages, values


class CheckpointWriter:
    """Writes what the store holds into files of its directory; one call at a time."""

    def __init__(self, tables: StoreTables, lock: threading.Lock, directory: Path, workers: int) -> None:
        self._tables = tables
        self._lock = lock
        self._directory = directory
        self._workers = workers
        self._since = 0  # number of the last checkpoint; 0: the next one is full
        self._chain: list[SavedFile] = []
        self._starts = 0  # how often the chain was to begin anew
        self._started = 0  # how often it did

    def start_over(self) -> None:
        """The next checkpoint is full: a series has been removed, and if it comes back older files must not
        fill it."""
        self._starts += 1

    def go_on_from(self, chain: list[SavedFile]) -> None:
        """The store holds exactly what these files do, and what has been written since it was made."""
        self._chain = chain
        self._since = 1 if chain else 0

    @property
    def files(self) -> list[Path]:
        """The chain, oldest first."""
        return [saved.path for saved in self._chain]

    @property
    def next_is_full(self) -> bool:
        counts = self._tables.counts
        used = int(counts[layout.UNITS_IN_USE] + counts[layout.SPARED_UNITS]) * UNIT_BYTES
        held = 4 * sum(saved.values for saved in self._chain)
        return (
            self._since == 0
            or self._started != self._starts
            or len(self._chain) >= MOST_FILES
            or (held > _SMALL and held > _MOST_OVERHEAD * used)
        )

    def write(self, created: float, journal: int, *, keep_replaced: bool = False) -> Written:
        """A checkpoint, durable when this returns; files it replaces are removed then, unless they are to be
        kept. Raises OSError.

        `journal` is the number of the first journal file with messages that may not be in it.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        full = self.next_is_full
        starts = self._starts
        chain = [] if full else self._chain
        with self._lock:
            self._tables.counts[layout.EPOCH] += 1
            epoch = int(self._tables.counts[layout.EPOCH])
        sequence = _last_sequence(self._directory) + 1
        path = self._directory / f"{sequence:012d}{SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        header = {
            "created": created,
            "sequence": sequence,
            "kind": "full" if full else "increment",
            "base": BASE,
            "journal": journal,
            "files": [(saved.sequence, saved.end) for saved in chain],
        }
        step("checkpoint: begun")
        try:
            with open(unfinished, "wb") as file:
                written, saved = self._write_to(file, header, path)
                file.flush()
                step("checkpoint: written")
                os.fsync(file.fileno())
            step("checkpoint: synced")
            os.rename(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_directory(self._directory)
        step("checkpoint: renamed")
        self._since = epoch
        self._started = starts if full else self._started
        self._chain = [*chain, saved]
        if not keep_replaced:
            self.remove_replaced()
        return written

    def remove_replaced(self) -> int:
        """Removes files that do not belong to the chain; returns their number. Raises OSError."""
        needed = {saved.sequence for saved in self._chain}
        replaced = [path for number, path in checkpoints(self._directory) if number not in needed]
        for path in replaced if needed else ():
            path.unlink(missing_ok=True)
        step("checkpoint: older files removed")
        return len(replaced)

    def outdated(self, cutoff: int) -> list[SavedFile]:
        """Files of which every sample ends before the cutoff (unix seconds), and no host is kept."""
        kept = self._tables.hosts[:, HOST_KEPT]
        return [
            saved
            for saved in self._chain[:-1]
            if saved.end < cutoff and not any(kept[host] for host in saved.hosts)
        ]

    def remove(self, outdated: list[SavedFile]) -> None:
        """Raises OSError; what is removed by then stays removed."""
        for saved in outdated:
            saved.path.unlink(missing_ok=True)
            self._chain = [other for other in self._chain if other is not saved]

    def _write_to(self, file: BinaryIO, header: dict[str, Any], path: Path) -> tuple[Written, SavedFile]:
        packed = pack(header)
        file.write(HEADER.pack(MAGIC, VERSION, len(packed), zlib.crc32(packed)) + packed)
        since = 0 if header["kind"] == "full" else self._since
        cursor = np.zeros(snapshot.CURSOR_SIZE, np.int64)
        cursor[snapshot.AFTER_START] = snapshot.NO_PAGE
        cursor[snapshot.END_TIME] = snapshot.NO_TIME
        spare = [_Buffers() for _ in range(self._workers + 1)]
        running: deque[tuple[_Buffers, Future[tuple[bytes, set[int]]]]] = deque()
        blocks = series = pages = values = 0
        hosts: set[int] = set()

        def finish_one() -> None:
            buffers, future = running.popleft()
            encoded, of_block = future.result()
            hosts.update(of_block)
            file.write(encoded)
            spare.append(buffers)
            step("checkpoint: block written")

        with ThreadPoolExecutor(self._workers, thread_name_prefix="checkpoint") as pool:
            for buffers in self._blocks(since, cursor, spare, finish_one):
                running.append((buffers, pool.submit(self._encoded, buffers)))
                blocks += 1
                series += buffers.counts[0]
                pages += buffers.counts[2]
                values += buffers.counts[3]
            while running:
                finish_one()
        end = BASE + int(cursor[snapshot.END_TIME]) if values else 0
        summary = {"blocks": blocks, "series": series, "pages": pages, "values": values, "end": end}
        file.write(frame(END, summary, np.empty(0, np.uint8)))
        saved = SavedFile(header["sequence"], path, end, values, frozenset(hosts))
        return Written(series, pages, file.tell()), saved

    def _blocks(
        self, since: int, cursor: NDArray[np.int64], spare: list[_Buffers], finish_one: Any
    ) -> Iterator[_Buffers]:
        while True:
            if not spare:
                finish_one()
            buffers = spare.pop()
            with self._lock:
                snapshot.collect(
                    self._tables.flat,
                    since,
                    buffers.columns,
                    buffers.segments,
                    buffers.pages,
                    buffers.values,
                    cursor,
                )
                end = int(self._tables.counts[layout.GROUP_COUNT])
                self._tables.sync()
            n, m, _, p, v = cursor[snapshot.DONE_SERIES : snapshot.END_TIME].tolist()
            buffers.counts = (n, m, p, v)
            if n:
                yield buffers
            else:
                spare.append(buffers)
            if int(cursor[snapshot.AT_GROUP]) >= end:
                return

    def _encoded(self, buffers: _Buffers) -> tuple[bytes, set[int]]:
        """A block as it stands in the file, and the hosts that its pages belong to."""
        tables = self._tables
        n, m, p, v = buffers.counts
        columns = buffers.columns[:, :n]
        hosts, columns[snapshot.C_HOST] = np.unique(columns[snapshot.C_HOST], return_inverse=True)
        metrics, columns[snapshot.C_METRIC] = np.unique(columns[snapshot.C_METRIC], return_inverse=True)
        components, columns[snapshot.C_COMPONENT] = np.unique(
            columns[snapshot.C_COMPONENT], return_inverse=True
        )
        clusters = {number: name for name, number in tables.cluster_numbers.copy().items()}
        meta = {
            "series": n,
            "segments": m,
            "pages": p,
            "hosts": [
                (clusters[int(tables.hosts[h, layout.HOST_CLUSTER])], tables.host_names[h])
                for h in hosts.tolist()
            ],
            "metrics": [tables.metric_rows[i].name for i in metrics.tolist()],
            "components": [tables.component_names[c] for c in components.tolist()],
            **{name: columns[i].astype("<i4").tobytes() for i, name in enumerate(SERIES_COLUMNS)},
            **{
                name: buffers.segments[i, :m].astype("<i4").tobytes()
                for i, name in enumerate(SEGMENT_COLUMNS)
            },
            **{name: buffers.pages[i, :p].astype("<i4").tobytes() for i, name in enumerate(PAGE_COLUMNS)},
        }
        shuffled = buffers.shuffled[: 4 * v]
        snapshot.shuffle(buffers.values[:v], shuffled)
        return frame(BLOCK, meta, shuffled), set(hosts.tolist()) if p else set()


# lz4 and msgpack come without type hints.
def pack(document: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(document)  # type: ignore[no-untyped-call]
    return packed


def unpack(packed: bytes) -> dict[str, Any]:
    document: dict[str, Any] = msgpack.unpackb(packed)  # type: ignore[no-untyped-call,attr-defined]
    return document


def compress(data: bytes | bytearray | memoryview, acceleration: int = 1) -> bytes:
    block: bytes = lz4.block.compress(  # type: ignore[attr-defined]
        data, mode="fast", acceleration=acceleration, store_size=False
    )
    return block


def decompress(block: bytes | memoryview, size: int) -> bytes:
    """Raises ValueError when the block is not what it should be."""
    try:
        data: bytes = lz4.block.decompress(block, uncompressed_size=size)  # type: ignore[attr-defined]
    except lz4.block.LZ4BlockError as error:  # type: ignore[attr-defined]
        raise ValueError(str(error)) from error
    return data


def frame(magic: bytes, meta: dict[str, Any], values: NDArray[np.uint8]) -> bytes:
    """One block as it stands in the file."""
    packed = pack(meta)
    stored_meta = compress(packed)
    stored_values = compress(values.data) if len(values) else b""
    sizes = (len(stored_meta), len(stored_values), len(packed), len(values))
    check = zlib.crc32(FRAME.pack(magic, *sizes, 0)[:-4])
    check = zlib.crc32(stored_values, zlib.crc32(stored_meta, check))
    return b"".join((FRAME.pack(magic, *sizes, check), stored_meta, stored_values))


def checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Checkpoint files of a directory with their sequence numbers, oldest first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        if path.stem.isdecimal() and path.is_file():
            found.append((int(path.stem), path))
    return sorted(found)


def _last_sequence(directory: Path) -> int:
    """The highest that is taken, also by what is no checkpoint and by files moved aside."""
    names = [path.name.split(".")[0] for path in directory.glob(f"*{SUFFIX}*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def sync_directory(directory: Path) -> None:
    """Makes renames in it durable."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def move_aside(path: Path) -> None:
    """Renames a damaged file, so that it is not read again and somebody can look at it."""
    target = path.with_name(path.name + ".damaged")
    number = 1
    while target.exists():
        target = path.with_name(f"{path.name}.damaged-{number}")
        number += 1
    try:
        path.rename(target)
        log.warning("%s: damaged, what could be read was used; now %s", path, target.name)
    except OSError as error:
        log.warning("%s: damaged, and could not be moved aside: %s", path, error)
