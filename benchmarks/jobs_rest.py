"""Jobs started and stopped over REST: pairs per second of a real server on SQLite, with all checks.

The load comes from threads with raw sockets that keep their connection; it shares the machine with the
server, whose own processor time is shown beside. Baseline of the same run: `/healthz`, which does nothing.
"""

from __future__ import annotations

import json
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.server.running import Server, set_up

CONNECTIONS = 16
PAIRS = 60  # per connection and round
ROUNDS = 3
TARGET = 300  # pairs per second
START = 1_700_000_000


class Connection:
    """HTTP/1.1 over one socket, as little of it as the load needs."""

    def __init__(self, server: Server, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: localhost\r\nX-Auth-Token: {token}\r\n"

    def ask(self, method: str, path: str, body: bytes = b"") -> int:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65536)
        headers, _, rest = answer.partition(b"\r\n\r\n")
        for line in headers.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                while len(rest) < int(line.split(b":")[1]):
                    rest += self._socket.recv(65536)
        return int(headers[9:12])


def pairs(first: int) -> Iterator[tuple[bytes, bytes]]:
    """Bodies as an adapter writes them."""
    for number in range(first, first + PAIRS):
        start = {
            "cluster": "small", "subCluster": "", "partition": "main", "project": "lab", "user": "ute",
            "shared": "none", "jobState": "", "resources": [{"hostname": "n01", "hwthreads": [0, 1]}],
            "energyFootprint": None, "footprint": None,
            "metaData": {"jobName": "solver", "jobScript": "#!/bin/bash\nsrun x\n" * 20}, "walltime": 3600,
            "concurrentJobs": {"items": None, "count": 0}, "energy": 0, "arrayJobId": 0, "jobId": number,
            "duration": 0, "numHwthreads": 2, "numNodes": 1, "statistics": None, "startTime": START,
            "monitoringStatus": 0,
        }  # fmt: skip
        stop = {"jobId": number, "cluster": "small", "jobState": "completed", "stopTime": START + 60}
        yield json.dumps(start).encode(), json.dumps(stop).encode()


def measured(process: psutil.Process, work: Callable[[int], None]) -> tuple[float, float]:
    """Wall time in seconds with all connections at once, processor time of the server in seconds."""
    used = sum(process.cpu_times()[:2])
    begin = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(work, range(CONNECTIONS)))
    return time.perf_counter() - begin, sum(process.cpu_times()[:2]) - used


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        server = set_up(Path(name))
        server.start()
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        connections = [Connection(server, server.token("adapter")) for _ in range(CONNECTIONS)]
        numbers = iter(range(1, 1_000_000_000, PAIRS))
        lock = threading.Lock()

        def jobs(place: int) -> None:
            with lock:
                first = next(numbers)
            for start, stop in pairs(first):
                assert connections[place].ask("POST", "/api/jobs/start_job/", start) == 201
                assert connections[place].ask("POST", "/api/jobs/stop_job/", stop) == 200

        def nothing(place: int) -> None:
            for _ in range(2 * PAIRS):
                assert connections[place].ask("GET", "/healthz") == 200

        measured(process, jobs)
        count = CONNECTIONS * PAIRS
        for title, work in (("start and stop", jobs), ("baseline: /healthz twice", nothing)):
            rounds = [measured(process, work) for _ in range(ROUNDS)]
            wall, used = (statistics.median(one[column] for one in rounds) for column in (0, 1))
            print(
                f"{title:28}{count / wall:7.0f} pairs/s wall{count / used:8.0f} pairs per second of the "
                f"server's processor time   target {TARGET}"
            )
        server.stop()


if __name__ == "__main__":
    main()
