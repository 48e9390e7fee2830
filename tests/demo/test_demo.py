"""`ccserver demo` as a newcomer meets it: start, look, stop, start again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ccserver.demo.children import program
from ccserver.demo.errors import DemoError
from ccserver.demo.rest import Api, Unreachable

HOST = "127.0.0.1"
PATIENCE = 120.0
HISTORY = 20 * 60  # seconds


class RunningDemo:
    """A demo in a process of its own, with a small past and without load on this machine."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [
            program("ccserver"),
            "demo",
            "--addr",
            f"{HOST}:{self.port}",
            "--directory",
            str(self.directory),
        ]
        return subprocess.Popen(
            [*command, "--no-load", "--history", f"{HISTORY}s"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, text: str) -> str:
        """Output up to the line that contains `text`."""
        assert self.process.stdout is not None
        seen = ""
        for line in self.process.stdout:
            seen += line
            if text in line:
                return seen
        raise AssertionError(f"the demo ended with {self.process.wait()}:\n{seen}")

    def programs(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=100)

    def api(self) -> Api:
        """Access with the token of the adapter account."""
        output = subprocess.check_output(
            [program("ccserver"), "-jwt", "demo-adapter"], cwd=self.directory, text=True
        )
        token = next(line.split()[-1] for line in output.splitlines() if line.split()[-1:] and "ey" in line)
        return Api(HOST, self.port, token)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[RunningDemo]:
    try:
        program("nats-server")
    except DemoError as error:
        pytest.skip(str(error))
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    running = RunningDemo(tmp_path / "demo", port)
    programs: list[psutil.Process] = []
    yield running
    if running.process.poll() is None:
        programs = running.programs()
        running.process.kill()
        running.process.wait()
    for process in programs:
        process.kill()


def eventually(check: Callable[[], Any]) -> Any:
    """First true result within PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if result := check():
                return result
        except Unreachable:
            pass
        time.sleep(0.5)
    raise AssertionError(f"not within {PATIENCE:.0f} s")


def running_jobs(api: Api) -> dict[int, dict[str, Any]]:
    _, answer = api.get("/api/jobs/", **{"state": "running", "items-per-page": "1000"})
    return {job["jobId"]: job for job in answer["jobs"] if job["cluster"] == "noether"}


def finished_jobs(api: Api) -> list[dict[str, Any]]:
    _, answer = api.get("/api/jobs/", **{"state": "completed", "items-per-page": "1000"})
    return [job for job in answer["jobs"] if job["cluster"] == "noether" and job["monitoringStatus"] == 3]


def samples(api: Api, job: dict[str, Any]) -> int:
    """How many measured points of its first node a job shows."""
    status, answer = api.get(f"/api/jobs/metrics/{job['id']}", metric="cpu_load")
    assert status == 200
    data = answer["data"]["jobMetrics"][0]["metric"]["series"][0]["data"]
    return sum(value is not None for value in data)


def login(port: int, user: str, password: str) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    form = f"username={user}&password={password}&redirect="
    connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
    return connection.getresponse().status


def test_the_demo_runs_is_seen_stops_and_goes_on(demo: RunningDemo) -> None:
    said = demo.wait_for("Ctrl-C ends everything")
    assert f"http://{HOST}:{demo.port}/" in said
    assert "login: demo" in said
    for user, password in (("demo", "demo"), ("alice", "alice"), ("support", "support")):
        assert login(demo.port, user, password) == 302

    api = demo.api()
    jobs = eventually(lambda: running_jobs(api))
    assert len(jobs) > 10
    demo.wait_for("history: complete")

    jobs = running_jobs(api)
    job = max(jobs.values(), key=lambda each: each["duration"])
    measured = min(job["duration"], HISTORY)
    assert measured > 5 * 60
    assert samples(api, job) > 0.8 * measured / 30
    programs = demo.programs()
    assert len(programs) >= 2
    assert demo.stop() == 0
    assert not [process for process in programs if process.is_running()]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, demo.port), timeout=1)

    demo.process = demo._start()
    demo.wait_for("Ctrl-C ends everything")
    api = demo.api()
    assert len(running_jobs(api).keys() & jobs.keys()) > 5
    assert samples(api, job) > 0.8 * measured / 30
    programs = demo.programs()
    assert demo.stop(signal.SIGTERM) == 0
    assert not [process for process in programs if process.is_running()]


def test_a_killed_broker_comes_back_and_samples_go_on(demo: RunningDemo) -> None:
    demo.wait_for("Ctrl-C ends everything")
    broker = next(each for each in demo.programs() if each.name() == "nats-server")
    broker.kill()
    demo.wait_for("the broker ended (signal 9) and was started again on port")
    killed = int(time.time())
    api = demo.api()

    def goes_on() -> bool:
        now = int(time.time())
        question = {"cluster": "local", "from": killed + 10, "to": now + 10, "for-all-nodes": ["cpu_load"]}
        _, answer = api.post("/api/query/", question)
        return any(
            value is not None for row in answer["results"] for one in row for value in one.get("data", [])
        )

    assert eventually(goes_on)
    assert demo.stop() == 0


def test_after_a_kill_the_next_start_ends_what_was_left_and_completes_the_history(demo: RunningDemo) -> None:
    demo.wait_for("Ctrl-C ends everything")
    left = demo.programs()
    demo.process.kill()
    demo.process.wait()
    assert all(process.is_running() for process in left)
    demo.process = demo._start()
    said = demo.wait_for("Ctrl-C ends everything")
    assert f"ended {len(left)} programs" in said
    assert not [process for process in left if process.is_running()]
    api = demo.api()
    assert eventually(lambda: finished_jobs(api))
    assert demo.stop() == 0


def test_an_address_in_use_ends_it_with_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        result = subprocess.run(
            [program("ccserver"), "demo", "--addr", f"{HOST}:{port}", "--directory", str(tmp_path / "demo")],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 1
    assert result.stderr == f"demo: {HOST}:{port} is in use; choose another address with --addr\n"
    assert not (tmp_path / "demo" / "config.json").exists()


def test_an_installation_that_is_no_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    result = subprocess.run(
        [sys.executable, "-m", "ccserver.demo", "--addr", f"{HOST}:{port}", "--directory", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DEMO_ARCHIVE": ""},
    )
    assert result.returncode == 1
    assert "not a demo" in result.stderr
    assert json.loads((tmp_path / "config.json").read_text()) == {}
