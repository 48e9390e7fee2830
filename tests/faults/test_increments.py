"""Increments of a checkpoint: failures, files that are missing or damaged, freed data, clocks that jump."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.checkpoint import MOST_FILES, checkpoints
from tests.abandon import abandon

START = 1700000000
HOUR = 3600
METRICS = [Metric("m", 60), Metric("n", 60, "sum", "hwthread")]


def open_store(directory: Path | None, now: float = START + 10**6, **options: Any) -> MetricStore:
    chosen = StoreOptions(**{"directory": directory, "retention": 10**7, **options})
    store = MetricStore({"c": METRICS}, chosen, clock=lambda: now)
    store.restore()
    return store


def write(store: MetricStore, first: int, last: int) -> None:
    for i in range(first, last):
        at = START + 60 * i
        lines = [f"m,hostname=h{h} value={i + h} {at + h}" for h in range(3)]
        lines += [f"n,hostname=h0,type=hwthread,type-id={t} value={i} {at}" for t in range(5)]
        assert store.write("\n".join(lines).encode(), "c").stored == 8


def contents(store: MetricStore) -> list[Any]:
    queries = [Query(m, f"h{h}") for h in range(4) for m in ("m", "n")]
    answer = store.query("c", START, START + 60 * 600, queries)
    return [[(r.start, None if r.data is None else r.data.tobytes()) for r in row] for row in answer.rows]


def crash_and_reopen(store: MetricStore, directory: Path) -> MetricStore:
    abandon(store)
    return open_store(directory)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_what_a_failed_checkpoint_had_is_in_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    store = open_store(tmp_path, journal=False)
    write(store, 0, 100)
    store.checkpoint()
    write(store, 100, 250)
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        patch.setattr(os, call, lambda *_: (_ for _ in ()).throw(full))
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                store.checkpoint()
    assert not list(tmp_path.glob("*.unfinished"))
    write(store, 250, 300)
    before = contents(store)
    assert store.checkpoint().pages < 60, "an increment"
    again = crash_and_reopen(store, tmp_path)
    assert contents(again) == before
    again.close()


def test_an_increment_has_what_changed_and_late_samples_too(tmp_path: Path) -> None:
    store = open_store(tmp_path, journal=False)
    write(store, 0, 500)
    full = store.checkpoint()
    nothing = store.checkpoint()
    assert 0 < nothing.pages <= 6 < full.pages, "of each group the newest page"
    store.write(b"m,hostname=h0 value=-1 %d" % (START + 60 * 20), "c")
    assert store.checkpoint().pages == nothing.pages + 1
    before = contents(store)
    again = crash_and_reopen(store, tmp_path)
    assert contents(again) == before
    assert again.checkpoint().pages == nothing.pages, "the chain goes on after a restart"
    again.close()


def test_a_chain_does_not_grow_for_ever(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for i in range(3 * MOST_FILES):
        write(store, i, i + 1)
        store.checkpoint()
        assert len(checkpoints(tmp_path)) <= MOST_FILES
    before = contents(store)
    again = crash_and_reopen(store, tmp_path)
    assert contents(again) == before
    again.close()


def test_freed_data_stays_away(tmp_path: Path) -> None:
    """Older files still have it."""
    store = open_store(tmp_path)
    write(store, 0, 400)
    store.checkpoint()
    assert store.free([["c", "h1"]], START + 60 * 300)
    assert store.free([["c", "h2"]], START + 60 * 1000)
    before = contents(store)
    store.close()
    for _ in range(2):
        again = open_store(tmp_path)
        assert contents(again) == before
        assert again.hosts("c") == ["h0", "h1"]
        again.close()


@pytest.mark.parametrize("way", ["missing", "empty", "cut", "flipped", "unreadable"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_lost_file_of_the_chain_costs_itself_only(tmp_path: Path, which: int, way: str) -> None:
    store = open_store(tmp_path, journal=False)
    for part in range(3):
        write(store, 200 * part, 200 * part + 200)
        store.checkpoint()
    (expected,) = store.query("c", START, START + 60 * 600, [Query("m", "h0")]).rows[0]
    abandon(store)
    path = checkpoints(tmp_path)[which][1]
    whole = path.read_bytes()
    path.unlink()
    if way == "unreadable":
        path.mkdir()
    elif way != "missing":
        middle = len(whole) // 2
        cut = {"empty": b"", "cut": whole[:middle]}.get(way)
        path.write_bytes(
            whole[:middle] + bytes([whole[middle] ^ 0x55]) + whole[middle + 1 :] if cut is None else cut
        )
    again = open_store(tmp_path)
    ((result,),) = again.query("c", START, START + 60 * 600, [Query("m", "h0")]).rows
    assert result.data is not None
    assert expected.data is not None
    there = ~np.isnan(result.data)
    np.testing.assert_array_equal(result.data[there], expected.data[there])
    # The newest page of a file is in the next file as well.
    lost = np.flatnonzero(~there)
    assert len(lost) >= 100
    assert set(lost.tolist()) <= set(range(200 * which, 200 * which + 200))
    held = contents(again)
    again.close()
    for _ in range(2):
        again = open_store(tmp_path)
        assert contents(again) == held
        assert again.progress.fraction == 1.0
        again.close()


def test_progress_is_told_while_files_are_read(tmp_path: Path) -> None:
    from ccstore import steps

    store = open_store(tmp_path)
    for part in range(4):
        write(store, 50 * part, 50 * part + 50)
        store.checkpoint()
    write(store, 200, 210)
    assert store.sync()
    abandon(store)
    seen: list[float] = []
    again = MetricStore(
        {"c": METRICS}, StoreOptions(directory=tmp_path, retention=10**7), clock=lambda: START + 10**6
    )
    steps.on_step = lambda _: seen.append(again.progress.fraction)
    try:
        again.restore()
    finally:
        steps.on_step = None
    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert (again.progress.fraction, again.progress.series) == (1.0, 8)
    again.close()


@pytest.mark.parametrize("jump", [-30 * HOUR, 3 * HOUR])
def test_a_clock_that_jumps_puts_nothing_off(tmp_path: Path, jump: int) -> None:
    now = [START + 24.0 * HOUR]
    chosen = StoreOptions(directory=tmp_path, retention=10 * HOUR, checkpoint_interval=HOUR)
    store = MetricStore({"c": METRICS}, chosen, clock=lambda: now[0])
    store.restore()
    store.write(b"m,hostname=old value=1 %d\nm,hostname=new value=1 %d" % (now[0] - 9 * HOUR, now[0]), "c")
    store.housekeeping()
    now[0] += jump
    for _ in range(100):
        now[0] += 60
        store.write(b"m,hostname=now value=1 %d" % now[0], "c")
        store.housekeeping()
    assert len(checkpoints(tmp_path)) >= 1, "saved an hour after the jump"
    assert "now" in store.hosts("c")
    assert ("old" in store.hosts("c")) == (jump < 0), "what is not older than the retention stays"
    assert "new" in store.hosts("c")
    store.close()
