"""Single jobs and lists of jobs. Contract: spec/graphql.md 5 to 8."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError
from strawberry import ID, UNSET, Info

from ccserver.graphql import arguments
from ccserver.graphql.inputs import JobFilter, OrderByInput, PageRequest
from ccserver.graphql.job_output import JobResultList
from ccserver.graphql.request import Request, request_of
from ccserver.model.job import Job

DEFAULT_ITEMS_PER_PAGE = 50
EVERYTHING = -1


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
    number, items_per_page = _page(arguments.given(page))
    result = request.site.jobs.list(
        arguments.job_filters(filter), request.job_viewer, arguments.order(order), number, items_per_page
    )
    request.announce(result)
    items: Any = result
    return JobResultList(items=items, offset=None, limit=None, count=0, has_next_page=False)


def find_job(request: Request, id: str) -> Job:
    """The job with this database id. GraphQLError when there is none or the caller may not see it."""
    found = request.site.jobs.find(arguments.number(id, "job id"), request.job_viewer)
    if found is None:
        raise GraphQLError("sql: no rows in result set")
    return found


def _page(sent: PageRequest | None) -> tuple[int, int]:
    """Page number from 1 and items per page, -1 for everything."""
    if sent is None:
        return 1, DEFAULT_ITEMS_PER_PAGE
    if sent.items_per_page < 1 and sent.items_per_page != EVERYTHING:
        raise GraphQLError(f"invalid items-per-page value: {sent.items_per_page}")
    return max(1, sent.page), sent.items_per_page
