"""Starting and stopping jobs over HTTP, whoever serves the request. Source: spec/rest-api.md 3.7, 3.8.

No worker thread: a request is decoded where it arrives and waits for the thread that writes to the database.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import orjson
import outcome
import trio

from ccserver.database import Database
from ccserver.jobs.lifecycle import Change, LifeCycleError
from ccserver.jobs.wire import decode_job, decode_stop, encode_job
from ccserver.model.job import Job
from ccserver.model.user import Principal
from ccserver.rest.answers import HttpError
from ccserver.rest.parsing import decoded
from ccserver.site import Site

_STARTING = 64  # jobs at the same time; together much less than the database's queue holds
_STOPPING = 16  # likewise; each may wait for the archiving queue


class JobWrites:
    """Raises HttpError."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._starting = trio.CapacityLimiter(_STARTING)
        self.stopping = trio.CapacityLimiter(_STOPPING)

    async def start(self, body: bytes, by: Principal) -> tuple[int, bytes]:
        """Status and body of the answer."""
        job = decoded(decode_job, body)
        async with self._starting:
            started = await self._changed(self._site.life_cycle.starting, job, by)
        return 201, orjson.dumps({"msg": "success", "id": started.id})

    async def stop(self, body: bytes, by: Principal) -> tuple[int, bytes]:
        """Status and body of the answer."""
        stop = decoded(decode_stop, body)
        async with self.stopping:
            stopped = await self._changed(self._site.life_cycle.stopping, stop)
        return 200, orjson.dumps(encode_job(stopped))

    async def _changed(self, change: Any, *args: Any) -> Job:
        try:
            return await _committed(self._site.jobs.database, change(*args))
        except LifeCycleError as error:
            raise HttpError(error.status, str(error)) from None


async def _committed(database: Database, change: Change) -> Job:
    # What is stored is also told and archived, even if the client has left meanwhile.
    with trio.CancelScope(shield=True):
        future = database.submit(change.work)
        await _done(future)
        job, rest = change.finish(future)
        if rest is None:
            return job
        ended: Future[None] = Future()

        def deliver(result: outcome.Outcome[None]) -> None:
            if isinstance(result, outcome.Error):
                ended.set_exception(result.error)
            else:
                ended.set_result(None)

        trio.lowlevel.start_thread_soon(rest, deliver)
    await _done(ended)
    ended.result()
    return job


async def _done(future: Future[None]) -> None:
    event, token = trio.Event(), trio.lowlevel.current_trio_token()

    def tell(_: Future[None]) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    future.add_done_callback(tell)
    await event.wait()
