from __future__ import annotations

from strawberry import ID, UNSET, Info

from ccserver.graphql.inputs import JobFilter
from ccserver.graphql.scalars import MetricScope


def job_metrics(
    info: Info,
    id: ID,
    metrics: list[str] | None = UNSET,
    scopes: list[MetricScope] | None = UNSET,
    resolution: int | None = UNSET,
) -> object:
    raise NotImplementedError


def job_stats(info: Info, id: ID, metrics: list[str] | None = UNSET) -> object:
    raise NotImplementedError


def scoped_job_stats(
    info: Info, id: ID, metrics: list[str] | None = UNSET, scopes: list[MetricScope] | None = UNSET
) -> object:
    raise NotImplementedError


def jobs_metric_stats(
    info: Info, filter: list[JobFilter] | None = UNSET, metrics: list[str] | None = UNSET
) -> object:
    raise NotImplementedError
