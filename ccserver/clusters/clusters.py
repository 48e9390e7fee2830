"""All clusters of a site, and the lists that span them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ccserver.clusters.cluster import Cluster, SubCluster
from ccserver.model.job import Resource
from ccserver.model.metrics import Unit
from ccstore.types import Aggregation, Metric

log = logging.getLogger(__name__)

_MOST_HOMES = 100_000
"""Hosts whose sub-cluster is remembered: looking through node lists takes 20 us a host."""


class ClusterError(ValueError):
    """A cluster, sub-cluster or host that is not configured. The messages are part of the REST contract."""


@dataclass(frozen=True, slots=True)
class Availability:
    cluster: str
    subclusters: list[str]


@dataclass(slots=True)
class GlobalMetric:
    """A metric over all clusters: unit and scope of the first that has it (spec/job-archive.md 8.2)."""

    name: str
    unit: Unit
    scope: str
    footprint: str = ""
    availability: list[Availability] = field(default_factory=list)


class Clusters:
    """The configured clusters, in the order the archive lists them. Immutable after it was made."""

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        self.by_name: dict[str, Cluster] = {cluster.name: cluster for cluster in clusters}
        self._homes: dict[tuple[str, str], str | None] = {}
        self._for_all = self._collect(restricted=False)
        self._for_users = self._collect(restricted=True)

    @classmethod
    def from_documents(cls, documents: Mapping[str, Any]) -> Clusters:
        """From decoded `cluster.json` files by directory; raises ClusterConfigError on the first bad one.

        What `JobArchive.cluster_documents()` returns fits.
        """
        return cls(
            [Cluster.from_document(documents[directory], directory) for directory in sorted(documents)]
        )

    def names(self) -> list[str]:
        return list(self.by_name)

    def __getitem__(self, name: str) -> Cluster:
        return self.by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def subcluster(self, cluster: str, subcluster: str) -> SubCluster | None:
        known = self.by_name.get(cluster)
        return known.subclusters.get(subcluster) if known else None

    def subcluster_of_host(self, cluster: str, host: str) -> str | None:
        key = (cluster, host)
        if key in self._homes:
            return self._homes[key]
        known = self.by_name.get(cluster)
        home = known.subcluster_of_host(host) if known else None
        if known is not None and len(self._homes) < _MOST_HOMES:
            self._homes[key] = home
        return home

    def assign_subcluster(self, cluster: str, subcluster: str, resources: Sequence[Resource]) -> str:
        """The sub-cluster a job belongs to; raises ClusterError. Contract: spec/job-archive.md 8.3.

        A given `subcluster` is only checked to exist, not whether its node list holds the job's hosts.
        """
        known = self.by_name.get(cluster)
        if known is None:
            raise ClusterError(f"no such cluster: {cluster}")
        if subcluster:
            if subcluster not in known.subclusters:
                raise ClusterError(f"already assigned subcluster {subcluster} unkown (cluster: {cluster})")
            return subcluster
        if not resources:
            raise ClusterError("job without any resources/hosts")
        host = resources[0].hostname
        found = known.subcluster_of_host(host)
        if found is None:
            raise ClusterError(f"no subcluster found for cluster {cluster} and host {host}")
        return found

    def global_metrics(self, restricted: bool) -> list[GlobalMetric]:
        """All metrics by name; `restricted` gives the list for the roles user and manager."""
        return self._for_users if restricted else self._for_all

    def footprint_statistic(self, cluster: str, subcluster: str, metric: str) -> str:
        """Which statistic (`avg`, `min`, `max`) the footprint keeps of `metric`; "" if none."""
        known = self.subcluster(cluster, subcluster)
        config = known.metrics.get(metric) if known else None
        return config.footprint if config else ""

    def store_metrics(self) -> dict[str, list[Metric]]:
        """The metric table of the store per cluster; metrics that only a sub-cluster defines count too."""
        return {cluster.name: _store_metrics(cluster) for cluster in self}

    def _collect(self, restricted: bool) -> list[GlobalMetric]:
        metrics: dict[str, GlobalMetric] = {}
        for cluster in self:
            for config in cluster.metrics.values():
                metric = metrics.get(config.name)
                if metric is None:
                    metric = GlobalMetric(config.name, config.unit, config.scope, config.footprint)
                    metrics[config.name] = metric
                available: list[str] = []
                for subcluster in cluster.subclusters:
                    effective = config.effective(subcluster)
                    if effective is None:
                        continue
                    metric.footprint = effective.footprint or metric.footprint
                    if not (restricted and effective.restrict):
                        available.append(subcluster)
                if available or not restricted:
                    metric.availability.append(Availability(cluster.name, available))
        return sorted(
            (metric for metric in metrics.values() if metric.availability), key=lambda metric: metric.name
        )


def _store_metrics(cluster: Cluster) -> list[Metric]:
    configs = {
        config.name: config
        for subcluster in cluster.subclusters.values()
        for config in subcluster.metrics.values()
    } | cluster.metrics
    return [
        Metric(
            config.name,
            config.timestep,
            _aggregation(cluster.name, config.name, config.aggregation),
            config.scope,
        )
        for config in configs.values()
    ]


def _aggregation(cluster: str, metric: str, text: str) -> Aggregation:
    if text == "sum":
        return "sum"
    if text == "avg":
        return "avg"
    if text:
        log.warning(
            "cluster %s: metric %s: unknown aggregation %r; its components are not combined",
            cluster,
            metric,
            text,
        )
    return ""
