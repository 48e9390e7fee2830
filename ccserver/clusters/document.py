"""The shape of `cluster.json`. Contract: spec/job-archive.md 6.

Unknown keys are ignored, and null means "not given" wherever a value is optional. What these structs do not
say (names not empty, a step of at least a second, ...) is checked where a `Cluster` is made of them.
"""

from __future__ import annotations

import msgspec


class UnitDocument(msgspec.Struct):
    base: str = ""
    prefix: str | None = None


class ValueDocument(msgspec.Struct):
    unit: UnitDocument = msgspec.field(default_factory=UnitDocument)
    value: float = 0.0


class OverrideDocument(msgspec.Struct, rename="camel"):
    name: str
    peak: float | None = None
    normal: float | None = None
    caution: float | None = None
    alert: float | None = None
    footprint: str | None = None
    energy: str | None = None
    lower_is_better: bool | None = None
    restrict: bool | None = None
    remove: bool | None = None


class MetricDocument(msgspec.Struct, rename="camel"):
    name: str = ""
    unit: UnitDocument = msgspec.field(default_factory=UnitDocument)
    scope: str | None = None
    timestep: int = 0
    aggregation: str | None = None
    peak: float | None = None
    normal: float | None = None
    caution: float | None = None
    alert: float | None = None
    lower_is_better: bool | None = None
    footprint: str | None = None
    energy: str | None = None
    restrict: bool | None = None
    sub_clusters: list[OverrideDocument] | None = None


class AcceleratorDocument(msgspec.Struct):
    id: str = ""
    type: str | None = None
    model: str | None = None


class TopologyDocument(msgspec.Struct, rename="camel"):
    node: list[int] | None = None
    socket: list[list[int]] | None = None
    memory_domain: list[list[int]] | None = None
    die: list[list[int | None]] | None = None
    core: list[list[int]] | None = None
    accelerators: list[AcceleratorDocument] | None = None


class SubClusterDocument(msgspec.Struct, rename="camel"):
    name: str = ""
    nodes: str = ""
    processor_type: str | None = None
    sockets_per_node: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    flop_rate_scalar: ValueDocument | None = None
    flop_rate_simd: ValueDocument | None = None
    memory_bandwidth: ValueDocument | None = None
    topology: TopologyDocument = msgspec.field(default_factory=TopologyDocument)
    metric_config: list[MetricDocument] | None = None
    footprint: list[str] | None = None
    energy_footprint: list[str] | None = None


class ClusterDocument(msgspec.Struct, rename="camel"):
    name: str = ""
    metric_config: list[MetricDocument] | None = None
    sub_clusters: list[SubClusterDocument] | None = None
