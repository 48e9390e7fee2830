"""Accepting connections: hypercorn's protocols under a life cycle of our own.

Hypercorn's own worker waits the whole grace time for any connection that is still open, cannot be cancelled
while it sends to a client that does not read, and ends when one connection's handler fails. Here a failure
ends one connection, and after the grace time what is left is cut off.
"""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from ccserver.rest.fastwrite import Begun, FastWrites
from ccserver.rest.gateway import Application, Gateway

_log = logging.getLogger(__name__)

HEADER_PATIENCE = 20.0  # seconds from a connection's begin, or its next request's first byte, to its last
KEEP_ALIVE = 120.0  # seconds between two requests: collectors come back once a minute
GRACE = 1.5  # seconds that running requests get after the shutdown began
_MOST_BYTES_OF_HEADERS = 64 * 1024
_READ = 64 * 1024  # bytes


class _Connection(TCPServer):
    """Hypercorn has one clock for the pause between two requests and for the headers of the next one."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._patience = HEADER_PATIENCE
        self._waiting = trio.CancelScope()

    async def _idle_timeout(self) -> None:
        with trio.move_on_after(self._patience) as self._waiting:
            self._patience = KEEP_ALIVE
            await self.context.terminated.wait()
        with trio.CancelScope(shield=True):
            await self._initiate_server_close()

    async def _read_data(self) -> None:
        data = None
        while data != b"":
            try:
                data = bytes(await self.stream.receive_some(_READ))
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            self._waiting.deadline = min(self._waiting.deadline, trio.current_time() + HEADER_PATIENCE)
            await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())


class Listener:
    """Serves `application` on bound sockets until `stop` is set, then lets go of every connection."""

    def __init__(self, application: Application, tls: ssl.SSLContext | None = None) -> None:
        self._config = Config()
        self._config.errorlog = logging.getLogger("hypercorn.error")
        self._config.accesslog = None
        self._config.include_server_header = False
        self._config.keep_alive_max_requests = 1_000_000
        self._config.h11_max_incomplete_size = _MOST_BYTES_OF_HEADERS
        self._config.ssl_handshake_timeout = 20.0
        fast = application.fast if isinstance(application, Gateway) and tls is None else {}
        self._writes = FastWrites(fast, HEADER_PATIENCE, KEEP_ALIVE) if fast else None
        self._application = wrap_app(application, self._config.wsgi_max_body_size, "asgi")  # type: ignore[arg-type]
        self._tls = tls
        self._streams: set[trio.abc.HalfCloseableStream] = set()
        self._closed = trio.Event()  # set when a stream ends, replaced by who waits for it

    async def serve(self, sockets: list[socket.socket], stop: trio.Event) -> None:
        """Returns when no connection is left, at most GRACE after `stop`."""
        context = WorkerContext(None)
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                for listener in sockets:
                    accepting.start_soon(self._accept, listener, context, connections)
                await stop.wait()
                accepting.cancel_scope.cancel()
            for listener in sockets:
                listener.close()
            if self._writes is not None:
                self._writes.stop()
            await context.terminated.set()  # idle connections close themselves
            with trio.move_on_after(GRACE):
                while self._streams:
                    self._closed = trio.Event()
                    await self._closed.wait()
            for stream in list(self._streams):
                await trio.aclose_forcefully(stream)
            connections.cancel_scope.cancel()

    async def _accept(
        self, listener: socket.socket, context: WorkerContext, connections: trio.Nursery
    ) -> None:
        accepting = trio.SocketListener(trio.socket.from_stdlib_socket(listener.dup()))

        async def serve(stream: trio.SocketStream) -> None:
            await self._connection(stream, context)

        await trio.serve_listeners(serve, [accepting], handler_nursery=connections)

    async def _connection(self, stream: trio.SocketStream, context: WorkerContext) -> None:
        served: trio.abc.HalfCloseableStream | trio.SSLStream[trio.SocketStream] = stream
        if self._tls:
            served = trio.SSLStream(stream, self._tls, server_side=True)
        self._streams.add(stream)
        try:
            if self._writes is not None:
                rest = await self._writes.serve(stream, stream.socket.getpeername()[0])
                if rest.data is None:
                    return
                served = Begun(stream, rest.data)
            await _Connection(self._application, self._config, context, ConnectionState({}), served)
        except* trio.Cancelled:
            raise
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except* Exception as errors:
            for error in errors.exceptions:
                _log.error("a connection failed", exc_info=error)
        finally:
            self._streams.discard(stream)
            self._closed.set()
            await trio.aclose_forcefully(stream)
