"""The web framework as both servers set it up: limits, compression, health."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any

from quart import Response, request
from quart.wrappers.response import IterableBody
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioRequest

from ccserver.rest.answers import text_answer
from ccserver.rest.violations import PATH as VIOLATIONS
from ccserver.rest.web import LARGEST_FORM, NameConverter, in_thread
from ccstore import MetricStore

_LARGEST_BODY = 256 * 1024 * 1024  # bytes; a bound only so that nobody can fill the memory
_LARGEST_LOGIN = 64 * 1024  # bytes
_LOGIN_PATIENCE = 20  # seconds for the whole body
_ENTRANCES = (VIOLATIONS, "/login", "/jwt-login", "/logout", "/oidc-login", "/oidc-callback")
_COMPRESSIBLE = (
    "text/", "application/json", "application/javascript", "image/svg+xml", "application/xml",
    "application/atom+xml", "application/rss+xml",
)  # fmt: skip
_WINDOW = {"gzip": 31, "deflate": 15}
_COMPRESSED_INLINE = 32 * 1024  # bytes; larger ones would hold up the event loop


class BoundedRequest(TrioRequest):
    """Whoever logs in or reports is nobody yet: gets little room and little time."""

    def __init__(self, *parts: Any, **bounds: Any) -> None:
        path: str = parts[2]  # after method and scheme
        if path.rstrip("/") in _ENTRANCES:
            bounds |= {"max_content_length": _LARGEST_LOGIN, "body_timeout": _LOGIN_PATIENCE}
        super().__init__(*parts, **bounds)


def new_application() -> QuartTrio:
    app = QuartTrio("ccserver", static_folder=None, template_folder=None)
    app.request_class = BoundedRequest
    app.config.update(
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        BODY_TIMEOUT=None,
        RESPONSE_TIMEOUT=None,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
    )
    app.url_map.converters["name"] = NameConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    return app


def register_health(app: QuartTrio, store: MetricStore | None) -> None:
    async def alive() -> Response:
        return text_answer("ok\n")

    async def ready() -> Response:
        if store is not None and not store.ready:
            response = text_answer("the metric store is being restored\n", 503)
            response.headers["Retry-After"] = "2"
            return response
        return text_answer("ready\n")

    for rule, view in (("/healthz", alive), ("/readyz", ready)):
        app.add_url_rule(rule, rule, view, methods=["GET"], provide_automatic_options=False)


async def compress(response: Response) -> Response:
    """gzip or deflate what shrinks; large bodies in a thread, as zlib works outside the interpreter lock."""
    kind = response.content_type or ""
    if not kind.startswith(_COMPRESSIBLE) or response.status_code in (204, 304):
        return response
    if "Content-Encoding" in response.headers:
        return response
    if "accept-encoding" not in (response.headers.get("Vary") or "").lower():
        response.headers.add("Vary", "Accept-Encoding")
    coding = _coding(request.headers.get("Accept-Encoding", ""))
    if coding is None or request.method == "HEAD":
        return response
    if isinstance(response.response, IterableBody):  # made piece by piece: never held as a whole
        response.response = IterableBody(_packed_pieces(response.response, coding))
        response.headers.pop("Content-Length", None)
        response.headers["Content-Encoding"] = coding
        return response
    body = await response.get_data(as_text=False)
    if not body:
        return response
    if len(body) <= _COMPRESSED_INLINE:
        packed = _pack(body, coding)
    else:
        packed = await in_thread(_pack, body, coding)
    response.set_data(packed)
    response.headers["Content-Encoding"] = coding
    return response


async def _packed_pieces(body: IterableBody, coding: str) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(1, wbits=_WINDOW[coding])
    async with body as pieces:
        async for piece in pieces:
            small = len(piece) <= _COMPRESSED_INLINE
            if packed := packer.compress(piece) if small else await in_thread(packer.compress, piece):
                yield packed
    yield packer.flush()


def _pack(body: bytes, coding: str) -> bytes:
    return zlib.compress(body, 1, wbits=_WINDOW[coding])


def packed(body: bytes, accepted: str) -> tuple[bytes, str | None]:
    """A small body for a client that accepts these codings, and the coding used."""
    coding = _coding(accepted)
    return (body, None) if coding is None else (_pack(body, coding), coding)


def _coding(accepted: str) -> str | None:
    wanted = {
        name.strip()
        for name, _, weight in (part.partition(";") for part in accepted.lower().split(","))
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    }
    return "gzip" if "gzip" in wanted else "deflate" if "deflate" in wanted else None
