"""Acceptance checks 4, 6, 8 and 9 of spec/metric-store.md 15; other tests hold the detail."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccserver.clusters import Accelerator, Topology
from ccserver.metricdata.scopes import component_queries
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests import naive
from tests.store import test_query as queries
from tests.store import test_resampling as resampling

START = 1700000000


def test_check_04_golden_queries(fixtures: Path, testc: list[Metric]) -> None:
    golden = json.loads((fixtures / "metric-store/query/query-golden.json").read_text())
    assert len(golden) == 27
    assert set(queries.DEVIATIONS) <= {case["name"] for case in golden}
    queries.test_golden_queries(fixtures, testc)


_CHILD = st.fixed_dictionaries(
    {
        "phase": st.integers(0, 59),
        "begin": st.integers(0, 200),
        "values": st.lists(
            st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=90
        ).filter(any),
    }
)


@given(
    st.lists(_CHILD, min_size=1, max_size=6),
    st.sampled_from(["sum", "avg"]),
    st.integers(-3000, 20000),
    st.integers(0, 20000),
    st.booleans(),
)
def test_check_06_aggregation_never_fails_and_equals_an_oracle(
    children: list[dict[str, Any]], aggregation: Any, start: int, length: int, listed: bool
) -> None:
    metric = Metric("m", 60, aggregation, "core")
    store = MetricStore({"c": [metric]}, StoreOptions(), clock=lambda: START + 40000.0)
    twins = []
    for number, child in enumerate(children):
        twin = naive.Series(60)
        for place, value in enumerate(child["values"], child["begin"]):
            if value is not None:
                time = START + child["phase"] + 60 * place
                line = f"m,hostname=h,type=core,type-id={number} value={value!r} {time}"
                assert store.write(line.encode(), "c").stored == 1
                twin.write(time, value)
        twins.append(twin)
    ids = tuple(map(str, range(len(children) + 2))) if listed else ()  # two of them do not exist
    query = Query("m", "h", "core" if listed else "", ids, aggregate=listed)
    begin, end = START + start, START + start + length
    ((result,),) = store.query("c", begin, end, [query]).rows
    assert result.error is None
    assert (result.start, result.resolution) == (begin, 60)
    assert result.data is not None
    expected = np.array(naive.combine([twin.read(begin, end) for twin in twins], aggregation))
    np.testing.assert_allclose(result.data, expected, rtol=1e-6, atol=0.2)
    there = expected[~np.isnan(expected)]
    if len(there):
        np.testing.assert_allclose(
            [result.avg, result.min, result.max],
            [there.mean(), there.min(), there.max()],
            rtol=1e-5,
            atol=0.2,
        )
    else:
        assert math.isnan(result.avg)


def test_check_08_resampler_golden_vectors(fixtures: Path) -> None:
    resampling.test_golden_vectors(fixtures)


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=150).filter(any),
    st.integers(0, 3000),
    st.sampled_from(["", "lttb", "average", "simple"]),
)
def test_check_08_statistics_do_not_depend_on_the_resolution(
    values: list[float | None], resolution: int, algorithm: Any
) -> None:
    end = START + 60 * len(values)
    store = MetricStore({"c": [Metric("m", 60)]}, StoreOptions(minimum_points=3), clock=lambda: float(end))
    for place, value in enumerate(values):
        if value is not None:
            store.write(f"m,hostname=h value={value!r} {START + 60 * place}".encode(), "c")
    native, resampled = (
        store.query("c", START, end, [Query("m", "h", resolution=one)], resample_algorithm=algorithm).rows[0][
            0
        ]
        for one in (0, resolution)
    )
    assert (native.avg, native.min, native.max) == (resampled.avg, resampled.min, resampled.max)
    there = [value for value in values if value is not None]
    assert (native.min, native.max) == (min(there), max(there))


TOPOLOGIES = {
    "two threads a core": Topology(
        node=tuple(range(8)),
        socket=((0, 1, 4, 5), (2, 3, 6, 7)),
        memory_domain=((0, 4), (1, 5), (2, 6), (3, 7)),
        core=((0, 4), (1, 5), (2, 6), (3, 7)),
    ),
    "one thread a core": Topology(
        node=(0, 1, 2, 3),
        socket=((0, 1), (2, 3)),
        memory_domain=((0, 1), (2, 3)),
        core=((0,), (1,), (2,), (3,)),
    ),
    "accelerators": Topology(
        node=(0, 1),
        socket=((0, 1),),
        memory_domain=((0, 1),),
        core=((0,), (1,)),
        accelerators=(Accelerator("00000000:49:00.0"), Accelerator("00000000:0E:00.0")),
    ),
}
CPU_SCOPES = ("socket", "memoryDomain", "core", "hwthread")


def threads_of(topology: Topology, scope: str) -> dict[str, set[int]]:
    """Hardware threads of every component of a scope."""
    groups = {
        "node": (topology.node,),
        "socket": topology.socket,
        "memoryDomain": topology.memory_domain,
        "core": topology.core,
    }
    if scope == "hwthread":
        return {str(one): {one} for one in topology.node}
    return {str(i): set(group) for i, group in enumerate(groups[scope])}


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("missing", [None, "0", "1"])
def test_check_09_every_series_has_the_id_of_its_data(name: str, missing: str | None) -> None:
    topology = TOPOLOGIES[name]
    accelerators = tuple(one.id for one in topology.accelerators)
    metrics = [Metric(f"m_{scope}", 60, "sum", scope) for scope in (*CPU_SCOPES, "accelerator")]
    store = MetricStore({"c": metrics}, StoreOptions(), clock=lambda: START + 60.0)
    weights: dict[str, dict[str, float]] = {}
    for scope in (*CPU_SCOPES, "accelerator"):
        ids = accelerators if scope == "accelerator" else tuple(threads_of(topology, scope))
        weights[scope] = {one: float(2**place) for place, one in enumerate(ids) if one != missing}
        for one, weight in weights[scope].items():
            line = f"m_{scope},hostname=h,type={scope},type-id={one} value={weight} {START}"
            assert store.write(line.encode(), "c").stored == 1
    rank = ("hwthread", "core", "memoryDomain", "socket", "node")
    for native in CPU_SCOPES:
        for requested in (*CPU_SCOPES, "node"):
            scope = max(native, requested, key=rank.index)
            got: dict[str, float] = {}
            for asked in component_queries(native, requested, topology, topology.node, accelerators):
                query = Query(f"m_{native}", "h", asked.type, asked.ids, aggregate=asked.aggregate)
                for result in store.query("c", START, START + 60, [query]).rows[0]:
                    assert result.data is not None
                    identity = asked.result_id if asked.aggregate else result.id
                    got[identity or "node"] = float(result.data[0])
            owners = threads_of(topology, native)
            expected = {
                "node" if scope == "node" else component: total
                for component, threads in threads_of(topology, scope).items()
                if (total := sum(w for one, w in weights[native].items() if owners[one] <= threads))
            }
            assert got == expected, (native, requested)
    (each,) = component_queries("accelerator", "accelerator", topology, (), accelerators) or [None]
    if each is not None:
        (row,) = store.query("c", START, START + 60, [Query("m_accelerator", "h", each.type, each.ids)]).rows
        assert {str(one.id): float(one.data[0]) for one in row if one.data is not None} == weights[
            "accelerator"
        ]
