"""Routes of jobs: listing, reading, starting, stopping, tagging, deleting. Source: spec/rest-api.md 3."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from quart import Response, request
from werkzeug.exceptions import NotFound

from ccserver.archive import ArchiveError
from ccserver.auth.guards import Group
from ccserver.jobs.filters import InvisibleJobs, JobFilter, Order, StringInput, TimeRange
from ccserver.jobs.lifecycle import LifeCycleError
from ccserver.jobs.tags import TagError
from ccserver.jobs.wire import (
    WireError,
    decode_job,
    decode_reference,
    decode_stop,
    decode_tags,
    encode_job,
)
from ccserver.metricdata import MetricDataError
from ccserver.model.job import JOB_STATES, MONITORING_ARCHIVED, Job
from ccserver.model.metrics import SCOPES, JobData
from ccserver.model.strict import array, fields, int64, parse_json, text
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.metrics import encode_job_data, encode_job_metric
from ccserver.rest.web import Call, Routes
from ccserver.site import Site

_log = logging.getLogger(__name__)

Value = TypeVar("Value")

_DEFAULT_ITEMS = 25
_LIST_PARAMETERS = {"state", "cluster", "project", "start-time", "items-per-page", "page", "with-metadata"}


def register(routes: Routes) -> None:
    for prefix, group in (("/api", Group.API), ("/userapi", Group.USER_API)):
        routes.add(f"{prefix}/jobs/", "GET", group, list_jobs)
        routes.add(f"{prefix}/jobs/<id>", "GET", group, one_job)
        routes.add(f"{prefix}/jobs/<id>", "POST", group, one_job_with_metrics)
        routes.add(f"{prefix}/jobs/metrics/<id>", "GET", group, job_metrics)
    routes.add("/api/jobs/used_nodes", "GET", Group.API, used_nodes)
    routes.add("/api/jobs/tag_job/<id>", "POST PATCH", Group.API, add_tags)
    routes.add("/api/jobs/tag_job/<id>", "DELETE", Group.API, remove_tags)
    routes.add("/api/tags/", "DELETE", Group.API, delete_tags)
    routes.add("/api/jobs/edit_meta/<id>", "POST PATCH", Group.API, edit_meta)
    routes.add("/api/jobs/edit_meta/", "POST PATCH", Group.API, edit_meta_by_request)
    routes.add("/api/jobs/delete_job/<id>", "DELETE", Group.API, delete_job)
    routes.add("/api/jobs/delete_job/", "DELETE", Group.API, delete_job_by_request)
    routes.add("/api/jobs/delete_job_before/<ts>", "DELETE", Group.API, delete_jobs_before)
    if routes.web.site.config.main.api_subjects is None:
        routes.add("/api/jobs/start_job/", "POST PUT", Group.API, start_job)
        routes.add("/api/jobs/stop_job/", "POST PUT", Group.API, stop_job)
        routes.add("/api/jobs/stop_job/<id>", "POST PUT", Group.API, stop_job_by_id)
    else:  # without these, the names would be taken for database ids
        for path in ("start_job/", "stop_job/", "stop_job/<id>"):
            routes.open(f"/api/jobs/{path}", "POST PUT", _not_offered)


# ---- reading


async def list_jobs(call: Call) -> Response:
    for key in request.args:
        if key not in _LIST_PARAMETERS:
            raise HttpError(400, f"invalid query parameter: {key}")
    items, page = _count("items-per-page", _DEFAULT_ITEMS), _count("page", 1)
    with_metadata = request.args.get("with-metadata", "false", type=str).lower() not in ("false", "0")
    try:
        jobs = await call.run(
            _listed, call.site, call.principal, filters_of_query(), page, items, with_metadata
        )
    except InvisibleJobs as error:
        raise HttpError(500, str(error)) from None
    return json_answer({"jobs": [encode_job(job) for job in jobs], "items": items, "page": page})


def _listed(
    site: Site, viewer: Principal, filters: Sequence[JobFilter], page: int, items: int, with_metadata: bool
) -> list[Job]:
    order = Order("startTime", order="DESC")
    jobs = site.jobs.list(filters, viewer, order, page, min(items, 2**62), with_metadata=with_metadata)
    tags = site.jobs.tags_of([job.id for job in jobs], viewer)
    for job in jobs:
        job.tags = list(tags[job.id])
        if job.monitoring_status == MONITORING_ARCHIVED:
            try:
                job.statistics = site.archive.load_meta(job.cluster, job.job_id, job.start_time).statistics
            except ArchiveError as error:
                _log.warning("statistics of job %d: %s", job.id, error)
    return jobs


def _count(name: str, default: int) -> int:
    raw = request.args.get(name)
    if raw is None:
        return default
    value = integer(raw, f"invalid query parameter value: {name}")
    if value < 1:
        raise HttpError(400, f"{name} must be >= 1")
    return value


def filters_of_query() -> list[JobFilter]:
    filters: list[JobFilter] = []
    if states := request.args.getlist("state"):
        if any(state not in JOB_STATES for state in states):
            raise HttpError(400, "invalid query parameter value: state")
        filters.append(JobFilter(state=states))
    if "cluster" in request.args:
        filters.append(JobFilter(cluster=StringInput(eq=request.args["cluster"])))
    if "project" in request.args:
        filters.append(JobFilter(project=StringInput(eq=request.args["project"])))
    if "start-time" in request.args:
        parts = request.args["start-time"].split("-")
        if len(parts) != 2:
            raise HttpError(400, "invalid query parameter value: startTime")
        first, last = (integer(part, "invalid query parameter value: startTime") for part in parts)
        filters.append(JobFilter(start_time=TimeRange(first, last)))
    return filters


async def one_job(call: Call, id: str) -> Response:
    number = decoded_id(id)
    with_data = request.args.get("all-metrics") == "true"
    return await call.run(_one_job, call.site, call.principal, number, with_data)


def _one_job(site: Site, viewer: Principal, number: int, with_data: bool) -> Response:
    job = found_job(site, viewer, number)
    data = encode_job_data(_data(site, job, None)) if with_data else None
    return json_answer({"Meta": encode_job(job), "Data": data})


async def one_job_with_metrics(call: Call, id: str) -> Response:
    number = decoded_id(id)
    body = await call.body()
    return await call.run(_one_job_with_metrics, call.site, call.principal, number, body)


def _one_job_with_metrics(site: Site, viewer: Principal, number: int, body: bytes) -> Response:
    job = found_job(site, viewer, number)
    try:
        parsed = parse_json(body)
        metrics = None if parsed is None else array(text)(parsed, "")
    except WireError as error:
        raise HttpError(400, f"decoding request failed: {error}") from None
    data = {} if metrics == [] else _data(site, job, metrics)
    entries = [
        {"metric": encode_job_metric(one), "name": name, "scope": scope} for name, scope, one in _flat(data)
    ]
    return json_answer({"Meta": encode_job(job), "Data": entries})


def found_job(site: Site, viewer: Principal, number: int) -> Job:
    try:
        job = site.jobs.find(number, viewer, with_metadata=True)
    except InvisibleJobs as error:
        raise HttpError(422, f"finding job with db id {number} failed: {error}") from None
    if job is None:
        raise HttpError(422, f"finding job with db id {number} failed: no such job")
    job.tags = list(site.jobs.tags_of([job.id], viewer)[job.id])
    return job


def _data(site: Site, job: Job, metrics: Sequence[str] | None) -> JobData:
    cluster = site.clusters.by_name.get(job.cluster)
    known = cluster.metrics if cluster else {}
    wanted = None if metrics is None else [name for name in metrics if name in known]
    resolution = max((metric.timestep for metric in known.values()), default=0)
    scope = "core" if job.num_nodes == 1 else "node"
    try:
        return site.metric_data.job_data(job, wanted, [scope], resolution)
    except (MetricDataError, ArchiveError) as error:
        raise HttpError(500, f"loading metric data failed: {error}") from None


def _flat(data: JobData) -> Iterator[tuple[str, str, Any]]:
    for name, scopes in data.items():
        for scope, metric in scopes.items():
            yield name, scope, metric


async def job_metrics(call: Call, id: str) -> Response:
    """Always 200 but for an unknown scope: errors travel in the body, as GraphQL's did."""
    scopes = request.args.getlist("scope")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise HttpError(400, f"unmarshaling scope failed: {unknown[0]!r} is no valid scope")
    metrics = request.args.getlist("metric")
    try:
        number = int(id)
        data = await call.run(_all_metrics, call.site, call.principal, number, metrics, scopes)
    except ValueError:
        return json_answer({"data": None, "error": {"message": f"integer expected in path for id: {id}"}})
    except (LookupError, MetricDataError, ArchiveError, InvisibleJobs) as error:
        return json_answer({"data": None, "error": {"message": str(error.args[0] if error.args else error)}})
    return json_answer(data)


def _all_metrics(site: Site, viewer: Principal, number: int, metrics: list[str], scopes: list[str]) -> bytes:
    import orjson

    job = site.jobs.find(number, viewer)
    if job is None:
        raise LookupError(f"finding job with db id {number} failed: no such job")
    resampling = site.config.main.resampling
    resolution = max(resampling.resolutions, default=0) if resampling else 0
    wanted = scopes or (["node"] if job.reads_store else None)
    data = site.metric_data.job_data(job, metrics or None, wanted, resolution)
    entries = [
        {"name": name, "scope": scope, "metric": encode_job_metric(one)} for name, scope, one in _flat(data)
    ]
    body = {"data": {"jobMetrics": entries}, "error": None}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


async def used_nodes(call: Call) -> Response:
    if "api" not in call.principal.roles:
        raise HttpError(403, "missing role: api")
    if not (raw := request.args.get("ts", "")):
        raise HttpError(400, "missing required query parameter: ts")
    before = integer(raw, f"invalid timestamp format: {raw}")
    return json_answer({"usedNodes": await call.run(call.site.jobs.used_nodes, before)})


# ---- life cycle


async def start_job(call: Call) -> Response:
    job = _decoded(decode_job, await call.body())
    started = await _changed(call, call.site.life_cycle.start, job, call.principal)
    return json_answer({"msg": "success", "id": started.id}, 201)


async def stop_job(call: Call) -> Response:
    stop = _decoded(decode_stop, await call.body())
    return json_answer(encode_job(await _changed(call, call.site.life_cycle.stop, stop, call.principal)))


async def stop_job_by_id(call: Call, id: str) -> Response:
    number = decoded_id(id)
    stop = _decoded(functools.partial(decode_stop, job_id_required=False), await call.body())
    try:
        job = await call.run(call.site.life_cycle.stop_by_id, number, stop, call.principal)
    except LifeCycleError as error:  # clients of this route know an unknown job as 422
        raise HttpError(422 if error.status == 404 else error.status, str(error)) from None
    return json_answer(encode_job(job))


async def _not_offered(**_: str) -> Response:
    """Jobs are started and stopped over NATS only."""
    raise NotFound


async def _changed(call: Call, work: Callable[..., Job], *args: Any) -> Job:
    try:
        return await call.run(work, *args)
    except LifeCycleError as error:
        raise HttpError(error.status, str(error)) from None


# ---- tags and metadata


async def add_tags(call: Call, id: str) -> Response:
    return await _retagged(call, id, call.site.tags.attach, "adding tag failed")


async def remove_tags(call: Call, id: str) -> Response:
    return await _retagged(call, id, call.site.tags.detach, "removing tag failed")


async def _retagged(call: Call, id: str, change: Callable[..., Any], failure: str) -> Response:
    number = integer(id, f"parsing job ID failed: {id!r} is no integer")
    tags = _decoded(decode_tags, await call.body())

    def work() -> Job:
        job = call.site.jobs.find(number, call.principal)
        if job is None:
            raise HttpError(404, f"finding job failed: no job with db id {number}")
        try:
            change(job, tags, call.principal)
        except TagError as error:
            raise HttpError(500, f"{failure}: {error}") from None
        job.tags = list(call.site.jobs.tags_of([number], call.principal)[number])
        return job

    return json_answer(encode_job(await call.run(work)))


async def delete_tags(call: Call) -> Response:
    tags = _decoded(decode_tags, await call.body())
    try:
        done = await call.run(call.site.tags.delete, tags, call.principal)
    except TagError as error:
        raise HttpError(500, f"removing tag failed: {error}") from None
    return text_answer(f"Deleted Tags from DB: {done} successfull of {len(tags)} requested\n")


async def edit_meta(call: Call, id: str) -> Response:
    number = decoded_id(id)
    payload = _decoded(_decode_payload, await call.body())
    return await call.run(_edit_meta, call.site, call.principal, number, payload, 404)


async def edit_meta_by_request(call: Call) -> Response:
    body = await call.body()

    def decode(raw: bytes) -> tuple[int, str | None, int | None, dict[str, str]]:
        known = {"jobId": int64, "cluster": text, "startTime": int64, "payload": _payload}
        found = fields(parse_json(raw), "", known)
        if "jobId" not in found:
            raise WireError("the field 'jobId' is required")
        if "payload" not in found:
            raise WireError("the field 'payload' is required")
        return found["jobId"], found.get("cluster"), found.get("startTime"), found["payload"]

    job_id, cluster, start_time, payload = _decoded(decode, body)
    job = await call.run(call.site.jobs.find_by, job_id, cluster, start_time, call.principal)
    if job is None:
        raise HttpError(422, f"finding job failed: no job with number {job_id}")
    return await call.run(_edit_meta, call.site, call.principal, job.id, payload, 422)


def _edit_meta(site: Site, viewer: Principal, number: int, payload: dict[str, str], missing: int) -> Response:
    if site.jobs.find(number, viewer) is None:
        raise HttpError(missing, f"finding job failed: no job with db id {number}")
    try:
        return json_answer(encode_job(site.life_cycle.set_metadata(number, payload["key"], payload["value"])))
    except LifeCycleError as error:
        raise HttpError(missing if error.status == 404 else error.status, str(error)) from None


def _payload(value: Any, place: str) -> dict[str, str]:
    found = fields(value, place, {"key": text, "value": text})
    if not found.get("key"):
        raise WireError(f"{place}/key: is missing")
    return {"key": found["key"], "value": found.get("value", "")}


def _decode_payload(body: bytes) -> dict[str, str]:
    return _payload(parse_json(body), "")


# ---- deletion


async def delete_job(call: Call, id: str) -> Response:
    number = decoded_id(id)
    await call.run(call.site.jobs.delete, number)
    return json_answer({"msg": f"Successfully deleted job {number}"})


async def delete_job_by_request(call: Call) -> Response:
    wanted = _decoded(decode_reference, await call.body())
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


# ---- decoding


def _decoded(decode: Callable[[bytes], Value], body: bytes) -> Value:
    try:
        return decode(body)
    except WireError as error:
        raise HttpError(400, f"parsing request body failed: {error}") from None


def decoded_id(raw: str) -> int:
    return integer(raw, f"integer expected in path for id: {raw}")


def integer(raw: str, otherwise: str) -> int:
    digits = raw.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise HttpError(400, otherwise)
    return int(raw)
