"""Acceptance checks of the metric store that concern what comes in. Contract: spec/metric-store.md 15."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nats
import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from ccserver.auth.guards import Credentials
from ccserver.broker import Bridge, metric_feeds
from ccserver.config import Subscription
from ccserver.rest import ingest
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.server.running import eventually
from tests.server.test_broker import Broker
from tests.store.test_grammar import decode
from tests.store.test_lineprotocol import cases, check, payload_of, store_for

NOW = 1700000100


class OpenDoor:
    """Everybody may write."""

    async def admit(self, credentials: Credentials) -> None:
        pass

    def refusal(self, message: str) -> tuple[bytes, bytes]:
        raise AssertionError


def posted(store: MetricStore, chunks: Sequence[bytes], cluster: str) -> tuple[int, Any]:
    """Status and answer of a body that arrives in these chunks."""
    sent: list[Any] = []
    arriving: Iterator[Any] = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        + [{"type": "http.request", "body": b"", "more_body": False}]
    )
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [],
        "query_string": f"cluster={cluster}".encode(),
        "client": None,
    }

    async def receive() -> Any:
        return next(arriving)

    async def send(message: Any) -> None:
        sent.append(message)

    trio.run(ingest.Ingest(store, OpenDoor()), scope, receive, send)
    body = sent[1]["body"]
    return sent[0]["status"], json.loads(body) if body else None


def tree(store: MetricStore) -> list[str]:
    return sorted(map(str, store.tree()))


def test_check_01_cases_in_any_chunking_and_with_crlf(
    fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every case of cases.json as required; chunking of the body and CRLF change nothing."""
    document = cases(fixtures)
    setup = document["setup"]
    default = setup["cluster_default"]
    assert len(document["cases"]) >= 65
    for case in document["cases"]:
        payload = payload_of(case)
        check(setup, case, payload)
        plain = store_for(setup)
        expected = posted(plain, [payload], default)
        assert expected[0] == (400 if case["required"]["rejected"] else 200)
        for size in (1, 2, 7, 64):
            for at_once in (1, 16, 512 * 1024):
                monkeypatch.setattr(ingest, "CHUNK", at_once)
                store = store_for(setup)
                chunks = [payload[i : i + size] for i in range(0, len(payload), size)]
                assert posted(store, chunks, default) == expected, (case["id"], size, at_once)
                assert tree(store) == tree(plain)
        if case["id"] == "newline-inside-string":
            continue  # CRLF would be another string
        windows = payload.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        check(setup, case, windows)
        store = store_for(setup)
        assert posted(store, [windows[i : i + 5] for i in range(0, len(windows), 5)], default) == expected


def test_check_02_influx_corpus(fixtures: Path) -> None:
    """Accepted are exactly the valid inputs, with the same names, tags, fields and times."""
    corpus = json.loads((fixtures / "metric-store/lineprotocol/influx-corpus-decode.json").read_text())
    outcomes = Counter[bool]()
    for case in corpus:
        text = base64.b64decode(case["text_base64"]) if "text_base64" in case else case["text"].encode()
        expected = None if case.get("error") else case["result"]
        assert decode(text, case["precision"], case["default_time"]) == expected, text
        outcomes[expected is None] += 1
    assert outcomes[False] >= 395
    assert outcomes[True] > 50


GOOD = b"cpu_load,hostname=good value=%d 1700000000"
_TOKENS = [
    b"cpu_load", b"cpu_load,hostname=evil", b",hostname=h", b",type=", b"hwthread", b" ", b" value=", b"=",
    b"1", b'"', b"\\", b"\n", b"\r\n", b"#", b"i", b"u", b"-", b"e", b".", b"1700000000", b"\0",
    b"\x7f", b"\t",
    b"\xc3", b"true", b",cluster=c", b"99999999999999999999", b",", b"value=nan", b' event="',
]  # fmt: skip


def rubbish(source: random.Random) -> bytes:
    kind = source.random()
    if kind < 0.3:
        return source.randbytes(source.randrange(120))
    if kind < 0.9:
        return b"".join(source.choices(_TOKENS, k=source.randrange(16)))
    line = bytearray(b"cpu_load,cluster=c,hostname=h,type=hwthread,type-id=3 value=12.5e-3 1700000000")
    for _ in range(source.randrange(4)):
        line[source.randrange(len(line))] = source.randrange(256)
    return bytes(line)


def test_check_03_random_bytes_cost_no_good_line() -> None:
    """As many messages as FUZZ_MESSAGES says, all into one store: what they leave behind meets them again."""
    source = random.Random(3)
    count = int(os.environ.get("FUZZ_MESSAGES", "30000"))
    store = MetricStore({"c": [Metric("cpu_load", 60)]}, StoreOptions(), clock=lambda: float(NOW))
    received = stored = dropped = rejected = 0
    for number in range(count):
        message = rubbish(source) + b"\n" + GOOD % (number % 1000)
        report = store.write(message, "c")
        assert report.lines == report.stored + sum(report.dropped.values()) + report.rejected_total, message
        assert report.stored >= 1, message
        received += report.lines
        stored += report.stored
        dropped += sum(report.dropped.values())
        rejected += report.rejected_total
        if number % 64 == 0:
            values = store.last_values("c", ["cpu_load"], ["good"]).values
            assert values.tolist() == [[number % 1000]], message
    counters: Any = store.counters()
    assert counters["lines"] == received
    assert counters["stored"] == stored
    assert sum(counters["dropped"].values()) == dropped
    assert sum(counters["rejected"].values()) == rejected
    assert received == stored + dropped + rejected


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 50))
def test_check_03_random_bytes_in_any_chunking(data: bytes, size: int) -> None:
    """A whole body and its pieces have the same outcome."""
    metrics = {"c": [Metric("cpu_load", 60)]}
    body = data + b"\n" + GOOD % 1
    whole = MetricStore(metrics, StoreOptions(), clock=lambda: float(NOW))
    pieces = MetricStore(metrics, StoreOptions(), clock=lambda: float(NOW))
    expected = posted(whole, [body], "c")
    before = ingest.CHUNK
    try:
        ingest.CHUNK = 1
        assert posted(pieces, [body[i : i + size] for i in range(0, len(body), size)], "c") == expected
    finally:
        ingest.CHUNK = before
    assert tree(pieces) == tree(whole)


def test_check_07_write_order_does_not_matter(fixtures: Path, testc: list[Metric]) -> None:
    """Any permutation of a stream without duplicate slots reads the same."""
    text = (fixtures / "metric-store/lineprotocol/stream-12-steps.lp").read_bytes()
    lines = text.splitlines()
    hosts = ["n01", "n02"]
    queries = [Query(m.name, h) for m in testc for h in hosts] + [
        Query("flops_any", h, "hwthread", tuple(map(str, range(8)))) for h in hosts
    ]

    def read(lines: list[bytes]) -> list[Any]:
        store = MetricStore({"testc": testc}, StoreOptions(), clock=lambda: 1700000800.0)
        report = store.write(b"\n".join(lines))
        assert report.stored == len(lines)
        rows = store.query("testc", 1700000017, 1700000017 + 720, queries).rows
        return [
            [(r.start, r.to, r.avg, r.min, r.max, None if r.data is None else r.data.tolist()) for r in row]
            for row in rows
        ]

    expected = str(read(lines))
    assert "4.0" in expected
    source = random.Random(7)
    for _ in range(20):
        shuffled = source.sample(lines, len(lines))
        assert str(read(shuffled)) == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 59), st.permutations(range(40)))
def test_check_07_for_every_phase(phase: int, order: list[int]) -> None:
    store = MetricStore({"c": [Metric("cpu_load", 60)]}, StoreOptions(), clock=lambda: 1700003000.0)
    start = 1700000000 + phase
    for i in order:
        store.write(b"cpu_load,hostname=h value=%d %d" % (i, start + 60 * i), "c")
    ((result,),) = store.query("c", start, start + 2400, [Query("cpu_load", "h")]).rows
    assert result.data is not None
    assert result.data.tolist() == list(range(40))


def test_check_15_two_subscriptions_with_different_defaults_under_load() -> None:
    """No sample in the wrong cluster, none lost; the same subject twice goes to both clusters."""
    broker = Broker()
    broker.start()
    store = MetricStore(
        {name: [Metric("cpu_load", 60)] for name in "abx"}, StoreOptions(), clock=lambda: float(NOW)
    )
    subscriptions = [
        Subscription("left", "a"),
        Subscription("right", "b"),
        Subscription("both", "a"),
        Subscription("both", "b"),
    ]
    bridge = Bridge(broker.settings, metric_feeds(subscriptions, store.write, store.write_parts), 1 << 28)
    bridge.start()
    hosts, rounds = 40, 100

    async def publish() -> None:
        client = await nats.connect(broker.settings.address)
        for step in range(rounds):
            at = 1700000000 - 60 * step
            for host in range(hosts):
                await client.publish("left", b"cpu_load,hostname=l%d value=1 %d\n" % (host, at))
                await client.publish("right", b"cpu_load,hostname=r%d value=2 %d\n" % (host, at))
                await client.publish(
                    "both",
                    b"cpu_load,hostname=b%d value=3 %d\ncpu_load,cluster=x,hostname=t%d value=4 %d"
                    % (host, at, host, at),
                )
        await client.drain()

    try:
        eventually(lambda: bridge.counters.connected)
        time.sleep(0.3)  # the subscriptions follow the connection
        asyncio.run(asyncio.wait_for(publish(), 60))
        expected = rounds * hosts * (1 + 1 + 2 + 1)  # a line with a cluster is stored once
        eventually(lambda: store.counters()["stored"] == expected, 30)
    finally:
        bridge.stop()
        broker.kill()
    assert bridge.counters.lost == bridge.counters.failed == 0
    assert bridge.counters.messages == store.counters()["messages"] == rounds * hosts * 3
    assert store.counters()["lines"] == expected
    names = {letter: [f"{letter}{i}" for i in range(hosts)] for letter in "lrbt"}
    assert set(store.hosts("a")) == {*names["l"], *names["b"]}
    assert set(store.hosts("b")) == {*names["r"], *names["b"]}
    assert set(store.hosts("x")) == set(names["t"])
    for cluster, letter, value in (("a", "l", 1), ("b", "r", 2), ("a", "b", 3), ("b", "b", 3), ("x", "t", 4)):
        begin = 1700000000 - 60 * (rounds - 1)
        queries = [Query("cpu_load", host) for host in names[letter]]
        for (result,) in store.query(cluster, begin, 1700000001, queries).rows:
            assert result.data is not None
            assert np.array_equal(result.data, np.full(rounds, value, np.float32))
