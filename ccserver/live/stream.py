"""GET /frontend/events: server-sent events. A plain ASGI application.

Topics (`?topics=a,b`): `jobs` gives job.started, job.stopped, job.archived, job.tagged; `metrics` gives
metrics.tick, at most one per cluster and step; `status.<cluster>` gives status, for admin and support only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import orjson
import trio

from ccserver.auth.guards import Credentials, Gate, Group, Refused
from ccserver.live.hub import STATUS, Hub, Viewer
from ccserver.model.user import Principal
from ccserver.pseudonyms import Kind, Names

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PING = 15.0  # seconds; keeps proxies from closing an idle stream and notices dead clients
_RETRY = 3000  # milliseconds until a browser connects again
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]


class EventStream:
    def __init__(self, hub: Hub, gate: Gate, names: Callable[[Principal], Names]) -> None:
        self._hub = hub
        self._gate = gate
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await _refuse(send, 405, "", [(b"allow", b"GET")])
            return
        try:
            principal = self._gate.admit(Group.FRONTEND, Credentials.of_scope(scope))
        except Refused as refused:
            await _refuse(send, 401, refused.message)
            return
        asked = ",".join(parse_qs(scope["query_string"].decode("latin-1")).get("topics", []))
        topics = frozenset(filter(None, asked.split(",")))
        known = {"jobs", "metrics", *(STATUS + cluster for cluster in self._hub.clusters)}
        if unknown := sorted(topics - known):
            await _refuse(send, 400, f"unknown topics: {', '.join(unknown)}")
            return
        if any(topic.startswith(STATUS) for topic in topics) and not principal.roles & {"admin", "support"}:
            await _refuse(send, 403, "only admin and support may watch the status of a cluster")
            return
        if self._hub.full:
            await _refuse(send, 503, "too many open streams", [(b"retry-after", b"30")])
            return
        with self._hub.viewer(principal, topics) as viewer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
                await _stream(send, viewer, self._hub.shutdown, self._names(principal))
                nursery.cancel_scope.cancel()


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _stream(send: Send, viewer: Viewer, shutdown: trio.Event, names: Names) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await _send(send, b"retry: %d\n\n" % _RETRY)
    while not shutdown.is_set():
        for message in viewer.take() or [b": ping\n\n"]:
            await _send(send, _shown(message, names) if names.hidden else message)
        with trio.move_on_after(_PING):
            await _first(viewer.waiting, shutdown)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _shown(message: bytes, names: Names) -> bytes:
    """An event with pseudonyms in place of its names."""
    head, mark, body = message.partition(b"data: ")
    if not mark:
        return message
    data = orjson.loads(body)
    if "user" in data:
        data["user"] = names.shown(Kind.USER, data["user"])
    if "hosts" in data:
        data["hosts"] = [names.shown(Kind.HOST, host) for host in data["hosts"]]
    return head + mark + orjson.dumps(data) + b"\n\n"


async def _first(*events: trio.Event) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _refuse(
    send: Send, status: int, message: str, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    from http import HTTPStatus

    body = orjson.dumps({"status": HTTPStatus(status).phrase, "error": message}) if message else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers + (extra or [])})
    await send({"type": "http.response.body", "body": body, "more_body": False})
