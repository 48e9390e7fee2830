"""Configured clusters and their metrics. Contract: spec/graphql.md 13."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from strawberry import Info

from ccserver.graphql import outputs
from ccserver.graphql.request import request_of

if TYPE_CHECKING:
    from ccserver import clusters as site_clusters


def clusters(info: Info) -> object:
    request = request_of(info)
    return [
        _cluster(cluster, request.site.jobs.partitions(cluster.name)) for cluster in request.site.clusters
    ]


def global_metrics(info: Info) -> object:
    request = request_of(info)
    return request.site.clusters.global_metrics(restricted=not request.user.sees_restricted_metrics)


def _cluster(cluster: site_clusters.Cluster, partitions: Sequence[str]) -> outputs.Cluster:
    return outputs.Cluster(
        name=cluster.name,
        partitions=list(partitions),
        sub_clusters=[_subcluster(subcluster) for subcluster in cluster.subclusters.values()],
    )


def _subcluster(subcluster: site_clusters.SubCluster) -> outputs.SubCluster:
    return outputs.SubCluster(
        name=subcluster.name,
        nodes=subcluster.nodes.text,
        number_of_nodes=subcluster.number_of_nodes,
        processor_type=subcluster.processor_type,
        sockets_per_node=subcluster.sockets_per_node,
        cores_per_socket=subcluster.cores_per_socket,
        threads_per_core=subcluster.threads_per_core,
        flop_rate_scalar=_value(subcluster.flop_rate_scalar),
        flop_rate_simd=_value(subcluster.flop_rate_simd),
        memory_bandwidth=_value(subcluster.memory_bandwidth),
        topology=_topology(subcluster.topology),
        metric_config=[_metric(metric) for metric in subcluster.metrics.values()],
        footprint=subcluster.footprint,
    )


def _value(value: site_clusters.MetricValue) -> outputs.MetricValue:
    unit: Any = value.unit
    return outputs.MetricValue(name=None, unit=unit, value=value.value)


def _topology(topology: site_clusters.Topology) -> outputs.Topology:
    """Lists without content are null on the wire."""
    accelerators: Any = topology.accelerators
    return outputs.Topology(
        node=list(topology.node) or None,
        socket=_groups(topology.socket),
        memory_domain=_groups(topology.memory_domain),
        die=_groups(topology.die),
        core=_groups(topology.core),
        accelerators=list(accelerators) or None,
    )


def _groups(groups: tuple[tuple[int | None, ...], ...]) -> list[list[int]] | None:
    return [[thread for thread in group if thread is not None] for group in groups] or None


def _metric(metric: site_clusters.MetricConfig) -> outputs.MetricConfig:
    unit: Any = metric.unit
    scope: Any = metric.scope
    return outputs.MetricConfig(
        name=metric.name,
        unit=unit,
        scope=scope,
        aggregation=metric.aggregation,
        timestep=metric.timestep,
        peak=metric.peak,
        normal=metric.normal,
        caution=metric.caution,
        alert=metric.alert,
        lower_is_better=metric.lower_is_better,
        sub_clusters=[],
    )
