"""The demo's NATS client against a real broker, which is stopped and started again."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from ccserver.demo.children import Child, program
from ccserver.demo.errors import DemoError
from ccserver.demo.installation import free_port
from ccserver.demo.publisher import Publisher

HOST = "127.0.0.1"


@pytest.fixture
async def broker(tmp_path: Path):
    try:
        path = program("nats-server")
    except DemoError as error:
        pytest.skip(str(error))
    port = free_port(HOST)
    child = Child("broker", [path, "-a", HOST, "-p", str(port)], tmp_path)
    await child.start()
    yield child, port
    await child.stop(5.0)


async def subscribed(port: int) -> trio.SocketStream:
    """A subscriber of everything, ready to receive."""
    with trio.fail_after(10):
        while True:
            try:
                stream = await trio.open_tcp_stream(HOST, port)
                break
            except OSError:
                await trio.sleep(0.05)
        await stream.send_all(b'CONNECT {"verbose":false}\r\nSUB > 1\r\nPING\r\n')
        received = b""
        while b"PONG" not in received:
            received += await stream.receive_some()
    return stream


async def until(stream: trio.SocketStream, wanted: bytes) -> bytes:
    received = b""
    with trio.fail_after(10):
        while wanted not in received:
            received += await stream.receive_some()
    return received


async def test_messages_arrive_whole_and_in_order(broker: tuple[Child, int], nursery: trio.Nursery) -> None:
    _, port = broker
    stream = await subscribed(port)
    publisher = Publisher(HOST, port)
    nursery.start_soon(publisher.run)
    for number in range(20):
        publisher.publish("c.metrics", b"m value=%d\n" % number * 500 + b"end %d." % number)
    received = await until(stream, b"end 19.")
    assert [received.index(b"end %d." % number) for number in range(20)] == sorted(
        received.index(b"end %d." % number) for number in range(20)
    )
    assert received.count(b"MSG c.metrics 1 ") == 20
    nursery.cancel_scope.cancel()


async def test_what_is_sent_while_the_broker_is_away_arrives_later(
    broker: tuple[Child, int], nursery: trio.Nursery
) -> None:
    child, port = broker
    publisher = Publisher(HOST, port)
    nursery.start_soon(publisher.run)
    stream = await subscribed(port)
    publisher.publish("c.metrics", b"first")
    await until(stream, b"first")
    await child.stop(5.0)
    await trio.sleep(0.1)
    publisher.publish("c.metrics", b"second")
    await child.start()
    stream = await subscribed(port)
    publisher.publish("c.metrics", b"third")
    await until(stream, b"third")
    nursery.cancel_scope.cancel()


async def test_a_child_ends_on_request_and_leaves_its_words_in_the_log(broker: tuple[Child, int]) -> None:
    child, port = broker
    await subscribed(port)
    await child.stop(5.0)
    assert not child.alive
    assert "Server Exiting" in child.last_words()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, port), timeout=1)
