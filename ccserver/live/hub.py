"""One place that watches jobs and rings, and tells every viewer. Topics and events: `live/stream.py`.

The rings are read once per step, whoever watches, and not at all while nobody does. Cost per viewer and step:
one reference to a text that was encoded once.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import trio

from ccserver.jobs.lifecycle import JobEvent
from ccserver.live.status import STEP, StatusReader
from ccserver.model.user import Principal

_log = logging.getLogger(__name__)

_MOST_JOB_EVENTS = 256  # per viewer; beyond it the oldest are dropped, clients refetch anyway
MOST_VIEWERS = 1000
STATUS = "status."


@dataclass(slots=True, eq=False)
class Viewer:
    """One open stream: what it wants, what waits to be sent. States replace older ones of their kind."""

    principal: Principal
    topics: frozenset[str]
    waiting: trio.Event = field(default_factory=trio.Event)
    states: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    events: deque[bytes] = field(default_factory=lambda: deque(maxlen=_MOST_JOB_EVENTS))

    def put_state(self, kind: str, message: bytes) -> None:
        self.states[kind] = message
        self.waiting.set()

    def put_event(self, message: bytes) -> None:
        self.events.append(message)
        self.waiting.set()

    def take(self) -> list[bytes]:
        """Everything that waits; afterwards `waiting` is a fresh event."""
        messages = [*self.events, *self.states.values()]
        self.events.clear()
        self.states.clear()
        self.waiting = trio.Event()
        return messages


class Hub:
    """Runs in the trio thread; `publish_job` may be called from any thread."""

    def __init__(self, status: StatusReader, clusters: list[str]) -> None:
        self._status = status
        self._clusters = clusters
        self._viewers: set[Viewer] = set()
        self._latest: dict[str, bytes] = {}
        self._wanted = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._ids = 0
        self.shutdown = trio.Event()

    @contextmanager
    def viewer(self, principal: Principal, topics: frozenset[str]) -> Iterator[Viewer]:
        """Adds a viewer for the time of the block; what is known already is waiting for it."""
        viewer = Viewer(principal, topics)
        for topic in topics:
            if topic in self._latest:
                viewer.put_state(topic, self._latest[topic])
        self._viewers.add(viewer)
        self._wanted.set()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    @property
    def full(self) -> bool:
        """Whether there are as many viewers as the hub takes."""
        return len(self._viewers) >= MOST_VIEWERS

    @property
    def clusters(self) -> list[str]:
        return self._clusters

    async def run(self) -> None:
        """Reads the rings every step while somebody watches; ends by cancellation."""
        self._token = trio.lowlevel.current_trio_token()
        while True:
            if not self._viewers:
                self._latest.clear()
                self._wanted = trio.Event()
                await self._wanted.wait()
            self._wanted = trio.Event()
            await self._step()
            # A newcomer whose topic nobody watched so far does not wait for the next step.
            with trio.move_on_after(STEP - time.time() % STEP):
                while not self._has_unserved():
                    await self._wanted.wait()
                    self._wanted = trio.Event()

    def _has_unserved(self) -> bool:
        topics = {topic for viewer in self._viewers for topic in viewer.topics}
        return any(topic.startswith(STATUS) and topic not in self._latest for topic in topics)

    async def _step(self) -> None:
        topics = {topic for viewer in self._viewers for topic in viewer.topics}
        for cluster in self._clusters:
            topic = STATUS + cluster
            if topic in topics:
                try:
                    read = self._status.read
                    status = await trio.to_thread.run_sync(read, cluster, abandon_on_cancel=True)
                except Exception:
                    _log.exception("the status of cluster %s cannot be read", cluster)
                    continue
                self._latest[topic] = self._message("status", status)
                self._put_states(topic, topic, self._latest[topic])
            if "metrics" in topics:
                tick = self._message("metrics.tick", {"cluster": cluster, "time": int(time.time())})
                self._put_states("metrics", f"metrics.{cluster}", tick)

    def _put_states(self, topic: str, kind: str, message: bytes) -> None:
        for viewer in self._viewers:
            if topic in viewer.topics:
                viewer.put_state(kind, message)

    def publish_job(self, event: JobEvent) -> None:
        """Listener of the job life cycle; never raises, never waits."""
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._put_job, event)

    def _put_job(self, event: JobEvent) -> None:
        job = event.job
        interested = [
            viewer
            for viewer in self._viewers
            if "jobs" in viewer.topics and _may_see(viewer.principal, event)
        ]
        if not interested:
            return
        data = {
            "id": job.id,
            "jobId": job.job_id,
            "cluster": job.cluster,
            "user": job.user,
            "state": job.state,
        }
        message = self._message(f"job.{event.kind}", data)
        for viewer in interested:
            viewer.put_event(message)

    def _message(self, event: str, data: Any) -> bytes:
        self._ids += 1
        body = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
        return b"event: %s\nid: %d\ndata: %s\n\n" % (event.encode(), self._ids, body)


def _may_see(principal: Principal, event: JobEvent) -> bool:
    if principal.sees_all_jobs:
        return True
    if not principal.roles & {"manager", "user"}:
        return False
    own = event.job.user == principal.username
    return own or ("manager" in principal.roles and event.job.project in principal.projects)
