"""Servers as processes on free ports of the loopback interface, each in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from ccserver.auth.sessions import Sessions
from ccserver.auth.tokens import TokenIssuer
from ccserver.auth.users import UserRepository
from ccserver.config import Keys, read_dotenv, read_keys
from ccserver.database import open_database
from ccserver.model.user import Principal

CLUSTER = {
    "name": "small",
    "metricConfig": [
        {
            "name": name, "unit": {"base": unit}, "scope": scope, "aggregation": aggregation, "timestep": 10,
            "peak": 100, "normal": 50, "caution": 20, "alert": 10, "footprint": "avg",
        }
        for name, unit, scope, aggregation in (
            ("cpu_load", "", "node", "avg"),
            ("flops_any", "F/s", "hwthread", "sum"),
        )
    ],
    "subClusters": [
        {
            "name": "main", "nodes": "n[01-03]", "processorType": "two cores",
            "socketsPerNode": 1, "coresPerSocket": 2, "threadsPerCore": 1,
            "flopRateScalar": {"unit": {"base": "F/s", "prefix": "G"}, "value": 4},
            "flopRateSimd": {"unit": {"base": "F/s", "prefix": "G"}, "value": 32},
            "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": 10},
            "topology": {"node": [0, 1], "socket": [[0, 1]], "memoryDomain": [[0, 1]], "core": [[0], [1]]},
        }
    ],
}  # fmt: skip

ACCOUNTS = {
    "root": "admin,api", "adapter": "api", "ute": "user", "max": "manager", "sue": "support",
    "both": "user,api", "boss": "admin",
}  # fmt: skip


def free_port() -> int:
    """Below the ports that the kernel gives to whoever asks for any: nobody gets it before it is used."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def ccserver(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ccserver.cli", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment() -> dict[str, str]:
    keys = ("JWT_PUBLIC_KEY", "JWT_PRIVATE_KEY", "SESSION_KEY")
    return {name: value for name, value in os.environ.items() if name not in keys}


class Server:
    """One folder with its configuration, and the process serving it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.flags = ["-server", "-dev", "-loglevel", "info"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def configure(self, change: Callable[[dict[str, Any]], None] = lambda config: None) -> None:
        """Edit config.json; the address is set as well."""
        path = self.folder / "config.json"
        config = json.loads(path.read_text())
        config["main"]["addr"] = f"127.0.0.1:{self.port}"
        config["metric-store"]["memory-cap"] = 1
        change(config)
        path.write_text(json.dumps(config))

    def start(self, *, wait: bool = True, development: bool = True, **extra_environment: str) -> None:
        flags = [flag for flag in self.flags if development or flag != "-dev"]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ccserver.cli", *flags],
                cwd=self.folder,
                env=environment() | extra_environment,
                stdout=log,
                stderr=log,
            )
        if not wait:
            return
        try:
            eventually(self.ready, 120)
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with contextlib.suppress(httpx.TransportError):
            # Certificates are not needed here and take a tenth of a second to load, again for each question.
            return httpx.get(self.url + "/readyz", verify=False).status_code == 200
        return False

    def stop(self, number: int = signal.SIGTERM, timeout: float = 30) -> int:
        """Signal the process and return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def end(self) -> None:
        """Whatever became of a test: nothing runs on."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def _account(self, username: str) -> Principal:
        projects = ("lab",) if username == "max" else ()
        return Principal(username, frozenset(ACCOUNTS[username].split(",")), projects)

    def keys(self) -> Keys:
        return read_keys(read_dotenv(self.folder / ".env", {}))

    def token(self, username: str) -> str:
        seed = self.keys().jwt_seed
        assert seed is not None
        return TokenIssuer(seed, 3600).issue(self._account(username))

    def client(self, username: str = "adapter") -> httpx.Client:
        """With the token of an account."""
        headers = {"X-Auth-Token": self.token(username)} if username else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def browser(self, username: str) -> httpx.Client:
        """With the session of an account, without logging in: that is slow and limited."""
        key = self.keys().session
        assert key is not None
        value = Sessions(key, 3600).issue(self._account(username))
        return httpx.Client(base_url=self.url, cookies={"session": value}, timeout=30)


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true value of `condition`, asked again and again."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "this did not come true in time"
        time.sleep(0.05)
    return value


def set_up(folder: Path) -> Server:
    """A fresh installation with one cluster and one account per role; passwords are the names."""
    done = ccserver(folder, "-init")
    assert done.returncode == 0, done.stderr
    cluster = folder / "var" / "job-archive" / str(CLUSTER["name"])
    cluster.mkdir()
    (cluster / "cluster.json").write_text(json.dumps(CLUSTER))
    database = open_database(folder / "var" / "job.db")
    users = UserRepository(database)
    for name, roles in ACCOUNTS.items():
        users.add(name, roles.split(","), name, projects=["lab"] if name == "max" else ())
    database.close()
    server = Server(folder)
    server.configure()
    return server
