"""POST /query: hands the body to the GraphQL view."""

from __future__ import annotations

from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError
from ccserver.rest.web import Call, Routes

_LARGEST_QUERY = 16 * 1024 * 1024  # bytes


def register(routes: Routes) -> None:
    # Other methods get an answer in GraphQL's own form, from the view.
    for method in ("POST", "GET"):
        routes.add("/query", method, Group.PAGES, query, presentable=True)


async def query(call: Call) -> Response:
    if (request.content_length or 0) > _LARGEST_QUERY:
        raise HttpError(413, "the body is too large")
    return await answer_of(
        call,
        await call.body(),
        call.principal,
        method=request.method,
        content_type=request.headers.get("Content-Type", ""),
    )


async def answer_of(call: Call, body: bytes, principal: Principal, **transport: str) -> Response:
    """The answer to a JSON body as `principal` gets it, packed as the client of this request accepts it."""
    if call.web.graphql is None:
        raise HttpError(404, "this server has no GraphQL interface")
    headers = request.headers
    status, answer_headers, pieces = await call.web.graphql(
        body,
        principal,
        call.site,
        **transport,
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
