"""JSON text with arrays of numbers in it, without the interpreter lock.

Cost model: 9 ns a number, 50 ns a text between arrays, one copy of what comes out.
Contract: spec/metric-store.md 4.4, 4.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import text

PIECE = 16_384  # numbers
_LONGEST_TEXT = 1 << 18  # bytes between two arrays, in one piece
_NOTHING = np.empty(0, np.float32)


def json_pieces(texts: Iterable[bytes], arrays: Sequence[NDArray[Any]]) -> Iterator[bytes]:
    """The first text, the numbers of the first array with commas between them, the second text, and so on;
    after the last array comes the last text. In pieces of at most 1 MB.

    Arrays have one dimension. float32 values come with at least two decimals and six significant digits,
    wider types are rounded to float32 first; NaN and infinities are `null`. An empty
    array leaves no trace.
    """
    buffers = _Buffers(min(PIECE, sum(map(len, arrays))))
    waiting = iter(arrays)
    for part in texts:
        array = next(waiting, _NOTHING)
        rest = (len(part) - 1) // _LONGEST_TEXT * _LONGEST_TEXT if part else 0
        for start in range(0, rest, _LONGEST_TEXT):
            yield from buffers.add(part[start : start + _LONGEST_TEXT], _NOTHING)
        yield from buffers.add(part[rest:], array[:PIECE])
        for start in range(PIECE, len(array), PIECE):
            yield from buffers.add(b",", array[start : start + PIECE])
    yield from buffers.flush()


def json_numbers(arrays: Sequence[NDArray[Any]]) -> list[list[bytes]]:
    """For each array what `json_pieces` writes for it; the pieces of one belong together as they are, an
    empty array has none."""
    buffers = _Buffers(min(PIECE, sum(map(len, arrays))))
    texts: list[list[bytes]] = []
    for array in arrays:
        if not buffers.has_room(len(array)):
            texts += buffers.texts()
        if len(array) <= PIECE:
            buffers.hold(b"", array)
            continue
        texts.append(list(json_pieces((b"",), (array,))))
    return texts + buffers.texts()


class _Buffers:
    """What the kernel works in, and what waits for it."""

    def __init__(self, room: int) -> None:
        self._values = np.empty(room, np.float32)
        self._text = np.empty(room * text.ROOM + _LONGEST_TEXT, np.uint8)
        self._digits = np.empty(text.DIGITS_SIZE, np.uint64)
        self._whole = np.zeros(text.DIGITS_SIZE, np.uint32)
        self._parts: list[bytes] = []
        self._arrays: list[NDArray[Any]] = []
        self._numbers = self._bytes = 0

    def has_room(self, numbers: int, size: int = 0) -> bool:
        return self._numbers + numbers <= len(self._values) and self._bytes + size <= _LONGEST_TEXT

    def hold(self, part: bytes, array: NDArray[Any]) -> None:
        self._parts.append(part)
        self._arrays.append(array)
        self._numbers += len(array)
        self._bytes += len(part)

    def add(self, part: bytes, array: NDArray[Any]) -> Iterator[bytes]:
        if not self.has_room(len(array), len(part)):
            yield from self.flush()
        self.hold(part, array)

    def flush(self) -> Iterator[bytes]:
        """What was held as one piece, if there is anything."""
        if self._parts:
            size, _ = self._write()
            yield self._text[:size].tobytes()

    def texts(self) -> list[list[bytes]]:
        """The numbers of each array held."""
        if not self._parts:
            return []
        size, spans = self._write()
        written = self._text[:size].data
        places = iter(spans.tolist())
        return [
            [bytes(written[begin:end])] if end > begin else []
            for begin, end in zip(places, places, strict=True)
        ]

    def _write(self) -> tuple[int, NDArray[np.int64]]:
        """Length of the text, and where in it the numbers of each array begin and end."""
        values = self._values[: self._numbers]
        with np.errstate(over="ignore"):  # beyond float32: infinite, null
            np.concatenate(self._arrays, out=values, casting="same_kind")
        spans = np.empty(2 * len(self._arrays), np.int64)
        size = text.json_numbers(
            values,
            values.view(np.uint32),
            _ends(self._arrays),
            np.frombuffer(b"".join(self._parts), np.uint8),
            _ends(self._parts),
            self._text,
            spans,
            self._digits,
            self._whole,
        )
        self._parts, self._arrays = [], []
        self._numbers = self._bytes = 0
        return size, spans


def _ends(parts: Sequence[Any]) -> NDArray[np.int64]:
    return np.fromiter(accumulate(map(len, parts)), np.int64, len(parts))
