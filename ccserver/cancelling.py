"""Ending long work between two pieces of it."""

from __future__ import annotations

import contextlib

import trio


def stop_when_cancelled() -> None:
    """Raises trio.Cancelled when the task that waits for this worker thread was cancelled."""
    with contextlib.suppress(RuntimeError):  # not in a thread of trio: nobody can cancel
        trio.from_thread.check_cancelled()
