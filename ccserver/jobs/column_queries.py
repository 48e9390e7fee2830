"""Totals and histograms from the columns in memory; the same answers as `ccserver.jobs.statistics` in SQL.

Contract: spec/graphql.md 4, 5, 9. Whatever cannot be answered from the columns raises NotInColumns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccserver.database.conditions import StringInput, text_predicate
from ccserver.jobs.columns import JobTable
from ccserver.jobs.filters import (
    SPANS,
    FloatRange,
    IntRange,
    InvisibleJobs,
    JobFilter,
    TimeRange,
    integers,
    is_identifier,
)
from ccserver.jobs.statistics import (
    DURATION_BINS,
    OTHER_DURATION_BINS,
    SORT_KEYS,
    TOTALS,
    HistogramPoint,
    JobsStatistics,
    whole_hours,
)
from ccserver.model.job import JOB_STATES
from ccserver.model.user import Principal

RUNNING = JOB_STATES.index("running")
GROUPS = {"USER": "hpc_user", "PROJECT": "project", "CLUSTER": "cluster", "SUBCLUSTER": "subcluster"}

_FEW_NAMES = 4  # comparing a column that often is cheaper than looking each of its numbers up
_LARGEST_EXACT = 1 << 53
_LOW_BITS = 24
_DENSE = 1 << 22  # counting by index is cheaper than sorting up to here

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp] | slice


class NotInColumns(Exception):
    """The answer takes more than the columns, or numbers larger than they can be added up in."""


class Selection:
    """The rows of the jobs that satisfy all filters and are visible.

    Where `partly`, filters on what is not kept in columns are left out instead of raising NotInColumns;
    `complete` says that there was none.
    """

    def __init__(
        self,
        table: JobTable,
        filters: Iterable[JobFilter] | None,
        viewer: Principal | None,
        now: float,
        *,
        partly: bool = False,
    ) -> None:
        self._table = table
        filters = list(filters or ())
        self.complete = not any(map(_reaches_outside, filters))
        if not (self.complete or partly):
            raise NotInColumns("a filter on what is not kept in columns")
        mask: Mask | None = table["alive"] if table.dead else None
        for condition in [*_visible(table, viewer), *_conditions(table, filters, int(now))]:
            mask = condition if mask is None else mask & condition
        self._rows: Rows = slice(None) if mask is None else np.flatnonzero(mask)
        self.count = table.count if mask is None else len(self._rows)  # type: ignore[arg-type]

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self._table[column][self._rows]

    def names(self, column: str) -> list[str]:
        """The texts behind the numbers of a column."""
        return self._table.names[column].texts

    def footprint(self, key: str) -> NDArray[np.float64]:
        values = _footprint(self._table, key)
        return np.full(self.count, np.nan) if values is None else values[self._rows]

    def durations(self, now: int) -> NDArray[np.int64]:
        """Stored ones; of running jobs the time since their start."""
        running = np.flatnonzero(self["job_state"] == RUNNING)
        if not len(running):
            return self["duration"]
        durations = np.array(self["duration"])
        durations[running] = now - self["start_time"][running]
        return durations


def newest_first(selection: Selection, most: int, first: int) -> NDArray[np.int64] | None:
    """The ids of the jobs by falling start time and id; None when there are more than `most`.

    Where all filters were applied (`complete`), at least the `first` ones, and not many more.
    """
    if selection.count > most:
        return None
    ids, starts = selection["id"], selection["start_time"]
    if selection.complete and 0 < first < len(ids):
        last = len(ids) - first
        newest = starts >= np.partition(starts, last)[last]
        ids, starts = ids[newest], starts[newest]
    order = np.lexsort((ids, starts))
    return np.asarray(ids[order[::-1]])


def totals(
    selection: Selection,
    *,
    now: int,
    short_running: int,
    group_by: str | None,
    sort_by: str | None,
    offset: int,
    limit: int | None,
    wanted: Collection[str],
) -> list[JobsStatistics]:
    """As `statistics.totals`; the names of users are left to the caller."""
    key = SORT_KEYS[sort_by] if sort_by else None
    names = {name for name in TOTALS if name in wanted or (name == key and group_by is not None)}
    if group_by is None:
        sums = _Sums(selection, None, 1)
        values = {name: int(column[0]) for name, column in _totals(sums, names, now, short_running).items()}
        return [_entry("", values, wanted)]
    column = GROUPS[group_by]
    texts = selection.names(column)
    sums = _Sums(selection, selection[column], len(texts))
    if group_by == "USER":
        names.discard("total_users")  # one per group
    by_name = _totals(sums, names, now, short_running)
    if group_by == "USER":
        by_name["total_users"] = np.minimum(sums.counts(), 1)
    present = np.flatnonzero(sums.counts()).tolist()
    ordered = sorted(present, key=texts.__getitem__)
    if key is not None:
        values_of = by_name[key]
        ordered.sort(key=lambda code: -int(values_of[code]))
    page = ordered[offset:] if limit is None else ordered[offset : offset + limit]
    return [
        _entry(texts[code], {name: int(column[code]) for name, column in by_name.items()}, wanted)
        for code in page
    ]


def duration_histogram(selection: Selection, now: int, bins: str) -> list[HistogramPoint]:
    width, number = DURATION_BINS.get(bins, OTHER_DURATION_BINS)
    durations = selection.durations(now)
    inside = durations[(durations >= 0) & (durations < width * number)]
    counts = np.bincount(inside // width, minlength=number)
    return [HistogramPoint((index + 1) * width, count) for index, count in enumerate(counts.tolist())]


def value_histogram(selection: Selection, column: str) -> list[HistogramPoint]:
    values = selection[column]
    if not len(values):
        return []
    if int(values.min()) >= 0 and int(values.max()) < _DENSE:
        counts = np.bincount(values)
        present = np.flatnonzero(counts)
        counts = counts[present]
    else:
        present, counts = np.unique(values, return_counts=True)
    pairs = zip(present.tolist(), counts.tolist(), strict=True)
    return [HistogramPoint(value, count) for value, count in pairs]


def footprint_histogram(selection: Selection, key: str, peak: float, bins: int) -> list[int]:
    """As `ccserver.jobs.statistics.footprint_histogram`."""
    if peak <= 0 or bins < 1:
        return [0] * (bins + 1)
    values = selection.footprint(key)
    inside = values[(values >= 0) & (values <= peak)]
    places = np.minimum((inside / peak * bins).astype(np.int64), bins - 1)
    return [*np.bincount(places, minlength=bins).tolist(), int(np.count_nonzero(values > peak))]


# ---- filters


def _visible(table: JobTable, viewer: Principal | None) -> list[Mask]:
    if viewer is None or viewer.sees_all_jobs:
        return []
    if not viewer.roles & {"manager", "user"}:
        raise InvisibleJobs
    own = _any_of(table, "hpc_user", [viewer.username])
    if "manager" in viewer.roles and viewer.projects:
        return [own | _any_of(table, "project", viewer.projects)]
    return [own]


def _reaches_outside(one: JobFilter) -> bool:
    others = (one.tags, one.tags_not, one.job_id, one.array_job_id, one.job_name, one.schedule, one.node)
    return any(other is not None for other in others)


def _conditions(table: JobTable, filters: Iterable[JobFilter] | None, now: int) -> list[Mask]:
    found: list[Mask | None] = []
    for one in filters or ():
        found += [
            None if one.db_id is None else np.isin(table["id"], integers(one.db_id)),
            _texts(table, "hpc_user", one.user),
            _texts(table, "project", one.project),
            _texts(table, "cluster", one.cluster),
            _texts(table, "subcluster", one.sub_cluster),
            _texts(table, "cluster_partition", one.partition),
            _range(table["duration"], one.duration),
            _range(table["energy"], one.energy),
            _range(table["num_nodes"], one.num_nodes),
            _range(table["num_acc"], one.num_accelerators),
            _range(table["num_hwthreads"], one.num_hw_threads),
            _time(table, one.start_time, now),
            None if one.state is None else _named(table, "job_state", frozenset(one.state).__contains__),
            None if one.shared is None else _named(table, "shared", one.shared.__eq__),
        ]
        for item in one.metric_stats or ():
            if not is_identifier(item.metric_name):
                found.append(np.zeros(table.count, np.bool_))
            else:
                found.append(_footprint_range(table, item.metric_name, item.range))
    return [mask for mask in found if mask is not None]


def _texts(table: JobTable, column: str, wanted: StringInput | None) -> Mask | None:
    try:
        predicate = text_predicate(wanted)
    except NotImplementedError as error:
        raise NotInColumns(str(error)) from None
    return None if predicate is None else _named(table, column, predicate)


def _any_of(table: JobTable, column: str, wanted: Iterable[str]) -> Mask:
    numbers = table.names[column].numbers
    return _with_codes(table, column, [numbers[text] for text in set(wanted) if text in numbers])


def _named(table: JobTable, column: str, predicate: Callable[[str], object]) -> Mask:
    texts = table.names[column].texts
    return _with_codes(table, column, [code for code, text in enumerate(texts) if predicate(text) is True])


def _with_codes(table: JobTable, column: str, hits: list[int]) -> Mask:
    codes = table[column]
    if not hits:
        return np.zeros(table.count, np.bool_)
    if len(hits) <= _FEW_NAMES:
        return functools.reduce(np.logical_or, [codes == hit for hit in hits])
    chosen = np.zeros(len(table.names[column].texts), np.bool_)
    chosen[hits] = True
    return chosen[codes]


def _range(values: NDArray[Any], bounds: IntRange | FloatRange | None) -> Mask | None:
    if bounds is None:
        return None
    if bounds.exact is not None:
        return np.asarray(values == bounds.exact)
    if bounds.from_ < 0 or bounds.to < 0:
        return None
    above = values >= bounds.from_ if bounds.from_ > 0 else None
    below = values <= bounds.to if bounds.to > 0 else None
    if above is None or below is None:
        return below if above is None else above
    return np.asarray(above & below)


def _time(table: JobTable, bounds: TimeRange | None, now: int) -> Mask | None:
    if bounds is None:
        return None
    starts = table["start_time"]
    if bounds.from_ is None and bounds.to is None:
        span = SPANS.get(bounds.range or "")
        return None if span is None else starts >= now - span
    above = None if bounds.from_ is None else starts >= int(bounds.from_)
    below = None if bounds.to is None else starts <= int(bounds.to)
    if above is None or below is None:
        return below if above is None else above
    return np.asarray(above & below)


def _footprint_range(table: JobTable, key: str, bounds: FloatRange) -> Mask | None:
    if _range(np.empty(0), bounds) is None:
        return None
    values = _footprint(table, key)
    return np.zeros(table.count, np.bool_) if values is None else _range(values, bounds)


def _footprint(table: JobTable, key: str) -> NDArray[np.float64] | None:
    values = table.footprint(key)
    if values is None and not table.all_keys:
        raise NotInColumns(f"the footprint key {key} is not kept")
    return values


# ---- sums


class _Sums:
    """Sums over the selected jobs of each group, exact integers. `codes` None: one group of all."""

    def __init__(self, selection: Selection, codes: NDArray[Any] | None, groups: int) -> None:
        self.selection = selection
        self._codes = codes
        self._groups = groups
        self._counts: NDArray[np.int64] | None = None

    def counts(self) -> NDArray[np.int64]:
        if self._counts is None:
            self._counts = self.where(None)
        return self._counts

    def where(self, mask: Mask | None) -> NDArray[np.int64]:
        """Number of jobs where `mask` holds."""
        if self._codes is None:
            return np.array([self.selection.count if mask is None else np.count_nonzero(mask)])
        codes = self._codes if mask is None else self._codes[mask]
        return np.asarray(np.bincount(codes, minlength=self._groups))

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        if not len(values):
            return np.zeros(self._groups, np.int64)
        largest = max(abs(int(values.min())), abs(int(values.max())))
        if self._codes is None:
            if largest * len(values) >= 1 << 63:
                raise NotInColumns("the sum exceeds 64 bit")
            return np.array([values.sum(dtype=np.int64)])
        if largest * len(values) < _LARGEST_EXACT:
            return np.bincount(self._codes, values, self._groups).astype(np.int64)
        # bincount adds up float64: exact below 2^53 only, so the upper and lower bits go separately
        upper = values >> _LOW_BITS
        if (largest >> _LOW_BITS) * len(values) >= _LARGEST_EXACT:
            raise NotInColumns("the sum is too large for two halves")
        lower = values & ((1 << _LOW_BITS) - 1)
        high = np.bincount(self._codes, upper, self._groups).astype(np.int64)
        low = np.bincount(self._codes, lower, self._groups).astype(np.int64)
        return high.astype(object) * (1 << _LOW_BITS) + low

    def users(self) -> NDArray[np.int64]:
        """Number of distinct users."""
        users = self.selection["hpc_user"]
        number = len(self.selection.names("hpc_user"))
        if self._codes is None:
            return np.array([np.count_nonzero(np.bincount(users, minlength=1))])
        pairs = self._codes.astype(np.int64) * number + users
        if self._groups * number <= _DENSE:
            seen = np.bincount(pairs, minlength=self._groups * number).reshape(self._groups, number)
            return np.asarray(np.count_nonzero(seen, axis=1))
        return np.bincount(np.unique(pairs) // number, minlength=self._groups)


def _totals(sums: _Sums, names: Collection[str], now: int, short_running: int) -> dict[str, NDArray[Any]]:
    rows = sums.selection
    found: dict[str, NDArray[Any]] = {}
    durations: NDArray[np.int64] | None = None
    if set(names) & {"total_walltime", "total_node_hours", "total_core_hours", "total_acc_hours"}:
        durations = rows.durations(now)
    for name in names:
        if name == "total_jobs":
            found[name] = sums.counts()
        elif name == "total_users":
            found[name] = sums.users()
        elif name == "running_jobs":
            found[name] = sums.where(rows["job_state"] == RUNNING)
        elif name == "short_jobs":
            found[name] = sums.where(rows["duration"] < short_running)
        elif name in _COUNTED:
            found[name] = sums.of(rows[_COUNTED[name]])
        elif durations is not None:
            found[name] = sums.of(_weighted(durations, rows, _WEIGHTS[name]))
    return found


_COUNTED = {"total_nodes": "num_nodes", "total_cores": "num_hwthreads", "total_accs": "num_acc"}
_WEIGHTS = {
    "total_walltime": None,
    "total_node_hours": "num_nodes",
    "total_core_hours": "num_hwthreads",
    "total_acc_hours": "num_acc",
}


def _weighted(durations: NDArray[np.int64], rows: Selection, column: str | None) -> NDArray[np.int64]:
    if column is None:
        return durations
    counts = rows[column]
    if len(counts) and _largest(durations) * _largest(counts) >= 1 << 63:
        raise NotInColumns("a product exceeds 64 bit")
    return np.asarray(durations * counts)


def _largest(values: NDArray[Any]) -> int:
    return max(abs(int(values.min())), abs(int(values.max())))


def _entry(id: str, values: dict[str, int], wanted: Collection[str]) -> JobsStatistics:
    entry = JobsStatistics(id=id)
    for name, value in values.items():
        if name in wanted:
            setattr(entry, name, whole_hours(value) if name in _WEIGHTS else value)
    return entry
