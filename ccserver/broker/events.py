"""Job events and node states over NATS. Source: spec/rest-api.md 6.

Nobody waits for an answer here: whatever is wrong with a message is logged, and the next one is handled.
Events of one job are handled in the order of their arrival, by the worker its number falls to; so are the
states of one cluster. Several workers at once are worth it because the database commits what waits together.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable

from ccserver.broker.bridge import Feed
from ccserver.broker.event_lines import EventError, EventLine, event_lines
from ccserver.config.sections import ApiSubjects
from ccserver.jobs.lifecycle import LifeCycleError
from ccserver.jobs.wire import decode_job, decode_stop
from ccserver.model.strict import WireError
from ccserver.nodes import decode_node_states
from ccserver.site import Site

_log = logging.getLogger(__name__)

MOST_BYTES = 128 * 1024 * 1024  # messages that wait, per subject; beyond, they are dropped and counted
_PER_WORKER = 16  # events read already

Work = Callable[[], object]
Reader = Callable[[EventLine], tuple[int, Work] | None]
"""What a line asks for, and the number that says who does it: equal numbers, equal worker."""


class EventReceiver:
    """Feeds for the configured subjects, and the threads that work on what they bring."""

    def __init__(self, site: Site, subjects: ApiSubjects) -> None:
        self._site = site
        self._subjects = subjects
        self._jobs = _Lane("job events", subjects.job_concurrency, self._job)
        self._nodes = _Lane("node states", subjects.node_concurrency, self._node_states)

    @property
    def dropped(self) -> int:
        """Messages lost since the start because too much was waiting."""
        return self._jobs.dropped + self._nodes.dropped

    def feeds(self) -> list[Feed]:
        return [
            Feed(self._subjects.job_event, self._jobs.put),
            Feed(self._subjects.node_state, self._nodes.put),
        ]

    def start(self) -> None:
        _log.warning(
            "events on NATS subjects %s and %s are not authenticated: protect them at the broker",
            self._subjects.job_event,
            self._subjects.node_state,
        )
        self._jobs.start()
        self._nodes.start()

    def stop(self, timeout: float) -> None:
        """Work off what waits, for at most `timeout` seconds."""
        end = time.monotonic() + timeout
        for lane in (self._jobs, self._nodes):
            lane.close()
        for lane in (self._jobs, self._nodes):
            lane.join(end)

    def _job(self, line: EventLine) -> tuple[int, Work] | None:
        if line.measurement != "job" or line.event is None:
            return None
        function, life_cycle = line.tags.get("function"), self._site.life_cycle
        if function == "start_job":
            job = decode_job(line.event)
            return job.job_id, lambda: life_cycle.start(job)
        if function == "stop_job":
            stop = decode_stop(line.event)
            return stop.job_id or 0, lambda: life_cycle.stop(stop)
        if function is None:
            _log.error("a job event from NATS has no tag function")
        else:
            _log.warning("a job event from NATS has the unknown function %r", function)
        return None

    def _node_states(self, line: EventLine) -> tuple[int, Work] | None:
        if line.measurement != "nodestate" or line.event is None:
            return None
        message, site = decode_node_states(line.event), self._site
        number = zlib.crc32(message.cluster.encode("utf-8", "replace"))
        return number, lambda: site.nodes.record_states(message.cluster, message.nodes, site.store)


class _Lane:
    """One subject: a reader that understands messages in their order, and the workers it hands events to."""

    def __init__(self, name: str, workers: int, read: Reader) -> None:
        self._name = name
        self._read = read
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._closed = False
        self._change = threading.Condition()
        self._queues: list[queue.Queue[Work | None]] = [queue.Queue(_PER_WORKER) for _ in range(workers)]
        self._threads = [threading.Thread(target=self._dispatch, name=name, daemon=True)]
        self._threads += [
            threading.Thread(target=self._work, args=(one,), name=f"{name} worker", daemon=True)
            for one in self._queues
        ]
        self.dropped = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def put(self, payload: bytes) -> None:
        """Never blocks: it is called by the loop of the NATS client."""
        with self._change:
            if self._bytes + len(payload) <= MOST_BYTES:
                self._waiting.append(payload)
                self._bytes += len(payload)
                self._change.notify()
                return
            self.dropped += 1
        if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8 ...: few lines however many are lost
            _log.error("%d %s from NATS lost, the database cannot keep up", self.dropped, self._name)

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._change.notify()

    def join(self, end: float) -> None:
        """Wait until `end` on the monotonic clock."""
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            left = len(self._waiting) + sum(one.qsize() for one in self._queues)
            _log.error("about %d %s from NATS were not handled before the end", left, self._name)

    def _next(self) -> bytes | None:
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            payload = self._waiting.popleft()
            self._bytes -= len(payload)
            return payload

    def _dispatch(self) -> None:
        while (payload := self._next()) is not None:
            if not payload.strip():
                _log.warning("an empty message among the %s from NATS", self._name)
                continue
            try:
                for line in event_lines(payload):
                    self._hand_over(line)
            except EventError as error:
                _log.error("a message among the %s from NATS is no line protocol: %s", self._name, error)
            except Exception:
                _log.exception("a message among the %s from NATS could not be read", self._name)
        for one in self._queues:
            one.put(None)

    def _hand_over(self, line: EventLine) -> None:
        try:
            found = self._read(line)
        except WireError as error:
            _log.error("%s from NATS refused: %s", line.tags.get("function", line.measurement), error)
            return
        if found is not None:
            number, work = found
            self._queues[number % len(self._queues)].put(work)

    def _work(self, events: queue.Queue[Work | None]) -> None:
        while (work := events.get()) is not None:
            try:
                work()
            except LifeCycleError as error:
                _log.error("a job event from NATS refused: %s", error)
            except Exception:
                _log.exception("one of the %s from NATS could not be handled", self._name)
