"""Repeating a blocking function from a trio task."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

log = logging.getLogger(__name__)


async def every(seconds: float, work: Callable[[], object], *, name: str = "") -> None:
    """Run `work` in a worker thread every `seconds`, first after `seconds`, until cancelled.

    Runs never overlap: one that takes longer than the interval delays the next. What `work` raises is logged.
    A cancellation waits for a run under way, so that nothing works on after the nursery has ended.
    `seconds` 0 or less: the task is switched off.
    """
    if seconds <= 0:
        return
    due = trio.current_time() + seconds
    while True:
        await trio.sleep_until(due)
        try:
            await trio.to_thread.run_sync(work)
        except Exception:
            log.exception("background task %s failed", name or getattr(work, "__name__", repr(work)))
        due = max(due + seconds, trio.current_time())
