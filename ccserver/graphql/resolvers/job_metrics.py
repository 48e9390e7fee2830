"""Metric data and statistics of jobs. Contract: spec/graphql.md 10."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from graphql import GraphQLError
from strawberry import ID, UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import JobFilter
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.resolvers.jobs import find_job
from ccserver.graphql.scalars import MetricScope
from ccserver.jobs.filters import Order
from ccserver.model.job import Job
from ccserver.model.metrics import NO_STATISTICS, SCOPES, JobData, Statistics

EVERYTHING = -1
MOST_COLUMNS = 2000


def job_metrics(
    info: Info,
    id: ID,
    metrics: list[str] | None = UNSET,
    scopes: list[MetricScope] | None = UNSET,
    resolution: int | None = UNSET,
) -> object:
    request = request_of(info)
    job = find_job(request, id)
    names = arguments.given(metrics)
    wanted = arguments.given(resolution)
    data = request.site.metric_data.job_data(
        job,
        names,
        arguments.scopes(scopes),
        coarsest_resolution(request) if wanted is None else wanted,
    )
    return named_metrics(data, names)


def job_metric_grid(info: Info, id: ID, metric: str, scope: MetricScope, cols: int) -> object:
    """Null where the job has no such curves; of scopes that it lacks, the nearest that it has."""
    from ccserver.metricdata.grid import grid  # not before: it would load the store's kernels

    request = request_of(info)
    if not 1 <= cols <= MOST_COLUMNS:
        raise GraphQLError(f"cols must be from 1 to {MOST_COLUMNS}, not {cols}")
    job = find_job(request, id)
    [wanted] = arguments.scopes([scope]) or []
    by_scope = request.site.metric_data.job_data(job, [metric], [wanted], 0).get(metric)
    if not by_scope:
        return None
    shown = wanted if wanted in by_scope else _coarse_first(by_scope)[-1]
    data = by_scope[shown]
    found = grid(data, cols)
    return outputs.JobMetricGrid(
        scope=MetricScope(shown),
        unit=cast(Any, data.unit),
        rows=found.rows,
        times=[job.start_time + column * found.step for column in range(found.values.shape[1])],
        values=cast(Any, found.values),
    )


def job_stats(info: Info, id: ID, metrics: list[str] | None = UNSET) -> object:
    request = request_of(info)
    job = find_job(request, id)
    names = arguments.given(metrics) or []
    return named_statistics(request.site.metric_data.job_statistics(job, names), names)


def scoped_job_stats(
    info: Info, id: ID, metrics: list[str] | None = UNSET, scopes: list[MetricScope] | None = UNSET
) -> object:
    request = request_of(info)
    job = find_job(request, id)
    found = request.site.metric_data.scoped_statistics(
        job, arguments.given(metrics) or [], arguments.scopes(scopes) or []
    )
    return [
        outputs.NamedStatsWithScope(name=name, scope=MetricScope(scope), stats=cast(Any, by_scope[scope]))
        for name, by_scope in found.items()
        for scope in _coarse_first(by_scope)
    ]


def jobs_metric_stats(
    info: Info, filter: list[JobFilter] | None = UNSET, metrics: list[str] | None = UNSET
) -> object:
    request = request_of(info)
    wanted = arguments.job_filters(filter)
    names = arguments.given(metrics) or []
    by_start = Order("startTime", "col", "ASC")
    found = request.site.jobs.list(wanted, request.job_viewer, by_start, items_per_page=EVERYTHING)
    return [
        _job_stats(request, job, statistics, names)
        for job, statistics in request.site.metric_data.statistics_of_jobs(found, names)
    ]


def _job_stats(
    request: Request, job: Job, statistics: dict[str, Statistics], names: list[str]
) -> outputs.JobStats:
    request.check_wanted()
    return outputs.JobStats(
        id=job.id,
        job_id=str(job.job_id),
        start_time=job.start_time,
        duration=job.duration,
        cluster=job.cluster,
        sub_cluster=job.subcluster,
        num_nodes=job.num_nodes,
        num_hwthreads=job.num_hwthreads,
        num_accelerators=job.num_acc,
        stats=named_statistics(statistics, names),
        missing=[name for name in names if statistics.get(name, NO_STATISTICS) is NO_STATISTICS],
    )


def coarsest_resolution(request: Request) -> int:
    """What a client gets that names no resolution: the largest configured one, or native (0)."""
    resampling = request.site.config.main.resampling
    return max(resampling.resolutions, default=0) if resampling else 0


def named_metrics(data: JobData, names: Sequence[str] | None = None) -> list[outputs.JobMetricWithName]:
    """One entry per metric and scope: metrics in the order of `names`, coarse scopes first."""
    ordered = data if names is None else [name for name in dict.fromkeys(names) if name in data]
    return [
        outputs.JobMetricWithName(name=name, scope=MetricScope(scope), metric=cast(Any, data[name][scope]))
        for name in ordered
        for scope in _coarse_first(data[name])
    ]


def named_statistics(found: dict[str, Statistics], names: Iterable[str]) -> list[outputs.NamedStats]:
    return [outputs.NamedStats(name=name, data=cast(Any, found.get(name, NO_STATISTICS))) for name in names]


def _coarse_first(by_scope: dict[str, Any]) -> list[str]:
    return sorted(by_scope, key=SCOPES.index)
