"""A store through writes, checkpoints, packing, retention, `free`, clean stops and crashes in any order.

It reads like a dictionary of what it was given.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.abandon import abandon

START = 1700000040
RETENTION = 2 * 3600
METRICS = [Metric("cpu_load", 60), Metric("flops_any", 10, "sum", "hwthread")]
STEP = {metric.name: metric.frequency for metric in METRICS}
SERIES = [("cpu_load", f"h{i}", "") for i in range(4)] + [
    ("flops_any", f"h{i}", str(thread)) for i in range(2) for thread in range(3)
]


def phase(series: int) -> int:
    """Of its sender, whole seconds."""
    return 7 * series % STEP[SERIES[series][0]]


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now = float(START)
        self.known: dict[int, dict[int, float]] = {i: {} for i in range(len(SERIES))}
        self.store = self.opened()

    @initialize(journal=st.booleans(), pack_after=st.sampled_from([0, 600]))
    def begins(self, journal: bool, pack_after: int) -> None:
        self.store.close()
        self.options = StoreOptions(
            directory=self.folder, retention=RETENTION, journal=journal, pack_after=pack_after, num_workers=1
        )
        self.store = self.opened()

    options = StoreOptions(retention=RETENTION)

    def opened(self) -> MetricStore:
        store = MetricStore({"c": METRICS}, self.options, clock=lambda: self.now)
        assert store.restore().damaged == 0
        return store

    @rule(
        chosen=st.lists(st.integers(0, len(SERIES) - 1), min_size=1, max_size=8),
        back=st.one_of(st.just(0), st.integers(0, RETENTION // 60)),
        count=st.integers(1, 40),
        value=st.one_of(st.integers(-100, 10**6).map(float), st.floats(-1e30, 1e30)),
    )
    def write(self, chosen: list[int], back: int, count: int, value: float) -> None:
        """A run of samples of some series, perhaps late ones, perhaps over others."""
        lines = []
        for series in chosen:
            metric, host, thread = SERIES[series]
            step = STEP[metric]
            below = f",type=hwthread,type-id={thread}" if thread else ""
            last = (int(self.now) - START - 60 * back) // step
            for i in range(last - count, last):
                at = START + i * step + phase(series)
                number = value + i
                lines.append(f"{metric},hostname={host}{below} value={number!r} {at}")
                if at >= self.now - RETENTION:
                    self.known[series][at] = float(np.float32(number))
        report = self.store.write("\n".join(lines).encode(), "c")
        assert report.stored + report.dropped.get("too-old", 0) == len(lines)

    @rule(minutes=st.integers(1, 90))
    def time_passes(self, minutes: int) -> None:
        self.now += 60 * minutes
        self.store.housekeeping()

    @rule()
    def checkpoint(self) -> None:
        self.store.checkpoint()

    @rule()
    def cleanup(self) -> None:
        self.store.cleanup()

    @rule(host=st.integers(0, 3))
    def free(self, host: int) -> None:
        """With a checkpoint: until then a crash brings back what the journal has."""
        self.store.free([["c", f"h{host}"]], int(self.now) + 10**6)
        self.store.checkpoint()
        for number, (_, name, _) in enumerate(SERIES):
            if name == f"h{host}":
                self.known[number].clear()

    @rule()
    def clean_stop(self) -> None:
        self.store.close()
        self.store = self.opened()

    @precondition(lambda self: self.options.journal)
    @rule()
    def crash(self) -> None:
        assert self.store.sync()
        abandon(self.store)
        self.store = self.opened()

    @invariant()
    def reads_like_a_dictionary(self) -> None:
        oldest = int(self.now) - RETENTION
        for number, (metric, host, thread) in enumerate(SERIES):
            step, known = STEP[metric], self.known[number]
            begin = START + phase(number) + -(-(oldest - START - phase(number)) // step) * step
            query = Query(metric, host, "hwthread", (thread,)) if thread else Query(metric, host)
            (row,) = self.store.query("c", begin, int(self.now) + 60, [query]).rows
            expected = {at: value for at, value in known.items() if at >= begin}
            if not row:
                assert not expected, SERIES[number]
                continue
            assert row[0].data is not None
            found = {begin + step * i: v for i, v in enumerate(row[0].data.tolist()) if v == v}
            assert found == expected, SERIES[number]

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
