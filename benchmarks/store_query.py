"""Reads of the store against plain numpy on one array per series, measured in the same run.

`python -m benchmarks.store_query`: (a) one job, 64 hosts x 10 metrics x 24 h at 60 s, as arrays, as JSON and
over HTTP from the stand-alone server; (b) 1000 hosts x 3 metrics, the last five minutes; (c) 64 hosts with 72
hwthreads each summed to node, 240 steps; the time of a small query while another thread stores or saves. All
times are of a processor, medians, except the last two rows: these are what a caller waits.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import orjson

from ccserver.rest.metricstore import _answered, _Body, _Row
from ccstore import Metric, MetricStore, Query, StoreOptions

START = 1700000000
STEPS = 1440
HOSTS = 64


def median_ms(call: Callable[[], object], rounds: int = 11) -> float:
    times = []
    call()
    for _ in range(rounds):
        begin = time.thread_time()
        call()
        times.append(time.thread_time() - begin)
    return 1000 * statistics.median(times)


def show(name: str, ours: float, plain: float = 0.0) -> None:
    beside = f"{plain:9.2f} ms {plain / ours:7.2f}" if plain else ""
    print(f"{name:60}{ours:9.2f} ms {beside}", flush=True)


def job_lines(step: int, begin: int) -> list[str]:
    at = begin + 60 * step
    return [
        f"m{i},hostname=h{h} value={(step * 7 + h * 13 + i) % 97}.{(step * 31 + h) % 89:02d} {at}"
        for h in range(HOSTS)
        for i in range(10)
    ]


def filled(directory: Path) -> MetricStore:
    now = START + 60.0 * STEPS
    metrics = [*(Metric(f"m{i}", 60) for i in range(10)), Metric("t", 60, "sum", "hwthread")]
    metrics += [Metric(f"s{i}", 60) for i in range(3)]
    store = MetricStore({"c": metrics}, StoreOptions(directory=directory, journal=False), clock=lambda: now)
    store.restore()
    for step in range(STEPS):
        at = START + 60 * step
        lines = job_lines(step, START)
        if step >= STEPS - 240:
            lines += [
                f"t,hostname=h{h},type=hwthread,type-id={t} value={t} {at}"
                for h in range(HOSTS)
                for t in range(72)
            ]
        if step >= STEPS - 5:
            lines += [f"s{i},hostname=x{h} value=1 {at}" for h in range(1000) for i in range(3)]
        store.write("\n".join(lines).encode(), "c")
    return store


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = filled(Path(folder))
        print(f"{'':60}{'store':>12}{'numpy':>13}{'ratio':>8}")
        in_process(store)
        beside(store)
        store.close()
    over_http()


def in_process(store: MetricStore) -> None:
    numbers = np.random.default_rng(0)
    arrays = [numbers.random(STEPS, np.float32) for i in range(640)]
    job = [Query(f"m{i}", f"h{h}") for h in range(HOSTS) for i in range(10)]
    end = START + 60 * STEPS
    show(
        "(a) 640 series of 1440 points, with statistics",
        median_ms(lambda: store.query("c", START, end, job)),
        median_ms(lambda: [(a.copy(), np.nanmean(a), np.nanmin(a), np.nanmax(a)) for a in arrays]),
    )
    show(
        "    statistics of the same, no data",
        median_ms(lambda: store.query("c", START, end, job, with_data=False)),
        median_ms(lambda: [(np.nanmean(a), np.nanmin(a), np.nanmax(a)) for a in arrays]),
    )
    body = _Body(cluster="c", from_=START, to=end)
    body.queries = [_Row(metric=query.metric, host=query.host) for query in job]
    show(
        "    the same as JSON text, with data (beside: orjson, text only)",
        median_ms(lambda: _answered(store, body)),
        median_ms(lambda: [orjson.dumps(a, option=orjson.OPT_SERIALIZE_NUMPY) for a in arrays]),
    )
    show(
        "(b) 1000 hosts x 3 metrics, last 5 minutes",
        median_ms(lambda: store.query("c", end - 300, end, [], for_all_nodes=["s0", "s1", "s2"])),
        median_ms(lambda: [arrays[i % 640][-5:].copy() for i in range(3000)]),
    )
    names = [f"x{h}" for h in range(1000)]
    show(
        "    newest values of the same",
        median_ms(lambda: store.last_values("c", ["s0", "s1", "s2"], names)),
        median_ms(lambda: [float(arrays[i % 640][-1]) for i in range(3000)]),
    )
    threads = numbers.random((HOSTS, 72, 240), np.float32)
    summed = [Query("t", f"h{h}") for h in range(HOSTS)]
    show(
        "(c) 64 hosts x 72 hwthreads summed, 240 steps",
        median_ms(lambda: store.query("c", end - 240 * 60, end, summed)),
        median_ms(lambda: threads.sum(axis=1, dtype=np.float64)),
    )


def beside(store: MetricStore) -> None:
    """A small query while another thread works without a pause."""
    message = "\n".join(job_lines(STEPS - 1, START)).encode()
    for name, work in (
        ("nothing else", None),
        ("full ingest", lambda: store.write(message, "c")),
        ("checkpoints", store.checkpoint),
    ):
        waits = []
        with _going_on(work):
            for _ in range(400):
                begin = time.perf_counter()
                store.query("c", START + 60 * (STEPS - 60), START + 60 * STEPS, [Query("m1", "h1")])
                waits.append(1000 * (time.perf_counter() - begin))
                time.sleep(0.001)
        p50, p99 = np.percentile(waits, [50, 99])
        print(f"{'small query during ' + name + ': p50, p99':60}{p50:9.2f} ms {p99:9.2f} ms", flush=True)


@contextmanager
def _going_on(work: Callable[[], object] | None) -> Iterator[None]:
    stop = threading.Event()

    def run() -> None:
        while work is not None and not stop.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def over_http() -> None:
    """Processor time of the stand-alone server per request."""
    begin = int(time.time()) // 60 * 60 - 60 * STEPS
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = {
            "main": {"addr": f"127.0.0.1:{port}"},
            "metric-store": {"retention-in-memory": "48h", "memory-cap": 2, "journal": False},
            "metrics": {f"m{i}": {"frequency": 60, "aggregation": "avg"} for i in range(10)},
        }
        (Path(folder) / "config.json").write_text(json.dumps(config))
        command = [sys.executable, "-m", "ccserver.standalone", "-loglevel", "err"]
        with subprocess.Popen(command, cwd=folder) as server:
            try:
                client = _connected(port)
                for step in range(STEPS):
                    _ask(client, "/api/write?cluster=c", "\n".join(job_lines(step, begin)))
                queries = [{"metric": f"m{i}", "host": f"h{h}"} for h in range(HOSTS) for i in range(10)]
                body = {"cluster": "c", "from": begin, "to": begin + 60 * STEPS, "queries": queries}
                for name, more in (("as JSON over HTTP", {}), ("statistics over HTTP", {"with-data": False})):
                    text = json.dumps(body | more)
                    show(f"(a) {name}", _per_request(server.pid, client, text))
            finally:
                server.terminate()


def _per_request(pid: int, client: http.client.HTTPConnection, text: str, requests: int = 20) -> float:
    costs = []
    for _ in range(5):
        begin = _processor_time(pid)
        for _ in range(requests):
            _ask(client, "/api/query", text)
        costs.append(1000 * (_processor_time(pid) - begin) / requests)
    return statistics.median(costs)


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _connected(port: int) -> http.client.HTTPConnection:
    for _ in range(600):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            client.request("GET", "/readyz")
            answer = client.getresponse()
            answer.read()
            if answer.status == 200:
                return client
        except OSError:
            client.close()
        time.sleep(0.1)
    raise SystemExit("the server does not answer")


def _ask(client: http.client.HTTPConnection, path: str, body: str) -> bytes:
    client.request("POST", path, body)
    answer = client.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {data[:200]!r}")
    return data


if __name__ == "__main__":
    main()
