"""A real store to send samples to: a broker and a stand-alone ccstore, each a process on a port of its
own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ccstore import Metric

SUBJECT = "metrics"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """Started with `with`; everything is in `folder`."""

    def __init__(
        self, folder: Path, cluster: str, metrics: Sequence[Metric], *, journal: bool, retention: str = "48h"
    ) -> None:
        self._folder = folder
        self._cluster = cluster
        self.port = free_port()
        self.broker_port = free_port()
        config = {
            "main": {"addr": f"127.0.0.1:{self.port}"},
            "nats": {"address": f"nats://127.0.0.1:{self.broker_port}"},
            "metric-store": {
                "retention-in-memory": retention,
                "memory-cap": 3,
                "journal": journal,
                "checkpoints": {"directory": str(folder / "checkpoints")},
                "nats-subscriptions": [{"subscribe-to": SUBJECT, "cluster-tag": cluster}],
            },
            "metrics": {m.name: {"frequency": m.frequency, "aggregation": m.aggregation} for m in metrics},
        }
        (folder / "config.json").write_text(json.dumps(config))
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Site:
        broker = Path(sys.executable).with_name("nats-server")
        log = (self._folder / "log").open("wb")
        try:
            self._start([str(broker), "-a", "127.0.0.1", "-p", str(self.broker_port)], log)
            self._start([sys.executable, "-m", "ccserver.standalone", "-loglevel", "info"], log)
            self._until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, command: list[str], log: Any) -> None:
        self._processes.append(subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log))

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _until_ready(self) -> None:
        end = time.monotonic() + 300
        while "connected to nats" not in self.log:
            if time.monotonic() > end or self._processes[-1].poll() is not None:
                raise RuntimeError(self.log)
            time.sleep(0.2)
        while not self._answers("/readyz"):
            time.sleep(0.2)
        time.sleep(0.5)  # the subscription follows the connection

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def counters(self) -> dict[str, int]:
        """Figures of /metrics without labels, and sums over the labels of the others; `_total` is left
        out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=120) as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name.removesuffix("_total")] += int(sample.value)
        return found

    def seconds(self) -> float:
        """Processor time of the store's process, all threads, user and system."""
        fields = Path(f"/proc/{self._processes[-1].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        return int(Path(f"/proc/{self._processes[-1].pid}/statm").read_text().split()[1]) * 4096


class Publisher:
    """The sending side of a broker connection: nothing but PUB."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.recv(65536)  # INFO
        self._socket.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"c"}\r\n')

    def frame(self, payload: bytes | memoryview) -> bytes:
        return b"PUB %s %d\r\n%b\r\n" % (SUBJECT.encode(), len(payload), payload)

    def send(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def flush(self) -> None:
        """Until the broker has taken everything."""
        self._socket.sendall(b"PING\r\n")
        seen = b""
        while b"PONG" not in seen:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the broker closed the connection")
            seen = seen[-8:] + more
            if b"PING" in more:
                self._socket.sendall(b"PONG\r\n")

    def close(self) -> None:
        self._socket.close()
