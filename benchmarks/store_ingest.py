"""Parse and store lines in memory, in stable and in shuffled order, against a plain Python parser.

`python -m benchmarks.store_ingest`: 200 hosts x (20 node metrics + 72 hwthreads x 4), messages of 1000 lines.
"""

from __future__ import annotations

import random
import statistics
import time
from collections import defaultdict

from ccstore import Metric, MetricStore, StoreOptions

START = 1700000000
NODE = [f"node_metric_{i}" for i in range(20)]
THREAD = [f"thread_metric_{i}" for i in range(4)]
MESSAGE = 1000


def lines(step: int, hosts: int = 200) -> list[bytes]:
    """One flush of all hosts in the order a collector sends it."""
    at = START + 60 * step
    source = random.Random(step)
    out = []
    for host in range(hosts):
        name = f"cluster=bench,hostname=node{host:04d}"
        out += [f"{m},{name},type=node value={source.uniform(0, 100):.4f} {at}".encode() for m in NODE]
        out += [
            f"{m},{name},type=hwthread,type-id={t} value={source.uniform(0, 1e7):.6g} {at}".encode()
            for t in range(72)
            for m in THREAD
        ]
    return out


def messages(flush: list[bytes]) -> list[bytes]:
    return [b"\n".join(flush[i : i + MESSAGE]) for i in range(0, len(flush), MESSAGE)]


def baseline(payloads: list[bytes]) -> float:
    """Lines per second of a dictionary of lists filled by splitting: no validation at all."""
    store: dict[bytes, list[tuple[int, float]]] = defaultdict(list)
    count = 0
    begin = time.process_time()
    for payload in payloads:
        for line in payload.split(b"\n"):
            key, value, at = line.split(b" ")
            store[key].append((int(at), float(value[6:])))
            count += 1
    return count / (time.process_time() - begin)


def measured(flushes: list[list[bytes]]) -> tuple[float, float]:
    """Median lines per CPU second of the flushes after the first, and of the first, which creates all
    series."""
    metrics = [Metric(m, 60) for m in NODE] + [Metric(m, 60, "sum", "hwthread") for m in THREAD]
    store = MetricStore({"bench": metrics}, StoreOptions(), clock=lambda: START + 3600.0)
    rates = []
    for flush in flushes:
        payloads = messages(flush)
        begin = time.process_time()
        for payload in payloads:
            store.write(payload)
        rates.append(len(flush) / (time.process_time() - begin))
    assert store.counters()["stored"] == sum(map(len, flushes))
    return statistics.median(rates[1:]), rates[0]


def main() -> None:
    stable = [lines(step) for step in range(8)]
    shuffled = []
    for step, flush in enumerate(stable):
        flush = flush.copy()
        random.Random(step).shuffle(flush)
        shuffled.append(flush)
    plain = baseline(messages(stable[0]) + messages(stable[1]))
    print(f"{len(stable[0])} series, {sum(map(len, stable[0])) / len(stable[0]):.0f} bytes a line")
    print(f"{'':28}{'lines/s':>12}{'ratio':>8}{'target':>12}")
    print(f"{'plain Python, no checks':28}{plain:12,.0f}{1.0:8.1f}")
    for name, flushes, target in (("stable order", stable, 10e6), ("shuffled", shuffled, 4e6)):
        rate, first = measured(flushes)
        print(f"{name:28}{rate:12,.0f}{rate / plain:8.1f}{target:12,.0f}")
        print(f"{name + ', new series':28}{first:12,.0f}{first / plain:8.1f}")


if __name__ == "__main__":
    main()
