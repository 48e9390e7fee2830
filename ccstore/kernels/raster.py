"""Which slot a sample belongs to, and where that slot lies: segments, phases, pages.

Source: spec/metric-store.md 3.3 and 3.4. The page of the newest window is reached without a search.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    AGE,
    ALIVE,
    CHANGED,
    COMPONENT,
    DEVIATION,
    FIRST,
    FREE_GROUPS,
    FREE_PAGES,
    FREE_SEGMENTS,
    GROUP_ALIVE,
    GROUP_COUNT,
    GROUP_HOST,
    GROUP_NEXT,
    GROUP_STEP,
    GROUP_USED,
    HOST,
    HOST_GROUPS,
    HOST_SERIES,
    LAST,
    METRIC,
    METRIC_STEP,
    NEWER,
    NEWEST,
    NEXT,
    OFFSET,
    OLDER,
    OLDEST,
    PAGE,
    PAGE_COUNT,
    PAGE_LIMIT,
    PAGES_IN_USE,
    ROW_BITS,
    ROWS,
    SEGMENT,
    SEGMENT_COUNT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    SERIES_COUNT,
    SERIES_LIVING,
    SHIFT,
    SLOT_BITS,
    SLOT_MASK,
    SLOTS,
    STEP,
    TIME,
    WINDOW,
    YOUNG,
    Tables,
    part,
)
from ccstore.kernels.lookup import HEAD, OPEN_GROUP, directory_find, directory_put, series_key

FLOAT32_MAX = 3.4028234663852886e38
WANDER = 8  # steps by which an offset may leave [0, f) before slot numbers are brought back in line with time


# -- pages ---------------------------------------------------------------------------------------------------


@part
def new_page(tables: Tables, window: int) -> int:
    """An empty page, or -1 when memory is used up."""
    counts = tables.counts
    page = counts[FREE_PAGES]
    if page >= 0:
        counts[FREE_PAGES] = tables.pages[page, OLDER]
    else:
        page = counts[PAGE_COUNT]
        if page >= counts[PAGE_LIMIT]:
            return -1
        counts[PAGE_COUNT] = page + 1
    counts[PAGES_IN_USE] += 1
    tables.pages[page, WINDOW] = window
    tables.pages[page, OLDER] = -1
    tables.pages[page, NEWER] = -1
    tables.pages[page, CHANGED] = 1
    at = page * PAGE
    for i in range(at, at + PAGE):
        tables.slots[i] = np.float32(np.nan)
    return page


@part
def page_for(tables: Tables, group: int, window: int) -> int:
    """The page of a window, made when it is missing; -1 when memory is used up."""
    pages = tables.pages
    newest = tables.groups[group, NEWEST]
    if newest >= 0 and pages[newest, WINDOW] == window:
        return newest
    newer = -1
    older = newest
    while older >= 0 and pages[older, WINDOW] > window:
        newer = older
        older = pages[older, OLDER]
    if older >= 0 and pages[older, WINDOW] == window:
        pages[older, CHANGED] = 1
        return older
    page = new_page(tables, window)
    if page < 0:
        return -1
    # Linked from behind first, so that a reader walking from new to old never loses its way.
    pages[page, OLDER] = older
    pages[page, NEWER] = newer
    if older >= 0:
        pages[older, NEWER] = page
    else:
        tables.groups[group, OLDEST] = page
    if newer >= 0:
        pages[newer, OLDER] = page
    else:
        tables.groups[group, NEWEST] = page
    return page


@part
def put(tables: Tables, series: int, slot: int, value: float) -> bool:
    """Stores into a slot; false when memory is used up. Values beyond float32 become its largest number."""
    group = series >> ROW_BITS
    window = slot >> SLOT_BITS
    page = tables.groups[group, NEWEST]
    if page < 0 or tables.pages[page, WINDOW] != window:
        page = page_for(tables, group, window)
        if page < 0:
            return False
    value = min(max(value, -FLOAT32_MAX), FLOAT32_MAX)
    tables.slots[page * PAGE + (series & (ROWS - 1)) * SLOTS + (slot & SLOT_MASK)] = np.float32(value)
    return True


# -- series --------------------------------------------------------------------------------------------------


@part
def new_group(tables: Tables, host: int, step: int) -> int:
    counts = tables.counts
    group = counts[FREE_GROUPS]
    if group >= 0:
        counts[FREE_GROUPS] = tables.groups[group, GROUP_NEXT]
    else:
        group = counts[GROUP_COUNT]
        counts[GROUP_COUNT] = group + 1
        counts[SERIES_COUNT] = (group + 1) * ROWS
    row = tables.groups[group]
    row[NEWEST] = -1
    row[OLDEST] = -1
    row[GROUP_HOST] = host
    row[GROUP_USED] = 0
    row[GROUP_ALIVE] = 0
    row[GROUP_STEP] = step
    row[GROUP_NEXT] = tables.hosts[host, HOST_GROUPS]
    tables.hosts[host, HOST_GROUPS] = group
    return group


@part
def new_series(tables: Tables, host: int, metric: int, component: int) -> int:
    """A series without samples; it has no place in the raster before its first one."""
    step = tables.metrics[metric, METRIC_STEP]
    open_key = series_key(host, OPEN_GROUP, step)
    group = directory_find(tables.directory, open_key)
    if group < 0 or tables.groups[group, GROUP_USED] == ROWS:
        group = new_group(tables, host, step)
        directory_put(tables, open_key, group)
    index = (group << ROW_BITS) + tables.groups[group, GROUP_USED]
    tables.groups[group, GROUP_USED] += 1
    tables.groups[group, GROUP_ALIVE] += 1
    tables.hosts[host, HOST_SERIES] += 1
    tables.counts[SERIES_LIVING] += 1
    row = tables.series[index]
    row[METRIC] = metric
    row[HOST] = host
    row[COMPONENT] = component
    row[STEP] = step
    row[SEGMENT] = -1
    row[SHIFT] = 0
    row[DEVIATION] = 0
    row[AGE] = 0
    row[ALIVE] = 1
    head = series_key(host, metric, HEAD)
    row[NEXT] = directory_find(tables.directory, head)
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
    row[FIRST] = first
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


@part
def offset_within(row: NDArray[np.int32], mean: int) -> int:
    """Offset of a young segment moved by the mean deviation of its samples, at most by half a step."""
    half = np.int64(row[STEP]) // 2
    return np.int64(row[OFFSET]) + min(max(mean, -half), half)


@part
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


@part
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
