"""Ending long work in a worker thread when the task that waits for it was cancelled.

trio is loaded with the server, not with this module: what reads a database alone does without it.
"""

from __future__ import annotations

import contextlib
import sys


def stop_when_cancelled() -> None:
    """Raises trio.Cancelled when the task that waits for this worker thread was cancelled."""
    if "trio" not in sys.modules:
        return
    import trio

    with contextlib.suppress(RuntimeError):  # not in a thread of trio: nobody can cancel
        trio.from_thread.check_cancelled()


def was_cancelled() -> bool:
    """Whether the task that waits for this worker thread was cancelled."""
    if "trio" not in sys.modules:
        return False
    import trio

    try:
        stop_when_cancelled()
    except trio.Cancelled:
        return True
    return False
