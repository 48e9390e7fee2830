"""The journal: what a crash, a full disk or damage may cost, and what not. spec/metric-store.md 11.1."""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import signal
import struct
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.journal import NAMES, SAMPLES, journals, records_of
from ccstore.kernels.layout import BASE
from ccstore.kernels.log import checksum
from ccstore.replay import Replay
from tests import naive
from tests.abandon import reopened

START = 1700000000
NOW = START + 12000.0
METRICS = [Metric("cpu_load", 60), Metric("flops_any", 60, "sum", "hwthread")]
PAGE = Path(__file__).resolve().parents[2] / "docs/format/journal.md"
MESSAGES = 24
KILLED = -signal.SIGKILL
SAMPLES_OF_TEN = 44  # of the first ten messages


def open_store(directory: Path | None, **options: Any) -> MetricStore:
    return reopened(
        directory,
        lambda: MetricStore({"c": METRICS}, StoreOptions(directory=directory, **options), clock=lambda: NOW),
    )


def message(i: int) -> bytes:
    """Step i of two hosts with phases of their own; a late sample and one without time among them."""
    at = START + 60 * i
    lines = [f"cpu_load,hostname=h{h} value={i + h / 8} {at + 7 * h}" for h in range(2)]
    lines += [f"flops_any,hostname=h{h},type=hwthread,type-id=3 value={i} {at}" for h in range(2)]
    if i % 5 == 4:
        lines.append(f"cpu_load,hostname=h0 value={-i} {at - 60 * i // 2}")
    if i == MESSAGES // 2:
        lines.append("cpu_load,hostname=h9 value=5")
    if i % 4 == 3:
        lines.append(f"cpu_load,hostname=late value={i} {START + 60 * (MESSAGES - i)}")
    return "\n".join(lines).encode()


def write(store: MetricStore, i: int) -> None:
    report = store.write(message(i), "c")
    assert report.stored == report.lines


def contents(store: MetricStore) -> list[Any]:
    queries = [Query(m, h) for h in ("h0", "h1", "h9", "late") for m in ("cpu_load", "flops_any")]
    answer = store.query("c", START - 120, int(NOW) + 120, queries, with_padding=False)
    found: list[Any] = [
        [(r.start, r.avg, None if r.data is None else r.data.tobytes()) for r in row] for row in answer.rows
    ]
    return [*found, sorted(map(str, store.tree()))]


@pytest.fixture(scope="module")
def oracle() -> list[list[Any]]:
    """What a store holds that has never been stopped, after 0, 1, 2, ... messages."""
    store = open_store(None)
    held = [contents(store)]
    for i in range(MESSAGES):
        write(store, i)
        held.append(contents(store))
    return held


def restored(directory: Path) -> MetricStore:
    store = open_store(directory)
    store.restore()
    return store


def in_child(work: Callable[[], None]) -> int:
    """Runs in a process of its own; 0, the number of the signal that killed it (negative), or 1."""
    pid = os.fork()
    if not pid:
        signal.alarm(60)  # ends a child that waits for ever
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def crash(directory: Path, work: Callable[[MetricStore], None]) -> None:
    """Restores a store, works with it and is killed."""

    def run() -> None:
        work(restored(directory))
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(run) == KILLED


def write_and_sync(first: int, last: int) -> Callable[[MetricStore], None]:
    def work(store: MetricStore) -> None:
        for i in range(first, last):
            write(store, i)
            assert store.sync()

    return work


def unwritten(store: MetricStore) -> int:
    """Bytes that are not on disk."""
    counters = store.counters()
    return int(counters["journal_queue_bytes"]) or bool(counters["journal_lag_seconds"])  # type: ignore[arg-type]


def journal_files(directory: Path) -> list[Path]:
    return [path for _, path in journals(directory)]


# -- crashes -------------------------------------------------------------------------------------------------


def test_what_was_synced_survives_a_kill(tmp_path: Path, oracle: list[list[Any]]) -> None:
    crash(tmp_path, write_and_sync(0, 20))
    assert contents(restored(tmp_path)) == oracle[20]


def test_samples_reach_the_disk_without_being_asked_to(tmp_path: Path, oracle: list[list[Any]]) -> None:
    def work(store: MetricStore) -> None:
        for i in range(10):
            write(store, i)
        while unwritten(store):
            time.sleep(0.05)

    crash(tmp_path, work)
    assert contents(restored(tmp_path)) == oracle[10]


def test_crash_after_crash_and_clean_stops_lose_nothing(tmp_path: Path, oracle: list[list[Any]]) -> None:
    crash(tmp_path, write_and_sync(0, 7))
    crash(tmp_path, write_and_sync(7, 12))
    store = restored(tmp_path)
    assert contents(store) == oracle[12]
    store.close()
    assert not journal_files(tmp_path)
    crash(tmp_path, write_and_sync(12, 20))
    for _ in range(3):
        store = restored(tmp_path)
        assert contents(store) == oracle[20]
        store.close()
        assert not journal_files(tmp_path)


def test_late_samples_of_before_a_checkpoint_survive(tmp_path: Path) -> None:
    late = b"cpu_load,hostname=h0 value=77 %d" % (START + 30 * 60)

    def work(store: MetricStore) -> None:
        store.write(b"cpu_load,hostname=h0 value=1 %d" % (START + 60 * 60), "c")
        store.checkpoint()
        store.write(late, "c")
        store.sync()

    crash(tmp_path, work)
    for _ in range(2):
        store = restored(tmp_path)
        ((result,),) = store.query("c", START + 1790, START + 1850, [Query("cpu_load", "h0")]).rows
        assert result.max == 77.0
        store.close()


FILE_CALLS = ("open", "write", "pwritev", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "close")


class KillAt:
    """Kills this process before call number `number` of a function that changes files."""

    def __init__(self, number: int) -> None:
        self.left = number
        for name in FILE_CALLS:
            setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return wrapped


def test_killed_at_any_step_of_a_run(tmp_path: Path, oracle: list[list[Any]]) -> None:
    """Restore after a crash, journal, checkpoints, clean stop: killed before each call that changes files."""
    half = MESSAGES // 2
    number = 0
    while True:
        number += 1
        directory = tmp_path / str(number)
        crash(directory, write_and_sync(0, half - 2))
        crash(directory, lambda store: (store.checkpoint(), write_and_sync(half - 2, half)(store))[-1])
        told = directory / "told.txt"
        told.write_text(str(half))

        def run(directory: Path = directory, told: Path = told, number: int = number) -> None:
            raw = os.open(told, os.O_WRONLY)
            tell = os.pwrite
            KillAt(number)
            store = restored(directory)
            for i in range(half, MESSAGES):
                write(store, i)
                if i % 2:
                    assert store.sync()
                    tell(raw, b"%2d" % (i + 1), 0)
                if i % 5 == 2:
                    store.checkpoint()
            store.close()
            tell(raw, b"99", 0)

        end = in_child(run)
        promised = int(told.read_text())
        told.unlink()
        assert end in (0, KILLED)
        first = restored(directory)
        held = contents(first)
        assert held in oracle[min(promised, MESSAGES) :], (number, promised)
        for _ in range(3 if number % 10 == 0 or end == 0 else 1):
            first.close()
            assert not journal_files(directory)
            first = restored(directory)
            assert contents(first) == held
        first.close()
        if end == 0:
            break
    assert number > 40


def test_killed_while_lines_stream_in_and_checkpoints_are_written(tmp_path: Path) -> None:
    """Real time instead of steps: no sample falls between journal and checkpoint."""
    for attempt in range(8):
        directory = tmp_path / str(attempt)
        read, told = os.pipe()

        def run(directory: Path = directory, told: int = told) -> None:
            store = restored(directory)
            threading.Thread(target=lambda: [store.checkpoint() for _ in range(10**6)], daemon=True).start()
            for i in range(10**6):
                lines = [f"cpu_load,hostname=h{h} value={i + h} {START + 60 * (i % 190)}" for h in range(200)]
                store.write("\n".join(lines).encode(), "c")
                if i % 4 == 0 and store.sync():
                    os.write(told, b"%9d" % i)

        pid = os.fork()
        if not pid:
            try:
                run()
            finally:
                os._exit(1)
        os.close(told)
        reports = b""
        until = 5 + 11 * attempt
        while len(reports) < 9 * until:
            report = os.read(read, 9)
            assert report, "the child has ended"
            reports += report
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while more := os.read(read, 9):
            reports += more
        os.close(read)
        last = int(reports[-9:])
        store = restored(directory)
        for h in (0, 1, 117, 199):
            ((result,),) = store.query("c", START - 30, START + 11400, [Query("cpu_load", f"h{h}")]).rows
            assert result.data is not None
            begin = round((result.start - START) / 60)
            for slot, value in enumerate(result.data.tolist(), begin):
                if not 0 <= slot < 190:
                    continue
                due = last - (last - slot) % 190  # the newest message with this slot that was promised
                if due >= 0:
                    assert value >= due + h, (attempt, h, slot)
        store.close()


def test_a_message_between_switch_and_checkpoint_is_in_the_journal(
    tmp_path: Path, oracle: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written while the checkpoint is being written, behind the place it has reached."""

    def work(store: MetricStore) -> None:
        for i in range(10):
            write(store, i)
        real = os.rename

        def rename(*arguments: Any) -> None:
            write(store, 10)
            assert store.sync()
            real(*arguments)

        monkeypatch.setattr(os, "rename", rename)
        store.checkpoint()
        assert store.sync()

    crash(tmp_path, work)
    assert contents(restored(tmp_path)) == oracle[11]


def test_a_journal_that_outlived_its_checkpoint_is_not_replayed(
    tmp_path: Path, oracle: list[list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(store: MetricStore) -> None:
        write_and_sync(0, 10)(store)
        monkeypatch.setattr(os, "unlink", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "no")))
        store.checkpoint()

    crash(tmp_path, work)
    assert journal_files(tmp_path)
    store = open_store(tmp_path)
    assert store.restore().replayed == 0
    assert contents(store) == oracle[10]


@pytest.mark.parametrize("jitter", [0, 7, 14])
def test_replaying_what_the_checkpoint_has_changes_nothing(tmp_path: Path, jitter: int) -> None:
    source = random.Random(jitter)
    store = restored(tmp_path)
    for i in range(100):
        at = START + 60 * i + source.randint(-jitter, jitter)
        store.write(b"cpu_load,hostname=h0 value=%d %d\nflops_any,hostname=h1 value=%d" % (i, at, i), "c")
        assert store.sync()
    before = contents(store)
    (path,) = journal_files(tmp_path)
    for _ in range(4):
        replay = Replay(store._tables, store._lock)
        replay.run(path, lambda size: None)
        assert replay.samples == 200
        assert contents(store) == before


def test_a_store_that_is_closed_before_it_is_restored_saves_both(
    tmp_path: Path, oracle: list[list[Any]]
) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    store = open_store(tmp_path)
    write(store, 10)
    store.checkpoint()
    store.close()
    assert contents(restored(tmp_path)) == oracle[11]


def test_writes_during_the_restore_are_kept_once(tmp_path: Path, oracle: list[list[Any]]) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    store = open_store(tmp_path)
    store.write(b"cpu_load,hostname=h0 value=8.5 %d" % (START + 1200), "c")
    assert store.sync()
    assert store.restore().replayed == SAMPLES_OF_TEN
    for _ in range(2):
        ((result,),) = store.query("c", START + 1190, START + 1220, [Query("cpu_load", "h0")]).rows
        assert result.max == 8.5
        store.close()
        store = restored(tmp_path)


# -- damage --------------------------------------------------------------------------------------------------


@pytest.fixture
def journal_of_ten(tmp_path: Path) -> Path:
    crash(tmp_path, write_and_sync(0, 10))
    (path,) = journal_files(tmp_path)
    whole = path.read_bytes()
    end = places(whole)[-1]
    assert whole[end:] == bytes(len(whole) - end)  # reserved
    path.write_bytes(whole[:end])
    return path


def places(whole: bytes) -> list[int]:
    """Where records begin, and the end of the last one."""
    at, found = 24, [24]
    while whole[at : at + 4] == b"JREC":
        at += 32 + -(-struct.unpack_from("<I", whole, at + 8)[0] // 32) * 32
        found.append(at)
    return found


def samples_at(whole: bytes) -> list[int]:
    """Where records with samples begin, one for each message."""
    return [at for at in places(whole)[:-1] if struct.unpack_from("<I", whole, at + 4)[0] == SAMPLES]


def test_a_torn_tail_costs_one_record(journal_of_ten: Path, oracle: list[list[Any]]) -> None:
    whole = journal_of_ten.read_bytes()
    starts = places(whole)
    with_samples = samples_at(whole)
    assert len(with_samples) == 10
    ends = [starts[starts.index(one) + 1] for one in with_samples]
    for size in [*range(26), *range(starts[-4] - 2, len(whole) + 1, 3), len(whole)]:
        journal_of_ten.write_bytes(whole[:size])
        store = restored(journal_of_ten.parent)
        complete = sum(end <= size for end in ends)
        assert contents(store) == oracle[complete], size
        assert journal_of_ten.exists()
        store._closed = True  # or the end of this store would save what it holds


def test_rubbish_behind_a_torn_tail_is_ignored(journal_of_ten: Path, oracle: list[list[Any]]) -> None:
    whole = journal_of_ten.read_bytes()
    for rubbish in (b"\0" * 5000, b"JREC" * 300, os.urandom(70000)):
        journal_of_ten.write_bytes(whole[:-40] + rubbish)
        assert contents(restored(journal_of_ten.parent)) == oracle[9]


def test_damage_in_the_middle_costs_the_records_it_touches(
    journal_of_ten: Path, oracle: list[list[Any]]
) -> None:
    whole = journal_of_ten.read_bytes()
    starts = places(whole)
    store = open_store(None)
    for i in (0, 1, 2, 3, 4, 6, 7, 8, 9):
        write(store, i)
    expected = contents(store)
    begin = samples_at(whole)[5]
    end = starts[starts.index(begin) + 1]
    used = begin + 32 + struct.unpack_from("<I", whole, begin + 8)[0]
    for at in range(begin, used):
        journal_of_ten.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert contents(restored(journal_of_ten.parent)) == expected, at
    assert end - used < 32
    # Its samples are in memory only until the next checkpoint: that is due, and the file stays until then.
    store = restored(journal_of_ten.parent)
    assert journal_of_ten.exists()
    store.housekeeping()
    assert not journal_of_ten.exists()
    assert journal_of_ten.with_name(journal_of_ten.name + ".damaged").exists()
    assert contents(restored(journal_of_ten.parent)) == expected


def test_foreign_and_empty_files_cost_themselves_only(
    journal_of_ten: Path, oracle: list[list[Any]], caplog: pytest.LogCaptureFixture
) -> None:
    directory = journal_of_ten.parent
    (directory / "000000000000.journal").write_bytes(b"")
    (directory / "000000000090.journal").write_bytes(b"something else entirely\n" * 10)
    (directory / "000000000091.journal").write_bytes(b"CCJRNL\n\0" + b"\xff" * 40)
    (directory / "000000000092.journal").mkdir()
    (directory / "notes.journal").write_text("hello")
    store = open_store(directory)
    assert store.restore().damaged == 2
    assert contents(store) == oracle[10]
    assert (directory / "000000000090.journal.damaged").exists()
    assert "000000000091.journal: a journal of version" in caplog.text
    write(store, 10)
    store.close()
    assert contents(restored(directory)) == oracle[11]
    assert (directory / "notes.journal").exists()


def test_a_damaged_checkpoint_costs_nothing_that_the_journal_has(
    tmp_path: Path, oracle: list[list[Any]]
) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    (tmp_path / "000000000007.checkpoint").write_bytes(b"CCSTORE\nbroken")
    for _ in range(2):
        crash(tmp_path, lambda store: None)
    assert contents(restored(tmp_path)) == oracle[10]


# -- the disk ------------------------------------------------------------------------------------------------


def test_a_full_disk_stops_nothing_and_is_made_up_for(tmp_path: Path, oracle: list[list[Any]]) -> None:
    """Files may not grow beyond 300 bytes; later they may again."""

    def work() -> None:
        store = restored(tmp_path)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, unlimited[1]))
        for i in range(10):
            write(store, i)
            store.sync(0.02)
        deadline = time.monotonic() + 10
        while not store.counters()["journal_failures"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert store.counters()["journal_failures"]
        assert contents(store) == oracle[10]
        store.housekeeping()
        assert not list(tmp_path.glob("*.checkpoint"))
        assert not list(tmp_path.glob("*.unfinished"))
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        for i in range(10, 15):
            write(store, i)
        store.checkpoint()
        write(store, 15)
        assert store.sync()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(work) == KILLED
    assert contents(restored(tmp_path)) == oracle[16]


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, oracle: list[list[Any]]) -> None:
    """Without any checkpoint: what could not be written is written later."""

    def work() -> None:
        store = restored(tmp_path)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, unlimited[1]))
        for i in range(10):
            write(store, i)
            store.sync(0.02)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        while unwritten(store):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(work) == KILLED
    assert contents(restored(tmp_path)) == oracle[10]


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """fdatasync waits for this event."""
    answer = threading.Event()
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (answer.wait(20), real(fd))[-1])
    yield answer
    answer.set()


def test_a_disk_that_does_not_answer_costs_bounded_memory(tmp_path: Path, slow_disk: threading.Event) -> None:
    store = restored(tmp_path)
    journal = store._journal
    assert journal is not None
    journal._queue_limit = 10_000
    write(store, 0)
    assert not store.sync(0.7)
    began = time.monotonic()
    for i in range(300):
        write(store, i % MESSAGES)
        with journal.turn:
            journal.hand_over()
    assert time.monotonic() - began < 10
    figures = journal.figures()
    assert figures["journal_lost_samples"] > 400
    assert figures["journal_queue_bytes"] < 12_000
    assert figures["journal_lag_seconds"] > 0.5
    assert journal.wants_checkpoint
    slow_disk.set()
    assert not journal.sync()
    kept = Replay(store._tables, store._lock)
    for path in journal_files(tmp_path):
        kept.run(path, lambda size: None)
    assert kept.samples + figures["journal_lost_samples"] == store.counters()["stored"]
    store.checkpoint()
    assert store.sync()
    assert not journal.wants_checkpoint


def test_a_failing_sync_asks_for_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel could not write it may have thrown away: a second sync that succeeds is no proof."""
    store = restored(tmp_path)
    real = os.fdatasync
    failing = [True]

    def fdatasync(fd: int) -> None:
        if failing.pop() if failing else False:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    write(store, 0)
    assert not store.sync()
    store.housekeeping()
    assert list(tmp_path.glob("*.checkpoint"))
    write(store, 1)
    assert store.sync()


def test_a_journal_that_keeps_failing_gets_a_checkpoint_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [NOW]
    store = MetricStore({"c": METRICS}, StoreOptions(directory=tmp_path), clock=lambda: now[0])
    store.restore()
    monkeypatch.setattr(os, "fdatasync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    written = set()
    for i in range(MESSAGES):
        write(store, i)
        assert not store.sync(0.1)
        now[0] += 10
        store.housekeeping()
        written.update(path.name for path in tmp_path.glob("*.checkpoint"))
    assert len(written) == 4


def test_a_full_journal_triggers_a_checkpoint(tmp_path: Path) -> None:
    store = open_store(tmp_path, journal_limit=3000)
    store.restore()
    for i in range(MESSAGES):
        write(store, i)
        store.sync()
    assert store.counters()["journal_bytes"] >= 3000
    store.housekeeping()
    assert list(tmp_path.glob("*.checkpoint"))
    assert store.counters()["journal_bytes"] == 0


def test_a_journal_stops_at_twice_its_limit_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oracle: list[list[Any]]
) -> None:
    """Checkpoints fail all the time."""
    store = open_store(tmp_path, journal_limit=1000)
    store.restore()
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    for i in range(MESSAGES):
        write(store, i)
        store.sync()
        store.housekeeping()
    figures = store.counters()
    assert figures["journal_bytes"] < 2800
    lost = int(figures["journal_lost_samples"])  # type: ignore[arg-type]
    kept = [sum(message(i).count(b"\n") + 1 for i in range(n, MESSAGES)) for n in range(MESSAGES)].index(lost)
    assert kept > 5
    assert contents(store) == oracle[MESSAGES]
    assert contents(restored(tmp_path)) == oracle[kept]
    monkeypatch.undo()
    store.close()
    assert contents(restored(tmp_path)) == oracle[MESSAGES]


# -- options, form -------------------------------------------------------------------------------------------


def test_without_a_journal_nothing_is_written_and_older_ones_are_read(
    tmp_path: Path, oracle: list[list[Any]]
) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    store = open_store(tmp_path, journal=False)
    store.restore()
    write(store, 10)
    assert not store.sync()
    assert store.counters()["journal_lag_seconds"] == 0
    assert len(journal_files(tmp_path)) == 1
    assert contents(store) == oracle[11]
    store.close()
    assert not journal_files(tmp_path)
    assert contents(restored(tmp_path)) == oracle[11]
    memory = open_store(None)
    write(memory, 0)
    assert not memory.sync()


def test_messages_without_a_stored_sample_stay_out(tmp_path: Path) -> None:
    store = restored(tmp_path)
    store.write(b"nonsense\nunknown,hostname=h value=1", "c")
    assert not journal_files(tmp_path)
    assert store.sync()
    assert not journal_files(tmp_path)
    store.close()


def test_samples_that_have_become_too_old_stay_away(tmp_path: Path) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    later = NOW + 172800 + 20000
    store = MetricStore({"c": METRICS}, StoreOptions(directory=tmp_path), clock=lambda: later)
    store.restore()
    assert store.hosts("c") == []


def test_more_than_a_block_of_samples(tmp_path: Path) -> None:
    """In an order that lets no two samples share a run."""
    lines = [f"cpu_load,hostname=h{h} value={h}.25 {START + 60 * i}" for i in range(30) for h in range(3000)]
    random.Random(1).shuffle(lines)
    payload = "\n".join(lines).encode()

    def work(store: MetricStore) -> None:
        assert store.write(payload, "c").stored == 90_000
        assert store.sync()

    crash(tmp_path, work)
    (path,) = journal_files(tmp_path)
    assert [kind for kind, _ in records_of(path)].count(SAMPLES) > 1
    store = open_store(tmp_path)
    assert store.restore().replayed == 90_000
    whole = open_store(None)
    whole.write(payload, "c")
    assert sorted(map(str, store.tree())) == sorted(map(str, whole.tree()))
    for h in (0, 1, 2999):
        asked = (START, START + 1800, [Query("cpu_load", f"h{h}")])
        assert str(store.query("c", *asked).rows) == str(whole.query("c", *asked).rows)


def test_lost_explanations_end_with_their_chapter(journal_of_ten: Path, oracle: list[list[Any]]) -> None:
    """Without the names of the first record its file is worth nothing, and the next file everything."""
    whole = bytearray(journal_of_ten.read_bytes())
    whole[60] ^= 1
    journal_of_ten.write_bytes(whole)
    store = open_store(journal_of_ten.parent)
    assert (store.restore().replayed, store.hosts("c")) == (0, [])
    for i in range(3):
        write(store, i)
    assert store.sync()
    store._closed = True
    again = open_store(journal_of_ten.parent)
    assert again.restore().replayed > 0
    assert contents(again) == oracle[3]


def test_a_metric_that_is_not_configured_any_more_is_left_out(tmp_path: Path) -> None:
    crash(tmp_path, write_and_sync(0, 10))
    store = MetricStore({"c": METRICS[1:]}, StoreOptions(directory=tmp_path), clock=lambda: NOW)
    assert store.restore().replayed == 20
    assert {one.metric for one in store.tree()} == {"flops_any"}


def test_a_row_that_became_another_series_is_explained_again(tmp_path: Path) -> None:
    now = [START + 100.0]

    def at_(store_directory: Path) -> MetricStore:
        return MetricStore(
            {"c": METRICS}, StoreOptions(directory=store_directory, retention=3600), clock=lambda: now[0]
        )

    def run() -> None:
        store = at_(tmp_path)
        store.restore()
        store.write(b"cpu_load,hostname=old value=1 %d" % START, "c")
        assert store.sync()
        now[0] += 10_000
        for _ in range(3):
            now[0] += 2000
            store.housekeeping()
            store._retention.recycle()
        assert store.hosts("c") == []
        store.write(b"cpu_load,hostname=new value=2 %d" % now[0], "c")
        assert store.sync()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(run) == KILLED
    now[0] += 16_000
    again = at_(tmp_path)
    again.restore()
    assert again.last_values("c", ["cpu_load"], ["new"]).values.tolist() == [[2.0]]
    assert again.hosts("c") == ["new"]


@pytest.mark.parametrize("size", [8, 16, 64, 8000])
def test_checksum_is_the_one_of_the_page(size: int) -> None:
    words = np.random.default_rng(size).integers(-(2**31), 2**31, size, dtype=np.int32)
    assert int(checksum(words, size)) == naive.checksum(words.tobytes())
    words[size // 2] ^= 1 << 17
    assert int(checksum(words, size)) != naive.checksum((words ^ 0).tobytes()[:-4] + b"\1\2\3\4")


def test_the_page_on_the_format_tells_the_truth(journal_of_ten: Path) -> None:
    """Decodes a file with nothing but what docs/format/journal.md says."""
    raw = journal_of_ten.read_bytes()
    magic, version, number, check = struct.unpack_from("<8sIQI", raw, 0)
    page = PAGE.read_text()
    assert magic.hex(" ").upper() in page
    assert (magic, version) == (b"CCJRNL\n\0", 2)
    assert number == int(journal_of_ten.stem)
    assert zlib.crc32(raw[:20]) == check
    sizes = re.findall(r"^    (\d+)\s+(\d+)\s", page, re.M)
    assert [(int(a), int(b)) for a, b in sizes[:4]] == [(0, 8), (8, 4), (12, 8), (20, 4)]
    at = 24
    found: list[tuple[str, tuple[str, ...], str, int, float]] = []
    hosts: list[tuple[str, str]] = []
    components: list[tuple[str, ...]] = []
    metrics: list[str] = []
    series: dict[int, tuple[str, tuple[str, ...], str]] = {}
    while at < len(raw):
        magic, kind, size, _, check, own = struct.unpack_from("<4sIIIQQ", raw, at)
        assert magic == b"JREC"
        assert naive.checksum(raw[at : at + 24] + bytes(8)) == own
        stored = -(-size // 32) * 32
        content = raw[at + 32 : at + 32 + size]
        assert naive.checksum(raw[at + 32 : at + 32 + stored]) == check
        at += 32 + stored
        if kind == NAMES:
            names = msgpack.unpackb(content)
            assert names["from"] == [len(hosts), len(components)]
            hosts += [(cluster, host) for cluster, host in names["hosts"]]
            components += map(tuple, names["components"])
            metrics = names["metrics"]
            continue
        assert kind == SAMPLES
        words = struct.unpack(f"<{size // 4}i", content)
        place = 0
        while place < len(words):
            if words[place] & 3 == 1:
                which, host, metric, component = words[place + 1 : place + 5]
                assert hosts[host][0] == "c"
                series[which] = (hosts[host][1], components[component], metrics[metric])
                place += 5
                continue
            count = words[place] >> 2
            which, time_ = words[place + 1 : place + 3]
            values = struct.unpack_from(f"<{count}f", content, 4 * (place + 3))
            found += [(*series[which + i], time_ + BASE, value) for i, value in enumerate(values)]
            place += 3 + count
    assert ("h0", ("", "", "", ""), "cpu_load", START, 0.0) in found
    assert ("h1", ("hwthread", "3", "", ""), "flops_any", START + 540, 9.0) in found
    assert len(found) == SAMPLES_OF_TEN
