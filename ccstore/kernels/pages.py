"""Pages: where the slots of series lie in memory.

A page belongs to a group and holds a run of slots of each of its rows, row after row. The pages of a group
form a list ordered by time and never overlap; a run that nobody has written to has no page. Memory comes in
units of 8 slots; a page that is free keeps its memory for the next one of the same size, larger ones are
cut up. Reaching the page of the newest slot takes no search.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    CLASSES,
    EPOCH,
    FREE_PAGES,
    FREE_ROWS,
    GROUP,
    GROUP_FIRST,
    GROUP_ROWS,
    LARGEST,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    PAGE_AT,
    PAGE_COUNT,
    PAGE_LIMIT,
    PAGE_START,
    PAGES_IN_USE,
    STATE,
    UNIT,
    UNIT_BITS,
    UNIT_COUNT,
    UNIT_LIMIT,
    UNITS_IN_USE,
    Tables,
    inlined,
    part,
)


@inlined
def page_slots(pages: NDArray[np.int32], page: int) -> int:
    """Slots of each row."""
    return np.int64(UNIT) << np.int64(pages[page, STATE] & 3)


@part
def page_class(pages: NDArray[np.int32], page: int) -> int:
    """log2 of the units of all rows."""
    state = np.int64(pages[page, STATE])
    return (state & 3) + ((state >> 2) & 3)


@inlined
def row_at(pages: NDArray[np.int32], page: int, row: int) -> int:
    """Where a row begins in `slots`."""
    unit = np.int64(pages[page, PAGE_AT]) & 0xFFFFFFFF
    return (unit << UNIT_BITS) + row * page_slots(pages, page)


@part
def row_of(tables: Tables, series: int) -> int:
    """Row of a series in the pages of its group."""
    return series - np.int64(tables.groups[tables.series[series, GROUP], GROUP_FIRST])


@part
def log2(number: int) -> int:
    """Of a power of two."""
    found = 0
    while number > 1:
        number >>= 1
        found += 1
    return found


@part
def free_row(tables: Tables) -> int:
    """A row of `pages` without slots, or -1 when there is none."""
    counts = tables.counts
    page = counts[FREE_ROWS]
    if page >= 0:
        counts[FREE_ROWS] = tables.pages[page, OLDER]
        return page
    page = counts[PAGE_COUNT]
    if page >= counts[PAGE_LIMIT]:
        return -1
    counts[PAGE_COUNT] = page + 1
    return page


@part
def take(tables: Tables, kind: int) -> int:
    """A page of a class from the free lists, cut from a larger one if need be; -1 when there is none."""
    counts = tables.counts
    larger = kind
    while larger < CLASSES and counts[FREE_PAGES + larger] < 0:
        larger += 1
    if larger == CLASSES:
        return -1
    page = counts[FREE_PAGES + larger]
    while larger > kind:
        rest = free_row(tables)
        if rest < 0:
            return -1
        counts[FREE_PAGES + larger] = tables.pages[page, OLDER]
        larger -= 1
        # The second half becomes a page of its own; the first one goes on being cut.
        tables.pages[rest, PAGE_AT] = tables.pages[page, PAGE_AT] + (1 << larger)
        tables.pages[rest, OLDER] = counts[FREE_PAGES + larger]
        tables.pages[page, OLDER] = rest
        counts[FREE_PAGES + larger] = page
    counts[FREE_PAGES + kind] = tables.pages[page, OLDER]
    return page


@part
def new_page(tables: Tables, rows: int, start: int, slots: int, changed: int) -> int:
    """An empty page, or -1 when memory is used up."""
    counts = tables.counts
    width = log2(slots >> UNIT_BITS)
    height = log2(rows)
    kind = width + height
    page = take(tables, kind)
    if page < 0:
        if counts[UNIT_COUNT] + (1 << kind) > counts[UNIT_LIMIT]:
            return -1
        page = free_row(tables)
        if page < 0:
            return -1
        tables.pages[page, PAGE_AT] = np.int32(np.uint32(counts[UNIT_COUNT]))
        counts[UNIT_COUNT] += 1 << kind
    counts[PAGES_IN_USE] += 1
    counts[UNITS_IN_USE] += 1 << kind
    tables.pages[page, PAGE_START] = start
    tables.pages[page, OLDER] = -1
    tables.pages[page, NEWER] = -1
    tables.pages[page, STATE] = width | (height << 2) | (changed << 8)
    at = row_at(tables.pages, page, 0)
    for i in range(at, at + rows * slots):
        tables.slots[i] = np.float32(np.nan)
    return page


@part
def mark_changed(tables: Tables, page: int) -> None:
    state = np.int64(tables.pages[page, STATE])
    tables.pages[page, STATE] = (state & 0xFF) | (tables.counts[EPOCH] << 8)


@part
def link(tables: Tables, group: int, page: int, older: int, newer: int, mark: bool) -> None:
    """Puts a page between two others, -1 being the ends. With `mark`, a page that is no longer the newest is
    taken as changed: nobody notes that of the newest."""
    pages = tables.pages
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
        if mark and older >= 0:
            mark_changed(tables, older)
        tables.groups[group, NEWEST] = page


@part
def next_size(pages: NDArray[np.int32], newest: int) -> int:
    """Slots of the page after the newest one: a fifth or so of what there is already."""
    if newest < 0:
        return UNIT
    size = page_slots(pages, newest)
    if size == LARGEST:
        return size
    enough = 4 if size == UNIT else (6 if size == 2 * UNIT else 8)
    count = 0
    page = newest
    while page >= 0 and count < enough and page_slots(pages, page) == size:
        count += 1
        page = np.int64(pages[page, OLDER])
    return 2 * size if count == enough else size


@part
def page_for(tables: Tables, group: int, slot: int) -> int:
    """The page of a slot, made when it is missing; -1 when memory is used up."""
    pages = tables.pages
    newest = np.int64(tables.groups[group, NEWEST])
    newer = np.int64(-1)
    older = newest
    while older >= 0 and pages[older, PAGE_START] > slot:
        newer = older
        older = np.int64(pages[older, OLDER])
    end = np.int64(0)
    if older >= 0:
        end = np.int64(pages[older, PAGE_START]) + page_slots(pages, older)
        if slot < end:
            if newer >= 0:
                mark_changed(tables, older)
            return older
    if newer < 0:
        size = next_size(pages, newest)
        start = end if older >= 0 and slot < end + size else slot & -UNIT
    else:
        size = page_slots(pages, newer)
        start = slot & -size
        while (older >= 0 and start < end) or start + size > pages[newer, PAGE_START]:
            size >>= 1
            start = slot & -size
    page = new_page(tables, np.int64(tables.groups[group, GROUP_ROWS]), start, size, tables.counts[EPOCH])
    if page >= 0:
        link(tables, group, page, older, newer, True)
    return page


@inlined
def slot_at(tables: Tables, series: int, slot: int) -> int:
    """Place of a slot in `slots`, made when it is missing; -1 when memory is used up."""
    pages = tables.pages
    group = np.int64(tables.series[series, GROUP])
    page = np.int64(tables.groups[group, NEWEST])
    if page < 0 or not 0 <= slot - pages[page, PAGE_START] < page_slots(pages, page):
        page = page_for(tables, group, slot)
        if page < 0:
            return -1
    row = series - np.int64(tables.groups[group, GROUP_FIRST])
    return row_at(pages, page, row) + slot - pages[page, PAGE_START]
