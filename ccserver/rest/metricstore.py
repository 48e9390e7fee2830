"""Routes of the metric store beside `write`: query, free, debug, healthcheck.

Source: spec/metric-store.md 6.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import Any, cast

import msgspec
import orjson
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.model.strict import WireError, array, fields, parse_json, text
from ccserver.rest.answers import HttpError, error_answer, json_answer, text_answer
from ccserver.rest.sites import node_state
from ccserver.rest.web import Admitted, Routes, decode
from ccstore import InvalidRange, MetricStore, Query, SeriesResult
from ccstore.types import ResampleAlgorithm

_LARGEST_QUERY = 16 * 1024 * 1024  # bytes
_RETRY_AFTER = "2"  # seconds


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


def register(routes: Routes) -> None:
    # Reading every host of every cluster is more than a token of role user and api may do elsewhere.
    views = StoreViews(routes.web.site.store)
    for prefix in ("/api", "/metricstore/api"):
        routes.add(f"{prefix}/query", "GET POST", Group.API, views.query)
        routes.add(f"{prefix}/free", "POST", Group.METRIC_STORE, views.free)
        routes.add(f"{prefix}/debug", "GET", Group.METRIC_STORE, views.debug)
        routes.add(f"{prefix}/healthcheck", "GET", Group.METRIC_STORE, views.health)
        routes.add(f"{prefix}/healthcheck", "POST", Group.METRIC_STORE, node_state)


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
        if (request.content_length or 0) > _LARGEST_QUERY:
            raise HttpError(413, f"the body is larger than {_LARGEST_QUERY} bytes")
        body = decode(await call.body(), _Body)
        if not store.ready:
            response = error_answer(503, "the metric store is being restored")
            response.headers["Retry-After"] = _RETRY_AFTER
            return response
        return json_answer(await call.run(_answered, store, body))

    async def free(self, call: Admitted) -> Response:
        store = self._store
        raw = request.args.get("to", "")
        if not raw:
            raise HttpError(400, "'to' is a required query parameter")
        try:
            to = int(raw)
        except ValueError:
            raise HttpError(400, f"'to' must be unix seconds, not {raw!r}") from None
        try:
            selectors = array(array(text))(parse_json(await call.body()), "")
        except WireError as error:
            raise HttpError(400, f"parsing request body failed: {error}") from None
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
        known = {"cluster": text, "nodes": array(text), "metric-names": array(text)}
        try:
            asked = fields(parse_json(await call.body()), "", known)
        except WireError as error:
            raise HttpError(400, f"parsing request body failed: {error}") from None
        states = await call.run(
            store.health, asked.get("cluster", ""), asked.get("nodes", []), asked.get("metric-names", [])
        )
        return json_answer({host: _health(one) for host, one in states.items()})


def _answered(store: MetricStore, body: _Body) -> bytes:
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
    encode = orjson.dumps
    # One row at a time: the encoder keeps the interpreter lock, and a whole answer may take long.
    rows = [encode([_result(one) for one in row], option=orjson.OPT_SERIALIZE_NUMPY) for row in answer.rows]
    results = b'"results":[' + b",".join(rows) + b"]"
    if not for_all_nodes:
        return b"{" + results + b"}"
    queries = encode([_generated(one) for one in answer.queries])
    return b'{"queries":' + queries + b"," + results + b"}"


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


def _result(one: SeriesResult) -> dict[str, Any]:
    encoded: dict[str, Any] = {}
    if one.error is not None:
        encoded["error"] = one.error
    elif one.data is not None and len(one.data):
        encoded["data"] = one.data
    encoded["from"] = one.start
    encoded["to"] = one.to
    encoded["resolution"] = one.resolution
    encoded["avg"] = one.avg
    encoded["min"] = one.min
    encoded["max"] = one.max
    return encoded


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


def _health(one: Any) -> dict[str, str]:
    known = one.state != "failed" or one.degraded or one.missing
    lists = {"degraded": list(one.degraded), "missing": list(one.missing)}
    return {"State": one.state, "HealthMetrics": orjson.dumps(lists).decode() if known else ""}
