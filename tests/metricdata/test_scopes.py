from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccserver.clusters import Accelerator, Topology
from ccserver.metricdata.scopes import ComponentQuery, coarser, coarsest, component_queries

SMT = Topology(
    node=tuple(range(8)),
    socket=((0, 1, 4, 5), (2, 3, 6, 7)),
    memory_domain=((0, 4), (1, 5), (2, 6), (3, 7)),
    core=((0, 4), (1, 5), (2, 6), (3, 7)),
    accelerators=(Accelerator("00000000:49:00.0"), Accelerator("00000000:0E:00.0")),
)
ALL = tuple(range(8))
# One of the two threads of core 0 and both of core 1: sockets 0 only.
PART = (0, 5, 1)


def ask(
    native: str, requested: str, hwthreads: tuple[int, ...] = PART, *accelerators: str
) -> list[ComponentQuery]:
    return component_queries(native, requested, SMT, hwthreads, accelerators)


def combined(kind: str, ids: str, result_id: str | None) -> ComponentQuery:
    return ComponentQuery(kind, tuple(ids.split()), aggregate=True, result_id=result_id)


def each(kind: str, ids: str) -> ComponentQuery:
    return ComponentQuery(kind, tuple(ids.split()))


def test_coarser_goes_by_rank() -> None:
    assert coarser("core", "socket") == "socket"
    assert coarser("accelerator", "hwthread") == "hwthread"
    assert coarsest(["hwthread", "memoryDomain", "core"]) == "memoryDomain"


@pytest.mark.parametrize("requested", ["node", "socket", "memoryDomain", "core", "hwthread", "accelerator"])
def test_a_node_metric_is_read_from_the_host(requested: str) -> None:
    assert ask("node", requested) == [ComponentQuery()]


@pytest.mark.parametrize(
    ("native", "requested", "expected"),
    [
        ("socket", "node", [combined("socket", "0", None)]),
        ("socket", "socket", [each("socket", "0")]),
        ("socket", "core", [each("socket", "0")]),
        ("socket", "accelerator", [each("socket", "0")]),
        ("memoryDomain", "node", [combined("memoryDomain", "0 1", None)]),
        ("memoryDomain", "socket", [combined("memoryDomain", "0 1", "0")]),
        ("memoryDomain", "hwthread", [each("memoryDomain", "0 1")]),
        ("core", "node", [combined("core", "0 1", None)]),
        ("core", "socket", [combined("core", "0 1", "0")]),
        ("core", "memoryDomain", [combined("core", "0", "0"), combined("core", "1", "1")]),
        ("core", "core", [each("core", "0 1")]),
        ("hwthread", "node", [combined("hwthread", "0 5 1", None)]),
        ("hwthread", "socket", [combined("hwthread", "0 1 4 5", "0")]),
        ("hwthread", "memoryDomain", [combined("hwthread", "0 4", "0"), combined("hwthread", "1 5", "1")]),
        ("hwthread", "core", [combined("hwthread", "0 4", "0"), combined("hwthread", "1 5", "1")]),
        ("hwthread", "hwthread", [each("hwthread", "0 5 1")]),
        ("hwthread", "accelerator", [each("hwthread", "0 5 1")]),
    ],
)
def test_a_job_owning_part_of_a_node(native: str, requested: str, expected: list[ComponentQuery]) -> None:
    assert ask(native, requested) == expected


def test_whole_sockets_in_ascending_order() -> None:
    assert ask("core", "socket", ALL) == [combined("core", "0 1", "0"), combined("core", "2 3", "1")]
    assert ask("memoryDomain", "socket", ALL) == [
        combined("memoryDomain", "0 1", "0"),
        combined("memoryDomain", "2 3", "1"),
    ]


def test_accelerators_are_those_of_the_job_in_ascending_order() -> None:
    both = ("b", "a")
    assert ask("accelerator", "accelerator", ALL, *both) == [each("accelerator", "a b")]
    assert ask("accelerator", "node", ALL, *both) == [combined("accelerator", "b a", None)]


@pytest.mark.parametrize("requested", ["socket", "memoryDomain", "core", "hwthread"])
def test_accelerators_do_not_add_up_to_processor_parts(requested: str) -> None:
    assert ask("accelerator", requested, ALL, "a") == []


def test_nothing_to_ask_about() -> None:
    assert ask("accelerator", "node", ALL) == []
    assert ask("accelerator", "accelerator", ALL) == []
    assert component_queries("core", "node", Topology((0,), ((0,),), ((0,),)), (0,), ()) == []


# Marked [D] in the contract; the reference sends hardware-thread ids as core ids, no memory domains.
DEVIATIONS = {("core", "socket"), ("core", "memoryDomain"), ("hwthread", "memoryDomain")}


def test_all_pairs_ask_what_the_reference_asks(fixtures: Path) -> None:
    golden = json.loads((fixtures / "metric-store/scopes/scope-golden.json").read_text())
    rows = 0
    for case in golden["cases"]:
        for row in case["Rows"]:
            pair = row["Native"], row["Requested"]
            queries = component_queries(*pair, SMT, case["Hwthreads"], case["Acc"])
            rows += 1
            if pair in DEVIATIONS:
                assert queries
                continue
            scope = coarser(*pair)
            ours = [_comparable(scope, q.aggregate, q.type, q.ids) for q in queries]
            theirs = [
                _comparable(r["scope"], r["aggreg"], r["type"] or "", r["type-ids"] or ())
                for r in row["Results"]
            ]
            assert sorted(ours) == sorted(theirs), (case["Name"], *pair)
    assert rows == 72


def _comparable(scope: str, aggregate: bool, kind: str, ids: Any) -> tuple[str, bool, str, list[str]]:
    return scope, aggregate, kind, sorted(ids)
