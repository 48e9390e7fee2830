"""Fields of a job that are computed or loaded. Contract: spec/graphql.md 7."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strawberry import ID, Info, Parent

from ccserver.graphql.fields import per_item
from ccserver.graphql.outputs import EnergyFootprintValue, FootprintValue, JobLink, JobLinkResultList
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.resolvers.accounts import check_may_see_account
from ccserver.model import job as model

if TYPE_CHECKING:
    from ccserver.clusters import SubCluster

MOST_JUDGED = 100
"""Jobs of one request whose curves are read for hints."""

_UNMONITORED = (model.MONITORING_DISABLED, model.MONITORING_FAILED)
_HARDWARE = (("cpu", "CPU"), ("acc", "Accelerator"), ("mem", "Memory"), ("core", "Core"))


@per_item
def tags(parent: Parent[model.Job], info: Info) -> object:
    return request_of(info).tags.get(parent.id) or []


@per_item
def meta_data(parent: Parent[model.Job], info: Info) -> object:
    if parent.metadata is not None:
        return parent.metadata
    return request_of(info).metadata.get(parent.id)


@per_item
def user_data(parent: Parent[model.Job], info: Info) -> object:
    request = request_of(info)
    check_may_see_account(request, parent.user)
    return request.accounts.get(parent.user)


@per_item
def footprint(parent: Parent[model.Job], info: Info) -> object:
    values = []
    for key, value in (parent.footprint or {}).items():
        name, _, stat = key.rpartition("_")
        values.append(FootprintValue(name=name, stat=stat, value=value))
    return values


@per_item
def energy_footprint(parent: Parent[model.Job], info: Info) -> object:
    return [
        EnergyFootprintValue(hardware=_hardware(key), metric=key, value=value)
        for key, value in (parent.energy_footprint or {}).items()
    ]


def _hardware(key: str) -> str:
    for part, hardware in _HARDWARE:
        if part in key or part.capitalize() in key or part.upper() in key:
            return hardware
    return "Other"


@per_item
def concurrent_jobs(parent: Parent[model.Job], info: Info) -> object:
    links = request_of(info).concurrent.get(parent.id)
    if links is None:
        return None
    return JobLinkResultList(
        list_query=f"cluster={parent.cluster}" + "".join(f"&jobId={link.job_id}" for link in links),
        items=[JobLink(id=ID(str(link.id)), job_id=link.job_id) for link in links],
        count=len(links),
    )


@per_item
def hints(parent: Parent[model.Job], info: Info) -> object:
    """None where nothing can be said: a young job, one without data, or too many jobs in one request."""
    request = request_of(info)
    subcluster = _subcluster(request, parent)
    if subcluster is None or parent.monitoring_status in _UNMONITORED or not request.may_judge(MOST_JUDGED):
        return None
    from ccserver.jobs.judging import hints_of_job  # the schema is printed without the metric store

    return hints_of_job(
        request.site.metric_data,
        request.site.archive,
        parent,
        subcluster,
        request.site.jobs.clock(),
        request.site.config.main.hints,
    )


def _subcluster(request: Request, job: model.Job) -> SubCluster | None:
    clusters = request.site.clusters
    return clusters[job.cluster].subclusters.get(job.subcluster) if job.cluster in clusters else None
