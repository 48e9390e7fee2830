"""Repeatable noise: a value is a function of its key and its time, so history and live data join."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key(*parts: int | str) -> int:
    """A 64-bit key of some names and numbers, equal in every process and release of Python."""
    value = 0
    for part in parts:
        word = crc32(part.encode()) if isinstance(part, str) else part
        value = int(_mixed(np.array([(value * 0x100000001B3 + word) & 0xFFFFFFFFFFFFFFFF], np.uint64))[0])
    return value


def keys(base: int, count: int) -> Keys:
    """`count` keys derived from one, shape (count,)."""
    return _mixed(np.uint64(base) ^ np.arange(1, count + 1, dtype=np.uint64))


def uniform(of: Keys, slots: NDArray[np.int64]) -> Floats:
    """White noise in [0, 1), shape (keys, slots)."""
    mixed = _mixed(of[:, None] + slots.astype(np.uint64)[None, :] * _GOLDEN)
    unit: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return unit


def smooth(of: Keys, times: Floats, period: float) -> Floats:
    """Noise in [0, 1) that changes over about `period` seconds, shape (keys, times)."""
    position = times / period
    left = np.floor(position)
    part = position - left
    part = part * part * (3.0 - 2.0 * part)
    lattice = left.astype(np.int64)
    return uniform(of, lattice) * (1.0 - part) + uniform(of, lattice + 1) * part


def draw(base: int, name: str) -> float:
    """One number in [0, 1) for a named decision."""
    return float(uniform(np.array([key(base, name)], np.uint64), np.zeros(1, np.int64))[0, 0])


def _mixed(value: Keys) -> Keys:
    """splitmix64's finaliser (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        value = value + _GOLDEN
        value = (value ^ (value >> np.uint64(30))) * _MIX_1
        value = (value ^ (value >> np.uint64(27))) * _MIX_2
        return value ^ (value >> np.uint64(31))
