"""Repeating a blocking function from a trio task: every so many seconds, or daily at a time of the clock."""

from __future__ import annotations

import datetime
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


async def daily(
    hour: int,
    minute: int,
    work: Callable[[], object],
    *,
    name: str = "",
    clock: Callable[[], datetime.datetime] = datetime.datetime.now,
) -> None:
    """Run `work` in a worker thread every day at a time of the local clock, until cancelled.

    What `work` raises is logged; a cancellation waits for a run under way. Where the clock is put forward
    over the moment, the run follows within a minute.
    """
    now = clock()
    while True:
        due = next_time(now, hour, minute)
        # a minute at most: monotonic time does not notice when somebody sets the clock
        while (now := clock()) < due:  # noqa: ASYNC110  nothing signals what the clock on the wall shows
            await trio.sleep(min(60.0, (due - now).total_seconds()))
        try:
            await trio.to_thread.run_sync(work)
        except Exception:
            log.exception("background task %s failed", name or getattr(work, "__name__", repr(work)))


def next_time(now: datetime.datetime, hour: int, minute: int) -> datetime.datetime:
    """The first moment after `now` at which the local clock shows that time."""
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + datetime.timedelta(days=1)
