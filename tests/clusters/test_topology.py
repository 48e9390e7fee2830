from __future__ import annotations

import pytest

from ccserver.clusters import Accelerator, Topology

SMT = Topology(
    node=tuple(range(8)),
    socket=((0, 1, 4, 5), (2, 3, 6, 7)),
    memory_domain=((0, 4), (1, 5), (2, 6), (3, 7)),
    core=((0, 4), (1, 5), (2, 6), (3, 7)),
    accelerators=(Accelerator("00000000:49:00.0"), Accelerator("00000000:0E:00.0")),
)


def test_any_overlap_touches_a_component() -> None:
    assert SMT.sockets([0, 2]) == ([0, 1], False)
    assert SMT.cores([4, 1]) == ([0, 1], False)
    assert SMT.memory_domains([7]) == ([3], False)


def test_owning_every_thread_is_exclusive() -> None:
    assert SMT.sockets([5, 4, 1, 0]) == ([0], True)
    assert SMT.cores([0, 4, 1]) == ([0, 1], False)
    assert SMT.cores([0, 4]) == ([0], True)
    assert SMT.memory_domains(range(8)) == ([0, 1, 2, 3], True)


def test_threads_nobody_knows_touch_nothing() -> None:
    assert SMT.sockets([99]) == ([], True)


def test_sockets_of_cores_are_exclusive_when_all_their_cores_are_listed() -> None:
    assert SMT.sockets_of_cores([0, 1]) == ([0], True)
    assert SMT.sockets_of_cores([0, 2, 3]) == ([0, 1], False)


def test_cores_inside_larger_components() -> None:
    assert SMT.cores_of_socket(1) == [2, 3]
    assert SMT.cores_of_memory_domain(2) == [2]


def test_a_memory_domain_lies_where_its_first_thread_lies() -> None:
    assert [SMT.socket_of_memory_domain(domain) for domain in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize("domain", [-1, 2, 3])
def test_a_missing_empty_or_homeless_memory_domain_is_an_error(domain: int) -> None:
    topology = Topology(node=(0, 1), socket=((0, 1),), memory_domain=((0,), (1,), (), (9,)))
    with pytest.raises(ValueError, match=str(domain)):
        topology.socket_of_memory_domain(domain)


def test_accelerators_by_index() -> None:
    assert SMT.accelerator_id(1) == "00000000:0E:00.0"
    with pytest.raises(ValueError, match="out of range"):
        SMT.accelerator_id(2)


def test_inconsistent_lists_are_accepted() -> None:
    topology = Topology(node=(0,), socket=((0, 1),), memory_domain=((0,),), core=((0,), (1,), (5,)))
    assert topology.cores([0, 5]) == ([0, 2], True)
    assert topology.cores_of_socket(0) == [0, 1]
