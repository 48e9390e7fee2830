"""Writes over HTTP without the web server's cost per request, for requests that are as plain as can be.

A connection is looked at before it goes to hypercorn: as long as it brings `POST` of HTTP/1.1 to a path that
is served here (samples, starts and stops of jobs) with a Content-Length, nothing but well-known headers and a
body of moderate size, requests are answered right here. With the first other one (chunked, gzip, `Expect`,
cookies, refused, malformed, whatever) the connection goes to hypercorn with every byte that is not dealt with
yet, and stays there. So all rules live in one place, and this one only has to know what it may skip.

Bytes that are there are read, and short answers written, without a turn of trio's loop: that halves the cost,
to some 40 us a request beside the work itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

import trio

from ccserver.auth.guards import Credentials, Refused
from ccserver.rest.gateway import fixed_headers
from ccserver.rest.ingest import CHUNK, IDLE, Ingest

_LONGEST_HEAD = 8192  # bytes
_READ = 1 << 18  # bytes
_REMEMBERED = 256  # forms of heads
_HEAD_END = re.compile(rb"\n\r?\n")  # lines that end without CR are hypercorn's, but they do end
_REQUEST = re.compile(
    rb"POST (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n)+)\r\n"
)
_LENGTH = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ?(\d{1,9})\r\n")
_HARMLESS = frozenset(
    b"host user-agent accept accept-encoding content-type content-length "
    b"authorization x-auth-token connection".split()
)


class Head(NamedTuple):
    """What a head means, whatever its Content-Length."""

    path: str
    """Without slash at its end."""
    query: str
    credentials: Credentials


class Answer(NamedTuple):
    """`headers` are lines beside those of every answer."""

    status: int
    body: bytes
    headers: bytes = b""


class FastRoute(Protocol):
    """What serves plain requests to one path. Never raises but as said."""

    async def admit(self, credentials: Credentials) -> Any:
        """Who it is. Raises Refused."""

    async def take(self, body: bytes, head: Head, by: Any) -> Answer: ...

    async def broken_off(self, body: bytes, head: Head) -> None:
        """The connection ended within the body."""


class SampleWrites:
    """Samples go to the store as they would through the web server."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    async def admit(self, credentials: Credentials) -> None:
        await self._ingest.door.admit(credentials)

    async def take(self, body: bytes, head: Head, _by: None) -> Answer:
        return Answer(*await self._ingest.take(body, _cluster(head.query)))

    async def broken_off(self, body: bytes, head: Head) -> None:
        await self._ingest.take(body, _cluster(head.query), broken_off=True)


@lru_cache(maxsize=256)
def _cluster(query: str) -> str:
    return parse_qs(query).get("cluster", [""])[0]


class Rest(NamedTuple):
    """For hypercorn: bytes that have been read, or None when the connection is at its end."""

    data: bytes | None


class _Wire:
    """A connection and the bytes that have been read but not dealt with.

    `idle` gets the cancel scopes of those that wait for a request.
    """

    def __init__(self, stream: trio.SocketStream, idle: set[trio.CancelScope]) -> None:
        self.data = bytearray()
        self._stream = stream
        self._idle = idle
        self._waited = True

    async def more(self, seconds: float, *, idle: bool = False) -> bool | None:
        """Whether there are more bytes; False at the end, None when none came in time or the connection
        failed."""
        try:
            try:
                part = os.read(self._stream.socket.fileno(), _READ)
            except BlockingIOError:
                if not await self._readable(seconds, idle):
                    return None
                part = os.read(self._stream.socket.fileno(), _READ)
        except (OSError, trio.ClosedResourceError):
            return None
        self.data += part
        return bool(part)

    async def _readable(self, seconds: float, idle: bool) -> bool:
        self._waited = True
        with trio.move_on_after(seconds) as waiting:
            if idle:
                self._idle.add(waiting)
            try:
                await trio.lowlevel.wait_readable(self._stream.socket)
            finally:
                self._idle.discard(waiting)
        return not waiting.cancelled_caught

    async def send(self, answer: bytes) -> bool:
        """Whether it went out."""
        try:
            sent = os.write(self._stream.socket.fileno(), answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        try:
            if sent < len(answer):
                await self._stream.send_all(answer[sent:])
            elif not self._waited:
                await trio.lowlevel.checkpoint()  # a client that never lets us wait leaves room for others
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        self._waited = False
        return True


class FastWrites:
    """Answers plain requests of connections to `routes`, by path without slash at its end.

    `header_patience` is seconds for the head of a request, `keep_alive` seconds between two requests.
    """

    def __init__(self, routes: Mapping[str, FastRoute], header_patience: float, keep_alive: float) -> None:
        self._routes = dict(routes)
        self._beginnings = tuple(b"POST " + path.encode() for path in routes)
        self._header_patience = header_patience
        self._keep_alive = keep_alive
        self._heads: dict[tuple[bytes, str], Head | None] = {}
        self._idle: set[trio.CancelScope] = set()
        self._stopping = False
        self._date = (0, b"")

    def stop(self) -> None:
        """Connections without a request under way end now, the others with their answer."""
        self._stopping = True
        for scope in self._idle:
            scope.cancel()

    async def serve(self, stream: trio.SocketStream, peer: str) -> Rest:
        """Answers requests until one comes that is not for us."""
        wire = _Wire(stream, self._idle)
        data = wire.data
        patience = self._header_patience
        while not self._stopping:
            found = await self._head(wire, peer, patience)
            patience = self._keep_alive
            if isinstance(found, Rest):
                return found
            head, size, length = found
            route = self._routes[head.path]
            try:
                by = await route.admit(head.credentials)
            except Refused:
                return Rest(bytes(data))
            while len(data) < size + length:
                if not await wire.more(IDLE):
                    await route.broken_off(bytes(data[size:]), head)
                    return Rest(None)
            answer = await route.take(bytes(data[size : size + length]), head, by)
            del data[: size + length]
            if not await wire.send(self._answer(answer)):
                return Rest(None)
        return Rest(None)

    async def _head(self, wire: _Wire, peer: str, patience: float) -> Rest | tuple[Head, int, int]:
        """A head that is for us, its size and that of the body."""
        data = wire.data
        deadline = trio.current_time() + patience
        while (found := _HEAD_END.search(data)) is None:
            if len(data) > _LONGEST_HEAD or not self._begins_like_ours(data):
                return Rest(bytes(data))
            more = await wire.more(deadline - trio.current_time(), idle=True)
            if more is None:  # too slow, or the server stops
                return Rest(None)
            if not more:
                return Rest(bytes(data) if data else None)
            deadline = min(deadline, trio.current_time() + self._header_patience)
        end = found.end()
        raw = bytes(data[:end])
        length = _LENGTH.search(raw)
        if length is None or end > _LONGEST_HEAD:
            return Rest(bytes(data))
        form = (raw[: length.start(1)] + raw[length.end(1) :], peer)
        if form not in self._heads:
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            self._heads[form] = self._understood(raw, peer)
        head = self._heads[form]
        size = int(length.group(1))
        if head is None or size > CHUNK:
            return Rest(bytes(data))
        return head, end, size

    def _answer(self, answer: Answer) -> bytes:
        now = int(time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return b"HTTP/1.1 %d %b\r\n%b%bcontent-length: %d\r\ndate: %b\r\n\r\n%b" % (
            answer.status,
            HTTPStatus(answer.status).phrase.encode(),
            answer.headers,
            _HEADERS,
            len(answer.body),
            self._date[1],
            answer.body,
        )

    def _begins_like_ours(self, data: bytearray) -> bool:
        return data.startswith(self._beginnings) or any(one.startswith(data) for one in self._beginnings)

    def _understood(self, raw: bytes, peer: str) -> Head | None:
        """The meaning of a head; None when it is for hypercorn."""
        match = _REQUEST.fullmatch(raw)
        if match is None:
            return None
        path = match.group(1).decode().removesuffix("/")
        if path not in self._routes:
            return None
        headers = _headers(match.group(3))
        if headers is None or "host" not in headers or "content-length" not in headers:
            return None
        return Head(path, (match.group(2) or b"").decode("latin-1"), Credentials(headers, {}, peer))


_HEADERS = b"content-type: application/json\r\n" + b"".join(
    b"%b: %b\r\n" % header for header in fixed_headers()
)


def _headers(lines: bytes) -> dict[str, str] | None:
    """By lower-case name; None where there are others than well-known ones."""
    headers: dict[str, str] = {}
    for line in lines[:-2].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        if name not in _HARMLESS or name.decode() in headers:
            return None
        if name == b"connection" and value.lower() != b"keep-alive":
            return None
        headers[name.decode()] = value.decode("latin-1")
    return headers


class Begun(trio.abc.HalfCloseableStream):
    """A stream of which some bytes have been read: it gives them back first."""

    def __init__(self, stream: trio.SocketStream, data: bytes) -> None:
        self._stream = stream
        self._data = data
        self.socket = stream.socket

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._data:
            await trio.lowlevel.checkpoint()
            size = len(self._data) if max_bytes is None else max_bytes
            given, self._data = self._data[:size], self._data[size:]
            return given
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BusyResourceError as error:
            # Hypercorn's reader ends a connection whose client is gone while the answer is under way.
            raise trio.BrokenResourceError("the connection is being closed") from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
