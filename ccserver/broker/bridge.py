"""Samples from NATS into the metric store. Source: spec/metric-store.md 7.

nats-py needs asyncio, so one thread runs an event loop of its own. Samples do not pass through its callbacks:
stream.py finds messages in what it reads and stores many of them in one call. Other messages are handled
right in their callback.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import nats
import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as Subscribed
from nats.errors import SlowConsumerError
from numpy.typing import NDArray

from ccserver.broker.stream import Sink, StreamParser, Worker, usable
from ccserver.config import Nats, Subscription

_log = logging.getLogger(__name__)

Handler = Callable[[bytes], None]

_RECONNECT_WAIT = 0.5  # seconds between two attempts to reach the broker
_REPORT_INTERVAL = 60.0  # seconds between two log lines about losses
_DRAIN = 2.0  # seconds at shutdown for what is on its way to us
_STORE = 10.0  # seconds at shutdown to store what has been received


@dataclass(slots=True)
class BridgeCounters:
    """Since the start. `lost` counts messages that had to be dropped because the queue was full, `cut_off`
    how often the broker gave us up for being slow: nobody knows how many messages that cost. `waiting` is
    bytes received that are not handled yet."""

    messages: int = 0
    bytes: int = 0
    failed: int = 0
    lost: int = 0
    cut_off: int = 0
    waiting: int = 0
    reconnects: int = 0
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """A subject and what happens to each payload; `handle` must be quick. With `sink` many of them are
    handled at once, by another thread."""

    subject: str
    handle: Handler
    sink: Sink | None = None


class Bridge:
    """Owns the thread, the loop and the connection. An absent broker is no error: it is tried for ever.

    `pending_bytes` bounds what waits, of samples in all, of other messages per subscription; beyond it
    messages are dropped and counted.
    """

    def __init__(self, settings: Nats, feeds: Sequence[Feed], pending_bytes: int) -> None:
        self._settings = settings
        self._feeds = feeds
        self._pending_bytes = pending_bytes
        self._counters = BridgeCounters()
        self._worker: Worker | None = None
        self._subscriptions: list[Subscribed] = []
        self._losses = _LossReport()
        self._outage = False  # whether the present outage has been reported
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nats", daemon=True)

    @property
    def counters(self) -> BridgeCounters:
        """Of this moment."""
        waiting = sum(one.pending_bytes for one in self._subscriptions)
        if self._worker is not None:
            waiting += self._worker.waiting
        self._counters.waiting = waiting
        return self._counters

    def start(self) -> None:
        """Returns at once; the connection is made by the thread."""
        self._thread.start()
        self._started.wait()

    def stop(self, timeout: float = _DRAIN + _STORE + 1.0) -> None:
        """Unsubscribe, handle what has arrived, disconnect; idempotent."""
        loop, stopping = self._loop, self._stopping
        if loop is None or stopping is None or not self._thread.is_alive():
            return
        try:
            loop.call_soon_threadsafe(stopping.set)
        except RuntimeError:  # the loop ended by itself meanwhile
            return
        self._thread.join(timeout)
        if self._thread.is_alive():
            _log.error("the NATS connection did not end within %.0f s", timeout)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            _log.exception("the NATS thread ended")
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._started.set()
        client = Client()
        stream = self._stream(client)
        connecting = asyncio.create_task(self._connect(client, stream))
        try:
            await self._stopping.wait()
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            if client.is_connected:
                try:
                    await asyncio.wait_for(client.drain(), _DRAIN)
                except (TimeoutError, nats.errors.Error):
                    _log.warning("not everything received from NATS could be stored before the end")
            elif not client.is_closed:
                await client.close()
            if stream is not None:
                await self._finish(stream)

    def _stream(self, client: Client) -> StreamParser | None:
        """Finds the messages of feeds that take many at once; None when there are none, or nats-py is strange
        to us."""
        if not any(feed.sink for feed in self._feeds):
            return None
        if not usable(client):
            _log.warning("NATS: this version of nats-py is not known, samples take the slow way")
            return None
        stream = StreamParser.install(
            client, Worker(self._pending_bytes, self._lost, self._failed), self._count
        )
        self._worker = stream.worker
        loop = asyncio.get_running_loop()

        def idle() -> None:
            if stream.pending and not loop.is_closed():
                loop.call_soon_threadsafe(stream.hand_over)

        stream.worker.idle = idle
        return stream

    async def _finish(self, stream: StreamParser) -> None:
        stream.hand_over()
        if not await asyncio.to_thread(stream.worker.stop, _STORE):
            _log.warning("not everything received from NATS could be stored before the end")

    def _count(self, messages: int, size: int) -> None:
        self._counters.messages += messages
        self._counters.bytes += size

    def _lost(self, messages: int) -> None:
        self._counters.lost += messages
        self._losses.count("samples", messages)

    def _failed(self, messages: int) -> None:
        self._counters.failed += messages

    async def _connect(self, client: Client, stream: StreamParser | None) -> None:
        """The client itself tries for ever, now and after every loss, and subscribes again."""
        settings = self._settings
        try:
            await client.connect(
                settings.address,
                user=settings.username or None,
                password=settings.password or None,
                user_credentials=settings.creds_file_path or None,
                name="ccserver",
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_WAIT,  # type: ignore[arg-type]  # any number works
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
            )
        except (nats.errors.Error, ValueError, OSError) as error:  # nothing that trying again could cure
            _log.error("NATS: %s cannot be used: %s", settings.address, error)
            return
        self._outage = False
        self._counters.connected = True
        for feed in self._feeds:
            subscription = await client.subscribe(
                feed.subject,
                cb=self._callback(feed.handle),
                pending_msgs_limit=0,  # no limit in number, the bytes count
                pending_bytes_limit=self._pending_bytes,
            )
            self._subscriptions.append(subscription)
            if stream is not None and feed.sink is not None:
                stream.worker.feed(subscription._id, feed.sink)
        subjects = ", ".join(feed.subject for feed in self._feeds)
        _log.info("NATS: connected to %s, listening to %s", settings.address, subjects)

    def _callback(self, handle: Handler) -> Callable[[Msg], Awaitable[None]]:
        counters = self._counters

        async def received(message: Msg) -> None:
            counters.messages += 1
            counters.bytes += len(message.data)
            try:
                handle(message.data)
            except Exception:
                counters.failed += 1
                _log.exception("a message on %s could not be handled", message.subject)

        return received

    async def _on_error(self, error: Exception) -> None:
        if isinstance(error, SlowConsumerError):
            self._counters.lost += 1
            self._losses.count(error.subject)
        elif "slow consumer" in str(error).lower():
            self._counters.cut_off += 1
            _log.error("NATS: the broker gave us up as too slow, messages are lost: %s", error)
        elif self._counters.connected:
            _log.warning("NATS: %s", error or type(error).__name__)
        elif not self._outage:
            self._outage = True
            address = self._settings.address
            _log.warning("NATS: broker %s cannot be reached (%s), trying on", address, error)

    async def _on_disconnect(self) -> None:
        was_connected, self._counters.connected = self._counters.connected, False
        if was_connected and self._stopping is not None and not self._stopping.is_set():
            self._outage = True
            _log.warning("NATS: connection to %s lost, reconnecting", self._settings.address)

    async def _on_reconnect(self) -> None:
        self._outage = False
        self._counters.connected = True
        self._counters.reconnects += 1
        _log.warning("NATS: connected to %s again", self._settings.address)


@dataclass(slots=True)
class _LossReport:
    """Says at most once a minute how many messages were lost."""

    pending: int = 0
    last: float = field(default=-_REPORT_INTERVAL)

    def count(self, subject: str, messages: int = 1) -> None:
        self.pending += messages
        now = time.monotonic()
        if now - self.last >= _REPORT_INTERVAL:
            _log.error(
                "NATS: %d messages on %s lost, the queue is full (metric-store/ingest-queue-mb)",
                self.pending,
                subject,
            )
            self.last, self.pending = now, 0


class Write(Protocol):
    """MetricStore.write."""

    def __call__(self, payload: bytes, default_cluster: str, /, *, repeated: bool) -> object: ...


class WriteParts(Protocol):
    """MetricStore.write_parts."""

    def __call__(
        self, text: NDArray[np.uint8], parts: NDArray[np.int64], default_cluster: str, /, *, repeated: bool
    ) -> object: ...


def metric_feeds(
    subscriptions: Sequence[Subscription], write: Write, write_parts: WriteParts | None = None
) -> list[Feed]:
    """One feed per configured subject, with the default clusters of all its entries.

    Of a subject that is listed twice, lines without a cluster tag go to each default cluster; the others are
    stored once.
    """

    def feed(subject: str, clusters: Sequence[str]) -> Feed:
        def handle(payload: bytes) -> None:
            for number, cluster in enumerate(clusters):
                write(payload, cluster, repeated=number > 0)

        def sink(text: NDArray[np.uint8], parts: NDArray[np.int64]) -> None:
            assert write_parts is not None
            for number, cluster in enumerate(clusters):
                write_parts(text, parts, cluster, repeated=number > 0)

        return Feed(subject, handle, sink if write_parts is not None else None)

    by_subject: dict[str, dict[str, None]] = {}
    for entry in subscriptions:
        by_subject.setdefault(entry.subject, {})[entry.cluster] = None
    return [feed(subject, list(clusters)) for subject, clusters in by_subject.items()]
