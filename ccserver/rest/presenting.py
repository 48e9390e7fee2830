"""Presentation mode on and off, for one session. Source: spec/web-ui.md 6.15, 9.20."""

from __future__ import annotations

from dataclasses import replace

from quart import Response, request

from ccserver.auth.guards import Credentials, Group
from ccserver.rest.answers import HttpError, text_answer
from ccserver.rest.boot import may_present
from ccserver.rest.pages import over_https
from ccserver.rest.table import FLAG, Operation, Parameter, Route
from ccserver.rest.web import Call


async def switch(call: Call) -> Response:
    """Hands out another cookie for the same account; whoever is in the mode may leave it."""
    sessions = call.web.gate.sessions
    if sessions is None or not (call.principal.presentation or may_present(call.web, call.principal)):
        raise HttpError(403, "only admins may show this site under pseudonyms")
    wanted = (await call.form()).get("on", "")
    if wanted not in ("true", "false"):
        raise HttpError(400, "the form field 'on' must be true or false")
    secure = over_https(Credentials.of_scope(request.scope))
    value = sessions.issue(replace(call.principal, presentation=""), presentation=wanted == "true")
    response = text_answer("success")
    response.headers.add("Set-Cookie", sessions.cookie(value, secure))
    return response


ROUTES = (
    Route(
        "/frontend/presentation/",
        "POST",
        Group.FRONTEND,
        switch,
        Operation(
            "Show pseudonyms in this session, or names again",
            {200: "text/plain"},
            {400: "the field is neither", 403: "the caller is no admin, or nobody logs in here"},
            form=(Parameter("on", "whether from now on", FLAG, required=True),),
            details="Users, projects, real names, addresses, hosts and job names get pseudonyms that last as "
            "long as the mode; scripts, notes and logs are withheld. The answer sets another session cookie.",
        ),
        presentable=True,
    ),
)
