"""Lines into the store, in the orders and sizes in which they come, with and without journal.

`python -m benchmarks.store_ingest [hosts]`: hosts of 310 series each (benchmarks/_collectors.py). Rates are
lines per second of processor time of all threads of the process, medians of several flushes; "thread" is
the part
of it that the journal's own thread takes. Baselines of the same call: a plain Python implementation
without any check, copying the same bytes, and finding their newlines.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import _collectors as collectors
from ccstore import MetricStore, StoreOptions

FLUSHES = 9
TARGETS = {"stable": 10e6, "shuffled in host": 4e6}


def plain_python(payloads: Sequence[bytes]) -> float:
    """Lines a second of a dictionary of lists filled by splitting: no validation at all."""
    store: dict[bytes, list[tuple[int, float]]] = defaultdict(list)
    count = 0
    begin = time.thread_time()
    for payload in payloads:
        for line in payload.splitlines():
            key, value, at = line.split(b" ")
            store[key].append((int(at), float(value[6:].rstrip(b"iu"))))
            count += 1
    return count / (time.thread_time() - begin)


def machine_limits(payloads: Sequence[bytes]) -> tuple[float, float]:
    """Lines a second that copying alone, and finding newlines alone, would allow."""
    arrays = [np.frombuffer(payload, np.uint8) for payload in payloads]
    target = np.empty(max(map(len, arrays)), np.uint8)
    lines = sum(payload.count(b"\n") for payload in payloads)
    copies, scans = [], []
    for _ in range(5):
        begin = time.thread_time()
        for array in arrays:
            target[: len(array)] = array
        copies.append(time.thread_time() - begin)
        begin = time.thread_time()
        for payload in payloads:
            payload.count(b"\n")
        scans.append(time.thread_time() - begin)
    return lines / statistics.median(copies), lines / statistics.median(scans)


def opened(folder: Path | None) -> MetricStore:
    metrics = {collectors.CLUSTER: collectors.metrics()}
    store = MetricStore(metrics, StoreOptions(directory=folder), clock=lambda: collectors.START + 3600.0)
    store.restore()
    return store


def measured(flushes: Sequence[Sequence[bytes]], journal: bool) -> tuple[float, float, float]:
    """Lines per second of processor time: all flushes but the first, the first; share of other threads."""
    with tempfile.TemporaryDirectory() as name:
        store = opened(Path(name) if journal else None)
        rates, others = [], []
        for payloads in flushes:
            lines = sum(payload.count(b"\n") for payload in payloads)
            own, all_threads = time.thread_time(), time.process_time()
            for payload in payloads:
                store.write(payload)
            if journal:
                store.sync()
            own, all_threads = time.thread_time() - own, time.process_time() - all_threads
            rates.append(lines / all_threads)
            others.append((all_threads - own) / all_threads)
        counters = store.counters()
        assert counters["stored"] == counters["lines"]
        assert counters.get("journal_lost_samples", 0) == 0
        store._closed = True  # no last checkpoint: it is not what is measured
        return statistics.median(rates[1:]), rates[0], statistics.median(others[1:])


def main() -> None:
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    cluster = collectors.Site(hosts)
    made = [cluster.flush(step) for step in range(FLUSHES)]
    lines = collectors.stable(made[0], random.Random(0))
    size = sum(map(len, lines)) / len(lines) + 1
    payloads = collectors.messages(lines, 1000)
    plain = plain_python(payloads)
    copy, scan = machine_limits(payloads)
    print(f"{len(lines)} series of {hosts} hosts, {size:.0f} bytes a line")
    print(f"{'':28}{'lines each':>12}{'journal':>9}{'lines/s':>13}{'ratio':>7}{'thread':>8}{'target':>13}")
    for name, rate in (("plain Python, no checks", plain), ("copying", copy), ("finding newlines", scan)):
        print(f"{name:28}{1000:12}{'':9}{rate:13,.0f}{rate / plain:7.1f}")
    for name, order in collectors.ORDERS.items():
        source = random.Random(1)
        ordered = [order(flush, source) for flush in made]
        for each in (1000, 20):
            flushes = [collectors.messages(one, each) for one in ordered]
            without = 0.0
            for journal in (False, True):
                rate, first, others = measured(flushes, journal)
                share = f"{others:7.1%}" if journal else ""
                goal = TARGETS.get(name, 0.0) if each == 1000 and not journal else 0.0
                target = f"{goal:13,.0f}" if goal else ""
                cost = f"   journal costs {without / rate - 1:.1%}" if journal else ""
                without = without or rate
                print(
                    f"{name:28}{each:12}{'on' if journal else 'off':>9}{rate:13,.0f}{rate / plain:7.1f}"
                    f"{share:>8}{target:>13}{cost}",
                    flush=True,
                )
                if name == "stable" and each == 1000:
                    print(f"{'  first flush, all new':28}{each:12}{'':9}{first:13,.0f}{first / plain:7.1f}")


if __name__ == "__main__":
    main()
