"""Durations as the configuration writes them: `48h`, `1h30m`, `1.5h`, `250ms`."""

from __future__ import annotations

import re

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|m|us|µs|μs|ns|s)")


class DurationError(ValueError):
    """The text is no duration."""


def parse_duration(text: str) -> float:
    """Seconds of `text`; units h, m, s, ms, us, ns may be chained, a bare 0 is allowed, days do not exist.

    Raises DurationError, also for the empty text. Source: spec/operations.md 8.1.
    """
    if text == "0":
        return 0.0
    position, seconds = 0, 0.0
    while match := _PART.match(text, position):
        seconds += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if position != len(text) or not text:
        raise DurationError(f"{text!r} is no duration; write numbers with units, for example 48h or 1h30m")
    return seconds
