from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccserver.archive.numbers import fixed, fixed_doubles, fixed_floats, shortest, text


def naive(values: list[float]) -> bytes:
    """One number after the other, the way the contract says it."""
    singles = [float(np.float32(value)) for value in values]
    return ",".join(f"{v:.2f}" if np.isfinite(v) else "null" for v in singles).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1.00"),
        (0.005, "0.00"),
        (123456789.126, "123456792.00"),
        (float("nan"), "null"),
        (float("inf"), "null"),
        (-0.004, "-0.00"),
        (0.125, "0.12"),
        (0.375, "0.38"),
        (-12.345, "-12.35"),
        (9.995, "9.99"),
        (99.999, "100.00"),
        (2.0**100, "1267650600228229401496703205376.00"),
    ],
)
def test_samples_are_rounded_to_single_precision_and_then_to_two_decimals(
    value: float, expected: str
) -> None:
    assert fixed_floats([np.array([value], dtype=np.float64)]) == [expected.encode()]


@pytest.mark.parametrize(
    ("value", "expected"), [(1.005, "1.00"), (123456789.126, "123456789.13"), (float("nan"), "null")]
)
def test_statistics_keep_double_precision(value: float, expected: str) -> None:
    assert fixed(value) == expected
    assert fixed_doubles(np.array([value])) == expected.encode()


def test_arrays_are_formatted_together_and_come_back_apart() -> None:
    arrays = [np.array([1.5, np.nan]), np.array([]), np.array([-2.0, 1000.25, 3.0], dtype=np.float32)]
    assert fixed_floats(arrays) == [b"1.50,null", b"", b"-2.00,1000.25,3.00"]
    assert fixed_floats([]) == []
    assert fixed_floats([np.array([])]) == [b""]


@given(st.lists(st.floats(width=32), max_size=30))
def test_the_block_formatter_equals_the_naive_one(values: list[float]) -> None:
    assert fixed_floats([np.array(values, dtype=np.float64)]) == [naive(values)]


@given(st.lists(st.floats(-1e5, 1e5), max_size=30), st.lists(st.floats(-1, 1), max_size=30))
def test_doubles_go_through_single_precision(first: list[float], second: list[float]) -> None:
    with np.errstate(over="ignore"):
        assert fixed_floats([np.array(first), np.array(second)]) == [naive(first), naive(second)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5.0, "5"),
        (0.1, "0.1"),
        (1e-7, "1e-7"),
        (1.5e-10, "1.5e-10"),
        (1e-6, "0.000001"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (1336.519, "1336.519"),
        (float("nan"), "0"),
    ],
)
def test_shortest(value: float, expected: str) -> None:
    assert shortest(value) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_form_reads_back(value: float) -> None:
    assert float(json.loads(shortest(value))) == value


def test_strings_cannot_end_a_script_element() -> None:
    assert text('</script>&\u2028\u2029"\\\n\x01é') == (
        '"\\u003c/script\\u003e\\u0026\\u2028\\u2029\\"\\\\\\n\\u0001é"'
    )
