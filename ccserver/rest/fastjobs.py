"""Starts and stops of jobs on connections that are answered before the web server (`rest/fastwrite.py`)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from ccserver.auth.guards import Credentials, Gate, Group
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError, error_body
from ccserver.rest.fastwrite import Answer, Head
from ccserver.rest.framework import packed

_log = logging.getLogger(__name__)


class FastJobWrites:
    """`work` makes status and body of the answer, or raises HttpError."""

    def __init__(self, gate: Gate, work: Callable[[bytes, Principal], Awaitable[tuple[int, bytes]]]) -> None:
        self._gate = gate
        self._work = work

    async def admit(self, credentials: Credentials) -> Principal:
        if self._gate.tokens.reads_database:
            return await trio.to_thread.run_sync(self._gate.admit, Group.API, credentials)
        return self._gate.admit(Group.API, credentials)

    async def take(self, body: bytes, head: Head, by: Principal) -> Answer:
        try:
            status, answer = await self._work(body, by)
        except HttpError as error:
            status, answer = error.status, error_body(error.status, error.message)
        except Exception:
            _log.exception("%s failed", head.path)
            status, answer = 500, error_body(500, "internal error, see the log of the server")
        answer, coding = packed(answer, head.credentials.headers.get("accept-encoding", ""))
        headers = b"vary: Accept-Encoding\r\n"
        if coding is not None:
            headers += b"content-encoding: %b\r\n" % coding.encode()
        return Answer(status, answer, headers)

    async def broken_off(self, body: bytes, head: Head) -> None:
        """Half a job is none."""
