"""Job filters, job visibility and sort orders as SQL conditions. Contract: spec/graphql.md 4-6.

Values are bound parameters, except states and sharing modes: those are written literally, after a check
against the closed lists, because SQLite uses a partial index only for a literal `job_state = 'running'`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    cast,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from ccserver.database.conditions import Condition, StringInput, text_condition
from ccserver.database.tables import job, jobtag
from ccserver.model.job import JOB_STATES, SHARED
from ccserver.model.user import Principal

__all__ = [
    "SORTABLE",
    "SPANS",
    "Condition",
    "FloatRange",
    "IntRange",
    "InvalidOrder",
    "InvisibleJobs",
    "JobFilter",
    "MetricStatItem",
    "Order",
    "StringInput",
    "TimeRange",
    "footprint_value",
    "has_host",
    "in_state",
    "integers",
    "is_identifier",
    "is_shared",
    "job_name",
    "matching",
    "ordering",
    "visibility",
]

_IDENTIFIER = re.compile(r"[A-Za-z0-9_]+")
_PLAIN = re.compile(r"[A-Za-z0-9._%-]+")
_CANONICAL_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
SPANS = {"last6h": 6 * 3600, "last24h": 24 * 3600, "last7d": 7 * 86400, "last30d": 30 * 86400}


class InvisibleJobs(PermissionError):
    """The viewer holds no role that shows any job at all."""

    def __init__(self) -> None:
        super().__init__("user has no or unknown roles")


class InvalidOrder(ValueError):
    """The requested sort field is not one that jobs can be ordered by."""


@dataclass(frozen=True, slots=True)
class IntRange:
    """Inclusive bounds; 0 leaves a side open, a negative bound switches the range off.

    `exact` is the one value wanted, 0 included; the bounds then say nothing.
    """

    from_: int = 0
    to: int = 0
    exact: int | None = None


@dataclass(frozen=True, slots=True)
class FloatRange:
    """As IntRange, for numbers."""

    from_: float = 0.0
    to: float = 0.0
    exact: float | None = None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Inclusive bounds in unix seconds; `range` (last6h, last24h, last7d, last30d) if both are None."""

    from_: float | None = None
    to: float | None = None
    range: str | None = None


@dataclass(frozen=True, slots=True)
class MetricStatItem:
    """A bound on a stored footprint value; `metric_name` is its key, "mem_used_max"."""

    metric_name: str
    range: FloatRange


@dataclass(frozen=True, slots=True)
class JobFilter:
    """One element of a filter list; all members of all elements must hold. None: no restriction.

    Of `tags` a job carries one, or all where `every_tag`; of `tags_not` none.
    """

    tags: Sequence[int | str] | None = None
    every_tag: bool = False
    tags_not: Sequence[int | str] | None = None
    db_id: Sequence[int | str] | None = None
    job_id: StringInput | None = None
    array_job_id: int | None = None
    user: StringInput | None = None
    project: StringInput | None = None
    job_name: StringInput | None = None
    cluster: StringInput | None = None
    sub_cluster: StringInput | None = None
    partition: StringInput | None = None
    duration: IntRange | None = None
    energy: FloatRange | None = None
    num_nodes: IntRange | None = None
    num_accelerators: IntRange | None = None
    num_hw_threads: IntRange | None = None
    start_time: TimeRange | None = None
    state: Sequence[str] | None = None
    metric_stats: Sequence[MetricStatItem] | None = None
    shared: str | None = None
    schedule: str | None = None
    node: StringInput | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """`type` "col" sorts by a column (camelCase `field`), any other by the footprint key `field`."""

    field: str
    type: str = "col"
    order: str = "ASC"


def visibility(viewer: Principal | None) -> Condition:
    """Which jobs the viewer may see; None is the server itself and sees all. Raises InvisibleJobs."""
    if viewer is None or viewer.sees_all_jobs:
        return true()
    own = job.c.hpc_user == viewer.username
    if "manager" in viewer.roles:
        return or_(own, job.c.project.in_(viewer.projects)) if viewer.projects else own
    if "user" in viewer.roles:
        return own
    raise InvisibleJobs


def matching(
    filters: Iterable[JobFilter] | None, viewer: Principal | None, now: float | None = None
) -> Condition:
    """The condition that a row of `job` matches all filters and is visible; `now` in unix seconds."""
    moment = time.time() if now is None else now
    conditions = [visibility(viewer)]
    for one in filters or ():
        conditions += _conditions(one, moment)
    return and_(true(), *conditions)


def ordering(order: Order | None) -> list[ColumnElement[Any]]:
    """Sort keys for `order`, ending in the id so that pages never overlap. Raises InvalidOrder."""
    if order is None:
        return [job.c.id.asc()]
    if not _IDENTIFIER.fullmatch(order.field):
        raise InvalidOrder(f"invalid sort field: {order.field!r}")
    if order.order not in ("ASC", "DESC"):
        raise InvalidOrder(f"invalid sort direction: {order.order!r}")
    name = snake_case(order.field)
    key: ColumnElement[Any]
    if order.type == "col":
        if name not in SORTABLE:
            raise InvalidOrder(f"jobs cannot be ordered by {order.field!r}")
        key = job.c[name]
    else:
        key = footprint_value(name)
    keys: list[ColumnElement[Any]] = [key] if name == "id" and order.type == "col" else [key, job.c.id]
    return [one.desc() if order.order == "DESC" else one.asc() for one in keys]


SORTABLE = frozenset(
    {
        "id", "job_id", "cluster", "subcluster", "submit_time", "start_time", "hpc_user", "project",
        "cluster_partition", "array_job_id", "duration", "walltime", "job_state", "num_nodes",
        "num_hwthreads", "num_acc", "smt", "shared", "monitoring_status", "energy",
    }
)  # fmt: skip


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def in_state(*states: str) -> Condition:
    """The job is in one of the states; names outside the closed list match nothing."""
    known = [state for state in dict.fromkeys(states) if state in JOB_STATES]
    if not known:
        return false()
    if len(known) == 1:
        return job.c.job_state == literal_column(f"'{known[0]}'", Text)
    return job.c.job_state.in_([literal_column(f"'{state}'", Text) for state in known])


def is_shared(mode: str) -> Condition:
    return job.c.shared == literal_column(f"'{mode}'", Text) if mode in SHARED else false()


def is_identifier(text: str) -> bool:
    """Whether `text` can be a footprint key."""
    return _IDENTIFIER.fullmatch(text) is not None


def footprint_value(key: str) -> ColumnElement[Any]:
    """A stored footprint value, NULL where missing. `key` must consist of letters, digits and underscores."""
    if not _IDENTIFIER.fullmatch(key):
        raise ValueError(f"not a footprint key: {key!r}")
    # a literal path, so that an expression index on the same text can serve it
    return func.json_extract(job.c.footprint, literal_column(f"'$.{key}'"))


def has_host(condition_of: StringInput) -> Condition:
    """At least one host of the job satisfies the string condition.

    Taking a JSON list apart costs 5 us a job: only those are that have the wanted text anywhere in theirs.
    """
    resource = func.json_each(job.c.resources).table_valued("value").alias("resource")
    hostname = func.json_extract(resource.c.value, literal_column("'$.hostname'"))
    condition = text_condition(hostname, condition_of)
    if condition is None:
        return true()
    found = exists(select(literal_column("1")).select_from(resource).where(condition))
    anywhere = _text_of_host(condition_of)
    return found if anywhere is None else and_(anywhere, found)


def _text_of_host(wanted: StringInput) -> Condition | None:
    """What the text of `resources` must contain; None where that is unknown or JSON writes it otherwise."""
    if wanted.eq is not None:
        return func.instr(job.c.resources, f'"{wanted.eq}"') > 0 if _PLAIN.fullmatch(wanted.eq) else None
    if wanted.neq is not None:
        return None
    parts = (wanted.starts_with, wanted.ends_with, wanted.contains)
    part = next((part for part in parts if part is not None), None)
    return job.c.resources.like(f"%{part}%") if part and _PLAIN.fullmatch(part) else None


def _conditions(one: JobFilter, now: float) -> list[Condition]:
    found: list[Condition | None] = [
        None if one.tags is None else _has_every_tag(one.tags) if one.every_tag else _has_tag(one.tags),
        None if one.tags_not is None else not_(_has_tag(one.tags_not)),
        None if one.db_id is None else job.c.id.in_(integers(one.db_id)),
        None if one.job_id is None else _job_id_condition(one.job_id),
        None if one.array_job_id is None else _array_condition(one.array_job_id),
        text_condition(job.c.hpc_user, one.user),
        text_condition(job.c.project, one.project),
        text_condition(job.c.cluster, one.cluster),
        text_condition(job.c.subcluster, one.sub_cluster),
        _partition_condition(one.partition),
        text_condition(job_name(), one.job_name),
        _range_condition(job.c.duration, one.duration),
        _range_condition(job.c.energy, one.energy),
        _range_condition(job.c.num_nodes, one.num_nodes),
        _range_condition(job.c.num_acc, one.num_accelerators),
        _range_condition(job.c.num_hwthreads, one.num_hw_threads),
        _time_condition(one.start_time, now),
        None if one.state is None else in_state(*one.state),
        None if one.shared is None else is_shared(one.shared),
        _schedule_condition(one.schedule),
        None if one.node is None else has_host(one.node),
        *(_footprint_condition(item) for item in one.metric_stats or ()),
    ]
    return [condition for condition in found if condition is not None]


def _partition_condition(wanted: StringInput | None) -> Condition | None:
    """NULL counts as the empty text; the plain comparison is kept where it can use an index."""
    if wanted is not None and wanted.eq:
        return job.c.cluster_partition == wanted.eq
    return text_condition(func.coalesce(job.c.cluster_partition, ""), wanted)


def _array_condition(array_job_id: int) -> Condition:
    member = job.c.array_job_id == array_job_id
    return member if array_job_id else or_(member, job.c.array_job_id.is_(None))


def _job_id_condition(wanted: StringInput) -> Condition | None:
    """On the decimal text; exact comparisons go to the number so that its index serves them."""
    if wanted.eq is not None:
        return job.c.job_id.in_(_canonical_integers([wanted.eq]))
    if wanted.neq is not None:
        return job.c.job_id.not_in(_canonical_integers([wanted.neq]))
    if wanted.starts_with is None and wanted.ends_with is None and wanted.contains is None:
        return None if wanted.in_ is None else job.c.job_id.in_(_canonical_integers(wanted.in_))
    return text_condition(cast(job.c.job_id, Text), wanted)


def _canonical_integers(texts: Iterable[str]) -> list[int]:
    numbers = [int(text) for text in texts if _CANONICAL_INTEGER.fullmatch(text)]
    return [number for number in numbers if -(1 << 63) <= number < 1 << 63]


def integers(values: Iterable[int | str]) -> list[int]:
    """Those of the ids that are numbers of 64 bit."""
    return _canonical_integers(str(value).strip() for value in values)


def _range_condition(column: ColumnElement[Any], bounds: IntRange | FloatRange | None) -> Condition | None:
    if bounds is None:
        return None
    if bounds.exact is not None:
        return column == bounds.exact
    if bounds.from_ < 0 or bounds.to < 0:
        return None
    limits = []
    if bounds.from_ > 0:
        limits.append(column >= bounds.from_)
    if bounds.to > 0:
        limits.append(column <= bounds.to)
    return and_(*limits) if limits else None


def _time_condition(bounds: TimeRange | None, now: float) -> Condition | None:
    if bounds is None:
        return None
    if bounds.from_ is None and bounds.to is None:
        span = SPANS.get(bounds.range or "")
        return None if span is None else job.c.start_time >= int(now) - span
    limits = []
    if bounds.from_ is not None:
        limits.append(job.c.start_time >= int(bounds.from_))
    if bounds.to is not None:
        limits.append(job.c.start_time <= int(bounds.to))
    return and_(*limits)


def _footprint_condition(item: MetricStatItem) -> Condition | None:
    if not _IDENTIFIER.fullmatch(item.metric_name):
        return false()
    return _range_condition(footprint_value(item.metric_name), item.range)


def _has_tag(tags: Iterable[int | str]) -> Condition:
    return job.c.id.in_(select(jobtag.c.job_id).where(jobtag.c.tag_id.in_(integers(tags))))


def _has_every_tag(tags: Iterable[int | str]) -> Condition:
    wanted = {str(tag).strip() for tag in tags}  # what is no number no job can carry
    carriers = (
        select(jobtag.c.job_id)
        .where(jobtag.c.tag_id.in_(integers(wanted)))
        .group_by(jobtag.c.job_id)
        .having(func.count() == len(wanted))
    )
    return job.c.id.in_(carriers) if wanted else true()


def job_name() -> ColumnElement[Any]:
    return func.json_extract(job.c.meta_data, literal_column("'$.jobName'"))


def _schedule_condition(schedule: str | None) -> Condition | None:
    if schedule == "interactive":
        return job_name() == "interactive"
    if schedule == "batch":
        return job_name() != "interactive"
    return None
