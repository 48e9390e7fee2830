"""What shared nodes have left. Contract: spec/web-ui.md 9.17."""

from __future__ import annotations

from typing import Any

from ccserver.clusters import Clusters
from ccserver.model.job import Resource
from ccserver.nodes.free import FreeParts, free_parts
from ccserver.nodes.repository import NodeState
from tests.jobs.records import CLUSTER, NOW, make_job

GPUS = ["gpu0", "gpu1"]
TWO_THREADS_A_CORE = {
    "node": list(range(8)), "socket": [list(range(8))], "memoryDomain": [list(range(8))],
    "core": [[0, 4], [1, 5], [2, 6], [3, 7]],
    "accelerators": [{"id": name, "type": "GPU", "model": "X"} for name in GPUS],
}  # fmt: skip


def part(host: str, threads: list[int] | None, accelerators: list[str] | None = None) -> Resource:
    return Resource(host, threads, accelerators)


def shared(number: int, *parts: Resource, **more: Any) -> Any:
    return make_job(number, resources=list(parts), shared="multi_user", **more)


def state(host: str, word: str, memory: int = 0) -> NodeState:
    return NodeState(1, host, "alpha", "main", NOW, word, "full", memory_allocated=memory)


def free(*jobs: Any, states: tuple[NodeState, ...] = ()) -> FreeParts:
    main = {**CLUSTER["subClusters"][0], "topology": TWO_THREADS_A_CORE}
    document = {**CLUSTER, "subClusters": [main]}
    [found] = free_parts(Clusters.from_documents({"alpha": document})["alpha"], jobs, states)
    return found


def test_cores_with_a_thread_of_any_job_and_named_accelerators_are_taken() -> None:
    first = shared(1, part("a01", [0, 4], ["gpu0"]), part("a02", [0]))
    second = shared(2, part("a01", [1]))
    assert free(first, second) == FreeParts("main", nodes=2, cores=2 + 3, accelerators=1 + 2, memory=None)


def test_whole_nodes_full_nodes_and_those_out_of_service_have_nothing_left() -> None:
    jobs = (
        make_job(1, resources=[part("a01", [0])]),  # exclusive
        shared(2, part("a02", None)),
        shared(3, part("a03", [0, 1, 2, 3], GPUS)),
        shared(4, part("a04", [0])),
        shared(5, part("a05", [0])),
        shared(6, part("x01", [0]), subcluster="gone"),
    )
    out = (state("a04", "down"), state("a05", "reserved"))
    assert free(*jobs, states=out) == FreeParts("main", 0, 0, 0, None)


def test_memory_is_what_the_scheduler_has_not_given_away() -> None:
    jobs = (shared(1, part("a01", [0])), shared(2, part("a02", [0])))
    states = (state("a01", "mixed", memory=30_000), state("a02", "mixed"))
    assert free(*jobs, states=states).memory == 100_000 - 30_000
