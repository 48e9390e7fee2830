"""What takes samples out of the store takes nothing else: age, running jobs, memory cap, free, reuse.

Source: spec/metric-store.md 3.5 to 3.8, 15.14.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.kernels import layout

START = 1700000000
HOUR = 3600
SEGMENT = (64 + 8) * 60  # seconds: a page of slots, and how far a phase may wander


class Clock:
    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def open_store(clock: Clock, step: int = 60, **options: object) -> MetricStore:
    """Pages are not packed unless that is asked for: how much memory each takes is known then."""
    metrics = [Metric(f"m{i}", step) for i in range(4)] + [Metric("flops", step, "sum", "hwthread")]
    options = {"pack_after": 0, **options}
    return MetricStore({"c": metrics}, StoreOptions(**options), clock)  # type: ignore[arg-type]


def sample(store: MetricStore, host: str, at: int, value: float, metric: str = "m0", tags: str = "") -> None:
    report = store.write(f"{metric},hostname={host}{tags} value={value} {at}".encode(), "c")
    assert report.stored == 1, report


def values(store: MetricStore, host: str, start: int, to: int, metric: str = "m0") -> list[float]:
    """NaN where nothing is stored; all NaN for a host that is not there."""
    (row,) = store.query("c", start, to, [Query(metric, host)]).rows
    if not row:
        return []
    assert row[0].data is not None, row[0]
    return row[0].data.tolist()


def has_any(store: MetricStore, host: str, start: int, to: int) -> bool:
    return any(value == value for value in values(store, host, start, to))


# -- age -----------------------------------------------------------------------------------------------


def test_slots_vanish_by_age_and_not_before() -> None:
    clock = Clock()
    retention = 2 * HOUR
    store = open_store(clock, retention=retention)
    begin = START + 17
    for i in range(10 * 60):
        clock.now = begin + 60 * i
        for host in range(3):
            sample(store, f"h{host}", begin + 60 * i + host, i)
        store.housekeeping()
        if i % 30 == 29:
            for host in range(3):
                kept = values(store, f"h{host}", begin + host, begin + 60 * (i + 1))
                expected = np.arange(i + 1)
                there = ~np.isnan(kept)
                assert there[-min(i + 1, retention // 60) :].all()
                assert not there[: max(0, (60 * i - retention - retention // 2 - SEGMENT) // 60)].any()
                np.testing.assert_array_equal(np.array(kept)[there], expected[there])
    assert store.counters()["pages"] <= 3 * (4 + retention // (60 * 32)), (
        "after ten hours pages are still small"
    )


@pytest.mark.parametrize("phase", range(10, 600, 90))
@pytest.mark.parametrize("retention", [1200, 7200])
def test_a_host_gone_from_the_network_leaves_the_lists(retention: int, phase: int) -> None:
    clock = Clock()
    store = open_store(clock, retention=retention)
    last = START + phase
    clock.now = last
    sample(store, "gone", last, 1)
    for second in range(0, retention * 3 // 2 + 1, 10):
        clock.now = last + second
        store.housekeeping()
        if second < retention:
            assert store.hosts("c") == ["gone"]
    assert store.hosts("c") == []
    assert store.query("c", START, last + 60, [], for_all_nodes=["m0"]).rows == []
    assert store.counters()["series"] == 0


def test_a_silent_component_leaves_and_its_host_stays() -> None:
    clock = Clock()
    store = open_store(clock, retention=1200)
    for i in range(60):
        clock.now = START + 60 * i
        sample(store, "h", START + 60 * i, i)
        if i < 3:
            sample(store, "h", START + 60 * i, i, "flops", ",type=hwthread,type-id=7")
        store.housekeeping()
    assert store.hosts("c") == ["h"]
    assert [one.metric for one in store.tree()] == ["m0"]


# -- running jobs --------------------------------------------------------------------------------------


class Jobs:
    """Hosts of running jobs, by start time."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.trouble: Exception | None = None
        self.asked: list[int] = []

    def used_nodes(self, before: int) -> Mapping[str, Sequence[str]]:
        self.asked.append(before)
        if self.trouble is not None:
            raise self.trouble
        return {"c": [host for host, start in self.running.items() if start < before], "elsewhere": ["x"]}


def run_for(store: MetricStore, clock: Clock, hosts: Sequence[str], steps: int) -> None:
    for _ in range(steps):
        for host in hosts:
            sample(store, host, int(clock.now), 1)
        store.housekeeping()
        clock.now += 60


def test_hosts_of_running_jobs_keep_their_data_until_the_job_ends() -> None:
    clock = Clock()
    jobs = Jobs()
    store = open_store(clock, retention=HOUR)
    store.in_use(jobs.used_nodes)
    jobs.running["busy"] = START
    run_for(store, clock, ["busy", "idle"], 600)
    assert len(jobs.asked) >= 10
    assert all(abs(one % 60) == START % 60 for one in jobs.asked)
    assert not np.isnan(values(store, "busy", START, int(clock.now))).any()
    assert not has_any(store, "idle", START, START + 7 * HOUR)
    del jobs.running["busy"]
    run_for(store, clock, ["busy", "idle"], 30)
    assert not has_any(store, "busy", START, START + 7 * HOUR)
    assert store.hosts("c") == ["busy", "idle"]


@pytest.mark.parametrize("answer", [OSError("no database"), None, {"c": None}, {"c": [["h"]]}])
def test_when_nobody_knows_what_is_in_use_everything_is(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    store = open_store(clock, retention=HOUR)
    good = False

    def used_nodes(before: int) -> Mapping[str, Sequence[str]]:
        if good:
            return {}
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    store.in_use(used_nodes)
    run_for(store, clock, ["h"], 300)
    assert not np.isnan(values(store, "h", START, int(clock.now))).any()
    assert "in use" in caplog.text
    good = True
    run_for(store, clock, ["h"], 3)
    assert not has_any(store, "h", START, START + HOUR), "it asks again soon"


def written(directory: Path) -> None:
    """Twelve hours of two hosts, everything kept."""
    clock = Clock()
    store = open_store(clock, retention=100 * HOUR, directory=directory)
    store.restore()
    run_for(store, clock, ["busy", "idle"], 720)
    store.close()


def test_a_restart_keeps_the_data_of_running_jobs(tmp_path: Path) -> None:
    written(tmp_path)
    clock = Clock(START + 12 * HOUR)
    jobs = Jobs()
    jobs.running["busy"] = START
    for _ in range(3):
        store = open_store(clock, retention=2 * HOUR, directory=tmp_path)
        store.in_use(jobs.used_nodes)
        store.restore()
        store.housekeeping()
        assert not np.isnan(values(store, "busy", START, START + 12 * HOUR)).any()
        assert not has_any(store, "idle", START, START + 8 * HOUR)
        assert not np.isnan(values(store, "idle", START + 10 * HOUR, START + 12 * HOUR)).any()
        store.close()
    assert set(jobs.asked) == {START + 10 * HOUR}


def test_a_restart_without_an_answer_keeps_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path)
    jobs = Jobs()
    jobs.trouble = OSError("no database")
    store = open_store(Clock(START + 12 * HOUR), retention=2 * HOUR, directory=tmp_path)
    store.in_use(jobs.used_nodes)
    store.restore()
    assert not np.isnan(values(store, "idle", START, START + 12 * HOUR)).any()
    assert "no database" in caplog.text


def test_content_decides_what_is_restored_not_names(tmp_path: Path) -> None:
    """The file begins long before now - R; what lies inside the window comes back, older pages stay away."""
    written(tmp_path)
    (path,) = tmp_path.glob("*.checkpoint")
    path.rename(tmp_path / "000000000007.checkpoint")
    store = open_store(Clock(START + 12 * HOUR), retention=2 * HOUR, directory=tmp_path)
    assert store.restore().series == 2
    for host in ("busy", "idle"):
        assert not np.isnan(values(store, host, START + 10 * HOUR, START + 12 * HOUR)).any()
        assert not has_any(store, host, START, START + 10 * HOUR - SEGMENT)


# -- memory cap ----------------------------------------------------------------------------------------

STEP = HOUR
WINDOW = 64 * STEP
RETENTION = 8 * WINDOW
# The first slot of a page.
ALIGNED = START + (-(START - 1577836800)) % WINDOW
PAGES = 50  # one host has four series, which share pages


def fill(store: MetricStore, hosts: Sequence[str], begin: int, to: int) -> None:
    for at in range(begin, to, STEP):
        lines = [f"m{i},hostname={host} value=1 {at}" for host in hosts for i in range(4)]
        assert store.write("\n".join(lines).encode(), "c").stored == len(lines)


def over_the_cap(cap: int) -> tuple[MetricStore, Clock, int]:
    """Half of the hosts are in use and have data of 16 windows, twice the retention."""
    clock = Clock()
    jobs = Jobs()
    store = open_store(clock, STEP, retention=RETENTION, memory_cap=cap)
    store.in_use(jobs.used_nodes)
    busy = [f"busy{i}" for i in range(PAGES // 2)]
    idle = [f"idle{i}" for i in range(PAGES // 2)]
    jobs.running = dict.fromkeys(busy, 0)
    now = ALIGNED + 16 * WINDOW
    clock.now = ALIGNED + 8 * WINDOW
    fill(store, busy, ALIGNED, ALIGNED + 8 * WINDOW)
    clock.now = now
    fill(store, [*busy, *idle], ALIGNED + 8 * WINDOW, now)
    return store, clock, now


def bytes_of(pages: int) -> int:
    """Memory of the tables besides the pages is below the size of one window of all hosts."""
    return pages * 1040


def test_the_cap_takes_protected_data_first(caplog: pytest.LogCaptureFixture) -> None:
    probe, _, _ = over_the_cap(1 << 30)
    full = int(probe.counters()["memory_bytes"])  # type: ignore[arg-type]
    store, _, now = over_the_cap(full - bytes_of(3 * PAGES // 2))
    store.housekeeping()
    assert int(store.counters()["memory_bytes"]) < full - bytes_of(3 * PAGES // 2)  # type: ignore[arg-type]
    for host in ("busy0", "idle0"):
        assert not np.isnan(values(store, host, now - RETENTION, now)).any()
    assert not has_any(store, "busy0", ALIGNED, now - RETENTION - WINDOW - 9 * STEP)
    (record,) = (r for r in caplog.records if r.levelno >= logging.WARNING)
    message = record.getMessage()
    for number in (full, full - bytes_of(3 * PAGES // 2), store.counters()["memory_bytes"]):
        assert str(number) in message
    assert "100 %" in message


def test_the_cap_goes_on_with_the_oldest_quarter_and_stops_when_below(
    caplog: pytest.LogCaptureFixture,
) -> None:
    probe, _, _ = over_the_cap(1 << 30)
    full = int(probe.counters()["memory_bytes"])  # type: ignore[arg-type]
    cap = full - bytes_of(PAGES // 2 * 8 + PAGES // 2)
    store, _, now = over_the_cap(cap)
    store.housekeeping()
    assert int(store.counters()["memory_bytes"]) <= cap  # type: ignore[arg-type]
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 2
    for host in ("busy0", "idle0"):
        assert not np.isnan(values(store, host, now - RETENTION * 3 // 4, now)).any()
        assert not has_any(store, host, ALIGNED, now - RETENTION * 3 // 4 - WINDOW)


def test_a_query_in_progress_does_not_make_the_cap_take_more(caplog: pytest.LogCaptureFixture) -> None:
    probe, _, _ = over_the_cap(1 << 30)
    full = int(probe.counters()["memory_bytes"])  # type: ignore[arg-type]
    store, _, now = over_the_cap(full - bytes_of(3 * PAGES // 2))
    with store._readers.reading():
        store.housekeeping()
        assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    store.housekeeping()
    for host in ("busy0", "idle0"):
        assert not np.isnan(values(store, host, now - RETENTION, now)).any()
    assert int(store.counters()["memory_bytes"]) < full - bytes_of(3 * PAGES // 2)  # type: ignore[arg-type]


def test_without_a_cap_nothing_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    store, _, now = over_the_cap(0)
    store.housekeeping()
    assert not np.isnan(values(store, "busy0", ALIGNED, now)).any()
    assert caplog.text == ""


def test_the_cap_is_looked_at_every_five_minutes_and_near_it_every_thirty_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def warnings() -> int:
        return len([r for r in caplog.records if r.levelno >= logging.WARNING])

    clock = Clock(ALIGNED + 8 * WINDOW)
    cap = bytes_of(20 * 8)
    store = open_store(clock, STEP, retention=RETENTION, memory_cap=cap)
    hosts = [f"h{i}" for i in range(20)]
    began = clock.now
    store.housekeeping()
    fill(store, hosts, ALIGNED + 2 * WINDOW, ALIGNED + 8 * WINDOW)
    clock.now = began + 299
    store.housekeeping()
    assert warnings() == 0
    assert 0.8 * cap < int(store.counters()["memory_bytes"])  # type: ignore[arg-type]
    clock.now = began + 301
    store.housekeeping()  # near the cap, or over it
    seen = warnings()
    fill(store, [f"more{i}" for i in range(20)], ALIGNED + 5 * WINDOW, ALIGNED + 8 * WINDOW)
    clock.now = began + 330
    store.housekeeping()
    assert warnings() == seen
    clock.now = began + 332
    store.housekeeping()
    assert warnings() > seen


def test_samples_beyond_the_cap_are_counted_and_break_nothing() -> None:
    clock = Clock(ALIGNED + 8 * WINDOW)
    store = open_store(clock, STEP, retention=RETENTION, memory_cap=1 << 20)
    store.housekeeping()
    dropped = 0
    for at in range(ALIGNED, ALIGNED + 8 * WINDOW, STEP):
        lines = [f"m{i},hostname=h{host} value=1 {at}" for host in range(200) for i in range(4)]
        report = store.write("\n".join(lines).encode(), "c")
        assert report.stored + sum(report.dropped.values()) == 800
        assert set(report.dropped) <= {"no-memory"}
        dropped += sum(report.dropped.values())
    assert dropped
    clock.now += 301
    store.housekeeping()
    store.housekeeping()
    assert int(store.counters()["memory_bytes"]) < 1 << 20  # type: ignore[arg-type]
    clock.now += 60
    sample(store, "h0", int(clock.now), 5)
    assert values(store, "h0", int(clock.now), int(clock.now) + 1) == [5.0]


# -- free ----------------------------------------------------------------------------------------------


@pytest.fixture
def ten_hours() -> MetricStore:
    """Node metrics and two hwthreads of two hosts."""
    clock = Clock(START + 10 * HOUR)
    store = open_store(clock)
    for i in range(600):
        for host in ("h1", "h2"):
            sample(store, host, START + 60 * i, i)
            for thread in (0, 1):
                sample(store, host, START + 60 * i, i, "flops", f",type=hwthread,type-id={thread}")
    return store


def pages(store: MetricStore) -> int:
    store.housekeeping()
    return int(store.counters()["pages"])  # type: ignore[arg-type]


def test_free_removes_whole_segments_that_end_before(ten_hours: MetricStore) -> None:
    before = pages(ten_hours)
    freed = ten_hours.free([["c", "h1"]], START + 5 * HOUR)
    assert freed >= 3
    assert freed % 3 == 0, "the same pages of each of three series"
    assert pages(ten_hours) == before - freed
    kept = values(ten_hours, "h1", START, START + 600 * 60)
    first_left = next(slot for slot, value in enumerate(kept) if value == value)
    assert 0 < first_left <= 300
    assert kept[first_left:] == list(map(float, range(first_left, 600)))
    assert values(ten_hours, "h2", START, START + 600 * 60) == list(map(float, range(600)))
    # The page of h2 that ends at the same slot goes as soon as that slot lies before, and not earlier.
    end = START + 60 * first_left
    assert ten_hours.free([["c", "h2"]], end) == freed - 3
    assert ten_hours.free([["c", "h2"]], end + 1) == 3


def test_free_takes_a_level_and_what_is_below(ten_hours: MetricStore) -> None:
    everything = pages(ten_hours)
    assert ten_hours.free([["c", "h1", "hwthread1"]], START) == 0
    one = ten_hours.free([["c", "h1", "cpu1"]], START + 100 * HOUR)
    assert one * 6 == everything
    assert ten_hours.free([["c", "h1", "hwthread1"]], START + 100 * HOUR) == 0
    assert ten_hours.free([["c", "h1"], ["c", "h1"]], START + 100 * HOUR) == 2 * one
    assert ten_hours.hosts("c") == ["h2"]
    assert ten_hours.free([[]], START + 100 * HOUR) == everything - 3 * one
    assert ten_hours.hosts("c") == []
    assert pages(ten_hours) == 0


def test_free_of_what_is_not_there_makes_nothing(ten_hours: MetricStore) -> None:
    before = (ten_hours.hosts("c"), ten_hours.counters())
    # The empty name is no level: the host itself has no name of its own below the host.
    unknown = [["x"], ["c", "h9"], ["c", "h1", "socket0"], ["c", "h1", "hwthread0", "a1"], ["c", "h1", ""]]
    assert ten_hours.free(unknown, START + 100 * HOUR) == 0
    assert (ten_hours.hosts("c"), ten_hours.counters()) == before


def test_free_gives_memory_back(ten_hours: MetricStore) -> None:
    before = int(ten_hours.counters()["pages"])  # type: ignore[arg-type]
    ten_hours.free([["c"]], START + 8 * HOUR)
    ten_hours.housekeeping()
    assert int(ten_hours.counters()["pages"]) <= before * 4 // 10  # type: ignore[arg-type]
    assert values(ten_hours, "h1", START + 9 * HOUR, START + 10 * HOUR) == list(map(float, range(540, 600)))
    sample(ten_hours, "h1", START + 60, 7)
    assert values(ten_hours, "h1", START, START + 180)[1] == 7


# -- reuse ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["free", "age"])
def test_rows_of_a_host_that_left_serve_another_one_without_its_samples(way: str) -> None:
    clock = Clock(START + HOUR)
    store = open_store(clock, retention=HOUR)
    line = b"m0,hostname=old value=111 %d"
    for i in range(60):
        assert store.write(line % (START + 60 * i), "c").stored == 1
    pages = store.counters()["pages"]
    begin = START
    if way == "free":
        store.free([["c", "old"]], START + 100 * HOUR)
    else:
        begin = START + 4 * HOUR
        clock.now = begin + HOUR
        store.housekeeping()
    store.housekeeping()
    assert store.counters()["pages"] == 0
    sample(store, "new", begin + 30 * 60, 1)
    assert store._tables.counts[layout.PAGE_COUNT] == pages, "memory is used again"

    def found(host: str) -> list[float]:
        return [value for value in values(store, host, begin - HOUR, begin + HOUR) if value == value]

    assert found("new") == [1.0]
    # The very bytes that used to lead to the row: they must not any more.
    assert store.write(line % (begin + 40 * 60), "c").stored == 1
    assert store.hosts("c") == ["new", "old"]
    assert found("new") == [1.0]
    assert found("old") == [111.0]


def test_nothing_is_used_again_before_the_last_reader_has_gone(ten_hours: MetricStore) -> None:
    pages = ten_hours.counters()["pages"]
    with ten_hours._readers.reading():
        ten_hours.free([[]], START + 100 * HOUR)
        ten_hours.housekeeping()
        assert ten_hours.counters()["pages"] == pages
        for i in range(4):
            sample(ten_hours, "h3", START + 60 * i, 5)
        assert int(pages) < int(ten_hours.counters()["pages"]) <= int(pages) + 2  # type: ignore[arg-type]
    ten_hours.housekeeping()
    assert 1 <= int(ten_hours.counters()["pages"]) <= 2  # type: ignore[arg-type]


def test_a_tree_that_nobody_finishes_reading_holds_nothing_up(ten_hours: MetricStore) -> None:
    tree = ten_hours.tree()
    next(tree)
    ten_hours.free([[]], START + 100 * HOUR)
    ten_hours.housekeeping()
    assert ten_hours.counters()["pages"] == 0
    assert list(tree) == [] or all(one.host for one in tree)


def test_hosts_that_come_and_go_for_long_read_like_a_dictionary() -> None:
    source = random.Random(5)
    clock = Clock()
    store = open_store(clock, retention=HOUR)
    known: dict[str, dict[int, float]] = {}
    for step in range(600):
        clock.now = START + 60 * step
        at = int(clock.now)
        alive = [f"h{i}" for i in range(40) if (step // 25 + i) % 7 < 3]
        lines = []
        for host in alive:
            number = source.randrange(1000)
            lines.append(f"m{step % 2},hostname={host} value={number} {at}")
            known.setdefault(f"{host} m{step % 2}", {})[at] = number
        source.shuffle(lines)
        assert store.write("\n".join(lines).encode(), "c").stored == len(lines)
        if source.random() < 0.02:
            gone = source.choice(alive)
            store.free([["c", gone]], at + 1000)
            for metric in ("m0", "m1"):
                known.pop(f"{gone} {metric}", None)
        store.housekeeping()
    assert int(store.counters()["removed_series"]) > 100  # type: ignore[arg-type]
    oldest = int(clock.now) - HOUR
    for i in range(40):
        for metric in ("m0", "m1"):
            expected = {t: v for t, v in known.get(f"h{i} {metric}", {}).items() if t >= oldest}
            found = values(store, f"h{i}", oldest, int(clock.now) + 60, metric)
            stored = {oldest + 60 * j: v for j, v in enumerate(found) if v == v}
            assert stored == expected, (i, metric)


def test_names_that_never_come_back_do_not_double_the_directory() -> None:
    clock = Clock()
    store = open_store(clock, retention=HOUR)
    for step in range(200):
        clock.now = START + 600 * step
        lines = [f"m0,hostname=h{step}-{i} value=1 {int(clock.now)}" for i in range(200)]
        assert store.write("\n".join(lines).encode(), "c").stored == 200
        store.housekeeping()
    assert int(store.counters()["series"]) <= 200 * 12  # type: ignore[arg-type]
    assert store._tables.directory.shape[0] <= 1 << 15


# -- all at once ---------------------------------------------------------------------------------------


class Load:
    """Two writers and two readers beside housekeeping, free and checkpoints; what each found wrong."""

    hosts = 24  # per writer
    metrics = 4

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.jobs = Jobs()
        self.jobs.running = {"w0-0": 0}
        self.store = open_store(
            self.clock,
            retention=2 * HOUR,
            directory=directory,
            checkpoint_interval=20 * 60,
            pack_after=5 * 60,
        )
        self.store.restore()
        self.store.in_use(self.jobs.used_nodes)
        self.done = [START, START]  # everything before is written
        self.stop = threading.Event()
        self.trouble: list[str] = []
        self.queries = 0
        self.freed = 0

    def alive(self, step: int, host: int) -> bool:
        """A third of the hosts come and go, so that rows are used again and again."""
        return host % 3 != 0 or host == 0 or (step // 150 + host) % 2 == 0

    def write(self, writer: int) -> None:
        step = 0
        while not self.stop.is_set():
            at = START + 60 * step
            if at > min(self.done) + 300:
                time.sleep(0)
                continue
            self.clock.now = max(self.clock.now, at)
            lines = [
                f"m{m},hostname=w{writer}-{h} value={step}.5 {at}"
                for h in range(self.hosts)
                if self.alive(step, h)
                for m in range(self.metrics)
            ]
            late = max(step - 45, 0)  # its page has been packed; the same sample comes again
            lines += [
                f"m0,hostname=w{writer}-{h} value={late}.5 {START + 60 * late}"
                for h in range(step % 5, self.hosts, 5)
                if self.alive(late, h) and self.alive(step, h)
            ]
            report = self.store.write("\n".join(lines).encode(), "c")
            if report.stored != len(lines):
                self.trouble.append(f"stored {report}")
            step += 1
            self.done[writer] = at + 60

    def check(self, writer: int, host: int, metric: int) -> None:
        """The last hour before what is surely written: nothing may be missing, nothing too much."""
        to = self.done[writer]
        start = max(START, to - HOUR)
        found = values(self.store, f"w{writer}-{host}", start, to, f"m{metric}")
        first = (start - START) // 60
        expected = [
            step + 0.5 if self.alive(step, host) else np.nan for step in range(first, (to - START) // 60)
        ]
        if not found:
            found = [np.nan] * len(expected)
        if self.clock.now > start + 100 * 60:
            return  # this thread did not get to run: its range is about to leave the retention
        if not np.array_equal(found, expected, equal_nan=True):
            self.trouble.append(f"w{writer}-{host} m{metric} from {start}: {found} instead of {expected}")

    def read(self, seed: int) -> None:
        source = random.Random(seed)
        while not self.stop.is_set():
            self.check(source.randrange(2), source.randrange(self.hosts), source.randrange(self.metrics))
            self.queries += 1

    def tidy(self) -> None:
        while not self.stop.is_set():
            self.store.housekeeping()
            self.freed += self.store.free([["c"], ["c", "w0-3"]], int(self.clock.now) - 101 * 60)
            self.store.tree(["c", "w1-6"])
            time.sleep(0.005)

    def run(self, seconds: float) -> None:
        def guarded(work: object, *arguments: int) -> None:
            try:
                work(*arguments)  # type: ignore[operator]
            except Exception as error:
                self.trouble.append(repr(error))

        threads = [threading.Thread(target=guarded, args=(self.write, w)) for w in (0, 1)]
        threads += [threading.Thread(target=guarded, args=(self.read, s)) for s in (0, 1)]
        threads.append(threading.Thread(target=guarded, args=(self.tidy,)))
        for thread in threads:
            thread.start()
        # A slow machine gets more time until each of them did its part.
        end = time.monotonic() + 60
        self.stop.wait(seconds)
        while min(self.queries, self.freed) <= 10 and time.monotonic() < end:
            self.stop.wait(0.1)
        self.stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def test_writers_and_readers_beside_retention_free_and_checkpoints(tmp_path: Path) -> None:
    under_load(tmp_path, 5)


def under_load(directory: Path, seconds: float) -> None:
    load = Load(directory)
    load.run(seconds)
    assert load.trouble[:3] == []
    assert load.queries > 10
    assert load.freed > 10
    counters = load.store.counters()
    assert int(counters["removed_pages"]) > 10, counters  # type: ignore[arg-type]
    assert int(counters["packed_pages"]) > 10, counters  # type: ignore[arg-type]
    for writer in (0, 1):
        for host in range(load.hosts):
            for metric in range(load.metrics):
                load.check(writer, host, metric)
    assert load.trouble[:3] == []
    load.store.close()
    # What the last checkpoint has is the same.
    load.store = open_store(load.clock, retention=2 * HOUR, directory=directory)
    load.store.restore()
    for writer in (0, 1):
        for host in range(load.hosts):
            load.check(writer, host, 0)
    assert load.trouble[:3] == []
