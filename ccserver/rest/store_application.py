"""The HTTP side of the stand-alone metric store. Source: spec/metric-store.md 6."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from quart import Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from ccserver.auth.guards import EVERYBODY, Credentials, Refused
from ccserver.auth.tokens import TokenError, TokenVerifier
from ccserver.rest.answers import HttpError, error_answer, json_answer, text_answer
from ccserver.rest.fastwrite import SampleWrites
from ccserver.rest.framework import compress, new_application, register_health
from ccserver.rest.gateway import Application, Gateway
from ccserver.rest.ingest import Ingest
from ccserver.rest.metricstore import StoreViews, metrics_view
from ccserver.rest.monitoring import Monitor
from ccserver.rest.web import Admitted
from ccstore import MetricStore

_log = logging.getLogger(__name__)

View = Callable[[Admitted], Awaitable[Response]]


class TokenDoor:
    """Whoever shows a token of the right key may do everything; without a key everybody may."""

    def __init__(self, public_key: bytes | None) -> None:
        self._tokens = (
            TokenVerifier(public_key, False, lambda _: None, needs_subject=False) if public_key else None
        )

    @property
    def open(self) -> bool:
        return self._tokens is None

    async def admit(self, credentials: Credentials) -> None:
        """Raises Refused."""
        if self._tokens is None:
            return
        if not credentials.token:
            raise Refused("Use JWT Authentication")
        try:
            self._tokens.verify(credentials.token)
        except TokenError as error:
            raise Refused(str(error), broken_token=True) from None

    def refusal(self, message: str) -> tuple[bytes, bytes]:
        return b"text/plain; charset=utf-8", message.encode()


def create_store_application(
    store: MetricStore, door: TokenDoor, monitor: Monitor, *, anonymous_free: bool
) -> Application:
    """Routes with and without trailing slash, also below `/metricstore`. `anonymous_free`: without a key
    `free` and `debug` are open, too."""
    app = new_application()
    views = StoreViews(store)

    def guarded(view: View, closed: bool) -> Callable[[], Awaitable[Response]]:
        async def handle() -> Response:
            try:
                await door.admit(Credentials.of_scope(request.scope))
            except Refused as refused:
                return text_answer(refused.message, 401)
            if closed:
                return text_answer("not without main.jwt-public-key (or main.anonymous-free)", 401)
            return await view(Admitted(EVERYBODY, request._get_current_object()))  # type: ignore[attr-defined]

        return handle

    closed = door.open and not anonymous_free
    for name, methods, view, needs_key in (
        ("query", ["GET", "POST"], views.query, False),
        ("healthcheck", ["GET"], views.health, False),
        ("free", ["POST"], views.free, True),
        ("debug", ["GET"], views.debug, True),
    ):
        handle = guarded(view, closed and needs_key)
        for prefix in ("/api", "/metricstore/api"):
            rule = f"{prefix}/{name}"
            app.add_url_rule(rule, rule, handle, methods=methods, provide_automatic_options=False)
    app.add_url_rule(
        "/metrics",
        "metrics",
        guarded(metrics_view(monitor), False),
        methods=["GET"],
        provide_automatic_options=False,
    )
    register_health(app, store)
    _register_errors(app)
    app.after_request(compress)
    ingest = Ingest(store, door)
    paths = ("/api/write", "/metricstore/api/write")
    fast = SampleWrites(ingest)
    return Gateway(app, dict.fromkeys(paths, ingest), dict.fromkeys(paths, fast))  # type: ignore[arg-type]


def _register_errors(app: object) -> None:
    async def own(error: HttpError) -> Response:
        return error_answer(error.status, error.message)

    async def not_found(_: NotFound) -> Response:
        return json_answer(
            {"status": "Resource not found", "error": "the requested endpoint does not exist"}, 404
        )

    async def wrong_method(error: MethodNotAllowed) -> Response:
        response = Response(b"", 405)
        response.headers["Allow"] = ", ".join(sorted(set(error.valid_methods or ()) - {"OPTIONS"}))
        return response

    async def too_large(_: RequestEntityTooLarge) -> Response:
        return error_answer(413, "the body is too large")

    async def other(error: HTTPException) -> Response:
        return error_answer(error.code or 500, error.description or "")

    async def crash(error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.path, exc_info=error)
        return error_answer(500, "internal error, see the log of the server")

    register = app.register_error_handler  # type: ignore[attr-defined]
    register(HttpError, own)
    register(NotFound, not_found)
    register(MethodNotAllowed, wrong_method)
    register(RequestEntityTooLarge, too_large)
    register(HTTPException, other)
    register(Exception, crash)
