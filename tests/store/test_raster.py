"""One sample per slot, whatever the phase, the jitter or a restart of the sender: spec/metric-store.md 3.3,
3.4."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.kernels import layout, snapshot
from tests import naive

START = 1700000000
SAMPLES = 2000


def filled(step: int, streams: dict[str, list[tuple[int, float]]]) -> MetricStore:
    """A store with one host per stream, samples written in the order given."""
    last = max(time for stream in streams.values() for time, _ in stream)
    store = MetricStore(
        {"c": [Metric("m", step)]}, StoreOptions(retention=10**7), clock=lambda: float(max(last, START))
    )
    lines = [
        f"m,hostname={host} value={value!r} {time}"
        for host, stream in streams.items()
        for time, value in stream
    ]
    report = store.write("\n".join(lines).encode(), "c")
    assert report.stored == len(lines)
    return store


def slots(store: MetricStore, host: str) -> list[float]:
    """Values of all slots from the first stored to the last, by slot number: no raster of a query in
    between."""
    store._names()
    tables = store._tables
    found: dict[int, float] = {}
    columns = np.empty((snapshot.COLUMNS, 64), np.int32)
    segments = np.empty((snapshot.SEGMENT_COLUMNS, 10000), np.int32)
    pages = np.empty((snapshot.PAGE_COLUMNS, 10000), np.int32)
    rows = np.empty(1 << 18, np.float32)
    for index in store._series_below(["c", host]).tolist():
        cursor = np.zeros(snapshot.CURSOR_SIZE, np.int64)
        cursor[snapshot.AT_GROUP] = tables.series[index, layout.GROUP]
        cursor[snapshot.AFTER_START] = snapshot.NO_PAGE
        snapshot.collect(tables.flat, 0, columns, segments, pages, rows, cursor)
        for i in np.flatnonzero(pages[snapshot.P_GROUP, : cursor[snapshot.DONE_PAGES]] == 0).tolist():
            first, size, height = pages[snapshot.P_FIRST : snapshot.P_ROWS + 1, i].tolist()
            assert height == 1
            begin = int((pages[snapshot.P_SLOTS, :i] * pages[snapshot.P_ROWS, :i]).sum())
            for j, value in enumerate(rows[begin : begin + size].tolist()):
                if not math.isnan(value):
                    found[first + j] = value
    return [found.get(slot, math.nan) for slot in range(min(found), max(found) + 1)]


@pytest.mark.parametrize("step", [60, 10, 30])
def test_no_gap_and_no_overwrite_for_any_phase_with_jitter(step: int) -> None:
    jitter = max(step // 4 - 1, 0)
    source = random.Random(step)
    streams = {
        f"h{phase}": [
            (START + phase + i * step + source.randint(-jitter, jitter), float(i)) for i in range(SAMPLES)
        ]
        for phase in range(step)
    }
    store = filled(step, streams)
    expected = [float(i) for i in range(SAMPLES)]
    for host, stream in streams.items():
        assert slots(store, host) == expected, host
        # On the raster of its first sample the series reads as it was sent.
        (row,) = store.query("c", stream[0][0], stream[0][0] + SAMPLES * step, [Query("m", host)]).rows
        assert row[0].data is not None
        assert row[0].data.tolist() == expected, host


def test_a_phase_on_the_border_of_slots() -> None:
    store = filled(60, {"h": [(START + t, float(i)) for i, t in enumerate((30, 89, 150, 209, 271, 330))]})
    assert slots(store, "h") == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("step", [60, 12])
def test_a_phase_change_disturbs_one_slot(step: int) -> None:
    jitter = step // 4 - 1
    source = random.Random(step)
    streams = {}
    for shift in range(-step + 1, step):
        first = [(START + i * step + source.randint(-jitter, jitter), float(i)) for i in range(500)]
        second = [
            (START + shift + i * step + source.randint(-jitter, jitter), float(i)) for i in range(500, 1000)
        ]
        streams[f"h{shift}"] = first + [s for s in second if s[0] > first[-1][0]]
    store = filled(step, streams)
    for host, stream in streams.items():
        got = [v for v in slots(store, host) if not math.isnan(v)]
        sent = [v for _, v in stream]
        assert len(set(sent) - set(got)) <= 1, host
        assert sorted(got) == got, host
        before, after = [v for v in got if v < 500], [v for v in got if v >= 500]
        assert after[1:] == [float(i) for i in range(int(after[1]), 1000)], host
        assert before[:-1] == [float(i) for i in range(len(before) - 1)], host
        gaps = sum(math.isnan(v) for v in slots(store, host))
        assert gaps <= 1, host


@pytest.mark.parametrize("drift", [0.97, 0.99, 1.01, 1.03])
def test_a_sender_whose_clock_drifts_keeps_one_sample_per_slot(drift: float) -> None:
    stream = [(START + int(i * 60 * drift), float(i)) for i in range(SAMPLES)]
    got = slots(filled(60, {"h": stream}), "h")
    values = [v for v in got if not math.isnan(v)]
    allowed = SAMPLES * abs(1 - drift) + 10
    assert SAMPLES - len(values) <= allowed
    assert len(got) - len(values) <= allowed


@given(
    st.integers(0, 59),
    st.lists(st.integers(0, 400), min_size=1, max_size=60, unique=True),
    st.randoms(use_true_random=False),
)
def test_the_order_of_writing_does_not_matter(phase: int, numbers: list[int], shuffle: random.Random) -> None:
    stream = [(START + phase + 60 * i, float(i)) for i in numbers]
    shuffled = stream.copy()
    shuffle.shuffle(shuffled)
    store = filled(60, {"a": sorted(stream), "b": shuffled})
    begin, end = START - 600, START + 60 * 420
    (a,), (b,) = store.query("c", begin, end, [Query("m", "a"), Query("m", "b")]).rows
    assert a.data is not None
    assert b.data is not None
    np.testing.assert_array_equal(a.data, b.data)
    twin = naive.Series(60)
    for time, value in stream:
        twin.write(time, value)
    np.testing.assert_array_equal(a.data, np.array(twin.read(begin, end), np.float32))


def test_the_last_of_equal_slots_wins() -> None:
    store = filled(60, {"h": [(START, 1.0), (START, 2.0), (START + 60, 3.0), (START + 5, 4.0)]})
    assert slots(store, "h") == [4.0, 3.0]


def test_a_clock_set_back_overwrites_and_keeps_what_is_newer() -> None:
    store = filled(
        60,
        {"h": [(START + 60 * i, float(i)) for i in range(10)] + [(START + 120, 20.0), (START + 180, 30.0)]},
    )
    assert slots(store, "h") == [0.0, 1.0, 20.0, 30.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]


@given(st.lists(st.tuples(st.integers(0, 20000), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=200))
def test_any_times_at_all_are_stored_close_to_where_they_belong(samples: list[tuple[int, float]]) -> None:
    store = filled(60, {"h": [(START + time, value) for time, value in samples]})
    (series,) = store.tree()
    last = samples[-1]
    around = [v for run in (-60, 0, 60) for v in at(store, START + last[0] + run)]
    assert last[1] in around
    assert sum(run.slots for run in series.runs) <= 20000 // 60 + 64


def at(store: MetricStore, time: int) -> list[float]:
    (row,) = store.query("c", time, time + 1, [Query("m", "h")]).rows
    assert row[0].data is not None
    return row[0].data.tolist()


def test_a_pause_costs_no_memory() -> None:
    store = filled(60, {"h": [(START, 1.0), (START + 9 * 10**6, 2.0)]})
    assert store.counters()["pages"] == 2
