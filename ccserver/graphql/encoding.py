"""Answers to JSON, in pieces.

Cost model: a kernel turns 80 million float32 numbers a second into text without the interpreter lock,
orjson 25 million with it. So longer arrays and lists are taken out of the answer, encoded some ten thousand
numbers at a time, and put back into the text where they belong; short ones stay, since taking one out costs
as much as 60 numbers. float32 values come with at least six significant digits, NaN and infinities as null.
Measured by benchmarks/graphql_arrays.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

PIECE_BYTES = 1 << 20
ARRAY_SLICE = 40_000  # numbers; at most 25 bytes each
SHORT_ARRAY = 64  # numbers
LIST_SLICE = 128  # items

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_SUBCLASS
_HOLE = orjson.Fragment(b"\0")  # never part of JSON text: inside strings the byte is escaped


class LongList(list[Any]):
    """A list that is encoded some items at a time."""


class LongArray:
    """An array that is encoded some numbers at a time."""

    __slots__ = ("array",)

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array


class Text:
    """A list whose items are text already; `pieces` are to be parted by commas."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces


def held_list(items: list[Any]) -> list[Any]:
    """`items` in the form that is encoded best."""
    return LongList(items) if len(items) > LIST_SLICE else items


def held_array(array: NDArray[Any]) -> NDArray[Any] | LongArray:
    """`array` in the form that is encoded best."""
    return LongArray(array) if array.size > SHORT_ARRAY else array


def encode(value: object) -> list[bytes]:
    """JSON text of `value`, which may contain ndarrays, in pieces of at most 1 MB.

    Raises TypeError for what JSON cannot hold.
    """
    pieces: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for part in _parts(value):
        for start in range(0, len(part), PIECE_BYTES):
            chunk = part[start : start + PIECE_BYTES] if len(part) > PIECE_BYTES else part
            if size + len(chunk) > PIECE_BYTES:
                pieces.append(b"".join(waiting))
                waiting, size = [], 0
            waiting.append(chunk)
            size += len(chunk)
    pieces.append(b"".join(waiting))
    return pieces


def _parts(value: object) -> Iterator[bytes]:
    held: list[Any] = []

    def hold(item: object) -> orjson.Fragment:
        if not isinstance(item, LongArray | LongList | Text | np.ndarray):
            raise TypeError(f"no JSON for {type(item).__name__}")
        held.append(item)
        return _HOLE

    text = orjson.dumps(value, default=hold, option=_OPTIONS)
    if not held:
        yield text
        return
    from ccstore.json_text import json_numbers  # not before: it would load the store's kernels

    before, *after = text.split(b"\0")
    yield before
    numbers = iter(json_numbers([item.array for item in held if _by_kernel(item)]))
    for item, rest in zip(held, after, strict=True):
        if isinstance(item, LongList):
            yield from _long_list(item)
        elif isinstance(item, Text):
            yield from _text(item)
        elif _by_kernel(item):
            yield from (b"[", *next(numbers), b"]")
        else:
            yield from _array(item)
        yield rest


def _by_kernel(item: object) -> bool:
    return isinstance(item, LongArray) and item.array.dtype == np.float32 and item.array.ndim == 1


def _array(held: LongArray | NDArray[Any]) -> Iterator[bytes]:
    """Arrays of any shape and strides; orjson itself takes contiguous ones."""
    array = np.ascontiguousarray(held.array if isinstance(held, LongArray) else held)
    if array.size <= ARRAY_SLICE or array.ndim != 1:
        yield orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
        return
    for start in range(0, len(array), ARRAY_SLICE):
        text = orjson.dumps(array[start : start + ARRAY_SLICE], option=orjson.OPT_SERIALIZE_NUMPY)
        yield b"," if start else b"["
        yield text[1:-1]
    yield b"]"


def _text(text: Text) -> Iterator[bytes]:
    yield b"["
    for number, piece in enumerate(text.pieces):
        if number:
            yield b","
        yield piece
    yield b"]"


def _long_list(items: LongList) -> Iterator[bytes]:
    yield b"["
    for start in range(0, len(items), LIST_SLICE):
        text = b"".join(_parts(items[start : start + LIST_SLICE]))
        if start:
            yield b","
        yield text[1:-1]
    yield b"]"
