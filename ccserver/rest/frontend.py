"""Routes the pages call with their session: own settings, own token. Source: spec/rest-api.md 4.7."""

from __future__ import annotations

from quart import Response

from ccserver.auth.guards import Group
from ccserver.auth.users import UserError
from ccserver.rest.answers import HttpError, text_answer
from ccserver.rest.web import Call, Routes


def register(routes: Routes) -> None:
    routes.add("/frontend/jwt/", "GET", Group.FRONTEND, token)
    routes.add("/frontend/configuration/", "POST", Group.FRONTEND, configuration)
    routes.add("/api/jwt/", "GET", Group.API, token)  # clients up to 1.2
    routes.add("/api/configuration/", "POST", Group.API, configuration)


async def token(call: Call) -> Response:
    """A token for oneself, or for anybody when asked by an admin."""
    username = (await call.form()).get("username", "")
    if username != call.principal.username and "admin" not in call.principal.roles:
        raise HttpError(403, "only admins may request the token of somebody else")
    account = await call.run(call.site.users.get, username)
    if account is None:
        raise HttpError(404, f"unknown user: {username}")
    if call.web.issuer is None:
        raise HttpError(500, "tokens cannot be issued: the server has no private key or no auth.jwts section")
    return text_answer(call.web.issuer.issue(account))


async def configuration(call: Call) -> Response:
    """Store one setting of the caller; the value is JSON text."""
    form = await call.form()
    if "key" not in form or "value" not in form:
        raise HttpError(400, "the form fields 'key' and 'value' are required")
    if call.web.login is None:
        raise HttpError(422, "settings cannot be stored while authentication is switched off")
    try:
        await call.run(call.site.users.set_configuration, call.principal.username, form["key"], form["value"])
    except UserError as error:
        raise HttpError(422, str(error)) from None
    return text_answer("success")
