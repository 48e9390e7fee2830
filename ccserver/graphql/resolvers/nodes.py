"""Nodes and their states. Contract: spec/graphql.md 12."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import GraphQLError
from strawberry import ID, UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import NodeFilter, OrderByInput, StringInput
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.scalars import AnyValue, From, JobState, MonitoringState, SchedulerState, SentTime

if TYPE_CHECKING:
    from ccserver.nodes.repository import NodeState


def allocated_nodes(info: Info, cluster: str) -> object:
    counts = request_of(info).site.jobs.allocated_nodes(cluster)
    return [outputs.Count(name=name, count=count) for name, count in counts.items()]


def free_resources(info: Info, cluster: str) -> object:
    from ccserver.nodes.free import free_parts  # not before: it would load the store's kernels

    site = request_of(info).site
    if cluster not in site.clusters:
        return []
    reported = site.nodes.latest(arguments.node_filters([NodeFilter(cluster=StringInput(eq=cluster))]))
    return [
        outputs.FreeResources(
            sub_cluster=one.subcluster,
            nodes=one.nodes,
            cores=one.cores,
            accelerators=one.accelerators,
            memory=one.memory,
        )
        for one in free_parts(site.clusters[cluster], site.jobs.running(cluster), reported)
    ]


def node(info: Info, id: ID) -> object:
    request = _staff_request(info)
    found = request.site.nodes.find(arguments.number(id, "node id"))
    if found is None:
        raise GraphQLError("sql: no rows in result set")
    return _node(found, with_meta=True)


def nodes(info: Info, filter: list[NodeFilter] | None = UNSET, order: OrderByInput | None = UNSET) -> object:
    return _nodes(info, filter, with_meta=False)


def nodes_with_meta(
    info: Info, filter: list[NodeFilter] | None = UNSET, order: OrderByInput | None = UNSET
) -> object:
    return _nodes(info, filter, with_meta=True)


def node_states(info: Info, filter: list[NodeFilter] | None = UNSET) -> object:
    counts = _staff_request(info).site.nodes.counts(arguments.node_filters(filter))
    return [outputs.NodeStates(state=state, count=count) for state, count in counts]


def node_states_timed(info: Info, type: str, filter: list[NodeFilter] | None = UNSET) -> object:
    request = _staff_request(info)
    if type not in ("node", "health"):
        raise GraphQLError("unknown Node State Query Type")
    return request.site.nodes.counts_over_time(arguments.node_filters(filter), health=type == "health")


def node_jobs(info: Info, cluster: str, from_: From, to: SentTime, host: str | None = UNSET) -> object:
    request = _staff_request(info)
    start, end, wanted = arguments.timestamp(from_), arguments.timestamp(to), arguments.given(host)
    return [
        outputs.NodeJob(
            id=job.id,
            job_id=job.job_id,
            job_name=(job.metadata or {}).get("jobName", ""),
            user=job.user,
            project=job.project,
            state=JobState(job.state),
            shared=job.shared,
            start=job.start_time,
            stop=None if job.state == "running" else job.start_time + job.duration,
            hostname=part.hostname,
            hwthreads=part.hwthreads,
            accelerators=part.accelerators,
        )
        for job in request.site.jobs.on_hosts(cluster, wanted, start, end, request.job_viewer)
        for part in job.resources
        if wanted is None or part.hostname == wanted
    ]


def node_events(info: Info, cluster: str, host: str, from_: From, to: SentTime) -> object:
    nodes = _staff_request(info).site.nodes
    return nodes.changes(cluster, host, arguments.timestamp(from_), arguments.timestamp(to))


def _staff_request(info: Info) -> Request:
    request = request_of(info)
    if not request.staff:
        raise GraphQLError("user has no or unknown roles")
    return request


def _nodes(info: Info, filter: list[NodeFilter] | None, *, with_meta: bool) -> outputs.NodeStateResultList:
    found = _staff_request(info).site.nodes.latest(arguments.node_filters(filter))
    return outputs.NodeStateResultList(items=[_node(one, with_meta) for one in found], count=len(found))


def _node(state: NodeState, with_meta: bool) -> outputs.Node:
    return outputs.Node(
        id=ID(str(state.id)),
        hostname=state.hostname,
        cluster=state.cluster,
        sub_cluster=state.subcluster,
        jobs_running=state.jobs_running,
        cpus_allocated=state.cpus_allocated,
        memory_allocated=state.memory_allocated,
        gpus_allocated=state.gpus_allocated,
        scheduler_state=SchedulerState(state.scheduler_state),
        health_state=MonitoringState(state.health_state),
        meta_data=AnyValue(state.metadata if with_meta else {}),
        health_data=AnyValue(state.health_metrics if with_meta else {}),
    )
