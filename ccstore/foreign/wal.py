"""Write-ahead logs: `current.wal`. Source: spec/metric-store.md 11.2."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ccstore.foreign.samples import Piece, Unreadable

FILE_MAGIC = 0xCC1DA701
RECORD_MAGIC = 0xCC1DA7A1
_U32 = struct.Struct("<I")
_RECORD = struct.Struct("<II")  # magic, size of the payload
_TIME = struct.Struct("<qH")  # time, size of the metric's name
_VALUE = struct.Struct("<f")
_LARGEST = 1 << 20  # bytes of a payload

Record = tuple[int, str, tuple[str, ...], float]
"""Time, metric, levels, value."""


def read(path: Path) -> tuple[list[Piece], str]:
    """Pieces with step 0, and what ended the file early ("": nothing). Raises OSError.

    Of several records for one time the last counts.
    """
    series: dict[tuple[tuple[str, ...], str], dict[int, float]] = {}
    trouble = ""
    try:
        for time, metric, levels, value in _records(path.read_bytes()):
            if math.isfinite(value):
                series.setdefault((levels, metric), {})[time] = value
    except Unreadable as error:
        trouble = str(error)
    pieces = []
    for (levels, metric), samples in series.items():
        ordered = sorted(samples.items())
        times = np.array([time for time, _ in ordered], np.int64)
        values = np.array([value for _, value in ordered], np.float32)
        pieces.append(Piece(levels, metric, 0, times, values))
    return pieces, trouble


def _records(data: bytes) -> Iterator[Record]:
    """All records up to the first bad one, for which Unreadable is raised."""
    at = _U32.size
    if data[:at] != _U32.pack(FILE_MAGIC):
        raise Unreadable("wrong magic number")
    while at < len(data):
        try:
            magic, size = _RECORD.unpack_from(data, at)
            if magic != RECORD_MAGIC or size > _LARGEST:
                raise Unreadable(f"no record at byte {at}")
            begin = at + _RECORD.size
            payload = data[begin : begin + size]
            (check,) = _U32.unpack_from(data, begin + size)
            if check != zlib.crc32(payload):
                raise Unreadable(f"a record with a wrong checksum at byte {at}")
            record = _record(payload)
        except (struct.error, IndexError, UnicodeDecodeError):
            raise Unreadable(f"a torn record at byte {at}") from None
        yield record
        at = begin + size + _U32.size


def _record(payload: bytes) -> Record:
    time, length = _TIME.unpack_from(payload, 0)
    at = _TIME.size
    metric = payload[at : at + length].decode()
    at += length
    count = payload[at]
    at += 1
    levels = []
    for _ in range(count):
        length = payload[at]
        levels.append(payload[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (value,) = _VALUE.unpack_from(payload, at)
    return time, metric, tuple(levels), value
