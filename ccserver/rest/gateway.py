"""The outermost layer of HTTP: what holds for every request and every answer, whoever serves it.

Security headers, CORS, the cross-site check (spec/operations.md 4), and the way past the web framework for
routes where its fixed cost per request counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import trio

if TYPE_CHECKING:
    from ccserver.rest.fastwrite import FastRoute

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)

_CORS_METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS")
_CORS_HEADERS = ("x-requested-with", "content-type", "authorization", "origin")
_SHORT_BODY = 64 << 10  # bytes
_SHORT_BODY_SECONDS = 5
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
_CROSS_SITE_PATHS = ("/jwt-login", "/jwt-login/")
_FIXED = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
]
_POLICY = (b"content-security-policy", b"frame-ancestors 'none'; object-src 'none'; base-uri 'self'")
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def fixed_headers() -> list[tuple[bytes, bytes]]:
    """What every answer over plain HTTP bears."""
    return [*_FIXED, (b"vary", b"Origin"), _POLICY]


class Gateway:
    """ASGI application around `pages`; `mounts` are served directly, by exact path without trailing slash.

    `fast` may answer plain requests before they get here (`rest/fastwrite.py`), likewise by path.
    """

    def __init__(
        self,
        pages: Application,
        mounts: Mapping[str, Application],
        fast: Mapping[str, FastRoute] | None = None,
    ) -> None:
        self._pages = pages
        self._mounts = dict(mounts)
        self.fast = dict(fast or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        headers = _first_values(scope)
        method = scope["method"]
        preflight = method == "OPTIONS" and b"access-control-request-method" in headers
        cross_site = (
            method not in _SAFE_METHODS
            and headers.get(b"sec-fetch-site") == b"cross-site"
            and scope["path"] not in _CROSS_SITE_PATHS
        )
        mount = self._mounts.get(scope["path"].rstrip("/"))
        body = None
        if b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
            # The pages receive on their own, beside the handler; what anybody else leaves is received here.
            body = _Body(receive, headers, alone=preflight or cross_site or mount is not None)
            receive = body.receive
        send = _decorated(scope, headers, send, body)
        if preflight:
            await _answer(send, 200, _preflight_headers(headers))
        elif cross_site:
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await _answer(send, 403, plain, b"cross-site request blocked")
        else:
            await (mount or self._pages)(scope, receive, send)


class Redirection:
    """ASGI application that sends everybody to one address."""

    def __init__(self, target: str) -> None:
        self._target = target

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _answer(send, 301, [(b"location", self._target.encode())])


def _first_values(scope: Scope) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        values.setdefault(name.lower(), value)
    return values


class _Body:
    """Watches the body of a request arrive: HTTP/1 cannot go on with a connection when an answer goes out
    before that, and a client that is not told so sends its next request to a closed one."""

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes], *, alone: bool) -> None:
        length = headers.get(b"content-length", b"")
        self._short = length.isdigit() and int(length) <= _SHORT_BODY
        self._receive = receive
        self._alone = alone
        self._ended = trio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if not message.get("more_body", False):
            self._ended.set()
        return message

    async def ends(self) -> bool:
        """Whether nothing more comes; waits for a short rest that is on its way."""
        if self._short:
            with trio.move_on_after(_SHORT_BODY_SECONDS):
                while self._alone and not self._ended.is_set():
                    await self.receive()
                await self._ended.wait()
        return self._ended.is_set()


def _decorated(scope: Scope, headers: Mapping[bytes, bytes], send: Send, body: _Body | None) -> Send:
    https = scope["scheme"] == "https" or headers.get(b"x-forwarded-proto", b"").lower() == b"https"
    preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in headers
    cors = b"origin" in headers and scope["method"].encode() in _CORS_METHODS and not preflight
    started = time.monotonic()
    status, size = 0, 0

    async def decorated(message: MutableMapping[str, Any]) -> None:
        nonlocal status, size
        if message["type"] == "http.response.start":
            status = message["status"]
            own = list(message.get("headers", ()))
            names = {name.lower() for name, _ in own}
            added = [*_FIXED, (b"vary", b"Origin")]
            if _POLICY[0] not in names:
                added.append(_POLICY)
            if https:
                added.append(_TRANSPORT)
            if cors and b"access-control-allow-origin" not in names:
                added.append((b"access-control-allow-origin", b"*"))
            if (
                body
                and b"connection" not in names
                and scope["http_version"].startswith("1")
                and not await body.ends()
            ):
                added.append((b"connection", b"close"))
            message = {**message, "headers": own + added}
        elif message["type"] == "http.response.body":
            size += len(message.get("body", b""))
            if not message.get("more_body", False) and _log.isEnabledFor(logging.DEBUG):
                milliseconds = (time.monotonic() - started) * 1000
                _log.debug(
                    "%s %s %d %.1f kB %.1f ms",
                    scope["method"],
                    _shown(scope),
                    status,
                    size / 1000,
                    milliseconds,
                )
        # The end of an answer makes the server tell the application "disconnected", which makes quart cancel
        # the very task that is sending: unshielded, the connection would be neither reused nor closed.
        with trio.CancelScope(shield=not message.get("more_body", False)):
            await send(message)

    return decorated


def _shown(scope: Scope) -> str:
    """Path and query for the log, without the token of a cross-site login."""
    query = scope.get("query_string", b"").decode("latin-1")
    if not query:
        return str(scope["path"])
    if "login-token" in query:
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(key, "***" if key == "login-token" else value) for key, value in pairs])
    return f"{scope['path']}?{query}"


def _preflight_headers(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    method = headers[b"access-control-request-method"].upper()
    asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
    names = [name.strip().lower() for name in asked.split(",") if name.strip()]
    vary = (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers")
    if (
        b"origin" not in headers
        or method not in _CORS_METHODS
        or any(name not in _CORS_HEADERS for name in names)
    ):
        return [vary]
    allowed = [vary, (b"access-control-allow-origin", b"*"), (b"access-control-allow-methods", method)]
    if names:
        allowed.append((b"access-control-allow-headers", ", ".join(names).encode()))
    return allowed


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
