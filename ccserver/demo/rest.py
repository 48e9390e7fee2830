"""Client of the server's HTTP interface, with an API token (spec/rest-api.md)."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode


class Unreachable(Exception):
    """No answer from the server: not there, going down, or too slow."""


class Api:
    """One keep-alive connection. Blocking, for one thread at a time."""

    def __init__(self, host: str, port: int, token: str, timeout: float = 30.0) -> None:
        self._arguments = (host, port, token, timeout)
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self._token = token

    def another(self) -> Api:
        """A connection of its own for another thread."""
        return Api(*self._arguments)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and decoded answer. Raises Unreachable."""
        return self._call("POST", path, json.dumps(body).encode(), "application/json")

    def get(self, path: str, **query: str) -> tuple[int, Any]:
        """Status and decoded answer. Raises Unreachable."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None, "application/json")

    def write(self, cluster: str, lines: bytes) -> tuple[int, Any]:
        """Stores samples; they are in once this returns. Raises Unreachable."""
        return self._call("POST", f"/api/write?{urlencode({'cluster': cluster})}", lines, "text/plain")

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, Any]:
        headers = {"X-Auth-Token": self._token, "Content-Type": content_type, "Accept": "application/json"}
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body=body, headers=headers)
                response = self._connection.getresponse()
                return response.status, _decoded(response.read())
            except (OSError, http.client.HTTPException) as error:
                # The server may close an idle connection at any time; a second failure is a real one.
                self._connection.close()
                if attempt == 2:
                    raise Unreachable(str(error) or type(error).__name__) from error
        raise AssertionError("not reached")


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
