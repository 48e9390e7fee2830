from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import UNSET, Info

from ccserver.graphql.inputs import PageRequest
from ccserver.graphql.scalars import MetricScope, SentTime

From = Annotated[SentTime, strawberry.argument(name="from")]


def node_metrics(
    info: Info,
    cluster: str,
    from_: From,
    to: SentTime,
    nodes: list[str] | None = UNSET,
    scopes: list[MetricScope] | None = UNSET,
    metrics: list[str] | None = UNSET,
) -> object:
    raise NotImplementedError


def node_metrics_list(
    info: Info,
    cluster: str,
    sub_cluster: str,
    state_filter: str,
    node_filter: str,
    from_: From,
    to: SentTime,
    scopes: list[MetricScope] | None = UNSET,
    metrics: list[str] | None = UNSET,
    page: PageRequest | None = UNSET,
    resolution: int | None = UNSET,
) -> object:
    raise NotImplementedError


def cluster_metrics(
    info: Info, cluster: str, from_: From, to: SentTime, metrics: list[str] | None = UNSET
) -> object:
    raise NotImplementedError
