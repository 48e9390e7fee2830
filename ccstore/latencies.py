"""How long calls take, as a histogram."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import accumulate

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; what takes longer than the last one is in a bucket of its own."""


class Latencies:
    """Counts calls by their time; any number of threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        place = bisect_left(BOUNDS, seconds)
        with self._lock:
            self._counts[place] += 1
            self._total += seconds

    def histogram(self) -> tuple[list[int], float]:
        """Calls that took at most each of BOUNDS, then all calls; and the sum of their seconds."""
        with self._lock:
            return list(accumulate(self._counts)), self._total
