"""What the site's clusters consist of: `cluster.json`, node lists, topology, metric lists, units."""

from ccserver.clusters.cluster import (
    Cluster,
    ClusterConfigError,
    MetricConfig,
    MetricOverride,
    MetricValue,
    SubCluster,
)
from ccserver.clusters.clusters import Availability, ClusterError, Clusters, GlobalMetric
from ccserver.clusters.nodelist import NodeList, NodeListError, expand_hosts
from ccserver.clusters.topology import Accelerator, Topology
from ccserver.clusters.units import convert, normalize, parse_unit

__all__ = [
    "Accelerator",
    "Availability",
    "Cluster",
    "ClusterConfigError",
    "ClusterError",
    "Clusters",
    "GlobalMetric",
    "MetricConfig",
    "MetricOverride",
    "MetricValue",
    "NodeList",
    "NodeListError",
    "SubCluster",
    "Topology",
    "convert",
    "expand_hosts",
    "normalize",
    "parse_unit",
]
