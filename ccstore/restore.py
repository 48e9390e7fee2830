"""Checkpoint files: reading them back into a store that may already be taking writes.

A file or block that is damaged costs itself only: what can be read is used, the file is moved aside.
"""

from __future__ import annotations

import logging
import struct
import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore import checkpoint
from ccstore.checkpoint import BLOCK, END, FRAME, HEADER, MAGIC, VERSION, decompress, unpack
from ccstore.kernels import snapshot
from ccstore.kernels.layout import BASE, HOST_KEPT
from ccstore.numbering import Numbering
from ccstore.tables import StoreTables
from ccstore.types import RestoreReport

log = logging.getLogger(__name__)

_LARGEST = 1 << 26  # bytes of a part of a block: guards against a size that is damage


class Damaged(Exception):
    """A file that is not, or not completely, a checkpoint."""


@dataclass(slots=True)
class _Block:
    meta: Mapping[str, Any]
    rows: NDArray[np.float32]


class Restorer:
    """Puts the checkpoints of a directory back."""

    def __init__(self, tables: StoreTables, lock: threading.Lock, directory: Path) -> None:
        self._tables = tables
        self._numbering = Numbering(tables)
        self._lock = lock
        self._directory = directory
        self._in_use: Collection[tuple[str, str]] | None = ()
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
        beginnings = []
        for _, path in reversed(checkpoint.checkpoints(self._directory)):
            files += 1
            whole = True
            number = journal_after(path)
            if number is not None:
                beginnings.append(number)
            try:
                for block in blocks_of(path):
                    try:
                        made, stored = self._insert(block, cutoff)
                    except (KeyError, TypeError, ValueError, IndexError) as error:
                        log.warning("%s: a block is not what it should be: %r", path, error)
                        whole = False
                        continue
                    series += made
                    samples += stored
            except (Damaged, OSError) as error:
                log.warning("%s: %s", path, error)
                whole = False
            if whole:
                # The newest whole file has everything; an older one stayed behind when it could not be
                # removed.
                break
            damaged += 1
            checkpoint.move_aside(path)
        self.journal = min(beginnings, default=0)
        return RestoreReport(files, damaged, series, samples, seconds=time.perf_counter() - started)

    def _insert(self, block: _Block, cutoff: int) -> tuple[int, int]:
        """Series made and samples stored."""
        meta = block.meta
        n, m, r = meta["series"], meta["segments"], meta["rows"]
        columns = np.empty((snapshot.COLUMNS, n), np.int64)
        for i, name in enumerate(checkpoint.COLUMNS):
            columns[i] = np.frombuffer(meta[name], "<i8")
        segments = np.empty((m, 2), np.int64)
        segments[:, 0] = np.frombuffer(meta["segment_first"], "<i8")
        segments[:, 1] = np.frombuffer(meta["segment_offset"], "<i8")
        firsts = np.frombuffer(meta["row_first"], "<i8").astype(np.int64)
        slots = int(meta["slots"])
        if len(firsts) != r or len(block.rows) != r * slots:
            raise ValueError("rows do not fit their number")
        if (
            columns[snapshot.C_SEGMENTS].sum() != m
            or columns[snapshot.C_ROWS].sum() != r
            or columns.size == 0
        ):
            raise ValueError("series do not fit their segments and rows")
        if columns[[snapshot.C_SEGMENTS, snapshot.C_ROWS]].min() < 0 or columns[snapshot.C_STEP].min() < 1:
            raise ValueError("a count is below zero or a step below one")
        self._number(meta, columns)
        progress = np.zeros(4, np.int64)
        stored = 0
        while True:
            with self._lock:
                self._tables.grow()
                stored += snapshot.insert(
                    self._tables.flat, columns, segments, firsts, block.rows, slots, cutoff - BASE, progress
                )
            if progress[0] == n:
                return int(progress[3]), int(stored)

    def _number(self, meta: Mapping[str, Any], columns: NDArray[np.int64]) -> None:
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
            t: np.array([known[t].get(name, (-1,))[0] if t >= 0 else -1 for name in names], np.int64)
            for t in set(tables)
        }
        host_of = columns[snapshot.C_HOST]
        metric_of = columns[snapshot.C_METRIC].copy()
        table_of = np.array(tables, np.int64)[host_of]
        for table, numbers in by_table.items():
            chosen = table_of == table
            columns[snapshot.C_METRIC, chosen] = numbers[metric_of[chosen]]
        columns[snapshot.C_COMPONENT] = np.array(components, np.int64)[columns[snapshot.C_COMPONENT]]
        columns[snapshot.C_HOST] = np.array(hosts, np.int64)[host_of]


def blocks_of(path: Path) -> Iterator[_Block]:
    """All good blocks of a file. Raises Damaged, after the last of them, when the file is not whole."""
    with open(path, "rb") as file:
        header = read_header(file)
        slots = header["slots"]
        trouble: str | None = None
        while True:
            at = file.tell()
            raw = file.read(FRAME.size)
            if len(raw) < FRAME.size:
                raise Damaged(trouble or f"ends at byte {at} without its end block")
            magic, stored_meta, stored_rows, meta_size, rows_size, check = FRAME.unpack(raw)
            if magic not in (BLOCK, END) or max(stored_meta, stored_rows, meta_size, rows_size) > _LARGEST:
                raise Damaged(trouble or f"no block at byte {at}")
            payload = file.read(stored_meta + stored_rows)
            if len(payload) < stored_meta + stored_rows:
                raise Damaged(trouble or f"the block at byte {at} is cut off")
            if zlib.crc32(payload, zlib.crc32(raw[:-4])) != check:
                trouble = trouble or f"wrong checksum of the block at byte {at}"
                continue
            try:
                meta = unpack(decompress(payload[:stored_meta], meta_size))
                shuffled = decompress(payload[stored_meta:], rows_size) if rows_size else b""
            except (ValueError, msgpack.exceptions.UnpackException) as error:
                trouble = trouble or f"the block at byte {at} cannot be decoded: {error}"
                continue
            if magic == END:
                if trouble:
                    raise Damaged(trouble)
                return
            rows = np.empty(len(shuffled) // 4, np.float32)
            snapshot.unshuffle(np.frombuffer(shuffled, np.uint8), rows)
            yield _Block({**meta, "slots": slots}, rows)


def journal_after(path: Path) -> int | None:
    """Number of the first journal file with messages that may not be in this checkpoint; None when its header
    cannot be read."""
    try:
        with open(path, "rb") as file:
            number = read_header(file).get("journal", 0)
    except (Damaged, OSError):
        return None
    return number if isinstance(number, int) else 0


def read_header(file: BinaryIO) -> dict[str, Any]:
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
    header = unpack(packed)
    if header.get("base") != BASE or not isinstance(header.get("slots"), int):
        raise Damaged("a checkpoint with another time base")
    return header
