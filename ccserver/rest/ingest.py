"""POST /api/write: line protocol over HTTP. Source: spec/metric-store.md 6.2.

A plain ASGI application: with bodies of a few kB the web framework would cost more than the samples. Cost per
request: some 0.3 ms around a kernel call of about 0.1 us per line. The body is stored while it arrives, at
most CHUNK bytes of it are held.
"""

from __future__ import annotations

import logging
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs

import orjson
import trio

from ccserver.auth.guards import Credentials, Gate, Group, Refused
from ccserver.rest.gateway import Receive, Scope, Send
from ccstore import MetricStore, WriteReport, whole_lines

_log = logging.getLogger(__name__)

LARGEST_BODY = 256 * 1024 * 1024  # bytes, after decompression
CHUNK = 512 * 1024  # bytes handed to the store at once
INLINE = 100 * 1024  # bytes; below, a worker thread costs more than the write
IDLE = 120.0  # seconds without any byte
_UNWANTED = 5.0  # seconds that a body nobody wants may take
MOST_REJECTIONS = 100
_JSON = b"application/json"


class _Broken(Exception):
    """The sender cannot be understood or does too much: status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Door(Protocol):
    """Who may write, and how others are told."""

    async def admit(self, credentials: Credentials) -> None:
        """Raises Refused."""

    def refusal(self, message: str) -> tuple[bytes, bytes]:
        """Content type and body."""


class GateDoor:
    """The rules of the whole server."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def admit(self, credentials: Credentials) -> None:
        if self._gate.tokens.reads_database:
            await trio.to_thread.run_sync(self._gate.admit, Group.METRIC_STORE, credentials)
        else:
            self._gate.admit(Group.METRIC_STORE, credentials)

    def refusal(self, message: str) -> tuple[bytes, bytes]:
        return _JSON, _error(401, message)


class Ingest:
    """The ASGI application. Until the first write is through, writes go to a thread: kernels may compile."""

    def __init__(self, store: MetricStore | None, door: Door) -> None:
        self._store = store
        self.door = door
        self._warm = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _answer(send, 405, extra=[(b"allow", b"POST")])
            return
        credentials = Credentials.of_scope(scope)
        try:
            await self.door.admit(credentials)
        except Refused as refused:
            _log.info("POST %s from %s refused: %s", scope["path"], credentials.peer, refused.message)
            kind, body = self.door.refusal(refused.message)
            # Whether the connection can be used again must not depend on how much of the body is here yet.
            await _answer(send, 401, body, kind=kind, close=not await _read_away(receive))
            return
        if self._store is None:
            await _answer(send, 404, _error(404, "this server has no metric store of its own"))
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        totals = _Totals()
        try:
            async for part in _whole_lines(receive, credentials.headers):
                totals.add(await self._write(part, query.get("cluster", [""])[0]), part)
        except _Broken as broken:
            await _answer(send, broken.status, _error(broken.status, str(broken)), close=True)
            return
        if totals.rejected_total:
            await _answer(send, 400, totals.refusal())
        else:
            await _answer(send, 200)

    @property
    def has_store(self) -> bool:
        return self._store is not None

    async def take(self, body: bytes, cluster: str, *, broken_off: bool = False) -> tuple[int, bytes]:
        """Stores a plain body of moderate size; status and answer."""
        if broken_off:
            body = body[: whole_lines(body)]
        report = await self._write(body, cluster)
        if not report.rejected_total:
            return 200, b""
        totals = _Totals()
        totals.add(report, body)
        return 400, totals.refusal()

    async def _write(self, part: bytes, cluster: str) -> WriteReport:
        assert self._store is not None
        if self._warm and len(part) <= INLINE:
            return self._store.write(part, cluster)
        report = await trio.to_thread.run_sync(self._store.write, part, cluster)
        self._warm = True
        return report


async def _whole_lines(receive: Receive, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    """Parts of the body that end with a line; of a body that breaks off, what is complete."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise _Broken(415, f"content encoding {encoding!r} is not supported; send gzip or plain text")
    unpack = zlib.decompressobj(31) if encoding == "gzip" else None
    pending, received, wanted, gone = bytearray(), 0, CHUNK, False
    async for chunk, last in _chunks(receive):
        for piece in _unpacked(unpack, chunk):
            received += len(piece)
            if received > LARGEST_BODY:
                raise _Broken(413, f"the body is larger than {LARGEST_BODY} bytes")
            pending += piece
            if len(pending) >= wanted:
                if cut := whole_lines(pending):
                    yield bytes(pending[:cut])
                    del pending[:cut]
                # A line may be as long as all that is here: it is looked at again when there is more.
                wanted = max(CHUNK, 2 * len(pending))
        if last is None:  # the client broke off; when it only fell silent, it is told after this
            cut = whole_lines(pending)
            if cut:
                yield bytes(pending[:cut])
            pending.clear()
            gone = True
    if gone:
        return
    if unpack is not None and received and not unpack.eof:
        raise _Broken(400, "the gzip body ends early")
    if pending:
        yield bytes(pending)


async def _chunks(receive: Receive) -> AsyncIterator[tuple[bytes, bool | None]]:
    """Body pieces with "was it the last", None when nothing more comes."""
    while True:
        message = None
        with trio.move_on_after(IDLE):
            message = await receive()
        if message is None:
            yield b"", None
            raise _Broken(408, f"nothing was received for {IDLE:.0f} s")
        if message["type"] == "http.disconnect":
            yield b"", None
            return
        last = not message.get("more_body", False)
        yield message.get("body", b""), last
        if last:
            return


async def _read_away(receive: Receive) -> bool:
    """Whether a body that nobody wants has come to its end, of moderate size and soon."""
    size = 0
    with trio.move_on_after(_UNWANTED):
        async for chunk, last in _chunks(receive):
            size += len(chunk)
            if last:
                return True
            if last is None or size > CHUNK:
                break
    return False


def _unpacked(unpack: Any, chunk: bytes) -> Any:
    """Pieces of at most CHUNK bytes, so that a small body cannot unfold into all of memory."""
    if unpack is None:
        yield chunk
        return
    full = True
    while (chunk or full) and not unpack.eof:
        try:
            piece = unpack.decompress(chunk, CHUNK)
        except zlib.error:
            raise _Broken(400, "the body is not gzip as its Content-Encoding says") from None
        yield piece
        chunk, full = unpack.unconsumed_tail, len(piece) == CHUNK


class _Totals:
    """Sum of the reports of all parts of one body; line numbers count from its beginning."""

    def __init__(self) -> None:
        self.lines = self.stored = self.rejected_total = 0
        self._dropped: Counter[str] = Counter()
        self._rejected: list[dict[str, Any]] = []
        self._first_line = 0

    def add(self, report: WriteReport, part: bytes) -> None:
        self.lines += report.lines
        self.stored += report.stored
        self.rejected_total += report.rejected_total
        self._dropped.update(report.dropped)
        for rejection in report.rejected[: MOST_REJECTIONS - len(self._rejected)]:
            line = self._first_line + rejection.line
            self._rejected.append({"line": line, "reason": rejection.reason, "text": rejection.text})
        self._first_line += part.count(b"\n")

    def refusal(self) -> bytes:
        first = self._rejected[0] if self._rejected else None
        place = f"; line {first['line']}: {first['reason']}" if first else ""
        return _error(
            400,
            f"{self.rejected_total} of {self.lines} lines rejected{place}",
            accepted=self.stored,
            dropped=self._dropped.total(),
            rejected_total=self.rejected_total,
            rejected=self._rejected,
        )


def _error(status: int, message: str, **more: Any) -> bytes:
    return orjson.dumps({"status": HTTPStatus(status).phrase, "error": message, **more})


async def _answer(
    send: Send,
    status: int,
    body: bytes = b"",
    extra: list[tuple[bytes, bytes]] | None = None,
    close: bool = False,
    kind: bytes = _JSON,
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    headers += extra or []
    if close:  # the rest of the body is not read, so the connection cannot be used again
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
