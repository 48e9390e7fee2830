"""Line protocol text of whole blocks of samples, formatted by numpy.

Cost: about 115 bytes of scratch a line, of which the unused positions are zero bytes that one pass removes;
millions of lines a second, where formatting one line at a time manages some hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECIMALS = 3
MAXIMUM = 4_294_967.0  # uint32 thousandths
_DIGITS = 10
_TIME_DIGITS = 10
_ZERO = ord("0")


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What a sample belongs to on one node; `type_id` is None at node level."""

    metric: str
    type: str = "node"
    type_id: str | None = None


def head(key: SeriesKey, cluster: str, hostname: str) -> bytes:
    """The line up to and with `value=`, tags sorted by key as collectors send them."""
    tags = f"{key.metric},cluster={cluster},hostname={hostname},type={key.type}"
    if key.type_id is not None:
        tags += f",type-id={key.type_id}"
    return f"{tags} value=".encode()


def line(key: SeriesKey, cluster: str, hostname: str, value: float, time: int) -> bytes:
    """One line without its newline, the value in its shortest form."""
    return head(key, cluster, hostname) + repr(round(float(value), 6)).encode() + f" {time}".encode()


def head_matrix(heads: Sequence[bytes]) -> NDArray[np.uint8]:
    """Heads as rows of one matrix, filled up with zero bytes, shape (series, longest head)."""
    width = max(len(each) for each in heads)
    return np.frombuffer(b"".join(each.ljust(width, b"\0") for each in heads), np.uint8).reshape(-1, width)


def format_block(heads: NDArray[np.uint8], values: NDArray[np.float64], times: NDArray[np.int64]) -> bytes:
    """All samples of one node as lines, every time step with all its series, the order collectors send.

    `heads` (series, width), `values` (series, times) in 0..MAXIMUM, `times` (times,) seconds since epoch.
    A NaN is no sample and gives no line.
    """
    series, width = heads.shape
    steps = len(times)
    text = np.zeros((steps, series, width + _DIGITS + 1 + 1 + _TIME_DIGITS + 1), np.uint8)
    text[:, :, :width] = heads
    number = np.clip(np.nan_to_num(values.T), 0.0, MAXIMUM)
    _write_numbers(text[:, :, width : width + _DIGITS + 1], np.rint(number * 10**DECIMALS).astype(np.uint32))
    text[:, :, width + _DIGITS + 1] = ord(" ")
    for place in range(_TIME_DIGITS):
        digit = times // 10 ** (_TIME_DIGITS - 1 - place) % 10 + _ZERO
        text[:, :, width + _DIGITS + 2 + place] = digit[:, None]
    text[:, :, -1] = ord("\n")
    absent = np.isnan(values.T)
    if absent.any():
        text[absent] = 0
    return text.tobytes().translate(None, b"\0")


def _write_numbers(text: NDArray[np.uint8], thousandths: NDArray[np.uint32]) -> None:
    """Decimal digits with neither leading nor trailing zeros into `text` (..., digits + 1)."""
    point = _DIGITS - DECIMALS
    rest = thousandths
    trailing = np.ones(thousandths.shape, bool)
    for place in range(_DIGITS):  # from the last decimal to the first digit
        quotient = rest // np.uint32(10)
        digit = (rest - quotient * np.uint32(10)).astype(np.uint8)
        if place < DECIMALS:
            trailing &= digit == 0
            text[..., _DIGITS - place] = np.where(trailing, 0, digit + _ZERO)
        else:
            leading = (rest == 0) if place > DECIMALS else False
            text[..., _DIGITS - 1 - place] = np.where(leading, 0, digit + _ZERO)
        rest = quotient
    text[..., point] = np.where(trailing, 0, ord("."))
