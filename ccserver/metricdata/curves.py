"""Curves computed from curves: the statistics over many series, sums per node.

Contract: spec/metric-store.md 9.4, spec/job-archive.md 14.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ccserver.metricdata.scopes import coarsest
from ccserver.model.metrics import (
    NO_STATISTICS,
    FloatArray,
    JobData,
    JobMetric,
    Series,
    Statistics,
    StatisticsSeries,
)
from ccserver.model.rounding import round2

STATISTICS_FROM = 8  # series; fewer are drawn one by one
_VALUES_AT_LEAST = 3  # per point
NODE_SUMS = ("flops_any", "mem_bw")


def statistics_series(series: Sequence[Series]) -> StatisticsSeries:
    """Minimum, median and maximum per point over the values present.

    NaN where fewer than three series have a value, and beyond the end of the shortest series.
    """
    lengths = [len(one.data) for one in series]
    shortest, longest = min(lengths), max(lengths)
    points = np.ascontiguousarray(np.array([one.data[:shortest] for one in series]).T)
    points.sort(axis=1)  # NaN goes last
    present = len(series) - np.isnan(points).sum(axis=1)
    rows = np.arange(shortest)
    last = np.maximum(present - 1, 0)
    middle = points[rows, last // 2].astype(np.float64) + points[rows, (last + 1) // 2]
    enough = present >= _VALUES_AT_LEAST

    def curve(values: FloatArray) -> FloatArray:
        result = np.full(longest, np.nan, dtype=points.dtype)
        result[:shortest] = np.where(enough, values, np.nan)
        return _frozen(result)

    return StatisticsSeries(
        min=curve(points[:, 0] if shortest else points[:, :1].reshape(0)),
        median=curve(middle / 2),
        max=curve(points[rows, last]),
    )


def with_statistics_series(metric: JobMetric) -> JobMetric:
    """Adds the statistics of many series where there are none yet."""
    if metric.statistics_series is not None or len(metric.series) < STATISTICS_FROM:
        return metric
    return replace(metric, statistics_series=statistics_series(metric.series))


def with_node_sums(scopes: Mapping[str, JobMetric]) -> dict[str, JobMetric]:
    """Adds node scope, summed per host from the coarsest scope present, where there is none yet."""
    if not scopes or "node" in scopes:
        return dict(scopes)
    metric = scopes[coarsest(scopes)]
    by_host: dict[str, list[Series]] = {}
    for series in metric.series:
        by_host.setdefault(series.hostname, []).append(series)
    sums = [_node_sum(host, parts) for host, parts in by_host.items()]
    return {"node": JobMetric(metric.unit, metric.timestep, sums), **scopes}


def finish(data: Mapping[str, Mapping[str, JobMetric]], node_wanted: bool) -> JobData:
    """What every answer goes through: node sums, statistics of many series, two decimals."""
    finished: JobData = {}
    for name, scopes in data.items():
        kept = {scope: metric for scope, metric in scopes.items() if metric.series}
        if node_wanted and name in NODE_SUMS:
            kept = with_node_sums(kept)
        if kept:
            finished[name] = {
                scope: _rounded(with_statistics_series(metric)) for scope, metric in kept.items()
            }
    return finished


def rounded(statistics: Statistics) -> Statistics:
    return Statistics(round2(statistics.avg), round2(statistics.min), round2(statistics.max))


def points_of(data: JobData) -> int:
    """How many numbers the arrays hold."""
    return sum(
        sum(len(series.data) for series in metric.series) + _points_of(metric.statistics_series)
        for scopes in data.values()
        for metric in scopes.values()
    )


def freeze(array: FloatArray) -> FloatArray:
    """The array, read-only: answers are cached and shared between requests."""
    return _frozen(array)


def _frozen(array: FloatArray) -> FloatArray:
    array.setflags(write=False)
    return array


def _points_of(series: StatisticsSeries | None) -> int:
    if series is None:
        return 0
    curves: Iterable[FloatArray | None] = (
        series.min, series.max, series.median, series.mean, *series.percentiles.values(),
    )  # fmt: skip
    return sum(len(curve) for curve in curves if curve is not None)


def _rounded(metric: JobMetric) -> JobMetric:
    return replace(
        metric,
        series=[
            replace(series, statistics=rounded(series.statistics or NO_STATISTICS))
            for series in metric.series
        ],
    )


def _node_sum(host: str, parts: Sequence[Series]) -> Series:
    lengths = [len(part.data) for part in parts]
    shortest = min(lengths)
    total = np.full(max(lengths), np.nan, dtype=parts[0].data.dtype)
    total[:shortest] = np.sum([part.data[:shortest] for part in parts], axis=0, dtype=np.float64)
    statistics = [part.statistics or NO_STATISTICS for part in parts]
    return Series(
        hostname=host,
        data=_frozen(total),
        statistics=Statistics(
            avg=sum(one.avg for one in statistics) / len(statistics),
            min=min(one.min for one in statistics),
            max=max(one.max for one in statistics),
        ),
    )
