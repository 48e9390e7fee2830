"""Renaming a tag, for pages. Source: spec/web-ui.md 6.7."""

from __future__ import annotations

from quart import Response

from ccserver.auth.guards import Group
from ccserver.jobs.tags import TagExists, TagForbidden, TagMissing
from ccserver.rest import documents
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.parsing import path_id
from ccserver.rest.table import ID, Operation, Parameter, Route
from ccserver.rest.web import Call

_LONGEST = 255  # characters, as the column


async def rename(call: Call, id: str) -> Response:
    form = await call.form()
    type, name = form.get("type", "").strip(), form.get("name", "").strip()
    if not 1 <= len(type) <= _LONGEST or not 1 <= len(name) <= _LONGEST:
        raise HttpError(400, f"type and name must have 1 to {_LONGEST} characters")
    try:
        tag = await call.run(call.site.tags.rename, path_id(id), type, name, call.principal)
    except TagMissing as error:
        raise HttpError(404, str(error)) from None
    except TagForbidden as error:
        raise HttpError(403, str(error)) from None
    except TagExists as error:
        raise HttpError(422, str(error)) from None
    return json_answer({"id": tag.id, "type": tag.type, "name": tag.name, "scope": tag.scope})


_RENAME = Operation(
    "Rename a tag; jobs keep it",
    {200: documents.TAG},
    {
        400: "the id is no integer, or a name is missing or too long",
        403: "not a tag that the caller may delete",
        404: "there is no such tag",
        422: "a tag of that type and name exists",
    },
    form=(
        Parameter("type", "new type", required=True),
        Parameter("name", "new name", required=True),
    ),
    path={"id": ID},
)

ROUTES = (Route("/frontend/tags/<id>", "POST", Group.FRONTEND, rename, _RENAME, presentable=True),)
