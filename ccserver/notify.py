"""Telling systemd how the service is. Source: sd_notify(3), spec/operations.md 11.5.

Does nothing without NOTIFY_SOCKET, and never fails: a service runs as well without a listener.
"""

from __future__ import annotations

import contextlib
import os
import socket

import trio


def notify(**states: str | int) -> None:
    """Send `NAME=value` lines, for example `notify(READY=1, STATUS="running")`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # of the abstract name space
        address = "\0" + address[1:]
    message = "\n".join(f"{name}={value}" for name, value in states.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), address)


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what the unit allows; None when nobody waits for them."""
    microseconds, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or not int(microseconds) or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 2e6


async def feed_watchdog() -> None:
    """Signs of life from the event loop: one that hangs sends none, and systemd starts the service again."""
    interval = watchdog_interval()
    while interval is not None:
        notify(WATCHDOG=1)
        await trio.sleep(interval)
