"""Reads: spec/metric-store.md 4 and 6.1."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore import InvalidRange, Metric, MetricStore, Query, SeriesResult, StoreOptions
from tests import naive
from tests.store.conftest import StoreMaker

START = 1700000000

# What these cases differ in is marked as a deliberate deviation in the contract: padding, statistics before
# resampling,
# averages over gaps, resolutions that are no multiple. The value is what has to come instead, as changes to
# the answer.
DEVIATIONS: dict[str, dict[str, Any]] = {
    "range begins before the data, padded": {"from": 1699999717},
    "range ends after the data": {"to": 1700001517, "data": [1.73, 1.145] + [None] * 13},
    "range entirely after the data": {"to": 1700005617, "data": [None] * 10},
    "average over all hwthreads, gaps in one thread": {
        "data": [2413.708, 2413.907, 2414.042, 2414.092, 2414.624, 2414.46, 2414.156, 2413.49, 2413.26,
        2413.068,
                 2412.945, 2412.909],
        "avg": 2413.72, "max": 2414.62,
    },
    "resolution 120 (minimum-points 10)": {"avg": 4.69},
    "resolution 180 (minimum-points 10)": {"avg": 4.69},
    "resolution 90 is no multiple (minimum-points 10)": {
        "error": None, "data": [4.0, 6.152, 6.999, 6.026, 2.672, 1.145], "from": 1700000017, "to": 1700000737,
        "resolution": 120, "avg": 4.69, "min": 1.15, "max": 7.0,
    },
}  # fmt: skip


def query_from(document: dict[str, Any]) -> Query:
    return Query(
        document["metric"],
        document["host"],
        document.get("type", ""),
        tuple(document.get("type-ids", ())),
        document.get("subtype", ""),
        tuple(document.get("subtype-ids", ())),
        document.get("aggreg", False),
        document.get("resolution", 0),
        document.get("scale-by", 0.0),
    )


def same(expected: float | None, got: float, within: float) -> bool:
    return math.isnan(got) if expected is None else abs(expected - got) <= within


def check_result(name: str, expected: dict[str, Any], got: SeriesResult) -> None:
    expected = expected | DEVIATIONS.get(name, {})
    assert got.error == expected.get("error"), name
    if got.error:
        return
    assert (got.start, got.to, got.resolution) == (
        expected["from"],
        expected["to"],
        expected["resolution"],
    ), name
    data = [] if got.data is None else got.data.tolist()
    wanted = expected.get("data", [])
    assert len(data) == len(wanted), name
    # Three decimals of numbers sent with four: half of the last digit and what float32 takes away.
    assert all(same(w, g, 0.00052 + abs(g) * 1e-7) for w, g in zip(wanted, data, strict=True)), (name, data)
    for key, value in (("avg", got.avg), ("min", got.min), ("max", got.max)):
        assert same(expected[key], value, 0.00502), (name, key, value)


def test_golden_queries(fixtures: Path, testc: list[Metric]) -> None:
    folder = fixtures / "metric-store"
    stream = (folder / "lineprotocol/stream-12-steps.lp").read_bytes()
    for case in json.loads((folder / "query/query-golden.json").read_text()):
        request = case["request"]
        options = StoreOptions(minimum_points=10 if "minimum-points 10" in case["name"] else 1000)
        store = MetricStore({"testc": testc}, options, clock=lambda: 1700000800.0)
        store.write(stream)

        def ask(store: MetricStore = store, request: dict[str, Any] = request) -> Any:
            return store.query(
                request.get("cluster", ""),
                request["from"],
                request["to"],
                [query_from(q) for q in request.get("queries", ())],
                for_all_nodes=request.get("for-all-nodes", ()),
                with_stats=request.get("with-stats", True),
                with_padding=request.get("with-padding", True),
            )

        if "error" in case:
            with pytest.raises(ValueError, match="METRICSTORE") as raised:
                ask()
            assert str(raised.value) == case["error"]
            continue
        answer = ask()
        expected = case["response"]
        assert [query_from(q) for q in expected.get("queries", ())] == answer.queries
        for wanted, got in zip(expected["results"], answer.rows, strict=True):
            assert len(wanted) == len(got), case["name"]
            for one, other in zip(wanted, got, strict=True):
                check_result(case["name"], one, other)


@pytest.mark.parametrize(
    ("start", "to", "data", "end"),
    [
        (1010, 1250, [0.0, 1.0, 2.0, 3.0], 1250),
        (1030, 1090, [1.0], 1090),
        (1029, 1089, [0.0], 1089),
        (1040, 1200, [1.0, 2.0, 3.0], 1220),
        (1040, 1040, [], 1040),
    ],
)
def test_each_point_is_the_nearest_sample(
    make_store: StoreMaker, start: int, to: int, data: list[float], end: int
) -> None:
    store = make_store(now=2000.0)
    for i in range(10):
        store.write(b"cpu_load,hostname=h value=%d %d" % (i, 1000 + 60 * i), "c")
    ((result,),) = store.query("c", start, to, [Query("cpu_load", "h")]).rows
    assert result.data is not None
    assert (result.data.tolist(), result.start, result.to) == (data, start, end)


def test_ranges_that_are_refused(make_store: StoreMaker) -> None:
    store = make_store()
    store.write(b"cpu_load,hostname=h value=1 1700000000", "c")
    with pytest.raises(InvalidRange, match="invalid time range"):
        store.query("c", 2, 1, [])
    ((result,),) = store.query("c", 0, 60 * 10**7 + 1, [Query("cpu_load", "h")]).rows
    assert result.error is not None
    with pytest.raises(ValueError, match="unknown resampler algorithm: best"):
        store.query("c", 1, 2, [], resample_algorithm="best")  # type: ignore[arg-type]


def test_reading_creates_nothing(make_store: StoreMaker) -> None:
    store = make_store()
    store.write(b"flops_any,hostname=h,type=hwthread,type-id=0 value=1 1700000000", "c")
    before = store.counters()
    queries = [Query("cpu_load", "x"), Query("flops_any", "h", "core", ("0", "9")), Query("cpu_load", "h")]
    assert store.query("c", START, START + 60, queries).rows == [[], [], []]
    assert store.query("nosuch", START, START + 60, [Query("cpu_load", "x")]).rows[0][0].error
    store.health("c", ["x"], ["cpu_load", "y"])
    store.free([["c", "x"], ["c", "h", "core0"]], START)
    assert store.counters() == before


def test_implicit_descent_takes_one_type_the_native_scope_first(make_store: StoreMaker) -> None:
    store = make_store()
    both = [b"flops_any,hostname=h,type=hwthread,type-id=%d value=1 1700000000" % i for i in range(4)]
    both += [b"flops_any,hostname=h,type=socket,type-id=%d value=100 1700000000" % i for i in range(2)]
    store.write(b"\n".join(both), "c")
    assert value(store, Query("flops_any", "h")) == 4.0
    store.write(b"\n".join(line.replace(b"=h,", b"=s,") for line in both[4:]), "c")
    assert value(store, Query("flops_any", "s")) == 200.0
    store.write(b"flops_any,hostname=h value=7 1700000000", "c")
    assert value(store, Query("flops_any", "h")) == 7.0


def value(store: MetricStore, query: Query) -> float:
    ((result,),) = store.query("c", START, START + 60, [query]).rows
    assert result.data is not None
    return float(result.data[0])


def test_ids_belong_to_their_data_even_with_missing_ones(make_store: StoreMaker) -> None:
    store = make_store()
    for i in (0, 2):
        store.write(b"flops_any,hostname=h,type=cpu,type-id=%d value=%d 1700000000" % (i, i), "c")
    (row,) = store.query("c", START, START + 60, [Query("flops_any", "h", "cpu", ("2", "1", "0"))]).rows
    assert [(r.id, float(r.data[0])) for r in row if r.data is not None] == [("2", 2.0), ("0", 0.0)]
    (row,) = store.query(
        "c", START, START + 60, [Query("flops_any", "h", "cpu", ("2", "0"), aggregate=True)]
    ).rows
    assert row[0].id is None


def test_no_aggregation_over_several_children(make_store: StoreMaker) -> None:
    store = make_store([Metric("t", 60)])
    store.write(b"t,hostname=h,type=core,type-id=0 value=5 1700000000", "c")
    assert value(store, Query("t", "h")) == 5.0
    store.write(b"t,hostname=h,type=core,type-id=1 value=6 1700000000", "c")
    ((result,),) = store.query("c", START, START + 60, [Query("t", "h")]).rows
    assert result.error == "[METRICSTORE]> invalid aggregation"


def test_children_without_a_value_in_range_take_no_part(make_store: StoreMaker) -> None:
    store = make_store([Metric("t", 60), Metric("s", 60, "sum", "core")])
    for name in (b"t", b"s"):
        store.write(name + b",hostname=h,type=core,type-id=0 value=5 1700000000", "c")
        store.write(name + b",hostname=h,type=core,type-id=1 value=6 1699990000", "c")
    assert value(store, Query("t", "h")) == 5.0
    assert value(store, Query("t", "h", "core", ("1", "0"), aggregate=True)) == 5.0
    assert value(store, Query("s", "h")) == 5.0


def test_an_answer_has_a_bound(make_store: StoreMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccstore.read.MOST_POINTS", 100)
    store = make_store()
    store.write(b"cpu_load,hostname=h value=1 1700000000", "c")
    for i in range(20):
        store.write(b"flops_any,hostname=h,type=core,type-id=%d value=1 1700000000" % i, "c")
    threads = Query("flops_any", "h", "core", tuple(map(str, range(20))))
    first, second, third = store.query(
        "c", START, START + 600, [Query("cpu_load", "h"), threads, Query("nosuch", "h")]
    ).rows
    assert first[0].error is None
    assert len(second) == 20
    refused = [result for result in second if result.error]
    assert len(refused) == 11
    assert "ask for less at once" in str(refused[0].error)
    assert "unknown metric" in str(third[0].error)


@pytest.mark.parametrize("times", [(-(1 << 62), 0), (0, 1 << 62), (-(1 << 62), 1 << 62)])
def test_times_beyond_all_measure_are_refused(make_store: StoreMaker, times: tuple[int, int]) -> None:
    store = make_store()
    store.write(b"cpu_load,hostname=h value=1 1700000000", "c")
    with pytest.raises(InvalidRange, match="invalid time range"):
        store.query("c", *times, [Query("cpu_load", "h")])
    ((result,),) = store.query("c", 1 << 53, 1 << 53, [Query("cpu_load", "h")]).rows
    assert result.to == 1 << 53


@given(
    st.dictionaries(st.integers(0, 300), st.floats(-1e6, 1e6, width=32), max_size=300), st.integers(0, 300)
)
def test_statistics_are_those_of_the_values(values: dict[int, float], count: int) -> None:
    store = MetricStore({"c": [Metric("m", 60)]}, StoreOptions(), clock=lambda: START + 60.0 * 400)
    store.write(b"m,hostname=h value=0 %d" % (START - 60), "c")
    for slot, one in values.items():
        store.write(f"m,hostname=h value={one!r} {START + 60 * slot}".encode(), "c")
    ((result,),) = store.query("c", START, START + 60 * count, [Query("m", "h")], with_data=False).rows
    there = [one for slot, one in values.items() if slot < count]
    if there:
        assert (result.min, result.max) == (min(there), max(there))
        assert result.avg == pytest.approx(math.fsum(there) / len(there), rel=1e-9, abs=1e-6)
    else:
        assert math.isnan(result.avg)
        assert math.isnan(result.min)
        assert math.isnan(result.max)


def test_a_negative_scale_swaps_minimum_and_maximum(make_store: StoreMaker) -> None:
    store = make_store()
    store.write(b"cpu_load,hostname=h value=1 1700000000\ncpu_load,hostname=h value=3 1700000060", "c")
    ((result,),) = store.query("c", START, START + 120, [Query("cpu_load", "h", scale_by=-2.0)]).rows
    assert result.data is not None
    assert result.data.tolist() == [-2.0, -6.0]
    assert (result.avg, result.min, result.max) == (-4.0, -6.0, -2.0)


def test_statistics_do_not_depend_on_resolution_padding_or_data(make_store: StoreMaker) -> None:
    store = make_store(minimum_points=10, now=START + 60.0 * 100)
    for i in range(100):
        store.write(b"cpu_load,hostname=h value=%d %d" % (i * i % 37, START + 60 * i), "c")
    seen = set()
    for resolution in (0, 60, 120, 240, 1000):
        for padding in (True, False):
            for data in (True, False):
                ((result,),) = store.query(
                    "c",
                    START - 600,
                    START + 60 * 120,
                    [Query("cpu_load", "h", resolution=resolution)],
                    with_padding=padding,
                    with_data=data,
                ).rows
                seen.add((result.avg, result.min, result.max))
                assert (result.data is None) != data
    assert len(seen) == 1


_CHILDREN = st.lists(
    st.tuples(
        st.integers(0, 59),
        st.dictionaries(st.integers(0, 30), st.integers(-1000, 1000), min_size=1, max_size=20),
    ),
    min_size=2,
    max_size=5,
)


@given(_CHILDREN, st.sampled_from(["sum", "avg"]), st.integers(-200, 2000), st.integers(0, 2500))
def test_aggregation_of_children_that_do_not_align(
    children: list[tuple[int, dict[int, int]]], aggregation: str, start: int, length: int
) -> None:
    store = MetricStore(
        {"c": [Metric("m", 60, aggregation, "core")]},  # type: ignore[arg-type]
        StoreOptions(),
        clock=lambda: START + 3000.0,
    )
    twins = []
    for i, (phase, values) in enumerate(children):
        twin = naive.Series(60)
        for number, one in sorted(values.items()):
            time = START + phase + 60 * number
            store.write(b"m,hostname=h,type=core,type-id=%d value=%d %d" % (i, one, time), "c")
            twin.write(time, float(one))
        twins.append(twin)
    begin, end = START + start, START + start + length
    ((result,),) = store.query("c", begin, end, [Query("m", "h")]).rows
    assert result.data is not None
    expected = naive.combine([twin.read(begin, end) for twin in twins], aggregation)
    np.testing.assert_allclose(result.data, np.array(expected), rtol=1e-6)
    there = [v for v in expected if not math.isnan(v)]
    if there:
        np.testing.assert_allclose(
            [result.avg, result.min, result.max],
            [sum(there) / len(there), min(there), max(there)],
            rtol=1e-5,
            atol=1e-4,
        )
    else:
        assert math.isnan(result.avg)


def test_newest_values(make_store: StoreMaker) -> None:
    store = make_store(now=START + 600.0)
    lines = [
        b"cpu_load,hostname=a value=1 %d" % (START + 540),
        b"cpu_load,hostname=b value=2 %d" % START,
        b"flops_any,hostname=a,type=hwthread,type-id=0 value=3 %d" % (START + 590),
        b"flops_any,hostname=a,type=hwthread,type-id=1 value=4 %d" % (START + 580),
        b"flops_any,hostname=a,type=hwthread,type-id=2 value=4 %d" % START,
    ]
    store.write(b"\n".join(lines), "c")
    newest = store.last_values("c", ["cpu_load", "flops_any", "nosuch"])
    assert newest.hosts == ["a", "b"]
    np.testing.assert_array_equal(newest.values, [[1.0, 7.0, np.nan], [np.nan, np.nan, np.nan]])
    assert newest.times.tolist() == [[START + 540, START + 590, 0], [START, 0, 0]]
    assert store.last_values("c", ["cpu_load"], ["x", "a"]).values[1, 0] == 1.0


def test_health(make_store: StoreMaker) -> None:
    now = START + 3600.0
    store = make_store([Metric("a", 60), Metric("b", 60, "sum", "core")], now=now)
    fresh, old = int(now) - 30, int(now) - 1200
    store.write(b"a,hostname=good value=1 %d\na,hostname=stale value=1 %d" % (fresh, old), "c")
    store.write(b"b,hostname=good,type=core,type-id=0 value=1 %d" % fresh, "c")
    got = store.health("c", ["good", "stale", "none"], ["a", "b", "x"])
    assert (got["good"].state, got["good"].degraded, got["good"].missing) == ("partial", (), ("x",))
    assert (got["stale"].state, got["stale"].degraded, got["stale"].missing) == ("failed", ("a",), ("b", "x"))
    assert (got["none"].state, got["none"].known) == ("failed", False)
    assert store.health("c", ["good"], ["a", "b"])["good"].state == "full"
    assert store.health("c", ["good"], [])["good"].state == "full"
    # Five steps and half a step after the last slot.
    exact = make_store([Metric("a", 60)], now=now)
    exact.write(b"a,hostname=h value=1 %d\na,hostname=i value=1 %d" % (now - 330, now - 331), "c")
    assert exact.health("c", ["h"], ["a"])["h"].state == "full"
    assert exact.health("c", ["i"], ["a"])["i"].state == "failed"


def test_health_of_the_reference(fixtures: Path, testc: list[Metric]) -> None:
    folder = fixtures / "metric-store"
    store = MetricStore({"testc": testc}, StoreOptions(), clock=lambda: 1700003000.0)
    store.write((folder / "lineprotocol/stream-12-steps.lp").read_bytes())
    golden = json.loads((folder / "query/healthcheck-all-stale.json").read_text())
    got = store.health("testc", ["n01", "nope"], ["cpu_load", "unknown_metric"])
    for node, expected in golden.items():
        assert got[node].state == expected["State"]
        if got[node].known:
            text = {"degraded": list(got[node].degraded), "missing": list(got[node].missing)}
            assert text == json.loads(expected["HealthMetrics"])
