"""Fewer points of a series. Source: spec/metric-store.md 5; LTTB is Steinarsson 2013 with the contract's
NaN rules."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import float32_1, int64, kernel, none, part

LTTB = 0
AVERAGE = 1
SIMPLE = 2


@part
def average(values: NDArray[np.float32], every: int, out: NDArray[np.float32]) -> None:
    for i in range(out.shape[0]):
        total = 0.0
        number = 0
        for j in range(i * every, (i + 1) * every):
            v = np.float64(values[j])
            if v == v:
                total += v
                number += 1
        out[i] = np.float32(total / number if number else np.nan)


@part
def largest_triangles(values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    n = values.shape[0]
    m = out.shape[0]
    out[0] = values[0]
    out[m - 1] = values[n - 1]
    if m <= 2:
        return
    width = (n - 2) / (m - 2)
    a = 0
    low = 1
    middle = np.int64(math.floor(width)) + 1
    for i in range(m - 2):
        high = np.int64(math.floor((i + 2) * width)) + 1
        if high >= n - 1:
            high = n - 2
        # Mean of the next bucket, both borders included.
        mean_x = np.nan
        mean_y = np.nan
        if high >= middle:
            total = 0.0
            for j in range(middle, high + 1):
                total += np.float64(values[j])
            mean_x = (middle + high) / 2.0
            mean_y = total / (high - middle + 1)
        best = -1.0
        chosen = low
        y = np.float64(values[a])
        for j in range(low, middle):
            area = abs((a - j) * (mean_y - y) - (a - mean_x) * (np.float64(values[j]) - y)) / 2.0
            if area != area or area > best:
                best = area
                chosen = j
        out[i + 1] = values[chosen]
        a = chosen
        low = middle
        middle = high


@kernel(none, float32_1, int64, int64, float32_1)
def resample(values: NDArray[np.float32], every: int, algorithm: int, out: NDArray[np.float32]) -> None:
    """`out` (M points) from `values` (N >= M points), `every` = N // M points to one."""
    if algorithm == SIMPLE:
        for i in range(out.shape[0]):
            out[i] = values[i * every]
    elif algorithm == AVERAGE:
        average(values, every, out)
    else:
        largest_triangles(values, out)
