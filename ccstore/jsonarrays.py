"""Long number arrays in JSON documents, read by a kernel; the rest is left to a JSON library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.arrays import take_arrays

_PADDING = 8


def split_arrays(raw: bytes) -> tuple[bytes, list[NDArray[np.float64]]] | None:
    """The document with each number array replaced by `[k]`, and the arrays (null is NaN, read-only).

    Only arrays of numbers and nulls with at least one element are replaced. None where a number has more
    digits than can be read exactly: then the document is for an ordinary reader.
    """
    length = len(raw)
    values = np.empty(length // 2 + 1)
    ends = np.zeros(raw.count(b"[") + 1, np.int64)
    rest = np.empty(2 * length + 2 * _PADDING, np.uint8)
    rest_length = np.zeros(1, np.int64)
    text = np.frombuffer(raw + bytes(_PADDING), np.uint8)
    count = take_arrays(text, length, values, ends[1:], rest, rest_length)
    if count < 0:
        return None
    values.setflags(write=False)
    arrays = [values[ends[k] : ends[k + 1]] for k in range(count)]
    return rest[: rest_length[0]].tobytes(), arrays
