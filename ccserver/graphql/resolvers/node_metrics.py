"""Live metric data of nodes and whole clusters. Contract: spec/graphql.md 12, spec/metric-store.md 10."""

from __future__ import annotations

from typing import Annotated, Any, cast

import strawberry
from graphql import GraphQLError
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import PageRequest
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.scalars import MetricScope, SentTime
from ccserver.model.metrics import JobMetric

From = Annotated[SentTime, strawberry.argument(name="from")]

NODE = MetricScope("node")


def node_metrics(
    info: Info,
    cluster: str,
    from_: From,
    to: SentTime,
    nodes: list[str] | None = UNSET,
    scopes: list[MetricScope] | None = UNSET,
    metrics: list[str] | None = UNSET,
) -> object:
    request = _staff_request(info, cluster)
    start, end = _window(from_, to)
    data = request.site.metric_data.node_data(
        cluster, arguments.given(metrics), arguments.given(nodes), start, end
    )
    states = _states(request, cluster)
    return [_node(request, states, cluster, host, _node_scope(by_metric)) for host, by_metric in data.items()]


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
    request = _staff_request(info, cluster)
    start, end = _window(from_, to)
    totals = request.site.metric_data.cluster_totals(cluster, arguments.given(metrics), start, end)
    return outputs.ClusterMetrics(
        node_count=totals.node_count,
        metrics=[
            outputs.ClusterMetricWithName(
                name=name, unit=cast(Any, total.unit), timestep=total.timestep, data=cast(Any, total.data)
            )
            for name, total in totals.metrics.items()
        ],
    )


def _staff_request(info: Info, cluster: str) -> Request:
    request = request_of(info)
    if not request.staff:
        raise GraphQLError("you need to be administrator or support staff for this query")
    if cluster not in request.site.clusters:
        raise GraphQLError(f"no such cluster: {cluster}")
    return request


def _window(from_: object, to: object) -> tuple[int, int]:
    start, end = arguments.timestamp(from_), arguments.timestamp(to)
    if start > end:
        raise GraphQLError(f"the window ends before it begins: from {from_}, to {to}")
    return start, end


def _node_scope(by_metric: dict[str, JobMetric]) -> list[outputs.JobMetricWithName]:
    return [
        outputs.JobMetricWithName(name=name, scope=NODE, metric=cast(Any, metric))
        for name, metric in by_metric.items()
    ]


def _states(request: Request, cluster: str) -> Any:
    raise NotImplementedError


def _node(
    request: Request, states: Any, cluster: str, host: str, metrics: list[outputs.JobMetricWithName]
) -> outputs.NodeMetrics:
    state = states.get(host)
    return outputs.NodeMetrics(
        host=host,
        node_state=state.scheduler_state if state else "",
        metric_health=state.health_state if state else "",
        sub_cluster=request.site.clusters.subcluster_of_host(cluster, host) or "",
        metrics=metrics,
    )
