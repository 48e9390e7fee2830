"""Series to blocks of columns and back: what checkpoints are made of (docs/format/checkpoint.md)."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    AGE,
    ALIVE,
    BASE,
    COMPONENT,
    DEVIATION,
    DIRECTORY_COUNT,
    FIRST,
    GROUP_COUNT,
    GROUP_USED,
    HOST,
    HOST_KEPT,
    LAST,
    METRIC,
    METRIC_STEP,
    NEWER,
    OFFSET,
    OLDEST,
    PAGE,
    ROW_BITS,
    ROWS,
    SEGMENT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    SERIES_COUNT,
    SHIFT,
    SLOT_BITS,
    SLOT_MASK,
    SLOTS,
    STEP,
    TABLES,
    TIME,
    WINDOW,
    Flat,
    Tables,
    bytes1,
    float32_1,
    gather,
    int64,
    int64_1,
    int64_2,
    kernel,
    none,
    part,
    readonly_bytes1,
)
from ccstore.kernels.lookup import directory_find, series_key
from ccstore.kernels.raster import begin_segment, new_series, page_for, slot_of_late, store

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
C_SEGMENTS = 9
C_ROWS = 10
COLUMNS = 11

# cursor[...]
AT_SERIES = 0
AFTER_WINDOW = 1  # rows of AT_SERIES up to this window are done; NO_WINDOW: none is
DONE_SERIES = 2  # filled by one call
DONE_SEGMENTS = 3
DONE_ROWS = 4
CURSOR_SIZE = 5
NO_WINDOW = -(1 << 40)


@kernel(none, TABLES, int64_2, int64_2, int64_1, float32_1, int64_1)
def collect(
    flat: Flat,
    columns: NDArray[np.int64],
    segments: NDArray[np.int64],
    firsts: NDArray[np.int64],
    rows: NDArray[np.float32],
    cursor: NDArray[np.int64],
) -> None:
    """Copies series from cursor[AT_SERIES] on until an array is full.

    columns[:, series]; segments (first slot, offset), oldest first; firsts: slot number of each row's first
    slot;
    rows: SLOTS numbers each. A series whose rows do not fit goes on in the next call with the same columns.
    """
    tables = gather(flat)
    series = cursor[AT_SERIES]
    after = cursor[AFTER_WINDOW]
    n = np.int64(0)
    m = np.int64(0)
    r = np.int64(0)
    end = tables.counts[SERIES_COUNT]
    scanned = 0
    while series < end and n < columns.shape[1] and r < firsts.shape[0] and scanned < 65536:
        scanned += 1
        group = series >> ROW_BITS
        row = tables.series[series]
        inside = (series & (ROWS - 1)) < tables.groups[group, GROUP_USED]
        if not inside or row[ALIVE] == 0 or row[SEGMENT] < 0:
            series += 1
            after = NO_WINDOW
            continue
        count = np.int64(0)
        segment = np.int64(row[SEGMENT])
        while segment >= 0:
            count += 1
            segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
        if m + count > segments.shape[0]:
            if m > 0:
                break
            count = segments.shape[0]
        columns[C_HOST, n] = row[HOST]
        columns[C_METRIC, n] = row[METRIC]
        columns[C_COMPONENT, n] = row[COMPONENT]
        columns[C_STEP, n] = row[STEP]
        columns[C_LAST, n] = row[LAST]
        columns[C_TIME, n] = BASE + np.int64(row[TIME])
        columns[C_SHIFT, n] = row[SHIFT]
        columns[C_DEVIATION, n] = row[DEVIATION]
        columns[C_AGE, n] = row[AGE]
        columns[C_SEGMENTS, n] = count
        m += count
        segment = np.int64(row[SEGMENT])
        for i in range(count):
            segments[m - 1 - i, 0] = tables.segments[segment, SEGMENT_FIRST]
            segments[m - 1 - i, 1] = tables.segments[segment, SEGMENT_OFFSET]
            segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
        page = np.int64(tables.groups[group, OLDEST])
        before = r
        whole = True
        while page >= 0:
            window = np.int64(tables.pages[page, WINDOW])
            if window > after:
                if r == firsts.shape[0]:
                    whole = False
                    break
                at = page * PAGE + (series & (ROWS - 1)) * SLOTS
                filled = False
                for i in range(SLOTS):
                    v = tables.slots[at + i]
                    rows[r * SLOTS + i] = v
                    if v == v:
                        filled = True
                if filled:
                    firsts[r] = window << SLOT_BITS
                    r += 1
                after = window
            page = np.int64(tables.pages[page, NEWER])
        columns[C_ROWS, n] = r - before
        n += 1
        if not whole:
            break
        series += 1
        after = NO_WINDOW
    cursor[AT_SERIES] = series
    cursor[AFTER_WINDOW] = after
    cursor[DONE_SERIES] = n
    cursor[DONE_SEGMENTS] = m
    cursor[DONE_ROWS] = r


@part
def put_if_empty(tables: Tables, group: int, row: int, slot: int, value: np.float32) -> int:
    """1 when the value was stored, 0 when there was one, -1 when memory is used up."""
    page = page_for(tables, group, slot >> SLOT_BITS)
    if page < 0:
        return -1
    at = page * PAGE + row * SLOTS + (slot & SLOT_MASK)
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
def time_of(segments: NDArray[np.int64], begin: int, end: int, slot: int, step: int) -> int:
    """Nominal time, relative to BASE, by the segments of the block."""
    s = end - 1
    while s > begin and segments[s, 0] > slot:
        s -= 1
    return slot * step + segments[s, 1]


@part
def set_head(row: NDArray[np.int32], columns: NDArray[np.int64], n: int) -> None:
    row[LAST] = columns[C_LAST, n]
    row[TIME] = columns[C_TIME, n] - BASE
    row[SHIFT] = columns[C_SHIFT, n]
    row[DEVIATION] = columns[C_DEVIATION, n]
    row[AGE] = columns[C_AGE, n]


@part
def adopt(
    tables: Tables,
    series: int,
    columns: NDArray[np.int64],
    n: int,
    segments: NDArray[np.int64],
    begin: int,
    end: int,
) -> bool:
    """Gives the series the segments of the block if they fit with what it has; false if they do not."""
    row = tables.series[series]
    if row[SEGMENT] < 0:
        for s in range(begin, end):
            begin_segment(tables, series, segments[s, 0], segments[s, 1])
        set_head(row, columns, n)
        return True
    if has_segment(tables, series, segments[end - 1, 0], segments[end - 1, 1]):
        # The series goes on from an earlier block; unless it has new samples, this block knows better.
        if columns[C_TIME, n] - BASE > row[TIME] and row[OFFSET] == segments[end - 1, 1]:
            set_head(row, columns, n)
        return True
    oldest = oldest_segment(tables, series)
    if tables.segments[oldest, SEGMENT_FIRST] <= columns[C_LAST, n]:
        return False
    # New samples came first: put the saved segments behind theirs.
    newest = np.int64(row[SEGMENT])
    offset = row[OFFSET]
    first = row[FIRST]
    shift = row[SHIFT]
    deviation = row[DEVIATION]
    age = row[AGE]
    row[SEGMENT] = -1
    for s in range(begin, end):
        begin_segment(tables, series, segments[s, 0], segments[s, 1])
    tables.segments[oldest, SEGMENT_OLDER] = row[SEGMENT]
    row[SEGMENT] = newest
    row[OFFSET] = offset
    row[FIRST] = first
    row[SHIFT] = shift
    row[DEVIATION] = deviation
    row[AGE] = age
    return True


@kernel(int64, TABLES, int64_2, int64_2, int64_1, float32_1, int64, int64, int64_1)
def insert(
    flat: Flat,
    columns: NDArray[np.int64],
    segments: NDArray[np.int64],
    firsts: NDArray[np.int64],
    rows: NDArray[np.float32],
    slots: int,
    cutoff: int,
    progress: NDArray[np.int64],
) -> int:
    """Puts a block back, from series progress[0] on; returns the number of samples stored in this call.

    Hosts, metrics and components are already numbers of this store (negative: skip the series). Values go
    to empty
    slots only: what has been written since is newer. Rows that end before the cutoff (relative to BASE) are
    left
    out unless the host is kept. progress: series, segments and rows done, series made; the call ends early
    when
    tables must grow first.
    """
    tables = gather(flat)
    stored = np.int64(0)
    n = progress[0]
    m = progress[1]
    r = progress[2]
    while n < columns.shape[1]:
        if 3 * (tables.counts[DIRECTORY_COUNT] + 8) >= 2 * tables.directory.shape[0]:
            break
        m_end = m + columns[C_SEGMENTS, n]
        r_end = r + columns[C_ROWS, n]
        host = columns[C_HOST, n]
        metric = columns[C_METRIC, n]
        component = columns[C_COMPONENT, n]
        step = columns[C_STEP, n]
        if host >= 0 and metric >= 0 and component >= 0 and m_end > m:
            kept = tables.hosts[host, HOST_KEPT] != 0
            newest = time_of(segments, m, m_end, columns[C_LAST, n], step)
            if kept or newest + step >= cutoff:
                series = directory_find(tables.directory, series_key(host, metric, component))
                if series < 0:
                    if (tables.counts[GROUP_COUNT] + 2) * ROWS >= tables.series.shape[0]:
                        m = m_end
                        r = r_end
                        n += 1
                        continue
                    series = new_series(tables, host, metric, component)
                    progress[3] += 1
                same_raster = step == tables.metrics[metric, METRIC_STEP] and adopt(
                    tables, series, columns, n, segments, m, m_end
                )
                group = series >> ROW_BITS
                row = series & (ROWS - 1)
                for i in range(r, r_end):
                    if not kept and (firsts[i] + slots + 8) * step < cutoff:
                        continue
                    for j in range(slots):
                        value = rows[i * slots + j]
                        if value != value:
                            continue
                        slot = firsts[i] + j
                        if same_raster:
                            stored += max(put_if_empty(tables, group, row, slot, value), 0)
                        else:
                            time = time_of(segments, m, m_end, slot, step)
                            if tables.series[series, SEGMENT] < 0 or time > tables.series[series, TIME]:
                                stored += 1 if store(tables, series, time, np.float64(value)) else 0
                            else:
                                slot = slot_of_late(tables, series, time)
                                stored += max(put_if_empty(tables, group, row, slot, value), 0)
        m = m_end
        r = r_end
        n += 1
    progress[0] = n
    progress[1] = m
    progress[2] = r
    return stored


@kernel(none, float32_1, bytes1)
def shuffle(values: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """All first bytes of the numbers, then all second bytes, ...: lz4 finds more in that."""
    n = values.shape[0]
    raw = values.view(np.uint8)
    for b in range(4):
        for i in range(n):
            out[b * n + i] = raw[4 * i + b]


@kernel(none, readonly_bytes1, float32_1)
def unshuffle(data: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
    n = out.shape[0]
    raw = out.view(np.uint8)
    for b in range(4):
        for i in range(n):
            raw[4 * i + b] = data[b * n + i]
