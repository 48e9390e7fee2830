"""Packing of old pages, group by group: small ones that follow one another become one. Cost: about 12 ns a
sample each time, at most four times."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    GROUP_FIRST,
    GROUP_HOST,
    LARGEST,
    MOST_UNITS,
    NEWER,
    NEWEST,
    OLDEST,
    PAGE_START,
    SETTLED,
    STATE,
    STEP,
    TABLES,
    UNIT,
    Flat,
    Tables,
    float32_1,
    gather,
    int64,
    int64_1,
    kernel,
    part,
)
from ccstore.kernels.pages import pack_run, page_slots

PLANS = 8  # numbers of scratch: two for each row of a page
VALUES = UNIT * MOST_UNITS  # of the largest page


@part
def run_of(tables: Tables, first: int, newest: int, limit: int) -> tuple[int, int]:
    """How many pages from this one on can become one, and its slots: as many as a page can have, without a
    gap, before slot `limit`."""
    pages = tables.pages
    slots = page_slots(pages, first)
    best = slots
    best_count = np.int64(1)
    count = np.int64(1)
    start = np.int64(pages[first, PAGE_START])
    page = np.int64(pages[first, NEWER])
    while page != newest and pages[page, PAGE_START] == start + slots:
        slots += page_slots(pages, page)
        count += 1
        if slots > LARGEST or start + slots > limit:
            break
        if slots & (slots - 1) == 0:
            best = slots
            best_count = count
        page = np.int64(pages[page, NEWER])
    return best_count, best


@kernel(int64, TABLES, int64, int64, int64, float32_1, int64_1, int64_1)
def pack_pages(
    flat: Flat,
    stop: int,
    cutoff: int,
    most: int,
    values: NDArray[np.float32],
    plans: NDArray[np.int64],
    progress: NDArray[np.int64],
) -> int:
    """Packs pages that end before the cutoff (relative to BASE) in groups progress[0]..stop-1, looking at
    `most` at the most; returns how many it looked at. progress[0] becomes the group to go on with."""
    tables = gather(flat)
    pages = tables.pages
    seen = np.int64(0)
    group = progress[0]
    while group < stop and seen < most:
        newest = np.int64(tables.groups[group, NEWEST])
        if tables.groups[group, GROUP_HOST] < 0 or newest < 0:
            group += 1
            continue
        # Slot numbers are near enough to time.
        limit = cutoff // np.int64(tables.series[tables.groups[group, GROUP_FIRST], STEP])
        page = np.int64(tables.groups[group, OLDEST])
        while page != newest and seen < most:
            if pages[page, PAGE_START] + page_slots(pages, page) > limit:
                page = newest
                break
            count, slots = run_of(tables, page, newest, limit)
            if count > 1 or pages[page, STATE] & SETTLED == 0:
                page = pack_run(tables, group, page, count, slots, values, plans)
                seen += 1
            page = np.int64(pages[page, NEWER])
        if page == newest:
            group += 1
    progress[0] = group
    return seen
