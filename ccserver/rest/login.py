"""Logging in and out. Source: spec/operations.md 2.2, 2.11, 2.12; spec/rest-api.md 1.3."""

from __future__ import annotations

import logging

from quart import Response, request

from ccserver.auth.guards import Credentials
from ccserver.auth.login import LoginAttempt, LoginDispatcher, LoginRefused, acceptable_redirect
from ccserver.auth.sessions import COOKIE, Sessions, clearing_cookie, cookie_header
from ccserver.model.user import Principal
from ccserver.rest.pages import login_page, over_https, redirection
from ccserver.rest.web import Routes, Web, in_thread

_log = logging.getLogger(__name__)

EVERY_METHOD = "GET POST PUT PATCH DELETE"


def register(routes: Routes, web: Web) -> None:
    """Nothing when authentication is switched off."""
    if web.login is None or web.gate.sessions is None:
        return
    entrance = _Entrance(web, web.login, web.gate.sessions)
    routes.open("/login", "GET", entrance.show)
    routes.open("/login", "POST", entrance.log_in)
    routes.open("/jwt-login", EVERY_METHOD, entrance.log_in)
    routes.open("/logout", "POST", entrance.log_out)
    if web.oidc is not None:
        from ccserver.rest import oidc  # brings an HTTP client along

        oidc.register(routes, web.oidc, entrance.let_in)


class _Entrance:
    """Login with what the request itself shows."""

    def __init__(self, web: Web, dispatcher: LoginDispatcher, sessions: Sessions) -> None:
        self._web = web
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._warned = False

    async def show(self) -> Response:
        return login_page(self._web, 200, target=local_target(request.args.get("redirect", "")))

    async def log_in(self) -> Response:
        credentials = Credentials.of_scope(request.scope)
        fields = request.args.to_dict() | (await request.form).to_dict()
        attempt = LoginAttempt(
            username=fields.get("username", ""),
            password=fields.get("password", ""),
            peer=credentials.peer,
            authorization=credentials.headers.get("authorization", ""),
            login_token=request.args.get("login-token", ""),
            cookies=credentials.cookies,
        )
        target = fields.get("redirect", "")
        try:
            principal = await in_thread(self._dispatcher.log_in, attempt)
        except LoginRefused as refused:
            return login_page(
                self._web, 401, f"Login failed: {refused}", "alert-warning", local_target(target)
            )
        target = target or await in_thread(self._landing, principal)
        response = self.let_in(principal, target, credentials)
        jwts = self._web.site.config.auth.jwts
        if jwts is not None and jwts.cookie_name and jwts.cookie_name in attempt.cookies:
            # Its work is done; it would log in whoever uses this browser next.
            response.headers.add(
                "Set-Cookie", cookie_header(jwts.cookie_name, "", 0, over_https(credentials))
            )
        return response

    def _landing(self, principal: Principal) -> str:
        """Where people want to begin who did not ask for a page."""
        own = self._web.site.users.configuration(principal.username).get("ui_landing")
        wanted = own if own is not None else self._web.site.config.ui.defaults.get("ui_landing")
        return wanted if isinstance(wanted, str) and acceptable_redirect(wanted) else ""

    def let_in(self, principal: Principal, target: str, credentials: Credentials) -> Response:
        """A fresh session, whatever cookie the browser came with."""
        secure = over_https(credentials)
        if not secure and not self._warned:
            self._warned = True
            _log.warning(
                "logins over plain http: session cookies are not marked Secure; "
                "a proxy that speaks https must set X-Forwarded-Proto"
            )
        if target and not acceptable_redirect(target):
            _log.warning("login of %r: redirect to %r refused", principal.username, target)
        response = redirection(local_target(target) or "/", 302)
        response.headers.add("Set-Cookie", self._sessions.cookie(self._sessions.issue(principal), secure))
        return response

    async def log_out(self) -> Response:
        credentials = Credentials.of_scope(request.scope)
        self._sessions.end(credentials.cookies.get(COOKIE, ""))
        response = login_page(self._web, 200, "Logout successful", "alert-info")
        response.headers.add("Set-Cookie", clearing_cookie(over_https(credentials)))
        return response


def local_target(target: str) -> str:
    """`target` where a login may lead to it, else nothing."""
    return target if acceptable_redirect(target) else ""
