"""Totals and histograms over jobs, computed by the database. Contract: spec/graphql.md 9.

Only what is asked for is computed: a grouped query over totals is answered from one covering index.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    case,
    cast,
    distinct,
    func,
    literal_column,
    select,
)

from ccserver.database.tables import hpc_user, job
from ccserver.jobs.filters import Condition, footprint_value, in_state

GROUPS = {
    "USER": job.c.hpc_user,
    "PROJECT": job.c.project,
    "CLUSTER": job.c.cluster,
    "SUBCLUSTER": job.c.subcluster,
}

TOTALS = (
    "total_jobs", "total_users", "running_jobs", "short_jobs", "total_walltime", "total_nodes",
    "total_node_hours", "total_cores", "total_core_hours", "total_accs", "total_acc_hours",
)  # fmt: skip

SORT_KEYS = {
    "TOTALWALLTIME": "total_walltime",
    "TOTALJOBS": "total_jobs",
    "TOTALUSERS": "total_users",
    "TOTALNODES": "total_nodes",
    "TOTALNODEHOURS": "total_node_hours",
    "TOTALCORES": "total_cores",
    "TOTALCOREHOURS": "total_core_hours",
    "TOTALACCS": "total_accs",
    "TOTALACCHOURS": "total_acc_hours",
}

_HOURS = frozenset({"total_walltime", "total_node_hours", "total_core_hours", "total_acc_hours"})

DURATION_BINS = {
    "1m": (60, 60),
    "10m": (600, 72),
    "1h": (3600, 48),
    "6h": (21600, 12),
    "12h": (43200, 14),
}
"""Name -> (width in seconds, number of bins)."""

OTHER_DURATION_BINS = (3600, 24)


@dataclass(slots=True)
class JobsStatistics:
    """Totals of one group (`id` its value) or of all jobs (`id` empty). Hours are whole, cut off.

    `name` is the account's real name when grouped by user. What was not asked for is 0.
    """

    id: str = ""
    name: str = ""
    total_jobs: int = 0
    total_users: int = 0
    running_jobs: int = 0
    short_jobs: int = 0
    total_walltime: int = 0
    total_nodes: int = 0
    total_node_hours: int = 0
    total_cores: int = 0
    total_core_hours: int = 0
    total_accs: int = 0
    total_acc_hours: int = 0


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    value: int
    count: int


def totals(
    connection: Connection,
    condition: Condition,
    *,
    now: int,
    short_running: int,
    group_by: str | None = None,
    sort_by: str | None = None,
    offset: int = 0,
    limit: int | None = None,
    wanted: Collection[str] = TOTALS,
) -> list[JobsStatistics]:
    """The `wanted` totals of the jobs that satisfy `condition`.

    `group_by`: USER, PROJECT, CLUSTER or SUBCLUSTER, one entry per value that occurs; None: just one entry.
    `sort_by` (a key of SORT_KEYS, always descending), `offset` and `limit` apply to groups only; unsorted
    groups come by rising id. Raises KeyError for names outside these lists.
    """
    expressions = _expressions(now, short_running)
    names = [name for name in TOTALS if name in wanted]
    if group_by is None:
        query = select(literal_column("''").label("id"), *(expressions[name].label(name) for name in names))
        row = connection.execute(query.select_from(job).where(condition)).one()
        return [_entry(row, names)]
    group = GROUPS[group_by]
    key = SORT_KEYS[sort_by] if sort_by else None
    query = select(group.label("id"), *(expressions[name].label(name) for name in names))
    query = query.where(condition).group_by(group)
    query = query.order_by(expressions[key].desc(), group) if key else query.order_by(group)
    if limit is not None:
        query = query.limit(limit).offset(offset)
    entries = [_entry(row, names) for row in connection.execute(query)]
    if group_by == "USER":
        add_real_names(connection, entries)
    return entries


def duration_histogram(
    connection: Connection, condition: Condition, now: int, bins: str = "1h"
) -> list[HistogramPoint]:
    """Jobs per duration bin, all bins in rising order; `value` is the upper edge in seconds.

    `bins` is a key of DURATION_BINS, any other text means 24 bins of one hour. Longer jobs are dropped.
    """
    width, number = DURATION_BINS.get(bins, OTHER_DURATION_BINS)
    duration = _duration(now)
    bin_of = (cast(duration, Integer).op("/")(width)).label("bin")
    query = (
        select(bin_of, func.count().label("count"))
        .where(and_(condition, duration >= 0, duration < width * number))
        .group_by(literal_column("bin"))
    )
    counts = {row[0]: row[1] for row in connection.execute(query)}
    return [HistogramPoint((index + 1) * width, counts.get(index, 0)) for index in range(number)]


def value_histogram(connection: Connection, condition: Condition, column: str) -> list[HistogramPoint]:
    """Jobs per value of num_nodes, num_hwthreads or num_acc, by rising value."""
    value = func.coalesce(
        {"num_nodes": job.c.num_nodes, "num_hwthreads": job.c.num_hwthreads, "num_acc": job.c.num_acc}[
            column
        ],
        0,
    )
    query = select(value, func.count()).where(condition).group_by(value).order_by(value)
    return [HistogramPoint(row[0], row[1]) for row in connection.execute(query)]


def footprint_histogram(
    connection: Connection, condition: Condition, key: str, peak: float, bins: int
) -> list[int]:
    """Jobs per bin of a stored footprint value from 0 to `peak`, which belongs to the last bin.

    One more number counts those above the peak; those below 0 and without the value are not counted.
    """
    counts = [0] * (bins + 1)
    if peak <= 0 or bins < 1:
        return counts
    value = footprint_value(key)
    bin_of = cast(value * 1.0 / peak * bins, Integer).label("bin")
    query = (
        select(bin_of, func.count())
        .where(and_(condition, value >= 0, value <= peak))
        .group_by(literal_column("bin"))
    )
    for index, count in connection.execute(query):
        counts[min(index, bins - 1)] += count
    above = select(func.count()).where(and_(condition, value > peak))
    counts[bins] = connection.execute(above).scalar_one()
    return counts


def footprint_trend(
    connection: Connection, condition: Condition, keys: Sequence[str], edges: Sequence[int]
) -> list[list[tuple[float, int]]]:
    """Per key and period: sum of the stored footprint values of the jobs that have one, and their number.

    A job belongs to the period in which it started; period `i` is from `edges[i]` (unix seconds, rising) up
    to but without `edges[i + 1]`.
    """
    found = [[(0.0, 0)] * (len(edges) - 1) for _ in keys]
    values = [footprint_value(key) for key in keys]
    period = _period(edges, 0, len(edges) - 1).label("period")
    query = (
        select(period, *(part for value in values for part in (func.sum(value), func.count(value))))
        .where(and_(condition, job.c.start_time >= edges[0], job.c.start_time < edges[-1]))
        .group_by(literal_column("period"))
    )
    for index, *parts in connection.execute(query):
        for row, total, count in zip(found, parts[::2], parts[1::2], strict=True):
            row[index] = (float(total or 0), count)
    return found


def _period(edges: Sequence[int], low: int, high: int) -> ColumnElement[int]:
    """Which of the periods `low` up to `high` a job started in; halved, for a year has many weeks."""
    if high - low == 1:
        return literal_column(str(low), Integer)
    middle = (low + high) // 2
    earlier = job.c.start_time < edges[middle]
    return case((earlier, _period(edges, low, middle)), else_=_period(edges, middle, high))


def _duration(now: int) -> ColumnElement[int]:
    return case((in_state("running"), now - job.c.start_time), else_=job.c.duration)


def _expressions(now: int, short_running: int) -> dict[str, ColumnElement[Any]]:
    duration = _duration(now)
    return {
        "total_jobs": func.count(),
        "total_users": func.count(distinct(job.c.hpc_user)),
        "running_jobs": _sum(case((in_state("running"), 1), else_=0)),
        "short_jobs": _sum(case((job.c.duration < short_running, 1), else_=0)),
        "total_walltime": _sum(duration),
        "total_nodes": _sum(job.c.num_nodes),
        "total_node_hours": _sum(duration * job.c.num_nodes),
        "total_cores": _sum(job.c.num_hwthreads),
        "total_core_hours": _sum(duration * job.c.num_hwthreads),
        "total_accs": _sum(job.c.num_acc),
        "total_acc_hours": _sum(duration * job.c.num_acc),
    }


def _sum(values: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(values), 0)


def _entry(row: Any, names: Sequence[str]) -> JobsStatistics:
    entry = JobsStatistics(id=row.id)
    for name in names:
        value = int(getattr(row, name))
        setattr(entry, name, whole_hours(value) if name in _HOURS else value)
    return entry


def whole_hours(seconds: int) -> int:
    """Cut off towards zero, as the division of integers in SQL does."""
    return seconds // 3600 if seconds >= 0 else -(-seconds // 3600)


def add_real_names(connection: Connection, entries: Sequence[JobsStatistics]) -> None:
    """Fill in the names of the accounts that groups by user belong to."""
    by_user = {entry.id: entry for entry in entries}
    for username, name in connection.execute(select(hpc_user.c.username, hpc_user.c.name)):
        if username in by_user:
            by_user[username].name = name or ""
