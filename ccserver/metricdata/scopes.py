"""From the scope a metric is measured at to the scope somebody asks for.

Arithmetic on one node's topology; no store, no job. Contract: spec/metric-store.md 9.2, 9.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ccserver.clusters.topology import Topology

RANK = {"node": 10, "socket": 5, "memoryDomain": 4, "core": 3, "hwthread": 2, "accelerator": 1}


@dataclass(frozen=True, slots=True)
class ComponentQuery:
    """What to ask a store about one host and metric.

    `type` "" reads the host itself. Without `aggregate` the answer has one series per id of `ids`; with it
    they are combined into one series, which then belongs to the component `result_id` (None: to the node).
    """

    type: str = ""
    ids: tuple[str, ...] = ()
    aggregate: bool = False
    result_id: str | None = None


WHOLE_HOST = ComponentQuery()


def coarser(one: str, other: str) -> str:
    return one if RANK[one] >= RANK[other] else other


def coarsest(scopes: Iterable[str]) -> str:
    return max(scopes, key=RANK.__getitem__)


def component_queries(
    native: str,
    requested: str,
    topology: Topology,
    hwthreads: Sequence[int],
    accelerators: Sequence[str],
) -> list[ComponentQuery]:
    """The queries that answer `requested` for a metric measured at `native`, in the order of their series.

    `hwthreads` and `accelerators` are the job's share of the host. Asking for something finer than `native`
    yields `native`; the scope of the result is `coarser(native, requested)`. An empty list means that the
    combination does not exist on this host, which is no error.
    """
    if native == "node":
        return [WHOLE_HOST]
    if native == "accelerator":
        return _accelerator_queries(requested, accelerators)
    scope = coarser(native, requested)
    if scope == "node":
        return _combined(native, _touched(native, topology, hwthreads), None)
    if scope == native:
        ids = _touched(native, topology, hwthreads)
        return [ComponentQuery(native, ids)] if ids else []
    members = _members(native, scope, topology, hwthreads)
    return [
        query
        for component in _indices(scope, topology, hwthreads)
        for query in _combined(native, members(component), str(component))
    ]


def _accelerator_queries(requested: str, accelerators: Sequence[str]) -> list[ComponentQuery]:
    if requested == "node":
        return _combined("accelerator", tuple(accelerators), None)
    if requested == "accelerator" and accelerators:
        return [ComponentQuery("accelerator", tuple(sorted(accelerators)))]
    return []


def _combined(kind: str, ids: tuple[str, ...], result_id: str | None) -> list[ComponentQuery]:
    return [ComponentQuery(kind, ids, aggregate=True, result_id=result_id)] if ids else []


def _touched(scope: str, topology: Topology, hwthreads: Sequence[int]) -> tuple[str, ...]:
    return tuple(map(str, _indices(scope, topology, hwthreads)))


def _indices(scope: str, topology: Topology, hwthreads: Sequence[int]) -> Sequence[int]:
    """Ids of the components of `scope` that the threads touch."""
    if scope == "hwthread":
        return hwthreads
    if scope == "core":
        return topology.cores(hwthreads)[0]
    if scope == "memoryDomain":
        return topology.memory_domains(hwthreads)[0]
    return topology.sockets(hwthreads)[0]


def _members(
    native: str, scope: str, topology: Topology, hwthreads: Sequence[int]
) -> Callable[[int], tuple[str, ...]]:
    """Which components of `native` make up one component of `scope`: all of them, also foreign ones.

    Only memory domains are limited to those the job touches.
    """
    groups = {"socket": topology.socket, "memoryDomain": topology.memory_domain, "core": topology.core}[scope]

    def threads(component: int) -> tuple[str, ...]:
        return tuple(map(str, groups[component]))

    def cores(component: int) -> tuple[str, ...]:
        inside = topology.cores_of_socket if scope == "socket" else topology.cores_of_memory_domain
        return tuple(map(str, inside(component)))

    def domains(socket: int) -> tuple[str, ...]:
        return tuple(
            str(domain)
            for domain in topology.memory_domains(hwthreads)[0]
            if _socket_of(topology, domain) == socket
        )

    return {"hwthread": threads, "core": cores, "memoryDomain": domains}[native]


def _socket_of(topology: Topology, domain: int) -> int | None:
    try:
        return topology.socket_of_memory_domain(domain)
    except ValueError:
        return None
