"""What is left on nodes that jobs share. Contract: spec/web-ui.md 9.17.

A node without a job is free as a whole and counted elsewhere; here it is about the rest of the others. What a
job has of a node is what its resources name: a job without hardware threads there has the whole node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ccserver.clusters import Cluster, SubCluster
from ccserver.clusters.units import convert
from ccserver.model.job import Job
from ccserver.model.metrics import Unit
from ccserver.nodes.repository import NodeState

_CAPACITY = "mem_used"  # its peak is the memory of a node
_MEGABYTE = Unit("B", "M")
_AWAY = ("down", "reserved")


@dataclass(frozen=True, slots=True)
class FreeParts:
    """Free on the `nodes` of a subcluster that have jobs and still room; `memory` in MB, None: not known."""

    subcluster: str
    nodes: int
    cores: int
    accelerators: int
    memory: int | None


@dataclass(slots=True)
class _Used:
    threads: set[int] = field(default_factory=set)
    accelerators: set[str] = field(default_factory=set)
    whole: bool = False


def free_parts(cluster: Cluster, running: Iterable[Job], reported: Iterable[NodeState]) -> list[FreeParts]:
    """Per subcluster, in the order of the configuration; hosts reported down or reserved give nothing."""
    states = {one.hostname: one for one in reported}
    used: dict[str, dict[str, _Used]] = {name: {} for name in cluster.subclusters}
    for job in running:
        hosts = used.get(job.subcluster)
        if hosts is None:
            continue
        for part in job.resources:
            one = hosts.setdefault(part.hostname, _Used())
            one.whole |= job.shared == "none" or part.hwthreads is None
            one.threads.update(part.hwthreads or ())
            one.accelerators.update(part.accelerators or ())
    return [_free(cluster.subclusters[name], hosts, states) for name, hosts in used.items()]


def _free(subcluster: SubCluster, hosts: Mapping[str, _Used], states: Mapping[str, NodeState]) -> FreeParts:
    topology, capacity = subcluster.topology, _capacity(subcluster)
    nodes = cores = accelerators = 0
    memory: int | None = None
    for host, one in hosts.items():
        state = states.get(host)
        if one.whole or (state is not None and state.scheduler_state in _AWAY):
            continue
        free_cores = sum(one.threads.isdisjoint(threads) for threads in topology.core)
        free_accelerators = sum(unit.id not in one.accelerators for unit in topology.accelerators)
        if not free_cores and not free_accelerators:
            continue
        nodes += 1
        cores += free_cores
        accelerators += free_accelerators
        if capacity and state is not None and state.memory_allocated:
            memory = (memory or 0) + max(0, capacity - state.memory_allocated)
    return FreeParts(subcluster.name, nodes, cores, accelerators, memory)


def _capacity(subcluster: SubCluster) -> int:
    """Memory of a node in MB, 0 where no metric tells it."""
    metric = subcluster.metrics.get(_CAPACITY)
    try:
        return int(convert(metric.peak, metric.unit, _MEGABYTE)) if metric is not None else 0
    except ValueError:
        return 0
