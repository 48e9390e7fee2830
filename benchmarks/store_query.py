"""Reads of the store against plain numpy on one array per series, measured in the same run.

`python -m benchmarks.store_query`: (a) one job, 64 hosts x 10 metrics x 24 h at 60 s; (b) newest values of
1000 hosts x 3
metrics; (c) 64 hosts with 72 hwthreads each summed to node, 240 steps.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from ccstore import Metric, MetricStore, Query, StoreOptions

START = 1700000000
STEPS = 1440


def median_ms(call: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


def show(name: str, ours: float, plain: float) -> None:
    print(f"{name:52}{ours:9.2f} ms {plain:9.2f} ms {plain / ours:7.2f}")


def main() -> None:
    node = [Metric(f"m{i}", 60) for i in range(10)]
    now = START + 60.0 * STEPS
    store = MetricStore({"c": [*node, Metric("t", 60, "sum", "hwthread")]}, StoreOptions(), clock=lambda: now)
    for step in range(STEPS):
        at = START + 60 * step
        lines = [f"m{i},hostname=h{h} value={step % 97}.5 {at}" for h in range(64) for i in range(10)]
        if step >= STEPS - 240:
            lines += [
                f"t,hostname=h{h},type=hwthread,type-id={t} value={t} {at}"
                for h in range(64)
                for t in range(72)
            ]
        if step >= STEPS - 5:
            lines += [f"m{i},hostname=x{h} value=1 {at}" for h in range(1000) for i in range(3)]
        store.write("\n".join(lines).encode(), "c")
    print(f"{'':52}{'store':>12}{'numpy':>13}{'ratio':>8}")

    arrays = [np.random.default_rng(i).random(STEPS, np.float32) for i in range(640)]
    job = [Query(f"m{i}", f"h{h}") for h in range(64) for i in range(10)]
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
    names = [f"x{h}" for h in range(1000)]
    show(
        "(b) newest of 1000 hosts x 3 metrics",
        median_ms(lambda: store.last_values("c", ["m0", "m1", "m2"], names)),
        median_ms(lambda: [float(arrays[i % 640][-1]) for i in range(3000)]),
    )
    threads = np.random.default_rng(0).random((64, 72, 240), np.float32)
    summed = [Query("t", f"h{h}") for h in range(64)]
    show(
        "(c) 64 hosts x 72 hwthreads summed, 240 steps",
        median_ms(lambda: store.query("c", end - 240 * 60, end, summed)),
        median_ms(lambda: threads.sum(axis=1, dtype=np.float64)),
    )


if __name__ == "__main__":
    main()
