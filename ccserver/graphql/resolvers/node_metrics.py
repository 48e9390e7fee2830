"""Live metric data of nodes and whole clusters. Contract: spec/graphql.md 12, spec/metric-store.md 10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLError
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import NodeFilter, PageRequest, StringInput
from ccserver.graphql.node_texts import NodeTexts
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.resolvers.job_metrics import coarsest_resolution, named_metrics
from ccserver.graphql.scalars import From, MetricScope, SchedulerState, SentTime
from ccserver.model.metrics import SCOPES, JobMetric
from ccserver.pseudonyms import Kind

if TYPE_CHECKING:
    from ccserver.clusters import Cluster
    from ccserver.nodes.repository import NodeState

ANY_STATE, NOT_IN_TABLE = "all", "notindb"


@dataclass
class NodesOfCluster:
    """What the nodes of one answer share; states are read when the first of them is selected."""

    request: Request
    cluster: str

    @cached_property
    def states(self) -> Mapping[str, NodeState]:
        return _states(self.request, NodeFilter(cluster=StringInput(eq=self.cluster)))


@dataclass(frozen=True, slots=True)
class NodeItem:
    """A `NodeMetrics`."""

    nodes: NodesOfCluster
    host: str
    metrics: list[outputs.JobMetricWithName]

    @property
    def node_state(self) -> str:
        state = self.nodes.states.get(self.host)
        return state.scheduler_state if state else ""

    @property
    def metric_health(self) -> str:
        state = self.nodes.states.get(self.host)
        return state.health_state if state else ""

    @property
    def sub_cluster(self) -> str:
        return self.nodes.request.site.clusters.subcluster_of_host(self.nodes.cluster, self.host) or ""


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
    block = request.site.metric_data.node_block(
        cluster, arguments.given(metrics), arguments.given(nodes), start, end
    )
    nodes_of = NodesOfCluster(request, cluster)
    items = [NodeItem(nodes_of, host, []) for host in block.hosts]
    return NodeTexts(
        block,
        states=lambda: ([item.node_state for item in items], [item.metric_health for item in items]),
        subclusters=lambda: [item.sub_cluster for item in items],
    )


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
    nodes_of = NodesOfCluster(request, cluster)
    nodes_of.states = states
    items: Any = [
        NodeItem(nodes_of, host, named_metrics(data[host]) if host in data else empty) for host in shown
    ]
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
            scheduler_state=None if state_filter == ANY_STATE else SchedulerState(state_filter),
        ),
    )
    called = sorted(_called(request, states, node_filter))
    if not called and state_filter == ANY_STATE:
        return _configured_hosts(request, cluster, sub_cluster, node_filter), {}
    return called, states


def _called(request: Request, hosts: Iterable[str], node_filter: str) -> list[str]:
    """Those with the text in the name that is shown."""
    shown = request.names.shown
    return [host for host in hosts if node_filter.lower() in shown(Kind.HOST, host).lower()]


def _configured_hosts(request: Request, cluster: str, sub_cluster: str, node_filter: str) -> list[str]:
    return sorted(
        {
            host
            for name, subcluster in request.site.clusters[cluster].subclusters.items()
            if not sub_cluster or name == sub_cluster
            for host in _called(request, subcluster.nodes.expand(), node_filter)
        }
    )


def _page(hosts: Sequence[str], page: PageRequest | None) -> tuple[Sequence[str], bool]:
    """The hosts of the page and whether there are more behind it."""
    if page is None or page.items_per_page < 1:
        return hosts, False
    end = max(page.page, 1) * page.items_per_page
    return hosts[end - page.items_per_page : end], end < len(hosts)


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
