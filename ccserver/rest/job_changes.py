"""Routes that change jobs: start, stop, tags, metadata, deletion. Source: spec/rest-api.md 3.7-3.14."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import trio
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.config import Config
from ccserver.jobs.lifecycle import LifeCycleError
from ccserver.jobs.tags import TagError
from ccserver.jobs.wire import (
    JOB,
    METADATA,
    METADATA_REQUEST,
    REFERENCE,
    STOP,
    TAGS,
    MetadataEntry,
    decode_metadata,
    decode_metadata_request,
    decode_reference,
    decode_stop,
    decode_tags,
    encode_job,
)
from ccserver.model.job import Job, Tag
from ccserver.model.strict import INT64, TEXT, nullable
from ccserver.model.user import Principal
from ccserver.rest import documents
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.parsing import decoded, integer, path_id
from ccserver.rest.table import ID, MESSAGE, Operation, Parameter, Route, described
from ccserver.rest.web import Call
from ccserver.site import Site

# ---- life cycle


async def start_job(call: Call) -> Response:
    status, body = await call.web.job_writes.start(await call.body(), call.principal)
    return json_answer(body, status)


async def stop_job(call: Call) -> Response:
    status, body = await call.web.job_writes.stop(await call.body(), call.principal)
    return json_answer(body, status)


async def stop_job_by_id(call: Call, id: str) -> Response:
    number = path_id(id)
    stop = decoded(functools.partial(decode_stop, job_id_required=False), await call.body())
    try:
        job = await _stopped(call, call.site.life_cycle.stop_by_id, number, stop, call.principal)
    except HttpError as error:  # clients of this route know an unknown job as 422
        raise HttpError(422 if error.status == 404 else error.status, error.message) from None
    return json_answer(encode_job(job))


async def _stopped(call: Call, work: Callable[..., Job], *args: Any) -> Job:
    """Stopping waits while the archiving queue is full: in threads of its own, so that nobody else does."""
    try:
        return await trio.to_thread.run_sync(
            work, *args, abandon_on_cancel=True, limiter=call.web.job_writes.stopping
        )
    except LifeCycleError as error:
        raise HttpError(error.status, str(error)) from None


async def archive_again(call: Call, id: str) -> Response:
    number = path_id(id)
    return json_answer(encode_job(await _stopped(call, call.site.life_cycle.archive_again, number)))


async def archiving(call: Call) -> Response:
    state = call.site.life_cycle.archiving
    return json_answer(
        {
            "waiting": state.waiting,
            "limit": state.limit,
            "current": state.current,
            "retrying": state.retrying,
            "untagging": state.untagging,
            "archived": state.archived,
            "failed": state.failed,
            "lastError": state.last_error,
        }
    )


# ---- tags and metadata


async def add_tags(call: Call, id: str) -> Response:
    number = _tagged_id(id)
    tags = decoded(decode_tags, await call.body())

    def work() -> Job:
        job = _job_to_tag(call.site, call.principal, number)
        before = call.site.jobs.tags_of([number], call.principal)[number]
        try:
            added = call.site.tags.attach(job, tags, call.principal)
        except TagError as error:
            raise HttpError(500, f"adding tag failed: {error}") from None
        job.tags = _joined(before, tags, added)
        return job

    return json_answer(encode_job(await call.run(work)))


def _joined(before: Sequence[Tag], asked: Sequence[Tag], added: Sequence[Tag]) -> list[Tag]:
    """Tags the job had, then the new ones as they were asked for."""
    joined = {tag.id: tag for tag in before}
    for sent, stored in zip(asked, added, strict=True):
        joined.setdefault(stored.id, Tag(stored.type, stored.name, sent.scope, stored.id))
    return list(joined.values())


async def remove_tags(call: Call, id: str) -> Response:
    number = _tagged_id(id)
    tags = decoded(decode_tags, await call.body())

    def work() -> Job:
        job = _job_to_tag(call.site, call.principal, number)
        try:
            call.site.tags.detach(job, tags, call.principal)
        except TagError as error:
            raise HttpError(500, f"removing tag failed: {error}") from None
        job.tags = list(call.site.jobs.tags_of([number], call.principal)[number])
        return job

    return json_answer(encode_job(await call.run(work)))


def _tagged_id(id: str) -> int:
    return integer(id, f"parsing job ID failed: {id!r} is no integer")


def _job_to_tag(site: Site, viewer: Principal, number: int) -> Job:
    job = site.jobs.find(number, viewer)
    if job is None:
        raise HttpError(404, f"finding job failed: no job with db id {number}")
    return job


async def delete_tags(call: Call) -> Response:
    tags = decoded(decode_tags, await call.body())
    try:
        # Like stopping a job: waits while the archiver has too much to do.
        done = await trio.to_thread.run_sync(
            call.site.life_cycle.delete_tags,
            tags,
            call.principal,
            abandon_on_cancel=True,
            limiter=call.web.job_writes.stopping,
        )
    except TagError as error:
        raise HttpError(500, f"removing tag failed: {error}") from None
    return text_answer(f"Deleted Tags from DB: {done} successfull of {len(tags)} requested\n")


async def edit_meta(call: Call, id: str) -> Response:
    number = path_id(id)
    entry = decoded(decode_metadata, await call.body())
    return await call.run(_edit_meta, call.site, call.principal, number, entry, 404)


async def edit_meta_by_request(call: Call) -> Response:
    wanted, entry = decoded(decode_metadata_request, await call.body())
    job = await call.run(
        call.site.jobs.find_by, wanted.job_id, wanted.cluster, wanted.start_time, call.principal
    )
    if job is None:
        raise HttpError(422, f"finding job failed: no job with number {wanted.job_id}")
    return await call.run(_edit_meta, call.site, call.principal, job.id, entry, 422)


def _edit_meta(site: Site, viewer: Principal, number: int, entry: MetadataEntry, missing: int) -> Response:
    if site.jobs.find(number, viewer) is None:
        raise HttpError(missing, f"finding job failed: no job with db id {number}")
    try:
        return json_answer(encode_job(site.life_cycle.set_metadata(number, entry.key, entry.value)))
    except LifeCycleError as error:
        raise HttpError(missing if error.status == 404 else error.status, str(error)) from None


# ---- deletion


async def delete_job(call: Call, id: str) -> Response:
    number = path_id(id)
    await call.run(call.site.jobs.delete, number)
    return json_answer({"msg": f"Successfully deleted job {number}"})


async def delete_job_by_request(call: Call) -> Response:
    wanted = decoded(decode_reference, await call.body())
    job = await call.run(call.site.jobs.find_by, wanted.job_id, wanted.cluster, wanted.start_time)
    if job is None:
        raise HttpError(422, f"finding job failed: no job with number {wanted.job_id}")
    await call.run(call.site.jobs.delete, job.id)
    return json_answer({"msg": f"Successfully deleted job {job.id}"})


async def delete_jobs_before(call: Call, ts: str) -> Response:
    before = integer(ts, f"integer expected in path for ts: {ts}")
    omit = request.args.get("omit-tagged", "none")
    if omit not in ("none", "all", "user"):
        raise HttpError(400, "omit-tagged must be one of: none, all, user")
    count = await call.run(call.site.jobs.delete_before, before, omit_tagged=omit)
    return json_answer({"msg": f"Successfully deleted {count} jobs"})


def over_rest(config: Config) -> bool:
    return config.main.api_subjects is None


_WITHOUT_NATS = "jobs are not started over NATS (`main.api-subjects` is absent)"
_BODY = "the body cannot be read"
_STOP_ERRORS = {
    400: "the body cannot be read, `stopTime` lies before the start, or the state is no final one",
    404: "there is no such job",
    422: "the job has been stopped already",
    500: "the database refuses",
}
_TAG_DETAILS = "Scopes: `global` (also when empty), `admin`, or the caller's own name for a private tag."
_START = Operation(
    "Start a job",
    {201: described("Started", {"msg": TEXT, "id": ID})},
    {
        400: "the body cannot be read or the job fails a check",
        422: "a job of that number and cluster started less than a day before",
        500: "the database refuses, or a tag could not be added (the job stays)",
    },
    body=JOB,
)
_STOP = Operation("Stop the newest job of that number", {200: documents.JOB}, _STOP_ERRORS, body=STOP)
_STOP_BY_ID = Operation(
    "Stop a job by database id (clients up to 1.3)",
    {200: documents.JOB},
    {
        **{key: text for key, text in _STOP_ERRORS.items() if key != 404},
        422: "stopped already, or no such job",
    },
    body=STOP,
    path={"id": ID},
)
_ARCHIVING = Operation(
    "What the archiving of stopped jobs does",
    {
        200: described(
            "Archiving",
            {
                "waiting": {**INT64, "description": "jobs in the queue"},
                "limit": {**INT64, "description": "length at which stopping a job waits"},
                "current": nullable(ID),
                "retrying": {**INT64, "description": "jobs that wait for another attempt"},
                "untagging": {**INT64, "description": "archive entries that still name a deleted tag"},
                "archived": {**INT64, "description": "since the start of the server"},
                "failed": {**INT64, "description": "since the start of the server"},
                "lastError": TEXT,
            },
        )
    },
)
_ARCHIVE_AGAIN = Operation(
    "Archive a job again whose archiving failed (monitoring status 2)",
    {200: documents.JOB},
    {400: "the id is no integer", 404: "there is no such job", 422: "its archiving has not failed"},
    path={"id": ID},
    details="Its samples must still be in the metric store.",
)
_ADD_TAGS = Operation(
    "Add tags to a job, creating unknown ones",
    {200: documents.JOB},
    {
        400: f"the id is no integer or {_BODY}",
        404: "there is no such job",
        500: "the caller may not write that scope",
    },
    body=TAGS,
    path={"id": ID},
    details=_TAG_DETAILS,
)
_REMOVE_TAGS = Operation(
    "Remove tags from a job; private ones are skipped",
    {200: documents.JOB},
    {400: f"the id is no integer or {_BODY}", 404: "there is no such job", 500: "there is no such tag"},
    body=TAGS,
    path={"id": ID},
)
_DELETE_TAGS = Operation(
    "Delete tags everywhere; private ones are skipped",
    {200: "text/plain"},
    {400: _BODY, 500: "there is no such tag"},
    body=TAGS,
    details="Entries of the job archive follow in the background, `GET /api/archiver/` counts them.",
)
_META = Operation(
    "Add or overwrite one key of a job's metadata",
    {200: documents.JOB},
    {
        400: f"the id is no integer or {_BODY}",
        404: "there is no such job",
        500: "the archive entry cannot be written",
    },
    body=METADATA,
    path={"id": ID},
)
_META_BY_REQUEST = Operation(
    "Add or overwrite one key of the metadata of the newest job of that number",
    {200: documents.JOB},
    {400: _BODY, 422: "there is no such job", 500: "the archive entry cannot be written"},
    body=METADATA_REQUEST,
)
_DELETE = Operation(
    "Delete a job from the database; its archive entry stays",
    {200: MESSAGE},
    {400: "the id is no integer"},
    path={"id": ID},
    details="Deleting a job that does not exist succeeds.",
)
_DELETE_BY_REQUEST = Operation(
    "Delete the newest job of that number",
    {200: MESSAGE},
    {400: _BODY, 422: "there is no such job"},
    body=REFERENCE,
)
_DELETE_BEFORE = Operation(
    "Delete jobs started before a moment, unix seconds",
    {200: MESSAGE},
    {400: "`ts` is no integer, or `omit-tagged` none of its values"},
    query=(
        Parameter(
            "omit-tagged",
            "`all` spares tagged jobs, `user` those with a tag that no automatic tagger set",
            {"enum": ["none", "all", "user"]},
        ),
    ),
    path={"ts": INT64},
)

ROUTES = (
    Route("/api/jobs/start_job/", "POST PUT", Group.API, start_job, _START, over_rest, _WITHOUT_NATS),
    Route("/api/jobs/stop_job/", "POST PUT", Group.API, stop_job, _STOP, over_rest, _WITHOUT_NATS),
    Route(
        "/api/jobs/stop_job/<id>",
        "POST PUT",
        Group.API,
        stop_job_by_id,
        _STOP_BY_ID,
        over_rest,
        _WITHOUT_NATS,
    ),
    Route("/api/jobs/tag_job/<id>", "POST PATCH", Group.API, add_tags, _ADD_TAGS),
    Route("/api/jobs/tag_job/<id>", "DELETE", Group.API, remove_tags, _REMOVE_TAGS),
    Route("/api/tags/", "DELETE", Group.API, delete_tags, _DELETE_TAGS),
    Route("/api/jobs/edit_meta/<id>", "PATCH POST", Group.API, edit_meta, _META),
    Route("/api/jobs/edit_meta/", "PATCH POST", Group.API, edit_meta_by_request, _META_BY_REQUEST),
    Route("/api/jobs/delete_job/<id>", "DELETE", Group.API, delete_job, _DELETE),
    Route("/api/jobs/delete_job/", "DELETE", Group.API, delete_job_by_request, _DELETE_BY_REQUEST),
    Route("/api/jobs/delete_job_before/<ts>", "DELETE", Group.API, delete_jobs_before, _DELETE_BEFORE),
    Route("/api/archiver/", "GET", Group.API, archiving, _ARCHIVING),
    Route("/api/archiver/<id>", "POST", Group.API, archive_again, _ARCHIVE_AGAIN),
)
