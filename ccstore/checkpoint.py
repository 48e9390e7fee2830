"""Checkpoint files: writing. docs/format/checkpoint.md draws the format; ccstore/restore.py reads it.

The writers' lock is held while one block of at most 1 MB is copied (well below a millisecond); shuffling,
compression, checksums and the disk come after that, without the interpreter lock.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import lz4.block
import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, snapshot
from ccstore.kernels.layout import BASE, SLOTS
from ccstore.tables import StoreTables

log = logging.getLogger(__name__)

MAGIC = b"CCSTORE\n"
VERSION = 1
BLOCK = b"CBLK"
END = b"CEND"
HEADER = struct.Struct("<8sIII")  # magic, version, size of the header's msgpack, its CRC-32
FRAME = struct.Struct(
    "<4sIIIII"
)  # magic, stored size of meta, of rows, size of meta, of rows, CRC-32 of all else
SUFFIX = ".checkpoint"

ROWS_OF_BLOCK = (1 << 20) // (4 * SLOTS)
_SERIES_OF_BLOCK = 4096
_SEGMENTS_OF_BLOCK = 16384

COLUMNS = (
    "host",
    "metric",
    "component",
    "step",
    "last",
    "time",
    "shift",
    "deviation",
    "age",
    "segment_count",
    "row_count",
)
"""Columns of series, in the order of ccstore.kernels.snapshot."""


@dataclass(frozen=True, slots=True)
class Written:
    series: int
    rows: int
    size: int


class CheckpointWriter:
    """Writes everything the store holds into a new file of its directory."""

    def __init__(self, tables: StoreTables, lock: threading.Lock, directory: Path) -> None:
        self._tables = tables
        self._lock = lock
        self._directory = directory
        self._columns = np.empty((snapshot.COLUMNS, _SERIES_OF_BLOCK), np.int64)
        self._segments = np.empty((_SEGMENTS_OF_BLOCK, 2), np.int64)
        self._firsts = np.empty(ROWS_OF_BLOCK, np.int64)
        self._rows = np.empty(ROWS_OF_BLOCK * SLOTS, np.float32)
        self._shuffled: NDArray[np.uint8] = np.empty(4 * ROWS_OF_BLOCK * SLOTS, np.uint8)

    def write(self, created: float, journal: int) -> Written:
        """A complete checkpoint, durable when this returns; older ones are removed then. Raises OSError.

        `journal` is the number of the first journal file with messages that may not be in it.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        sequence = max((number for number, _ in checkpoints(self._directory)), default=0) + 1
        path = self._directory / f"{sequence:012d}{SUFFIX}"
        unfinished = path.with_suffix(".unfinished")
        try:
            with open(unfinished, "wb") as file:
                written = self._write_to(file, sequence, created, journal)
                file.flush()
                os.fsync(file.fileno())
            os.rename(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_directory(self._directory)
        for number, older in checkpoints(self._directory):
            if number < sequence:
                older.unlink(missing_ok=True)
        return written

    def _write_to(self, file: BinaryIO, sequence: int, created: float, journal: int) -> Written:
        header = pack(
            {
                "created": created,
                "sequence": sequence,
                "kind": "full",
                "base": BASE,
                "slots": SLOTS,
                "journal": journal,
            }
        )
        file.write(HEADER.pack(MAGIC, VERSION, len(header), zlib.crc32(header)) + header)
        blocks = series = rows = 0
        for meta, values in self._blocks():
            file.write(frame(BLOCK, meta, self._shuffle(values)))
            blocks += 1
            series += meta["series"]
            rows += meta["rows"]
        end = {"blocks": blocks, "series": series, "rows": rows}
        file.write(frame(END, end, np.empty(0, np.uint8)))
        return Written(series, rows, file.tell())

    def _shuffle(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        out = self._shuffled[: 4 * len(values)]
        snapshot.shuffle(values, out)
        return out

    def _blocks(self) -> Iterator[tuple[dict[str, Any], NDArray[np.float32]]]:
        cursor = np.zeros(snapshot.CURSOR_SIZE, np.int64)
        cursor[snapshot.AFTER_WINDOW] = snapshot.NO_WINDOW
        while True:
            with self._lock:
                snapshot.collect(
                    self._tables.flat, self._columns, self._segments, self._firsts, self._rows, cursor
                )
                end = int(self._tables.counts[layout.SERIES_COUNT])
                self._tables.sync()
            n, m, r = cursor[snapshot.DONE_SERIES :].tolist()
            if n:
                yield self._meta(n, m, r), self._rows[: r * SLOTS]
            if int(cursor[snapshot.AT_SERIES]) >= end:
                return

    def _meta(self, n: int, m: int, r: int) -> dict[str, Any]:
        tables = self._tables
        columns = self._columns[:, :n].copy()
        hosts, columns[snapshot.C_HOST] = np.unique(columns[snapshot.C_HOST], return_inverse=True)
        metrics, columns[snapshot.C_METRIC] = np.unique(columns[snapshot.C_METRIC], return_inverse=True)
        components, columns[snapshot.C_COMPONENT] = np.unique(
            columns[snapshot.C_COMPONENT], return_inverse=True
        )
        clusters = {number: name for name, number in tables.cluster_numbers.items()}
        return {
            "series": n,
            "segments": m,
            "rows": r,
            "hosts": [
                (clusters[int(tables.hosts[h, layout.HOST_CLUSTER])], tables.host_names[h])
                for h in hosts.tolist()
            ],
            "metrics": [tables.metric_rows[i].name for i in metrics.tolist()],
            "components": [tables.component_names[c] for c in components.tolist()],
            **{name: columns[i].astype("<i8").tobytes() for i, name in enumerate(COLUMNS)},
            "segment_first": self._segments[:m, 0].astype("<i8").tobytes(),
            "segment_offset": self._segments[:m, 1].astype("<i8").tobytes(),
            "row_first": self._firsts[:r].astype("<i8").tobytes(),
        }


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


def decompress(block: bytes, size: int) -> bytes:
    """Raises ValueError when the block is not what it should be."""
    try:
        data: bytes = lz4.block.decompress(block, uncompressed_size=size)  # type: ignore[attr-defined]
    except lz4.block.LZ4BlockError as error:  # type: ignore[attr-defined]
        raise ValueError(str(error)) from error
    return data


def frame(magic: bytes, meta: dict[str, Any], rows: NDArray[np.uint8]) -> bytes:
    """One block as it stands in the file."""
    packed = pack(meta)
    stored_meta = compress(packed)
    stored_rows = compress(rows.data) if len(rows) else b""
    sizes = (len(stored_meta), len(stored_rows), len(packed), len(rows))
    check = zlib.crc32(FRAME.pack(magic, *sizes, 0)[:-4])
    check = zlib.crc32(stored_rows, zlib.crc32(stored_meta, check))
    return FRAME.pack(magic, *sizes, check) + stored_meta + stored_rows


def checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Checkpoint files of a directory with their sequence numbers, oldest first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        if path.stem.isdecimal() and path.is_file():
            found.append((int(path.stem), path))
    return sorted(found)


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
