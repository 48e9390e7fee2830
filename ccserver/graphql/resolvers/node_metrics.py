"""Live metric data of nodes and whole clusters. Contract: spec/graphql.md 12, spec/metric-store.md 10."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

import strawberry
from graphql import GraphQLError
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import NodeFilter, PageRequest, StringInput
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.resolvers.job_metrics import coarsest_resolution, named_metrics
from ccserver.graphql.scalars import MetricScope, SchedulerState, SentTime
from ccserver.model.metrics import SCOPES, JobMetric

if TYPE_CHECKING:
    from ccserver.clusters import Cluster
    from ccserver.nodes.repository import NodeState

From = Annotated[SentTime, strawberry.argument(name="from")]

NODE = MetricScope("node")
ANY_STATE, NOT_IN_TABLE = "all", "notindb"


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
    states = _states(request, NodeFilter(cluster=StringInput(eq=cluster)))
    return [
        _node(request, states.get(host), cluster, host, _at_node_scope(by_metric))
        for host, by_metric in data.items()
    ]


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
    request = _staff_request(info, cluster)
    start, end = _window(from_, to)
    wanted = arguments.scopes(scopes) or []
    names = arguments.given(metrics)
    points = arguments.given(resolution)
    hosts, states = _listed_hosts(request, cluster, sub_cluster, state_filter, node_filter)
    shown, more = _page(hosts, arguments.given(page))
    data = request.site.metric_data.node_list_data(
        cluster,
        sub_cluster,
        shown,
        names,
        wanted,
        start,
        end,
        coarsest_resolution(request) if points is None else points,
    )
    empty = _without_data(request.site.clusters[cluster], sub_cluster, names, wanted)
    items = []
    for host in shown:
        entries = named_metrics(data[host]) if host in data else empty
        items.append(_node(request, states.get(host), cluster, host, entries))
    return outputs.NodesResultList(
        items=items, offset=None, limit=None, count=None, total_nodes=len(hosts), has_next_page=more
    )


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


def _states(request: Request, filter: NodeFilter) -> dict[str, NodeState]:
    return {state.hostname: state for state in request.site.nodes.latest(arguments.node_filters([filter]))}


def _listed_hosts(
    request: Request, cluster: str, sub_cluster: str, state_filter: str, node_filter: str
) -> tuple[list[str], Mapping[str, NodeState]]:
    """All hosts of the list, rising, with the latest states of those the node table knows."""
    if state_filter == NOT_IN_TABLE:
        known = request.site.nodes.hostnames(cluster)
        configured = _configured_hosts(request, cluster, sub_cluster, node_filter)
        return [host for host in configured if host not in known], {}
    states = _states(
        request,
        NodeFilter(
            cluster=StringInput(eq=cluster),
            sub_cluster=StringInput(eq=sub_cluster) if sub_cluster else None,
            hostname=StringInput(contains=node_filter) if node_filter else None,
            scheduler_state=None if state_filter == ANY_STATE else SchedulerState(state_filter),
        ),
    )
    if not states and state_filter == ANY_STATE:
        return _configured_hosts(request, cluster, sub_cluster, node_filter), {}
    return sorted(states), states


def _configured_hosts(request: Request, cluster: str, sub_cluster: str, node_filter: str) -> list[str]:
    return sorted(
        {
            host
            for name, subcluster in request.site.clusters[cluster].subclusters.items()
            if not sub_cluster or name == sub_cluster
            for host in subcluster.nodes.expand()
            if node_filter.lower() in host.lower()
        }
    )


def _page(hosts: Sequence[str], page: PageRequest | None) -> tuple[Sequence[str], bool]:
    """The hosts of the page and whether there are more behind it."""
    if page is None or page.items_per_page < 1:
        return hosts, False
    end = max(page.page, 1) * page.items_per_page
    return hosts[end - page.items_per_page : end], end < len(hosts)


def _at_node_scope(by_metric: Mapping[str, JobMetric]) -> list[outputs.JobMetricWithName]:
    return [
        outputs.JobMetricWithName(name=name, scope=NODE, metric=cast(Any, metric))
        for name, metric in by_metric.items()
    ]


def _without_data(
    cluster: Cluster, sub_cluster: str, names: Sequence[str] | None, scopes: Sequence[str]
) -> list[outputs.JobMetricWithName]:
    """An empty entry per metric and scope, so that the list shows which plots are missing."""
    entries = []
    for name in dict.fromkeys(cluster.metrics if names is None else names):
        metric = cluster.metric(name, sub_cluster)
        if metric is None:
            continue
        for scope in dict.fromkeys(_coarser(metric.scope, scope) for scope in scopes):
            empty: Any = JobMetric(metric.unit, metric.timestep, [])
            entries.append(outputs.JobMetricWithName(name=name, scope=MetricScope(scope), metric=empty))
    return entries


def _coarser(one: str, other: str) -> str:
    return min(one, other, key=SCOPES.index)


def _node(
    request: Request,
    state: NodeState | None,
    cluster: str,
    host: str,
    metrics: list[outputs.JobMetricWithName],
) -> outputs.NodeMetrics:
    return outputs.NodeMetrics(
        host=host,
        node_state=state.scheduler_state if state else "",
        metric_health=state.health_state if state else "",
        sub_cluster=request.site.clusters.subcluster_of_host(cluster, host) or "",
        metrics=metrics,
    )
