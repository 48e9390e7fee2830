from __future__ import annotations

from strawberry import UNSET, Info

from ccserver.graphql.inputs import Aggregate, JobFilter, PageRequest, SortByAggregate


def jobs_statistics(
    info: Info,
    filter: list[JobFilter] | None = UNSET,
    metrics: list[str] | None = UNSET,
    page: PageRequest | None = UNSET,
    sort_by: SortByAggregate | None = UNSET,
    group_by: Aggregate | None = UNSET,
    num_duration_bins: str | None = UNSET,
    num_metric_bins: int | None = UNSET,
) -> object:
    raise NotImplementedError
