"""Strict reading of JSON request bodies: the rules every client body follows (spec/rest-api.md 1.5).

Keys match case-insensitively, the last duplicate wins, null is the same as absent, unknown keys are refused
by name, integers are JSON integers within their range. Bytes after the first value are ignored.

What reads a value also says what it reads: a `Shape` carries the JSON schema of the values that pass, so the
published description of a body cannot differ from its check.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Generic, NoReturn, TypeVar

Value = TypeVar("Value")
Built = TypeVar("Built")
Schema = Mapping[str, Any]
"""A JSON schema; one with a `title` is published under that name."""


class Shape(Generic[Value]):
    """Reads a parsed JSON value (never None) at a place, "/resources/0"; `schema` says which values pass."""

    __slots__ = ("read", "schema")

    def __init__(self, read: Callable[[Any, str], Value], schema: Schema) -> None:
        self.read = read
        self.schema = schema

    def __call__(self, value: Any, place: str) -> Value:
        return self.read(value, place)


Decoder = Shape[Any]


class WireError(ValueError):
    """A body breaks the rules; the message names the place and what was expected."""


def parse_json(body: bytes | bytearray | memoryview | str) -> Any:
    """The first JSON value of a body; bytes that are not UTF-8 become U+FFFD (job scripts hold anything)."""
    text = body if isinstance(body, str) else bytes(body).decode("utf-8", "replace")
    text = text.lstrip(" \t\r\n")
    if not text:
        raise WireError("the body is empty")
    try:
        value, _end = _DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        raise WireError(f"invalid JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise WireError(f"invalid JSON: {error}") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        members.pop(key, None)  # a repeated key moves to its last place, which decides between spellings
        members[key] = value
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_ordered, parse_constant=_refuse_constant)


def fields(value: Any, place: str, known: Mapping[str, Decoder]) -> dict[str, Any]:
    """The members of an object, decoded and keyed as in `known`; absent and null ones are left out.

    `known` maps the wire name to the decoder of its value.
    """
    if not isinstance(value, dict):
        fail(place, "an object", value)
    spellings = _spellings(known)
    found: dict[str, Any] = {}
    for key, member in value.items():
        name = spellings.get(key.lower())
        if name is None:
            raise WireError(f'unknown field "{key}"{f" in {place}" if place else ""}')
        found.pop(name, None)
        if member is not None:
            found[name] = known[name].read(member, f"{place}/{name}")
    return found


def _spellings(known: Mapping[str, Decoder]) -> dict[str, str]:
    return {name.lower(): name for name in known}


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        fail(place, "a string", value)
    if value.isascii():
        return value
    # a lone surrogate is legal in JSON but cannot be stored or sent as UTF-8
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


TEXT: Schema = {"type": "string"}
text = Shape(_text, TEXT)


def _integer(bits: int) -> Shape[int]:
    limit = 1 << (bits - 1)

    def integer(value: Any, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            fail(place, "an integer", value)
        if not -limit <= value < limit:
            raise WireError(f"{place}: {value} does not fit into {bits} bits")
        return value

    bounds = {"minimum": -limit, "maximum": limit - 1}
    return Shape(integer, {"type": "integer", "format": f"int{bits}", **bounds})


int32 = _integer(32)
int64 = _integer(64)
INT32, INT64 = int32.schema, int64.schema


def _number(value: Any, place: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        fail(place, "a number", value)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise WireError(f"{place}: the number is too large")
    return result


NUMBER: Schema = {"type": "number"}
number = Shape(_number, NUMBER)


def array(item: Shape[Value]) -> Shape[list[Value]]:
    def decode(value: Any, place: str) -> list[Value]:
        if not isinstance(value, list):
            fail(place, "an array", value)
        return [item.read(member, f"{place}/{index}") for index, member in enumerate(value)]

    return Shape(decode, {"type": "array", "items": item.schema})


def mapping(item: Shape[Value]) -> Shape[dict[str, Value]]:
    """An object with free keys (kept as sent); null members are left out."""

    def decode(value: Any, place: str) -> dict[str, Value]:
        if not isinstance(value, dict):
            fail(place, "an object", value)
        members = value.items()
        return {
            _text(key, place): item.read(member, f"{place}/{key}")
            for key, member in members
            if member is not None
        }

    return Shape(decode, {"type": "object", "additionalProperties": nullable(item.schema)})


def record(
    known: Mapping[str, Decoder],
    build: Callable[[dict[str, Any], str], Built],
    *,
    title: str = "",
    required: tuple[str, ...] = (),
) -> Shape[Built]:
    """An object with the members `known`; `build` makes the value of those found, and refuses what it must.

    `required` is for the description: `build` itself says what is missing.
    """

    def decode(value: Any, place: str) -> Built:
        return build(fields(value, place, known), place)

    return Shape(decode, {**_members(known, required), **({"title": title} if title else {})})


def nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and "title" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _members(known: Mapping[str, Decoder], required: tuple[str, ...]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": "object",
        "properties": {
            name: shape.schema if name in required else nullable(shape.schema)
            for name, shape in known.items()
        },
        "additionalProperties": False,
    }
    if required:
        described["required"] = list(required)
    return described


def fail(place: str, expected: str, value: Any) -> NoReturn:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    raise WireError(f"{place or 'body'}: expected {expected}, found {shown}")
