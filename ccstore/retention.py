"""The way of samples out of memory: age, memory cap, and `free`; packing of what stays.

Nothing that a reader may be looking at is used again: what a pass removes waits in limbo until every read
that had begun before it has ended.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, packing, reading, removal
from ccstore.kernels.layout import BASE
from ccstore.tables import StoreTables

log = logging.getLogger(__name__)

_GROUPS_PER_HOLD = 128  # of the writers' lock: half a millisecond when all series in them go
_PAGES_PER_HOLD = 8192
_PACKED_PER_HOLD = 128  # half a millisecond
_PACKED_PER_CALL = 1 << 16
_GIVE_WAY = 2e-5  # seconds between two holds
_NOTES = 1 << 16
_FRACTIONS = (1.0, 0.75, 0.5, 0.25)


@dataclass(slots=True)
class _Removed:
    at: int  # number of the first read that cannot have seen it
    pages: NDArray[np.int64]
    groups: NDArray[np.int64]
    segments: NDArray[np.int64]


class Readers:
    """Which reads are going on, by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._active: dict[int, None] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        number = next(self._numbers)
        self._active[number] = None
        # A number drawn but not yet entered cannot have followed any link: it reads the tables after this
        # line.
        try:
            yield
        finally:
            del self._active[number]

    def next_number(self) -> int:
        return next(self._numbers)

    def oldest(self) -> int:
        """Number below which every read has ended."""
        return min(self._active.copy(), default=1 << 62)


class Retention:
    """Removes old data; one pass at a time, in short holds of the writers' lock."""

    def __init__(self, tables: StoreTables, lock: threading.Lock, readers: Readers) -> None:
        self._tables = tables
        self._lock = lock
        self._readers = readers
        self._pass = threading.Lock()
        self._limbo: deque[_Removed] = deque()
        self._progress = np.zeros(removal.PROGRESS_SIZE, np.int64)
        self._pages = np.empty(_NOTES, np.int64)
        self._groups = np.empty(_NOTES, np.int64)
        self._segments = np.empty(_NOTES, np.int64)
        self._packing = np.zeros(1, np.int64)  # group to go on with
        self._plans = np.zeros(packing.PLANS, np.int64)
        self._values = np.zeros(packing.VALUES, np.float32)
        self.removed_pages = 0
        self.removed_series = 0

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """The writers' lock; a writer that waits for it gets it next.

        Without the pause this thread would have it again before the writer, woken by now, runs.
        """
        with self._lock:
            yield
        sleep(_GIVE_WAY)

    def drop_before(self, time: int, *, spare: bool = True) -> int:
        """Drops pages, series and hosts that end before `time` (unix seconds); returns the number of pages.

        With `spare`, hosts of running jobs are left alone.
        """
        with self._pass:
            dropped = 0
            self._progress[removal.NEXT_GROUP] = 0
            while True:
                self._begin()
                with self._hold():
                    groups = int(self._tables.counts[layout.GROUP_COUNT])
                    begin = int(self._progress[removal.NEXT_GROUP])
                    stop = min(begin + _GROUPS_PER_HOLD, groups)
                    removal.retire(
                        self._tables.flat,
                        stop,
                        time - BASE,
                        spare,
                        self._pages,
                        self._groups,
                        self._segments,
                        self._progress,
                    )
                dropped += self._end()
                if int(self._progress[removal.NEXT_GROUP]) >= groups:
                    return dropped

    def pack_before(self, time: int) -> bool:
        """Packs pages that end before `time` (unix seconds), a bounded number of them; whether that was all.

        They are packed under the writers' lock, in holds of half a millisecond.
        """
        counts = self._tables.counts
        seen = 0
        while seen < _PACKED_PER_CALL:
            with self._pass:
                with self._hold():
                    stop = min(int(self._packing[0]) + _GROUPS_PER_HOLD, int(counts[layout.GROUP_COUNT]))
                    seen += packing.pack_pages(
                        self._tables.flat,
                        stop,
                        time - BASE,
                        _PACKED_PER_HOLD,
                        self._values,
                        self._plans,
                        self._packing,
                    )
                if int(self._packing[0]) >= int(counts[layout.GROUP_COUNT]):
                    self._packing[0] = 0
                    return True
            # What has been packed is soon needed for what comes next.
            self.recycle()
        return False

    def _take_replaced(self) -> None:
        """Into limbo with pages that others have taken the place of."""
        count = _PAGES_PER_HOLD
        while count == _PAGES_PER_HOLD:
            pages = np.empty(_PAGES_PER_HOLD, np.int64)
            with self._hold():
                count = int(removal.take_replaced(self._tables.flat, pages))
            if count:
                nothing = np.empty(0, np.int64)
                number = self._readers.next_number()
                self._limbo.append(_Removed(number, pages[:count], nothing, nothing))

    def free(self, series: NDArray[np.int64], to: int) -> int:
        """Empties the pages of these series that end before `to`; returns their number, counted per
        series."""
        with self._pass:
            freed = 0
            self._progress[removal.NEXT_GROUP] = 0
            while int(self._progress[removal.NEXT_GROUP]) < len(series):
                self._begin()
                done = int(self._progress[removal.NEXT_GROUP])
                with self._hold():
                    freed += removal.free_series(
                        self._tables.flat,
                        series[: done + _GROUPS_PER_HOLD],
                        to - BASE,
                        self._pages,
                        self._groups,
                        self._segments,
                        self._progress,
                    )
                self._end()
            return freed

    def _begin(self) -> None:
        self._progress[removal.PAGES :] = 0

    def _end(self) -> int:
        pages, groups, segments, series = self._progress[removal.PAGES :].tolist()
        if pages or groups or segments:
            self._limbo.append(
                _Removed(
                    self._readers.next_number(),
                    self._pages[:pages].copy(),
                    self._groups[:groups].copy(),
                    self._segments[:segments].copy(),
                )
            )
        self.removed_pages += pages
        self.removed_series += series
        return int(pages)

    def recycle(self) -> None:
        """Gives back what nobody can see any more."""
        with self._pass:
            if self._tables.counts[layout.REPLACED] >= 0:
                self._take_replaced()
            while self._limbo and self._limbo[0].at <= self._readers.oldest():
                removed = self._limbo.popleft()
                with self._hold():
                    removal.recycle(self._tables.flat, removed.pages, removed.groups, removed.segments)
                    if len(removed.groups):
                        # Their rows will be other series; an old alias must not lead there.
                        self._tables.forget_aliases()

    def join_free_pages(self) -> None:
        """Makes large pages of small ones that are free and lie side by side.

        Series begin with small pages. When these have left the retention, only large ones are asked for.
        """
        with self._pass:
            taken: list[NDArray[np.int64]] = []
            while True:
                out = np.empty(_PAGES_PER_HOLD, np.int64)
                with self._hold():
                    count = int(removal.take_small_pages(self._tables.flat, out))
                taken.append(out[:count])
                if count < _PAGES_PER_HOLD:
                    break
            pages = np.concatenate(taken)
            places, units = joined(*self._memory_of(pages))
            rest = np.zeros(len(pages) - len(units), np.int64)
            units, places = np.concatenate((units, rest)), np.concatenate((places, rest))
            for begin in range(0, len(pages), _PAGES_PER_HOLD):
                part = slice(begin, begin + _PAGES_PER_HOLD)
                with self._hold():
                    removal.put_free_pages(self._tables.flat, pages[part], places[part], units[part])

    def _memory_of(self, pages: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First unit and number of units."""
        rows = self._tables.pages[pages]
        state = rows[:, layout.STATE]
        packed = (state >> layout.PACKED) & 31
        units = np.where(packed, packed, 1 << ((state & 3) + ((state >> 2) & 3))).astype(np.int64)
        return rows[:, layout.PAGE_AT].astype(np.uint32).astype(np.int64), units

    def _bytes_in_use(self) -> int:
        """Without the pages that are free as soon as the reads now going on have ended."""
        waiting = [removed.pages for removed in self._limbo.copy()]
        if not waiting:
            return self._tables.resident_bytes()
        pages = np.concatenate(waiting)
        _, units = self._memory_of(pages)
        size = int(units.sum()) * layout.UNIT_BYTES + len(pages) * layout.PAGE_BYTES
        return self._tables.resident_bytes() - size

    def enforce_cap(self, cap: int, now: int, retention: float) -> None:
        """Over the cap: protected data first, then what is older than 75 %, 50 %, 25 % of the retention."""
        for fraction in _FRACTIONS:
            used = self._bytes_in_use()
            if used <= cap:
                return
            cutoff = int(now - fraction * retention)
            pages = self.drop_before(cutoff, spare=False)
            self.recycle()
            log.warning(
                "memory cap: %d bytes of %d in use; dropped %d pages older than %d %% "
                "of the retention, %d bytes left",
                used,
                cap,
                pages,
                round(100 * fraction),
                self._bytes_in_use(),
            )
        left = self._bytes_in_use()
        if left > cap:
            log.error(
                "memory cap: %d bytes of %d are in use by the newest quarter of the retention and by names; "
                "raise memory-cap or shorten retention-in-memory",
                left,
                cap,
            )

    def keep(self, hosts: Sequence[int]) -> None:
        """From now on exactly these hosts are kept whatever their age."""
        with self._lock:
            count = int(self._tables.counts[layout.HOST_COUNT])
            kept = self._tables.hosts[:count, layout.HOST_KEPT]
            kept[:] = 0
            kept[list(hosts)] = 1

    def series_of(self, host: int) -> NDArray[np.int64]:
        out = np.empty(4096, np.int64)
        while True:
            count = int(reading.series_of_host(self._tables.flat, host, out))
            if count <= len(out):
                return out[:count]
            out = np.empty(2 * count, np.int64)


def joined(
    places: NDArray[np.int64], units: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same memory as pieces as large as pages can be: their first units, and how many they have.

    They are never more than there were.
    """
    order = np.argsort(places)
    places, units = places[order], units[order]
    begins = np.flatnonzero(np.concatenate(([True], places[1:] != (places + units)[:-1]))[: len(places)])
    runs = np.add.reduceat(units, begins) if len(begins) else units
    at = places[begins]
    largest = layout.MOST_UNITS
    whole = runs // largest
    within = np.arange(int(whole.sum())) - np.repeat(np.cumsum(whole) - whole, whole)
    rest = runs % largest
    return (
        np.concatenate((np.repeat(at, whole) + within * largest, (at + whole * largest)[rest > 0])),
        np.concatenate((np.full(int(whole.sum()), largest, np.int64), rest[rest > 0])),
    )
