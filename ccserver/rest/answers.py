"""Shapes of answers. Source: spec/rest-api.md 1.4."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from quart import Response


class HttpError(Exception):
    """Ends a request with `status` and the JSON error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def error_body(status: int, message: str, **more: Any) -> bytes:
    return orjson.dumps({"status": HTTPStatus(status).phrase, "error": message, **more})


def json_answer(value: Any, status: int = 200) -> Response:
    """Numpy arrays are written as they are, NaN as null."""
    body = value if isinstance(value, bytes) else orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, content_type="application/json")


def error_answer(status: int, message: str, **more: Any) -> Response:
    return Response(error_body(status, message, **more), status, content_type="application/json")


def text_answer(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")


def html_answer(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="text/html; charset=utf-8")
