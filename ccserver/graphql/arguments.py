"""Arguments as they were sent, read and checked.

What is wrong here is an error of the field (status 200), not of the request: the reference reads custom
scalars while it executes, and clients see the difference (spec/graphql.md 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, overload

from graphql import GraphQLError
from strawberry import UNSET

from ccserver.graphql import inputs
from ccserver.graphql.scalars import integer_of_text
from ccserver.jobs import filters
from ccserver.model.job import JOB_STATES
from ccserver.model.metrics import SCOPES

if TYPE_CHECKING:
    from ccserver.nodes.repository import NodeFilter

T = TypeVar("T")

# What SQLite takes in one statement: expressions 1000 deep, 250,000 values, patterns of 50,000 bytes.
MOST_CONDITIONS = 200  # of up to two expressions each
MOST_VALUES = 100_000
LONGEST_PATTERN = 10_000  # characters

ZERO_TIME = -62135596800  # 0001-01-01T00:00:00Z, what an empty text means


def given(value: T | None) -> T | None:
    """None for what was not sent, whatever way it was not sent."""
    return None if value is UNSET else value


def timestamp(sent: object) -> int:
    """Unix seconds of a `Time` argument, fractions cut off. GraphQLError unless it is a text of RFC 3339."""
    if not isinstance(sent, str):
        raise GraphQLError("time should be a string in RFC 3339 format")
    if sent == "":
        return ZERO_TIME
    try:
        read = datetime.fromisoformat(sent)
    except ValueError:
        raise GraphQLError(f"cannot read the time {sent!r}, expected RFC 3339") from None
    if len(sent) < len("2024-05-01T10:00:00"):  # fromisoformat also takes dates and other short forms
        raise GraphQLError(f"cannot read the time {sent!r}, expected RFC 3339")
    if read.tzinfo is None:
        if sent[10] != " ":
            raise GraphQLError(f"the time {sent!r} has no zone")
        read = read.replace(tzinfo=UTC)
    return int(read.timestamp() // 1)


def scopes(sent: Sequence[object] | None) -> list[str] | None:
    """Known scopes. GraphQLError for others."""
    chosen = given(sent)
    return None if chosen is None else [_one_of(SCOPES, scope, "metric scope") for scope in chosen]


def job_states(sent: Sequence[object] | None) -> list[str] | None:
    """Known job states. GraphQLError for others."""
    chosen = given(sent)
    return None if chosen is None else [_one_of(JOB_STATES, state, "job state") for state in chosen]


def number(sent: str, what: str) -> int:
    """The integer that an `ID` argument must hold."""
    try:
        value = integer_of_text(sent)
    except ValueError:
        raise GraphQLError(f"{what} must be a number: {sent!r}") from None
    if not -(2**63) <= value < 2**63:
        raise GraphQLError(f"{what} is out of range: {sent}")
    return value


def job_filters(sent: Sequence[inputs.JobFilter] | None) -> list[filters.JobFilter]:
    """Job filters for the repository.

    GraphQLError for a job state or time that does not exist, and for more than a statement can hold.
    """
    found = [_job_filter(one) for one in given(sent) or ()]
    _check_size(found)
    return found


def order(sent: inputs.OrderByInput | None) -> filters.Order | None:
    """The order of a job list. InvalidOrder for a field that jobs cannot be ordered by."""
    chosen = given(sent)
    if chosen is None:
        return None
    wanted = filters.Order(chosen.field, chosen.type, chosen.order.value)
    filters.ordering(wanted)
    return wanted


def node_filters(sent: Sequence[inputs.NodeFilter] | None) -> list[NodeFilter]:
    from ccserver.nodes.repository import NodeFilter  # not before: it would load the store's kernels

    found = [
        NodeFilter(
            hostname=text_condition(one.hostname),
            cluster=text_condition(one.cluster),
            sub_cluster=text_condition(one.sub_cluster),
            scheduler_state=_text(one.scheduler_state),
            health_state=_text(one.health_state),
            time_start=given(one.time_start),
        )
        for one in given(sent) or ()
    ]
    _check_size(found)
    return found


def _check_size(found: Sequence[filters.JobFilter | NodeFilter]) -> None:
    conditions = values = 0
    for one in found:
        for member in type(one).__slots__:
            wanted = getattr(one, member)
            if wanted is None or wanted is False:
                continue
            conditions += len(wanted) if member == "metric_stats" else 1
            if isinstance(wanted, filters.StringInput):
                values += len(wanted.in_ or ())
            elif isinstance(wanted, list):
                values += len(wanted)
    if conditions > MOST_CONDITIONS:
        raise GraphQLError(f"the filter has {conditions} conditions, at most {MOST_CONDITIONS} are taken")
    if values > MOST_VALUES:
        raise GraphQLError(f"the filter lists {values} values, at most {MOST_VALUES} are taken")


def _text(sent: object) -> str | None:
    """A state's name; what is none matches nothing."""
    chosen = given(sent)
    return None if chosen is None else str(chosen)


def _job_filter(sent: inputs.JobFilter) -> filters.JobFilter:
    return filters.JobFilter(
        tags=given(sent.tags),
        every_tag=given(sent.tag_mode) is inputs.TagMode.AND,
        tags_not=given(sent.tags_not),
        db_id=given(sent.db_id),
        job_id=text_condition(sent.job_id),
        array_job_id=given(sent.array_job_id),
        user=text_condition(sent.user),
        project=text_condition(sent.project),
        job_name=text_condition(sent.job_name),
        cluster=text_condition(sent.cluster),
        sub_cluster=text_condition(sent.sub_cluster),
        partition=text_condition(sent.partition),
        duration=_int_range(sent.duration),
        energy=_float_range(sent.energy),
        num_nodes=_int_range(sent.num_nodes),
        num_accelerators=_int_range(sent.num_accelerators),
        num_hw_threads=_int_range(sent.num_hwthreads),
        start_time=_time_range(sent.start_time),
        state=job_states(sent.state),
        metric_stats=_metric_stats(sent.metric_stats),
        shared=given(sent.shared),
        schedule=given(sent.schedule),
        node=text_condition(sent.node),
    )


def text_condition(sent: inputs.StringInput | None) -> filters.StringInput | None:
    chosen = given(sent)
    if chosen is None:
        return None
    return filters.StringInput(
        eq=given(chosen.eq),
        neq=given(chosen.neq),
        contains=_pattern(chosen.contains),
        starts_with=_pattern(chosen.starts_with),
        ends_with=_pattern(chosen.ends_with),
        in_=given(chosen.in_),
    )


def _pattern(sent: str | None) -> str | None:
    chosen = given(sent)
    if chosen is not None and len(chosen) > LONGEST_PATTERN:
        raise GraphQLError(f"a text to look for may have {LONGEST_PATTERN} characters, not {len(chosen)}")
    return chosen


def _int_range(sent: inputs.IntRange | None) -> filters.IntRange | None:
    chosen = given(sent)
    return None if chosen is None else filters.IntRange(chosen.from_, chosen.to, given(chosen.exact))


@overload
def _float_range(sent: inputs.FloatRange) -> filters.FloatRange: ...
@overload
def _float_range(sent: inputs.FloatRange | None) -> filters.FloatRange | None: ...
def _float_range(sent: inputs.FloatRange | None) -> filters.FloatRange | None:
    chosen = given(sent)
    return None if chosen is None else filters.FloatRange(chosen.from_, chosen.to, given(chosen.exact))


def _time_range(sent: inputs.TimeRange | None) -> filters.TimeRange | None:
    chosen = given(sent)
    return (
        None
        if chosen is None
        else filters.TimeRange(
            from_=_optional_time(chosen.from_), to=_optional_time(chosen.to), range=given(chosen.range)
        )
    )


def _optional_time(sent: object) -> int | None:
    chosen = given(sent)
    return None if chosen is None else timestamp(chosen)


def _metric_stats(sent: Sequence[inputs.MetricStatItem] | None) -> list[filters.MetricStatItem] | None:
    chosen = given(sent)
    if chosen is None:
        return None
    return [filters.MetricStatItem(item.metric_name, _float_range(item.range)) for item in chosen]


def _one_of(known: Sequence[str], sent: object, what: str) -> str:
    if isinstance(sent, str) and sent in known:
        return sent
    raise GraphQLError(f"invalid {what}: {sent!r}; known are {', '.join(known)}")
