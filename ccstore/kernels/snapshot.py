"""Series and pages to blocks of columns and back: what checkpoints are made of (docs/format/checkpoint.md).

Cost: copying out a page of 4 x 64 slots takes about 0.1 us, putting one back the same and the first touch of
its memory; everything else a checkpoint does (shuffling, lz4, the disk) needs no lock.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    AGE,
    ALIVE,
    BEGIN,
    CHANGED,
    COMPONENT,
    DEVIATION,
    DIRECTORY_COUNT,
    GROUP,
    GROUP_COUNT,
    GROUP_FIRST,
    GROUP_HOST,
    GROUP_ROWS,
    GROUP_USED,
    HOST,
    HOST_KEPT,
    LARGEST,
    LAST,
    METRIC,
    METRIC_STEP,
    NEWER,
    NEWEST,
    OFFSET,
    OLDER,
    OLDEST,
    PAGE_START,
    PAGES_IN_USE,
    SEGMENT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    SERIES_COUNT,
    SHIFT,
    STATE,
    STEP,
    TABLES,
    TIME,
    UNIT,
    Flat,
    Tables,
    bytes1,
    float32_1,
    gather,
    int32_1,
    int32_2,
    int64,
    int64_1,
    kernel,
    none,
    part,
    readonly_bytes1,
)
from ccstore.kernels.lookup import directory_find, series_key
from ccstore.kernels.pages import (
    is_packed,
    link,
    new_page,
    page_slots,
    read_row,
    row_at,
    slot_at,
    unpack_page,
)
from ccstore.kernels.raster import WANDER, begin_segment, new_series, slot_of_late, store

# columns of series in a block
C_HOST = 0
C_METRIC = 1
C_COMPONENT = 2
C_STEP = 3
C_LAST = 4
C_TIME = 5
C_SHIFT = 6
C_DEVIATION = 7
C_AGE = 8
C_BEGIN = 9
C_GROUP = 10  # index of the group in the block
C_ROW = 11  # in the pages of the group
C_SEGMENTS = 12
COLUMNS = 13

# columns of segments
S_FIRST = 0
S_OFFSET = 1
SEGMENT_COLUMNS = 2

# columns of pages
P_GROUP = 0
P_FIRST = 1
P_SLOTS = 2
P_ROWS = 3
PAGE_COLUMNS = 4

# cursor[...]
AT_GROUP = 0
AFTER_START = 1  # pages of AT_GROUP up to this first slot are done; NO_PAGE: none is
DONE_SERIES = 2  # filled by one call
DONE_SEGMENTS = 3
DONE_GROUPS = 4
DONE_PAGES = 5
DONE_VALUES = 6
END_TIME = 7  # greatest time, relative to BASE, that a page of this call or an earlier one reaches
CURSOR_SIZE = 8
NO_PAGE = -(1 << 40)
NO_TIME = -(1 << 40)

_SCANNED = 16384  # groups looked at in one call

_BYTE = np.uint32(0xFF)
_8, _16, _24 = np.uint32(8), np.uint32(16), np.uint32(24)


@part
def segment_count(tables: Tables, series: int) -> int:
    count = np.int64(0)
    segment = np.int64(tables.series[series, SEGMENT])
    while segment >= 0:
        count += 1
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return count


@part
def note_series(
    tables: Tables, series: int, columns: NDArray[np.int32], n: int, segments: NDArray[np.int32], m: int
) -> int:
    """Fills column n and as many segments from m on as there is room for; returns the number of these."""
    row = tables.series[series]
    columns[C_HOST, n] = row[HOST]
    columns[C_METRIC, n] = row[METRIC]
    columns[C_COMPONENT, n] = row[COMPONENT]
    columns[C_STEP, n] = row[STEP]
    columns[C_LAST, n] = row[LAST]
    columns[C_TIME, n] = row[TIME]
    columns[C_SHIFT, n] = row[SHIFT]
    columns[C_DEVIATION, n] = row[DEVIATION]
    columns[C_AGE, n] = row[AGE]
    columns[C_BEGIN, n] = row[BEGIN]
    count = min(segment_count(tables, series), segments.shape[1] - m)
    columns[C_SEGMENTS, n] = count
    segment = np.int64(row[SEGMENT])
    for i in range(m + count - 1, m - 1, -1):
        segments[S_FIRST, i] = tables.segments[segment, SEGMENT_FIRST]
        segments[S_OFFSET, i] = tables.segments[segment, SEGMENT_OFFSET]
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return count


@part
def end_of(tables: Tables, group: int, slot: int) -> int:
    """Time, relative to BASE, at which the samples of a group up to this slot end."""
    first = np.int64(tables.groups[group, GROUP_FIRST])
    end = np.int64(NO_TIME)
    for series in range(first, first + np.int64(tables.groups[group, GROUP_USED])):
        row = tables.series[series]
        if row[ALIVE] and row[SEGMENT] >= 0:
            last = min(slot, np.int64(row[LAST]))
            end = max(end, (last + 1) * np.int64(row[STEP]) + np.int64(row[OFFSET]))
    return end


@kernel(none, TABLES, int64, int32_2, int32_2, int32_2, float32_1, int64_1)
def collect(
    flat: Flat,
    since: int,
    columns: NDArray[np.int32],
    segments: NDArray[np.int32],
    pages: NDArray[np.int32],
    values: NDArray[np.float32],
    cursor: NDArray[np.int64],
) -> None:
    """Copies series and pages, group by group from cursor[AT_GROUP] on, until an array is full.

    Of pages only those that changed after checkpoint `since` had begun, and the newest of each group.
    columns[:, series]; segments[:, segment], oldest first; pages[:, page], whose rows stand in `values` one
    after the other. A group whose pages do not fit goes on in the next call with the same series.
    """
    tables = gather(flat)
    group = cursor[AT_GROUP]
    after = cursor[AFTER_START]
    n = np.int64(0)
    m = np.int64(0)
    g = np.int64(0)
    p = np.int64(0)
    v = np.int64(0)
    end = tables.counts[GROUP_COUNT]
    scanned = 0
    while group < end and scanned < _SCANNED:
        scanned += 1
        first = np.int64(tables.groups[group, GROUP_FIRST])
        used = np.int64(tables.groups[group, GROUP_USED])
        need = np.int64(0)
        living = 0
        if tables.groups[group, GROUP_HOST] >= 0:
            for series in range(first, first + used):
                if tables.series[series, ALIVE] and tables.series[series, SEGMENT] >= 0:
                    living += 1
                    need += segment_count(tables, series)
        if living == 0:
            group += 1
            after = np.int64(NO_PAGE)
            continue
        if n + living > columns.shape[1] or (m + need > segments.shape[1] and m > 0):
            break
        for series in range(first, first + used):
            if tables.series[series, ALIVE] and tables.series[series, SEGMENT] >= 0:
                m += note_series(tables, series, columns, n, segments, m)
                columns[C_GROUP, n] = g
                columns[C_ROW, n] = series - first
                n += 1
        rows = np.int64(tables.groups[group, GROUP_ROWS])
        page = np.int64(tables.groups[group, OLDEST])
        newest = np.int64(tables.groups[group, NEWEST])
        whole = True
        while page >= 0:
            start = np.int64(tables.pages[page, PAGE_START])
            changed = page == newest or np.int64(tables.pages[page, STATE]) >> CHANGED >= since
            if start > after and changed:
                slots = page_slots(tables.pages, page)
                size = rows * slots
                if p == pages.shape[1] or v + size > values.shape[0]:
                    whole = False
                    break
                pages[P_GROUP, p] = g
                pages[P_FIRST, p] = start
                pages[P_SLOTS, p] = slots
                pages[P_ROWS, p] = rows
                for row in range(rows):
                    begin = v + row * slots
                    read_row(tables, page, row, 0, values[begin : begin + slots])
                p += 1
                v += size
                after = start
                cursor[END_TIME] = max(cursor[END_TIME], end_of(tables, group, start + slots - 1))
            page = np.int64(tables.pages[page, NEWER])
        g += 1
        if not whole:
            break
        group += 1
        after = np.int64(NO_PAGE)
    cursor[AT_GROUP] = group
    cursor[AFTER_START] = after
    cursor[DONE_SERIES] = n
    cursor[DONE_SEGMENTS] = m
    cursor[DONE_GROUPS] = g
    cursor[DONE_PAGES] = p
    cursor[DONE_VALUES] = v


# -- and back ------------------------------------------------------------------------------------------------

UNKNOWN = 0
SAME_RASTER = 1
OTHER_RASTER = 2  # its values find their slots by their times


@part
def put_if_empty(tables: Tables, series: int, slot: int, value: np.float32) -> int:
    """1 when the value was stored, 0 when there was one, -1 when memory is used up."""
    at = slot_at(tables, series, slot)
    if at < 0:
        return -1
    if tables.slots[at] == tables.slots[at]:
        return 0
    tables.slots[at] = value
    return 1


@part
def has_segment(tables: Tables, series: int, first: int, offset: int) -> bool:
    segment = np.int64(tables.series[series, SEGMENT])
    while segment >= 0:
        if (
            tables.segments[segment, SEGMENT_FIRST] == first
            and tables.segments[segment, SEGMENT_OFFSET] == offset
        ):
            return True
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return False


@part
def oldest_segment(tables: Tables, series: int) -> int:
    segment = np.int64(tables.series[series, SEGMENT])
    while tables.segments[segment, SEGMENT_OLDER] >= 0:
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return segment


@part
def time_of(segments: NDArray[np.int32], begin: int, end: int, slot: int, step: int) -> int:
    """Nominal time, relative to BASE, by the segments of the block."""
    s = end - 1
    while s > begin and segments[S_FIRST, s] > slot:
        s -= 1
    return slot * step + np.int64(segments[S_OFFSET, s])


@part
def set_head(row: NDArray[np.int32], columns: NDArray[np.int32], n: int) -> None:
    row[LAST] = columns[C_LAST, n]
    row[TIME] = columns[C_TIME, n]
    row[SHIFT] = columns[C_SHIFT, n]
    row[DEVIATION] = columns[C_DEVIATION, n]
    row[AGE] = columns[C_AGE, n]


@part
def begin_segments(tables: Tables, series: int, segments: NDArray[np.int32], begin: int, end: int) -> None:
    for s in range(begin, end):
        begin_segment(tables, series, np.int64(segments[S_FIRST, s]), np.int64(segments[S_OFFSET, s]))


@part
def adopt(
    tables: Tables,
    series: int,
    columns: NDArray[np.int32],
    n: int,
    segments: NDArray[np.int32],
    begin: int,
    end: int,
) -> bool:
    """Gives the series the segments of the block if they fit with what it has; false if they do not."""
    row = tables.series[series]
    if row[SEGMENT] < 0:
        begin_segments(tables, series, segments, begin, end)
        set_head(row, columns, n)
        return True
    if has_segment(
        tables, series, np.int64(segments[S_FIRST, end - 1]), np.int64(segments[S_OFFSET, end - 1])
    ):
        # The series goes on from an earlier block; unless it has new samples, this block knows better.
        if columns[C_TIME, n] > row[TIME] and row[OFFSET] == segments[S_OFFSET, end - 1]:
            set_head(row, columns, n)
        return True
    oldest = oldest_segment(tables, series)
    if tables.segments[oldest, SEGMENT_FIRST] <= columns[C_LAST, n]:
        return False
    # New samples came first: put the saved segments behind theirs.
    newest = np.int64(row[SEGMENT])
    offset = np.int64(row[OFFSET])
    shift = np.int64(row[SHIFT])
    deviation = np.int64(row[DEVIATION])
    age = np.int64(row[AGE])
    row[SEGMENT] = -1
    begin_segments(tables, series, segments, begin, end)
    tables.segments[oldest, SEGMENT_OLDER] = row[SEGMENT]
    row[SEGMENT] = newest
    row[OFFSET] = offset
    row[SHIFT] = shift
    row[DEVIATION] = deviation
    row[AGE] = age
    return True


@kernel(int64, TABLES, int32_2, int32_2, int64, int64, int32_1, bytes1, int32_1, int64_1)
def insert_series(
    flat: Flat,
    columns: NDArray[np.int32],
    segments: NDArray[np.int32],
    cutoff: int,
    closed: int,
    places: NDArray[np.int32],
    rasters: NDArray[np.uint8],
    begins: NDArray[np.int32],
    progress: NDArray[np.int64],
) -> int:
    """Finds or makes the series of a block, from progress[0] (series) and [1] (segments) on.

    Hosts, metrics and components are already numbers of this store (negative: skip the series). places[n]
    becomes the number of series n, or -1. Series that end before the cutoff (relative to BASE) are left out
    unless their host is kept; with `closed`, so is every series that no newer file had. rasters and begins,
    by number of series, remember what the newest file said. Ends early when tables must grow; returns the
    number of series made.
    """
    tables = gather(flat)
    made = np.int64(0)
    n = progress[0]
    m = progress[1]
    while n < columns.shape[1]:
        if 3 * (tables.counts[DIRECTORY_COUNT] + 8) >= 2 * tables.directory.shape[0]:
            break
        end = m + np.int64(columns[C_SEGMENTS, n])
        host = np.int64(columns[C_HOST, n])
        metric = np.int64(columns[C_METRIC, n])
        component = np.int64(columns[C_COMPONENT, n])
        step = np.int64(columns[C_STEP, n])
        places[n] = -1
        if host >= 0 and metric >= 0 and component >= 0 and end > m:
            newest = time_of(segments, m, end, np.int64(columns[C_LAST, n]), step)
            series = directory_find(tables, series_key(host, metric, component))
            wanted = tables.hosts[host, HOST_KEPT] != 0 or newest + step >= cutoff
            known = series >= 0 and rasters[series] != UNKNOWN
            if known or (wanted and closed == 0):
                if series < 0 and tables.counts[SERIES_COUNT] + 8 < tables.series.shape[0]:
                    series = new_series(tables, host, metric, component)
                    made += 1
                if series >= 0:
                    places[n] = series
                    if not known:
                        begins[series] = columns[C_BEGIN, n]
                    if rasters[series] != OTHER_RASTER and closed == 0:
                        fits = step == tables.metrics[metric, METRIC_STEP] and adopt(
                            tables, series, columns, n, segments, m, end
                        )
                        rasters[series] = SAME_RASTER if fits else OTHER_RASTER
                        if fits:
                            begin = max(np.int64(tables.series[series, BEGIN]), np.int64(begins[series]))
                            tables.series[series, BEGIN] = begin
        m = end
        n += 1
    progress[0] = n
    progress[1] = m
    return made


@part
def room_for_page(tables: Tables, group: int, start: int, slots: int, made: int) -> int:
    """A page for exactly these slots: the one there is, or a new one; -1 when others are in the way or
    memory is used up. Pages numbered from `made` on, if any, are known to be unchanged."""
    pages = tables.pages
    if start & (UNIT - 1) or slots & (slots - 1) or not UNIT <= slots <= LARGEST:
        return -1
    newer = np.int64(-1)
    older = np.int64(tables.groups[group, NEWEST])
    oldest = np.int64(tables.groups[group, OLDEST])
    if oldest >= 0 and start + slots <= pages[oldest, PAGE_START]:
        newer = oldest
        older = np.int64(-1)
    while older >= 0 and pages[older, PAGE_START] > start:
        newer = older
        older = np.int64(pages[older, OLDER])
    if older >= 0:
        begin = np.int64(pages[older, PAGE_START])
        size = page_slots(pages, older)
        if begin == start and size == slots:
            return older
        if begin + size > start:
            return -1
    if newer >= 0 and start + slots > pages[newer, PAGE_START]:
        return -1
    page = new_page(tables, np.int64(tables.groups[group, GROUP_ROWS]), start, slots, 0)
    if page >= 0:
        link(tables, group, page, older, newer, older != made)
    return page


@part
def insert_row(
    tables: Tables,
    series: int,
    raster: int,
    begin: int,
    first: int,
    step: int,
    segments: NDArray[np.int32],
    segment: int,
    segment_end: int,
    values: NDArray[np.float32],
) -> int:
    """Values of one row to wherever they belong, into empty slots; returns the number stored."""
    stored = np.int64(0)
    for j in range(values.shape[0]):
        value = values[j]
        slot = first + j
        if value != value or slot < begin:
            continue
        if raster == SAME_RASTER:
            stored += max(put_if_empty(tables, series, slot, value), 0)
            continue
        time = time_of(segments, segment, segment_end, slot, step)
        if tables.series[series, SEGMENT] < 0 or time > tables.series[series, TIME]:
            stored += 1 if store(tables, series, time, np.float64(value)) else 0
        else:
            stored += max(put_if_empty(tables, series, slot_of_late(tables, series, time), value), 0)
    return stored


@part
def copy_row(tables: Tables, at: int, begin: int, values: NDArray[np.float32], v: int, slots: int) -> int:
    """Fills a row that is empty, from `begin` on; returns the number of samples."""
    first = min(max(begin, 0), slots)
    target = tables.slots[at + first : at + slots]
    source = values[v + first : v + slots]
    stored = np.int64(0)
    for j in range(target.shape[0]):
        value = source[j]
        target[j] = value
        stored += np.int64(value == value)
    return stored


@part
def merge_row(tables: Tables, at: int, begin: int, values: NDArray[np.float32], v: int, slots: int) -> int:
    """Fills the empty slots from `begin` on of a row that lies at `at`; returns the number stored."""
    stored = np.int64(0)
    for j in range(slots):
        old = tables.slots[at + j]
        new = values[v + j]
        fill = old != old and new == new and j >= begin
        tables.slots[at + j] = new if fill else old
        stored += 1 if fill else 0
    return stored


@kernel(
    int64,
    TABLES,
    int32_2,
    int32_2,
    int32_1,
    int32_2,
    float32_1,
    int64,
    int32_1,
    bytes1,
    int32_1,
    int64_1,
)
def insert_pages(
    flat: Flat,
    columns: NDArray[np.int32],
    segments: NDArray[np.int32],
    segment_ends: NDArray[np.int32],
    pages: NDArray[np.int32],
    values: NDArray[np.float32],
    cutoff: int,
    places: NDArray[np.int32],
    rasters: NDArray[np.uint8],
    begins: NDArray[np.int32],
    progress: NDArray[np.int64],
) -> int:
    """Puts up to progress[3] pages of a block back, from progress[0] (page), [1] (series) and [2] (value) on;
    returns the number of samples stored.

    Values go to empty slots only: what has been written since, or stood in a newer file, is newer. Pages that
    end before the cutoff (relative to BASE) are left out unless the host is kept. A page that finds its
    place free becomes one again.
    """
    tables = gather(flat)
    stored = np.int64(0)
    p = progress[0]
    n = progress[1]
    v = progress[2]
    made = np.int64(-2)  # page made last
    group_of_made = np.int64(-1)
    fresh = np.int64(-1)
    stop = min(p + progress[3], pages.shape[1])
    while p < stop:
        g = pages[P_GROUP, p]
        first = np.int64(pages[P_FIRST, p])
        slots = np.int64(pages[P_SLOTS, p])
        rows = np.int64(pages[P_ROWS, p])
        while n < columns.shape[1] and columns[C_GROUP, n] < g:
            n += 1
        s = n
        while s < columns.shape[1] and columns[C_GROUP, s] == g:
            series = np.int64(places[s])
            if series >= 0:
                row = tables.series[series]
                step = np.int64(columns[C_STEP, s])
                kept = tables.hosts[row[HOST], HOST_KEPT] != 0
                if kept or (first + slots + WANDER) * step >= cutoff:
                    at = v + np.int64(columns[C_ROW, s]) * slots
                    page = np.int64(-1)
                    if rasters[series] == SAME_RASTER:
                        group = np.int64(row[GROUP])
                        before = group_of_made == group
                        count = tables.counts[PAGES_IN_USE]
                        page = room_for_page(tables, group, first, slots, made if before else -2)
                        if tables.counts[PAGES_IN_USE] != count:
                            fresh = page
                        if page >= 0 and is_packed(tables.pages, page):
                            page = unpack_page(tables, group, page)
                        made = page
                        group_of_made = group
                    if page >= 0:
                        place = row_at(tables.pages, page, series - tables.groups[row[GROUP], GROUP_FIRST])
                        begin = np.int64(begins[series]) - first
                        # Rows of a page that was made for this one have nothing to merge with.
                        if page == fresh:
                            stored += copy_row(tables, place, begin, values, at, slots)
                        else:
                            stored += merge_row(tables, place, begin, values, at, slots)
                    else:
                        begin_segment_of = np.int64(segment_ends[s - 1]) if s > 0 else np.int64(0)
                        stored += insert_row(
                            tables,
                            series,
                            np.int64(rasters[series]),
                            np.int64(begins[series]),
                            first,
                            step,
                            segments,
                            begin_segment_of,
                            np.int64(segment_ends[s]),
                            values[at : at + slots],
                        )
            s += 1
        v += rows * slots
        p += 1
        fresh = np.int64(-1)
    progress[0] = p
    progress[1] = n
    progress[2] = v
    return stored


@kernel(none, float32_1, bytes1)
def shuffle(values: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """All first bytes of the numbers, then all second bytes, ...: lz4 finds more in that."""
    n = values.shape[0]
    words = values.view(np.uint32)
    for i in range(n):
        word = words[i]
        out[i] = word & _BYTE
        out[n + i] = (word >> _8) & _BYTE
        out[2 * n + i] = (word >> _16) & _BYTE
        out[3 * n + i] = word >> _24


@kernel(none, readonly_bytes1, float32_1)
def unshuffle(data: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    n = out.shape[0]
    words = out.view(np.uint32)
    for i in range(n):
        words[i] = (
            np.uint32(data[i])
            | (np.uint32(data[n + i]) << _8)
            | (np.uint32(data[2 * n + i]) << _16)
            | (np.uint32(data[3 * n + i]) << _24)
        )
