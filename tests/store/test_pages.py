"""Pages: every slot has one place, lists stay in order, free memory is used again (kernels/pages.py)."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ccstore import Metric, MetricStore, StoreOptions
from ccstore.kernels import layout
from ccstore.retention import joined
from tests import naive

START = 1700000000


def open_store(now: list[float], retention: float = 10**9) -> MetricStore:
    metrics = [Metric(f"m{i}", 60) for i in range(8)]
    return MetricStore({"c": metrics}, StoreOptions(retention=retention), clock=lambda: now[0])


def page_lists(store: MetricStore) -> list[list[tuple[int, int, int, int]]]:
    """By group: (first slot, slots, first unit, units) of its pages, oldest first, read from both ends."""
    tables = store._tables
    found = []
    for group in range(int(tables.counts[layout.GROUP_COUNT])):
        forward = []
        page = int(tables.groups[group, layout.OLDEST])
        while page >= 0:
            forward.append(page)
            page = int(tables.pages[page, layout.NEWER])
        backward = []
        page = int(tables.groups[group, layout.NEWEST])
        while page >= 0:
            backward.append(page)
            page = int(tables.pages[page, layout.OLDER])
        assert forward == backward[::-1]
        rows = []
        for page in forward:
            start, _, _, at, state = tables.pages[page].tolist()
            slots = 8 << (state & 3)
            units = state >> layout.PACKED & 31 or slots * int(tables.groups[group, layout.GROUP_ROWS]) // 8
            rows.append((start, slots, at, units))
        found.append(rows)
    return found


def check(store: MetricStore) -> None:
    """Pages are in order and disjoint, in time and in memory, and so is what is free."""
    memory = []
    for rows in page_lists(store):
        for (start, slots, _, _), (following, _, _, _) in itertools.pairwise(rows):
            assert start + slots <= following
        assert all(start % 8 == 0 for start, _, _, _ in rows)
        memory += [(at, units) for _, _, at, units in rows]
    counts, pages = store._tables.counts, store._tables.pages
    assert sum(units for _, units in memory) == counts[layout.UNITS_IN_USE]
    for units in range(1, layout.MOST_UNITS + 1):
        page = int(counts[layout.FREE_PAGES + units])
        while page >= 0:
            memory.append((int(pages[page, layout.PAGE_AT]), units))
            page = int(pages[page, layout.OLDER])
    memory.sort()
    assert all(at + units <= following for (at, units), (following, _) in itertools.pairwise(memory))
    assert sum(units for _, units in memory) == counts[layout.UNIT_COUNT], "memory has got lost"


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3000)), min_size=1, max_size=300))
def test_samples_in_any_order_have_a_place_each(samples: list[tuple[int, int]]) -> None:
    store = open_store([START + 10**6])
    twins = [naive.Series(60) for _ in range(8)]
    for i, (metric, slot) in enumerate(samples):
        at = START + 60 * slot
        assert store.write(b"m%d,hostname=h value=%d %d" % (metric, i, at), "c").stored == 1
        twins[metric].write(at, i)
    check(store)
    for series in store.tree():
        twin = twins[int(series.metric[1:])]
        assert sum(run.slots for run in series.runs) >= len(twin.slots)
        assert {run.start for run in series.runs} <= {(twin.phase or 0) + 60 * slot for slot in twin.slots}, (
            series
        )


@given(st.lists(st.integers(1, 31), min_size=0, max_size=60), st.data())
def test_joined_memory_is_the_same_memory_in_fewer_pieces(units: list[int], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(0, 2), min_size=len(units), max_size=len(units)))
    places, at = [], 0
    for size, gap in zip(units, gaps, strict=True):
        places.append(at + gap)
        at += gap + size
    order = data.draw(st.permutations(range(len(units))))
    given_places = np.array([places[i] for i in order], np.int64)
    given_units = np.array([units[i] for i in order], np.int64)
    found, found_units = joined(given_places, given_units)
    assert len(found) <= len(units)
    assert all(1 <= size <= layout.MOST_UNITS for size in found_units.tolist())
    assert naive.units(zip(found.tolist(), found_units.tolist(), strict=True)) == naive.units(
        zip(places, units, strict=True)
    )


def test_memory_of_small_pages_becomes_large_pages() -> None:
    """Two days with a retention of one: the second needs no more memory than the first."""
    now = [float(START)]
    store = open_store(now, retention=86400)
    used = []
    for i in range(3 * 1440):
        now[0] = START + 60 * i
        lines = [f"m{m},hostname=h{h} value={i} {START + 60 * i}" for h in range(10) for m in range(8)]
        assert store.write("\n".join(lines).encode(), "c").stored == 80
        if i % 10 == 0:
            store.housekeeping()
        if i % 1440 == 1439:
            used.append(int(store._tables.counts[layout.UNIT_COUNT]))
    check(store)
    assert used[-1] <= 1.12 * used[0], used
