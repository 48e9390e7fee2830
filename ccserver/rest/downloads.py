"""Files that the pages offer: the jobs of a list, what was measured of a job.

Contract: spec/web-ui.md 3.6, 9.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.jobs import sheet
from ccserver.jobs.export import Selection, metrics_json
from ccserver.jobs.filter_query import KEYS, InvalidFilter, job_filters
from ccserver.jobs.filters import InvisibleJobs
from ccserver.metricdata import MetricDataError
from ccserver.model.metrics import SCOPES, JobData
from ccserver.model.strict import INT64
from ccserver.rest.answers import HttpError
from ccserver.rest.export import MOST_EXPORTS, exporter_of, streamed
from ccserver.rest.jobs import found_job
from ccserver.rest.parsing import integer, path_id
from ccserver.rest.table import ID, Operation, Parameter, Route
from ccserver.rest.web import Call


async def jobs_csv(call: Call) -> Response:
    return await _jobs(call, "csv")


async def jobs_json(call: Call) -> Response:
    return await _jobs(call, "json")


async def _jobs(call: Call, kind: str) -> Response:
    try:
        filters = job_filters(request.args.to_dict(flat=False))
    except InvalidFilter as error:
        raise HttpError(400, f"invalid query parameter value: {error}") from None
    columns, names = _columns(call), call.names
    filters = await call.run(names.filters, filters)
    try:
        _count, last = await call.run(call.site.jobs.extent, filters, call.principal)
    except InvisibleJobs as error:
        raise HttpError(422, str(error)) from None
    jobs = map(names.job, exporter_of(call).jobs(filters, call.principal, -1, -1 if last is None else last))
    make = sheet.jobs_csv if kind == "csv" else sheet.jobs_json
    return streamed(call.web.exports, lambda: make(jobs, columns), kind, f"jobs.{kind}", {})


def _columns(call: Call) -> Sequence[str]:
    known = [*sheet.COLUMNS, *sheet.footprint_columns(call.site.clusters)]
    wanted = _listed("columns")
    if unknown := [name for name in wanted if name not in known]:
        raise HttpError(400, f"invalid query parameter value: there is no column {unknown[0][:100]!r}")
    return wanted or known


async def metrics_csv(call: Call, id: str) -> Response:
    return await _metrics(call, id, "csv")


async def metrics_json_file(call: Call, id: str) -> Response:
    return await _metrics(call, id, "json")


async def _metrics(call: Call, id: str, kind: str) -> Response:
    job = await call.run(found_job, call.site, call.principal, path_id(id))
    metrics, scopes = _visible_metrics(call, _listed("metrics")), _listed("scopes")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise HttpError(400, f"unmarshaling scope failed: {unknown[0][:100]!r} is no valid scope")
    resolution = integer(request.args.get("resolution", "0"), "invalid query parameter value: resolution")
    if resolution < 0:
        raise HttpError(400, "resolution must be >= 0")

    def read() -> JobData:
        return call.names.data(call.site.metric_data.job_data(job, metrics, scopes or ["node"], resolution))

    try:
        data = await call.run(read)
    except MetricDataError as error:
        raise HttpError(422, str(error)) from None
    name = _file_name(job.cluster, job.job_id, f"metrics.{kind}")
    if kind == "csv":
        return streamed(call.web.exports, lambda: sheet.metrics_csv(job.start_time, data), kind, name, {})
    return streamed(call.web.exports, lambda: metrics_json(data), kind, name, {})


async def whole_job(call: Call, id: str) -> Response:
    """Everything that is known of a job and was measured of it: much of that is free text."""
    job = await call.run(found_job, call.site, call.principal, path_id(id))
    selection = Selection(_visible_metrics(call, []), None)
    pieces = await call.run(exporter_of(call).json_of_one, job, selection)
    name = _file_name(job.cluster, job.job_id, "job.json")
    return streamed(call.web.exports, lambda: pieces, "json", name, {})


def _visible_metrics(call: Call, wanted: Sequence[str]) -> list[str]:
    """The metrics asked for, none for all, without those that the pages do not show to the caller."""
    restricted = not call.principal.sees_restricted_metrics
    shown = [metric.name for metric in call.site.clusters.global_metrics(restricted=restricted)]
    return [name for name in shown if not wanted or name in wanted]


def _listed(name: str) -> list[str]:
    """Values of a parameter that is repeated, or lists them with commas."""
    return [value for text in request.args.getlist(name) for value in text.split(",") if value]


def _file_name(cluster: str, job_id: int, rest: str) -> str:
    return re.sub(r"[^\w.-]+", "-", f"{cluster}-{job_id}-{rest}", flags=re.ASCII)


_KINDS = {"csv": "text/csv", "json": "application/json"}
_BUSY = {503: f"{MOST_EXPORTS} exports run already"}
_JOB_ERRORS = {400: "a value that cannot be", 422: "there is no such job, or it has no data", **_BUSY}


def _jobs_operation(kind: str) -> Operation:
    return Operation(
        f"The jobs of a list as {kind.upper()}",
        {200: (_KINDS[kind],)},
        {400: "a value that cannot be", 422: "the caller's roles show no jobs", **_BUSY},
        query=(
            *(Parameter(key, "as in the address of the page", repeatable=True) for key in KEYS),
            Parameter("columns", "names with commas between; none: all", repeatable=True),
        ),
        details="Jobs that the caller may see, by rising database id. In CSV, a text that a spreadsheet "
        "would take for a formula gets a `'` in front.",
    )


def _metrics_operation(kind: str) -> Operation:
    return Operation(
        f"What was measured of a job as {kind.upper()}",
        {200: (_KINDS[kind],)},
        _JOB_ERRORS,
        query=(
            Parameter("metrics", "names with commas between; none: all the pages show", repeatable=True),
            Parameter("scopes", "with commas between; none: `node`", repeatable=True),
            Parameter("resolution", "seconds per point; 0, the default: as measured", INT64),
        ),
        path={"id": ID},
        details="CSV has a line per sample." if kind == "csv" else "",
    )


_WHOLE = Operation(
    "A job and all that was measured of it as one JSON file",
    {200: ("application/json",)},
    _JOB_ERRORS,
    path={"id": ID},
)
_LIST, _JOB = "/frontend/export/jobs", "/frontend/export/job/<id>"

ROUTES = (
    Route(f"{_LIST}.csv", "GET", Group.FRONTEND, jobs_csv, _jobs_operation("csv"), presentable=True),
    Route(f"{_LIST}.json", "GET", Group.FRONTEND, jobs_json, _jobs_operation("json"), presentable=True),
    Route(
        f"{_JOB}/metrics.csv", "GET", Group.FRONTEND, metrics_csv, _metrics_operation("csv"), presentable=True
    ),
    Route(
        f"{_JOB}/metrics.json",
        "GET",
        Group.FRONTEND,
        metrics_json_file,
        _metrics_operation("json"),
        presentable=True,
    ),
    Route(f"{_JOB}/job.json", "GET", Group.FRONTEND, whole_job, _WHOLE),
)
