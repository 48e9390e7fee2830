"""What ccserver/broker/stream.py takes from inside of nats-py, and the way without it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator

import nats.aio.client
import pytest
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription
from nats.protocol import parser

from ccserver.broker import Bridge, metric_feeds
from ccserver.broker.stream import usable
from ccserver.config import Subscription
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.server.running import eventually
from tests.server.test_broker import Broker

START = 1700000000


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    yield broker
    broker.kill()


def _strange_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    real = parser.Parser.parse

    async def parse(self: parser.Parser, bytes_read: bytes = b"") -> None:
        await real(self, bytes_read)

    monkeypatch.setattr(parser.Parser, "parse", parse)


def test_private_parts_are_where_they_are_looked_for() -> None:
    async def look() -> None:
        client = Client()
        assert type(client._ps) is parser.Parser
        assert client._ps.state == parser.AWAITING_CONTROL_LINE
        assert client._ps.buf == bytearray()
        assert NatsSubscription(client, id=3)._id == 3
        assert usable(client)

    asyncio.run(look())
    assert inspect.iscoroutinefunction(parser.Parser.parse)
    assert list(inspect.signature(parser.Parser.parse).parameters) == ["self", "data"]
    assert list(inspect.signature(parser.Parser.reset).parameters) == ["self"]
    assert isinstance(nats.aio.client.DEFAULT_BUFFER_SIZE, int)
    # The client uses these very names: a size that is read when it connects, a parser that can be replaced.
    source = inspect.getsource(nats.aio.client.Client._read_loop)
    assert "self._ps.parse(" in source
    assert "DEFAULT_BUFFER_SIZE" in source


@pytest.mark.parametrize("what", ["_ps", "state", "buf", "_id", "parse", "size"])
def test_a_missing_part_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> bool:
        client = Client()
        if what == "_ps":
            del client._ps
        elif what in ("state", "buf"):
            delattr(client._ps, what)
        elif what == "_id":
            monkeypatch.setattr(NatsSubscription, "__init__", lambda self, conn, id: None)
        elif what == "parse":
            _strange_parse(monkeypatch)
        else:
            monkeypatch.delattr(nats.aio.client, "DEFAULT_BUFFER_SIZE")
        return usable(client)

    assert not asyncio.run(ask())


@pytest.mark.parametrize("strange", [False, True])
def test_samples_arrive_with_and_without_our_parser(
    broker: Broker, strange: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if strange:
        _strange_parse(monkeypatch)
    store = MetricStore({"c": [Metric("cpu_load", 60)]}, StoreOptions(), clock=lambda: START + 3600.0)
    feeds = metric_feeds([Subscription("s", "c")], store.write, store.write_parts)
    bridge = Bridge(broker.settings, feeds, 1 << 26)
    with caplog.at_level(logging.WARNING):
        bridge.start()
        try:
            eventually(lambda: bridge.counters.connected)
            # The subscription comes a moment after the connection: asked for until the first sample is there.
            line = b"cpu_load,hostname=first value=1 %d" % START
            eventually(lambda: broker.publish("s", [line]) or store.counters()["stored"])
            messages = [b"cpu_load,hostname=h%d value=1 %d" % (i, START) for i in range(500)]
            broker.publish("s", messages)
            asked = [Query("cpu_load", f"h{i}") for i in range(500)]
            eventually(lambda: all(store.query("c", START, START + 60, asked).rows))
        finally:
            bridge.stop()
            store.close()
    assert ("samples take the slow way" in caplog.text) is strange
    assert (bridge.counters.lost, bridge.counters.failed) == (0, 0)
