"""A metric of a job as a grid: a row per component, a column per span of time. Source: spec/web-ui.md 5.11.

Cost model: 1000 nodes and a day in steps of a minute are 1.4 million numbers, added up in 10 ms; a
block of rows at a time, so that memory does not grow with the job. What is answered holds at most
`MOST_VALUES` numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.model.metrics import FloatArray, JobMetric

MOST_VALUES = 1_000_000
_AT_ONCE = 1_000_000  # numbers


@dataclass(frozen=True, slots=True)
class Grid:
    """`values[r, c]` is the mean of row `r` from `c * step` seconds after the start on, NaN without data."""

    rows: list[str]
    step: int
    values: NDArray[np.float32]


def grid(metric: JobMetric, columns: int) -> Grid:
    """At most `columns` columns of equal length; fewer where there are more rows than an answer can hold.

    A row is named by its host, by its id where all are of one host, else by both.
    """
    several = len({series.hostname for series in metric.series}) > 1
    rows = [
        series.hostname if series.id is None else f"{series.hostname} {series.id}" if several else series.id
        for series in metric.series
    ]
    fitting = max(1, min(columns, MOST_VALUES // max(len(rows), 1)))
    points = max((len(series.data) for series in metric.series), default=0)
    width = max(1, math.ceil(points / fitting))
    values = column_means([series.data for series in metric.series], points, width)
    return Grid(rows, width * metric.timestep, values)


def column_means(curves: Sequence[FloatArray], points: int, width: int) -> NDArray[np.float32]:
    """Means of every `width` points without NaN; shape (curves, ceil(points / width)), float32.

    A curve may be shorter than `points`; what it lacks at its end is unknown.
    """
    columns = math.ceil(points / width)
    means = np.full((len(curves), columns), np.nan, np.float32)
    rows = max(1, _AT_ONCE // max(columns * width, 1))
    for first in range(0, len(curves), rows):
        some = curves[first : first + rows]
        block = np.full((len(some), columns * width), np.nan, np.float64)
        for row, curve in zip(block, some, strict=True):
            row[: len(curve)] = curve
        spans = block.reshape(len(some), columns, width)
        known = ~np.isnan(spans)
        counts = known.sum(axis=2)
        sums = np.where(known, spans, 0).sum(axis=2)
        np.divide(sums, counts, out=means[first : first + rows], where=counts > 0, casting="same_kind")
    return means
