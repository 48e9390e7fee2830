"""Publishes line protocol on NATS: the few verbs of the client protocol a sender needs."""

from __future__ import annotations

import contextlib
import json
from collections import deque

import trio

RECONNECT_WAIT = 0.5
QUEUE_LIMIT = 256  # messages kept while the broker is away, the oldest give way
_OPTIONS = {"verbose": False, "pedantic": False, "name": "demo", "lang": "python", "version": "1"}


class Publisher:
    """Sends messages in order, reconnects for ever."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._waiting: deque[bytes] = deque(maxlen=QUEUE_LIMIT)
        self._wake = trio.Event()

    def publish(self, subject: str, payload: bytes) -> None:
        """Queues a message; never blocks."""
        self._waiting.append(b"PUB %s %d\r\n%s\r\n" % (subject.encode(), len(payload), payload))
        self._wake.set()

    async def run(self) -> None:
        """Connects and sends until cancelled."""
        while True:
            try:
                stream = await trio.open_tcp_stream(self._host, self._port)
            except OSError:
                await trio.sleep(RECONNECT_WAIT)
                continue
            async with stream:
                await self._serve(stream)
            await trio.sleep(RECONNECT_WAIT)

    async def _serve(self, stream: trio.SocketStream) -> None:
        """Sends and listens on one connection until it breaks."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer_pings, stream, nursery.cancel_scope)
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(b"CONNECT " + json.dumps(_OPTIONS).encode() + b"\r\n")
                while True:
                    await self._send_waiting(stream)
                    self._wake = trio.Event()
                    await self._wake.wait()
            nursery.cancel_scope.cancel()

    async def _send_waiting(self, stream: trio.SocketStream) -> None:
        while self._waiting:
            message = self._waiting[0]
            await stream.send_all(message)
            if self._waiting and self._waiting[0] is message:  # else it gave way to newer ones meanwhile
                self._waiting.popleft()

    async def _answer_pings(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        rest = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while received := await stream.receive_some():
                *lines, rest = (rest + received).split(b"\r\n")
                if b"PING" in lines:
                    # Through the queue, so that it never falls into the middle of a message.
                    self._waiting.append(b"PONG\r\n")
                    self._wake.set()
        scope.cancel()
