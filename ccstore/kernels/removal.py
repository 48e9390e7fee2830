"""Taking data out: retention, free, and giving rows back for use when no reader can see them any more.

What is removed here is only unlinked and noted; `recycle` puts it on the free lists later.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    ALIVE,
    BEGIN,
    COMPONENT,
    FREE_GROUPS,
    FREE_PAGES,
    FREE_ROWS,
    FREE_SEGMENTS,
    GROUP,
    GROUP_ALIVE,
    GROUP_FIRST,
    GROUP_HOST,
    GROUP_NEXT,
    GROUP_ROWS,
    GROUP_USED,
    HOST,
    HOST_GROUPS,
    HOST_KEPT,
    HOST_SERIES,
    LAST,
    METRIC,
    MOST_UNITS,
    NEWER,
    NEWEST,
    NEXT,
    OFFSET,
    OLDER,
    OLDEST,
    PACKED_PAGES,
    PAGE_AT,
    PAGE_START,
    PAGES_IN_USE,
    REPLACED,
    SEGMENT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    SERIES_LIVING,
    SPARED_UNITS,
    STATE,
    STEP,
    TABLES,
    UNITS_IN_USE,
    Flat,
    Tables,
    gather,
    int64,
    int64_1,
    kernel,
    none,
    part,
)
from ccstore.kernels.lookup import HEAD, directory_find, directory_put, series_key
from ccstore.kernels.pages import (
    empty_row,
    first_filled,
    free_state,
    is_packed,
    last_filled,
    page_slots,
    page_units,
    plain_units,
    row_of,
)
from ccstore.kernels.raster import WANDER

# progress[...] of a pass over the groups
NEXT_GROUP = 0  # next group to look at
PAGES = 1  # pages noted
GROUPS = 2
SEGMENTS = 3
SERIES = 4  # series removed
PROGRESS_SIZE = 5


@part
def note(out: NDArray[np.int64], progress: NDArray[np.int64], which: int, number: int) -> None:
    out[progress[which]] = number
    progress[which] += 1


@part
def remove_series(
    tables: Tables, series: int, segments: NDArray[np.int64], progress: NDArray[np.int64]
) -> None:
    row = tables.series[series]
    host = np.int64(row[HOST])
    metric = np.int64(row[METRIC])
    row[ALIVE] = 0
    tables.groups[row[GROUP], GROUP_ALIVE] -= 1
    tables.hosts[host, HOST_SERIES] -= 1
    tables.counts[SERIES_LIVING] -= 1
    progress[SERIES] += 1
    directory_put(tables, series_key(host, metric, np.int64(row[COMPONENT])), -1)
    head = series_key(host, metric, HEAD)
    following = np.int64(row[NEXT])
    at = directory_find(tables, head)
    if at == series:
        directory_put(tables, head, following)
    else:
        while tables.series[at, NEXT] != series:
            at = np.int64(tables.series[at, NEXT])
        tables.series[at, NEXT] = following
    segment = np.int64(row[SEGMENT])
    while segment >= 0 and progress[SEGMENTS] < segments.shape[0]:
        note(segments, progress, SEGMENTS, segment)
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])


@part
def drop_oldest(tables: Tables, group: int, pages: NDArray[np.int64], progress: NDArray[np.int64]) -> None:
    page = np.int64(tables.groups[group, OLDEST])
    newer = np.int64(tables.pages[page, NEWER])
    tables.groups[group, OLDEST] = newer
    if newer >= 0:
        tables.pages[newer, OLDER] = -1
    else:
        tables.groups[group, NEWEST] = -1
    note(pages, progress, PAGES, page)


@part
def remove_group(
    tables: Tables,
    group: int,
    pages: NDArray[np.int64],
    groups: NDArray[np.int64],
    progress: NDArray[np.int64],
) -> bool:
    """A group without living series; false when there was no room to note all of its pages."""
    while tables.groups[group, OLDEST] >= 0:
        if progress[PAGES] == pages.shape[0]:
            return False
        drop_oldest(tables, group, pages, progress)
    host = np.int64(tables.groups[group, GROUP_HOST])
    following = np.int64(tables.groups[group, GROUP_NEXT])
    at = np.int64(tables.hosts[host, HOST_GROUPS])
    if at == group:
        tables.hosts[host, HOST_GROUPS] = following
    else:
        while tables.groups[at, GROUP_NEXT] != group:
            at = np.int64(tables.groups[at, GROUP_NEXT])
        tables.groups[at, GROUP_NEXT] = following
    tables.groups[group, GROUP_HOST] = -1
    note(groups, progress, GROUPS, group)
    return True


@part
def drop_segments(
    tables: Tables, series: int, cutoff: int, segments: NDArray[np.int64], progress: NDArray[np.int64]
) -> None:
    """Segments of which every slot lies before the cutoff."""
    step = np.int64(tables.series[series, STEP])
    segment = np.int64(tables.series[series, SEGMENT])
    while segment >= 0:
        older = np.int64(tables.segments[segment, SEGMENT_OLDER])
        begin = np.int64(tables.segments[segment, SEGMENT_FIRST]) * step
        begin += np.int64(tables.segments[segment, SEGMENT_OFFSET])
        if older >= 0 and begin + step < cutoff:
            tables.segments[segment, SEGMENT_OLDER] = -1
            while older >= 0 and progress[SEGMENTS] < segments.shape[0]:
                note(segments, progress, SEGMENTS, older)
                older = np.int64(tables.segments[older, SEGMENT_OLDER])
            return
        segment = older


@kernel(none, TABLES, int64, int64, int64, int64_1, int64_1, int64_1, int64_1)
def retire(
    flat: Flat,
    stop: int,
    cutoff: int,
    spare: int,
    pages: NDArray[np.int64],
    groups: NDArray[np.int64],
    segments: NDArray[np.int64],
    progress: NDArray[np.int64],
) -> None:
    """Drops what lies before the cutoff (relative to BASE) in groups progress[NEXT_GROUP]..stop-1.

    With `spare`, hosts that are kept are left alone. Ends early when `pages`, `groups` or `segments` is
    nearly full.
    """
    tables = gather(flat)
    group = progress[NEXT_GROUP]
    while group < stop:
        if (
            progress[PAGES] == pages.shape[0]
            or progress[GROUPS] == groups.shape[0]
            or 2 * progress[SEGMENTS] > segments.shape[0]
        ):
            break
        host = np.int64(tables.groups[group, GROUP_HOST])
        if host < 0 or (spare and tables.hosts[host, HOST_KEPT]):
            group += 1
            continue
        head = np.int64(tables.groups[group, GROUP_FIRST])
        step = np.int64(tables.series[head, STEP])
        for series in range(head, head + np.int64(tables.groups[group, GROUP_USED])):
            row = tables.series[series]
            if row[ALIVE] and row[SEGMENT] >= 0:
                if (np.int64(row[LAST]) + 1) * step + np.int64(row[OFFSET]) < cutoff:
                    remove_series(tables, series, segments, progress)
                else:
                    drop_segments(tables, series, cutoff, segments, progress)
        if tables.groups[group, GROUP_ALIVE] == 0:
            if not remove_group(tables, group, pages, groups, progress):
                break
        else:
            while progress[PAGES] < pages.shape[0]:
                page = np.int64(tables.groups[group, OLDEST])
                if page < 0:
                    break
                behind = np.int64(tables.pages[page, PAGE_START]) + page_slots(tables.pages, page)
                if (behind + WANDER) * step >= cutoff:
                    break
                drop_oldest(tables, group, pages, progress)
        group += 1
    progress[NEXT_GROUP] = group


@part
def nominal(tables: Tables, series: int, slot: int) -> int:
    """Nominal time of a slot, relative to BASE."""
    segment = np.int64(tables.series[series, SEGMENT])
    while tables.segments[segment, SEGMENT_FIRST] > slot and tables.segments[segment, SEGMENT_OLDER] >= 0:
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return slot * np.int64(tables.series[series, STEP]) + np.int64(tables.segments[segment, SEGMENT_OFFSET])


@part
def is_empty(tables: Tables, page: int, rows: int) -> bool:
    for row in range(rows):  # noqa: SIM110  (numba has no generators)
        if first_filled(tables, page, row) >= 0:
            return False
    return True


@kernel(int64, TABLES, int64_1, int64, int64_1, int64_1, int64_1, int64_1)
def free_series(
    flat: Flat,
    series: NDArray[np.int64],
    to: int,
    pages: NDArray[np.int64],
    groups: NDArray[np.int64],
    segments: NDArray[np.int64],
    progress: NDArray[np.int64],
) -> int:
    """Empties every page of these series of which the last sample's slot ends before `to` (relative to BASE).

    Series without any sample left disappear, and so do the oldest pages of a group once all its series have
    nothing in them. Returns the number of pages emptied, counted per series; stops at
    series progress[NEXT_GROUP] when the notes are nearly full.
    """
    tables = gather(flat)
    count = np.int64(0)
    at = progress[NEXT_GROUP]
    while at < series.shape[0]:
        if (
            2 * progress[PAGES] > pages.shape[0]
            or progress[GROUPS] == groups.shape[0]
            or 2 * progress[SEGMENTS] > segments.shape[0]
        ):
            break
        s = series[at]
        at += 1
        row = tables.series[s]
        if row[ALIVE] == 0 or row[SEGMENT] < 0:
            continue
        group = np.int64(row[GROUP])
        left = False
        page = np.int64(tables.groups[group, NEWEST])
        while page >= 0:
            slots = page_slots(tables.pages, page)
            last = last_filled(tables, page, row_of(tables, s))
            if last >= 0:
                start = np.int64(tables.pages[page, PAGE_START])
                if nominal(tables, s, start + last) + np.int64(row[STEP]) < to:
                    empty_row(tables, page, row_of(tables, s))
                    row[BEGIN] = max(np.int64(row[BEGIN]), start + slots)
                    count += 1
                else:
                    left = True
            page = np.int64(tables.pages[page, OLDER])
        if not left:
            remove_series(tables, s, segments, progress)
            if tables.groups[group, GROUP_ALIVE] == 0:
                remove_group(tables, group, pages, groups, progress)
                continue
        page = np.int64(tables.groups[group, OLDEST])
        rows = np.int64(tables.groups[group, GROUP_ROWS])
        while page >= 0 and progress[PAGES] < pages.shape[0] and is_empty(tables, page, rows):
            drop_oldest(tables, group, pages, progress)
            page = np.int64(tables.groups[group, OLDEST])
    progress[NEXT_GROUP] = at
    return count


@kernel(none, TABLES, int64_1, int64_1, int64_1)
def recycle(
    flat: Flat, pages: NDArray[np.int64], groups: NDArray[np.int64], segments: NDArray[np.int64]
) -> None:
    """Puts on the free lists what nobody can see any more. Aliases must be forgotten when groups are among
    it."""
    tables = gather(flat)
    counts = tables.counts
    for page in pages:
        units = page_units(tables.pages, page)
        if is_packed(tables.pages, page):
            counts[PACKED_PAGES] -= 1
            counts[SPARED_UNITS] -= plain_units(tables.pages, page) - units
        tables.pages[page, OLDER] = counts[FREE_PAGES + units]
        counts[FREE_PAGES + units] = page
        counts[UNITS_IN_USE] -= units
    counts[PAGES_IN_USE] -= pages.shape[0]
    for group in groups:
        free = FREE_GROUPS + (np.int64(tables.groups[group, GROUP_ROWS]) >> 1)
        tables.groups[group, GROUP_NEXT] = counts[free]
        counts[free] = group
    for segment in segments:
        tables.segments[segment, SEGMENT_OLDER] = counts[FREE_SEGMENTS]
        counts[FREE_SEGMENTS] = segment


@kernel(int64, TABLES, int64_1)
def take_replaced(flat: Flat, out: NDArray[np.int64]) -> int:
    """Takes pages from the list of those that have been replaced; returns their number."""
    tables = gather(flat)
    count = np.int64(0)
    page = tables.counts[REPLACED]
    while page >= 0 and count < out.shape[0]:
        out[count] = page
        count += 1
        page = np.int64(tables.pages[page, NEWER])
    tables.counts[REPLACED] = page
    return count


@kernel(int64, TABLES, int64_1)
def take_small_pages(flat: Flat, out: NDArray[np.int64]) -> int:
    """Takes pages that are not of the largest size from the free lists; returns their number."""
    tables = gather(flat)
    count = np.int64(0)
    for units in range(1, MOST_UNITS):
        page = tables.counts[FREE_PAGES + units]
        while page >= 0 and count < out.shape[0]:
            out[count] = page
            count += 1
            page = np.int64(tables.pages[page, OLDER])
        tables.counts[FREE_PAGES + units] = page
    return count


@kernel(none, TABLES, int64_1, int64_1, int64_1)
def put_free_pages(
    flat: Flat, pages: NDArray[np.int64], places: NDArray[np.int64], units: NDArray[np.int64]
) -> None:
    """Puts pages on the free lists, each with so many units of memory from a place (unit) on; rows of `pages`
    without memory have 0."""
    tables = gather(flat)
    for i in range(pages.shape[0]):
        page = pages[i]
        size = units[i]
        if size == 0:
            tables.pages[page, OLDER] = tables.counts[FREE_ROWS]
            tables.counts[FREE_ROWS] = page
            continue
        tables.pages[page, PAGE_AT] = np.int32(np.uint32(places[i]))
        tables.pages[page, STATE] = free_state(size)
        tables.pages[page, OLDER] = tables.counts[FREE_PAGES + size]
        tables.counts[FREE_PAGES + size] = page
