"""Memory of n series with m samples: resident memory of a process of its own, and what the store counts.

`python -m benchmarks.store_memory`: values are those of benchmarks/_values.py, the clock follows the samples,
and housekeeping runs once a step; the same with `pack_after` 0, which keeps all pages plain. The limit is
1.2 x 4 bytes a sample + 300 bytes a series.
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks._values import Values
from ccstore import Metric, MetricStore, StoreOptions

START = 1700000000
HOSTS = 100
SERIES = {1440: 40_000}
"""By number of samples; else 200,000. What a process needs once should not count much."""


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def one(samples: int, pack_after: float) -> None:
    now = [float(START)]
    metrics = {"c": [Metric("m", 60, "sum", "hwthread")]}
    options = StoreOptions(retention=30 * 86400, pack_after=pack_after)
    store = MetricStore(metrics, options, lambda: now[0])
    series = SERIES.get(samples, 200_000)
    keys = [f"m,hostname=h{i % HOSTS},type=hwthread,type-id={i // HOSTS} value=" for i in range(series)]
    source = Values(series)
    # The buffers of the writer and of this program are touched before the first look.
    texts = source.step()
    store.write(b"x" * 2_000_000, "c")
    before = resident()
    for step in range(samples):
        now[0] = START + 60.0 * step
        at = f" {START + 60 * step}"
        for begin in range(0, series, 10_000):
            part = slice(begin, begin + 10_000)
            lines = [key + text + at for key, text in zip(keys[part], texts[part], strict=True)]
            store.write("\n".join(lines).encode(), "c")
        store.housekeeping()
        texts = source.step()
    measured = resident() - before
    counted = store.counters()["memory_bytes"]
    assert isinstance(counted, int)
    limit = 1.2 * 4 * series * samples + 300 * series
    print(
        f"{'packed' if pack_after else 'plain':8}{samples:7}{series:9}{measured / series:14.0f}"
        f"{counted / series:12.0f}{limit / series:10.0f}{measured / series / samples:14.2f}"
        f"{counted / series / samples:12.2f}{measured / limit:12.2f}"
    )


def main() -> None:
    if len(sys.argv) > 1:
        one(int(sys.argv[1]), float(sys.argv[2]))
        return
    print(f"{'':15}{'':9}{'bytes a series':>26}{'':10}{'bytes a sample':>26}")
    print(
        f"{'':8}{'samples':>7}{'series':>9}{'resident':>14}{'counted':>12}{'limit':>10}"
        f"{'resident':>14}{'counted':>12}{'of limit':>12}"
    )
    for pack_after in (0, 600):
        for samples in (1, 9, 20, 33, 60, 240, 1440):
            sys.stdout.flush()
            command = [sys.executable, "-m", "benchmarks.store_memory", str(samples), str(pack_after)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
