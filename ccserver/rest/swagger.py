"""Swagger UI and the OpenAPI document it shows, for developers: only with `-dev`.

The page comes from the package swagger-ui-py, everything on it from this server.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import orjson
from quart import Response, abort

from ccserver.config import Config
from ccserver.rest.answers import html_answer, json_answer
from ccserver.rest.openapi import openapi
from ccserver.rest.web import Routes, in_thread

_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>ccserver API</title>
<link rel="stylesheet" href="/swagger/swagger-ui.css">
<link rel="icon" href="/swagger/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger/swagger-ui-bundle.js"></script>
<script src="/swagger/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/swagger/doc.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
# The package draws with inline styles and icons from data: URLs; scripts are its own two files.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
)


def register(routes: Routes, config: Config) -> None:
    document = cache(lambda: orjson.dumps(openapi(config)))

    async def page() -> Response:
        response = html_answer(_PAGE)
        response.headers["Content-Security-Policy"] = _POLICY
        return response

    async def start() -> Response:
        return Response(_START, content_type="text/javascript; charset=utf-8")

    async def description() -> Response:
        return json_answer(document())

    async def file(name: str) -> Response:
        if name not in _FILES:
            abort(404)
        return Response(await in_thread(_content, name), content_type=_FILES[name])

    routes.open("/swagger/", "GET", page)
    routes.open("/swagger/index.html", "GET", page)
    routes.open("/swagger/start.js", "GET", start)
    routes.open("/swagger/doc.json", "GET", description)
    routes.open("/swagger/<name>", "GET", file)


def _content(name: str) -> Any:
    return (resources.files("swagger_ui") / "static" / name).read_bytes()
