"""Footprints and roofline over many jobs, for the analysis view. Contract: spec/graphql.md 11."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from graphql import GraphQLError
from numpy.typing import NDArray
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import JobFilter
from ccserver.graphql.request import Request, request_of
from ccserver.model.job import MONITORING_DISABLED, MONITORING_FAILED, Job
from ccserver.model.metrics import FloatArray

MOST_JOBS = 500
MOST_CELLS = 1_000_000
FLOPS, BANDWIDTH = "flops_any", "mem_bw"


@dataclass(frozen=True, slots=True)
class JobsFootprints:
    """A `Footprints`; all lists are parallel to `jobs`."""

    time_weights: outputs.TimeWeights
    metrics: list[outputs.MetricFootprints]
    jobs: list[Job]


def jobs_footprints(
    info: Info,
    metrics: list[str],
    filter: list[JobFilter] | None = UNSET,
    sample: bool | None = UNSET,
) -> object:
    request = request_of(info)
    jobs = _jobs_with_data(request, filter, sample)
    values = np.full((len(metrics), len(jobs)), np.nan)
    for column, averages in enumerate(request.site.metric_data.averages_of_jobs(jobs, metrics)):
        request.check_wanted()
        values[:, column] = averages
    minutes = np.array([job.duration for job in jobs], np.float64) / 60
    request.announce(jobs)
    return JobsFootprints(
        jobs=jobs,
        time_weights=outputs.TimeWeights(
            node_hours=_numbers(minutes * np.array([job.num_nodes for job in jobs], np.float64)),
            acc_hours=_weights(minutes, [job.num_acc for job in jobs]),
            core_hours=_weights(minutes, [job.num_hwthreads for job in jobs]),
        ),
        metrics=[
            outputs.MetricFootprints(metric=metric, data=_numbers(row))
            for metric, row in zip(metrics, values, strict=True)
        ],
    )


def roofline_heatmap(
    info: Info,
    filter: list[JobFilter],
    rows: int,
    cols: int,
    min_x: float,
    min_y: float,
    max_x: float,
    max_y: float,
    sample: bool | None = UNSET,
) -> object:
    request = request_of(info)
    if rows < 1 or cols < 1 or rows * cols > MOST_CELLS:
        raise GraphQLError(f"rows and cols must be positive, with at most {MOST_CELLS} cells")
    if min(min_x, min_y) <= 0 or max_x <= min_x or max_y <= min_y:
        raise GraphQLError("the bounds must be positive and the maxima above the minima")
    x_bounds = math.log10(min_x), math.log10(max_x)
    y_bounds = math.log10(min_y), math.log10(max_y)
    counts = np.zeros((rows, cols), np.int64)
    for job in _jobs_with_data(request, filter, sample):
        request.check_wanted()
        data = request.site.metric_data.job_data(job, [FLOPS, BANDWIDTH], ["node"], 0)
        flops, bandwidth = (data.get(name, {}).get("node") for name in (FLOPS, BANDWIDTH))
        if flops is None or bandwidth is None:
            continue
        of_host = {series.hostname: series.data for series in bandwidth.series}
        for series in flops.series:  # a host may lack one of the two
            if series.hostname in of_host:
                count_points(counts, series.data, of_host[series.hostname], x_bounds, y_bounds)
    return counts


def count_points(
    counts: NDArray[np.int64],
    flops: FloatArray,
    bandwidth: FloatArray,
    x_bounds: tuple[float, float],
    y_bounds: tuple[float, float],
) -> None:
    """Add the points of one host to `counts` (rows by y, columns by x); bounds are decadic logarithms."""
    length = min(len(flops), len(bandwidth))
    above, below = flops[:length].astype(np.float64), bandwidth[:length].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = np.log10(above / below), np.log10(above)
    inside = (x >= x_bounds[0]) & (x < x_bounds[1]) & (y >= y_bounds[0]) & (y < y_bounds[1])
    rows, columns = counts.shape
    row = ((y[inside] - y_bounds[0]) / (y_bounds[1] - y_bounds[0]) * rows).astype(np.intp)
    column = ((x[inside] - x_bounds[0]) / (x_bounds[1] - x_bounds[0]) * columns).astype(np.intp)
    fits = (row < rows) & (column < columns)
    np.add.at(counts, (row[fits], column[fits]), 1)


def _jobs_with_data(request: Request, filter: list[JobFilter] | None, sample: bool | None) -> list[Job]:
    """The matching jobs that were monitored.

    Of more than 500 some at even distances in the order of their start where `sample`, else GraphQLError.
    """
    wanted, jobs = arguments.job_filters(filter), request.site.jobs
    found: Sequence[Job]
    if arguments.given(sample):
        found = jobs.sample(wanted, request.job_viewer, MOST_JOBS)
    else:
        found = jobs.list(wanted, request.job_viewer, page=1, items_per_page=MOST_JOBS + 1)
    if len(found) > MOST_JOBS:
        raise GraphQLError(f"too many jobs matched (max: {MOST_JOBS})")
    return [job for job in found if job.monitoring_status not in (MONITORING_DISABLED, MONITORING_FAILED)]


def _weights(minutes: NDArray[np.float64], counts: list[int]) -> Any:
    return _numbers(np.array([m * n if n else 1.0 for m, n in zip(minutes, counts, strict=True)]))


def _numbers(values: NDArray[np.float64]) -> Any:
    return cast(Any, values)
