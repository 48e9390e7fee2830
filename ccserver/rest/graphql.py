"""POST /query: hands the body to the GraphQL view."""

from __future__ import annotations

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.rest.answers import HttpError
from ccserver.rest.web import Call, Routes

_LARGEST_QUERY = 16 * 1024 * 1024  # bytes


def register(routes: Routes) -> None:
    # Other methods get an answer in GraphQL's own form, from the view.
    for method in ("POST", "GET"):
        routes.add("/query", method, Group.PAGES, query)


async def query(call: Call) -> Response:
    if call.web.graphql is None:
        raise HttpError(404, "this server has no GraphQL interface")
    if (request.content_length or 0) > _LARGEST_QUERY:
        raise HttpError(413, "the body is too large")
    headers = request.headers
    status, answer_headers, pieces = await call.web.graphql(
        await call.body(),
        call.principal,
        call.site,
        method=request.method,
        content_type=headers.get("Content-Type", ""),
        accept=headers.get("Accept", ""),
        accept_encoding=headers.get("Accept-Encoding", ""),
        introspection=call.web.development,
    )
    response = Response(_pieces(pieces) if len(pieces) > 1 else b"".join(pieces), status)
    response.headers.update(answer_headers)
    return response


async def _pieces(pieces: list[bytes]):  # type: ignore[no-untyped-def]
    for piece in pieces:
        yield piece
