"""Which slot a sample belongs to: series, segments, phases. Source: spec/metric-store.md 3.3 and 3.4."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    AGE,
    ALIVE,
    BEGIN,
    COMPONENT,
    DEVIATION,
    FREE_GROUPS,
    FREE_SEGMENTS,
    GROUP,
    GROUP_ALIVE,
    GROUP_COUNT,
    GROUP_FIRST,
    GROUP_HOST,
    GROUP_NEXT,
    GROUP_ROWS,
    GROUP_USED,
    HOST,
    HOST_GROUPS,
    HOST_SERIES,
    LAST,
    LOGGED,
    METRIC,
    METRIC_STEP,
    NEWEST,
    NEXT,
    OFFSET,
    OLDEST,
    PAGE_START,
    SEGMENT,
    SEGMENT_COUNT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    SERIES_COUNT,
    SERIES_LIVING,
    SHIFT,
    STEP,
    TIME,
    YOUNG,
    Tables,
    inlined,
    part,
)
from ccstore.kernels.lookup import HEAD, directory_find, directory_put, series_key
from ccstore.kernels.machine import prefetch
from ccstore.kernels.pages import row_at, slot_at

FLOAT32_MAX = 3.4028234663852886e38
NOTHING_FREED = -(1 << 31)
WANDER = 8  # steps by which an offset may leave [0, f) before slot numbers are brought back in line with time


@inlined
def put(tables: Tables, series: int, slot: int, value: float) -> bool:
    """Stores into a slot; false when memory is used up. Values beyond float32 become its largest number."""
    at = slot_at(tables, series, slot)
    if at < 0:
        return False
    tables.slots[at] = np.float32(min(max(value, -FLOAT32_MAX), FLOAT32_MAX))
    return True


@inlined
def prefetch_group(tables: Tables, series: int) -> None:
    """Asks for what `prefetch_page` reads; the row of the series itself has been asked for."""
    prefetch(tables.groups, np.int64(tables.series[series, GROUP]) << 5)


@inlined
def prefetch_page(tables: Tables, series: int) -> None:
    """Asks for what `prefetch_slot` reads."""
    page = np.int64(tables.groups[tables.series[series, GROUP], NEWEST])
    if page >= 0:
        prefetch(tables.pages, page * 20)


@inlined
def prefetch_slot(tables: Tables, series: int) -> None:
    """Asks for the slot behind the newest one."""
    group = np.int64(tables.series[series, GROUP])
    page = np.int64(tables.groups[group, NEWEST])
    if page >= 0:
        first = row_at(tables.pages, page, series - np.int64(tables.groups[group, GROUP_FIRST]))
        slot = np.int64(tables.series[series, LAST]) + 1 - tables.pages[page, PAGE_START]
        prefetch(tables.slots, (first + slot) << 2)


# -- series --------------------------------------------------------------------------------------------------


@part
def new_group(tables: Tables, host: int) -> int:
    """A group without series: of few rows as long as its host has few, as rows cost memory, used or not."""
    counts = tables.counts
    known = tables.hosts[host, HOST_SERIES]
    rows = 1 if known < 2 else (2 if known < 4 else 4)
    free = FREE_GROUPS + (rows >> 1)
    group = counts[free]
    if group >= 0:
        counts[free] = tables.groups[group, GROUP_NEXT]
    else:
        group = counts[GROUP_COUNT]
        counts[GROUP_COUNT] = group + 1
        tables.groups[group, GROUP_FIRST] = counts[SERIES_COUNT]
        tables.groups[group, GROUP_ROWS] = rows
        for series in range(counts[SERIES_COUNT], counts[SERIES_COUNT] + rows):
            tables.series[series, GROUP] = group
        counts[SERIES_COUNT] += rows
    row = tables.groups[group]
    row[NEWEST] = -1
    row[OLDEST] = -1
    row[GROUP_HOST] = host
    row[GROUP_USED] = 0
    row[GROUP_ALIVE] = 0
    row[GROUP_NEXT] = tables.hosts[host, HOST_GROUPS]
    return group


@part
def open_group(tables: Tables, host: int, step: int) -> int:
    """The group of a host and step that has a row left, or -1: only the newest group of a step can."""
    group = np.int64(tables.hosts[host, HOST_GROUPS])
    while group >= 0 and tables.series[tables.groups[group, GROUP_FIRST], STEP] != step:
        group = np.int64(tables.groups[group, GROUP_NEXT])
    if group >= 0 and tables.groups[group, GROUP_USED] == tables.groups[group, GROUP_ROWS]:
        return -1
    return group


@part
def new_series(tables: Tables, host: int, metric: int, component: int) -> int:
    """A series without samples; it has no place in the raster before its first one."""
    step = np.int64(tables.metrics[metric, METRIC_STEP])
    group = open_group(tables, host, step)
    fresh = group < 0
    if fresh:
        group = new_group(tables, host)
    index = np.int64(tables.groups[group, GROUP_FIRST]) + tables.groups[group, GROUP_USED]
    row = tables.series[index]
    row[METRIC] = metric
    row[HOST] = host
    row[COMPONENT] = component
    row[STEP] = step
    row[SEGMENT] = -1
    row[SHIFT] = 0
    row[DEVIATION] = 0
    row[AGE] = 0
    row[BEGIN] = NOTHING_FREED
    row[ALIVE] = 1
    row[LOGGED] = 0
    head = series_key(host, metric, HEAD)
    row[NEXT] = directory_find(tables, head)
    tables.groups[group, GROUP_USED] += 1
    tables.groups[group, GROUP_ALIVE] += 1
    if fresh:
        tables.hosts[host, HOST_GROUPS] = group
    tables.hosts[host, HOST_SERIES] += 1
    tables.counts[SERIES_LIVING] += 1
    directory_put(tables, series_key(host, metric, component), index)
    directory_put(tables, head, index)
    return index


@part
def begin_segment(tables: Tables, series: int, first: int, offset: int) -> None:
    """Slots from `first` on lie at BASE + k * f + offset. Readers see the whole segment or nothing of it."""
    counts = tables.counts
    segment = counts[FREE_SEGMENTS]
    if segment >= 0:
        counts[FREE_SEGMENTS] = tables.segments[segment, SEGMENT_OLDER]
    else:
        segment = counts[SEGMENT_COUNT]
        if segment >= tables.segments.shape[0]:
            return
        counts[SEGMENT_COUNT] = segment + 1
    row = tables.series[series]
    tables.segments[segment, SEGMENT_OFFSET] = offset
    tables.segments[segment, SEGMENT_FIRST] = first
    tables.segments[segment, SEGMENT_OLDER] = row[SEGMENT]
    row[OFFSET] = offset
    row[SHIFT] = 0
    row[DEVIATION] = 0
    row[AGE] = 0
    row[SEGMENT] = segment


@part
def slot_of_late(tables: Tables, series: int, time: int) -> int:
    """Slot of a sample that is not newer than the newest one: the nearest of the segment it falls into."""
    step = np.int64(tables.series[series, STEP])
    half = step // 2
    segment = np.int64(tables.series[series, SEGMENT])
    limit = np.int64(1) << 40
    while True:
        offset = np.int64(tables.segments[segment, SEGMENT_OFFSET])
        first = np.int64(tables.segments[segment, SEGMENT_FIRST])
        older = np.int64(tables.segments[segment, SEGMENT_OLDER])
        slot = (time - offset + half) // step
        if older < 0 or slot >= first:
            return min(slot, limit)
        limit = first - 1
        segment = older


@inlined
def offset_within(row: NDArray[np.int32], mean: int) -> int:
    """Offset of a young segment moved by the mean deviation of its samples, at most by half a step."""
    half = np.int64(row[STEP]) // 2
    return np.int64(row[OFFSET]) + min(max(mean, -half), half)


@inlined
def slot_of_next(tables: Tables, series: int, time: int) -> int:
    """Slot of a sample newer than all before it, keeping one sample per slot in spite of jitter and drift."""
    row = tables.series[series]
    step = np.int64(row[STEP])
    last = np.int64(row[LAST])
    offset = np.int64(row[OFFSET])
    gap = time - np.int64(row[TIME])
    slot = last + 1
    deviation = time - slot * step - offset
    if 2 * gap < step or 2 * gap > 3 * step:
        # Not the regular next sample: the nearest slot it is.
        slot = max(last, (time - offset + step // 2) // step)
        deviation = time - slot * step - offset
        if 2 * gap > 3 * step and 4 * abs(deviation) > step and row[AGE] >= YOUNG:
            # After a pause a sender that has been regular comes back with another phase.
            slot = max(last + 1, time // step)
            begin_segment(tables, series, slot, time - slot * step)
            deviation = np.int64(0)
    elif 4 * abs(deviation) > 3 * step:
        begin_segment(tables, series, slot, time - slot * step)
        deviation = np.int64(0)

    if row[AGE] < YOUNG:
        # The first sample of a segment may be the odd one out: move a young segment to the mean of its
        # samples.
        row[AGE] += 1
        row[DEVIATION] += deviation
        if row[AGE] == YOUNG:
            mean = (2 * np.int64(row[DEVIATION]) + YOUNG) // (2 * YOUNG)
            row[OFFSET] = offset_within(row, mean)
            tables.segments[row[SEGMENT], SEGMENT_OFFSET] = row[OFFSET]
            row[DEVIATION] = 0
        return slot

    if 4 * abs(deviation) <= step:
        row[SHIFT] = 0
        row[DEVIATION] = 0
        return slot
    early = deviation < 0
    if (row[SHIFT] < 0) != early:
        row[SHIFT] = 0
        row[DEVIATION] = 0
    row[SHIFT] += -1 if early else 1
    row[DEVIATION] += deviation
    if abs(row[SHIFT]) == YOUNG:
        moved = np.int64(row[OFFSET]) + (2 * np.int64(row[DEVIATION]) + YOUNG) // (2 * YOUNG)
        if abs(moved) > WANDER * step:
            # A sender with another step than configured: bring slot numbers back, at the price of one slot.
            slot = max(last, time // step)
            moved = time - slot * step
        begin_segment(tables, series, slot, moved)
        row[AGE] = YOUNG
    return slot


@inlined
def store(tables: Tables, series: int, time: int, value: float) -> bool:
    """One sample; `time` is relative to BASE. False when memory is used up."""
    row = tables.series[series]
    if row[SEGMENT] < 0:
        slot = time // np.int64(row[STEP])
        row[LAST] = slot
        begin_segment(tables, series, slot, time - slot * np.int64(row[STEP]))
        row[AGE] = 1
        row[TIME] = time
        return put(tables, series, slot, value)
    newest = np.int64(row[TIME])
    if time > newest:
        slot = slot_of_next(tables, series, time)
        if not put(tables, series, slot, value):
            return False
        row[LAST] = slot
        row[TIME] = time
        return True
    slot = np.int64(row[LAST])
    if time < newest:
        slot = min(slot, slot_of_late(tables, series, time))
    return put(tables, series, slot, value)
