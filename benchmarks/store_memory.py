"""Memory of n series with m samples: resident memory of a process of its own, and what the store counts.

`python -m benchmarks.store_memory`: the limit is 1.2 x 4 bytes a sample + 300 bytes a series.
"""

from __future__ import annotations

import subprocess
import sys

from ccstore import Metric, MetricStore, StoreOptions

START = 1700000000
SERIES = 100_000
HOSTS = 100


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def one(samples: int) -> None:
    metrics = {"c": [Metric("m", 60, "sum", "hwthread")]}
    store = MetricStore(metrics, StoreOptions(retention=30 * 86400), lambda: START + 86400.0 * 7)
    keys = [f"m,hostname=h{i % HOSTS},type=hwthread,type-id={i // HOSTS} value=1 " for i in range(SERIES)]
    # The buffers of the writer and of this program are touched before the first look.
    store.write(b"x" * 2_000_000, "c")
    chunks = [keys[i : i + 10_000] for i in range(0, SERIES, 10_000)]
    before = resident()
    for step in range(samples):
        at = str(START + 60 * step)
        for chunk in chunks:
            store.write("\n".join([key + at for key in chunk]).encode(), "c")
    measured = resident() - before
    counted = store.counters()["memory_bytes"]
    assert isinstance(counted, int)
    limit = 1.2 * 4 * SERIES * samples + 300 * SERIES
    print(
        f"{samples:7}{measured / SERIES:14.0f}{counted / SERIES:12.0f}{limit / SERIES:10.0f}"
        f"{measured / SERIES / samples:16.2f}{measured / limit:12.2f}"
    )


def main() -> None:
    if len(sys.argv) > 1:
        one(int(sys.argv[1]))
        return
    print(f"{SERIES} series; bytes a series, unless it says otherwise")
    print(f"{'samples':>7}{'resident':>14}{'counted':>12}{'limit':>10}{'bytes/sample':>16}{'of limit':>12}")
    for samples in (1, 20, 60, 240, 480, 1440):
        sys.stdout.flush()
        subprocess.run([sys.executable, "-m", "benchmarks.store_memory", str(samples)], check=True)


if __name__ == "__main__":
    main()
