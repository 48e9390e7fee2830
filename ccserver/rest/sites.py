"""Clusters and the states of their nodes. Source: spec/rest-api.md 4.1, 4.3."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.clusters import Cluster, MetricConfig, SubCluster
from ccserver.clusters.cluster import MetricValue
from ccserver.clusters.topology import Topology
from ccserver.nodes import NODE_STATES, decode_node_states
from ccserver.rest import documents
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.metrics import encode_unit
from ccserver.rest.parsing import decoded
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call


async def clusters(call: Call) -> Response:
    if "api" not in call.principal.roles:
        raise HttpError(403, "missing role: api")
    known = call.site.clusters
    wanted = request.args.get("cluster")
    if wanted and wanted not in known:
        raise HttpError(400, f"unknown cluster: {wanted}")
    chosen = [known[wanted]] if wanted else list(known.by_name.values())
    return json_answer({"clusters": [_cluster(cluster) for cluster in chosen]})


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "metricConfig": [_metric(metric) for metric in cluster.metrics.values()],
        "subClusters": [_subcluster(one) for one in cluster.subclusters.values()],
    }


def _metric(metric: MetricConfig) -> dict[str, Any]:
    members: dict[str, Any] = {
        "name": metric.name,
        "unit": encode_unit(metric.unit),
        "scope": metric.scope,
        "aggregation": metric.aggregation,
        "timestep": metric.timestep,
        "peak": metric.peak,
        "normal": metric.normal,
        "caution": metric.caution,
        "alert": metric.alert,
        "energy": metric.energy,
        "restrict": metric.restrict,
        "lowerIsBetter": metric.lower_is_better,
    }
    if metric.footprint:
        members["footprint"] = metric.footprint
    if metric.overrides:
        members["subClusters"] = [_override(override) for override in metric.overrides]
    return members


def _override(override: Any) -> dict[str, Any]:
    members = asdict(override)
    members["lowerIsBetter"] = members.pop("lower_is_better")
    return {key: value for key, value in members.items() if key != "footprint" or value}


def _subcluster(one: SubCluster) -> dict[str, Any]:
    members: dict[str, Any] = {
        "name": one.name,
        "nodes": one.nodes.text,
        "processorType": one.processor_type,
        "topology": _topology(one.topology),
        "flopRateScalar": _value(one.flop_rate_scalar),
        "flopRateSimd": _value(one.flop_rate_simd),
        "memoryBandwidth": _value(one.memory_bandwidth),
        "socketsPerNode": one.sockets_per_node,
        "coresPerSocket": one.cores_per_socket,
        "threadsPerCore": one.threads_per_core,
    }
    if one.metrics:
        members["metricConfig"] = [_metric(metric) for metric in one.metrics.values()]
    if one.footprint:
        members["footprint"] = one.footprint
    if one.energy_footprint:
        members["energyFootprint"] = one.energy_footprint
    return members


def _topology(topology: Topology) -> dict[str, Any]:
    members: dict[str, Any] = {
        "node": topology.node,
        "socket": topology.socket,
        "memoryDomain": topology.memory_domain,
        "core": topology.core,
    }
    if topology.die:
        members["die"] = topology.die
    if topology.accelerators:
        members["accelerators"] = [
            {"id": one.id, "type": one.type, "model": one.model} for one in topology.accelerators
        ]
    return members


def _value(value: MetricValue) -> dict[str, Any]:
    return {"unit": encode_unit(value.unit), "value": value.value}


async def node_state(call: Call) -> Response:
    """The scheduler's view of some nodes; answered with an empty body."""
    message = decoded(decode_node_states, await call.body())
    await call.run(call.site.nodes.record_states, message.cluster, message.nodes, call.site.store)
    return Response(b"", 200, content_type="application/json")


_CLUSTERS = Operation(
    "Clusters, their metrics and topology",
    {200: described("Clusters", {"clusters": listed(documents.CLUSTER)})},
    {400: "there is no such cluster", 403: "the caller lacks the role api"},
    query=(Parameter("cluster", "only this one"),),
)
NODE_STATE = Operation(
    "Report the scheduler's view of nodes",
    {200: None},
    {400: "the body cannot be read"},
    body=NODE_STATES,
    details="Appends one state per known node; its health is that of its metrics in the metric store.",
)

ROUTES = (
    Route("/api/clusters/", "GET", Group.API, clusters, _CLUSTERS),
    Route("/api/nodestate/", "POST PUT", Group.API, node_state, NODE_STATE),
    Route("/api/nodestats/", "POST PUT", Group.API, node_state, NODE_STATE),
)
