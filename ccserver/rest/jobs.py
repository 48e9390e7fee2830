"""Routes that read jobs: lists, single jobs, their metric data. Source: spec/rest-api.md 3.2-3.6."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import orjson
from quart import Response, request

from ccserver.archive import ArchiveError
from ccserver.auth.guards import Group
from ccserver.jobs.filters import InvisibleJobs, JobFilter, StringInput, TimeRange
from ccserver.jobs.wire import encode_job
from ccserver.metricdata import MetricDataError
from ccserver.model.job import JOB_STATES, MONITORING_ARCHIVED, Job
from ccserver.model.metrics import SCOPES, JobData
from ccserver.model.strict import INT64, TEXT, array, nullable, parse_json, text
from ccserver.model.user import Principal
from ccserver.rest import documents
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.metrics import encode_job_data, encode_job_metric
from ccserver.rest.parsing import decoded, integer, path_id
from ccserver.rest.table import FLAG, ID, Operation, Parameter, Route, described, keyed, listed
from ccserver.rest.web import Call
from ccserver.site import Site

_log = logging.getLogger(__name__)

_DEFAULT_ITEMS = 25
_METRICS = array(text)


async def list_jobs(call: Call) -> Response:
    known = {parameter.name for parameter in _LIST.query}
    for key in request.args:
        if key not in known:
            raise HttpError(400, f"invalid query parameter: {key}")
    items, page = _count("items-per-page", _DEFAULT_ITEMS), _count("page", 1)
    with_metadata = request.args.get("with-metadata", "false").lower() not in ("false", "0")
    batches = _encoded(
        call.site,
        call.principal,
        call.site.jobs.newest_first(
            filters_of_query(), call.principal, page, items, with_metadata=with_metadata, batch=_BATCH
        ),
    )
    try:
        first: list[bytes] = await call.run(next, batches, [])
    except InvisibleJobs as error:
        raise HttpError(500, str(error)) from None
    end = b'],"items":%d,"page":%d}' % (items, page)
    if len(first) < _BATCH:
        return json_answer(b'{"jobs":[' + b",".join(first) + end)
    return Response(_streamed(call, first, batches, end), content_type="application/json")


def _encoded(site: Site, viewer: Principal, batches: Iterable[Sequence[Job]]) -> Iterator[list[bytes]]:
    """The jobs of each batch as JSON, with tags and, where archived, statistics."""
    for jobs in batches:
        tags = site.jobs.tags_of([job.id for job in jobs], viewer)
        for job in jobs:
            job.tags = list(tags[job.id])
            if job.monitoring_status == MONITORING_ARCHIVED:
                try:
                    job.statistics = site.archive.load_meta(
                        job.cluster, job.job_id, job.start_time
                    ).statistics
                except ArchiveError as error:
                    _log.warning("statistics of job %d: %s", job.id, error)
        yield [orjson.dumps(encode_job(job)) for job in jobs]


async def _streamed(
    call: Call, first: list[bytes], batches: Iterator[list[bytes]], end: bytes
) -> AsyncIterator[bytes]:
    """A page may hold all jobs there are: one batch after the other."""
    yield b'{"jobs":[' + b",".join(first)
    batch: list[bytes]
    while batch := await call.run(next, batches, []):
        yield b"," + b",".join(batch)
    yield end


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
    number = path_id(id)
    with_data = request.args.get("all-metrics") == "true"
    return await call.run(_one_job, call.site, call.principal, number, with_data)


def _one_job(site: Site, viewer: Principal, number: int, with_data: bool) -> Response:
    job = found_job(site, viewer, number)
    data = encode_job_data(_data(site, job, None)) if with_data else None
    return json_answer({"Meta": encode_job(job), "Data": data})


async def one_job_with_metrics(call: Call, id: str) -> Response:
    number = path_id(id)
    body = await call.body()
    return await call.run(_one_job_with_metrics, call.site, call.principal, number, body)


def _one_job_with_metrics(site: Site, viewer: Principal, number: int, body: bytes) -> Response:
    job = found_job(site, viewer, number)
    metrics = decoded(_decode_metrics, body, "decoding request failed")
    data = {} if metrics == [] else _data(site, job, metrics)
    entries = [
        {"metric": encode_job_metric(one), "name": name, "scope": scope} for name, scope, one in _flat(data)
    ]
    return json_answer({"Meta": encode_job(job), "Data": entries})


def _decode_metrics(body: bytes) -> list[str] | None:
    parsed = parse_json(body)
    return None if parsed is None else _METRICS.read(parsed, "")


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
        number = path_id(id)
        data = await call.run(_all_metrics, call.site, call.principal, number, metrics, scopes)
    except (HttpError, MetricDataError, ArchiveError, InvisibleJobs) as error:
        return json_answer({"data": None, "error": {"message": str(error)}})
    return json_answer(data)


def _all_metrics(site: Site, viewer: Principal, number: int, metrics: list[str], scopes: list[str]) -> bytes:
    job = site.jobs.find(number, viewer)
    if job is None:
        raise HttpError(422, f"finding job with db id {number} failed: no such job")
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


_BATCH = 500  # jobs read, encoded and sent at once
_FOUND = {400: "the id is no integer", 422: "there is no such job, or not for the caller"}
_NO_DATA = {500: "metric data could not be loaded"}
_LIST = Operation(
    "List jobs, newest first",
    {
        200: described(
            "JobPage",
            {
                "jobs": listed(documents.JOB),
                "items": {**INT64, "description": "the page size asked for"},
                "page": INT64,
            },
        )
    },
    {400: "an unknown parameter, or a value that cannot be"},
    query=(
        Parameter("state", "any of these states", {"enum": list(JOB_STATES)}, repeatable=True),
        Parameter("cluster", "exact name"),
        Parameter("project", "exact name"),
        Parameter(
            "start-time",
            "`<from>-<to>`, unix seconds, both inclusive",
            {**TEXT, "pattern": "^[0-9]{1,18}-[0-9]{1,18}$"},
        ),
        Parameter("items-per-page", "default 25, no upper bound", {**INT64, "minimum": 1}),
        Parameter("page", "default 1", {**INT64, "minimum": 1}),
        Parameter("with-metadata", "present: fill `metaData`; `false` and `0` do not"),
    ),
    details="`statistics` is filled for archived jobs. Tags are those the caller may see.",
)
_ONE = Operation(
    "One job, with all its metric data where asked",
    {
        200: described(
            "JobWithData",
            {
                "Meta": documents.JOB,
                "Data": nullable(keyed(keyed(documents.JOB_METRIC))),
            },
        )
    },
    {**_FOUND, **_NO_DATA},
    query=(Parameter("all-metrics", "`true` adds data: metric, then scope", FLAG),),
    path={"id": ID},
    details="Data has scope core for a job on one node, else scope node.",
)
_CHOSEN = Operation(
    "One job with chosen metrics",
    {200: described("JobWithMetrics", {"Meta": documents.JOB, "Data": listed(documents.NAMED_METRIC)})},
    {**_FOUND, 400: "the id is no integer, or the body no list of names", **_NO_DATA},
    body=_METRICS,
    path={"id": ID},
    details="The body is a list of metric names; `[]` means no data, `null` all metrics.",
)
_METRIC_DATA = Operation(
    "Metric data of one job in all scopes",
    {
        200: described(
            "JobMetricsAnswer",
            {
                "data": nullable(described("", {"jobMetrics": listed(documents.NAMED_METRIC)})),
                "error": nullable(described("", {"message": TEXT})),
            },
        )
    },
    {400: "an unknown scope"},
    query=(
        Parameter("metric", "names; none: all", repeatable=True),
        Parameter(
            "scope",
            "none: node of a running job, all of an archived one",
            {"enum": list(SCOPES)},
            repeatable=True,
        ),
    ),
    path={"id": ID},
    details="Errors of the job or its data come with status 200 and an `error`.",
)
_USED = Operation(
    "Hosts in use by running jobs",
    {200: described("UsedNodes", {"usedNodes": keyed(listed(TEXT))})},
    {400: "`ts` is missing or no integer", 403: "the caller lacks the role api"},
    query=(Parameter("ts", "count jobs started before, unix seconds", INT64, required=True),),
)

ROUTES = (
    *(
        Route(f"{prefix}/{path}", method, group, handler, operation)
        for prefix, group in (("/api", Group.API), ("/userapi", Group.USER_API))
        for path, method, handler, operation in (
            ("jobs/", "GET", list_jobs, _LIST),
            ("jobs/<id>", "GET", one_job, _ONE),
            ("jobs/<id>", "POST", one_job_with_metrics, _CHOSEN),
            ("jobs/metrics/<id>", "GET", job_metrics, _METRIC_DATA),
        )
    ),
    Route("/api/jobs/used_nodes", "GET", Group.API, used_nodes, _USED),
)
