"""What the files hold, and how several files about the same series become one sequence of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccstore.tables import Component

Times = NDArray[np.int64]
Values = NDArray[np.float32]


class Unreadable(Exception):
    """A file, or the rest of one, is not what it should be; the message says why."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one series from one file: rising times (unix seconds), finite values, step in seconds.

    `levels` are level names below the host as the file spells them ("socket0", "nvlink1").
    """

    levels: tuple[str, ...]
    metric: str
    step: int
    times: Times
    values: Values


def raster_piece(levels: tuple[str, ...], metric: str, step: int, start: int, values: Values) -> Piece:
    """A piece of a file that stores value i at start + i * step; empty slots are left out.

    Raises Unreadable for steps and times that cannot be meant.
    """
    if not 0 < step < 1 << 24 or not 0 <= start < 1 << 40:
        raise Unreadable(f"metric {metric!r} has step {step} and start {start}")
    present = np.flatnonzero(np.isfinite(values))
    return Piece(levels, metric, step, start + present * step, values[present])


def joined(pieces: Sequence[Piece]) -> tuple[Times, Values]:
    """One sequence from pieces of one series, the most trusted first.

    A sample is left out when its slot has a more trusted one, that is one within half a step. The first
    sample of a piece is left out also when that one lies exactly half a step before it: each file of the
    reference takes its first sample a second time from the file before (spec/metric-store.md 11.2).
    """
    times, values = pieces[0].times, pieces[0].values
    for piece in pieces[1:]:
        new = ~_covered(times, piece)
        order = np.argsort(merged := np.concatenate((times, piece.times[new])), kind="stable")
        times, values = merged[order], np.concatenate((values, piece.values[new]))[order]
    return times, values


def _covered(times: Times, piece: Piece) -> NDArray[np.bool_]:
    if not len(times):
        return np.zeros(len(piece.times), np.bool_)
    behind = np.searchsorted(times, piece.times, "right")
    since = piece.times - times[np.maximum(behind - 1, 0)]
    until = times[np.minimum(behind, len(times) - 1)] - piece.times
    covered = ((since >= 0) & (2 * since < piece.step)) | ((until >= 0) & (2 * until <= piece.step))
    if len(covered):
        covered[0] |= 0 <= 2 * since[0] <= piece.step
    return covered


_TYPES = ("memoryDomain", "socket", "accelerator", "hwthread", "core", "die", "llc", "cpu")


def component_of(levels: tuple[str, ...]) -> Component:
    """The component that level names mean; raises Unreadable when they mean none."""
    parts = [part for part in map(split_level, levels) if part[0]]
    # The reference files samples of "type=node,type-id=0" under a level "0": the host itself.
    if len(parts) > 2:
        raise Unreadable(f"{'/'.join(levels)} has more than two levels below the host")
    for kind, one in parts:
        if not _good(kind, one):
            raise Unreadable(f"{'/'.join(levels)} has characters that names must not have")
    (kind, one), (subtype, sub) = [*parts, ("", ""), ("", "")][:2]
    return kind, one, subtype, sub


def split_level(level: str) -> tuple[str, str]:
    """Type and id of a level name: the longest known type, else what comes before the first digit or sign
    that no type can have."""
    for known in sorted(_TYPES, key=len, reverse=True):
        if level.startswith(known):
            return "hwthread" if known == "cpu" else known, level[len(known) :]
    at = next((i for i, c in enumerate(level) if c.isdigit() or not _of_type(c)), len(level))
    return level[:at], level[at:]


def _of_type(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in "_-")


def _good(kind: str, one: str) -> bool:
    encoded = one.encode("utf-8", "surrogatepass")
    return (
        len(kind) <= 64
        and len(encoded) <= 255
        and ".." not in one
        and not any(byte < 32 or byte == 127 for byte in encoded)
    )
