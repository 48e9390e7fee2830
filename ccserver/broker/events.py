"""Job events and node states over NATS. Source: spec/rest-api.md 6.

Nobody waits for an answer here: whatever is wrong with a message is logged, and the next one is handled. One
thread handles all events in the order of their arrival, so a job is never stopped before it was started.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ccserver.broker.bridge import Feed
from ccserver.config.sections import ApiSubjects
from ccserver.jobs.lifecycle import LifeCycleError
from ccserver.jobs.wire import decode_job, decode_stop
from ccserver.model.strict import WireError
from ccserver.nodes import decode_node_states
from ccserver.site import Site

_log = logging.getLogger(__name__)

QUEUE_LENGTH = 10_000  # messages
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class EventError(ValueError):
    """A line that is no line protocol; the rest of its message is dropped."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line: `event` is the string field of that name, None when the line has none."""

    measurement: str
    tags: dict[str, str]
    event: str | None


def event_lines(payload: bytes) -> Iterator[EventLine]:
    """The lines of a message; raises EventError at the first bad one, after those before it."""
    text = payload.decode("utf-8", "replace")
    position = 0
    while position < len(text):
        if text[position] in "\r\n":
            position += 1
            continue
        if text[position] == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        head, position = _until(text, position, " ")
        fields, position = _until(text, position + 1, " ")
        stamp, position = _until(text, position + 1, "\n")
        if not stamp.strip().lstrip("-").isdigit():
            raise EventError("a line has no timestamp")
        measurement, *pairs = _split(head, ",")
        tags = dict(_pair(pair) for pair in pairs)
        values = dict(_pair(pair) for pair in _split(fields, ","))
        event = values.get("event", "")
        quoted = len(event) >= 2 and event[0] == event[-1] == '"'
        yield EventLine(_plain(measurement), tags, _unquoted(event[1:-1]) if quoted else None)


def _until(text: str, position: int, end: str) -> tuple[str, int]:
    """The part up to an unescaped `end` outside of quotes, and where it stopped."""
    start, inside = position, False
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == '"':
            inside = not inside
        elif character in (end, "\n") and not inside:
            break
        position += 1
    if inside:
        raise EventError("a string is not closed")
    return text[start:position], position


def _split(text: str, separator: str) -> list[str]:
    parts, position = [], 0
    while position <= len(text):
        part, position = _until(text, position, separator)
        parts.append(part)
        position += 1
    return parts


def _pair(text: str) -> tuple[str, str]:
    key, position = _until(text, 0, "=")
    if position >= len(text) or not key:
        raise EventError(f"{text[:40]!r} is no key=value")
    return _plain(key), text[position + 1 :]


def _plain(text: str) -> str:
    return text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def _unquoted(text: str) -> str:
    parts, position = [], 0
    while (found := text.find("\\", position)) >= 0 and found + 1 < len(text):
        parts += [text[position:found], _ESCAPES.get(text[found + 1], text[found + 1])]
        position = found + 2
    return "".join(parts) + text[position:]


class EventReceiver:
    """Feeds for the configured subjects, and the thread that works on what they bring."""

    def __init__(self, site: Site, subjects: ApiSubjects) -> None:
        self._site = site
        self._subjects = subjects
        self._queue: queue.Queue[tuple[Callable[[EventLine], None], bytes] | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self.dropped = 0

    def feeds(self) -> list[Feed]:
        return [
            Feed(self._subjects.job_event, lambda payload: self._put(self._job, payload)),
            Feed(self._subjects.node_state, lambda payload: self._put(self._nodes, payload)),
        ]

    def start(self) -> None:
        _log.warning(
            "events on NATS subjects %s and %s are not authenticated: protect them at the broker",
            self._subjects.job_event,
            self._subjects.node_state,
        )
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Work off what waits, for at most `timeout` seconds."""
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            _log.error("%d events from NATS were not handled before the end", self._queue.qsize())
            return
        self._thread.join(timeout)

    def _put(self, handle: Callable[[EventLine], None], payload: bytes) -> None:
        try:
            self._queue.put_nowait((handle, payload))
        except queue.Full:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # 1, 2, 4, 8 ...: few lines however many are lost
                _log.error("%d events from NATS lost, the database cannot keep up", self.dropped)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            handle, payload = item
            if not payload.strip():
                _log.warning("an empty event from NATS")
                continue
            try:
                for line in event_lines(payload):
                    if line.event is not None:
                        handle(line)
            except EventError as error:
                _log.error("an event from NATS is no line protocol: %s", error)
            except Exception:
                _log.exception("an event from NATS could not be handled")

    def _job(self, line: EventLine) -> None:
        if line.measurement != "job" or line.event is None:
            return
        function = line.tags.get("function")
        life_cycle = self._site.life_cycle
        try:
            if function == "start_job":
                life_cycle.start(decode_job(line.event))
            elif function == "stop_job":
                life_cycle.stop(decode_stop(line.event))
            elif function is None:
                _log.error("a job event from NATS has no tag function")
            else:
                _log.warning("a job event from NATS has the unknown function %r", function)
        except (WireError, LifeCycleError) as error:
            _log.error("%s from NATS refused: %s", function, error)

    def _nodes(self, line: EventLine) -> None:
        if line.measurement != "nodestate" or line.event is None:
            return
        try:
            message = decode_node_states(line.event)
        except WireError as error:
            _log.error("node states from NATS refused: %s", error)
        else:
            self._site.nodes.record_states(message.cluster, message.nodes, self._site.store)
