"""Whole series of samples with times, from files of other programs: into the slots that are still empty."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.ingest import room_in_ranges
from ccstore.kernels.layout import (
    BASE,
    DIRECTORY_COUNT,
    HOST_KEPT,
    SEGMENT,
    TABLES,
    TIME,
    Flat,
    float32_1,
    gather,
    int64,
    int64_1,
    kernel,
)
from ccstore.kernels.lookup import directory_find, series_key
from ccstore.kernels.raster import new_series, slot_of_late, store
from ccstore.kernels.snapshot import put_if_empty

NO_ROOM = -1


@kernel(int64, TABLES, int64, int64, int64, int64_1, float32_1, int64)
def fill(
    flat: Flat,
    host: int,
    metric: int,
    component: int,
    times: NDArray[np.int64],
    values: NDArray[np.float32],
    cutoff: int,
) -> int:
    """Stores finite values at rising times (unix seconds); returns how many, or NO_ROOM when tables are full.

    What a slot holds already is newer and stays. Times before the cutoff are left out unless the host is
    kept. A series is made when there is something to store.
    """
    tables = gather(flat)
    if (
        not room_in_ranges(tables)
        or 3 * (tables.counts[DIRECTORY_COUNT] + 8) >= 2 * tables.directory.shape[0]
    ):
        return NO_ROOM
    begin = 0
    if tables.hosts[host, HOST_KEPT] == 0:
        while begin < times.shape[0] and times[begin] < cutoff:
            begin += 1
    if begin == times.shape[0]:
        return 0
    series = directory_find(tables, series_key(host, metric, component))
    if series < 0:
        series = new_series(tables, host, metric, component)
    stored = np.int64(0)
    for i in range(begin, times.shape[0]):
        time = times[i] - BASE
        if tables.series[series, SEGMENT] < 0 or time > tables.series[series, TIME]:
            stored += 1 if store(tables, series, time, np.float64(values[i])) else 0
        else:
            slot = slot_of_late(tables, series, time)
            stored += max(put_if_empty(tables, series, slot, values[i]), 0)
    return stored
