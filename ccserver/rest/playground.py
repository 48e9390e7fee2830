"""GET /playground: an interactive page for GraphQL, with -dev only. Contract: spec/graphql.md 1.

The page comes with the built frontend and talks to nobody but /query, which asks for a login as always.
"""

from __future__ import annotations

from quart import Response

from ccserver.rest.answers import html_answer
from ccserver.rest.web import Routes, Web, in_thread

# The editor measures and places its parts through style attributes; fonts are part of its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self' data:; "
    "frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
)


def register(routes: Routes, web: Web) -> None:
    if not web.development:
        return

    async def playground() -> Response:
        response = html_answer(await in_thread(web.templates.render, "playground.html"))
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "no-store"
        return response

    routes.open("/playground", "GET", playground)
