"""Fills in the past of the simulated cluster at the first start, newest hour first.

An hour is 470 thousand lines or 40 MB, made in a quarter of a second and posted node by node; the jobs that
started in it are reported once their samples are stored, because archiving reads the store.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from ccserver.demo.adapter import TAKEN, deliver
from ccserver.demo.clusters import SIMULATED
from ccserver.demo.curves import REPORTING, NodeCurves, sample_times
from ccserver.demo.jobs import Placement
from ccserver.demo.rest import Api, Unreachable
from ccserver.demo.scheduler import Ended, Event, Started

BLOCK = 3600  # seconds
RETENTION = 48 * 3600  # of the store, as configured by the demo
RETRY = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    done_to: int  # everything from here to the end of the history is in
    jobs: int
    complete: bool


class Stopped(Exception):
    """The demo ends before the history is complete."""


class History:
    """Runs in a thread of its own until done or `stopping` is set."""

    def __init__(
        self, api: Api, start: int, end: int, events: Iterable[Event], complain: Callable[[str], None]
    ) -> None:
        self._api = api
        self._complain = complain
        self._start = start
        self._end = end
        self._placements: dict[int, Placement] = {}
        self._ends: dict[int, Ended] = {}
        for event in events:
            if isinstance(event, Started):
                self._placements[event.placement.job.number] = event.placement
            else:
                self._ends[event.placement.job.number] = event
        self.stopping = threading.Event()

    def finished_jobs(self) -> frozenset[int]:
        """Numbers of the jobs that only the history reports."""
        return frozenset(self._ends)

    def fill(self, done_to: int, progress: Callable[[Progress], None]) -> None:
        """Sends samples and finished jobs from `done_to` back to the start; returns early when stopping."""
        _lower_priority()
        curves = {node: NodeCurves(node) for node in REPORTING}
        jobs = 0
        try:
            for start, end in blocks(self._start, done_to, time.time):
                self._send_samples(curves, start, end)
                jobs += self._report_jobs(start, end)
                done_to = start
                progress(Progress(done_to, jobs, complete=False))
        except Stopped:
            return
        progress(Progress(done_to, jobs, complete=True))

    def _send_samples(self, curves: dict[str, NodeCurves], start: int, end: int) -> None:
        overlapping = [each for each in self._placements.values() if each.end > start and each.start < end]
        for node, each in curves.items():
            text = each.text(
                sample_times(node, start, end), [one for one in overlapping if node in one.hosts]
            )
            self._until_taken(partial(self._api.write, SIMULATED, text))

    def _report_jobs(self, start: int, end: int) -> int:
        ended = [each for each in self._ends.values() if start <= each.placement.start < end]
        for event in sorted(ended, key=lambda each: -each.time):
            for step in (Started(event.placement), event):
                self._until_taken(partial(deliver, self._api, step))
        return len(ended)

    def _until_taken(self, call: Callable[[], tuple[int, object]]) -> None:
        """Repeats a call while the server is away or in trouble. Raises Stopped."""
        while True:
            if self.stopping.is_set():
                raise Stopped
            try:
                status, answer = call()
                if status not in TAKEN:
                    self._complain(f"the server refuses a part of the history: {status} {answer}")
                if status < 500:
                    return
            except Unreachable:
                pass
            self.stopping.wait(RETRY)


def _lower_priority() -> None:
    """Live data come first. Linux keeps priorities per thread; elsewhere this would slow the whole demo."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def first_moment(now: int, length: float) -> int:
    """Where a history of `length` seconds begins, clear of what the store would refuse as too old."""
    margin = 600  # the oldest hour is sent last, and by then it is older
    return int(now - min(length, RETENTION - margin)) if length else now


def blocks(start: int, done_to: int, clock: Callable[[], float]) -> Iterator[tuple[int, int]]:
    """Stretches from `done_to` back to `start`, up to the first that the store would refuse as too old."""
    end = done_to
    while end > start:
        begin = max(start, end - BLOCK)
        if begin < clock() - RETENTION:
            return
        yield begin, end
        end = begin
