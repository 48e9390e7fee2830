"""The OpenAPI document, made from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from ccserver.auth.guards import Group
from ccserver.config import Config
from ccserver.model.strict import TEXT, Schema, Shape
from ccserver.rest.routes import described as routes_by_path
from ccserver.rest.table import Operation, Parameter, Route, described
from ccserver.version import VERSION

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
# a refused write says more: which lines, and why
ERROR: Schema = {**described("Error", {"status": TEXT, "error": TEXT}), "additionalProperties": True}

GROUPS: Mapping[Group, str] = {
    Group.API: "token of a user with exactly the role api, or with admin and api",
    Group.USER_API: "token of a user with exactly the role api, or with api and any other role",
    Group.METRIC_STORE: "token of a user with exactly the role api, or with api and user, manager or admin",
    Group.CONFIG_API: "session of an admin",
    Group.FRONTEND: "session",
    Group.PAGES: "token or session",
    Group.DISPLAY: "token or session, or the token of a wall display in the URL",
}
_BY_SESSION = (Group.CONFIG_API, Group.FRONTEND)


def openapi(config: Config | None = None) -> dict[str, Any]:
    """OpenAPI 3.1; with a configuration only the routes it offers."""
    components: dict[str, Any] = {}
    paths = {
        path_of(rule): _path(rule, routes, components) for rule, routes in routes_by_path(config).items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ccserver",
            "version": VERSION,
            "description": "Job monitoring: jobs, metric data, clusters, accounts. Every path works with and "
            "without its trailing slash.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }


def path_of(rule: str) -> str:
    """The rule of the web framework as OpenAPI writes it."""
    return _PARAMETER.sub(r"{\1}", rule)


def _path(rule: str, routes: Iterable[Route], components: dict[str, Any]) -> dict[str, Any]:
    return {
        method.lower(): _operation(rule, method, route, components)
        for route in routes
        for method in route.methods.split()
    }


def _operation(rule: str, method: str, route: Route, components: dict[str, Any]) -> dict[str, Any]:
    operation = route.operation
    described: dict[str, Any] = {
        "operationId": f"{method.lower()}{re.sub(r'[^a-zA-Z0-9]+', '_', path_of(rule)).rstrip('_')}",
        "summary": operation.summary,
        "tags": [_tag(rule)],
        "security": [{"session": []}] if route.group in _BY_SESSION else [{"token": []}, {"bearer": []}],
        "responses": _responses(operation, components),
    }
    details = [
        operation.details,
        f"Needs a {GROUPS[route.group]}.",
        f"Only if {route.when}." if route.when else "",
    ]
    described["description"] = " ".join(part for part in details if part)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": operation.path.get(name, TEXT)}
        for name in _PARAMETER.findall(rule)
    ]
    parameters += [_query(parameter) for parameter in operation.query]
    if parameters:
        described["parameters"] = parameters
    if (content := _content(operation, components)) is not None:
        described["requestBody"] = {"required": True, "content": content}
    return described


def _tag(rule: str) -> str:
    family, _, rest = rule.lstrip("/").partition("/")
    if family == "metricstore":
        return "metric store"
    name = rest.strip("/").partition("/")[0]
    if name in ("write", "query", "free", "debug", "healthcheck"):
        return "metric store"
    return {"userapi": "jobs for users", "config": "settings page", "frontend": "web interface"}.get(
        family, name
    )


def _query(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.repeatable else parameter.schema
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": parameter.required,
        "schema": schema,
    }


def _content(operation: Operation, components: dict[str, Any]) -> dict[str, Any] | None:
    content: dict[str, Any] = {}
    if isinstance(operation.body, Shape):
        content["application/json"] = {"schema": _named(operation.body.schema, components)}
    elif operation.body is not None:
        content[operation.body] = {"schema": TEXT if operation.body.startswith("text/") else {}}
    if operation.form:
        form = {
            "type": "object",
            "properties": {
                field.name: {**field.schema, "description": field.meaning} for field in operation.form
            },
            "required": [field.name for field in operation.form if field.required],
        }
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
            content[kind] = {"schema": form}
    return content or None


def _responses(operation: Operation, components: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if isinstance(answer, str | tuple):
            kinds = (answer,) if isinstance(answer, str) else answer
            response["content"] = {
                kind: {"schema": TEXT if kind.startswith("text/") else {}} for kind in kinds
            }
        elif answer is not None:
            response["content"] = {"application/json": {"schema": _named(answer, components)}}
        responses[str(status)] = response
    errors = {401: "no credentials, or not these", **operation.errors}
    if operation.form:
        errors[413] = "the form is larger than 10 MB"
    for status, when in sorted(errors.items()):
        content = {"application/json": {"schema": _named(ERROR, components)}}
        responses.setdefault(str(status), {"description": when, "content": content})
    return responses


def _named(schema: Any, components: dict[str, Any]) -> Any:
    """The schema with every titled part moved to the components."""
    if isinstance(schema, list | tuple):
        return [_named(part, components) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain = {key: _named(part, components) for key, part in schema.items() if key != "title"}
    title = schema.get("title")
    if not isinstance(title, str):  # no title, or a member of that name
        return plain if title is None else {**plain, "title": _named(title, components)}
    if components.setdefault(title, plain) != plain:
        raise ValueError(f"two schemas are called {title}")
    return {"$ref": f"#/components/schemas/{title}"}
