"""Lines into the store, in the orders and sizes in which they come, with and without journal.

`python -m benchmarks.store_ingest [hosts]`: hosts of 310 series each (benchmarks/_collectors.py). Rates are
lines per second of processor time of all threads of the process, medians of several rounds; the journal
writes and syncs in its own rhythm, as in a server, and once more at the end of a round. "thread" is the part
that the journal's own thread takes, what the journal costs the median of the rounds with it over the ones
without, which take turns. Baselines of the same call: a plain Python implementation
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
from typing import NamedTuple

import numpy as np

from benchmarks import _collectors as collectors
from ccstore import MetricStore, StoreOptions

FLUSHES = 9
ROUNDS = 5
_AT_LEAST = 4_000_000  # lines of a round
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
    store = MetricStore(metrics, StoreOptions(directory=folder), clock=lambda: collectors.START + 86400.0)
    store.restore()
    return store


class Rate(NamedTuple):
    """Lines per second of processor time: the first flush, and those after it; share of other threads."""

    first: float
    rate: float
    others: float


def measured(flushes: Sequence[collectors.Replayed], journal: bool) -> Rate:
    """Flushes over and over, each time later."""
    lines = sum(flush.lines for flush in flushes)
    with tempfile.TemporaryDirectory() as name:
        store = opened(Path(name) if journal else None)
        first = own = aside = begin_all = 0.0
        times = max(-(-_AT_LEAST // lines), 2)
        for again in range(times):
            for flush in flushes:
                begin = time.thread_time()
                flush.move(again * FLUSHES * collectors.STEP)
                payloads = list(flush.payloads())
                made = time.thread_time()
                for payload in payloads:
                    store.write(payload)
                own += time.thread_time() - made
                aside += made - begin
                first = first or flush.lines / own
            if not again:  # everything is known from here on
                own, aside, begin_all = 0.0, 0.0, time.process_time()
        begin = time.thread_time()
        if journal:
            store.sync()
        own += time.thread_time() - begin
        every = time.process_time() - begin_all - aside
        counters = store.counters()
        assert counters["stored"] == counters["lines"] == lines * times
        assert counters.get("journal_lost_samples", 0) == 0
        store._closed = True  # no last checkpoint: it is not what is measured
        return Rate(first, lines * (times - 1) / every, (every - own) / every)


def median_of(rates: Sequence[Rate]) -> Rate:
    return Rate(*(statistics.median(column) for column in zip(*rates, strict=True)))


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
            flushes = [collectors.Replayed(collectors.messages(one, each)) for one in ordered]
            rounds = [(measured(flushes, False), measured(flushes, True)) for _ in range(ROUNDS)]
            without, with_journal = (median_of(column) for column in zip(*rounds, strict=True))
            cost = statistics.median(one.rate / other.rate - 1 for one, other in rounds)
            for journal, found in ((False, without), (True, with_journal)):
                share = f"{found.others:7.1%}" if journal else ""
                goal = TARGETS.get(name, 0.0) if each == 1000 and not journal else 0.0
                target = f"{goal:13,.0f}" if goal else ""
                costs = f"   journal costs {cost:.1%}" if journal else ""
                print(
                    f"{name:28}{each:12}{'on' if journal else 'off':>9}{found.rate:13,.0f}"
                    f"{found.rate / plain:7.1f}{share:>8}{target:>13}{costs}",
                    flush=True,
                )
                if name == "stable" and each == 1000 and not journal:
                    rate = found.first
                    print(f"{'  first flush, all new':28}{each:12}{'':9}{rate:13,.0f}{rate / plain:7.1f}")


if __name__ == "__main__":
    main()
