"""Samples over a real NATS server that goes away and comes back. Contract: spec/metric-store.md 7."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from ccserver.broker import Bridge, EventError, Feed, event_lines, metric_feeds
from ccserver.config import Nats, Subscription
from ccserver.jobs.wire import decode_job
from tests.conftest import require_program
from tests.server.running import Server, eventually, free_port


class Broker:
    """A nats-server process on a port of its own."""

    def __init__(self) -> None:
        beside = Path(sys.executable).parent / "nats-server"
        self.program = str(beside) if beside.exists() else require_program("nats-server")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Nats:
        return Nats(f"nats://127.0.0.1:{self.port}")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "-a", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def publish(self, subject: str, payloads: list[bytes], seconds: float = 10) -> None:
        async def send() -> None:
            client = await nats.connect(self.settings.address, connect_timeout=5, allow_reconnect=False)
            for payload in payloads:
                await client.publish(subject, payload)
            await client.drain()

        asyncio.run(asyncio.wait_for(send(), seconds))


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.kill()


class Received:
    """A store that remembers what it was given."""

    def __init__(self) -> None:
        self.writes: list[tuple[bytes, str]] = []

    def write(self, payload: bytes, cluster: str, *, repeated: bool = False) -> None:
        if payload == b"broken":
            raise ValueError("this payload breaks the receiver")
        self.writes.append((payload, cluster))


@pytest.fixture
def received() -> Received:
    return Received()


@pytest.fixture
def bridge(broker: Broker, received: Received) -> Iterator[Bridge]:
    feeds = metric_feeds([Subscription("hpc.>", "small"), Subscription("other", "")], received.write)
    bridge = Bridge(broker.settings, feeds, 64 * 1024 * 1024)
    bridge.start()
    yield bridge
    bridge.stop()


def test_each_subscription_has_its_own_default_cluster(
    broker: Broker, bridge: Bridge, received: Received
) -> None:
    broker.start()
    eventually(lambda: bridge.counters.connected)
    broker.publish("hpc.nodes", [b"a"])
    broker.publish("other", [b"b"])
    eventually(lambda: len(received.writes) == 2)
    assert received.writes == [(b"a", "small"), (b"b", "")]


def test_a_broker_that_is_absent_at_first_is_found_later(
    broker: Broker, bridge: Bridge, received: Received
) -> None:
    time.sleep(0.3)
    assert not bridge.counters.connected
    broker.start()
    eventually(lambda: bridge.counters.connected)
    broker.publish("other", [b"a"])
    eventually(lambda: received.writes)


def test_samples_flow_again_after_the_broker_died_under_load(
    broker: Broker, bridge: Bridge, received: Received
) -> None:
    broker.start()
    eventually(lambda: bridge.counters.connected)
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                broker.publish("hpc.load", [b"x" * 1000] * 200, seconds=1)
            except Exception:  # the broker is away
                time.sleep(0.05)

    sender = threading.Thread(target=load)
    sender.start()
    try:
        eventually(lambda: len(received.writes) > 500)
        for _ in range(2):
            broker.kill()
            time.sleep(0.3)
            before = len(received.writes)
            broker.start()
            eventually(lambda before=before: len(received.writes) > before + 200)  # type: ignore[misc]
    finally:
        stop.set()
        sender.join()
    assert bridge.counters.reconnects >= 2
    assert bridge.counters.lost == 0
    assert {cluster for _, cluster in received.writes} == {"small"}


def test_a_payload_that_cannot_be_handled_does_not_end_the_feed(
    broker: Broker, bridge: Bridge, received: Received
) -> None:
    broker.start()
    eventually(lambda: bridge.counters.connected)
    broker.publish("other", [b"broken", b"fine"])
    eventually(lambda: received.writes)
    assert bridge.counters.failed == 1


def test_messages_beyond_the_limit_are_counted(broker: Broker) -> None:
    broker.start()
    handled: list[bytes] = []

    def slow(payload: bytes) -> None:
        time.sleep(0.002)
        handled.append(payload)

    bridge = Bridge(broker.settings, [Feed("s", slow)], 1000)
    bridge.start()
    try:
        eventually(lambda: bridge.counters.connected)
        time.sleep(0.2)  # the subscription follows the connection
        broker.publish("s", [b"x" * 400] * 300)
        eventually(lambda: len(handled) + bridge.counters.lost == 300)
        assert bridge.counters.lost > 0
    finally:
        bridge.stop()


def test_what_has_arrived_is_handled_before_the_end(broker: Broker) -> None:
    broker.start()
    handled: list[bytes] = []

    def slow(payload: bytes) -> None:
        time.sleep(0.001)
        handled.append(payload)

    bridge = Bridge(broker.settings, [Feed("s", slow)], 64 * 1024 * 1024)
    bridge.start()
    eventually(lambda: bridge.counters.connected)
    time.sleep(0.2)
    broker.publish("s", [b"x"] * 200)
    eventually(lambda: handled)
    bridge.stop()
    assert len(handled) == 200
    bridge.stop()  # once more changes nothing


def test_stopping_does_not_wait_for_an_absent_broker(broker: Broker) -> None:
    bridge = Bridge(broker.settings, [Feed("s", lambda payload: None)], 1000)
    bridge.start()
    time.sleep(0.1)
    bridge.stop()
    assert threading.active_count() < 50
    assert not any(thread.name == "nats" for thread in threading.enumerate())


def test_lines_of_events(fixtures: Path) -> None:
    lines = list(event_lines((fixtures / "rest" / "nats-job-events.lp").read_bytes()))
    assert [(line.measurement, line.tags["function"]) for line in lines][:2] == [
        ("job", "start_job"),
        ("job", "stop_job"),
    ]
    assert decode_job(lines[0].event or "").job_id == 777200


def test_escapes_and_other_fields_of_an_event() -> None:
    payload = b'# why\r\nm\\ x,a=b\\,c,d= other=1i,event="say \\"hi\\", \\\\n\\n\\u00e4\n" 5\r\n\nx value=1 6'
    first, second = event_lines(payload)
    assert (first.measurement, first.tags) == ("m x", {"a": "b,c", "d": ""})
    assert first.event == 'say "hi", \\n\n\\u00e4\n'
    assert (second.measurement, second.event) == ("x", None)


def test_a_job_script_of_megabytes_is_read_at_once() -> None:
    script = r"echo \"hello\"\\n" * 400_000
    (line,) = event_lines(f'job event="{script}" 1'.encode())
    assert line.event is not None
    assert line.event.startswith(r'echo "hello"\necho')


@pytest.mark.parametrize(
    "payload",
    [
        b'job event="x"', b'job event="x 1', b"job,function 1", b"job", b'job event="x" 1 2',
        b'job event=x 1',
        b'job event="x" 1e9', b'job ,a=b event="x" 1', b'job event="x",=1 1', b'job event="x" \xd9\xa3',
        b"\xff",
    ],
)  # fmt: skip
def test_lines_that_are_none(payload: bytes) -> None:
    with pytest.raises(EventError):
        list(event_lines(payload))


@pytest.fixture
def connected(installation: Server, broker: Broker) -> Iterator[Server]:
    """A server that takes samples and events from the broker, which is not there yet."""

    def change(config: dict[str, Any]) -> None:
        config["nats"] = {"address": broker.settings.address}
        config["metric-store"]["nats-subscriptions"] = [{"subscribe-to": "hpc", "cluster-tag": "small"}]
        config["main"]["api-subjects"] = {"subject-job-event": "jobs", "subject-node-state": "nodes"}

    installation.configure(change)
    installation.start()
    yield installation
    assert installation.stop() == 0


def test_lines_before_a_bad_one_count() -> None:
    lines = event_lines(b'a event="1" 1\nb event="2"\nc event="3" 3')
    assert next(lines).measurement == "a"
    with pytest.raises(EventError, match="line 2"):
        next(lines)


def event(function: str, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).replace("\\", "\\\\").replace('"', '\\"')
    return f'job,function={function},hostname=ctl event="{text}" {time.time_ns()}\n'.encode()


def test_a_server_that_lives_from_the_broker(connected: Server, broker: Broker) -> None:
    assert "cannot be reached" in eventually(lambda: connected.log if "cannot be" in connected.log else "")
    broker.start()
    eventually(lambda: "NATS: connected" in connected.log)
    time.sleep(0.3)
    now = int(time.time()) // 10 * 10
    job = {
        "jobId": 9, "user": "ute", "cluster": "small", "startTime": now - 600, "numNodes": 1,
        "resources": [{"hostname": "n01"}], "metaData": {"jobScript": "a\n\"b\""},
    }  # fmt: skip
    samples = b"cpu_load,hostname=n01 value=3 %d\n" % (now - 10)
    with connected.client() as client:
        assert client.post("/api/jobs/start_job/", json=job).status_code == 404
        broker.publish("jobs", [b"nonsense", b"", event("start_job", job), event("start_job", job)])
        listed = eventually(lambda: client.get("/api/jobs/?state=running&with-metadata=1").json()["jobs"])
        assert listed[0]["metaData"]["jobScript"] == 'a\n"b"'
        broker.publish("hpc", [samples])
        query = {"cluster": "small", "from": now - 20, "to": now}
        query |= {"queries": [{"metric": "cpu_load", "host": "n01"}]}

        def stored() -> bool:
            row = client.post("/api/query", json=query).json()["results"][0]
            return bool(row) and 3 in row[0]["data"]

        eventually(stored)
        broker.kill()
        broker.start()
        eventually(lambda: "again" in connected.log, 5)
        broker.publish("jobs", [event("stop_job", {"jobId": 9, "cluster": "small", "stopTime": now})])
        eventually(lambda: client.get("/api/jobs/?state=completed").json()["jobs"])
    assert "already exists" in connected.log


def walk(name: str, folder: Path) -> bytes:
    return (folder / "rest" / name).read_bytes()


def test_walk_through_over_nats(installation: Server, broker: Broker, fixtures: Path) -> None:
    """What the adapter publishes, sample messages included. Contract: spec/rest-api.md 6, 7."""
    cluster = installation.folder / "var" / "job-archive" / "testcluster"
    cluster.mkdir()
    shutil.copy(fixtures / "rest" / "cluster-testcluster.json", cluster / "cluster.json")
    configure_events(installation, broker)
    broker.start()
    installation.start()
    try:
        assert installation.log.count("are not authenticated") >= 1
        eventually(lambda: "NATS: connected" in installation.log)
        time.sleep(0.3)
        with installation.client() as client:
            assert client.get("/api/jobs/start_job/").status_code == 404
            broker.publish("jobs", [walk("nats-job-events.lp", fixtures)])
            done = eventually(lambda: client.get("/api/jobs/?state=completed&with-metadata").json()["jobs"])
            assert [(job["jobId"], job["duration"]) for job in done] == [(777200, 600)]
            assert done[0]["metaData"]["jobScript"] == '#!/bin/bash\necho "hi"\n'
            broker.publish("nodes", [walk("nats-nodestate.lp", fixtures)])
            start = json.loads(walk("adapter-start_job.json", fixtures))
            start["tags"] = [{"type": "a", "name": "b"}]
            stop = json.loads(walk("adapter-stop_job.json", fixtures))
            wrong = [
                b"", b"noise", b"job value=1 1", b'other event="{}" 1', b'job event="{}" 1',
                event("pause_job", start), event("start_job", {}), event("start_job", start | {"user": ""}),
                event("stop_job", stop | {"jobId": 1}), event("stop_job", stop | {"stopTime": 1}),
            ]  # fmt: skip
            broker.publish("jobs", [event("start_job", start)])
            (running,) = eventually(lambda: client.get("/api/jobs/?state=running").json()["jobs"])
            assert [(tag["type"], tag["scope"]) for tag in running["tags"]] == [("a", "global")]
            broker.publish("jobs", wrong)
            broker.publish("jobs", [event("start_job", start), *[event("stop_job", stop)] * 2])
            eventually(lambda: len(client.get("/api/jobs/?state=completed").json()["jobs"]) == 2)
            eventually(lambda: "already been stopped" in installation.log)
        for text in (
            "empty message", "no line protocol", "no tag function", "unknown function 'pause_job'",
            "'jobId' is required", "should not be empty", "finding job failed", "larger/equal",
            "already exists",
        ):  # fmt: skip
            assert text in installation.log
    finally:
        assert installation.stop() == 0
    with sqlite3.connect(installation.folder / "var" / "job.db") as database:
        query = "SELECT hostname, node_state, health_state FROM node_state, node"
        states = database.execute(query).fetchall()
    assert states == [("host123", "allocated", "failed")]


def test_events_of_one_job_keep_their_order(installation: Server, broker: Broker) -> None:
    """Starts and stops of many jobs, each pair in one breath: no stop may overtake its start."""
    configure_events(installation, broker)
    broker.start()
    installation.start()
    try:
        eventually(lambda: "NATS: connected" in installation.log)
        time.sleep(0.3)
        messages = []
        for number in range(1, 301):
            job = {
                "jobId": number, "user": "ute", "cluster": "small", "startTime": 1700000000, "numNodes": 1,
                "resources": [{"hostname": "n01"}], "monitoringStatus": 0,
            }  # fmt: skip
            stop = {"jobId": number, "cluster": "small", "stopTime": 1700000000 + number}
            messages += [event("start_job", job), event("stop_job", stop)]
        broker.publish("jobs", messages)
        with installation.client() as client:
            path = "/api/jobs/?state=completed&items-per-page=1000"
            eventually(lambda: len(client.get(path).json()["jobs"]) == 300, 30)
        assert "refused" not in installation.log
    finally:
        assert installation.stop() == 0


def configure_events(installation: Server, broker: Broker) -> None:
    def change(config: dict[str, Any]) -> None:
        config["nats"] = {"address": broker.settings.address}
        config["main"]["api-subjects"] = {
            "subject-job-event": "jobs", "subject-node-state": "nodes", "job-concurrency": 4,
        }  # fmt: skip

    installation.configure(change)
