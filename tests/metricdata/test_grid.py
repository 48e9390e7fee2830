"""The grid of a metric against a twin that takes point by point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccserver.metricdata import grid as module
from ccserver.metricdata.grid import column_means, grid
from ccserver.model.metrics import JobMetric, Series, Unit

NAN = float("nan")


def series(host: str, values: list[float], id: str | None = None) -> Series:
    return Series(host, np.array(values, np.float32), None, id)


def naive(curves: list[list[float]], points: int, width: int) -> list[list[float]]:
    rows = []
    for curve in curves:
        row = []
        for start in range(0, points, width):
            known = [value for value in curve[start : start + width] if value == value]
            row.append(sum(known) / len(known) if known else NAN)
        rows.append(row)
    return rows


CURVES = st.lists(
    st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6, width=32)), max_size=40), min_size=1, max_size=12
)


@given(CURVES, st.integers(1, 50))
def test_means_are_those_of_the_twin(curves: list[list[float]], width: int) -> None:
    points = max(map(len, curves))
    found = column_means([np.array(curve, np.float32) for curve in curves], points, width)
    assert found.shape == (len(curves), math.ceil(points / width))
    for got, expected in zip(found.tolist(), naive(curves, points, width), strict=True):
        assert got == pytest.approx(expected, rel=1e-5, abs=1e-2, nan_ok=True)


def test_rows_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = [[float(row + point) for point in range(7)] for row in range(11)]
    whole = column_means([np.array(curve, np.float32) for curve in curves], 7, 3)
    monkeypatch.setattr(module, "_AT_ONCE", 20)
    parts = column_means([np.array(curve, np.float32) for curve in curves], 7, 3)
    assert parts.tolist() == whole.tolist() == naive(curves, 7, 3)


def test_columns_have_one_length_and_gaps_stay_gaps() -> None:
    metric = JobMetric(Unit(), 60, [series("a", [1, 3, NAN, NAN, 5]), series("b", [2, 2])])
    found = grid(metric, 3)
    assert (found.rows, found.step) == (["a", "b"], 120)
    assert np.array_equal(found.values, np.array([[2, NAN, 5], [2, NAN, NAN]]), equal_nan=True)


def test_rows_are_named_by_what_tells_them_apart() -> None:
    assert grid(JobMetric(Unit(), 1, [series("a", [1], "0"), series("a", [1], "1")]), 1).rows == ["0", "1"]
    assert grid(JobMetric(Unit(), 1, [series("a", [1], "0"), series("b", [1], "0")]), 1).rows == [
        "a 0",
        "b 0",
    ]
    empty = grid(JobMetric(Unit(), 60, []), 10)
    assert (empty.rows, empty.values.shape) == ([], (0, 0))


def test_many_rows_take_fewer_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", 40)
    metric = JobMetric(Unit(), 60, [series(f"n{row}", [1.0] * 100) for row in range(10)])
    found = grid(metric, 100)
    assert found.values.shape == (10, 4)
    assert found.step == 25 * 60
