"""Lines from senders to the journal: through a real broker and over HTTP into a real ccstore, end to end.

`python -m benchmarks.store_transport [hosts]`: rates are lines per second of processor time of the
store's whole process (reading, framing, parsing, storing, journal, disk), by the kernel's count; medians of
several flushes. A burst sends everything at once, with the broker's default limits, and counts what is
missing. Baseline of the same call: a plain Python implementation of parsing and storing alone.
"""

from __future__ import annotations

import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import _collectors as collectors
from benchmarks._site import Publisher, Site
from benchmarks.store_ingest import plain_python

ROUNDS = 5
# lines a round: processor time is counted in steps of 10 ms
_AT_LEAST = {
    ("NATS", 1000): 4_000_000,
    ("NATS", 20): 4_000_000,
    ("HTTP", 1000): 2_000_000,
    ("HTTP", 20): 150_000,
}
_PAUSE = 0.5  # seconds between two looks at the counters, which cost the store some milliseconds
TARGETS = {("NATS", 1000): 5e6, ("NATS", 20): 1.5e6, ("HTTP", 1000): 5e6, ("HTTP", 20): 1e6}


def frames(payloads: Sequence[bytes], frame: Callable[[bytes], bytes]) -> list[bytes]:
    """What goes out in one call: a hundred messages."""
    out = []
    for first in range(0, len(payloads), 100):
        out.append(b"".join(frame(payload) for payload in payloads[first : first + 100]))
    return out


class Poster:
    """One connection that posts, one request after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(payload: bytes) -> bytes:
        return (
            b"POST /api/write?cluster=%b HTTP/1.1\r\nHost: x\r\nUser-Agent: collector\r\n"
            b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
            % (collectors.CLUSTER.encode(), len(payload))
        ) + payload

    def post(self, request: bytes) -> None:
        self._socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("the server closed the connection")
            answer += more
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer.decode(errors="replace"))


def until_stored(site: Site, lines: int) -> int:
    """Lines that have arrived in the end, of so many."""
    end, last = time.monotonic() + 30, -1
    while True:
        found = site.counters()["ccstore_stored_samples"]
        if found >= lines:
            return found
        if found > last:
            end, last = time.monotonic() + 10, found
        if time.monotonic() > end:
            return found
        time.sleep(_PAUSE)


def measured(site: Site, lines: int, times: int, send: Callable[[], None]) -> tuple[float, float]:
    """Median lines per second of processor time, and of wall time; `send` sends all lines once."""
    rates, walls = [], []
    for _ in range(ROUNDS):
        before = site.counters()["ccstore_stored_samples"]
        used, begin = site.seconds(), time.monotonic()
        for _ in range(times):
            send()
        found = until_stored(site, before + lines * times) - before
        walls.append(found / (time.monotonic() - begin))
        rates.append(found / max(site.seconds() - used, 0.01))
        if found != lines * times:
            print(f"  {lines * times - found} of {lines * times} lines are missing")
    return statistics.median(rates), statistics.median(walls)


def main() -> None:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    cluster = collectors.Site(hosts)
    lines = collectors.stable(cluster.flush(int(time.time() - collectors.START) // 60), random.Random(0))
    print(f"{len(lines)} series; lines per second of processor time (wall: of the clock)")
    plain = plain_python(collectors.messages(lines, 1000))
    print(f"plain Python, no checks, no transport, no journal: {plain:,.0f}")
    print(f"{'':8}{'lines each':>12}{'journal':>9}{'lines/s':>13}{'ratio':>7}{'wall':>13}{'target':>13}")
    for journal in (True, False):
        with (
            tempfile.TemporaryDirectory() as name,
            Site(Path(name), collectors.CLUSTER, collectors.metrics(), journal=journal) as site,
        ):
            for kind in ("NATS", "HTTP"):
                for each in (1000, 20):
                    payloads = collectors.messages(lines, each)
                    if kind == "NATS":
                        publisher = Publisher(site.broker_port)
                        out = frames(payloads, publisher.frame)

                        def send(publisher: Publisher = publisher, out: list[bytes] = out) -> None:
                            for one in out:
                                publisher.send(one)
                            publisher.flush()
                    else:
                        poster = Poster(site.port)
                        requests = [poster.request(payload) for payload in payloads]

                        def send(poster: Poster = poster, requests: list[bytes] = requests) -> None:  # type: ignore[misc]
                            for one in requests:
                                poster.post(one)

                    send()  # all series are known after this
                    until_stored(site, site.counters()["ccstore_lines"])
                    time.sleep(1)
                    times = -(-_AT_LEAST[kind, each] // len(lines))
                    rate, wall = measured(site, len(lines), times, send)
                    target = f"{TARGETS[kind, each]:13,.0f}" if journal else ""
                    shown = "on" if journal else "off"
                    print(
                        f"{kind:8}{each:12}{shown:>9}{rate:13,.0f}{rate / plain:7.1f}{wall:13,.0f}{target}",
                        flush=True,
                    )
            if journal:
                burst(site, lines)


def burst(site: Site, lines: Sequence[bytes]) -> None:
    """Two million lines as fast as the broker takes them."""
    publisher = Publisher(site.broker_port)
    out = frames(collectors.messages(lines, 1000), publisher.frame)
    times = -(-2_000_000 // len(lines))
    before = site.counters()["ccstore_stored_samples"]
    begin = time.monotonic()
    for _ in range(times):
        for one in out:
            publisher.send(one)
    publisher.flush()
    took = time.monotonic() - begin
    found = until_stored(site, before + times * len(lines)) - before
    missing = times * len(lines) - found
    print(f"burst of {times * len(lines):,} lines in {took:.2f} s: {missing:,} lost")


if __name__ == "__main__":
    main()
