"""Metric data of jobs and nodes as it travels between store, archive and transports."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]

SCOPES = ("node", "socket", "memoryDomain", "core", "hwthread", "accelerator")  # coarse to fine


@dataclass(frozen=True, slots=True)
class Unit:
    """`prefix` is an SI prefix ("G") or empty, `base` a unit symbol ("B/s") or empty."""

    base: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Over time, NaN-free: a series with a NaN in any of the three carries 0/0/0."""

    avg: float
    min: float
    max: float


NO_STATISTICS = Statistics(0.0, 0.0, 0.0)
"""Stands where nothing is known; `is` tells it from zeros that were measured."""


@dataclass(frozen=True, slots=True)
class Series:
    """One measured component. `data[i]` belongs to start + i * timestep; NaN where nothing was stored.

    `id` is the component's own id as text, None at node scope.
    """

    hostname: str
    data: FloatArray
    statistics: Statistics | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class StatisticsSeries:
    """Per time step over all series; None for a curve that does not exist."""

    min: FloatArray | None = None
    max: FloatArray | None = None
    median: FloatArray | None = None
    mean: FloatArray | None = None
    percentiles: dict[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobMetric:
    unit: Unit
    timestep: int
    series: list[Series]
    statistics_series: StatisticsSeries | None = None


JobData = dict[str, dict[str, JobMetric]]
"""metric name -> scope -> JobMetric"""


@dataclass(frozen=True, slots=True)
class JobStatistic:
    """Job-wide statistic of one metric, as in `meta.json`: `unit`, and avg/min/max over nodes and time."""

    unit: Unit
    avg: float
    min: float
    max: float
