"""Data that crosses the border of the store: metric table, queries, answers, reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Aggregation = Literal["sum", "avg", ""]
ResampleAlgorithm = Literal["", "lttb", "average", "simple"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a cluster's metric table.

    `frequency` is the step in whole seconds (>= 1), `aggregation` says how components combine (empty: they
    do not), `scope` is the level at which the metric is measured. Contract: spec/metric-store.md 3.2.
    """

    name: str
    frequency: int
    aggregation: Aggregation = ""
    scope: str = "node"

    def __post_init__(self) -> None:
        if self.frequency < 1:
            raise ValueError(f"metric {self.name!r}: the step must be at least 1 s, not {self.frequency}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A bad line of a message: 1-based line number, reason code, at most 120 characters of the line."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What became of one message: `lines == stored + sum(dropped) + rejected_total`, always."""

    lines: int
    stored: int
    dropped: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    rejected_total: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """One row of a request: which series of `metric`, and in what form. Contract: spec/metric-store.md 4, 6.1.

    `host` alone reads the host level (descending to components when the host has no such metric); with `type`
    and `type_ids` one result per id, or all of them combined when `aggregate` is set.
    `resolution` is seconds per point (0: the native step), `scale_by` multiplies data and statistics (0: as is).
    """

    metric: str
    host: str
    type: str = ""
    type_ids: tuple[str, ...] = ()
    subtype: str = ""
    subtype_ids: tuple[str, ...] = ()
    aggregate: bool = False
    resolution: int = 0
    scale_by: float = 0.0


@dataclass(slots=True)
class SeriesResult:
    """One series of an answer.

    `data` is float32 or float64 with NaN for "nothing stored", point i belonging to `start + i * resolution`
    (unix seconds); None when data was not asked for. `avg`, `min`, `max` are over the native samples in range,
    NaN when there are none. `id` names the component (None at host level and for aggregates).
    """

    start: int
    to: int
    resolution: int
    data: NDArray[np.float32] | NDArray[np.float64] | None
    avg: float
    min: float
    max: float
    id: str | None = None
    subid: str | None = None
    error: str | None = None
