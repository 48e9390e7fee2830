"""Arrays of numbers as JSON, without the interpreter lock.

Cost model: 9 ns a number in the kernel, 2 us a call for up to PIECE numbers.
Contract: spec/metric-store.md 4.4, 4.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import text

PIECE = 32_000  # numbers; not more than 1 MB of text even if each took ROOM bytes


def json_numbers(arrays: Sequence[NDArray[Any]]) -> list[list[bytes]]:
    """For each one-dimensional array the text that stands between the brackets of its JSON array.

    float32 values come with at least two decimals and six significant digits, wider types are rounded to
    float32 first; NaN and infinities are `null`. A text comes in pieces of at most 1 MB that belong together
    as they are; that of an empty array has none.
    """
    numbers = max(map(len, arrays), default=0)
    room = min(PIECE, sum(map(len, arrays)) if numbers < PIECE else PIECE)
    buffers = _Buffers(room)
    texts: list[list[bytes]] = []
    group: list[NDArray[Any]] = []
    size = 0
    for array in arrays:
        if size + len(array) > PIECE:
            texts += buffers.texts(group, size)
            group, size = [], 0
        if len(array) > PIECE:
            texts.append(list(_pieces(buffers, array)))
            continue
        group.append(array)
        size += len(array)
    return texts + buffers.texts(group, size)


def _pieces(buffers: _Buffers, array: NDArray[Any]) -> Iterator[bytes]:
    for start in range(0, len(array), PIECE):
        part = array[start : start + PIECE]
        ((piece,),) = buffers.texts([part], len(part))
        yield piece if start + PIECE >= len(array) else piece + b","


class _Buffers:
    """What the kernel works in, for one request."""

    def __init__(self, room: int) -> None:
        self._values = np.empty(room, np.float32)
        self._text = np.empty((room + 1) * text.ROOM, np.uint8)
        self._digits = np.empty(text.DIGITS_SIZE, np.uint64)
        self._whole = np.zeros(text.DIGITS_SIZE, np.uint32)

    def texts(self, arrays: Sequence[NDArray[Any]], size: int) -> list[list[bytes]]:
        if not arrays:
            return []
        values = self._values[:size]
        with np.errstate(over="ignore"):  # beyond float32: infinite, null
            np.concatenate(arrays, out=values, casting="same_kind")
        ends = np.cumsum(np.fromiter(map(len, arrays), np.int64, len(arrays)))
        text_ends = np.empty(len(arrays), np.int64)
        text.json_numbers(
            values, values.view(np.uint32), ends, self._text, text_ends, self._digits, self._whole
        )
        written = self._text[: int(text_ends[-1])].tobytes()
        found: list[list[bytes]] = []
        begin = 0
        for end in text_ends.tolist():
            found.append([written[begin : end - 1]] if end > begin else [])
            begin = end
        return found
