"""Numbers as JSON text: spec/metric-store.md 4.4, 4.6."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore.json_text import PIECE, json_numbers, json_pieces
from ccstore.kernels import text
from tests import naive

_SINGLES = st.floats(width=32)
_FAST = st.floats(2.0**-6, 2.0**26, width=32, exclude_max=True)


def one_text(values: list[float]) -> str:
    return b"".join(json_pieces([b"", b""], [np.array(values, np.float32)])).decode()


@given(st.lists(_SINGLES, min_size=1, max_size=600))
def test_every_number_reads_back_with_six_significant_digits(values: list[float]) -> None:
    for value, read in zip(values, json.loads(f"[{one_text(values)}]"), strict=True):
        if math.isfinite(value):
            assert isinstance(read, float)
            # 1e-46: below every float32, where these themselves have fewer digits
            assert abs(read - value) <= 5.3e-7 * abs(value) + 1e-46
        else:
            assert read is None


@given(st.lists(st.one_of(_FAST, _FAST.map(lambda v: -v)), min_size=1, max_size=50))
def test_numbers_are_written_as_the_plain_twin_does(values: list[float]) -> None:
    assert one_text(values).split(",") == [naive.json_number(v) for v in values]


@given(st.integers(-999_999, 999_999), st.integers(-3, 15))
def test_numbers_of_six_digits_come_out_as_they_came_in(digits: int, places: int) -> None:
    value = float(np.float32(digits / 10.0**places))
    if 1e-10 <= abs(value) < 131072 or value == 0.0:
        assert float(one_text([value])) == pytest.approx(digits / 10.0**places, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (12, "12.0"),
        (-5.168, "-5.168"),
        (0.005, "0.005"),
        (0.99999999, "1.0"),
        (123456.78, "123456.78"),
        (16777216, "16777216.0"),
        (64e9, "64000000000.0"),
        (1e-20, "9.99999968e-21"),
        (1.2345678e-7, "0.0000001234568"),
        (3.4028235e38, "3.40282347e+38"),
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
    ],
)
def test_single_numbers(value: float, expected: str) -> None:
    assert one_text([value]) == expected


def test_whole_numbers_are_exact() -> None:
    values = [float(np.float32(v)) for v in (2**24 + 2, 2**26, 10**8, 10**12 + 7, 9.99e15)]
    assert [float(v) for v in one_text(values).split(",")] == values


def test_texts_stand_between_the_arrays() -> None:
    arrays = [np.array([1, 2], np.float32), np.empty(0, np.float32), np.array([0.1, 1e300])[::-1]]
    assert b"".join(json_pieces([b"[[", b"],[", b"],[", b"]]"], arrays)) == b"[[1.0,2.0],[],[null,0.1]]"
    assert b"".join(json_pieces([b"{}"], [])) == b"{}"
    assert b"".join(json_pieces([], [])) == b""


@given(st.lists(st.tuples(st.binary(max_size=9), st.lists(st.integers(-99, 99), max_size=9)), max_size=20))
def test_many_short_texts_and_arrays(parts: list[tuple[bytes, list[int]]]) -> None:
    got = b"".join(
        json_pieces([text for text, _ in parts] + [b"end"], [np.array(a, np.float32) for _, a in parts])
    )
    expected = b"".join(text + b",".join(b"%d.0" % one for one in array) for text, array in parts)
    assert got == expected + b"end"


def test_long_arrays_and_texts_come_in_pieces_of_at_most_a_megabyte() -> None:
    widest = -1.2345678e-9
    arrays = [np.full(3 * PIECE + 5, widest, np.float32), np.arange(PIECE, dtype=np.float32)]
    texts = [b"[" + b" " * (3 << 20) + b"[", b"],[", b"]" + b" " * (1 << 18) + b"]"]
    pieces = list(json_pieces(texts, arrays))
    assert len(pieces) > 15
    assert max(map(len, pieces)) <= 1 << 20
    assert b"".join(pieces).startswith(texts[0])
    assert b"".join(pieces).endswith(texts[2])
    first, second = json.loads(b"".join(pieces))
    assert len(first) == len(arrays[0])
    assert second == arrays[1].tolist()
    assert max(len(one_text([v])) for v in (widest, -9.8765432e15, -1.2345678e-38)) < text.ROOM - 8


def test_texts_of_single_arrays() -> None:
    long = np.arange(2 * PIECE + 5, dtype=np.float32)
    texts = json_numbers([np.array([1, 2], np.float32), np.empty(0), long, np.array([0.1, 1e300])[::-1]])
    assert [b"".join(pieces) for pieces in texts[:2]] == [b"1.0,2.0", b""]
    assert json.loads(b"[" + b"".join(texts[2]) + b"]") == long.tolist()
    assert b"".join(texts[3]) == b"null,0.1"
    assert json_numbers([]) == []
