"""Binary snapshots: `<from>.bin`. Source: spec/metric-store.md 11.2."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ccstore.foreign.samples import Piece, Unreadable, Values, raster_piece

MAGIC = 0xCC5B0001
_HEADER = struct.Struct("<Iqq")  # magic, from, to
_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<H")
_METRIC = struct.Struct("<qqI")  # frequency, start, number of values
_DEEPEST = 8


def read(path: Path) -> list[Piece]:
    """Everything in the file; raises Unreadable and OSError."""
    cursor = _Cursor(path.read_bytes())
    try:
        (magic, _, _) = cursor.take(_HEADER)
        if magic != MAGIC:
            raise Unreadable("wrong magic number")
        return list(_level(cursor, ()))
    except (struct.error, ValueError) as error:
        raise Unreadable(f"damaged near byte {cursor.at}: {error}") from None


def _level(cursor: _Cursor, levels: tuple[str, ...]) -> Iterator[Piece]:
    if len(levels) > _DEEPEST:
        raise Unreadable("levels are nested too deeply")
    (metrics,) = cursor.take(_COUNT)
    for _ in range(metrics):
        name = cursor.name()
        step, start, count = cursor.take(_METRIC)
        yield raster_piece(levels, name, step, start, cursor.floats(count))
    (children,) = cursor.take(_COUNT)
    for _ in range(children):
        yield from _level(cursor, (*levels, cursor.name()))


class _Cursor:
    """Takes things from the front of the data; raises struct.error or ValueError when there is not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, kind: struct.Struct) -> tuple[int, ...]:
        found = kind.unpack_from(self._data, self.at)
        self.at += kind.size
        return found

    def name(self) -> str:
        (length,) = self.take(_LENGTH)
        return self._bytes(length).decode()

    def floats(self, count: int) -> Values:
        return np.frombuffer(self._bytes(4 * count), "<f4").astype(np.float32)

    def _bytes(self, size: int) -> bytes:
        found = self._data[self.at : self.at + size]
        if len(found) < size:
            raise ValueError("the file ends early")
        self.at += size
        return found
