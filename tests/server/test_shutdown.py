"""Starting and stopping: what a server does when it cannot start, and how fast it ends."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.running import Server, ccserver, eventually

PATIENCE = 5.0  # seconds: what the contract gives a stopping server


@pytest.fixture
def running(installation: Server) -> Iterator[Server]:
    installation.start()
    yield installation
    if installation.process is not None and installation.process.poll() is None:
        installation.stop()


def connections(server: Server) -> contextlib.ExitStack:
    """One of each kind that could hold a server up."""
    stack = contextlib.ExitStack()
    address = ("127.0.0.1", server.port)
    silent = socket.create_connection(address)
    halfway = socket.create_connection(address)
    halfway.sendall(b"POST /api/jobs/start_job/ HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
    idle = http.client.HTTPConnection(*address)
    idle.request("GET", "/healthz")
    idle.getresponse().read()
    for one in (silent, halfway, idle):
        stack.callback(one.close)
    return stack


def event_stream(server: Server, topics: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", server.port), 10)
    cookie = server.browser("boss").cookies["session"]
    head = f"GET /frontend/events?topics={topics} HTTP/1.1\r\nhost: x\r\ncookie: session={cookie}\r\n\r\n"
    stream.sendall(head.encode())
    received = b""
    while b"retry:" not in received:
        received += stream.recv(4096)
    assert b" 200 " in received.splitlines()[0]
    return stream


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_connections_do_not_hold_up_the_end(running: Server, number: int) -> None:
    with connections(running), event_stream(running, "jobs,metrics,status.small") as stream:
        assert running.stop(number, PATIENCE) == 0
        while stream.recv(65536):  # until its end
            pass
    assert "Graceful shutdown completed" in running.log


def test_a_client_that_does_not_read_is_cut_off(running: Server) -> None:
    now = int(time.time()) // 10 * 10
    rows = [{"metric": "cpu_load", "host": "n01"}] * 1000
    body = json.dumps({"cluster": "small", "from": now - 20000, "to": now, "queries": rows}).encode()
    with running.client() as client:
        line = f"cpu_load,hostname=n01 value=1.25 {now - 10}\n"
        assert client.post("/api/write?cluster=small", content=line).status_code == 200
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        head = f"POST /api/query HTTP/1.1\r\nhost: x\r\nx-auth-token: {running.token('adapter')}\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert connection.recv(10).startswith(b"HTTP/1.1 2")
        assert running.stop(timeout=PATIENCE) == 0


def test_idle_connections_end_at_once(running: Server) -> None:
    with httpx.Client(base_url=running.url) as client, event_stream(running, "jobs"):
        client.get("/healthz")
        began = time.monotonic()
        running.stop()
        end = time.monotonic()
    assert "did not end" not in running.log
    assert end - began < PATIENCE


def test_a_request_under_way_is_answered(running: Server) -> None:
    token = running.token("adapter")
    body = b'[["small", "n01"]]'
    with socket.create_connection(("127.0.0.1", running.port), 10) as connection:
        head = f"POST /api/free?to=1 HTTP/1.1\r\nhost: x\r\nx-auth-token: {token}\r\n"
        length = f"content-length: {len(body)}\r\n\r\n"
        connection.sendall((head + length).encode() + body[:5])
        time.sleep(0.2)
        assert running.process is not None
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(body[5:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert running.process.wait(PATIENCE) == 0


def test_samples_survive_a_restart(running: Server) -> None:
    now = int(time.time()) // 10 * 10
    query = {"cluster": "small", "from": now - 20, "to": now + 10}
    query |= {"queries": [{"metric": "cpu_load", "host": "n01"}]}
    with running.client() as client:
        line = f"cpu_load,hostname=n01 value=42 {now - 10}\n"
        assert client.post("/api/write?cluster=small", content=line).status_code == 200
    assert running.stop() == 0
    running.start()
    with running.client() as client:
        assert 42 in client.post("/api/query", json=query).json()["results"][0][0]["data"]


def test_a_port_in_use_is_one_clear_line_and_touches_nothing(running: Server) -> None:
    database = (running.folder / "var/job.db").stat().st_mtime_ns
    done = ccserver(running.folder, "-server")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{running.port}: Address already in use" in done.stderr
    assert (running.folder / "var/job.db").stat().st_mtime_ns == database
    assert httpx.get(running.url + "/readyz").status_code == 200


def test_a_broken_cluster_file_is_named(installation: Server) -> None:
    (installation.folder / "var/job-archive/small/cluster.json").write_text('{"name": "small"}')
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "small" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_authentication_everybody_is_admin(installation: Server) -> None:
    installation.configure(lambda config: config["main"].update({"disable-authentication": True}))
    installation.start()
    with installation.client("") as client:
        assert client.get("/api/jobs/").status_code == 200
        assert client.get("/monitoring/logs").status_code == 200
        assert client.get("/login").status_code == 404
    assert installation.stop() == 0
    assert "authentication is switched off" in installation.log
    assert ccserver(installation.folder, "-add-user", "a:user:b").returncode == 1


def test_a_second_signal_changes_nothing(running: Server) -> None:
    assert running.process is not None
    while running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    assert running.process.returncode == 0
    assert "Graceful shutdown completed" in running.log


def test_the_database_file_stays_whole(running: Server, tmp_path: Path) -> None:
    with running.client() as client:
        job = {
            "jobId": 1, "user": "ute", "cluster": "small", "startTime": int(time.time()), "numNodes": 1,
            "resources": [{"hostname": "n01"}],
        }  # fmt: skip
        assert client.post("/api/jobs/start_job/", json=job).status_code == 201
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    running.start()
    with running.client() as client:
        listed = eventually(lambda: client.get("/api/jobs/?state=running").json()["jobs"])
        assert listed[0]["jobId"] == 1
