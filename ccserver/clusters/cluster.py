"""One cluster as its `cluster.json` describes it, with what follows from it per sub-cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ccserver.clusters.document import (
    ClusterDocument,
    MetricDocument,
    OverrideDocument,
    SubClusterDocument,
    TopologyDocument,
    UnitDocument,
    ValueDocument,
)
from ccserver.clusters.nodelist import NodeList, NodeListError
from ccserver.clusters.topology import Accelerator, Topology
from ccserver.model.metrics import SCOPES, Unit


class ClusterConfigError(ValueError):
    """A `cluster.json` nobody can work with; the message names the cluster and the place."""


@dataclass(frozen=True, slots=True)
class MetricOverride:
    """What one sub-cluster changes: the whole group of attributes, absent ones being 0, "" and false."""

    name: str
    peak: float = 0.0
    normal: float = 0.0
    caution: float = 0.0
    alert: float = 0.0
    footprint: str = ""
    energy: str = ""
    lower_is_better: bool = False
    restrict: bool = False
    remove: bool = False


@dataclass(frozen=True, slots=True)
class MetricConfig:
    """A metric of a cluster. `timestep` in seconds; `overrides` is empty in a sub-cluster's effective one."""

    name: str
    unit: Unit
    scope: str
    aggregation: str
    timestep: int
    peak: float = 0.0
    normal: float = 0.0
    caution: float = 0.0
    alert: float = 0.0
    lower_is_better: bool = False
    footprint: str = ""
    energy: str = ""
    restrict: bool = False
    overrides: tuple[MetricOverride, ...] = ()

    def effective(self, subcluster: str) -> MetricConfig | None:
        """As it holds on `subcluster`: None where the metric does not exist.

        An override replaces peak, normal, caution, alert, footprint, energy, lower_is_better and restrict all
        together, also by zero and empty (spec/job-archive.md 6.1).
        """
        for override in self.overrides:
            if override.name == subcluster:
                if override.remove:
                    return None
                return replace(
                    self,
                    peak=override.peak,
                    normal=override.normal,
                    caution=override.caution,
                    alert=override.alert,
                    footprint=override.footprint,
                    energy=override.energy,
                    lower_is_better=override.lower_is_better,
                    restrict=override.restrict,
                    overrides=(),
                )
        return replace(self, overrides=())


@dataclass(frozen=True, slots=True)
class MetricValue:
    unit: Unit
    value: float


@dataclass(frozen=True, slots=True)
class SubCluster:
    """Nodes of one kind. `metrics` are the effective ones, in the order of the file.

    `footprint` and `energy_footprint` name the metrics that contribute, in the same order.
    """

    name: str
    nodes: NodeList
    processor_type: str
    sockets_per_node: int
    cores_per_socket: int
    threads_per_core: int
    flop_rate_scalar: MetricValue
    flop_rate_simd: MetricValue
    memory_bandwidth: MetricValue
    topology: Topology
    metrics: dict[str, MetricConfig]
    footprint: list[str]
    energy_footprint: list[str]

    @property
    def number_of_nodes(self) -> int:
        """Entries of the node list; 0 for `*`."""
        return len(self.nodes)


@dataclass(frozen=True, slots=True)
class Cluster:
    """`metrics` and `subclusters` keep the order of the file."""

    name: str
    metrics: dict[str, MetricConfig]
    subclusters: dict[str, SubCluster]

    @classmethod
    def from_document(cls, document: Any, directory: str) -> Cluster:
        """Reads a decoded `cluster.json` that was found in `directory`; raises ClusterConfigError.

        Contract: spec/job-archive.md 6.4 (what is refused), 8.1 (what is derived).
        """
        try:
            parsed = msgspec.convert(document, ClusterDocument)
        except msgspec.ValidationError as error:
            raise ClusterConfigError(f"{directory}/cluster.json: {error}") from None
        if not parsed.name:
            raise ClusterConfigError(f"{directory}/cluster.json: the cluster has no name")
        name = parsed.name
        if not parsed.metric_config:
            raise ClusterConfigError(f"cluster {name}: metricConfig is missing or empty")
        if not parsed.sub_clusters:
            raise ClusterConfigError(f"cluster {name}: subClusters is missing or empty")
        metrics = {metric.name: metric for metric in (_metric(m, name) for m in parsed.metric_config)}
        subclusters = {
            subcluster.name: subcluster
            for subcluster in (_subcluster(s, name, metrics.values()) for s in parsed.sub_clusters)
        }
        return cls(name, metrics, subclusters)

    def subcluster_of_host(self, host: str) -> str | None:
        """The first sub-cluster that lists `host`, else the first declared one if its node list is `*`."""
        for subcluster in self.subclusters.values():
            if subcluster.nodes.contains(host):
                return subcluster.name
        first = next(iter(self.subclusters.values()))
        return first.name if first.nodes.any_host else None

    def metric(self, name: str, subcluster: str = "") -> MetricConfig | None:
        """The metric's configuration, the effective one where `subcluster` is known; None if not there."""
        if known := self.subclusters.get(subcluster):
            return known.metrics.get(name)
        return self.metrics.get(name)


def _metric(document: MetricDocument, cluster: str) -> MetricConfig:
    if not document.name:
        raise ClusterConfigError(f"cluster {cluster}: a metric in metricConfig has no name")
    place = f"cluster {cluster}: metric {document.name}"
    if document.timestep < 1:
        raise ClusterConfigError(f"{place}: timestep must be at least 1 second, not {document.timestep}")
    scope = document.scope or "node"
    if scope not in SCOPES:
        raise ClusterConfigError(f"{place}: scope {scope!r} is none of {', '.join(SCOPES)}")
    return MetricConfig(
        name=document.name,
        unit=_unit(document.unit),
        scope=scope,
        aggregation=document.aggregation or "",
        timestep=document.timestep,
        peak=document.peak or 0.0,
        normal=document.normal or 0.0,
        caution=document.caution or 0.0,
        alert=document.alert or 0.0,
        lower_is_better=bool(document.lower_is_better),
        footprint=document.footprint or "",
        energy=document.energy or "",
        restrict=bool(document.restrict),
        overrides=tuple(_override(override) for override in document.sub_clusters or ()),
    )


def _override(document: OverrideDocument) -> MetricOverride:
    return MetricOverride(
        name=document.name,
        peak=document.peak or 0.0,
        normal=document.normal or 0.0,
        caution=document.caution or 0.0,
        alert=document.alert or 0.0,
        footprint=document.footprint or "",
        energy=document.energy or "",
        lower_is_better=bool(document.lower_is_better),
        restrict=bool(document.restrict),
        remove=bool(document.remove),
    )


def _subcluster(document: SubClusterDocument, cluster: str, metrics: Iterable[MetricConfig]) -> SubCluster:
    try:
        nodes = NodeList.of_subcluster(document.nodes)
    except NodeListError as error:
        raise ClusterConfigError(f"{cluster}/cluster.json: sub-cluster {document.name}: {error}") from None
    own = [_metric(metric, cluster) for metric in document.metric_config or ()]
    inherited = [effective for metric in metrics if (effective := metric.effective(document.name))]
    footprint = [*(document.footprint or ()), *(metric.name for metric in inherited if metric.footprint)]
    energy = [*(document.energy_footprint or ()), *(metric.name for metric in inherited if metric.energy)]
    return SubCluster(
        name=document.name,
        nodes=nodes,
        processor_type=document.processor_type or "",
        sockets_per_node=document.sockets_per_node or 0,
        cores_per_socket=document.cores_per_socket or 0,
        threads_per_core=document.threads_per_core or 0,
        flop_rate_scalar=_value(document.flop_rate_scalar),
        flop_rate_simd=_value(document.flop_rate_simd),
        memory_bandwidth=_value(document.memory_bandwidth),
        topology=_topology(document.topology),
        metrics={metric.name: metric for metric in (*own, *inherited)},
        footprint=list(dict.fromkeys(footprint)),
        energy_footprint=list(dict.fromkeys(energy)),
    )


def _topology(document: TopologyDocument) -> Topology:
    return Topology(
        node=tuple(document.node or ()),
        socket=tuple(tuple(threads) for threads in document.socket or ()),
        memory_domain=tuple(tuple(threads) for threads in document.memory_domain or ()),
        die=tuple(tuple(threads) for threads in document.die or ()),
        core=tuple(tuple(threads) for threads in document.core or ()),
        accelerators=tuple(
            Accelerator(accelerator.id, accelerator.type or "", accelerator.model or "")
            for accelerator in document.accelerators or ()
        ),
    )


def _unit(document: UnitDocument) -> Unit:
    return Unit(document.base, document.prefix or "")


def _value(document: ValueDocument | None) -> MetricValue:
    if document is None:
        return MetricValue(Unit(), 0.0)
    return MetricValue(_unit(document.unit), document.value)
