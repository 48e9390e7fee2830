"""Fewer points: spec/metric-store.md 5."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore.kernels import resampling
from ccstore.read import resampled
from tests import naive

ALGORITHMS = {"lttb": resampling.LTTB, "average": resampling.AVERAGE, "simple": resampling.SIMPLE}


def test_golden_vectors(fixtures: Path) -> None:
    vectors = json.loads((fixtures / "metric-store/resampler/resampler-golden.json").read_text())
    checked = 0
    for vector in vectors:
        if vector.get("error"):
            continue  # a resolution that is no multiple of the step is an error in the reference only
        data = np.array([math.nan if v is None else v for v in vector["input"]], np.float32)
        got, resolution = resampled(
            data,
            vector["old_frequency"],
            vector["new_frequency"],
            ALGORITHMS[vector["algo"] or "lttb"],
            vector["minimum_points"],
        )
        expected = np.array([math.nan if v is None else v for v in vector["output"]])
        assert resolution == vector["resolution"], vector["name"]
        np.testing.assert_allclose(got, expected, atol=0.00051, rtol=1e-6, err_msg=vector["name"])
        checked += 1
    assert checked > 40


_VALUES = st.lists(st.one_of(st.just(math.nan), st.floats(-1e3, 1e3, width=32)), min_size=3, max_size=200)


@given(_VALUES, st.integers(2, 20))
def test_lttb_is_its_description(values: list[float], every: int) -> None:
    got, _ = resampled(np.array(values, np.float32), 1, every, resampling.LTTB, 1)
    points = len(values) // every
    expected = values if points == 0 else naive.largest_triangles(values, max(points, 2))
    np.testing.assert_array_equal(got, np.array(expected, np.float32))


@given(_VALUES, st.integers(2, 20))
def test_average_is_the_mean_of_what_is_there(values: list[float], every: int) -> None:
    if len(values) // every:
        got, _ = resampled(np.array(values, np.float32), 1, every, resampling.AVERAGE, 1)
        np.testing.assert_allclose(got, naive.average(values, every), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "used"), [(0, 60), (60, 60), (30, 60), (61, 120), (90, 120), (120, 120), (179, 180)]
)
def test_the_resolution_used_is_the_next_multiple(asked: int, used: int) -> None:
    data = np.arange(100, dtype=np.float32)
    assert resampled(data, 60, asked, resampling.SIMPLE, 10)[1] == used


def test_short_series_stay_as_they_are() -> None:
    data = np.arange(100, dtype=np.float32)
    assert resampled(data, 60, 600, resampling.LTTB, 101) == (data, 60)
    assert resampled(data, 60, 60 * 101, resampling.LTTB, 10) == (data, 60)
