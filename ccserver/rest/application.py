"""Puts the routes together into one ASGI application."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from pathlib import Path

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from ccserver.auth.guards import Credentials, Group, Refused
from ccserver.rest import (
    frontend,
    graphql,
    jobs,
    journal,
    machine,
    metricstore,
    pages,
    settings,
    sites,
    static,
)
from ccserver.rest.answers import HttpError, error_answer, json_answer, text_answer
from ccserver.rest.gateway import Application, Gateway
from ccserver.rest.ingest import Ingest
from ccserver.rest.web import Routes, Web, in_thread

_log = logging.getLogger(__name__)

_LARGEST_BODY = 256 * 1024 * 1024  # bytes; a bound only so that nobody can fill the memory
_JSON_PREFIXES = ("/api/", "/userapi/", "/frontend/", "/config/", "/metricstore/")
_COMPRESSIBLE = ("text/", "application/json", "application/javascript", "image/svg+xml")
_SMALLEST_COMPRESSED = 1024  # bytes
_COMPRESSED_INLINE = 32 * 1024  # bytes; larger ones would hold up the event loop


def create_application(web: Web, mounts: Mapping[str, Application] | None = None) -> Application:
    """The whole HTTP side; `mounts` are plain ASGI applications by path, beside those that live here."""
    app = QuartTrio("ccserver", static_folder=None, template_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        BODY_TIMEOUT=None,
        RESPONSE_TIMEOUT=None,
        MAX_FORM_MEMORY_SIZE=10_000_000,
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False

    async def json_refusal(refused: Refused, _: Credentials) -> Response:
        return error_answer(401, refused.message)

    async def page_refusal(refused: Refused, credentials: Credentials) -> Response:
        return await pages.refuse_page(web, refused, credentials)

    refusals = {group: json_refusal for group in Group} | {Group.PAGES: page_refusal}
    routes = Routes(app, web, refusals)
    for area in (jobs, metricstore, sites, machine, settings, frontend, journal):
        area.register(routes)
    pages.register(routes, web)
    graphql.register(routes)
    custom = web.site.config.main.static_files
    roots = [] if web.site.config.main.embed_static_files or not custom else [Path(custom)]
    static.register(routes, static.StaticFiles(*roots))
    _register_health(routes, web)
    _register_errors(app, web)
    app.after_request(_compress)
    ingest = Ingest(web.site.store, web.gate)
    own = {"/api/write": ingest, "/metricstore/api/write": ingest}
    return Gateway(app, {**own, **(mounts or {})})  # type: ignore[arg-type]


def _register_health(routes: Routes, web: Web) -> None:
    async def alive() -> Response:
        return text_answer("ok\n")

    async def ready() -> Response:
        store = web.site.store
        if store is not None and not store.ready:
            response = text_answer("the metric store is being restored\n", 503)
            response.headers["Retry-After"] = "2"
            return response
        return text_answer("ready\n")

    routes.open("/healthz", "GET", alive)
    routes.open("/readyz", "GET", ready)


def _register_errors(app: QuartTrio, web: Web) -> None:
    def wants_json() -> bool:
        return request.path.startswith(_JSON_PREFIXES)

    async def own(error: HttpError) -> Response:
        return error_answer(error.status, error.message)

    async def not_found(_: NotFound) -> Response:
        if wants_json():
            missing = {"status": "Resource not found", "error": "the requested endpoint does not exist"}
            return json_answer(missing, 404)
        return pages.not_found(web)

    async def wrong_method(error: MethodNotAllowed) -> Response:
        response = Response(b"", 405)
        response.headers["Allow"] = ", ".join(sorted(set(error.valid_methods or ()) - {"OPTIONS"}))
        return response

    async def too_large(_: RequestEntityTooLarge) -> Response:
        return error_answer(413, "the body is too large")

    async def other(error: HTTPException) -> Response:
        status = error.code or 500
        return (
            error_answer(status, error.description or "") if wants_json() else text_answer(error.name, status)
        )

    async def crash(error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)
        if wants_json():
            return error_answer(500, "internal error, see the log of the server")
        return pages.message(
            web, 500, "500 Internal Error", "Something went wrong; the server's log knows what."
        )

    app.register_error_handler(HttpError, own)
    app.register_error_handler(NotFound, not_found)
    app.register_error_handler(MethodNotAllowed, wrong_method)
    app.register_error_handler(RequestEntityTooLarge, too_large)
    app.register_error_handler(HTTPException, other)
    app.register_error_handler(Exception, crash)


async def _compress(response: Response) -> Response:
    """gzip or deflate what shrinks; large bodies in a thread, as zlib works outside the interpreter lock."""
    kind = response.content_type or ""
    if not kind.startswith(_COMPRESSIBLE) or response.status_code in (204, 304):
        return response
    if "Content-Encoding" in response.headers:
        return response
    if "accept-encoding" not in (response.headers.get("Vary") or "").lower():
        response.headers.add("Vary", "Accept-Encoding")
    coding = _coding(request.headers.get("Accept-Encoding", ""))
    if coding is None:
        return response
    body = await response.get_data(as_text=False)
    if len(body) < _SMALLEST_COMPRESSED:
        return response
    if len(body) <= _COMPRESSED_INLINE:
        packed = _pack(body, coding)
    else:
        packed = await in_thread(_pack, body, coding)
    response.set_data(packed)
    response.headers["Content-Encoding"] = coding
    return response


def _pack(body: bytes, coding: str) -> bytes:
    return zlib.compress(body, 1, wbits=31 if coding == "gzip" else 15)


def _coding(accepted: str) -> str | None:
    wanted = {
        name.strip()
        for name, _, weight in (part.partition(";") for part in accepted.lower().split(","))
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    }
    return "gzip" if "gzip" in wanted else "deflate" if "deflate" in wanted else None
