"""Answers that are kept for a while. Contract: spec/metric-store.md 9.4 (cache)."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    value: T
    size: int
    expires: float


@dataclass(slots=True)
class CacheCounters:
    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0


class ResultCache(Generic[T]):
    """Least recently used values of at most `capacity` bytes together, each for a limited time.

    While a value is being computed, others who ask for the same key wait for it. A computation that fails
    raises for everybody who waits and leaves nothing behind. Safe to use from any thread; a computation must
    not ask the cache for its own key.
    """

    def __init__(
        self, capacity: int, size_of: Callable[[T], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.capacity = capacity
        self._size_of = size_of
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._running: dict[Hashable, Future[T]] = {}
        self._bytes = 0
        self._hits = 0
        self._misses = 0

    def get(self, key: Hashable, lifetime: float, compute: Callable[[], T]) -> T:
        """The value of `key`, computed at most once per `lifetime` seconds."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.expires > self._clock():
                self._entries.move_to_end(key)
                self._hits += 1
                return entry.value
            running = self._running.get(key)
            if running is None:
                mine: Future[T] = Future()
                self._running[key] = mine
                self._misses += 1
        if running is not None:
            return running.result()
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._running[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._running[key]
            self._put(key, _Entry(value, self._size_of(value), self._clock() + lifetime))
        mine.set_result(value)
        return value

    def counters(self) -> CacheCounters:
        with self._lock:
            return CacheCounters(self._hits, self._misses, len(self._entries), self._bytes)

    def _put(self, key: Hashable, entry: _Entry[T]) -> None:
        if old := self._entries.pop(key, None):
            self._bytes -= old.size
        if entry.size > self.capacity:
            return
        self._entries[key] = entry
        self._bytes += entry.size
        while self._bytes > self.capacity:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= oldest.size
