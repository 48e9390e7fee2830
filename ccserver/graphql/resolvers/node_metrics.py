"""Live metric data of nodes and whole clusters. Contract: spec/graphql.md 12, spec/metric-store.md 10."""

from __future__ import annotations

from typing import Annotated, Any, cast

import numpy as np
import strawberry
from graphql import GraphQLError
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import PageRequest
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.scalars import MetricScope, SentTime
from ccserver.model.metrics import JobMetric, Unit

From = Annotated[SentTime, strawberry.argument(name="from")]

NODE = MetricScope("node")
PREFIXES = {
    "": 1.0, "K": 1e3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21,
    "m": 1e-3, "u": 1e-6, "n": 1e-9,
}  # fmt: skip
TERA = 1e12


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
    """Every value a host has counts; hosts share one raster, so positions belong together."""
    request = _staff_request(info, cluster)
    start, end = _window(from_, to)
    data = request.site.metric_data.node_data(cluster, arguments.given(metrics), None, start, end)
    by_metric: dict[str, list[JobMetric]] = {}
    delivered = 0
    for of_host in data.values():
        delivered += any(len(series.data) for metric in of_host.values() for series in metric.series)
        for name, metric in of_host.items():
            by_metric.setdefault(name, []).append(metric)
    return outputs.ClusterMetrics(
        node_count=delivered, metrics=[_total(name, hosts) for name, hosts in by_metric.items()]
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


def _total(name: str, hosts: list[JobMetric]) -> outputs.ClusterMetricWithName:
    """The sum over all hosts per point, absent values counting as nothing, in units of 10^12."""
    length = max((len(series.data) for metric in hosts for series in metric.series), default=0)
    total = np.zeros(length)
    for metric in hosts:
        for series in metric.series:
            total[: len(series.data)] += np.nan_to_num(series.data, nan=0.0)
    unit = hosts[0].unit
    total *= PREFIXES.get(unit.prefix, 1.0) / TERA
    return outputs.ClusterMetricWithName(
        name=name,
        unit=cast(Any, Unit(base=unit.base, prefix="T")),
        timestep=hosts[0].timestep,
        data=cast(Any, total.astype(np.float32)),
    )


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
