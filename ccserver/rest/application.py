"""Puts the routes together into one ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from ccserver.auth.guards import Credentials, Group, Refused
from ccserver.rest import graphql, login, pages, playground, static, swagger, violations
from ccserver.rest.answers import HttpError, error_answer, json_answer, text_answer
from ccserver.rest.fastjobs import FastJobWrites
from ccserver.rest.fastwrite import FastRoute, SampleWrites
from ccserver.rest.framework import compress, new_application, register_health
from ccserver.rest.gateway import Application, Gateway
from ccserver.rest.ingest import GateDoor, Ingest
from ccserver.rest.job_changes import over_rest
from ccserver.rest.routes import register
from ccserver.rest.web import Routes, Web

_log = logging.getLogger(__name__)

_JSON_PREFIXES = ("/api/", "/userapi/", "/frontend/", "/config/", "/metricstore/")


def create_application(web: Web, mounts: Mapping[str, Application] | None = None) -> Application:
    """The whole HTTP side; `mounts` are plain ASGI applications by path, beside those that live here."""
    app = new_application()

    async def json_refusal(refused: Refused, credentials: Credentials) -> Response:
        return error_answer(401, refused.message)

    async def page_refusal(refused: Refused, credentials: Credentials) -> Response:
        return await pages.refuse_page(web, refused, credentials)

    async def display_refusal(refused: Refused, credentials: Credentials) -> Response:
        refuse = json_refusal if request.path.startswith(_JSON_PREFIXES) else page_refusal
        return await refuse(refused, credentials)

    refusals = {group: json_refusal for group in Group}
    refusals |= {Group.PAGES: page_refusal, Group.DISPLAY: display_refusal}
    routes = Routes(app, web, refusals)
    ingest = Ingest(web.site.store, GateDoor(web.gate))
    served = {"/api/write": ingest, "/metricstore/api/write": ingest, **(mounts or {})}
    register(routes, web.site.config, served)
    pages.register(routes, web)
    login.register(routes, web)
    violations.register(routes)
    graphql.register(routes)
    playground.register(routes, web)
    if web.development:
        swagger.register(routes, web.site.config)
    custom = web.site.config.main.static_files
    roots = [] if web.site.config.main.embed_static_files or not custom else [Path(custom)]
    static.register(routes, static.StaticFiles(*roots, images=web.overrides.images))
    register_health(app, web.site.store)
    _register_errors(app, web)
    app.after_request(compress)
    return Gateway(app, served, _fast(web, ingest))  # type: ignore[arg-type]


def _fast(web: Web, ingest: Ingest) -> Mapping[str, FastRoute]:
    routes: dict[str, FastRoute] = {}
    if ingest.has_store:
        routes = dict.fromkeys(("/api/write", "/metricstore/api/write"), SampleWrites(ingest))
    if over_rest(web.site.config):
        routes["/api/jobs/start_job"] = FastJobWrites(web.gate, web.job_writes.start)
        routes["/api/jobs/stop_job"] = FastJobWrites(web.gate, web.job_writes.stop)
    return routes


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
