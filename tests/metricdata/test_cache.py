from __future__ import annotations

import threading

import pytest

from ccserver.metricdata.cache import CacheCounters, ResultCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def cache(capacity: int = 100, clock: Clock | None = None) -> ResultCache[str]:
    return ResultCache(capacity, len, clock or Clock())


def test_a_value_is_computed_once_in_its_lifetime() -> None:
    clock = Clock()
    values = iter(["first", "second"])
    kept = cache(clock=clock)
    assert kept.get("k", 10, lambda: next(values)) == "first"
    clock.now = 9.9
    assert kept.get("k", 10, lambda: next(values)) == "first"
    clock.now = 10
    assert kept.get("k", 10, lambda: next(values)) == "second"
    assert kept.counters() == CacheCounters(hits=1, misses=2, entries=1, bytes=6)


def test_the_least_recently_used_leave_when_it_is_full() -> None:
    kept = cache(10)
    for key in ("a", "b", "a", "c"):
        kept.get(key, 9, lambda: "12345")
    assert kept.counters() == CacheCounters(hits=1, misses=3, entries=2, bytes=10)
    kept.get("a", 9, lambda: pytest.fail("a was used last"))
    assert kept.get("b", 9, lambda: "again") == "again"


def test_a_value_larger_than_the_cache_is_not_kept() -> None:
    kept = cache(3)
    kept.get("small", 9, lambda: "1")
    assert kept.get("k", 9, lambda: "12345") == "12345"
    assert kept.counters().entries == 1
    kept.get("small", 9, lambda: pytest.fail("it was thrown out"))
    assert kept.get("k", 9, lambda: "new") == "new"


def test_errors_are_not_kept() -> None:
    kept = cache()

    def fail() -> str:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        kept.get("k", 9, fail)
    assert kept.get("k", 9, lambda: "fine") == "fine"


def test_others_wait_for_a_running_computation() -> None:
    kept = cache()
    started, go = threading.Event(), threading.Event()
    calls: list[int] = []
    results: list[str] = []

    def compute() -> str:
        calls.append(1)
        started.set()
        assert go.wait(5)
        return "value"

    threads = [threading.Thread(target=lambda: results.append(kept.get("k", 9, compute))) for _ in range(4)]
    threads[0].start()
    assert started.wait(5)
    for thread in threads[1:]:
        thread.start()
    assert kept.get("other", 9, lambda: "free") == "free"
    go.set()
    for thread in threads:
        thread.join(5)
    assert results == ["value"] * 4
    assert len(calls) == 1


def test_who_waits_gets_the_error_too() -> None:
    kept = cache()
    started, go = threading.Event(), threading.Event()
    errors: list[str] = []

    def compute() -> str:
        started.set()
        assert go.wait(5)
        raise OSError("broken")

    def ask() -> None:
        try:
            kept.get("k", 9, compute)
        except OSError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert started.wait(5)
    threads[1].start()
    while threads[1].is_alive() and not errors:
        go.set()
        threads[1].join(0.01)
    for thread in threads:
        thread.join(5)
    assert errors == ["broken"] * 2
