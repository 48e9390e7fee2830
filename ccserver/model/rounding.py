"""The rounding that job statistics and footprints are stored with."""

from __future__ import annotations

import math


def round2(value: float) -> float:
    """Two decimals, halves away from zero, computed on the binary double: 2.675 -> 2.68, 1.005 -> 1.0.

    Not Python's `round`. Contract: spec/job-archive.md, table of terms.
    """
    if not math.isfinite(value):
        return value
    return math.copysign(math.floor(abs(value) * 100 + 0.5) / 100, value)
