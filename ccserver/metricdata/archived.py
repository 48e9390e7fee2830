"""Metric data of archived jobs: resampled and cut to what was asked for.

Contract: spec/job-archive.md 14, spec/metric-store.md 9.4 (archived data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ccserver.metricdata.curves import STATISTICS_FROM, freeze
from ccserver.model.metrics import FloatArray, JobData, JobMetric, StatisticsSeries
from ccstore import resample
from ccstore.types import ResampleAlgorithm


@dataclass(frozen=True, slots=True)
class Resampling:
    """`resolution` in seconds per point (0: as stored); series of fewer than `minimum_points` stay."""

    resolution: int
    minimum_points: int
    algorithm: ResampleAlgorithm


def select(data: JobData, metrics: Sequence[str] | None, scopes: Sequence[str] | None) -> JobData:
    """Keeps the requested metrics, and of each the requested scopes if it has any of them, else all."""
    return {
        name: _select_scopes(found, scopes)
        for name, found in data.items()
        if metrics is None or name in metrics
    }


def resampled(data: JobData, resampling: Resampling) -> JobData:
    """A copy in which every series has the requested resolution; `data` stays as it is."""
    if resampling.resolution <= 0:
        return data
    return {
        name: {scope: _resample_metric(metric, resampling) for scope, metric in scopes.items()}
        for name, scopes in data.items()
    }


def _select_scopes(found: Mapping[str, JobMetric], scopes: Sequence[str] | None) -> dict[str, JobMetric]:
    kept = {scope: metric for scope, metric in found.items() if scopes is None or scope in scopes}
    return kept or dict(found)


def _resample_metric(metric: JobMetric, resampling: Resampling) -> JobMetric:
    if metric.timestep < 1 or resampling.resolution <= metric.timestep:
        return metric
    timesteps: set[int] = set()

    def convert(values: FloatArray) -> FloatArray:
        result, timestep = resample(
            values, metric.timestep, resampling.resolution, resampling.minimum_points, resampling.algorithm
        )
        timesteps.add(timestep)
        return result if result is values else freeze(result)

    series = [replace(one, data=convert(one.data)) for one in metric.series]
    if len(timesteps) > 1:
        # Series of one metric share a step; some are too short to be resampled, so none is.
        return metric
    if timesteps == {metric.timestep}:
        return metric
    statistics = metric.statistics_series
    if statistics is not None:
        # Recomputed from the new points where possible, so that the band encloses the curves.
        statistics = None if len(series) >= STATISTICS_FROM else _resample_statistics(statistics, convert)
    timestep = timesteps.pop() if timesteps else metric.timestep
    return JobMetric(metric.unit, timestep, series, statistics)


def _resample_statistics(
    series: StatisticsSeries, convert: Callable[[FloatArray], FloatArray]
) -> StatisticsSeries:
    def curve(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else convert(values)

    return StatisticsSeries(
        min=curve(series.min),
        max=curve(series.max),
        median=curve(series.median),
        mean=curve(series.mean),
        percentiles={key: convert(values) for key, values in series.percentiles.items()},
    )
