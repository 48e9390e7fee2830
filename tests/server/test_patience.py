"""How long a client may take: for the first head, the next one, a login form; plain, by TLS, in HTTP/2.

The clock of the server is one that jumps: nothing here waits.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import pytest
import trio
from quart import Response, request
from trio.testing import MockClock

from ccserver.process import tls_context
from ccserver.rest.framework import new_application
from ccserver.rest.gateway import Gateway
from ccserver.rest.listener import HEADER_PATIENCE, KEEP_ALIVE, Listener
from ccserver.rest.sockets import bind
from tests.certificates import self_signed

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
Talk = Callable[[Stream], Awaitable[None]]
GET = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
LOGIN = b"POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
PROTOCOLS = ["plain", "http/1.1", "h2"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


async def hello() -> Response:
    return Response("hello")


async def login() -> Response:
    return Response(",".join(await request.form))


def conversation(talk: Talk, files: tuple[Path, Path], protocol: str = "plain") -> None:
    """A client over a real socket, with or without TLS."""

    async def run() -> None:
        app = new_application()
        app.add_url_rule("/hello", "hello", hello)
        app.add_url_rule("/login", "login", login, methods=["POST"])
        tls = None if protocol == "plain" else tls_context(*map(str, files))
        sockets, stop = bind("127.0.0.1", 0), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Listener(Gateway(app, {}), tls).serve, sockets, stop)  # type: ignore[arg-type]
            plain = await trio.open_tcp_stream("127.0.0.1", sockets[0].getsockname()[1])
            stream: Stream = plain
            if tls is not None:
                trusting = ssl.create_default_context(cafile=str(files[0]))
                trusting.set_alpn_protocols([protocol])
                stream = trio.SSLStream(plain, trusting, server_hostname="localhost", https_compatible=True)
                await stream.do_handshake()
            with trio.fail_after(3600):
                await talk(stream)
            await trio.aclose_forcefully(stream)
            stop.set()

    trio.run(run, clock=MockClock(autojump_threshold=0.1))


async def until_closed(stream: Stream, drop: bytes) -> float:
    """Sends `drop` every second; how many seconds it takes the server to have enough."""
    began = trio.current_time()

    async def dripping() -> None:
        while True:
            await trio.sleep(1)
            await stream.send_all(drop)

    async def reading() -> None:
        while await stream.receive_some(65536):
            pass

    async def until_broken(work: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await work()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        if drop:
            nursery.start_soon(until_broken, dripping, nursery.cancel_scope)
        nursery.start_soon(until_broken, reading, nursery.cancel_scope)
    return trio.current_time() - began


async def answered(stream: Stream) -> bytes:
    """An answer with the body `hello`."""
    await stream.send_all(GET)
    received = b""
    while not received.endswith(b"hello"):
        part = await stream.receive_some(65536)
        assert part, received
        received += bytes(part)
    return received


def greeting() -> bytes:
    """What a client of HTTP/2 says first, and the head of a request that will never end."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    headers = b"\x00\x00\x01" + b"\x01\x00" + b"\x00\x00\x00\x01" + b"\x82"  # HEADERS, neither END flag
    return bytes(client.data_to_send()) + headers


CONTINUATION = b"\x00\x00\x00" + b"\x09\x00" + b"\x00\x00\x00\x01"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("begun", [True, False])
def test_a_head_has_its_time(files: tuple[Path, Path], protocol: str, begun: bool) -> None:
    if protocol == "h2":
        first, drop = greeting(), CONTINUATION
    else:
        first, drop = b"GET / HTTP/1.1\r\nhost: x\r\n", b"x-a: b\r\n"

    async def talk(stream: Stream) -> None:
        if begun:
            await stream.send_all(first)
        took = await until_closed(stream, drop if begun else b"")
        assert took == pytest.approx(HEADER_PATIENCE, abs=2)

    conversation(talk, files, protocol)


def test_a_handshake_has_its_time(files: tuple[Path, Path]) -> None:
    async def run() -> None:
        sockets, stop = bind("127.0.0.1", 0), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Listener(hello, tls_context(*map(str, files))).serve, sockets, stop)  # type: ignore[arg-type]
            stream = await trio.open_tcp_stream("127.0.0.1", sockets[0].getsockname()[1])
            await stream.send_all(b"\x16\x03\x01")
            assert await until_closed(stream, b"") == pytest.approx(HEADER_PATIENCE, abs=2)
            stop.set()

    trio.run(run, clock=MockClock(autojump_threshold=0.1))


@pytest.mark.parametrize("protocol", ["plain", "http/1.1"])
def test_a_connection_is_kept_over_the_pause_of_a_collector(files: tuple[Path, Path], protocol: str) -> None:
    async def talk(stream: Stream) -> None:
        for _ in range(3):
            assert (await answered(stream)).startswith(b"HTTP/1.1 200")
            await trio.sleep(60)
        await answered(stream)
        assert await until_closed(stream, b"") == pytest.approx(KEEP_ALIVE, abs=2)

    conversation(talk, files, protocol)


def test_the_next_head_has_no_more_time_than_the_first(files: tuple[Path, Path]) -> None:
    async def talk(stream: Stream) -> None:
        await answered(stream)
        await trio.sleep(60)
        await stream.send_all(b"GET /hello HTTP/1.1\r\n")
        assert await until_closed(stream, b"x: y\r\n") == pytest.approx(HEADER_PATIENCE, abs=2)

    conversation(talk, files)


@pytest.mark.parametrize("protocol", ["plain", "http/1.1"])
def test_a_login_form_has_its_time(files: tuple[Path, Path], protocol: str) -> None:
    async def talk(stream: Stream) -> None:
        await stream.send_all(LOGIN + b"content-length: 1000\r\n\r\n")
        told: list[Any] = []

        async def dripping() -> None:
            while True:
                await trio.sleep(1)
                await stream.send_all(b"u")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dripping)
            told.append(await stream.receive_some(65536))
            nursery.cancel_scope.cancel()
        assert 19 < trio.current_time() < 30
        assert told[0].startswith(b"HTTP/1.1 408"), told

    conversation(talk, files, protocol)
