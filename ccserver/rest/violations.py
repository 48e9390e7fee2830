"""What browsers report when the policy of a page stopped something. Source: spec/web-ui.md 7.7."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
from quart import Response, request

from ccserver.rest.web import Routes

PATH = "/frontend/csp"

_log = logging.getLogger(__name__)

_MOST_KINDS = 100  # logged in the life of the server; anybody can send reports
_LONGEST = 200  # characters of a text that is logged


class Violations:
    """Logs every kind of violation once: a page that is open all day reports the same a thousand times."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, str]] = set()

    async def report(self) -> Response:
        body = await request.get_data(cache=False)
        assert isinstance(body, bytes)
        for kind in _kinds(body):
            if kind in self._seen or len(self._seen) >= _MOST_KINDS:
                continue
            self._seen.add(kind)
            directive, blocked, page = kind
            _log.warning("the content security policy (%s) stopped %r on %r", directive, blocked, page)
        return Response(b"", 204)


def register(routes: Routes) -> None:
    routes.open(PATH, "POST", Violations().report)


def _kinds(body: bytes) -> Iterator[tuple[str, str, str]]:
    """Directive, what was blocked, and the path of the page, out of both forms in which browsers report."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    for one in given if isinstance(given, list) else [given]:
        report = one.get("csp-report", one.get("body")) if isinstance(one, dict) else None
        if isinstance(report, dict):
            yield (
                _text(report, "effective-directive", "effectiveDirective", "violated-directive"),
                _path(_text(report, "blocked-uri", "blockedURL")),
                _path(_text(report, "document-uri", "documentURL")),
            )


def _text(report: dict[str, Any], *keys: str) -> str:
    return next((str(report[key])[:_LONGEST] for key in keys if report.get(key)), "unknown")


def _path(address: str) -> str:
    """Without what was searched or filtered: that may name people."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "unknown"
    return parts._replace(query="", fragment="").geturl()
