"""Samples back out: series on the raster of a query, aggregation, statistics, newest values, health.

Readers take no lock. They follow segments and pages from new to old; writers publish both with a single
store,
and what retention takes away is not used again before every reader that may have seen it is gone.
Source: spec/metric-store.md 4, 8.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    ALIVE,
    BASE,
    COMPONENT,
    GROUP,
    GROUP_FIRST,
    GROUP_NEXT,
    GROUP_USED,
    HOST_GROUPS,
    LAST,
    NEWEST,
    NEXT,
    OLDER,
    PAGE_START,
    PARENT,
    SEGMENT,
    SEGMENT_FIRST,
    SEGMENT_OFFSET,
    SEGMENT_OLDER,
    STEP,
    SUBTYPE,
    TABLES,
    TYPE,
    Flat,
    Tables,
    float32_1,
    float64_1,
    float64_2,
    gather,
    int64,
    int64_1,
    int64_2,
    kernel,
    none,
    part,
    reordering,
)
from ccstore.kernels.lookup import HEAD, directory_find, series_key
from ccstore.kernels.pages import first_filled, last_filled, page_slots, read_row, row_of

# aggregation
SUM = 0
AVG = 1
REFUSED = 2  # none: one child only

# found[:, ...] of a result
FILLED = 0
TAKEN = 1


@part
def copy_slots(
    tables: Tables, group: int, row: int, low: int, high: int, out: NDArray[np.float32], at: int
) -> None:
    """Slots low..high-1 of a series to out[at:], as far as there are pages for them."""
    page = np.int64(tables.groups[group, NEWEST])
    while page >= 0:
        begin = np.int64(tables.pages[page, PAGE_START])
        end = begin + page_slots(tables.pages, page)
        if end <= low:
            return
        if begin < high:
            start = max(low, begin)
            stop = min(high, end)
            target = at + start - low
            read_row(tables, page, row, start - begin, out[target : target + stop - start])
        page = np.int64(tables.pages[page, OLDER])


@part
def empty(values: NDArray[np.float32]) -> None:
    for i in range(values.shape[0]):
        values[i] = np.float32(np.nan)


@part
def read_series(
    tables: Tables, series: int, start: int, count: int, out: NDArray[np.float32], at: int
) -> None:
    """Point i becomes the value of the slot that covers start + i * f (relative to BASE), NaN if there is
    none."""
    empty(out[at : at + count])
    step = np.int64(tables.series[series, STEP])
    half = step // 2
    segment = np.int64(tables.series[series, SEGMENT])
    group = np.int64(tables.series[series, GROUP])
    row = row_of(tables, series)
    high = count
    limit = np.int64(1) << 40  # slots from here on belong to a newer segment
    while segment >= 0 and high > 0:
        offset = np.int64(tables.segments[segment, SEGMENT_OFFSET])
        first = np.int64(tables.segments[segment, SEGMENT_FIRST])
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
        slot = (start - offset + half) // step  # of point 0
        low = np.int64(0)
        if segment >= 0:
            low = min(max(first - slot, 0), high)
        stop = min(high, limit - slot)
        if stop > low:
            copy_slots(tables, group, row, slot + low, slot + stop, out, at + low)
        if low <= stop < high and stop >= 0 and limit - 1 >= first:
            # Between two segments: the last slot of the older one, unless that is more than 3f/4 away.
            distance = start + stop * step - ((limit - 1) * step + offset)
            if 4 * distance <= 3 * step:
                copy_slots(tables, group, row, limit - 1, limit, out, at + stop)
        high = low
        limit = first


@part
def has_value(values: NDArray[np.float32]) -> bool:
    for i in range(values.shape[0]):  # noqa: SIM110  (numba has no generators)
        if values[i] == values[i]:
            return True
    return False


@part
def add(values: NDArray[np.float32], total: NDArray[np.float64]) -> None:
    for i in range(values.shape[0]):
        total[i] += np.float64(values[i])


@part
def add_present(values: NDArray[np.float32], total: NDArray[np.float64], number: NDArray[np.float64]) -> None:
    for i in range(values.shape[0]):
        v = np.float64(values[i])
        there = v == v
        total[i] += v if there else 0.0
        number[i] += 1.0 if there else 0.0


@part
def add_means(
    total: NDArray[np.float64],
    number: NDArray[np.float64],
    outer: NDArray[np.float64],
    outer_number: NDArray[np.float64],
) -> None:
    for i in range(total.shape[0]):
        if number[i] > 0.0:
            outer[i] += total[i] / number[i]
            outer_number[i] += 1.0


@part
def means(total: NDArray[np.float64], number: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    for i in range(out.shape[0]):
        out[i] = np.float32(total[i] / number[i] if number[i] > 0.0 else np.nan)


@part
def narrow(total: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    for i in range(out.shape[0]):
        out[i] = np.float32(total[i])


@reordering
def present_total(values: NDArray[np.float32]) -> float:
    total = 0.0
    for i in range(values.shape[0]):
        v = values[i]
        total += np.float64(v if v == v else np.float32(0.0))
    return total


@part
def present(values: NDArray[np.float32]) -> int:
    number = np.int32(0)
    for i in range(values.shape[0]):
        number += np.int32(values[i] == values[i])
    return number


@part
def bounds(values: NDArray[np.float32]) -> tuple[float, float]:
    """Smallest and largest; a comparison with NaN is never true. Four at once: each waits for its own last
    one only."""
    a0 = a1 = a2 = a3 = np.float32(np.inf)
    b0 = b1 = b2 = b3 = np.float32(-np.inf)
    count = values.shape[0]
    for i in range(3, count, 4):
        v0, v1, v2, v3 = values[i - 3], values[i - 2], values[i - 1], values[i]
        a0 = v0 if v0 < a0 else a0
        a1 = v1 if v1 < a1 else a1
        a2 = v2 if v2 < a2 else a2
        a3 = v3 if v3 < a3 else a3
        b0 = v0 if v0 > b0 else b0
        b1 = v1 if v1 > b1 else b1
        b2 = v2 if v2 > b2 else b2
        b3 = v3 if v3 > b3 else b3
    for i in range(count - count % 4, count):
        v = values[i]
        a0 = v if v < a0 else a0
        b0 = v if v > b0 else b0
    return np.float64(min(min(a0, a1), min(a2, a3))), np.float64(max(max(b0, b1), max(b2, b3)))


@part
def scale_by(values: NDArray[np.float32], factor: float) -> None:
    for i in range(values.shape[0]):
        values[i] = np.float32(np.float64(values[i]) * factor)


@part
def combine(
    tables: Tables,
    members: NDArray[np.int64],
    parents: NDArray[np.int64],
    start: int,
    mode: int,
    out: NDArray[np.float32],
    child: NDArray[np.float32],
    sums: NDArray[np.float64],
) -> int:
    """All members on one raster into `out`; returns how many of them have a value there."""
    count = out.shape[0]
    outer = sums[0, :count]
    outer_number = sums[1, :count]
    total = sums[2, :count]
    number = sums[3, :count]
    one = child[:count]
    outer[:] = 0.0
    outer_number[:] = 0.0
    taken = 0
    m = 0
    while m < members.shape[0]:
        begin = m
        m += 1
        while m < members.shape[0] and parents[m] == parents[begin]:
            m += 1
        nested = mode == AVG and m - begin > 1
        if nested:
            total[:] = 0.0
            number[:] = 0.0
        for k in range(begin, m):
            read_series(tables, members[k], start, count, child, 0)
            if not has_value(one):
                continue
            taken += 1
            if mode != AVG:
                add(one, outer)
            elif nested:
                add_present(one, total, number)
            else:
                add_present(one, outer, outer_number)
        if nested:
            add_means(total, number, outer, outer_number)
    if taken == 0:
        empty(out)
    elif mode == AVG:
        means(outer, outer_number, out)
    else:
        narrow(outer, out)
    return taken


@kernel(
    none,
    TABLES,
    int64_1,
    int64_1,
    int64_1,
    int64_1,
    int64_1,
    int64_1,
    float64_1,
    int64_1,
    float32_1,
    float64_2,
    int64_2,
    float32_1,
    float64_2,
)
def read_many(
    flat: Flat,
    members: NDArray[np.int64],
    parents: NDArray[np.int64],
    member_ends: NDArray[np.int64],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    modes: NDArray[np.int64],
    scales: NDArray[np.float64],
    begins: NDArray[np.int64],
    out: NDArray[np.float32],
    stats: NDArray[np.float64],
    found: NDArray[np.int64],
    child: NDArray[np.float32],
    sums: NDArray[np.float64],
) -> None:
    """Results r = 0, 1, ...: series members[member_ends[r-1]:member_ends[r]] combined by modes[r].

    Members with equal `parents` stand together; they are combined first (sub components to their component).
    Result r goes to counts[r] places of `out` from begins[r] on (where only statistics are wanted, each
    result may take the place of the one before), point i for time starts[r] + i * f (relative to BASE).
    stats[r] becomes avg, min, max; found[r] the number of values and that of the members that have one.
    `child` and `sums` (4 x) have room for the longest result with several members.
    """
    tables = gather(flat)
    begin = np.int64(0)
    for r in range(member_ends.shape[0]):
        stop = member_ends[r]
        at = begins[r]
        values = out[at : at + counts[r]]
        taken = 1
        if stop - begin == 1:
            read_series(tables, members[begin], starts[r], counts[r], out, at)
        else:
            taken = combine(
                tables, members[begin:stop], parents[begin:stop], starts[r], modes[r], values, child, sums
            )
        if scales[r] != 1.0:
            scale_by(values, scales[r])
        number = present(values)
        found[r, FILLED] = number
        found[r, TAKEN] = taken
        if number > 0:
            stats[r, 0] = present_total(values) / number
            stats[r, 1], stats[r, 2] = bounds(values)
        else:
            stats[r, :] = np.nan
        begin = stop


# -- which series ----------------------------------------------------------------------------------------


@part
def chain_length(tables: Tables, host: int, metric: int) -> int:
    series = directory_find(tables, series_key(host, metric, HEAD))
    count = np.int64(0)
    while series >= 0:
        count += 1
        series = np.int64(tables.series[series, NEXT])
    return count


@part
def slot_time(tables: Tables, series: int, slot: int) -> int:
    """Nominal time of a slot, unix seconds."""
    segment = np.int64(tables.series[series, SEGMENT])
    while tables.segments[segment, SEGMENT_FIRST] > slot and tables.segments[segment, SEGMENT_OLDER] >= 0:
        segment = np.int64(tables.segments[segment, SEGMENT_OLDER])
    return (
        BASE
        + slot * np.int64(tables.series[series, STEP])
        + np.int64(tables.segments[segment, SEGMENT_OFFSET])
    )


@part
def last_time(tables: Tables, series: int) -> int:
    """Nominal time of the newest slot, unix seconds."""
    segment = tables.series[series, SEGMENT]
    if segment < 0:
        return 0
    offset = np.int64(tables.segments[segment, SEGMENT_OFFSET])
    return BASE + np.int64(tables.series[series, LAST]) * np.int64(tables.series[series, STEP]) + offset


@part
def rank(order: NDArray[np.int64], kind: int) -> int:
    """Types that appeared after the order was made come last."""
    return order[kind] if kind < order.shape[0] else (np.int64(1) << 39) + kind


@part
def select(
    tables: Tables,
    host: int,
    metric: int,
    order: NDArray[np.int64],
    out: NDArray[np.int64],
    parents: NDArray[np.int64],
) -> int:
    """Series that answer for a host which has none of its own: those of exactly one type, each with one sub
    type.

    `order[type]` ranks types, the smallest is taken (the native scope has rank 0). Returns their number,
    sorted by
    component; `out` and `parents` have room for the whole chain.
    """
    best = np.int64(1) << 40
    series = directory_find(tables, series_key(host, metric, HEAD))
    chain = series
    while series >= 0:
        kind = np.int64(tables.components[tables.series[series, COMPONENT], TYPE])
        best = min(best, rank(order, kind))
        series = np.int64(tables.series[series, NEXT])
    count = 0
    series = chain
    while series >= 0:
        component = np.int64(tables.series[series, COMPONENT])
        if rank(order, np.int64(tables.components[component, TYPE])) == best:
            out[count] = series
            parents[count] = np.int64(tables.components[component, PARENT])
            count += 1
        series = np.int64(tables.series[series, NEXT])
    return settle(tables, order, out, parents, count)


@part
def settle(
    tables: Tables, order: NDArray[np.int64], out: NDArray[np.int64], parents: NDArray[np.int64], count: int
) -> int:
    """Sorts by component and leaves for each either itself or one of its sub types."""
    for i in range(1, count):
        s = out[i]
        p = parents[i]
        j = i
        while j > 0 and (parents[j - 1] > p or (parents[j - 1] == p and out[j - 1] > s)):
            out[j] = out[j - 1]
            parents[j] = parents[j - 1]
            j -= 1
        out[j] = s
        parents[j] = p
    kept = 0
    i = 0
    while i < count:
        stop = i
        best = np.int64(1) << 40
        while stop < count and parents[stop] == parents[i]:
            kind = np.int64(tables.components[tables.series[out[stop], COMPONENT], SUBTYPE])
            best = min(best, -1 if kind == 0 else rank(order, kind))
            stop += 1
        for m in range(i, stop):
            kind = np.int64(tables.components[tables.series[out[m], COMPONENT], SUBTYPE])
            if (-1 if kind == 0 else rank(order, kind)) == best:
                out[kept] = out[m]
                parents[kept] = parents[m]
                kept += 1
        i = stop
    return kept


@kernel(int64, TABLES, int64_1, int64_1, int64_1, int64_2, int64_1, int64_1, int64_1)
def select_hosts(
    flat: Flat,
    hosts: NDArray[np.int64],
    metrics: NDArray[np.int64],
    orders: NDArray[np.int64],
    ranks: NDArray[np.int64],
    member_ends: NDArray[np.int64],
    out: NDArray[np.int64],
    parents: NDArray[np.int64],
) -> int:
    """`select` for many (host, metric); ranks[orders[i]] is the order for the i-th.

    Returns the number of members, or -1 when `out` is too short.
    """
    tables = gather(flat)
    count = np.int64(0)
    for i in range(hosts.shape[0]):
        if hosts[i] >= 0:
            own = directory_find(tables, series_key(hosts[i], metrics[i], 0))
            if own >= 0 and count < out.shape[0]:
                out[count] = own
                parents[count] = 0
                count += 1
                member_ends[i] = count
                continue
            need = chain_length(tables, hosts[i], metrics[i])
            if count + need > out.shape[0]:
                return -1
            if need:
                count += select(tables, hosts[i], metrics[i], ranks[orders[i]], out[count:], parents[count:])
        member_ends[i] = count
    return count


@kernel(int64, TABLES, int64, int64, int64, int64_1, int64_1, int64_1)
def select_subtypes(
    flat: Flat,
    host: int,
    metric: int,
    parent: int,
    order: NDArray[np.int64],
    out: NDArray[np.int64],
    parents: NDArray[np.int64],
) -> int:
    """Series that answer for one component which has no samples of its own: those of one sub type; -1: no
    room."""
    tables = gather(flat)
    series = directory_find(tables, series_key(host, metric, HEAD))
    count = np.int64(0)
    while series >= 0:
        component = np.int64(tables.series[series, COMPONENT])
        if tables.components[component, PARENT] == parent:
            if count == out.shape[0]:
                return -1
            out[count] = series
            # Every sub component is a child of its own here: no level is left between them and the result.
            parents[count] = parent
            count += 1
        series = np.int64(tables.series[series, NEXT])
    return settle(tables, order, out, parents, count)


@kernel(int64, TABLES, int64, int64_1)
def series_of_host(flat: Flat, host: int, out: NDArray[np.int64]) -> int:
    """All living series of a host; returns their number even when `out` is shorter."""
    tables = gather(flat)
    count = np.int64(0)
    group = np.int64(tables.hosts[host, HOST_GROUPS])
    while group >= 0:
        first = np.int64(tables.groups[group, GROUP_FIRST])
        for series in range(first, first + np.int64(tables.groups[group, GROUP_USED])):
            if tables.series[series, ALIVE] != 0:
                if count < out.shape[0]:
                    out[count] = series
                count += 1
        group = np.int64(tables.groups[group, GROUP_NEXT])
    return count


# -- the newest values -----------------------------------------------------------------------------------


@part
def last_value(tables: Tables, series: int, scratch: NDArray[np.float32]) -> float:
    slot = np.int64(tables.series[series, LAST])
    page = np.int64(tables.groups[tables.series[series, GROUP], NEWEST])
    while page >= 0:
        place = slot - np.int64(tables.pages[page, PAGE_START])
        if place >= 0:
            if place >= page_slots(tables.pages, page):
                break
            read_row(tables, page, row_of(tables, series), place, scratch)
            return np.float64(scratch[0])
        page = np.int64(tables.pages[page, OLDER])
    return np.nan


@kernel(none, TABLES, int64_1, int64_1, int64_1, int64_1, int64, int64, float32_1, int64_1)
def newest(
    flat: Flat,
    members: NDArray[np.int64],
    parents: NDArray[np.int64],
    member_ends: NDArray[np.int64],
    modes: NDArray[np.int64],
    now: int,
    stale_steps: int,
    values: NDArray[np.float32],
    times: NDArray[np.int64],
) -> None:
    """Newest value and its nominal time per result; components that are stale do not take part."""
    tables = gather(flat)
    begin = np.int64(0)
    for r in range(member_ends.shape[0]):
        stop = member_ends[r]
        outer = 0.0
        outer_number = 0
        time = np.int64(0)
        m = begin
        fresh = 0
        while m < stop:
            parent = parents[m]
            total = 0.0
            number = 0
            while m < stop and parents[m] == parent:
                series = members[m]
                at = last_time(tables, series)
                time = max(time, at)
                step = np.int64(tables.series[series, STEP])
                if now - (at + step - step // 2) <= stale_steps * step:
                    v = last_value(tables, series, values[r : r + 1])
                    if v == v:
                        total += v
                        number += 1
                m += 1
            fresh += number
            if number:
                outer += total / number if modes[r] == AVG else total
                outer_number += 1
        if outer_number == 0 or (modes[r] == REFUSED and fresh > 1):
            values[r] = np.float32(np.nan)
        else:
            values[r] = np.float32(outer / outer_number if modes[r] == AVG else outer)
        times[r] = time
        begin = stop


@kernel(none, TABLES, int64_1, int64_1, int64, int64, int64_1)
def health(
    flat: Flat,
    hosts: NDArray[np.int64],
    metrics: NDArray[np.int64],
    now: int,
    ignore: int,
    out: NDArray[np.int64],
) -> None:
    """Per (host, metric), over all levels: 0 healthy, 1 degraded, 2 missing.

    A component silent for longer than `ignore` seconds while another one reports is not looked at.
    """
    tables = gather(flat)
    for i in range(hosts.shape[0]):
        out[i] = 2
        if hosts[i] < 0 or metrics[i] < 0:
            continue
        head = directory_find(tables, series_key(hosts[i], metrics[i], HEAD))
        if head < 0:
            continue
        freshest = np.int64(0)
        series = head
        while series >= 0:
            freshest = max(freshest, last_time(tables, series))
            series = np.int64(tables.series[series, NEXT])
        step = np.int64(tables.series[head, STEP])
        reach = step - step // 2
        out[i] = 0
        series = head
        while series >= 0:
            age = now - (last_time(tables, series) + reach)
            reporting = now - (freshest + reach) <= 5 * step
            if age > 5 * step and not (reporting and age > ignore):
                out[i] = 1
            series = np.int64(tables.series[series, NEXT])


@kernel(int64, TABLES, int64, int64_1)
def runs_of_series(flat: Flat, series: int, out: NDArray[np.int64]) -> int:
    """Per page of a series, newest first: nominal time of its first filled slot, slots from there to its last
    filled one, nominal time of that one. Returns the number of runs, even when `out` (3 places each) is
    shorter."""
    tables = gather(flat)
    page = np.int64(tables.groups[tables.series[series, GROUP], NEWEST])
    count = np.int64(0)
    while page >= 0:
        first = first_filled(tables, page, row_of(tables, series))
        if first >= 0:
            last = last_filled(tables, page, row_of(tables, series))
            base = np.int64(tables.pages[page, PAGE_START])
            if 3 * count + 2 < out.shape[0]:
                out[3 * count] = slot_time(tables, series, base + first)
                out[3 * count + 1] = last - first + 1
                out[3 * count + 2] = slot_time(tables, series, base + last)
            count += 1
        page = np.int64(tables.pages[page, OLDER])
    return count


@part
def first_time(tables: Tables, series: int) -> int:
    """Nominal time of the oldest filled slot, unix seconds; far in the future when there is none."""
    oldest = np.int64(1) << 60
    page = np.int64(tables.groups[tables.series[series, GROUP], NEWEST])
    while page >= 0:
        first = first_filled(tables, page, row_of(tables, series))
        if first >= 0:
            oldest = np.int64(tables.pages[page, PAGE_START]) + first
        page = np.int64(tables.pages[page, OLDER])
    return oldest if oldest == np.int64(1) << 60 else slot_time(tables, series, oldest)


@kernel(none, TABLES, int64_1, int64_1, int64_1, int64_1)
def spans(
    flat: Flat,
    members: NDArray[np.int64],
    member_ends: NDArray[np.int64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
) -> None:
    """Nominal times of the first and last filled slot over the members of each result."""
    tables = gather(flat)
    begin = np.int64(0)
    for r in range(member_ends.shape[0]):
        firsts[r] = np.int64(1) << 60
        lasts[r] = -1 << 60
        for m in range(begin, member_ends[r]):
            firsts[r] = min(firsts[r], first_time(tables, members[m]))
            lasts[r] = max(lasts[r], last_time(tables, members[m]))
        begin = member_ends[r]
