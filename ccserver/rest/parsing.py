"""Reading numbers and bodies of requests; whatever is wrong ends the request with 400 and a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from ccserver.model.strict import WireError
from ccserver.rest.answers import HttpError

Value = TypeVar("Value")

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def decoded(
    decode: Callable[[bytes], Value], body: bytes, failure: str = "parsing request body failed"
) -> Value:
    """Raises HttpError 400."""
    try:
        return decode(body)
    except WireError as error:
        raise HttpError(400, f"{failure}: {error}") from None


def path_id(raw: str) -> int:
    return integer(raw, f"integer expected in path for id: {raw}")


def integer(raw: str, otherwise: str) -> int:
    """A decimal number of 64 bits; raises HttpError 400 with the text `otherwise`."""
    if _INTEGER.fullmatch(raw):
        value = int(raw)
        if -(1 << 63) <= value < 1 << 63:
            return value
    raise HttpError(400, otherwise)
