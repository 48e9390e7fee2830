"""The log viewer: what the system journal has of this service. Source: spec/operations.md 13."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import orjson
from quart import Response, request

from ccserver.auth.guards import Group
from ccserver.model.strict import TEXT
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.parsing import integer
from ccserver.rest.table import Operation, Parameter, Route, described, listed
from ccserver.rest.web import Call

_WORDS = re.compile(r"[a-zA-Z0-9 :\-.]+")
_MOST_LINES = 1000
_LINES = "lines must be a number from 1 on"
_PATIENCE = 30.0  # seconds


async def logs(call: Call) -> Response:
    if "admin" not in call.principal.roles:
        raise HttpError(403, "only admins are allowed to view logs")
    arguments = _arguments(call.site.config.main.systemd_unit)
    return json_answer(await call.run(_lines, arguments))


def _arguments(unit: str) -> list[str]:
    since, search = request.args.get("since") or "1 hour ago", request.args.get("search", "")
    for name, value in (("since", since), ("search", search)):
        if value and not _WORDS.fullmatch(value):
            raise HttpError(400, f"invalid characters in parameter {name}")
    lines, level = request.args.get("lines", "200"), request.args.get("level", "")
    if (wanted := integer(lines, _LINES)) < 1:
        raise HttpError(400, _LINES)
    if level and level not in list("01234567"):
        raise HttpError(400, "level must be a number from 0 to 7")
    arguments = ["--output=json", "--no-pager", f"--lines={min(wanted, _MOST_LINES)}"]
    arguments += [f"--since={since}", f"--unit={unit}"]
    if level:
        arguments.append(f"--priority={level}")
    if search:
        arguments.append(f"--grep={search}")
    return arguments


def _lines(arguments: list[str]) -> list[dict[str, Any]]:
    program = shutil.which("journalctl")
    if program is None:
        raise HttpError(500, "journalctl is not installed on the server")
    try:
        # An argument vector of checked words: nothing of it reaches a shell.
        done = subprocess.run(  # noqa: S603
            [program, *arguments], capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise HttpError(500, "journalctl did not answer in time") from None
    if done.returncode and (complaint := done.stderr.decode("utf-8", "replace").strip()):
        raise HttpError(500, f"journalctl: {complaint.splitlines()[0]}")  # such as a time it cannot read
    return [_entry(orjson.loads(line)) for line in done.stdout.splitlines() if line.startswith(b"{")]


def _entry(fields: dict[str, Any]) -> dict[str, Any]:
    message = fields.get("MESSAGE", "")
    if isinstance(message, list):  # bytes that are no UTF-8
        message = bytes(message).decode("utf-8", "replace")
    priority = str(fields.get("PRIORITY", "6"))
    return {
        "timestamp": str(fields.get("__REALTIME_TIMESTAMP", "")),
        "priority": int(priority) if priority.isdigit() else 6,
        "message": message,
        "unit": str(fields.get("_SYSTEMD_UNIT", "")),
    }


_LOGS = Operation(
    "What the system journal has of the server",
    {
        200: listed(
            described(
                "LogLine",
                {
                    "timestamp": {**TEXT, "description": "microseconds since 1970"},
                    "priority": {"type": "integer"},
                    "message": TEXT,
                    "unit": TEXT,
                },
            )
        )
    },
    {
        400: "a parameter cannot be",
        403: "the caller is no admin",
        500: "there is no journalctl, or it complains",
    },
    query=(
        Parameter("since", "default `1 hour ago`"),
        Parameter("lines", f"default 200, at most {_MOST_LINES}", {"type": "integer", "minimum": 1}),
        Parameter("level", "0 to 7", {"type": "integer", "minimum": 0, "maximum": 7}),
        Parameter("search", "letters, digits, space, `:`, `-`, `.`"),
    ),
)

ROUTES = (Route("/frontend/logs/", "GET", Group.FRONTEND, logs, _LOGS),)
