"""docs/rest.md, made from the table of routes: `python -m ccserver.rest.reference > docs/rest.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ccserver.auth.guards import Group
from ccserver.model.strict import Shape
from ccserver.rest.openapi import GROUPS, path_of
from ccserver.rest.routes import described
from ccserver.rest.table import Operation, Route

_HEAD = """# HTTP interface

<!-- Made by `python -m ccserver.rest.reference`; edit the tables in ccserver/rest instead. -->

Every path works with and without its trailing slash, without a redirect. Errors are
`{"status": "<reason>", "error": "<text>"}`. Keys of JSON bodies match in any case, `null` is the same as
absent, unknown keys are refused, the content type of a JSON body is ignored. Form fields may come in the URL.

A token goes into the header `X-Auth-Token` or `Authorization: Bearer`; a session is the cookie of a login. A
token without the right roles gets 401. With `-dev` the server shows this description at `/swagger/`, and as
OpenAPI 3.1 at `/swagger/doc.json`. `{id}` is the database id of a job, not the scheduler's number.

Answers with text or JSON are compressed when the request asks for it. Lists have no upper bound: long ones
are sent while they are read.

## Archiving

A stopped job waits for archiving in a queue of 128; when that is full, stopping the next job waits. Archiving
that fails for a passing reason (disk full, database locked) is tried again three times within a minute; then
the job has monitoring status 2, and `POST /api/archiver/{id}` tries it once more. Jobs that a dying server
left are archived after its next start. `GET /api/archiver/` shows the queue.
"""

_OPEN: Mapping[str, str] = {
    "/": "home page",
    "/config": "settings page",
    "/search": "the search box: redirects to what was found",
    "/query": "GraphQL, POST",
    "/login": "login page, and logging in with POST",
    "/logout": "POST ends the session",
    "/jwt-login": "logging in with a token of another site",
    "/oidc-login": "logging in at an OpenID provider, if one is configured",
    "/oidc-callback": "the way back from there",
    "/imprint": "imprint",
    "/privacy": "privacy policy",
    "/monitoring/": "the pages of the web interface",
    "/assets/": "files of the web interface",
    "/img/": "pictures",
    "/favicon.ico": "icon",
    "/frontend/events": "server-sent events of live views (session)",
    "/frontend/csp": "POST by browsers, when the policy of a page stopped something; logged once per kind",
    "/healthz": "200 as long as the process answers",
    "/readyz": "200 once the metric store is restored, 503 before",
    "/swagger/": "this description in a browser, with `-dev`",
    "/playground": "GraphQL in a browser, with `-dev`",
}


def reference() -> str:
    """The whole page."""
    objects: dict[str, Any] = {}
    sections = list(_sections(objects))
    return "\n".join(
        [_HEAD, *sections, "## Objects", "", *_objects(objects), "## Pages and open routes", "", *_open(), ""]
    )


def documented(rule: str) -> bool:
    """Whether the page names a rule of the web framework."""
    if any(rule.rstrip("/") == known.rstrip("/") for known in described()):
        return True
    return any(
        rule.rstrip("/") == path.rstrip("/") or (path != "/" and path.endswith("/") and rule.startswith(path))
        for path in _OPEN
    )


def _sections(objects: dict[str, Any]) -> Iterator[str]:
    for group, who in GROUPS.items():
        routes = [route for routes in described().values() for route in routes if route.group is group]
        if not routes:
            continue
        yield f"## {_title(routes)}\n\nNeeds a {who}.\n"
        for route in routes:
            yield from _route(route, objects)


def _title(routes: list[Route]) -> str:
    if routes[0].group is Group.METRIC_STORE:
        return "Routes of the metric store"
    families = dict.fromkeys(route.rule.split("/<")[0].rsplit("/", 1)[0] for route in routes)
    shortest = min(families, key=len)
    return f"Routes below `/{shortest.strip('/').split('/')[0]}/`"


def _route(route: Route, objects: dict[str, Any]) -> Iterator[str]:
    operation = route.operation
    yield f"### {', '.join(route.methods.split())} `{path_of(route.rule)}`\n"
    yield f"{operation.summary}." + (f" {operation.details}" if operation.details else "")
    yield f"Only if {route.when}.\n" if route.when else ""
    fields = [("query", one) for one in operation.query] + [("form", one) for one in operation.form]
    if fields:
        yield "| Parameter | In | Meaning |\n|---|---|---|"
        for where, one in fields:
            marks = [mark for mark, on in (("required", one.required), ("repeatable", one.repeatable)) if on]
            choices = one.schema.get("enum")
            meaning = one.meaning + (f": {', '.join(f'`{choice}`' for choice in choices)}" if choices else "")
            yield f"| `{one.name}` | {where} | {'; '.join([meaning, *marks])} |"
        yield ""
    if operation.body is not None:
        yield f"Body: {_body(operation, objects)}\n"
    yield "| Status | |\n|---|---|"
    for status, answer in operation.answers.items():
        yield f"| {status} | {_answer(answer, objects)} |"
    for status, when in sorted(operation.errors.items()):
        yield f"| {status} | {when} |"
    yield ""


def _body(operation: Operation, objects: dict[str, Any]) -> str:
    if not isinstance(operation.body, Shape):
        return f"`{operation.body}`"
    return f"JSON, {_shape(operation.body.schema, objects)}"


def _answer(answer: Any, objects: dict[str, Any]) -> str:
    if answer is None:
        return "empty"
    if isinstance(answer, tuple):
        return " or ".join(f"`{kind}`" for kind in answer)
    return f"`{answer}`" if isinstance(answer, str) else _shape(answer, objects)


def _shape(schema: Mapping[str, Any], objects: dict[str, Any]) -> str:
    """A schema in a few words; objects with a name are described once, by `_objects`."""
    if "title" in schema:
        objects.setdefault(schema["title"], schema)
        return f"[{schema['title']}](#{schema['title'].lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_shape(part, objects) for part in schema["anyOf"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"array of {_shape(schema['items'], objects)}"
    if kind == "object" and "properties" in schema:
        members = schema["properties"].items()
        return "object of " + ", ".join(f"`{name}`: {_shape(one, objects)}" for name, one in members)
    if kind == "object" and "additionalProperties" in schema:
        return f"object of free keys, each {_shape(schema['additionalProperties'], objects)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _objects(objects: dict[str, Any]) -> Iterator[str]:
    shown: set[str] = set()
    while left := [name for name in objects if name not in shown]:
        for name in left:  # describing one may name others
            shown.add(name)
            schema = objects[name]
            required = schema.get("required", ())
            yield f"### {name}\n\n| Member | | |\n|---|---|---|"
            for member, one in schema["properties"].items():
                words = f"{_shape(one, objects)}{'; ' + one['description'] if 'description' in one else ''}"
                yield f"| `{member}` | {'always' if member in required else ''} | {words} |"
            yield ""


def _open() -> Iterator[str]:
    yield "| Path | |\n|---|---|"
    for path, meaning in _OPEN.items():
        yield f"| `{path}` | {meaning} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
