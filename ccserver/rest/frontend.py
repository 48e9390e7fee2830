"""Routes the pages call with their session: own settings, own token. Source: spec/rest-api.md 4.7."""

from __future__ import annotations

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.auth.users import UserError
from ccserver.rest.answers import HttpError, text_answer
from ccserver.rest.table import Operation, Parameter, Route
from ccserver.rest.web import Call


def _admins_by_token(call: Call) -> None:
    if request.path.startswith("/api/") and "admin" not in call.principal.roles:
        raise HttpError(403, "only admins may do this with a token")


async def token(call: Call) -> Response:
    """A token for oneself, or for anybody when asked by an admin."""
    _admins_by_token(call)
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
    _admins_by_token(call)
    form = await call.form()
    if "key" not in form or "value" not in form:
        raise HttpError(400, "the form fields 'key' and 'value' are required")
    try:
        await call.run(call.site.store_setting, call.principal.username, form["key"], form["value"])
    except UserError as error:
        raise HttpError(422, str(error)) from None
    return text_answer("success")


_TOKEN = Operation(
    "A new API token",
    {200: "text/plain"},
    {
        403: "somebody else's, and the caller is no admin",
        404: "there is no such account",
        500: "the server has no key to sign tokens with",
    },
    query=(Parameter("username", "whose", required=True),),
)
_CONFIGURATION = Operation(
    "Store one setting of the caller",
    {200: "text/plain"},
    {
        400: "a field is missing",
        403: "the caller is no admin",
        422: "the value is no JSON, or too much without an account",
    },
    form=(
        Parameter("key", "name of the setting", required=True),
        Parameter("value", "JSON text", required=True),
    ),
)

ROUTES = (
    Route("/frontend/jwt/", "GET", Group.FRONTEND, token, _TOKEN),
    Route("/frontend/configuration/", "POST", Group.FRONTEND, configuration, _CONFIGURATION),
    Route("/api/jwt/", "GET", Group.API, token, _TOKEN),  # clients up to 1.2
    Route("/api/configuration/", "POST", Group.API, configuration, _CONFIGURATION),
)
