"""`POST /query`: from the bytes of a request to the bytes of the answer. Contract: spec/graphql.md 1, 15.

Authentication, cross-site requests and CORS are decided before; what comes here has a principal.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
import trio
from graphql import GraphQLError, GraphQLFormattedError

from ccserver.graphql.documents import prepare
from ccserver.graphql.encoding import encode
from ccserver.graphql.execution import RequestError, run
from ccserver.graphql.request import Request
from ccserver.model.user import Principal
from ccserver.site import Site

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
_ACCEPTED = {JSON: JSON, "*/*": JSON, "application/*": JSON, GRAPHQL_JSON: GRAPHQL_JSON}

SMALLEST_COMPRESSED = 1024  # bytes
COMPRESSION_LEVEL = 1  # level 6 takes ten times as long for a tenth less

log = logging.getLogger(__name__)

Answer = tuple[int, dict[str, str], list[bytes]]
"""Status, headers, body in pieces."""


class Body(msgspec.Struct):
    """What a client sends; unknown members are ignored."""

    query: str = ""
    variables: dict[str, Any] | None = None
    operation_name: str | None = msgspec.field(name="operationName", default=None)


_decode = msgspec.json.Decoder(Body).decode


async def handle(
    body: bytes,
    principal: Principal | None,
    site: Site,
    *,
    method: str = "POST",
    content_type: str = JSON,
    accept: str = "",
    accept_encoding: str = "",
    introspection: bool = False,
) -> Answer:
    """Answer one request: execution, encoding and compression happen in one worker thread.

    When the caller is cancelled (the client left), the thread stops at the next field.
    """
    media_type = response_type(accept)
    if method != "POST" or content_type.split(";")[0].strip().lower() != JSON:
        return _failure(400, media_type, "transport not supported")
    request = Request(site, principal, introspection)
    work = partial(answer, body, request, media_type, accept_encoding)
    try:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True)
    finally:
        request.abandoned = True


def response_type(accept: str) -> str:
    """The first known media type of an `Accept` header; JSON without a header."""
    listed = [part.split(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    if not listed:
        return JSON
    return next((_ACCEPTED[name] for name in listed if name in _ACCEPTED), GRAPHQL_JSON)


def answer(body: bytes, request: Request, media_type: str = JSON, accept_encoding: str = "") -> Answer:
    """The answer to one JSON body; never raises for what a client sent."""
    try:
        sent = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return _failure(400, media_type, f"json request body could not be decoded: {error}")
    refused = 400 if media_type == GRAPHQL_JSON else 422
    prepared = prepare(sent.query)
    if prepared.errors:
        return _refusal(refused, media_type, prepared.errors)
    try:
        operation = prepared.operation(sent.operation_name)
    except GraphQLError as error:
        return _refusal(refused, media_type, (error,))
    try:
        prepared.check_limits(operation)
    except GraphQLError as error:
        return _refusal(200, media_type, (error,))
    try:
        result = run(prepared, operation, sent.variables or {}, request)
        document: dict[str, Any] = {}
        if result.errors:
            document["errors"] = [_formatted(error) for error in result.errors]
        document["data"] = result.data
        pieces = encode(document)
    except RequestError as error:
        return _refusal(refused, media_type, error.errors)
    except Exception:
        log.exception("an operation failed outside its resolvers")
        return _failure(200, media_type, "internal server error")
    return _compressed(200, media_type, pieces, accept_encoding)


def _failure(status: int, media_type: str, message: str) -> Answer:
    return _plain(status, media_type, encode({"errors": [{"message": message}], "data": None}))


def _refusal(status: int, media_type: str, errors: tuple[GraphQLError, ...] | list[GraphQLError]) -> Answer:
    return _plain(
        status, media_type, encode({"errors": [_formatted(error) for error in errors], "data": None})
    )


def _formatted(error: GraphQLError) -> Mapping[str, Any]:
    formatted: GraphQLFormattedError = error.formatted
    ordered: dict[str, Any] = {"message": formatted["message"]}
    for key in ("path", "locations", "extensions"):
        if formatted.get(key):
            ordered[key] = formatted[key]
    return ordered


def _plain(status: int, media_type: str, pieces: list[bytes]) -> Answer:
    length = sum(map(len, pieces))
    return status, {"Content-Type": media_type, "Content-Length": str(length)}, pieces


def _compressed(status: int, media_type: str, pieces: list[bytes], accept_encoding: str) -> Answer:
    """gzip or deflate as the client accepts it; zlib works outside the interpreter lock."""
    status, headers, pieces = _plain(status, media_type, pieces)
    headers["Vary"] = "Accept-Encoding"
    coding = _coding(accept_encoding)
    if coding is None or sum(map(len, pieces)) < SMALLEST_COMPRESSED:
        return status, headers, pieces
    compressor = zlib.compressobj(COMPRESSION_LEVEL, wbits=31 if coding == "gzip" else 15)
    packed = [compressor.compress(piece) for piece in pieces]
    packed.append(compressor.flush())
    packed = [piece for piece in packed if piece]
    headers["Content-Encoding"] = coding
    headers["Content-Length"] = str(sum(map(len, packed)))
    return status, headers, packed


def _coding(accept_encoding: str) -> str | None:
    accepted = set()
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        if parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            accepted.add(name.strip())
    return next((name for name in ("gzip", "deflate") if name in accepted), None)
