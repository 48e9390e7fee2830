"""Killed at every step of journal, checkpoint, journal switch, restore, import and archive, by name.

The steps are those of ccstore/steps.py: a step that the code takes and the list lacks, or that this run never
reaches, fails a test. spec/metric-store.md 11.1 and 15.10.
"""

from __future__ import annotations

import json
import os
import re
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ccstore
from ccstore import Metric, MetricStore, Query, StoreOptions, steps
from ccstore.journal import journals

START = 1700000000
METRICS = [Metric("cpu_load", 60), Metric("flops_any", 60, "sum", "hwthread")]
MESSAGES = 40
HALF = 16
RETENTION = 20 * 60
KILLED = -signal.SIGKILL
MOST_VISITS = 3  # of one step: the first, the second and the last one are tried


def now_at(i: int) -> float:
    return START + 60.0 * i + 5


class Clock:
    def __init__(self, i: int) -> None:
        self.now = now_at(i)

    def __call__(self) -> float:
        return self.now


def open_store(directory: Path | None, clock: Clock, retention: float = 0) -> MetricStore:
    """With a retention: one that archives."""
    chosen = StoreOptions(
        directory=directory,
        retention=retention or 10**6,
        archive=directory / "archive" if directory is not None and retention else None,
    )
    return MetricStore({"c": METRICS}, chosen, clock=clock)


def message(i: int) -> bytes:
    """Step i of two hosts with phases of their own; some samples are late."""
    at = START + 60 * i
    lines = [f"cpu_load,hostname=h{h} value={i + h / 8} {at + 7 * h}" for h in range(2)]
    lines += [f"flops_any,hostname=h{h},type=hwthread,type-id=3 value={i} {at}" for h in range(2)]
    if i % 5 == 4:
        lines.append(f"cpu_load,hostname=h0 value={-i} {at - 60 * (i // 2)}")
    if i % 7 == 3:
        lines.append(f"cpu_load,hostname=late value={i} {START + 60 * (MESSAGES - i)}")
    return "\n".join(lines).encode()


def contents(store: MetricStore) -> list[Any]:
    queries = [Query(m, h) for h in ("h0", "h1", "late", "old") for m in ("cpu_load", "flops_any")]
    answer = store.query("c", START - 120, START + 4000, queries, with_padding=False)
    return [[(r.start, None if r.data is None else r.data.tobytes()) for r in row] for row in answer.rows]


def old_checkpoint(directory: Path) -> None:
    """A host of another program, to be taken over at the second start."""
    folder = directory / "c" / "old"
    folder.mkdir(parents=True)
    metric = {"frequency": 60, "start": START, "data": [float(i) for i in range(10)]}
    (folder / f"{START}.json").write_text(json.dumps({"metrics": {"cpu_load": metric}, "children": {}}))


OLD = b"\n".join(b"cpu_load,hostname=old value=%d %d" % (i, START + 60 * i) for i in range(10))


def oracle() -> list[list[Any]]:
    """What a store holds that has never been stopped, after HALF.. messages and the old host."""
    held = []
    for stop in range(HALF, MESSAGES + 1):
        store = open_store(None, Clock(MESSAGES))
        for i in range(stop):
            store.write(message(i), "c")
        store.write(OLD, "c")
        held.append(contents(store))
    return held


def in_child(work: Callable[[], None]) -> int:
    """Runs in a process of its own; 0, the number of the signal that killed it (negative), or 1."""
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prepare(directory: Path) -> None:
    """A full checkpoint, an increment, a journal that a crash has left, a damaged file, an old host."""

    def run() -> None:
        store = open_store(directory, Clock(MESSAGES))
        store.restore()
        for i in range(HALF):
            store.write(message(i), "c")
            if i in (4, 9):
                store.checkpoint()
        assert store.sync()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(run) == KILLED
    (directory / "000000000090.checkpoint").write_bytes(b"no checkpoint at all")
    old_checkpoint(directory)


def work(directory: Path, told: Path, on_step: Callable[[str], None]) -> None:
    """The run that is killed: restore with import, samples, checkpoints until one is full, clean stop."""
    steps.on_step = on_step
    store = open_store(directory, Clock(MESSAGES))
    store.restore()
    for i in range(HALF, MESSAGES):
        store.write(message(i), "c")
        if i % 2:
            assert store.sync()
            told.write_text(str(i + 1))
        if i % 6 == 5:
            store.checkpoint()
        if i == MESSAGES - 4:
            assert store._checkpoints is not None
            store._checkpoints.go_on_from([])
            store.checkpoint()
    store.close()
    told.write_text(str(MESSAGES))


def visits(tmp_path: Path) -> dict[str, int]:
    """How often the run comes by each step."""
    directory = tmp_path / "count"
    prepare(directory)
    record = tmp_path / "visited.txt"

    def run() -> None:
        with open(record, "a", buffering=1) as file:
            work(directory, tmp_path / "told.txt", lambda name: print(name, file=file))

    assert in_child(run) == 0
    found: dict[str, int] = {}
    for name in record.read_text().splitlines():
        found[name] = found.get(name, 0) + 1
    return found


def test_every_step_of_the_code_is_in_the_list() -> None:
    named = set()
    for path in Path(ccstore.__file__).parent.rglob("*.py"):
        named |= set(re.findall(r'(?<!def )\bstep\("([^"]+)"\)', path.read_text()))
    assert named == set(steps.STEPS)


OF_ARCHIVE = {"archive: file written", "archive: file renamed", "archive: noted"}


def kill_and_compare(directory: Path, name: str, visit: int, held_after: list[list[Any]]) -> None:
    """Nothing that was promised is lost, and three restarts and clean stops change nothing."""
    prepare(directory)
    told = directory.with_suffix(".told")
    told.write_text(str(HALF))

    def run() -> None:
        left = visit

        def on_step(reached: str) -> None:
            nonlocal left
            left -= reached == name
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        work(directory, told, on_step)

    end = in_child(run)
    assert end in (0, KILLED), (name, visit)
    promised = int(told.read_text())
    store = open_store(directory, Clock(MESSAGES))
    store.restore()
    held = contents(store)
    assert held in held_after[promised - HALF :], (name, visit, promised)
    for _ in range(3):
        store.close()
        assert not journals(directory)
        store = open_store(directory, Clock(MESSAGES))
        assert store.restore().damaged == 0
        assert contents(store) == held, (name, visit)
    store.close()


def test_killed_at_every_step(tmp_path: Path) -> None:
    count = visits(tmp_path)
    assert set(steps.STEPS) - set(count) <= OF_ARCHIVE, "the run must come by every step"
    held_after = oracle()
    tried = 0
    for name, times in count.items():
        for visit in sorted({1, 2, times} & set(range(1, times + 1)))[:MOST_VISITS]:
            tried += 1
            kill_and_compare(tmp_path / str(tried), name, visit, held_after)
    assert tried > len(steps.STEPS)


@pytest.mark.parametrize("name", sorted(OF_ARCHIVE))
def test_killed_while_archiving(tmp_path: Path, name: str) -> None:
    """After the next clean-up every sample that left the retention is in the archive, once."""
    from pyarrow import parquet

    def first() -> None:
        store = open_store(tmp_path, Clock(MESSAGES), RETENTION)
        store.restore()
        for i in range(MESSAGES):
            store.write(b"cpu_load,hostname=h0 value=%d %d" % (i, START + 60 * i), "c")
        store.checkpoint()
        store.write(b"cpu_load,hostname=h0 value=%d %d" % (MESSAGES, START + 60 * MESSAGES), "c")
        store.checkpoint()
        os.kill(os.getpid(), signal.SIGKILL)

    def second() -> None:
        store = open_store(tmp_path, Clock(MESSAGES + 15), RETENTION)
        store.restore()
        steps.on_step = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == name else None
        store.cleanup()

    assert in_child(first) == KILLED
    assert in_child(second) == KILLED
    store = open_store(tmp_path, Clock(MESSAGES + 30), RETENTION)
    store.restore()
    store.cleanup()
    store.close()
    times: list[int] = []
    for path in (tmp_path / "archive/c").glob("*.parquet"):
        times += parquet.read_table(path)["timestamp"].to_pylist()
    cutoff = int(now_at(MESSAGES + 30)) - RETENTION
    begin = START + 60 * MESSAGES - RETENTION + 5
    due = [t for t in range(START, START + 60 * MESSAGES + 1, 60) if begin <= t < cutoff]
    assert sorted(t for t in times if t >= begin) == due
