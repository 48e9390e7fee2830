"""The filters in the address of a page as job filters. Contract: spec/web-ui.md 4.2.

The pages read the same grammar in frontend/src/lib/filters/grammar.ts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ccserver.jobs.filters import (
    SPANS,
    FloatRange,
    IntRange,
    JobFilter,
    MetricStatItem,
    StringInput,
    TimeRange,
)
from ccserver.model.job import JOB_STATES, SHARED

_MOST_VALUES = 10_000
_LONGEST = 1000  # characters
_INTEGER = re.compile(r"\d{1,15}", re.ASCII)
_DECIMAL = r"\d{1,300}(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?"
_STAT = re.compile(r"([A-Za-z0-9_]+_(?:min|avg|max))-(.+)", re.ASCII)
_TIMES = re.compile(r"(\d{1,12})-(\d{1,12})", re.ASCII)


class InvalidFilter(ValueError):
    """A value makes no sense for its key."""


def job_filters(query: Mapping[str, Sequence[str]]) -> list[JobFilter]:
    """One filter per key that is there with a value; keys that are no filters are left alone.

    Raises InvalidFilter.
    """
    found: list[JobFilter] = []
    for key, read in _READERS.items():
        values = [value for value in query.get(key, ()) if value]
        if not values:
            continue
        match = (query.get(_MATCHES.get(key, ""), ()) or ("",))[0]
        if len(values) > _MOST_VALUES or any(len(value) > _LONGEST for value in values):
            raise InvalidFilter(f"{key}: more than {_MOST_VALUES} values or {_LONGEST} characters")
        try:
            found.append(JobFilter(**read(values, match)))
        except ValueError:
            raise InvalidFilter(f"{key}: {values[0][:100]!r} makes no sense") from None
    return found


Reader = Callable[[list[str], str], dict[str, Any]]


def _equal(member: str) -> Reader:
    return lambda values, match: {member: StringInput(eq=values[0])}


def _text(member: str, otherwise: str, check: Callable[[str], object] = str) -> Reader:
    def read(values: list[str], match: str) -> dict[str, Any]:
        for value in values:
            check(value)
        if len(values) > 1:
            return {member: StringInput(in_=values)}
        contains = (match or otherwise) == "contains"
        return {member: StringInput(contains=values[0]) if contains else StringInput(eq=values[0])}

    return read


def _integers(member: str) -> Reader:
    return lambda values, match: {member: [_integer(value) for value in values]}


def _int_range(member: str) -> Reader:
    return lambda values, match: {member: IntRange(*_range(values[0], r"\d{1,15}", int))}


def _one_of(member: str, known: Sequence[str]) -> Reader:
    def read(values: list[str], match: str) -> dict[str, Any]:
        if values[0] not in known:
            raise ValueError(values[0])
        return {member: values[0]}

    return read


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _range(text: str, digits: str, convert: Callable[[str], Any]) -> tuple[Any, Any, Any]:
    """`a-b`, `lessthan-n`, `morethan-n` or `exactly-n` as from, to, exact; 0 leaves a side open."""
    if between := re.fullmatch(f"({digits})-({digits})", text, re.ASCII):
        first, last = map(convert, between.groups())
        if last and last < first:
            raise ValueError(text)
        return first, last, None
    single = re.fullmatch(f"(less|more|exactly)(?:than)?-({digits})", text, re.ASCII)
    if single is None or text.startswith(("less-", "more-", "exactlythan-")):
        raise ValueError(text)
    value = convert(single[2])
    return {"less": (0, value, None), "more": (value, 0, None), "exactly": (0, 0, value)}[single[1]]


def _states(values: list[str], match: str) -> dict[str, Any]:
    known = [value for value in values if value in JOB_STATES]
    if not known:
        raise ValueError(values[0])
    return {} if len(set(known)) == len(JOB_STATES) else {"state": known}


def _start_time(values: list[str], match: str) -> dict[str, Any]:
    if values[0] in SPANS:
        return {"start_time": TimeRange(range=values[0])}
    between = _TIMES.fullmatch(values[0])
    if between is None:
        raise ValueError(values[0])
    first, last = int(between[1]) or None, int(between[2]) or None
    return {} if first is last is None else {"start_time": TimeRange(first, last)}


def _tags(values: list[str], match: str) -> dict[str, Any]:
    return {"tags": [_integer(value) for value in values], "every_tag": match == "and"}


def _energy(values: list[str], match: str) -> dict[str, Any]:
    return {"energy": FloatRange(*_range(values[0], _DECIMAL, float))}


def _statistics(values: list[str], match: str) -> dict[str, Any]:
    items = []
    for value in values:
        found = _STAT.fullmatch(value)
        if found is None:
            raise ValueError(value)
        items.append(MetricStatItem(found[1], FloatRange(*_range(found[2], _DECIMAL, float))))
    return {"metric_stats": items}


_READERS: dict[str, Reader] = {
    "cluster": _equal("cluster"),
    "subCluster": _equal("sub_cluster"),
    "partition": _equal("partition"),
    "state": _states,
    "shared": _one_of("shared", SHARED),
    "schedule": _one_of("schedule", ("interactive", "batch")),
    "startTime": _start_time,
    "duration": _int_range("duration"),
    "user": _text("user", "contains"),
    "project": _text("project", "contains"),
    "jobName": lambda values, match: {"job_name": StringInput(contains=values[0])},
    "jobId": _text("job_id", "eq", _integer),
    "arrayJobId": lambda values, match: {"array_job_id": _integer(values[0])},
    "dbId": _integers("db_id"),
    "tag": _tags,
    "tagNot": _integers("tags_not"),
    "node": _text("node", "eq"),
    "numNodes": _int_range("num_nodes"),
    "numHWThreads": _int_range("num_hw_threads"),
    "numAccelerators": _int_range("num_accelerators"),
    "energy": _energy,
    "stat": _statistics,
}
_MATCHES = {
    "user": "userMatch", "project": "projectMatch", "jobId": "jobIdMatch", "node": "nodeMatch",
    "tag": "tagMode",
}  # fmt: skip

KEYS = (*_READERS, *_MATCHES.values())
"""All keys of the grammar."""
