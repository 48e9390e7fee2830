"""What samples cost, and that a checkpoint has all that was written before it. spec/metric-store.md 15.13."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions

START = 1700000000
METRICS = {"c": [Metric("m", 60, "sum", "hwthread")]}


def series(count: int, at: int, value: float = 1) -> bytes:
    hosts = count // 100
    return "\n".join(
        f"m,hostname=h{h},type=hwthread,type-id={t} value={value} {at}"
        for h in range(hosts)
        for t in range(100)
    ).encode()


@pytest.mark.parametrize("samples", [400, 1440])
def test_samples_cost_little_more_than_their_four_bytes(samples: int) -> None:
    """As counted by the store; benchmarks/store_memory.py compares that with the memory of a process.

    Hours of samples only: a series costs more than 300 bytes before its first one, as long as its line is
    remembered as it is sent.
    """
    store = MetricStore(METRICS, StoreOptions(), lambda: START + 86400.0)
    count = 2000
    for step in range(samples):
        assert store.write(series(count, START + 60 * step), "c").stored == count
    used = store.counters()["memory_bytes"]
    assert isinstance(used, int)
    assert used <= 1.2 * 4 * count * samples + 300 * count


def test_a_gap_of_days_costs_no_more_than_a_page() -> None:
    store = MetricStore(METRICS, StoreOptions(retention=90 * 86400), lambda: START + 60 * 86400.0)
    for day in (0, 30, 60):
        store.write(b"m,hostname=h,type=hwthread,type-id=0 value=1 %d" % (START + 86400 * day), "c")
    assert store.counters()["pages"] == 3


def test_a_checkpoint_beside_a_writer_has_all_that_was_written_before(tmp_path: Path) -> None:
    options = StoreOptions(directory=tmp_path)
    store = MetricStore(METRICS, options, lambda: START + 86400.0)
    store.restore()
    written = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal written
        while not stop.is_set() and written < 1000:
            store.write(series(400, START + 60 * written, written), "c")
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(8):
            before = written
            store.checkpoint()
            twin = tmp_path.with_name(f"copy{turn}")
            shutil.copytree(tmp_path, twin)
            copy = MetricStore(METRICS, StoreOptions(directory=twin), lambda: START + 86400.0)
            assert copy.restore().damaged == 0
            query = [Query("m", f"h{h}", "hwthread", ("0", "99")) for h in range(4)]
            for row in copy.query("c", START, START + 60 * before, query).rows:
                assert len(row) == 2 or not before
                for result in row:
                    assert result.data is not None
                    np.testing.assert_array_equal(result.data, np.arange(before))
    finally:
        stop.set()
        writer.join()
