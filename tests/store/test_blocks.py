"""Blocks of many hosts and statistics over many windows say what single queries say."""

from __future__ import annotations

import numpy as np
import pytest

from ccstore import InvalidRange, Metric, MetricStore, Query, StoreOptions

START = 1_700_000_000
METRICS = [Metric("load", 60), Metric("flops", 30, "sum", "hwthread"), Metric("clock", 60, "", "hwthread")]


@pytest.fixture(scope="module")
def store() -> MetricStore:
    """Host h0 sends everything, h1 only half of the time, h2 no flops, h3 two clocks that do not combine."""
    store = MetricStore({"c": METRICS}, StoreOptions(), clock=lambda: START + 1200)
    lines = []
    for step in range(20):
        at = START + 60 * step
        for host in range(4):
            if host == 1 and step % 2:
                continue
            lines.append(f"load,hostname=h{host} value={step + host / 8} {at}")
            if host != 2:
                lines += [
                    f"flops,hostname=h{host},type=hwthread,type-id={t} value={t + step} {at + half}"
                    for t in range(2)
                    for half in (0, 30)
                ]
        lines += [f"clock,hostname=h3,type=hwthread,type-id={t} value=2 {at}" for t in range(2)]
    report = store.write("\n".join(lines).encode(), "c")
    assert report.stored == report.lines
    return store


@pytest.mark.parametrize(("start", "to"), [(0, 1200), (90, 700), (300, 300), (5000, 6000)])
@pytest.mark.parametrize("hosts", [None, ["h3", "h1", "nobody", "h1"], []])
def test_blocks_are_queries_side_by_side(
    store: MetricStore, start: int, to: int, hosts: list[str] | None
) -> None:
    found = store.host_blocks("c", ["load", "flops"], START + start, START + to, hosts)
    expected_hosts = ["h0", "h1", "h2", "h3"] if hosts is None else ["h3", "h1"][: len(hosts)]
    assert found.hosts == expected_hosts
    seen = set()
    for block in found.blocks:
        for row, data, statistics in zip(block.rows, block.data, block.statistics, strict=True):
            host = found.hosts[row]
            seen.add((block.metric, host))
            [[alone]] = store.query("c", START + start, START + to, [Query(block.metric, host)]).rows
            np.testing.assert_array_equal(data, alone.data)
            np.testing.assert_array_equal(statistics, [alone.avg, alone.min, alone.max])
    assert seen == {
        (metric, host)
        for metric in ("load", "flops")
        for host in expected_hosts
        if (metric, host) != ("flops", "h2")
    }


def test_what_cannot_be_read_is_told_beside_the_rest(store: MetricStore) -> None:
    found = store.host_blocks("c", ["clock", "nothing", "load"], START, START + 1200)
    assert [block.metric for block in found.blocks if len(block.rows)] == ["load"]
    assert found.errors == ["[METRICSTORE]> invalid aggregation", "[METRICSTORE]> unknown metric: nothing"]


def test_statistics_over_windows_of_their_own(store: MetricStore) -> None:
    queries = [
        Query("load", "h0"),
        Query("flops", "h1"),
        Query("flops", "h1", type="hwthread", type_ids=("1",)),
        Query("flops", "h0", type="hwthread", type_ids=("0", "1"), aggregate=True),
        Query("flops", "h2"),
        Query("nothing", "h0"),
        Query("clock", "h3"),
        Query("load", "nobody"),
        Query("load", "h0"),
    ]
    starts = START + np.array([0, 60, 300, 555, 0, 0, 0, 0, 1200])
    found = store.statistics("c", queries, starts, START + 1200)
    for query, start, numbers in zip(queries, starts.tolist(), found, strict=True):
        [row] = store.query("c", start, START + 1200, [query]).rows
        alone = [(one.avg, one.min, one.max) for one in row if one.error is None]
        np.testing.assert_array_equal(numbers, alone[0] if alone else [np.nan] * 3)
    assert np.isnan(found).any(axis=1).tolist() == [False] * 4 + [True] * 5


def test_a_window_that_ends_before_it_begins(store: MetricStore) -> None:
    with pytest.raises(InvalidRange):
        store.host_blocks("c", ["load"], START + 1, START)
    with pytest.raises(InvalidRange):
        store.statistics("c", [Query("load", "h0")], np.array([START + 1]), START)
