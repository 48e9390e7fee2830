"""Pages: where the slots of series lie in memory.

A page belongs to a group and holds a run of slots of each of its rows, row after row. The pages of a group
form a list ordered by time and never overlap; a run that nobody has written to has no page. Memory comes in
units of 8 slots; a page that is free keeps its memory for the next one of the same size, larger ones are
cut up. Reaching the page of the newest slot takes no search.

Old pages are packed: another page, with the rows of one or several of them as codec.py makes them, takes
their place; the newest page of a group stays as it is. A packed page holds the header of each row, then the
rows without them. Nothing is written into it but the mark of a row that is emptied: for a sample that comes
late a plain page takes its place again. A page that has been replaced keeps its memory and its way to older
pages until no reader can be there (retention.py).
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.codec import EMPTY_ROW, TOO_WIDE, is_filled, pack, plan, unpack, words_of
from ccstore.kernels.layout import (
    CHANGED,
    EPOCH,
    FREE_PAGES,
    FREE_ROWS,
    GROUP,
    GROUP_FIRST,
    GROUP_ROWS,
    LARGEST,
    MOST_UNITS,
    NEWER,
    NEWEST,
    OLDER,
    OLDEST,
    PACKED,
    PACKED_PAGES,
    PAGE_AT,
    PAGE_COUNT,
    PAGE_LIMIT,
    PAGE_START,
    PAGES_IN_USE,
    REPLACED,
    SETTLED,
    SPARED_UNITS,
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


@inlined
def is_packed(pages: NDArray[np.int32], page: int) -> bool:
    return (pages[page, STATE] >> PACKED) & 31 != 0


@part
def plain_units(pages: NDArray[np.int32], page: int) -> int:
    """Units of all rows when they are not packed."""
    state = np.int64(pages[page, STATE])
    return np.int64(1) << ((state & 3) + ((state >> 2) & 3))


@part
def page_units(pages: NDArray[np.int32], page: int) -> int:
    """Units of memory, also of a page that is free."""
    packed = (np.int64(pages[page, STATE]) >> PACKED) & 31
    return packed if packed else plain_units(pages, page)


@part
def free_state(units: int) -> int:
    """What says how many units a free page has."""
    return units << PACKED if units < MOST_UNITS else 3 | (2 << 2)


@part
def first_word(pages: NDArray[np.int32], page: int) -> int:
    """Where a page begins in `slots`."""
    return (np.int64(pages[page, PAGE_AT]) & 0xFFFFFFFF) << UNIT_BITS


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
def take(tables: Tables, units: int) -> int:
    """A page from the free lists, cut from a larger one if need be; -1 when there is none."""
    counts = tables.counts
    larger = units
    while larger <= MOST_UNITS and counts[FREE_PAGES + larger] < 0:
        larger += 1
    if larger > MOST_UNITS:
        return -1
    page = counts[FREE_PAGES + larger]
    if larger == units:
        counts[FREE_PAGES + larger] = tables.pages[page, OLDER]
        return page
    rest = free_row(tables)
    if rest < 0:
        return -1
    counts[FREE_PAGES + larger] = tables.pages[page, OLDER]
    tables.pages[rest, PAGE_AT] = tables.pages[page, PAGE_AT] + units
    tables.pages[rest, STATE] = free_state(larger - units)
    tables.pages[rest, OLDER] = counts[FREE_PAGES + larger - units]
    counts[FREE_PAGES + larger - units] = rest
    return page


@part
def row_with_memory(tables: Tables, units: int) -> int:
    """A row of `pages` with that many units of memory, or -1 when memory is used up."""
    counts = tables.counts
    page = take(tables, units)
    if page < 0:
        if counts[UNIT_COUNT] + units > counts[UNIT_LIMIT]:
            return -1
        page = free_row(tables)
        if page < 0:
            return -1
        tables.pages[page, PAGE_AT] = np.int32(np.uint32(counts[UNIT_COUNT]))
        counts[UNIT_COUNT] += units
    counts[PAGES_IN_USE] += 1
    counts[UNITS_IN_USE] += units
    return page


@part
def new_page(tables: Tables, rows: int, start: int, slots: int, changed: int) -> int:
    """An empty page, or -1 when memory is used up."""
    width = log2(slots >> UNIT_BITS)
    height = log2(rows)
    page = row_with_memory(tables, np.int64(1) << (width + height))
    if page < 0:
        return -1
    tables.pages[page, PAGE_START] = start
    tables.pages[page, OLDER] = -1
    tables.pages[page, NEWER] = -1
    tables.pages[page, STATE] = width | (height << 2) | (changed << CHANGED)
    at = row_at(tables.pages, page, 0)
    for i in range(at, at + rows * slots):
        tables.slots[i] = np.float32(np.nan)
    return page


@part
def mark_changed(tables: Tables, page: int) -> None:
    state = np.int64(tables.pages[page, STATE])
    tables.pages[page, STATE] = (state & (SETTLED - 1)) | (tables.counts[EPOCH] << CHANGED)


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


# -- packed ones ---------------------------------------------------------------------------------------------


@part
def replace_pages(tables: Tables, group: int, first: int, count: int, new: int) -> None:
    """Puts a page in the place of `count` others that follow one another and have its slots."""
    pages = tables.pages
    last = first
    for _ in range(count - 1):
        last = np.int64(pages[last, NEWER])
    link(tables, group, new, np.int64(pages[first, OLDER]), np.int64(pages[last, NEWER]), False)
    old = first
    for _ in range(count):
        newer = np.int64(pages[old, NEWER])
        # Readers go from new to old only.
        pages[old, NEWER] = tables.counts[REPLACED]
        tables.counts[REPLACED] = old
        old = newer


@part
def pack_run(
    tables: Tables,
    group: int,
    first: int,
    count: int,
    slots: int,
    values: NDArray[np.float32],
    plans: NDArray[np.int64],
) -> int:
    """One page, packed if that saves anything, in the place of `count` pages that follow one another without
    a gap, `slots` in all, the newest of the group not among them. Returns the page that is there now: the
    first one when nothing changes, because it would save nothing or memory is used up.

    Scratch: `values` for a page, `plans` two numbers for each row.
    """
    pages = tables.pages
    counts = tables.counts
    rows = np.int64(tables.groups[group, GROUP_ROWS])
    changed = np.int64(0)
    page = first
    at = np.int64(0)
    for _ in range(count):
        size = page_slots(pages, page)
        for row in range(rows):
            begin = row * slots + at
            read_row(tables, page, row, 0, values[begin : begin + size])
        changed = max(changed, np.int64(pages[page, STATE]) >> CHANGED)
        at += size
        page = np.int64(pages[page, NEWER])
    start = np.int64(pages[first, PAGE_START])

    bits = values.view(np.uint32)
    size = rows
    narrow = True
    for row in range(rows):
        at = row * slots
        header, base = plan(values[at : at + slots], bits[at : at + slots])
        narrow = narrow and header != TOO_WIDE
        plans[2 * row] = header
        plans[2 * row + 1] = base
        size += words_of(header, slots)
    full = (rows * slots) >> UNIT_BITS
    # Decoding reads one word more than there is.
    units = (size + 1 + UNIT - 1) >> UNIT_BITS
    if not narrow or units >= full:
        if count == 1:
            pages[first, STATE] |= SETTLED
            return first
        new = new_page(tables, rows, start, slots, changed)
        if new < 0:
            return first
        pages[new, STATE] |= SETTLED
        at = row_at(pages, new, 0)
        for i in range(rows * slots):
            tables.slots[at + i] = values[i]
    else:
        new = row_with_memory(tables, units)
        if new < 0:
            return first
        counts[PACKED_PAGES] += 1
        counts[SPARED_UNITS] += full - units
        pages[new, PAGE_START] = start
        height = log2(rows)
        width = log2(slots >> UNIT_BITS)
        pages[new, STATE] = width | (height << 2) | (units << PACKED) | SETTLED | (changed << CHANGED)
        words = tables.slots.view(np.uint32)
        begin = first_word(pages, new)
        target = begin + rows
        for row in range(rows):
            at = row * slots
            header = plans[2 * row]
            size = words_of(header, slots)
            words[begin + row] = np.uint32(header)
            row_words = words[target : target + size]
            pack(values[at : at + slots], bits[at : at + slots], header, plans[2 * row + 1], row_words)
            target += size
    replace_pages(tables, group, first, count, new)
    return new


@part
def packed_row(pages: NDArray[np.int32], words: NDArray[np.uint32], page: int, row: int) -> int:
    """Where the base of a row stands."""
    slots = page_slots(pages, page)
    begin = first_word(pages, page)
    at = begin + (np.int64(1) << ((np.int64(pages[page, STATE]) >> 2) & 3))
    for i in range(row):
        at += words_of(np.int64(words[begin + i]), slots)
    return at


@part
def read_row(tables: Tables, page: int, row: int, first: int, out: NDArray[np.float32]) -> None:
    """Slots of a row, from its `first` on, as many as `out` takes."""
    pages = tables.pages
    if is_packed(pages, page):
        words = tables.slots.view(np.uint32)
        header = np.int64(words[first_word(pages, page) + row])
        unpack(words, packed_row(pages, words, page, row), header, first, out)
        return
    at = row_at(pages, page, row) + first
    source = tables.slots[at : at + out.shape[0]]
    for i in range(out.shape[0]):
        out[i] = source[i]


@part
def unpack_page(tables: Tables, group: int, page: int) -> int:
    """The plain page that takes the place of a packed one; -1 when memory is used up."""
    pages = tables.pages
    slots = page_slots(pages, page)
    rows = np.int64(tables.groups[group, GROUP_ROWS])
    changed = np.int64(pages[page, STATE]) >> CHANGED
    new = new_page(tables, rows, np.int64(pages[page, PAGE_START]), slots, changed)
    if new >= 0:
        for row in range(rows):
            at = row_at(pages, new, row)
            read_row(tables, page, row, 0, tables.slots[at : at + slots])
        replace_pages(tables, group, page, 1, new)
    return new


@part
def holds_number(tables: Tables, page: int, row: int, slot: int) -> bool:
    """Whether a slot of a row, counted from the page's first one, has a sample."""
    pages = tables.pages
    if is_packed(pages, page):
        words = tables.slots.view(np.uint32)
        header = np.int64(words[first_word(pages, page) + row])
        return is_filled(words, packed_row(pages, words, page, row), header, slot)
    value = tables.slots[row_at(pages, page, row) + slot]
    return value == value


@part
def first_filled(tables: Tables, page: int, row: int) -> int:
    """The first slot with a sample, counted from the page's first one; -1 when there is none."""
    for slot in range(page_slots(tables.pages, page)):
        if holds_number(tables, page, row, slot):
            return slot
    return -1


@part
def last_filled(tables: Tables, page: int, row: int) -> int:
    """The last slot with a sample, counted from the page's first one; -1 when there is none."""
    slot = page_slots(tables.pages, page) - 1
    while slot >= 0 and not holds_number(tables, page, row, slot):
        slot -= 1
    return slot


@part
def empty_row(tables: Tables, page: int, row: int) -> None:
    """Takes all samples out of a row."""
    pages = tables.pages
    if is_packed(pages, page):
        words = tables.slots.view(np.uint32)
        at = first_word(pages, page) + row
        words[at] = np.uint32(np.int64(words[at]) | EMPTY_ROW)
        return
    at = row_at(pages, page, row)
    for i in range(at, at + page_slots(pages, page)):
        tables.slots[i] = np.float32(np.nan)


# -- the page of a slot --------------------------------------------------------------------------------------


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
                if is_packed(pages, older):
                    older = unpack_page(tables, group, older)
                    if older < 0:
                        return -1
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
