"""Jobs as files: tar (a job archive), Parquet, CSV, JSON. Described in docs/export.md.

A generator of bytes is asked for its next piece in a worker thread, then the piece is sent, so a slow client
slows the reading down, and one that breaks off ends it.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import trio
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.jobs.export import Exporter, NotExportable, Selection, Table
from ccserver.jobs.filters import InvisibleJobs, JobFilter, StringInput
from ccserver.model.job import JOB_STATES, Job
from ccserver.model.metrics import SCOPES
from ccserver.model.strict import INT64
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError
from ccserver.rest.jobs import filters_of_query, found_job
from ccserver.rest.parsing import integer, path_id
from ccserver.rest.table import ID, Operation, Parameter, Route
from ccserver.rest.web import Call, Slots

MOST_EXPORTS = 8
"""At the same time: each may hold a job's data, which can be hundreds of megabytes."""

_CONTENT_TYPES = {
    "tar": "application/x-tar",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_PIECE = 256 * 1024  # bytes gathered before they are sent: jobs are small, and sending has a price
_OF_LIST = {"state", "cluster", "project", "start-time", "user", "tag", "after", "limit"}
_OF_BOTH = {"format", "table", "metric", "scope"}

Pieces = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class _Wanted:
    format: str
    table: Table
    selection: Selection

    @property
    def file_name(self) -> str:
        return f"{'jobs' if self.table == 'jobs' else 'samples'}.{self.format}"


def exporter_of(call: Call) -> Exporter:
    site = call.site
    return Exporter(site.jobs, site.archive, site.clusters, site.metric_data)


async def export_jobs(call: Call) -> Response:
    """All matching jobs by rising database id, `after` and `limit` cut it into parts."""
    _refuse_unknown(_OF_LIST | _OF_BOTH)
    wanted, exporter = _wanted(), exporter_of(call)
    after, limit = _number("after", -1, minimum=-1), _number("limit", None, minimum=1)
    viewer = call.principal
    filters = await call.run(_filters, call)
    assert after is not None
    try:
        count, last = await call.run(call.site.jobs.extent, filters, viewer, after=after, limit=limit)
    except InvisibleJobs as error:
        raise HttpError(500, str(error)) from None
    jobs = exporter.jobs(filters, viewer, after, -1 if last is None else last)
    cluster = request.args.get("cluster")
    clusters = [name for name in call.site.clusters.names() if cluster in (None, name)]
    make = partial(_pieces_of_list, exporter, jobs, viewer, clusters, wanted)
    headers = {"X-Export-Jobs": str(count)} | ({} if last is None else {"X-Export-Last": str(last)})
    name = "job-archive.tar" if wanted.format == "tar" else wanted.file_name
    return streamed(call.web.exports, make, wanted.format, name, headers)


async def export_job(call: Call, id: str) -> Response:
    _refuse_unknown(_OF_BOTH)
    wanted, exporter = _wanted(), exporter_of(call)
    job = await call.run(found_job, call.site, call.principal, path_id(id))
    try:
        pieces = await call.run(_pieces_of_one, exporter, job, call.principal, wanted)
    except NotExportable as error:
        raise HttpError(422, f"job {job.id} cannot be exported as tar: {error}") from None
    name = f"job-{job.job_id}.tar" if wanted.format == "tar" else f"job-{job.job_id}-{wanted.file_name}"
    return streamed(call.web.exports, lambda: pieces, wanted.format, name, {})


def _pieces_of_list(
    exporter: Exporter, jobs: Iterator[Job], viewer: Principal, clusters: Sequence[str], wanted: _Wanted
) -> Pieces:
    if wanted.format == "tar":
        return exporter.tar(jobs, viewer, clusters, wanted.selection)
    if wanted.format == "json":
        return exporter.json(jobs, wanted.selection)
    kind = cast(Literal["parquet", "csv"], wanted.format)
    return exporter.table(jobs, wanted.table, kind, wanted.selection)


def _pieces_of_one(exporter: Exporter, job: Job, viewer: Principal, wanted: _Wanted) -> Pieces:
    if wanted.format == "tar":
        return exporter.tar_of_one(job, viewer, wanted.selection)
    if wanted.format == "json":
        return exporter.json_of_one(job, wanted.selection)
    return _pieces_of_list(exporter, iter([job]), viewer, [], wanted)


def streamed(
    slots: Slots, make: Callable[[], Pieces], kind: str, name: str, headers: dict[str, str]
) -> Response:
    """A file that is made while it is sent."""
    if slots.used >= MOST_EXPORTS:
        raise HttpError(503, f"{MOST_EXPORTS} exports are under way, try again later")
    compressed = kind in ("csv", "json") and "gzip" in request.headers.get("Accept-Encoding", "").lower()
    response = Response(_sent(slots, make, compressed), content_type=_CONTENT_TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers.extend(headers)
    if kind in ("csv", "json"):
        response.headers["Vary"] = "Accept-Encoding"
    if compressed:
        response.headers["Content-Encoding"] = "gzip"
    response.timeout = None
    return response


async def _sent(slots: Slots, make: Callable[[], Pieces], compressed: bool) -> AsyncIterator[bytes]:
    slots.used += 1
    try:
        pieces = _gathered(make(), compressed)
        try:
            while piece := await trio.to_thread.run_sync(next, pieces, b""):
                yield piece
        finally:
            pieces.close()  # type: ignore[attr-defined]
    finally:
        slots.used -= 1


def _gathered(pieces: Pieces, compressed: bool) -> Iterator[bytes]:
    """The same bytes in pieces worth sending, gzipped if wanted."""
    packer = zlib.compressobj(1, wbits=31) if compressed else None
    gathered = bytearray()
    for piece in pieces:
        gathered += packer.compress(piece) if packer else piece
        if len(gathered) >= _PIECE:
            yield bytes(gathered)
            gathered.clear()
    if packer:
        gathered += packer.flush()
    if gathered:
        yield bytes(gathered)


# ---- the query


def _refuse_unknown(known: set[str]) -> None:
    for key in request.args:
        if key not in known:
            raise HttpError(400, f"invalid query parameter: {key}")


def _wanted() -> _Wanted:
    kind, table = request.args.get("format", "tar"), request.args.get("table", "samples")
    if kind not in _CONTENT_TYPES:
        raise HttpError(
            400, f"invalid query parameter value: format must be one of {', '.join(_CONTENT_TYPES)}"
        )
    if table not in ("samples", "jobs"):
        raise HttpError(400, "invalid query parameter value: table must be one of samples, jobs")
    if table == "jobs" and kind not in ("parquet", "csv"):
        raise HttpError(400, "invalid query parameter value: table goes with format=parquet and format=csv")
    scopes = request.args.getlist("scope")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise HttpError(400, f"unmarshaling scope failed: {unknown[0]!r} is no valid scope")
    return _Wanted(
        kind,
        cast(Table, table),
        Selection(request.args.getlist("metric") or None, scopes or None),
    )


def _number(name: str, default: int | None, minimum: int) -> int | None:
    raw = request.args.get(name)
    if raw is None:
        return default
    value = integer(raw, f"invalid query parameter value: {name}")
    if value < minimum:
        raise HttpError(400, f"{name} must be >= {minimum}")
    return value


def _filters(call: Call) -> list[JobFilter]:
    filters = filters_of_query()
    if "user" in request.args:
        filters.append(JobFilter(user=StringInput(eq=request.args["user"])))
    if tags := request.args.getlist("tag"):
        filters.append(JobFilter(tags=_tag_ids(call, tags)))
    return filters


def _tag_ids(call: Call, wanted: Sequence[str]) -> list[int]:
    """A tag is named by its id, as `type:name`, or by its name alone."""
    known = call.site.tags.list(call.principal)
    ids: list[int] = []
    for text in wanted:
        found = [tag.id for tag in known if text in (str(tag.id), f"{tag.type}:{tag.name}", tag.name)]
        if not found:
            raise HttpError(400, f"invalid query parameter value: there is no tag {text!r}")
        ids += found
    return ids


_KINDS = tuple(kind.split(";")[0] for kind in _CONTENT_TYPES.values())
_FORMAT = (
    Parameter("format", "default tar, a job archive", {"enum": list(_CONTENT_TYPES)}),
    Parameter("table", "of Parquet and CSV: one row per sample, or per job", {"enum": ["samples", "jobs"]}),
    Parameter("metric", "names; none: all", repeatable=True),
    Parameter("scope", "none: all", {"enum": list(SCOPES)}, repeatable=True),
)
_MANY = Operation(
    "Export jobs as a file, by rising database id",
    {200: _KINDS},
    {400: "an unknown parameter, or a value that cannot be", 503: f"{MOST_EXPORTS} exports run already"},
    query=(
        Parameter("state", "any of these states", {"enum": list(JOB_STATES)}, repeatable=True),
        Parameter("cluster", "exact name"),
        Parameter("project", "exact name"),
        Parameter("start-time", "`<from>-<to>`, unix seconds, both inclusive"),
        Parameter("user", "exact name"),
        Parameter("tag", "id, `type:name`, or name", repeatable=True),
        Parameter("after", "only jobs with a larger database id", INT64),
        Parameter("limit", "at most so many", {**INT64, "minimum": 1}),
        *_FORMAT,
    ),
    details="See [export.md](export.md). The type of the answer follows `format`.",
)
_SINGLE = Operation(
    "Export one job as a file",
    {200: _KINDS},
    {
        400: "the id is no integer, or a parameter cannot be",
        422: "there is no such job, or it cannot be exported in that format",
        503: f"{MOST_EXPORTS} exports run already",
    },
    query=_FORMAT,
    path={"id": ID},
)

ROUTES = tuple(
    Route(f"{prefix}/{path}", "GET", group, handler, operation)
    for prefix, group in (("/api", Group.API), ("/userapi", Group.USER_API))
    for path, handler, operation in (
        ("jobs/export", export_jobs, _MANY),
        ("jobs/<id>/export", export_job, _SINGLE),
    )
)
