"""Logging in at an OpenID Connect provider: away and back. Source: spec/operations.md 2.9."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable

from quart import Response, request

from ccserver.auth.guards import Credentials
from ccserver.auth.oidc import OidcError, OidcProvider
from ccserver.auth.sessions import cookie_header
from ccserver.model.user import Principal
from ccserver.rest.answers import text_answer
from ccserver.rest.login import EVERY_METHOD, local_target
from ccserver.rest.pages import over_https, redirection
from ccserver.rest.web import Routes, in_thread

_log = logging.getLogger(__name__)

_HELPERS = ("state", "verifier", "nonce", "redirect")
_HELPERS_LIVE = 3600  # seconds

LetIn = Callable[[Principal, str, Credentials], Response]


def register(routes: Routes, provider: OidcProvider, let_in: LetIn) -> None:
    """`let_in` hands out the session."""
    entrance = _Entrance(provider, let_in)
    routes.open("/oidc-login", EVERY_METHOD, entrance.leave)
    routes.open("/oidc-callback", EVERY_METHOD, entrance.come_back)


class _Entrance:
    """Login at an OpenID Connect provider: away and back."""

    def __init__(self, provider: OidcProvider, let_in: LetIn) -> None:
        self._provider = provider
        self._let_in = let_in

    async def leave(self) -> Response:
        credentials = Credentials.of_scope(request.scope)
        departure = self._provider.depart(_callback(credentials))
        response = redirection(departure.url, 302)
        values = {
            "state": departure.state,
            "verifier": departure.verifier,
            "nonce": departure.nonce,
            "redirect": _cookie_text(local_target(request.args.get("redirect", ""))),
        }
        for name in _HELPERS:
            age = _HELPERS_LIVE if values[name] else 0
            response.headers.add(
                "Set-Cookie", cookie_header(name, values[name], age, over_https(credentials))
            )
        return response

    async def come_back(self) -> Response:
        credentials = Credentials.of_scope(request.scope)
        try:
            principal = await self._proven(credentials)
        except OidcError as error:
            _log.warning("OpenID Connect login from %s failed: %s", credentials.peer, error)
            response = text_answer(f"Login failed: {error}\n", error.status)
        else:
            _log.info(
                "login of %r by OpenID Connect, roles %s, projects %s",
                principal.username, sorted(principal.roles), list(principal.projects),
            )  # fmt: skip
            target = _from_cookie_text(credentials.cookies.get("redirect", ""))
            response = self._let_in(principal, target, credentials)
        for name in _HELPERS:
            response.headers.add("Set-Cookie", cookie_header(name, "", 0, over_https(credentials)))
        return response

    async def _proven(self, credentials: Credentials) -> Principal:
        state, verifier = credentials.cookies.get("state", ""), credentials.cookies.get("verifier", "")
        if not state or not verifier:
            raise OidcError(400, "the cookies of this login are missing, or too old")
        if not hmac.compare_digest(request.args.get("state", "").encode(), state.encode()):
            raise OidcError(400, "the state does not match")
        code = request.args.get("code", "")
        if not code:
            raise OidcError(400, "the provider sent no code")
        nonce = credentials.cookies.get("nonce", "")
        return await in_thread(self._provider.arrive, _callback(credentials), code, verifier, nonce)


def _callback(credentials: Credentials) -> str:
    """Where the provider shall send the browser, as this browser knows us."""
    scheme = "https" if over_https(credentials) else "http"
    return f"{scheme}://{request.host}/oidc-callback"


def _cookie_text(text: str) -> str:
    """A path as a cookie value: only letters, digits and what RFC 6265 allows."""
    return text.encode().hex()


def _from_cookie_text(value: str) -> str:
    try:
        return bytes.fromhex(value).decode()
    except ValueError:
        return ""
