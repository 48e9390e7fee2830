"""What the journal keeps of a sample: 4 bytes in the order that senders keep, 16 in any other.

The log is an array of 32-bit words, written in the same call that stores the samples;
docs/format/journal.md draws it: entries that say what series a number stands for, and runs of samples, which
have one time and belong to consecutive series. Cost: 1 to 2 ns a sample.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    COMPONENT,
    HOST,
    LOGGED,
    METRIC,
    Tables,
    inlined,
    int32_1,
    int64,
    kernel,
    part,
    uint64,
)

# mark[...]: where the log has got to
USED = 0  # words
RUN = 1  # where the newest run begins, -1: none that may go on
EXPECTED = 2  # the series that may go on with it
RUN_TIME = 3
CHAPTER = 4  # series that have been explained bear this number; 0: nothing is logged
MARKS = 8

# kinds of entries: the lower two bits of their first word; the others are a count
SAMPLES_RUN = 0  # series, time, values
SERIES_ENTRY = 1  # series, host, metric, component

_FLOAT32_MAX = 3.4028234663852886e38
_SPARE = 1024  # words: a batch of lines, each of a new series, and some


@part
def room_in_log(log: NDArray[np.int32], mark: NDArray[np.int64]) -> bool:
    """Whether another batch of lines fits, whatever they are."""
    return mark[CHAPTER] == 0 or mark[USED] + _SPARE <= log.shape[0]


@inlined
def write_log(
    tables: Tables, log: NDArray[np.int32], mark: NDArray[np.int64], series: int, time: int, value: float
) -> None:
    """Logs a sample that has been stored; `time` is relative to BASE."""
    if mark[CHAPTER] == 0:
        return
    used = mark[USED]
    row = tables.series[series]
    if row[LOGGED] != mark[CHAPTER]:
        row[LOGGED] = mark[CHAPTER]
        log[used] = SERIES_ENTRY
        log[used + 1] = series
        log[used + 2] = row[HOST]
        log[used + 3] = row[METRIC]
        log[used + 4] = row[COMPONENT]
        used += 5
        mark[RUN] = -1
    if mark[RUN] < 0 or series != mark[EXPECTED] or time != mark[RUN_TIME]:
        mark[RUN] = used
        mark[RUN_TIME] = time
        log[used] = SAMPLES_RUN
        log[used + 1] = series
        log[used + 2] = time
        used += 3
    log[mark[RUN]] += 4
    log[used] = np.float32(min(max(value, -_FLOAT32_MAX), _FLOAT32_MAX)).view(np.int32)
    mark[EXPECTED] = series + 1
    mark[USED] = used + 1


_PRIME = np.uint64(0x9E3779B97F4A7C15)
_UP = np.uint64(29)
_DOWN = np.uint64(35)
_HALF = np.uint64(32)
_WORD = np.uint64(0xFFFFFFFF)


@part
def _mixed(sum_: int, words: NDArray[np.int32], i: int) -> int:
    low = np.uint64(words[i]) & _WORD
    high = np.uint64(words[i + 1]) & _WORD
    mixed = (sum_ ^ (low | (high << _HALF))) * _PRIME
    return (mixed << _UP) | (mixed >> _DOWN)


@kernel(uint64, int32_1, int64)
def checksum(words: NDArray[np.int32], count: int) -> int:
    """64-bit check of the first `count` words (a multiple of 8): four sums over words of 64 bits in turn, as
    drawn in docs/format/journal.md. Every change of one word changes it. Cost: 0.1 ns a byte."""
    a = np.uint64(1)
    b = np.uint64(2)
    c = np.uint64(3)
    d = np.uint64(4)
    for i in range(0, count, 8):
        a = _mixed(a, words, i)
        b = _mixed(b, words, i + 2)
        c = _mixed(c, words, i + 4)
        d = _mixed(d, words, i + 6)
    total = (np.uint64(count) ^ a) * _PRIME
    total = ((total ^ (total >> _HALF)) ^ b) * _PRIME
    total = ((total ^ (total >> _HALF)) ^ c) * _PRIME
    total = ((total ^ (total >> _HALF)) ^ d) * _PRIME
    return total ^ (total >> _HALF)
