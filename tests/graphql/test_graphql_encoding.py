"""Answers become JSON: numbers, NaN null, no piece longer than 1 MB."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ccserver.graphql.encoding import (
    ARRAY_SLICE,
    LIST_SLICE,
    PIECE_BYTES,
    SHORT_ARRAY,
    LongList,
    encode,
    held_array,
)


def decoded(value: object) -> object:
    return json.loads(b"".join(encode(value)))


def test_plain_values_are_plain_json() -> None:
    document = {"data": {"a": [1, 2.5, "x\0y", None, True], "b": {}}}
    assert decoded(document) == document


def test_arrays_stand_where_they_stood() -> None:
    first, second = np.array([1.5, 2.0], np.float32), np.array([3, 4], np.int64)
    assert decoded({"a": [{"data": first}, 7], "b": second, "c": "end"}) == {
        "a": [{"data": [1.5, 2.0]}, 7],
        "b": [3, 4],
        "c": "end",
    }


def test_nan_and_infinities_are_null() -> None:
    assert decoded(np.array([1, np.nan, np.inf, -np.inf], np.float32)) == [1, None, None, None]


@given(arrays(np.float32, st.integers(0, 2 * SHORT_ARRAY), elements=st.floats(width=32, allow_nan=False)))
def test_float32_values_keep_six_digits_and_two_decimals(values: np.ndarray) -> None:
    read = decoded(held_array(values))
    assert isinstance(read, list)
    for got, value in zip(read, values.tolist(), strict=True):
        if math.isinf(value):
            assert got is None
        else:
            assert abs(got - value) <= max(0.005, 0.5e-5 * abs(value))


@pytest.mark.parametrize("length", [0, 1, ARRAY_SLICE - 1, ARRAY_SLICE, ARRAY_SLICE + 1, 3 * ARRAY_SLICE])
def test_long_arrays_are_whole(length: int) -> None:
    values = np.arange(length, dtype=np.float64) / 7
    assert decoded({"data": held_array(values)}) == {"data": values.tolist()}


@pytest.mark.parametrize("length", [0, 1, LIST_SLICE, LIST_SLICE + 1, 5 * LIST_SLICE])
def test_long_lists_are_whole(length: int) -> None:
    items = LongList({"n": n, "data": held_array(np.array([n, np.nan]))} for n in range(length))
    assert decoded([items, 1]) == [[{"n": n, "data": [n, None]} for n in range(length)], 1]


def test_long_lists_may_hold_long_lists() -> None:
    items = LongList(LongList([n] * (LIST_SLICE + n)) for n in range(3))
    assert decoded(items) == [[n] * (LIST_SLICE + n) for n in range(3)]


def test_arrays_with_gaps_between_their_numbers() -> None:
    values = np.arange(1000, dtype=np.float32)[::3]
    for some in (values[:4], values):
        assert decoded(held_array(some)) == some.tolist()


def test_no_piece_is_longer_than_a_megabyte() -> None:
    document = {
        "a": [held_array(np.random.default_rng(1).random(ARRAY_SLICE * 4)) for _ in range(2)],
        "text": "x" * (2 * PIECE_BYTES),
    }
    pieces = encode(document)
    assert len(pieces) > 2
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)
    assert len(json.loads(b"".join(pieces))["a"][1]) == ARRAY_SLICE * 4


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError):
        encode({"data": object()})
