"""Samples of a journal back into the store, through the same rules of the raster as when they arrived."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.ingest import room_for_one, room_in_ranges
from ccstore.kernels.layout import (
    ALIVE,
    HOST_CLUSTER,
    TABLES,
    Flat,
    gather,
    int32_1,
    int64,
    int64_1,
    int64_2,
    kernel,
)
from ccstore.kernels.log import SAMPLES_RUN, SERIES_ENTRY
from ccstore.kernels.lookup import directory_find, series_key
from ccstore.kernels.raster import new_series, store

# state[...]
AT = 0  # word to go on with
STORED = 1
LEFT_OUT = 2  # samples of series that nothing is known of, or that are not configured any more
STATES = 4

DONE = 0
GROW = 1
WRONG = 2  # not a log


@kernel(int64, TABLES, int32_1, int64, int32_1, int64_1, int64_1, int64_2, int64_1)
def replay(
    flat: Flat,
    words: NDArray[np.int32],
    count: int,
    numbers: NDArray[np.int32],
    hosts: NDArray[np.int64],
    components: NDArray[np.int64],
    metrics: NDArray[np.int64],
    state: NDArray[np.int64],
) -> int:
    """Stores the samples of the first `count` words of a log: DONE, WRONG, or GROW to be called again.

    `numbers[i]` is 1 + the series that number i of the log stands for (0: none); `hosts` and `components` are
    numbers in this store of those in the log, `metrics[table, i]` rows of metrics (-1: not known here).
    """
    tables = gather(flat)
    at = state[AT]
    while at < count:
        head = np.int64(words[at])
        size = head >> 2
        if head & 3 == SERIES_ENTRY:
            if at + 5 > count:
                return WRONG
            number = np.int64(words[at + 1])
            host = np.int64(words[at + 2])
            metric = np.int64(words[at + 3])
            component = np.int64(words[at + 4])
            if not 0 <= number < numbers.shape[0] or host < 0 or metric < 0 or component < 0:
                return WRONG
            if not room_for_one(tables) or not room_in_ranges(tables):
                state[AT] = at
                return GROW
            numbers[number] = 0
            known = np.int64(-1)
            if host < hosts.shape[0] and component < components.shape[0] and metric < metrics.shape[1]:
                known = hosts[host]
            if known >= 0:
                row = metrics[tables.clusters[tables.hosts[known, HOST_CLUSTER]], metric]
                place = components[component]
                if row >= 0 and place >= 0:
                    series = directory_find(tables, series_key(known, row, place))
                    if series < 0:
                        series = new_series(tables, known, row, place)
                    numbers[number] = series + 1
            at += 5
        elif head & 3 == SAMPLES_RUN and size > 0:
            if at + 3 + size > count:
                return WRONG
            first = np.int64(words[at + 1])
            time = np.int64(words[at + 2])
            if first < 0 or first + size > numbers.shape[0]:
                return WRONG
            at += 3
            for i in range(size):
                series = np.int64(numbers[first + i]) - 1
                if (
                    series >= 0
                    and tables.series[series, ALIVE] != 0
                    and store(tables, series, time, np.float64(np.int32(words[at + i]).view(np.float32)))
                ):
                    state[STORED] += 1
                else:
                    state[LEFT_OUT] += 1
            at += size
        else:
            return WRONG
        state[AT] = at
    return DONE
