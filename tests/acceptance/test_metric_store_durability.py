"""Acceptance checks 5 and 10 to 14 of spec/metric-store.md 15; other tests hold the detail."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.kernels import snapshot
from ccstore.kernels.layout import BASE
from tests.faults import test_retention as retention
from tests.faults import test_steps as crashes
from tests.store.test_foreign import stream

START = 1700000000
SAMPLES = 2000


def stored(store: MetricStore) -> dict[str, dict[int, tuple[int, float]]]:
    """By host: slot number to nominal time and value, straight from the tables."""
    store._names()
    columns = np.empty((snapshot.COLUMNS, 4096), np.int32)
    segments = np.empty((snapshot.SEGMENT_COLUMNS, 16384), np.int32)
    pages = np.empty((snapshot.PAGE_COLUMNS, 4096), np.int32)
    values = np.empty(1 << 18, np.float32)
    cursor = np.zeros(snapshot.CURSOR_SIZE, np.int64)
    cursor[snapshot.AFTER_START] = snapshot.NO_PAGE
    found: dict[str, dict[int, tuple[int, float]]] = {}
    while True:
        snapshot.collect(store._tables.flat, 0, columns, segments, pages, values, cursor)
        n = int(cursor[snapshot.DONE_SERIES])
        if not n:
            return found
        ends = np.cumsum(columns[snapshot.C_SEGMENTS, :n])
        at = 0
        for p in range(int(cursor[snapshot.DONE_PAGES])):
            group, first, size, rows = pages[:, p].tolist()
            for s in np.flatnonzero(columns[snapshot.C_GROUP, :n] == group).tolist():
                of_series = slice(ends[s] - columns[snapshot.C_SEGMENTS, s], ends[s])
                firsts, offsets = segments[:, of_series]
                host = found.setdefault(store._tables.host_names[columns[snapshot.C_HOST, s]], {})
                row = at + int(columns[snapshot.C_ROW, s]) * size
                for j in np.flatnonzero(~np.isnan(values[row : row + size])).tolist():
                    slot = first + j
                    segment = max(int(np.searchsorted(firsts, slot, "right")) - 1, 0)
                    time = BASE + slot * int(columns[snapshot.C_STEP, s]) + int(offsets[segment])
                    host[slot] = time, float(values[row + j])
            at += size * rows


@pytest.mark.parametrize("step", [60, 30, 10, 7])
def test_check_05_one_sample_per_slot_for_every_phase_and_jitter(step: int) -> None:
    """Every phase 0..f-1, jitter +-f/4-1, 2000 samples: no gap, no overwrite; again after a phase change, at
    which one slot may be disturbed. A value's nominal time is at most 3f/4 from its time stamp."""
    jitter = max(step // 4 - 1, 0)
    source = random.Random(step)
    sent: dict[str, list[int]] = {}
    for phase in range(step):
        other = source.randrange(step)
        first = [START + phase + i * step + source.randint(-jitter, jitter) for i in range(SAMPLES)]
        begin = SAMPLES + 1
        second = [
            START + other + (begin + i) * step + source.randint(-jitter, jitter) for i in range(SAMPLES)
        ]
        sent[f"h{phase}"] = first + second
    last = START + (2 * SAMPLES + 2) * step
    store = MetricStore({"c": [Metric("m", step)]}, StoreOptions(retention=10**7), clock=lambda: float(last))
    lines = [f"m,hostname={h} value={i} {t}" for h, times in sent.items() for i, t in enumerate(times)]
    assert store.write("\n".join(lines).encode(), "c").stored == len(lines)
    held = stored(store)
    assert held.keys() == sent.keys()
    for host, times in sent.items():
        by_slot = sorted(held[host].items())
        for begin, end in ((0, SAMPLES), (SAMPLES, 2 * SAMPLES)):
            part = [(slot, nominal, int(value)) for slot, (nominal, value) in by_slot if begin <= value < end]
            disturbed = 1 if begin else 0
            values = [value for _, _, value in part]
            assert values == list(range(values[0], values[0] + len(values))), (host, "overwritten")
            assert len(values) >= SAMPLES - 1, (host, "lost")
            assert values[-1] >= end - 1 - (not begin), (host, "lost")
            slots = [slot for slot, _, _ in part][disturbed:]
            assert slots == list(range(slots[0], slots[0] + len(slots))), (host, "a gap")
            assert all(4 * abs(nominal - times[v]) <= 3 * step for _, nominal, v in part[disturbed:]), host
        assert len(by_slot) >= 2 * SAMPLES - 1, host


def test_check_10_killed_at_every_step(tmp_path: Path) -> None:
    """Kill at every step of checkpoint, journal switch and restore; restart; compare with the oracle; three
    times restart and clean stop: no change."""
    held_after = crashes.oracle()
    reached = crashes.visits(tmp_path)
    assert set(crashes.steps.STEPS) - set(reached) <= crashes.OF_ARCHIVE
    for number, name in enumerate(reached):
        crashes.kill_and_compare(tmp_path / str(number), name, 1, held_after)


@pytest.mark.parametrize(
    ("kind", "precision"), [("json", 0.0501), ("bin", 0.001), ("wal", 0.001), ("wal-truncated", 0.001)]
)
def test_check_11_import_equals_the_stream(
    fixtures: Path, tmp_path: Path, kind: str, precision: float
) -> None:
    """Within the format's precision and within f/2 in time, without the half-step shift."""
    metrics = [Metric(name, 60) for name in {key[1] for key in stream(fixtures)}]
    shutil.copytree(fixtures / f"metric-store/checkpoints/{kind}", tmp_path / "c")
    store = MetricStore(
        {"testc": metrics},
        StoreOptions(directory=tmp_path / "c", retention=10**9),
        clock=lambda: START + 3600,
    )
    imported = store.restore().imported
    assert imported is not None
    assert imported.samples
    found = 0
    for (host, metric, one, two, stype, sub), samples in stream(fixtures).items():
        query = Query(metric, host, one, (two,) if one else (), stype, (sub,) if stype else ())
        for time, value in samples:
            # The slot nearest to the time of the sample, which a shift by half a step would miss.
            for row in store.query("testc", time, time + 60, [query]).rows:
                for result in row:
                    assert result.data is not None
                    if not np.isnan(result.data[0]):
                        assert abs(float(result.data[0]) - value) <= precision + 1e-6 * abs(value)
                        found += 1
    total = sum(map(len, stream(fixtures).values()))
    # Snapshots end before the newest sample; the logs hold what came after the last snapshot.
    assert found >= (0.85 * total if kind in ("json", "bin") else imported.samples)
    assert len(stored(store)) == imported.hosts
    store.close()


def test_check_12_start_succeeds_whatever_lies_in_the_directory(tmp_path: Path) -> None:
    """Stray, empty, truncated and foreign files; links to nowhere and folders in the place of files."""
    options = StoreOptions(directory=tmp_path, retention=10**7)

    def opened() -> MetricStore:
        return MetricStore({"c": [Metric("m", 60)]}, options, clock=lambda: START + 6000.0)

    store = opened()
    store.restore()
    for i in range(100):
        store.write(
            b"m,hostname=h value=%d %d\nm,hostname=g value=1 %d" % (i, START + 60 * i, START + 60 * i), "c"
        )
        if i % 40 == 39:
            store.checkpoint()
    store.close()
    good = sorted(tmp_path.glob("*.checkpoint"))
    whole = good[-1].read_bytes()
    rubbish: dict[str, bytes] = {
        "000000000050.checkpoint": whole[: len(whole) // 2],
        "000000000051.checkpoint": b"",
        "000000000052.checkpoint": b"\0\0\0\0" + whole[4:],
        "000000000053.checkpoint": os.urandom(5000),
        "000000000054.journal": b"",
        "000000000055.journal": os.urandom(5000),
        "000000000056.unfinished": whole,
        "imported.json": b"{",
        "archived.json": b"[]",
        "notes.txt": b"hello",
        "core": os.urandom(100),
    }
    for name, content in rubbish.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "000000000057.checkpoint").mkdir()
    (tmp_path / "000000000058.journal").mkdir()
    (tmp_path / "000000000059.checkpoint").symlink_to(tmp_path / "nowhere")
    (tmp_path / "c" / "h").mkdir(parents=True)
    (tmp_path / "c" / "h" / "1700000000.json").write_bytes(b"no JSON")
    (tmp_path / "c" / "h" / "1700000000.bin").write_bytes(b"")
    (tmp_path / "c" / "h" / "current.wal").write_bytes(b"\xff" * 30)
    for attempt in range(2):
        store = opened()
        report = store.restore()
        assert store.ready
        assert (report.damaged >= 4) == (attempt == 0), report
        ((result,),) = store.query("c", START, START + 6000, [Query("m", "h")]).rows
        assert result.data is not None
        np.testing.assert_array_equal(result.data, np.arange(100))
        store.close()


@pytest.mark.parametrize("samples", [1, 2, 5, 9, 17, 25, 33, 41, 60, 65, 97, 129, 200, 257, 385, 700])
@pytest.mark.parametrize("step", [60, 10])
def test_check_13_memory_follows_the_number_of_samples(samples: int, step: int) -> None:
    """n series x m samples within 1.2 x 4 bytes x n x m + 300 bytes x n, aliases and directory included.

    As the store counts it; benchmarks/store_memory.py compares that with the memory of a process.
    """
    metrics = [Metric(f"m{i}", step, "sum", "hwthread") for i in range(4)]
    store = MetricStore({"c": metrics}, StoreOptions(retention=10**7), clock=lambda: START + 10**5)
    hosts, threads = (32, 16) if samples > 100 else (100, 32)
    count = hosts * threads * 4
    for i in range(samples):
        at = START + i * step
        lines = [
            f"m{m},cluster=c,hostname=h{h:04},type=hwthread,type-id={t} value=1 {at}"
            for h in range(hosts)
            for t in range(threads)
            for m in range(4)
        ]
        assert store.write("\n".join(lines).encode()).stored == count
    used = int(store.counters()["memory_bytes"])  # type: ignore[arg-type]
    assert used <= 1.2 * 4 * count * samples + 300 * count, used / count


def test_check_14_writers_and_readers_beside_free_retention_and_protection(tmp_path: Path) -> None:
    """Two writers and two readers: no lost sample, no error. For a minute with CCSTORE_SECONDS=60."""
    retention.under_load(tmp_path, float(os.environ.get("CCSTORE_SECONDS", "8")))
