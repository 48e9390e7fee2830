"""Numbers as archive files spell them. Contract: spec/job-archive.md 5.

Cost: a block of float32 values takes 80 ns a value (a dozen numpy passes over it); one `%.2f` at a time takes
500 ns. An archived job has 10^5 to 10^7 values.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NULL = np.frombuffer(b"null", dtype=np.uint8)
_LARGEST_IN_INT64 = 9e16
_HTML = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def text(value: str) -> str:
    """A JSON string; what would be markup inside HTML is escaped."""
    return json.dumps(value, ensure_ascii=False).translate(_HTML)


def fixed(value: float) -> str:
    """Two decimals of a double, correctly rounded; null for what JSON cannot say."""
    return f"{value:.2f}" if math.isfinite(value) else "null"


def shortest(value: float) -> str:
    """The shortest decimal that reads back as `value`: `5`, `0.1`, `1e-7`, `1e+21`; NaN becomes 0."""
    if not math.isfinite(value):
        return "0"
    magnitude = abs(value)
    if magnitude != 0 and (magnitude < 1e-6 or magnitude >= 1e21):
        mantissa, _, exponent = np.format_float_scientific(value, unique=True, trim="-").partition("e")
        return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
    return np.format_float_positional(value, unique=True, trim="-")


def fixed_doubles(values: NDArray[np.float64] | NDArray[np.float32]) -> bytes:
    """`fixed` of each value, separated by commas."""
    return ",".join(map(fixed, values.tolist())).encode()


def fixed_floats(arrays: Sequence[NDArray[np.float32] | NDArray[np.float64]]) -> list[bytes]:
    """Each array rounded to float32 and printed with two decimals, separated by commas; NaN becomes null.

    All arrays are formatted in one pass: jobs consist of many short ones.
    """
    with np.errstate(over="ignore"):
        singles = [np.empty(0, np.float32), *(array.astype(np.float32, copy=False) for array in arrays)]
        spelled, ends = _format(np.concatenate(singles).astype(np.float64))
    bounds = np.concatenate([[0], np.cumsum([len(array) for array in arrays], dtype=np.int64)])
    begins = np.concatenate([[0], ends])
    return [
        bytes(spelled[begins[low] : max(begins[low], begins[high] - 1)])
        for low, high in itertools.pairwise(bounds)
    ]


def _format(values: NDArray[np.float64]) -> tuple[memoryview, NDArray[np.int64]]:
    """The text of all values, each followed by a comma, and the offset behind each comma.

    `values` are float32 numbers: 24 bits times 100 (7 bits) is exact in a double, so that rounding it to an
    integer rounds the decimal expansion correctly (halves to even).
    """
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        small = known & (np.abs(values) < _LARGEST_IN_INT64)
    cents = np.rint(np.abs(np.where(small, values, 0.0)) * 100).astype(np.int64)
    negative = np.signbit(values) & small
    digits = np.full(len(values), 3, dtype=np.int64)
    power = 1000
    largest = int(cents.max(initial=0))
    while power <= largest:
        digits += cents >= power
        power *= 10
    lengths = np.where(small, digits + 1 + negative, len(_NULL))
    odd = {int(i): f"{values[i]:.2f}".encode() for i in np.flatnonzero(known & ~small)}
    for index, spelled in odd.items():
        lengths[index] = len(spelled)
    ends = np.cumsum(lengths + 1)
    out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    out[ends - 1] = ord(",")
    begins = ends - 1 - lengths
    for offset, character in enumerate(_NULL):
        out[begins[~known] + offset] = character
    for index, spelled in odd.items():
        out[begins[index] : begins[index] + len(spelled)] = np.frombuffer(spelled, dtype=np.uint8)
    out[begins[negative]] = ord("-")
    last = ends[small] - 2
    out[last - 2] = ord(".")
    left, wide = cents[small], digits[small]
    for place in range(int(wide.max(initial=0))):
        if place >= 3:
            more = wide > place
            left, wide, last = left[more], wide[more], last[more]
        tens = left // 10
        out[last - place - (place >= 2)] = (left - tens * 10) + ord("0")
        left = tens
    return memoryview(out.data), ends
