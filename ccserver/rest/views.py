"""Views saved under a name: an address with filters, order and metrics. Source: spec/web-ui.md 9.14.

They are a setting of their owner. One that is shared names a project: whoever sees a job of it sees the view.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import orjson
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.auth.users import UserError
from ccserver.jobs.filters import InvisibleJobs
from ccserver.model.strict import TEXT
from ccserver.model.user import Principal
from ccserver.pseudonyms import Kind, Names
from ccserver.rest.answers import HttpError, json_answer, text_answer
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call, Web

KEY = "ui_savedViews"
_MOST = 100  # of one account
_MOST_SHARED = 200  # shown of all accounts
_LONGEST_NAME = 100
_LONGEST_QUERY = 4000
_ROUTES = ("/monitoring/", "/config")
_MEMBERS = ("id", "name", "route", "query", "project")

View = dict[str, str]

_NAMED = {"user": Kind.USER, "project": Kind.PROJECT, "jobName": Kind.JOB_NAME, "node": Kind.HOST}
"""Keys of a page's address that hold names."""


async def saved(call: Call) -> Response:
    """Own ones by name, then those that others share."""
    return json_answer(await call.run(_visible, call.web, call.principal))


def _visible(web: Web, viewer: Principal) -> list[dict[str, Any]]:
    own = [{**view, "owner": viewer.username, "own": True} for view in _own(web, viewer)]
    shared = [
        {**view, "owner": owner, "own": False}
        for owner, view in _shared(web)
        if owner != viewer.username and _sees(web, viewer, view["project"])
    ]
    shown = own + shared[:_MOST_SHARED]
    names = web.site.names(viewer)
    return [_hidden(view, number, names) for number, view in enumerate(shown, 1)] if names.hidden else shown


def _hidden(view: dict[str, Any], number: int, names: Names) -> dict[str, Any]:
    """A view without names: its own is a free text."""
    query = [
        (key, names.shown(_NAMED[key], value) if key in _NAMED else names.scrubbed(value))
        for key, value in parse_qsl(view["query"], keep_blank_values=True)
    ]
    *path, last = view["route"].split("/")
    kind = {"user": Kind.USER}.get(path[-1]) or (Kind.HOST if "node" in path else None)
    return {
        **view,
        "name": f"View {number}",
        "route": "/".join([*path, quote(names.shown(kind, unquote(last)), safe="") if kind else last]),
        "query": urlencode(query),
        "project": names.shown(Kind.PROJECT, view["project"]),
        "owner": names.shown(Kind.USER, view["owner"]),
    }


def _own(web: Web, viewer: Principal) -> list[View]:
    if web.login is None:
        return _views(web.site.config.ui.defaults.get(KEY))
    return _views(web.site.users.configuration(viewer.username).get(KEY))


def _shared(web: Web) -> Iterator[tuple[str, View]]:
    for owner, value in web.site.users.settings_of_all(KEY):
        yield from ((owner, view) for view in _views(value) if view["project"])


def _views(stored: Any) -> list[View]:
    """What is stored may have been written by anybody: only whole views count."""
    if not isinstance(stored, list):
        return []
    views = [
        {name: one[name] for name in _MEMBERS}
        for one in stored[:_MOST]
        if isinstance(one, dict) and all(isinstance(one.get(name), str) for name in _MEMBERS)
    ]
    return sorted((one for one in views if one["route"].startswith(_ROUTES)), key=lambda one: one["name"])


def _sees(web: Web, viewer: Principal, project: str) -> bool:
    try:
        return web.site.jobs.project_exists(project, viewer)
    except InvisibleJobs:
        return False


async def save(call: Call) -> Response:
    """Stores a view; one of the same name and page is replaced."""
    form = await call.form()
    view = {
        "id": secrets.token_hex(8),
        "name": form.get("name", "").strip(),
        "route": form.get("route", ""),
        "query": form.get("query", ""),
        "project": form.get("project", "").strip(),
    }
    if not 1 <= len(view["name"]) <= _LONGEST_NAME:
        raise HttpError(400, f"the name must have 1 to {_LONGEST_NAME} characters")
    if not view["route"].startswith(_ROUTES) or len(view["route"] + view["query"]) > _LONGEST_QUERY:
        raise HttpError(400, "the address is no page of this site, or too long")
    if view["project"] and not await call.run(_sees, call.web, call.principal, view["project"]):
        raise HttpError(403, f"you see no job of the project {view['project']}")
    await call.run(_change, call, lambda views: [*_others(views, view), view])
    return json_answer({**view, "owner": call.principal.username, "own": True}, 201)


def _others(views: list[View], new: View) -> list[View]:
    others = [one for one in views if (one["name"], one["route"]) != (new["name"], new["route"])]
    if len(others) >= _MOST:
        raise HttpError(422, f"at most {_MOST} views can be saved")
    return others


async def forget(call: Call) -> Response:
    id = request.args.get("id", "")
    await call.run(_change, call, lambda views: [one for one in views if one["id"] != id])
    return text_answer("success")


def _change(call: Call, change: Any) -> None:
    views = change(_own(call.web, call.principal))
    try:
        call.site.store_setting(call.principal.username, KEY, orjson.dumps(views).decode())
    except UserError as error:
        raise HttpError(422, str(error)) from None


_VIEW = described(
    "SavedView",
    {
        **dict.fromkeys(("id", "name", "route", "query"), TEXT),
        "project": {**TEXT, "description": "with whom it is shared; empty: with nobody"},
        "owner": TEXT,
        "own": {"type": "boolean"},
    },
)
_LIST = Operation("Views saved under a name: own ones and shared ones", {200: listed(_VIEW)})
_SAVE = Operation(
    "Save a view; one of the same name and page is replaced",
    {201: _VIEW},
    {
        400: "the name is missing or too long, or the address is no page of this site",
        403: "the caller sees no job of the project",
        422: f"there are {_MOST} already, or too much without an account",
    },
    form=(
        Parameter("name", f"1 to {_LONGEST_NAME} characters", required=True),
        Parameter("route", "path of the page", required=True),
        Parameter("query", "its query string"),
        Parameter("project", "whoever sees a job of it sees the view"),
    ),
)
_FORGET = Operation(
    "Delete an own view; one that does not exist is no error",
    {200: "text/plain"},
    {422: "too much without an account"},
    query=(Parameter("id", "which", required=True),),
)

ROUTES = (
    Route("/frontend/views/", "GET", Group.FRONTEND, saved, _LIST, presentable=True),
    Route("/frontend/views/", "POST", Group.FRONTEND, save, _SAVE),
    Route("/frontend/views/", "DELETE", Group.FRONTEND, forget, _FORGET),
)
