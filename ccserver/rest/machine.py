"""State files of machines, kept for whoever wrote them. Source: spec/rest-api.md 4.5."""

from __future__ import annotations

import os
import tempfile
from email.utils import formatdate
from pathlib import Path

from quart import Response, request
from werkzeug.exceptions import NotFound

from ccserver.auth.guards import Group
from ccserver.config import Config
from ccserver.model.strict import TEXT
from ccserver.rest.answers import HttpError
from ccserver.rest.table import Operation, Route
from ccserver.rest.web import Call

_LONGEST_NAME = 250  # bytes; with `.json` what file systems take


def _file(call: Call, place: str) -> Path:
    cluster, slash, host = place.strip("/").partition("/")
    if not slash:
        raise NotFound
    for name, kind in ((cluster, "cluster"), (host, "host")):
        if (
            not name
            or name == "."
            or any(part in name for part in ("..", "/", "\\", "\0"))
            or len(name.encode("utf-8", "replace")) > _LONGEST_NAME
        ):
            raise HttpError(400, f"invalid {kind} name")
    return Path(call.site.config.main.machine_state_dir) / cluster / f"{host}.json"


async def write(call: Call, place: str) -> Response:
    await call.run(_store, _file(call, place), await call.body())
    return Response(b"", 201, content_type="application/json")


def _store(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as draft:
        try:
            draft.write(body)
            draft.flush()
            os.replace(draft.name, path)
        except OSError:
            os.unlink(draft.name)
            raise


async def read(call: Call, place: str) -> Response:
    found = await call.run(_load, _file(call, place))
    if found is None:
        raise HttpError(404, "there is no state of this machine")
    body, changed = found
    response = Response(body, content_type="application/json")
    response.headers["Last-Modified"] = formatdate(changed, usegmt=True)
    if request.headers.get("If-Modified-Since") == response.headers["Last-Modified"]:
        response.status_code = 304
        response.set_data(b"")
    return response


def _load(path: Path) -> tuple[bytes, float] | None:
    try:
        return path.read_bytes(), path.stat().st_mtime
    except FileNotFoundError:
        return None


def _configured(config: Config) -> bool:
    return bool(config.main.machine_state_dir)


_WHEN = "`main.machine-state-dir` is set"
_NAMES = {400: "`invalid cluster name` or `invalid host name`"}
_PLACE = {"place": {**TEXT, "description": "`<cluster>/<host>`"}}
_READ = Operation(
    "The state file of a machine",
    {200: "application/json"},
    {**_NAMES, 404: "there is none"},
    path=_PLACE,
)
_WRITE = Operation(
    "Store the state file of a machine, as it is sent",
    {201: None},
    _NAMES,
    body="application/octet-stream",
    path=_PLACE,
)

ROUTES = (
    Route("/api/machine_state/<path:place>", "GET", Group.API, read, _READ, _configured, _WHEN),
    Route("/api/machine_state/<path:place>", "PUT POST", Group.API, write, _WRITE, _configured, _WHEN),
)
