"""The type `Job` and what hangs on it. Contract: spec/graphql.md 7.

A `Job` value is a `ccserver.model.job.Job`; fields that need more than it holds are loaded for all jobs of
the same list at once.
"""

from __future__ import annotations

import strawberry
from strawberry import ID

from ccserver.graphql.fields import resolved_by
from ccserver.graphql.outputs import (
    EnergyFootprintValue,
    FootprintValue,
    Hint,
    JobLinkResultList,
    MetricFootprints,
    Resource,
    Tag,
    TimeWeights,
    User,
)
from ccserver.graphql.resolvers import job_fields
from ccserver.graphql.scalars import AnyValue, JobState, Time


@strawberry.type
class Job:
    id: ID
    job_id: int
    user: str
    project: str
    cluster: str
    subcluster: str = strawberry.field(name="subCluster")
    start_time: Time
    duration: int
    walltime: int
    num_nodes: int
    num_hwthreads: int = strawberry.field(name="numHWThreads")
    num_acc: int
    energy: float
    smt: int = strawberry.field(name="SMT")
    shared: str
    partition: str
    array_job_id: int
    monitoring_status: int
    state: JobState
    tags: list[Tag] = resolved_by(job_fields.tags)
    resources: list[Resource]
    concurrent_jobs: JobLinkResultList | None = resolved_by(job_fields.concurrent_jobs)
    footprint: list[FootprintValue | None] | None = resolved_by(job_fields.footprint)
    energy_footprint: list[EnergyFootprintValue | None] | None = resolved_by(job_fields.energy_footprint)
    hints: list[Hint] | None = resolved_by(job_fields.hints)
    meta_data: AnyValue | None = resolved_by(job_fields.meta_data)
    user_data: User | None = resolved_by(job_fields.user_data)


@strawberry.type
class JobResultList:
    items: list[Job]
    offset: int | None
    limit: int | None
    count: int | None
    has_next_page: bool | None


@strawberry.type
class Footprints:
    time_weights: TimeWeights
    metrics: list[MetricFootprints]
    jobs: list[Job]
