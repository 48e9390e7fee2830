"""Tags and which jobs carry them. Contract: spec/graphql.md 4, 13, 14."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import GraphQLError
from strawberry import ID, Info

from ccserver.graphql import arguments
from ccserver.graphql.inputs import JobFilter
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.resolvers.jobs import find_job
from ccserver.model.job import Tag
from ccserver.model.user import Principal

MOST_TAGGED = 1000
"""Jobs changed by one call: each finished one is a record of the archive to write."""


def tags(info: Info) -> object:
    request = request_of(info)
    return request.site.tags.list(request.user)


def create_tag(info: Info, type: str, name: str, scope: str) -> object:
    request = request_of(info)
    return request.site.tags.create(
        Tag(type, name, scope), _editor(request, f"create tag with scope: {scope}")
    )


def delete_tag(info: Info, id: ID) -> object:
    request = request_of(info)
    request.site.tags.delete_ids(_numbers([id]), _editor(request, f"remove tag: {id}"))
    return id


def add_tags_to_job(info: Info, job: ID, tag_ids: list[ID]) -> object:
    request = request_of(info)
    editor = _editor(request, f"add tag: {' '.join(tag_ids)}")
    found = find_job(request, job)
    if not tag_ids:
        return []
    request.site.tags.attach_ids(found, _numbers(tag_ids), editor)
    return request.site.tags.of_job(found.id, editor)


def remove_tags_from_job(info: Info, job: ID, tag_ids: list[ID]) -> object:
    request = request_of(info)
    editor = _editor(request, f"remove tag: {' '.join(tag_ids)}")
    found = find_job(request, job)
    if not tag_ids:
        return []
    request.site.tags.detach_ids(found, _numbers(tag_ids), editor)
    return request.site.tags.of_job(found.id, editor)


def add_tags_to_jobs(info: Info, filter: list[JobFilter], tag_ids: list[ID], dry_run: bool = False) -> object:
    return _change_many(info, filter, tag_ids, dry_run, attach=True)


def remove_tags_from_jobs(
    info: Info, filter: list[JobFilter], tag_ids: list[ID], dry_run: bool = False
) -> object:
    return _change_many(info, filter, tag_ids, dry_run, attach=False)


def _change_many(
    info: Info, filter: list[JobFilter], tag_ids: list[ID], dry_run: bool, *, attach: bool
) -> object:
    request = request_of(info)
    editor = _editor(request, f"{'add' if attach else 'remove'} tag: {' '.join(tag_ids)}")
    return request.site.tags.change_many(
        arguments.job_filters(filter),
        [*_numbers(tag_ids)],
        editor,
        attach=attach,
        most=0 if dry_run else MOST_TAGGED,
    )


def remove_tag_from_list(info: Info, tag_ids: list[ID]) -> object:
    request = request_of(info)
    editor = _editor(request, f"remove tag: {' '.join(tag_ids)}")
    return request.site.tags.delete_ids(_numbers(tag_ids), editor)


def _editor(request: Request, what: str) -> Principal:
    """Who changes tags. An API-only token may tag through the REST API but not here (contract section 4)."""
    if request.principal is None:
        raise GraphQLError("no user in context")
    if request.principal.api_only:
        raise GraphQLError(f"not authorized to {what}")
    return request.principal


def _numbers(ids: list[ID]) -> Iterator[int]:
    """One after the other: those before a bad one count."""
    return (arguments.number(id, "tag id") for id in ids)
