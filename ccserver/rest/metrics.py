"""Metric data as JSON. Source: spec/rest-api.md 2.2."""

from __future__ import annotations

from typing import Any

from ccserver.model.metrics import JobData, JobMetric, Series, StatisticsSeries, Unit


def encode_job_data(data: JobData) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        name: {scope: encode_job_metric(metric) for scope, metric in scopes.items()}
        for name, scopes in data.items()
    }


def encode_job_metric(metric: JobMetric) -> dict[str, Any]:
    """Arrays stay numpy arrays: the JSON encoder writes all the digits they have, and NaN as null."""
    encoded: dict[str, Any] = {
        "unit": encode_unit(metric.unit),
        "timestep": metric.timestep,
        "series": [_series(one) for one in metric.series],
    }
    if metric.statistics_series is not None:
        encoded["statisticsSeries"] = _statistics_series(metric.statistics_series)
    return encoded


def encode_unit(unit: Unit) -> dict[str, str]:
    return {"base": unit.base, "prefix": unit.prefix} if unit.prefix else {"base": unit.base}


def _series(series: Series) -> dict[str, Any]:
    encoded: dict[str, Any] = {"hostname": series.hostname}
    if series.id is not None:
        encoded["id"] = series.id
    statistics = series.statistics
    encoded["statistics"] = {
        "min": statistics.min if statistics else 0.0,
        "avg": statistics.avg if statistics else 0.0,
        "max": statistics.max if statistics else 0.0,
    }
    encoded["data"] = series.data
    return encoded


def _statistics_series(series: StatisticsSeries) -> dict[str, Any]:
    curves: dict[str, Any] = {
        name: getattr(series, name)
        for name in ("min", "mean", "median", "max")
        if getattr(series, name) is not None
    }
    if series.percentiles:
        curves["percentiles"] = series.percentiles
    return curves
