"""The automatic taggers on the settings page. Source: spec/rest-api.md 4.6."""

from __future__ import annotations

from quart import Response

from ccserver.auth.guards import Group
from ccserver.jobs.taggers import TaggerBusy
from ccserver.model.strict import TEXT
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call


async def taggers(call: Call) -> Response:
    found = call.site.taggers.states()
    return json_answer([{"name": one.name, "type": one.kind, "running": one.running} for one in found])


async def run_tagger(call: Call) -> Response:
    """Answers at once; the tagger goes over all finished jobs in the background."""
    name = (await call.form()).get("name", "")
    if not name:
        raise HttpError(400, "missing required parameter: name")
    try:
        call.site.taggers.start(name)
    except TaggerBusy as error:
        raise HttpError(409, str(error)) from None
    return text_answer(f"Tagger {name} started")


_TAGGERS = Operation(
    "The automatic taggers",
    {
        200: listed(
            described(
                "Tagger",
                {"name": TEXT, "type": {"enum": ["start", "stop"]}, "running": {"type": "boolean"}},
            )
        )
    },
)
_RUN = Operation(
    "Run a tagger over all finished jobs",
    {200: "text/plain"},
    {400: "`name` is missing", 409: "there is no such tagger, or it runs already"},
    form=(Parameter("name", "of the tagger", required=True),),
)

ROUTES = (
    Route("/config/taggers/", "GET", Group.CONFIG_API, taggers, _TAGGERS, presentable=True),
    Route("/config/taggers/run/", "POST", Group.CONFIG_API, run_tagger, _RUN, presentable=True),
)
