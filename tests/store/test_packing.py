"""Packed pages: bit for bit what was stored, at any time and beside everything else."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ccstore import Metric, MetricStore, Query, StoreOptions
from ccstore.checkpoint import CheckpointWriter
from ccstore.kernels import codec, layout
from tests import naive
from tests.store.test_pages import check

START = 1700000000
NAN = float("nan")

# -- a row ---------------------------------------------------------------------------------------------------


def bits(values: list[float]) -> list[int]:
    return [naive.word_of(value) for value in values]


_DECIMALS = st.integers(-3, 9).flatmap(
    lambda places: st.lists(
        st.one_of(st.integers(-(10**4), 10**7).map(lambda n: n / 10.0**places), st.just(NAN)),
        min_size=8,
        max_size=64,
    ).map(bits)
)
_COUNTERS = st.tuples(st.integers(0, 10**12), st.lists(st.integers(0, 10**6), min_size=8, max_size=64)).map(
    lambda drawn: bits([drawn[0] + sum(drawn[1][:i]) for i in range(len(drawn[1]))])
)
_ANY_BITS = st.lists(
    st.one_of(
        st.integers(0, 2**32 - 1),
        st.sampled_from(
            [naive.EMPTY, 0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7FC00001, 0xFFC00000, 2**32 - 1]
        ),
    ),
    min_size=8,
    max_size=64,
)
_NEAR = st.tuples(st.integers(0, 2**31), st.integers(0, 20)).flatmap(
    lambda near: st.lists(
        st.one_of(st.integers(0, 1000).map(lambda n: near[0] + (n << near[1])), st.just(naive.EMPTY)),
        min_size=8,
        max_size=64,
    )
)
_CONSTANT = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 64)).map(lambda drawn: [drawn[0]] * drawn[1])


def packed(words: list[int]) -> list[int]:
    """Header, base and codes of a row; empty when it cannot be packed."""
    row = np.array(words, np.uint32)
    header, base = codec.plan(row.view(np.float32), row)
    if header == codec.TOO_WIDE:
        return []
    target = np.zeros(codec.words_of(header, len(row)), np.uint32)
    codec.pack(row.view(np.float32), row, header, base, target)
    return [int(header), *target.tolist()]


@given(st.one_of(_DECIMALS, _COUNTERS, _ANY_BITS, _NEAR, _CONSTANT), st.data())
def test_a_row_comes_back_bit_for_bit_in_the_fewest_bits(words: list[int], data: st.DataObject) -> None:
    row = packed(words)
    width = naive.fewest_bits(words)
    if not row:
        assert width == 33
        return
    assert row[0] % 64 == width
    assert len(row) == 2 + -(-width * len(words) // 32)
    assert naive.unpacked(row, len(words)) == words
    first = data.draw(st.integers(0, len(words) - 1))
    out: NDArray[np.float32] = np.empty(data.draw(st.integers(1, len(words) - first)), np.float32)
    # As in a page: something stands before the row and behind it.
    around = np.array([7, *row[1:], 2**32 - 1, 2**32 - 1], np.uint32)
    codec.unpack(around, 1, row[0], first, out)
    assert out.view(np.uint32).tolist() == words[first : first + len(out)]
    for slot in range(len(words)):
        (value,) = struct.unpack("<f", struct.pack("<I", words[slot]))
        assert codec.is_filled(around, 1, row[0], slot) == (value == value)


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([37.25] * 64, 0),
        ([NAN] * 64, 0),
        ([0.01 * i for i in range(64)], 6),
        ([12.34, NAN] * 32, 1),
        ([-0.0, 0.0, 0.01] * 8, 31),
        ([-0.5 * i - 1 for i in range(16)], 6),
        ([6.4e10 + 1e6 * i for i in range(64)], 6),
    ],
)
def test_what_takes_how_many_bits(values: list[float], width: int) -> None:
    assert naive.fewest_bits(bits(values)) == width
    row = packed(bits(values))
    assert row[0] % 64 == width
    assert naive.unpacked(row, len(values)) == bits(values)


# -- a store -------------------------------------------------------------------------------------------------

METRICS = [Metric(f"m{i}", 60) for i in range(5)]
LATER = 10**6  # seconds: all pages but the newest are old enough
GROUPS = 6  # three of each host, of one, one and two series: the newest page of each is never packed


def open_store(now: list[float], pack_after: float, directory: Path | None = None) -> MetricStore:
    options = StoreOptions(retention=10**9, pack_after=pack_after, directory=directory)
    return MetricStore({"c": METRICS}, options, clock=lambda: now[0])


def tidy(store: MetricStore, now: list[float]) -> None:
    """Everything old is packed, and what that replaced is free."""
    now[0] += 1000
    store.housekeeping()
    store.housekeeping()


def contents(store: MetricStore) -> Iterator[object]:
    """All that can be read, as text: NaN equals NaN."""
    for host in ("h0", "h1"):
        queries = [Query(metric.name, host) for metric in METRICS]
        for padding in (True, False):
            answer = store.query("c", START - 600, START + 70 * 3600, queries, with_padding=padding)
            for row in answer.rows:
                for one in row:
                    yield str((None if one.data is None else one.data.tolist(), one.start, one.to, one.avg))
    newest = store.last_values("c", [metric.name for metric in METRICS])
    yield str((newest.values.tolist(), newest.times.tolist()))
    for series in store.tree():
        # Runs lie in pages: where pages have become one, so have they.
        yield str((series.host, series.metric, series.runs[0].start, series.runs[-1].end))


_VALUES = st.one_of(
    st.integers(-1000, 10**7).map(lambda n: n / 100),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.just(12.5),
)
_STEPS = st.lists(
    st.one_of(
        # host, metric, first slot, values: runs as long as pages are, also of what has been packed before
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 4),
            st.integers(0, 3800),
            st.lists(_VALUES, min_size=1, max_size=90),
        ),
        st.just("pack"),
    ),
    max_size=25,
)


@given(_STEPS)
def test_a_store_reads_the_same_packed_and_not(steps: list[object]) -> None:
    """The twin of a store that packs as often as it can is one that never does."""
    now = [float(START + LATER)]
    store, twin = open_store(now, 1), open_store(now, 0)
    for step in steps:
        if step == "pack":
            tidy(store, now)
        elif isinstance(step, tuple):
            host, metric, first, values = step
            lines = [
                f"m{metric},hostname=h{host} value={value!r} {START + 60 * (first + i) + metric}"
                for i, value in enumerate(values)
            ]
            message = "\n".join(lines).encode()
            assert store.write(message, "c").stored == twin.write(message, "c").stored == len(lines)
    assert list(contents(store)) == list(contents(twin))
    tidy(store, now)
    assert list(contents(store)) == list(contents(twin))
    check(store)
    assert twin.counters()["packed_pages"] == 0


def messages(slots: int = 700) -> Iterator[bytes]:
    """Metrics that pack well, those that do not, and some samples missing."""
    source = np.random.default_rng(1)
    for slot in range(slots):
        lines = []
        for host in ("h0", "h1"):
            at = START + 60 * slot
            lines += [f"m0,hostname={host} value=1.5 {at}", f"m1,hostname={host} value={slot % 50 / 10} {at}"]
            lines.append(f"m2,hostname={host} value={source.uniform(0, 100)!r} {at}")
            if source.random() < 0.9:
                lines.append(f"m3,hostname={host} value={slot}i {at}")
        yield "\n".join(lines).encode()


def filled(store: MetricStore, slots: int = 700) -> None:
    for message in messages(slots):
        assert not store.write(message, "c").rejected


def number(store: MetricStore, figure: str) -> int:
    counted = store.counters()[figure]
    assert isinstance(counted, int)
    return counted


def test_packing_gives_memory_back_and_counts_it() -> None:
    now = [float(START + 700 * 60)]
    store = open_store(now, 3600)
    filled(store)
    before = number(store, "memory_bytes")
    pages = number(store, "pages")
    assert number(store, "packed_pages") == number(store, "packing_saves_bytes") == 0
    now[0] += LATER
    store.housekeeping()
    store.housekeeping()
    assert number(store, "pages") <= 15 * GROUPS, "small pages have become large ones, and are free"
    assert number(store, "packed_pages") >= number(store, "pages") // 2
    saved = number(store, "packing_saves_bytes") + layout.PAGE_BYTES * (pages - number(store, "pages"))
    assert before - number(store, "memory_bytes") == saved
    assert store.usage()["c"].page_bytes <= 0.6 * (store.usage()["c"].page_bytes + saved)
    store.free([["c"]], START + 10**6)
    store.housekeeping()
    assert (
        number(store, "packed_pages") == number(store, "packing_saves_bytes") == number(store, "pages") == 0
    )
    check(store)


def test_only_what_is_older_than_the_age_is_packed() -> None:
    now = [float(START + 700 * 60)]
    store = open_store(now, 701 * 60)
    filled(store)
    store.housekeeping()
    assert number(store, "packed_pages") == 0
    now[0] += 350 * 60
    store.housekeeping()
    store.housekeeping()
    packed_pages = number(store, "packed_pages")
    assert packed_pages > 0
    now[0] += 300 * 60
    store.housekeeping()
    assert number(store, "packed_pages") > packed_pages


def test_free_takes_what_ends_before_out_of_packed_pages() -> None:
    now = [float(START + LATER)]
    store, twin = open_store(now, 1), open_store(now, 0)
    for one in (store, twin):
        filled(one)
    tidy(store, now)
    to = START + 400 * 60

    def read(one: MetricStore, host: str, metric: str) -> NDArray[np.float64]:
        (row,) = one.query("c", START, START + 700 * 60, [Query(metric, host)]).rows
        assert row[0].data is not None
        return row[0].data.astype(np.float64)

    assert store.free([["c", "h0"]], to) > 0
    assert store.free([["c", "h0"]], to) == 0
    for metric in ("m0", "m1", "m2", "m3"):
        np.testing.assert_array_equal(read(store, "h1", metric), read(twin, "h1", metric))
        found, expected = read(store, "h0", metric), read(twin, "h0", metric)
        gone = np.isnan(found) & ~np.isnan(expected)
        np.testing.assert_array_equal(found[~gone], expected[~gone])
        assert not gone[399:].any(), "its slot ends at the limit"
        assert gone[: 399 - layout.LARGEST].sum() == (~np.isnan(expected[: 399 - layout.LARGEST])).sum()
    tidy(store, now)
    check(store)


def test_a_late_sample_goes_into_a_packed_page_and_that_is_packed_again() -> None:
    now = [float(START + LATER)]
    store, twin = open_store(now, 1), open_store(now, 0)
    for one in (store, twin):
        filled(one)
    tidy(store, now)
    full = number(store, "packed_pages")
    late = b"m3,hostname=h0 value=-7 %d\nm1,hostname=h0 value=7.5 %d" % (START + 12000, START + 12000)
    for one in (store, twin):
        one.write(late, "c")
    assert number(store, "packed_pages") == full, "until nobody can read them any more"
    now[0] -= 10
    store.housekeeping()
    assert number(store, "packed_pages") == full - 2
    assert list(contents(store)) == list(contents(twin))
    tidy(store, now)
    assert number(store, "packed_pages") == full
    assert list(contents(store)) == list(contents(twin))
    check(store)


def test_pages_that_packing_replaced_wait_for_their_readers() -> None:
    now = [float(START + LATER)]
    store = open_store(now, 1)
    filled(store)
    pages = number(store, "pages")
    with store._readers.reading():
        tidy(store, now)
        both = number(store, "pages")
        assert both >= pages + number(store, "packed_pages")
        store.write(b"m0,hostname=h0 value=1 %d" % (START + 12000), "c")
        store.housekeeping()
        assert number(store, "pages") == both + 1
    store.housekeeping()
    assert number(store, "pages") <= 15 * GROUPS
    check(store)


def test_a_sample_for_a_packed_page_is_counted_when_memory_is_used_up() -> None:
    now = [float(START + LATER)]
    store, twin = open_store(now, 1), open_store(now, 0)
    for one in (store, twin):
        filled(one)
    tidy(store, now)
    counts = store._tables.counts
    counts[layout.UNIT_LIMIT] = counts[layout.UNIT_COUNT]
    counts[layout.FREE_PAGES + 1 : layout.FREE_ROWS] = -1
    assert store.write(b"m0,hostname=h0 value=1 %d" % (START + 12000), "c").dropped == {"no-memory": 1}
    tidy(store, now)
    assert list(contents(store)) == list(contents(twin))


def test_checkpoints_have_packed_pages_and_increments_do_not_repeat_them(tmp_path: Path) -> None:
    now = [float(START + LATER)]
    saved = tmp_path / "saved"
    store = open_store(now, 1, saved)
    store.restore()
    filled(store)
    store.checkpoint()
    tidy(store, now)
    assert store.checkpoint().pages == GROUPS
    late = b"m0,hostname=h0 value=77 %d" % (START + 12000)
    store.write(late, "c")
    tidy(store, now)
    assert store.checkpoint().pages == GROUPS + 1
    before = list(contents(store))
    for pack_after in (1, 0):
        copy = tmp_path / f"copy{pack_after}"
        shutil.copytree(saved, copy)
        again = open_store(now, pack_after, copy)
        assert again.restore().damaged == 0
        assert list(contents(again)) == before
        tidy(again, now)
        assert list(contents(again)) == before
    # A full one, written from packed pages.
    full = open_store(now, 1)
    filled(full)
    full.write(late, "c")
    tidy(full, now)
    writer = CheckpointWriter(full._tables, full._lock, tmp_path / "full", 1)
    assert writer.write(now[0], 1).pages == number(full, "pages")
    again = open_store(now, 0, tmp_path / "full")
    again.restore()
    assert list(contents(again)) == before


def test_what_a_journal_has_goes_into_pages_that_are_packed_already(tmp_path: Path) -> None:
    """Housekeeping goes on while a store restores."""
    now = [float(START + LATER)]
    store = open_store(now, 1, tmp_path / "a")
    store.restore()
    filled(store)
    assert store.sync()
    before = list(contents(store))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    again = open_store(now, 1, tmp_path / "b")
    for i, message in enumerate(messages()):
        if i % 7:
            again.write(message, "c")
    tidy(again, now)
    assert number(again, "packed_pages") > 0
    assert list(contents(again)) != before
    again.restore()
    tidy(again, now)
    assert list(contents(again)) == before
    check(again)
