"""Strict reading of JSON request bodies: the rules every client body follows (spec/rest-api.md 1.5).

Keys match case-insensitively, the last duplicate wins, null is the same as absent, unknown keys are refused
by name, integers are JSON integers within their range. Bytes after the first value are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

Value = TypeVar("Value")
Decoder = Callable[[Any, str], Any]
"""Takes a parsed JSON value (never None) and its place, "/resources/0", and returns the checked value."""


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
            found[name] = known[name](member, f"{place}/{name}")
    return found


def _spellings(known: Mapping[str, Decoder]) -> dict[str, str]:
    return {name.lower(): name for name in known}


def text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        fail(place, "a string", value)
    if value.isascii():
        return value
    # a lone surrogate is legal in JSON but cannot be stored or sent as UTF-8
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(bits: int) -> Callable[[Any, str], int]:
    limit = 1 << (bits - 1)

    def integer(value: Any, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            fail(place, "an integer", value)
        if not -limit <= value < limit:
            raise WireError(f"{place}: {value} does not fit into {bits} bits")
        return value

    return integer


int32 = _integer(32)
int64 = _integer(64)


def number(value: Any, place: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        fail(place, "a number", value)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise WireError(f"{place}: the number is too large")
    return result


def array(item: Callable[[Any, str], Value]) -> Callable[[Any, str], list[Value]]:
    def decode(value: Any, place: str) -> list[Value]:
        if not isinstance(value, list):
            fail(place, "an array", value)
        return [item(member, f"{place}/{index}") for index, member in enumerate(value)]

    return decode


def mapping(item: Callable[[Any, str], Value]) -> Callable[[Any, str], dict[str, Value]]:
    """An object with free keys (kept as sent); null members are left out."""

    def decode(value: Any, place: str) -> dict[str, Value]:
        if not isinstance(value, dict):
            fail(place, "an object", value)
        members = value.items()
        return {
            text(key, place): item(member, f"{place}/{key}") for key, member in members if member is not None
        }

    return decode


def fail(place: str, expected: str, value: Any) -> NoReturn:
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    raise WireError(f"{place or 'body'}: expected {expected}, found {shown}")
