"""Fewer points of a series that somebody else holds. Source: spec/metric-store.md 5."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.read import ALGORITHMS, resampled
from ccstore.types import ResampleAlgorithm


def resample(
    values: NDArray[np.float32] | NDArray[np.float64],
    step: int,
    resolution: int,
    minimum_points: int = 1000,
    algorithm: ResampleAlgorithm = "",
) -> tuple[NDArray[np.float32] | NDArray[np.float64], int]:
    """The points at `resolution` seconds each, or at the next larger multiple of `step`, and that resolution.

    `values` itself comes back, with `step`, where nothing is to be done: `resolution` not above `step`, or
    fewer than `minimum_points`, or none would be left. What is resampled is float32.
    """
    singles = np.ascontiguousarray(values, dtype=np.float32)
    points, every = resampled(singles, step, resolution, ALGORITHMS[algorithm], minimum_points)
    return (values, step) if every == step else (points, every)
