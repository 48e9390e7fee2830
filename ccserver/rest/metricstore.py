"""Routes of the metric store beside `write`: query, free, debug, healthcheck.

Source: spec/metric-store.md 6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import groupby
from typing import Any, cast

import msgspec
import orjson
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.model.strict import INT64, TEXT, WireError, array, parse_json, record, text
from ccserver.rest.answers import HttpError, error_answer, json_answer, text_answer
from ccserver.rest.monitoring import CONTENT_TYPE, Monitor
from ccserver.rest.parsing import decoded
from ccserver.rest.sites import NODE_STATE, node_state
from ccserver.rest.table import Handler, Operation, Parameter, Route, described, keyed
from ccserver.rest.web import Admitted, Call, decode
from ccstore import InvalidRange, MetricStore, NodeHealth, Query, QueryAnswer
from ccstore.json_text import json_pieces
from ccstore.types import ResampleAlgorithm

_LARGEST_BODY = 16 * 1024 * 1024  # bytes, of everything but line protocol
_RETRY_AFTER = "2"  # seconds


_SELECTORS = array(array(text))
_HEALTH = record(
    {"cluster": text, "nodes": array(text), "metric-names": array(text)},
    lambda found, _: found,
    title="HealthQuestion",
)


def _decode_selectors(body: bytes) -> list[list[str]]:
    return _SELECTORS.read(parse_json(body), "")


def _decode_health(body: bytes) -> dict[str, Any]:
    return _HEALTH.read(parse_json(body), "")


class _Row(msgspec.Struct):
    metric: str
    host: str | None = None
    hostname: str | None = None
    type: str | None = None
    type_ids: list[str | int] | None = msgspec.field(name="type-ids", default=None)
    subtype: str | None = None
    subtype_ids: list[str | int] | None = msgspec.field(name="subtype-ids", default=None)
    aggreg: bool | None = None
    resolution: int | None = None
    scale_by: float | None = msgspec.field(name="scale-by", default=None)


class _Body(msgspec.Struct, rename="kebab"):
    cluster: str | None = None
    from_: int = msgspec.field(name="from", default=0)
    to: int = 0
    queries: list[_Row] | None = None
    for_all_nodes: list[str] | None = None
    with_stats: bool | None = None
    with_data: bool | None = None
    with_padding: bool | None = None
    resample_algo: str | None = None


class StoreViews:
    """The handlers around one store; None: the server has none."""

    def __init__(self, store: MetricStore | None) -> None:
        self._given = store

    @property
    def _store(self) -> MetricStore:
        if self._given is None:
            raise HttpError(404, "this server has no metric store of its own")
        return self._given

    async def query(self, call: Admitted) -> Response:
        store = self._store
        body = decode(await _body(), _Body)
        if not store.ready:
            return _restoring(store)
        return _in_pieces(await call.run(_answered, store, body))

    async def free(self, call: Admitted) -> Response:
        store = self._store
        raw = request.args.get("to", "")
        if not raw:
            raise HttpError(400, "'to' is a required query parameter")
        try:
            to = int(raw)
        except ValueError:
            raise HttpError(400, f"'to' must be unix seconds, not {raw!r}") from None
        selectors = decoded(_decode_selectors, await _body())
        if not store.ready:
            return _restoring(store)
        freed = await call.run(store.free, selectors, to)
        return text_answer(f"buffers freed: {freed}\n")

    async def debug(self, call: Admitted) -> Response:
        """Which buffers the store holds, as a tree, and its counters."""
        store = self._store
        raw = request.args.get("selector", "")
        try:
            selector = _selector(raw)
        except WireError as error:
            raise HttpError(400, f"the selector is no list of names: {error}") from None
        hosts = _hosts(store, selector)
        first = await call.run(next, hosts, None)
        if first is None and selector:
            raise HttpError(400, "not found")
        return Response(_dump(call, store, selector, first, hosts), content_type="application/json")

    async def health(self, call: Admitted) -> Response:
        store = self._store
        asked = decoded(_decode_health, await _body())
        if not store.ready:
            return _restoring(store)
        states = await call.run(
            store.health, asked.get("cluster", ""), asked.get("nodes", []), asked.get("metric-names", [])
        )
        return json_answer({host: _health(one) for host, one in states.items()})


def metrics_view(monitor: Monitor) -> Callable[[Admitted], Awaitable[Response]]:
    """The handler of /metrics."""

    async def metrics(call: Admitted) -> Response:
        return Response(await call.run(monitor.text), content_type=CONTENT_TYPE)

    return metrics


async def _body() -> bytes:
    """The body of a request, however it is framed; raises HttpError."""
    found = bytearray()
    if (request.content_length or 0) <= _LARGEST_BODY:
        async for part in request.body:
            found += part
            if len(found) > _LARGEST_BODY:
                break
        else:
            return bytes(found)
    raise HttpError(413, f"the body is larger than {_LARGEST_BODY} bytes")


def _restoring(store: MetricStore) -> Response:
    response = error_answer(503, f"the metric store is being restored: {store.progress.fraction:.0%}")
    response.headers["Retry-After"] = _RETRY_AFTER
    return response


def _in_pieces(pieces: list[bytes]) -> Response:
    async def sent() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    body: Any = sent() if len(pieces) > 1 else pieces[0]
    response = Response(body, content_type="application/json")
    response.headers["Content-Length"] = str(sum(map(len, pieces)))
    return response


def _answered(store: MetricStore, body: _Body) -> list[bytes]:
    """Pieces of the answer as JSON; raises HttpError."""
    for_all_nodes = body.for_all_nodes or ()
    try:
        answer = store.query(
            body.cluster or "",
            body.from_,
            body.to,
            [_query(row) for row in body.queries or ()],
            for_all_nodes=for_all_nodes,
            with_stats=body.with_stats is not False,
            with_data=body.with_data is not False,
            with_padding=body.with_padding is not False,
            resample_algorithm=cast(ResampleAlgorithm, body.resample_algo or ""),
        )
    except (InvalidRange, ValueError) as error:
        raise HttpError(400, str(error)) from None
    return _pieces(answer, with_queries=bool(for_all_nodes))


def _pieces(answer: QueryAnswer, *, with_queries: bool) -> list[bytes]:
    """The answer as JSON. Numbers of arrays go through a kernel, all statistics at once through orjson: one
    call per series would take longer than its numbers."""
    results = [result for row in answer.rows for result in row]
    statistics = orjson.dumps([number for one in results for number in (one.avg, one.min, one.max)])
    arrays = [one.data for one in results if one.data is not None and len(one.data)]
    texts = _texts(answer, with_queries, iter(statistics[1:-1].split(b",")))
    return list(json_pieces(texts, arrays))


def _texts(answer: QueryAnswer, with_queries: bool, numbers: Iterator[bytes]) -> Iterator[bytes]:
    """What stands before, between and behind the arrays."""
    parts = [b"{"]
    if with_queries:
        parts += b'"queries":', orjson.dumps([_generated(one) for one in answer.queries]), b","
    parts.append(b'"results":[')
    for place, row in enumerate(answer.rows):
        parts.append(b",[" if place else b"[")
        for number, one in enumerate(row):
            parts.append(b",{" if number else b"{")
            if one.error is not None:
                parts += b'"error":', orjson.dumps(one.error), b","
            elif one.data is not None and len(one.data):
                parts.append(b'"data":[')
                yield b"".join(parts)
                parts = [b"],"]
            numbers_of_it = (one.start, one.to, one.resolution, next(numbers), next(numbers), next(numbers))
            parts.append(b'"from":%d,"to":%d,"resolution":%d,"avg":%b,"min":%b,"max":%b}' % numbers_of_it)
        parts.append(b"]")
    parts.append(b"]}")
    yield b"".join(parts)


def _query(row: _Row) -> Query:
    return Query(
        metric=row.metric,
        host=row.host or row.hostname or "",
        type=row.type or "",
        type_ids=tuple(map(str, row.type_ids or ())),
        subtype=row.subtype or "",
        subtype_ids=tuple(map(str, row.subtype_ids or ())),
        aggregate=bool(row.aggreg),
        resolution=row.resolution or 0,
        scale_by=row.scale_by or 0.0,
    )


def _generated(one: Query) -> dict[str, Any]:
    return {"metric": one.metric, "host": one.host, "resolution": one.resolution, "aggreg": one.aggregate}


def _selector(raw: str) -> list[str]:
    """Level names joined by colons, or, as ids may contain colons, a JSON list of them."""
    if raw.startswith("["):
        return array(text)(parse_json(raw), "")
    return raw.split(":") if raw else []


_HostTree = tuple[str, str, dict[str, Any]]


def _hosts(store: MetricStore, selector: list[str]) -> Iterator[_HostTree]:
    """Cluster, host and its tree, as far as the selector reaches."""
    for (cluster, host), found in groupby(store.tree(selector), lambda one: (one.cluster, one.host)):
        tree: dict[str, Any] = {}
        for series in found:
            names = _level_names(series.component)
            level = tree
            for name in names[max(len(selector) - 2, 0) :]:
                level = level.setdefault(name, {})
            level[series.metric] = [
                {"start": run.start, "len": run.slots, "end": run.end} for run in series.runs
            ]
        yield cluster, host, tree


async def _dump(
    call: Admitted,
    store: MetricStore,
    selector: list[str],
    first: _HostTree | None,
    hosts: Iterator[_HostTree],
) -> AsyncIterator[bytes]:
    """One host after the other: the whole tree is larger than one wants to hold."""
    yield b'{"data":'
    if len(selector) >= 2:
        yield orjson.dumps(first[2] if first else {})
    else:
        yield b"{"
        open_cluster = None
        host = first
        while host is not None:
            cluster, name, tree = host
            if open_cluster == cluster:
                yield b","
            elif not selector:
                yield (b"}," if open_cluster is not None else b"") + orjson.dumps(cluster) + b":{"
            open_cluster = cluster
            yield orjson.dumps(name) + b":" + orjson.dumps(tree)
            host = await call.run(next, hosts, None)
        yield b"}}" if open_cluster is not None and not selector else b"}"
    yield b',"counters":' + orjson.dumps(await call.run(store.counters)) + b"}"


def _level_names(component: tuple[str, str, str, str]) -> list[str]:
    kind, number, subkind, subnumber = component
    return [name for name in (kind + number, subkind + subnumber) if name]


def _health(one: NodeHealth) -> dict[str, str]:
    lists = {"degraded": list(one.degraded), "missing": list(one.missing)}
    return {"State": one.state, "HealthMetrics": orjson.dumps(lists).decode() if one.known else ""}


def _of_site(view: Callable[[StoreViews, Admitted], Awaitable[Response]]) -> Handler:
    async def handler(call: Call) -> Response:
        return await view(StoreViews(call.site.store), call)

    return handler


_NO_STORE = {404: "the server has no metric store of its own"}
_BUSY = {413: f"the body is larger than {_LARGEST_BODY} bytes", 503: "the store is being restored"}
_QUERY = Operation(
    "Metric data of nodes and their parts",
    {200: "application/json"},
    {400: "the body cannot be read or the range cannot be", **_NO_STORE, **_BUSY},
    body="application/json",
    details="The query language of cc-metric-store.",
)
_WRITE = Operation(
    "Store samples in line protocol",
    {200: None},
    {400: "bad lines; the good ones are stored", **_NO_STORE},
    query=(Parameter("cluster", "of lines without a tag cluster"),),
    body="text/plain",
)
_FREE = Operation(
    "Drop buffers that end before a moment",
    {200: "text/plain"},
    {400: "`to` is missing or no integer, or the body cannot be read", **_NO_STORE, **_BUSY},
    query=(Parameter("to", "unix seconds", INT64, required=True),),
    body=_SELECTORS,
)
_DEBUG = Operation(
    "The tree of buffers",
    {200: "application/json"},
    {400: "nothing is there", **_NO_STORE},
    query=(Parameter("selector", "names joined by `:`, or a JSON list of them; empty: everything"),),
)
_HEALTH_STATES = Operation(
    "Whether nodes deliver metrics",
    {200: keyed(described("Health", {"State": TEXT, "HealthMetrics": TEXT}))},
    {400: "the body cannot be read", **_NO_STORE, **_BUSY},
    body=_HEALTH,
)


_METRICS = Operation("Figures of the running server in Prometheus' text format", {200: "text/plain"})


async def _write(_call: Call) -> Response:
    """Served outside of the web framework; here for its description."""
    raise NotImplementedError


async def _metrics(call: Call) -> Response:
    return await metrics_view(call.web.monitor)(call)


ROUTES = (
    Route("/metrics", "GET", Group.METRIC_STORE, _metrics, _METRICS),
    *(
        Route(f"{prefix}/{path}", methods, group, handler, operation)
        for prefix in ("/api", "/metricstore/api")
        for path, methods, group, handler, operation in (
            ("write", "POST", Group.METRIC_STORE, _write, _WRITE),
            ("query", "GET POST", Group.METRIC_STORE, _of_site(StoreViews.query), _QUERY),
            ("free", "POST", Group.METRIC_STORE, _of_site(StoreViews.free), _FREE),
            ("debug", "GET", Group.METRIC_STORE, _of_site(StoreViews.debug), _DEBUG),
            ("healthcheck", "GET", Group.METRIC_STORE, _of_site(StoreViews.health), _HEALTH_STATES),
            ("healthcheck", "POST", Group.METRIC_STORE, node_state, NODE_STATE),
        )
    ),
)
