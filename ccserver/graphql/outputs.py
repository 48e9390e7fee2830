"""Output types of the schema: the shape on the wire. Contract: spec/graphql.md 3.

A resolver may return any object that has the attributes named here, most of all the documents of
`ccserver.model`; nothing is copied into these classes only to be read again.
"""

from __future__ import annotations

import strawberry
from strawberry import ID

from ccserver.graphql import series_fields
from ccserver.graphql.fields import resolved_by
from ccserver.graphql.scalars import (
    AnyValue,
    JobState,
    MetricScope,
    MonitoringState,
    NullableFloat,
    SchedulerState,
    Time,
)

# Accounts, tags, plain counts


@strawberry.type
class User:
    username: str
    name: str
    email: str


@strawberry.type
class Tag:
    id: ID
    type: str
    name: str
    scope: str


@strawberry.type
class Count:
    name: str
    count: int


# Clusters


@strawberry.type
class Unit:
    base: str
    prefix: str | None


@strawberry.type
class MetricValue:
    name: str | None
    unit: Unit
    value: float


@strawberry.type
class Accelerator:
    id: str
    type: str
    model: str


@strawberry.type
class Topology:
    node: list[int] | None
    socket: list[list[int]] | None
    memory_domain: list[list[int]] | None
    die: list[list[int]] | None
    core: list[list[int]] | None
    accelerators: list[Accelerator] | None


@strawberry.type
class SubClusterConfig:
    name: str
    peak: float | None
    normal: float | None
    caution: float | None
    alert: float | None
    remove: bool | None


@strawberry.type
class MetricConfig:
    name: str
    unit: Unit
    scope: MetricScope
    aggregation: str
    timestep: int
    peak: float
    normal: float | None
    caution: float
    alert: float
    lower_is_better: bool | None
    sub_clusters: list[SubClusterConfig]


@strawberry.type
class SubCluster:
    name: str
    nodes: str
    number_of_nodes: int
    processor_type: str
    sockets_per_node: int
    cores_per_socket: int
    threads_per_core: int
    flop_rate_scalar: MetricValue
    flop_rate_simd: MetricValue
    memory_bandwidth: MetricValue
    topology: Topology
    metric_config: list[MetricConfig]
    footprint: list[str]


@strawberry.type
class Cluster:
    name: str
    partitions: list[str]
    sub_clusters: list[SubCluster]


@strawberry.type
class ClusterSupport:
    cluster: str
    subclusters: list[str] = strawberry.field(name="subClusters")


@strawberry.type
class GlobalMetricListItem:
    name: str
    unit: Unit
    scope: MetricScope
    footprint: str | None
    availability: list[ClusterSupport]


# Metric data


@strawberry.type
class MetricStatistics:
    avg: float
    min: float
    max: float


@strawberry.type
class Series:
    hostname: str
    id: str | None
    statistics: MetricStatistics | None = resolved_by(series_fields.statistics)
    data: list[NullableFloat]


@strawberry.type
class StatsSeries:
    mean: list[NullableFloat] = resolved_by(series_fields.mean)
    median: list[NullableFloat] = resolved_by(series_fields.median)
    min: list[NullableFloat] = resolved_by(series_fields.minimum)
    max: list[NullableFloat] = resolved_by(series_fields.maximum)


@strawberry.type
class JobMetric:
    unit: Unit | None
    timestep: int
    series: list[Series] | None
    statistics_series: StatsSeries | None


@strawberry.type
class JobMetricWithName:
    name: str
    scope: MetricScope
    metric: JobMetric


@strawberry.type
class NamedStats:
    name: str
    data: MetricStatistics


@strawberry.type
class ScopedStats:
    hostname: str
    id: str | None
    statistics: MetricStatistics = strawberry.field(name="data")


@strawberry.type
class NamedStatsWithScope:
    name: str
    scope: MetricScope
    stats: list[ScopedStats]


@strawberry.type
class JobStats:
    id: int
    job_id: str
    start_time: int
    duration: int
    cluster: str
    sub_cluster: str
    num_nodes: int
    num_hwthreads: int | None = strawberry.field(name="numHWThreads")
    num_accelerators: int | None
    stats: list[NamedStats]
    missing: list[str]


@strawberry.type
class TimeWeights:
    node_hours: list[NullableFloat]
    acc_hours: list[NullableFloat]
    core_hours: list[NullableFloat]


@strawberry.type
class MetricFootprints:
    metric: str
    data: list[NullableFloat]


@strawberry.type
class JobMetricGrid:
    scope: MetricScope
    unit: Unit
    rows: list[str]
    times: list[int]
    values: list[list[NullableFloat]]


# Jobs; `Job` itself is in job_output.py


@strawberry.type
class FootprintValue:
    name: str
    stat: str
    value: float


@strawberry.type
class EnergyFootprintValue:
    hardware: str
    metric: str
    value: float


@strawberry.type
class Resource:
    hostname: str
    hwthreads: list[int] | None
    accelerators: list[str] | None
    configuration: str | None


@strawberry.type
class JobLink:
    id: ID
    job_id: int


@strawberry.type
class JobLinkResultList:
    list_query: str | None
    items: list[JobLink]
    count: int | None


# Statistics over jobs


@strawberry.type
class FootprintTrend:
    """Means of a stored footprint value and the number of jobs that have one, per period."""

    metric: str
    stat: str
    unit: Unit
    means: list[NullableFloat]
    jobs: list[int]


@strawberry.type
class HistoPoint:
    count: int
    value: int


@strawberry.type
class MetricHistoPoint:
    bin: int | None
    count: int
    min: int | None
    max: int | None
    min_f: float | None = None
    max_f: float | None = None


@strawberry.type
class MetricHistoPoints:
    metric: str
    unit: str
    stat: str | None
    data: list[MetricHistoPoint] | None


@strawberry.type
class JobsStatistics:
    id: ID
    name: str
    total_users: int
    total_jobs: int
    running_jobs: int
    short_jobs: int
    total_walltime: int
    total_nodes: int
    total_node_hours: int
    total_cores: int
    total_core_hours: int
    total_accs: int
    total_acc_hours: int
    hist_duration: list[HistoPoint]
    hist_num_nodes: list[HistoPoint]
    hist_num_cores: list[HistoPoint]
    hist_num_accs: list[HistoPoint]
    hist_metrics: list[MetricHistoPoints]


# Nodes


@strawberry.type
class Node:
    id: ID
    hostname: str
    cluster: str
    sub_cluster: str
    jobs_running: int
    cpus_allocated: int | None
    memory_allocated: int | None
    gpus_allocated: int | None
    scheduler_state: SchedulerState
    health_state: MonitoringState
    meta_data: AnyValue | None
    health_data: AnyValue | None


@strawberry.type
class NodeStateResultList:
    items: list[Node]
    count: int | None


@strawberry.type
class NodeStates:
    state: str
    count: int


@strawberry.type
class NodeStatesTimed:
    state: str
    counts: list[int]
    times: list[int]


@strawberry.type
class HintEvidence:
    value: float
    threshold: float
    unit: str


@strawberry.type
class Hint:
    """What stands out in a job: `severity` is critical, warning or info."""

    id: str
    severity: str
    title: str
    detail: str
    suggestion: str
    metric: str | None
    evidence: HintEvidence


@strawberry.type
class FreeResources:
    """What is left on the nodes of a subcluster that jobs share; `memory` in MB, null: not known."""

    sub_cluster: str
    nodes: int
    cores: int
    accelerators: int
    memory: int | None


@strawberry.type
class NodeJob:
    """A job on a node, with what it has of it; `stop` is null while it runs."""

    id: int
    job_id: int
    job_name: str
    user: str
    project: str
    state: JobState
    shared: str
    start: int
    stop: int | None
    hostname: str
    hwthreads: list[int] | None
    accelerators: list[str] | None


@strawberry.type
class NodeEvent:
    """From `time` on the scheduler says `state` of the node, the metric store `health`."""

    time: int
    state: str
    health: str


@strawberry.type
class NodeMetrics:
    host: str
    node_state: str
    metric_health: str
    sub_cluster: str
    metrics: list[JobMetricWithName]


@strawberry.type
class NodesResultList:
    items: list[NodeMetrics]
    offset: int | None
    limit: int | None
    count: int | None
    total_nodes: int | None
    has_next_page: bool | None


@strawberry.type
class ClusterMetricWithName:
    name: str
    unit: Unit | None
    timestep: int
    data: list[NullableFloat]


@strawberry.type
class ClusterMetrics:
    node_count: int
    metrics: list[ClusterMetricWithName]


@strawberry.type
class ManyTagged:
    matching: int
    affected: int
    changed: int


# Reachable from no field, yet part of the published schema


@strawberry.type
class IntRangeOutput:
    from_: int = strawberry.field(name="from")
    to: int


@strawberry.type
class TimeRangeOutput:
    range: str | None
    from_: Time = strawberry.field(name="from")
    to: Time
