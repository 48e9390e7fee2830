"""Single jobs and lists of jobs. Contract: spec/graphql.md 5 to 8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from graphql import GraphQLError
from strawberry import ID, UNSET, Info

from ccserver.graphql import arguments
from ccserver.graphql.inputs import JobFilter, OrderByInput, PageRequest
from ccserver.graphql.request import Request, request_of
from ccserver.jobs.filters import IntRange, Order, StringInput
from ccserver.jobs.filters import JobFilter as Filter
from ccserver.jobs.repository import ALL_ITEMS, JobPage
from ccserver.model.job import Job
from ccserver.model.user import Principal

DEFAULT_ITEMS_PER_PAGE = 50
MOST_SIMILAR = 100
_SIMILAR_BY = ("name", "user", "project", "numNodes")


@dataclass
class JobList:
    """A `JobResultList`: the page and the count are asked of the database when they are selected."""

    request: Request
    viewer: Principal
    filters: list[Filter]
    order: Order | None
    number: int
    items_per_page: int
    offset: None = None
    limit: None = None

    @cached_property
    def page(self) -> JobPage:
        page = self.request.site.jobs.page(
            self.filters, self.viewer, self.order, self.number, self.items_per_page
        )
        self.request.announce(page.items)
        return page

    @property
    def items(self) -> Sequence[Job]:
        return self.page.items

    @property
    def has_next_page(self) -> bool:
        return self.page.has_next_page

    @property
    def count(self) -> int:
        return self.request.site.jobs.count(self.filters, self.viewer)


def job(info: Info, id: ID) -> object:
    request = request_of(info)
    found = find_job(request, id)
    request.announce([found])
    return found


def jobs(
    info: Info,
    filter: list[JobFilter] | None = UNSET,
    page: PageRequest | None = UNSET,
    order: OrderByInput | None = UNSET,
) -> object:
    request = request_of(info)
    chosen = arguments.given(page)
    items_per_page = chosen.items_per_page if chosen else DEFAULT_ITEMS_PER_PAGE
    if items_per_page < 1 and items_per_page != ALL_ITEMS:
        raise GraphQLError(f"invalid items-per-page value: {items_per_page}")
    return JobList(
        request=request,
        viewer=request.job_viewer,
        filters=arguments.job_filters(filter),
        order=arguments.order(order),
        number=chosen.page if chosen else 1,
        items_per_page=items_per_page,
    )


def similar_jobs(info: Info, id: ID, limit: int = 20, by: list[str] | None = UNSET) -> object:
    """The newest other jobs of the same cluster that agree in everything of `by`."""
    request = request_of(info)
    if not 1 <= limit <= MOST_SIMILAR:
        raise GraphQLError(f"limit must be from 1 to {MOST_SIMILAR}")
    wanted = arguments.given(by)
    wanted = list(_SIMILAR_BY[:2]) if wanted is None else wanted
    if unknown := [one for one in wanted if one not in _SIMILAR_BY]:
        raise GraphQLError(f"jobs are similar by {', '.join(_SIMILAR_BY)}, not by {unknown[0]!r}")
    this = find_job(request, id)
    name = (request.metadata.get(this.id) or {}).get("jobName", "")
    if "name" in wanted and not name:
        return []
    same = {
        "name": Filter(job_name=StringInput(eq=name)),
        "user": Filter(user=StringInput(eq=this.user)),
        "project": Filter(project=StringInput(eq=this.project)),
        "numNodes": Filter(num_nodes=IntRange(exact=this.num_nodes)),
    }
    filters = [Filter(cluster=StringInput(eq=this.cluster)), *(same[one] for one in set(wanted))]
    newest = Order("startTime", "col", "DESC")
    page = request.site.jobs.page(filters, request.job_viewer, newest, 1, limit + 1)
    others = [one for one in page.items if one.id != this.id][:limit]
    request.announce(others)
    return others


def find_job(request: Request, id: str) -> Job:
    """The job with this database id. GraphQLError when there is none or the caller may not see it."""
    found = request.site.jobs.find(arguments.number(id, "job id"), request.job_viewer)
    if found is None:
        raise GraphQLError("sql: no rows in result set")
    return found
