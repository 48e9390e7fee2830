"""Input types of the schema, spelled as on the wire. Contract: spec/graphql.md 3, 5, 6.

Members that were not sent are `UNSET`, and None means the same.
"""

from __future__ import annotations

from enum import Enum

import strawberry
from strawberry import ID, UNSET

from ccserver.graphql.scalars import JobState, MonitoringState, SchedulerState, SentTime


@strawberry.enum
class Aggregate(Enum):
    USER = "USER"
    PROJECT = "PROJECT"
    CLUSTER = "CLUSTER"
    SUBCLUSTER = "SUBCLUSTER"


@strawberry.enum
class SortByAggregate(Enum):
    TOTALWALLTIME = "TOTALWALLTIME"
    TOTALJOBS = "TOTALJOBS"
    TOTALUSERS = "TOTALUSERS"
    TOTALNODES = "TOTALNODES"
    TOTALNODEHOURS = "TOTALNODEHOURS"
    TOTALCORES = "TOTALCORES"
    TOTALCOREHOURS = "TOTALCOREHOURS"
    TOTALACCS = "TOTALACCS"
    TOTALACCHOURS = "TOTALACCHOURS"


@strawberry.enum
class SortDirectionEnum(Enum):
    DESC = "DESC"
    ASC = "ASC"


@strawberry.enum
class TagMode(Enum):
    OR = "OR"
    AND = "AND"


@strawberry.input
class StringInput:
    eq: str | None = UNSET
    neq: str | None = UNSET
    contains: str | None = UNSET
    starts_with: str | None = UNSET
    ends_with: str | None = UNSET
    in_: list[str] | None = strawberry.field(name="in", default=UNSET)


@strawberry.input
class IntRange:
    from_: int = strawberry.field(name="from")
    to: int
    exact: int | None = UNSET


@strawberry.input
class FloatRange:
    from_: float = strawberry.field(name="from")
    to: float
    exact: float | None = UNSET


@strawberry.input
class TimeRange:
    range: str | None = UNSET
    from_: SentTime | None = strawberry.field(name="from", default=UNSET)
    to: SentTime | None = UNSET


@strawberry.input
class MetricStatItem:
    metric_name: str
    range: FloatRange


@strawberry.input
class JobFilter:
    tags: list[ID] | None = UNSET
    tag_mode: TagMode | None = UNSET
    tags_not: list[ID] | None = UNSET
    db_id: list[ID] | None = UNSET
    job_id: StringInput | None = UNSET
    array_job_id: int | None = UNSET
    user: StringInput | None = UNSET
    project: StringInput | None = UNSET
    job_name: StringInput | None = UNSET
    cluster: StringInput | None = UNSET
    sub_cluster: StringInput | None = UNSET
    partition: StringInput | None = UNSET
    duration: IntRange | None = UNSET
    energy: FloatRange | None = UNSET
    num_nodes: IntRange | None = UNSET
    num_accelerators: IntRange | None = UNSET
    num_hwthreads: IntRange | None = strawberry.field(name="numHWThreads", default=UNSET)
    start_time: TimeRange | None = UNSET
    state: list[JobState] | None = UNSET
    metric_stats: list[MetricStatItem] | None = UNSET
    shared: str | None = UNSET
    schedule: str | None = UNSET
    node: StringInput | None = UNSET


@strawberry.input
class NodeFilter:
    hostname: StringInput | None = UNSET
    cluster: StringInput | None = UNSET
    sub_cluster: StringInput | None = UNSET
    scheduler_state: SchedulerState | None = UNSET
    health_state: MonitoringState | None = UNSET
    time_start: int | None = UNSET


@strawberry.input
class OrderByInput:
    field: str
    type: str
    order: SortDirectionEnum = SortDirectionEnum.ASC


@strawberry.input
class PageRequest:
    items_per_page: int
    page: int
