"""The table of HTTP routes: what each takes and answers. OpenAPI and docs/rest.md are made from it.

A body is described by the `Shape` that reads it; answers by schemas that tests hold real answers against.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Concatenate

from quart import Response

from ccserver.auth.guards import Group
from ccserver.config import Config
from ccserver.model.strict import INT64, TEXT, Schema, Shape
from ccserver.rest.web import Call

Handler = Callable[Concatenate[Call, ...], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or form field. `repeatable` ones are arrays of the schema."""

    name: str
    meaning: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    required: bool = False
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route does, for people and for OpenAPI.

    `body` is a Shape for JSON, or a media type for anything else; `form` fields may come in the URL as well.
    `answers` maps a status to the schema of its JSON body, to media types, or to None for an empty body;
    `errors` maps a status to when it happens, its body is the error object. 401 is added for guarded routes.
    """

    summary: str
    answers: Mapping[int, Schema | str | tuple[str, ...] | None]
    errors: Mapping[int, str] = field(default_factory=dict)
    query: tuple[Parameter, ...] = ()
    body: Shape[Any] | str | None = None
    form: tuple[Parameter, ...] = ()
    path: Mapping[str, Schema] = field(default_factory=dict)
    details: str = ""


def _always(_: Config) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Route:
    """`methods` as in "POST PUT"; the rule matches with and without a trailing slash.

    `presentable` ones are open to sessions in presentation mode, to whom they show pseudonyms.
    `offered` decides by the configuration whether the route exists; where `when` says so in words.
    """

    rule: str
    methods: str
    group: Group
    handler: Handler
    operation: Operation
    offered: Callable[[Config], bool] = _always
    when: str = ""
    presentable: bool = False


ID: Schema = {**INT64, "description": "database id"}
FLAG: Schema = {"type": "string", "enum": ["true", "false"]}


def described(
    title: str, always: Mapping[str, Schema], sometimes: Mapping[str, Schema] | None = None
) -> Schema:
    """The schema of an answered object: members it always has, and members left out where empty."""
    members = {**always, **(sometimes or {})}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": members,
        "required": list(always),
        "additionalProperties": False,
    }
    return {**schema, "title": title} if title else schema


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def keyed(schema: Schema) -> Schema:
    """An object with free keys."""
    return {"type": "object", "additionalProperties": schema}


MESSAGE = described("Message", {"msg": TEXT})
