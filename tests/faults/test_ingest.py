"""What comes in while the world around the store misbehaves. Contract: spec/metric-store.md 2, 3.4, 7."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from ccserver.broker import Bridge, Feed, metric_feeds
from ccserver.config import Subscription
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.server.running import eventually
from tests.server.test_broker import Broker

START = 1700000000
METRICS = {"c": [Metric("cpu_load", 60)]}


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.kill()


def test_a_broker_that_dies_under_load_costs_only_what_it_had(broker: Broker) -> None:
    """Everything that arrives is stored whole; counters of bridge and store agree."""
    store = MetricStore(METRICS, StoreOptions(), clock=lambda: START + 3600.0)
    bridge = Bridge(
        broker.settings, metric_feeds([Subscription("s", "c")], store.write, store.write_parts), 1 << 26
    )
    broker.start()
    bridge.start()
    stop = threading.Event()
    payload = b"".join(b"cpu_load,hostname=h%d value=1 %d\n" % (i, START) for i in range(50))

    def load() -> None:
        while not stop.is_set():
            try:
                broker.publish("s", [payload] * 300, seconds=2)
            except Exception:  # the broker is away
                time.sleep(0.05)

    sender = threading.Thread(target=load)
    sender.start()
    try:
        for _ in range(3):
            seen = int(store.counters()["stored"])  # type: ignore[arg-type]
            eventually(lambda seen=seen: store.counters()["stored"] > seen + 20_000, 30)  # type: ignore[misc]
            broker.kill()
            time.sleep(0.2)
            broker.start()
    finally:
        stop.set()
        sender.join()
        bridge.stop()
    counters = store.counters()
    assert bridge.counters.reconnects >= 2
    assert bridge.counters.lost == bridge.counters.failed == 0
    assert counters["messages"] == bridge.counters.messages
    assert counters["stored"] == counters["lines"] == 50 * bridge.counters.messages
    assert counters["rejected"] == {}


def test_what_the_queue_cannot_take_is_counted(broker: Broker) -> None:
    """A store that hangs: messages beyond the bound are dropped whole, and every one is counted."""
    store = MetricStore(METRICS, StoreOptions(), clock=lambda: START + 3600.0)
    hang = threading.Event()

    def write_parts(text: Any, parts: Any, cluster: str, *, repeated: bool) -> None:
        hang.wait(30)
        store.write_parts(text, parts, cluster, repeated=repeated)

    bridge = Bridge(
        broker.settings, metric_feeds([Subscription("s", "c")], store.write, write_parts), 3 << 20
    )
    broker.start()
    bridge.start()
    payload = b"".join(b"cpu_load,hostname=h%d value=1 %d\n" % (i, START) for i in range(1000))
    try:
        eventually(lambda: bridge.counters.connected)
        time.sleep(0.3)
        broker.publish("s", [payload] * 600)
        eventually(lambda: bridge.counters.messages == 600)
        time.sleep(0.2)
        assert 3 << 20 <= bridge.counters.waiting < 6 << 20
        hang.set()
        eventually(lambda: store.counters()["messages"] == 600 - bridge.counters.lost)
        eventually(lambda: bridge.counters.waiting == 0)
    finally:
        hang.set()
        bridge.stop()
    assert bridge.counters.lost > 300
    assert store.counters()["messages"] == 600 - bridge.counters.lost
    assert store.counters()["stored"] == 1000 * (600 - bridge.counters.lost)


def test_headers_and_payloads_of_other_kinds(broker: Broker) -> None:
    """Messages with headers, empty ones, events with newlines, large ones: all between samples."""
    store = MetricStore(METRICS, StoreOptions(), clock=lambda: START + 3600.0)
    others: list[bytes] = []
    feeds = metric_feeds([Subscription("s", "c")], store.write, store.write_parts)
    bridge = Bridge(broker.settings, [*feeds, Feed("other", others.append)], 1 << 26)
    broker.start()
    bridge.start()

    async def publish() -> None:
        client = await nats.connect(broker.settings.address)
        for i in range(300):
            line = b"cpu_load,hostname=h value=%d %d" % (i, START + 60 * i - 18000)
            await client.publish("s", line, headers={"kind": "metric", "n": str(i)})
            await client.publish("s", b"")
            await client.publish("other", b"other %d" % i)
            await client.publish("s", b'job,hostname=h event="a\nb" %d' % START)
            if i % 50 == 0:
                big = b"\n".join(b"cpu_load,hostname=b%d value=1 %d" % (n, START) for n in range(20_000))
                await client.publish("s", big)
        await client.drain()

    try:
        eventually(lambda: bridge.counters.connected)
        time.sleep(0.3)
        asyncio.run(asyncio.wait_for(publish(), 60))
        eventually(lambda: store.counters()["stored"] == 300 + 6 * 20_000)
        eventually(lambda: len(others) == 300)
    finally:
        bridge.stop()
    assert others == [b"other %d" % i for i in range(300)]
    assert store.counters()["dropped"] == {"unknown-metric": 300}
    assert store.counters()["rejected"] == {}
    ((result,),) = store.query("c", START - 18000, START, [Query("cpu_load", "h")]).rows
    assert result.data is not None
    assert result.data.tolist() == list(range(300))


def test_a_slow_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sync takes a quarter of a second: everything written meanwhile is stored and in the journal."""
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (time.sleep(0.25), real(fd))[-1])
    store = MetricStore(METRICS, StoreOptions(directory=tmp_path), clock=lambda: START + 36000.0)
    store.restore()
    end = time.monotonic() + 2
    i = 0
    while time.monotonic() < end:
        store.write(b"cpu_load,hostname=h%d value=1 %d" % (i % 500, START + 60 * (i // 500 % 500)), "c")
        i += 1
    counters = store.counters()
    assert counters["stored"] == i
    assert counters["journal_lost_samples"] == 0
    assert store.sync()
    assert store.counters()["journal_queue_bytes"] == 0
    store.close()


def test_clock_jumps(tmp_path: Path) -> None:
    """An hour ahead, a day back, and right again: samples of the true time stay where they belong."""
    now = [START + 0.0]
    store = MetricStore(METRICS, StoreOptions(directory=tmp_path, retention=7200), clock=lambda: now[0])
    store.restore()

    def at(step: int) -> bytes:
        return b"cpu_load,hostname=h value=%d %d" % (step, START + 60 * step)

    for step in range(10):
        now[0] = START + 60.0 * step
        assert store.write(at(step), "c").stored == 1
        store.housekeeping()
    now[0] += 3600
    assert store.write(at(10), "c").stored == 1
    assert store.write(b"cpu_load,hostname=other value=1", "c").stored == 1  # at the wrong hour
    now[0] -= 86400
    assert store.write(at(11), "c").dropped == {"future": 1}
    store.housekeeping()
    now[0] = START + 720.0
    assert store.write(at(12), "c").stored == 1
    store.housekeeping()
    assert store.sync()
    for again in (False, True):
        if again:
            store.close()
            store = MetricStore(METRICS, StoreOptions(directory=tmp_path), clock=lambda: now[0])
            store.restore()
        ((result,),) = store.query("c", START, START + 780, [Query("cpu_load", "h")]).rows
        assert result.data is not None
        assert [v for v in result.data.tolist() if v == v] == [*range(11), 12]
