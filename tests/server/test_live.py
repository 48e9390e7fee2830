"""Live events: what viewers receive, whom they may watch, what happens to slow ones."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from ccserver.jobs.lifecycle import JobEvent
from ccserver.live.hub import Hub
from ccserver.live.stream import EventStream
from ccserver.model.job import Job, Resource
from ccserver.model.user import Principal
from ccserver.pseudonyms import PLAIN
from tests.server.running import Server, eventually

ADMIN = Principal("boss", frozenset({"admin"}))
USER = Principal("ute", frozenset({"user"}))
MANAGER = Principal("max", frozenset({"manager"}), ("lab",))


class CountingReader:
    def __init__(self) -> None:
        self.reads = 0

    def read(self, cluster: str) -> dict[str, Any]:
        self.reads += 1
        return {"cluster": cluster, "n": self.reads}


def job(user: str = "ute", project: str = "lab") -> Job:
    return Job(7, "small", user, 1, [Resource("n01")], 1, project=project, id=3)


def events(messages: list[bytes]) -> list[tuple[str, Any]]:
    found = []
    for message in messages:
        fields = dict(line.split(": ", 1) for line in message.decode().strip().splitlines())
        found.append((fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture
def reader() -> CountingReader:
    return CountingReader()


@pytest.fixture
def hub(reader: CountingReader) -> Hub:
    return Hub(reader, ["small", "big"])  # type: ignore[arg-type]


async def test_rings_are_read_once_for_all_viewers_and_not_without(
    hub: Hub, reader: CountingReader, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(hub.run)
    await trio.sleep(30)
    assert reader.reads == 0
    topics = frozenset({"status.small"})
    with hub.viewer(ADMIN, topics) as one, hub.viewer(ADMIN, topics) as other:
        await one.waiting.wait()
        assert events(one.take()) == [("status", {"cluster": "small", "n": 1})]
        assert events(other.take()) == [("status", {"cluster": "small", "n": 1})]
        assert reader.reads == 1
        await one.waiting.wait()
        assert reader.reads == 2
    nursery.cancel_scope.cancel()


async def test_a_slow_viewer_gets_only_the_newest_state(hub: Hub, nursery: trio.Nursery) -> None:
    with hub.viewer(ADMIN, frozenset({"metrics", "jobs"})) as viewer:
        for number in range(1000):
            viewer.put_state("metrics.small", b"event: metrics.tick\nid: 1\ndata: %d\n\n" % number)
            viewer.put_event(b"event: job.started\nid: 1\ndata: %d\n\n" % number)
        found = events(viewer.take())
    assert [data for kind, data in found if kind == "metrics.tick"] == [999]
    started = [data for kind, data in found if kind == "job.started"]
    assert started == list(range(744, 1000))


async def test_jobs_are_told_only_to_who_may_see_them(hub: Hub, nursery: trio.Nursery) -> None:
    nursery.start_soon(hub.run)
    await trio.testing.wait_all_tasks_blocked()
    jobs = frozenset({"jobs"})
    with (
        hub.viewer(ADMIN, jobs) as admin,
        hub.viewer(USER, jobs) as user,
        hub.viewer(MANAGER, jobs) as manager,
    ):
        for one in (job(), job("eve"), job("eve", "other")):
            await trio.to_thread.run_sync(hub.publish_job, JobEvent("started", one))
        await trio.testing.wait_all_tasks_blocked()
        assert len(events(admin.take())) == 3
        assert [data["user"] for _, data in events(manager.take())] == ["ute", "eve"]
        assert events(user.take()) == [
            ("job.started", {"id": 3, "jobId": 7, "cluster": "small", "user": "ute", "state": "running"})
        ]
    nursery.cancel_scope.cancel()


async def test_a_viewer_that_leaves_is_forgotten(hub: Hub) -> None:
    with hub.viewer(ADMIN, frozenset({"jobs"})):
        assert len(hub._viewers) == 1
    assert not hub._viewers


class OneUser:
    """A gate that knows who comes."""

    def admit(self, *_: Any) -> Principal:
        return ADMIN


async def test_a_client_that_does_not_read_is_sent_the_newest_state_once(
    hub: Hub, nursery: trio.Nursery
) -> None:
    """While its connection takes nothing, nothing piles up; what it gets then is the present."""
    sent: list[bytes] = []
    stuck, reads_again = trio.Event(), trio.Event()

    async def send(message: Any) -> None:
        body = message.get("body", b"")
        if body.startswith(b"event"):
            stuck.set()
            await reads_again.wait()
        sent.append(body)

    scope = {"method": "GET", "query_string": b"topics=metrics,jobs", "headers": [], "client": ("", 0)}
    stream = EventStream(hub, OneUser(), lambda _: PLAIN)  # type: ignore[arg-type]
    nursery.start_soon(stream, scope, trio.sleep_forever, send)
    await trio.testing.wait_all_tasks_blocked()
    [viewer] = hub._viewers
    viewer.put_state("metrics.small", b"event: metrics.tick\n\n")
    await stuck.wait()
    for number in range(100_000):
        viewer.put_state("metrics.small", b"event: metrics.tick\ndata: %d\n\n" % number)
        viewer.put_event(b"event: job.started\ndata: %d\n\n" % number)
    assert len(viewer.states) + len(viewer.events) < 300
    reads_again.set()
    await trio.testing.wait_all_tasks_blocked()
    ticks = [body for body in sent if b"metrics.tick\ndata" in body]
    assert ticks == [b"event: metrics.tick\ndata: 99999\n\n"]
    assert b"data: 99999" in [body for body in sent if b"job.started" in body][-1]
    nursery.cancel_scope.cancel()


async def test_there_is_room_for_so_many_viewers(
    hub: Hub, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccserver.live.hub.MOST_VIEWERS", 1)
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"method": "GET", "query_string": b"topics=jobs", "headers": [], "client": ("", 0)}
    with hub.viewer(ADMIN, frozenset({"jobs"})):
        await EventStream(hub, OneUser(), lambda _: PLAIN)(scope, trio.sleep_forever, send)  # type: ignore[arg-type]
    assert answers[0]["status"] == 503


class Stream:
    """Reads server-sent events from a socket."""

    def __init__(self, server: Server, name: str, topics: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        cookie = server.browser(name).cookies["session"]
        path = f"/frontend/events?topics={topics}"
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\ncookie: session={cookie}\r\n\r\n".encode())
        self.received = b""

    def until(self, text: bytes, seconds: float = 10) -> bytes:
        self.socket.settimeout(seconds)
        while text not in self.received:
            part = self.socket.recv(65536)
            assert part, self.received
            self.received += part
        return self.received

    def data(self, event: str) -> Any:
        text = self.until(b"event: " + event.encode()).split(b"event: " + event.encode())[-1]
        while b"\n\n" not in text.split(b"data: ", 1)[-1]:
            self.received += self.socket.recv(65536)
            text = self.received.split(b"event: " + event.encode())[-1]
        return json.loads(text.split(b"data: ", 1)[1].split(b"\n")[0])


def test_a_browser_sees_jobs_start_and_stop(server: Server) -> None:
    now = int(time.time())
    body = {
        "jobId": 5, "user": "ute", "cluster": "small", "startTime": now - 100, "numNodes": 1,
        "resources": [{"hostname": "n01"}],
    }  # fmt: skip
    stream = Stream(server, "ute", "jobs")
    stream.until(b"retry:")
    with server.client() as client:
        number = client.post("/api/jobs/start_job/", json=body).json()["id"]
        assert stream.data("job.started")["id"] == number
        client.post("/api/jobs/stop_job/", json={"jobId": 5, "cluster": "small", "stopTime": now})
        assert stream.data("job.stopped")["state"] == "completed"


def test_the_status_of_a_cluster(server: Server) -> None:
    now = int(time.time()) // 10 * 10
    with server.client() as client:
        client.post("/api/write?cluster=small", content=f"cpu_load,hostname=n02 value=1.5 {now}\n")
        stream = Stream(server, "boss", "status.small,metrics")
        status = stream.data("status")
        assert status["hosts"] == ["n01", "n02", "n03"]
        assert status["subClusters"] == ["main"] * 3
        assert (status["nodesUp"], status["nodesTotal"]) == (1, 3)
        assert status["values"]["cpu_load"] == [None, 1.5, None]
        assert status["ages"][0] is None
        assert status["ages"][1] < 60
        assert stream.data("metrics.tick")["cluster"] == "small"


def test_who_may_watch_what(server: Server) -> None:
    with server.browser("ute") as client:
        assert client.get("/frontend/events?topics=status.small").status_code == 403
        assert client.get("/frontend/events?topics=weather").status_code == 400
        assert client.post("/frontend/events").status_code == 405
    with server.client() as client:
        assert client.get("/frontend/events?topics=jobs").status_code == 401


def test_a_client_that_leaves_does_not_stay(server: Server) -> None:
    streams = [Stream(server, "boss", "status.small") for _ in range(5)]
    for stream in streams:
        stream.until(b"retry:")
        stream.socket.close()
    with server.client() as client:
        eventually(lambda: client.get("/healthz").status_code == 200)
