"""Checkpoint and restore of a few million samples against numpy.save of the same numbers, in the same run.

`python -m benchmarks.store_checkpoint [series] [samples]`: times, size, and how long a
writer waits meanwhile.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ccstore import CheckpointReport, Metric, MetricStore, StoreOptions

START = 1700000000
HOSTS = 100
NOW = START + 7 * 86400.0


def filled(store: MetricStore, series: int, samples: int) -> None:
    """`series` series of `samples` samples, values that repeat as little as real ones do."""
    source = np.random.default_rng(1)
    level = source.uniform(0, 100, series)
    keys = [f"m,hostname=h{i % HOSTS},type=hwthread,type-id={i // HOSTS} value=" for i in range(series)]
    for step in range(samples):
        level = np.maximum(0, level + source.normal(0, 1, series))
        at = START + 60 * step
        text = "\n".join([f"{key}{value:.2f} {at}" for key, value in zip(keys, level.tolist(), strict=True)])
        store.write(text.encode(), "c")


class Stalls:
    """A writer of one message of ten lines after the other; notes how long each took."""

    def __init__(self, store: MetricStore, at: int) -> None:
        self._store = store
        self._at = at
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.milliseconds: list[float] = []

    def _write(self) -> None:
        message = "\n".join(f"m,hostname=h{i},type=hwthread,type-id=0 value=1 {self._at}" for i in range(10))
        payload = message.encode()
        while not self._stop.is_set():
            begin = time.perf_counter()
            self._store.write(payload, "c")
            self.milliseconds.append(1000 * (time.perf_counter() - begin))
            time.sleep(0.0005)

    def __enter__(self) -> Stalls:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __str__(self) -> str:
        p50, p99, worst = np.percentile(self.milliseconds, [50, 99, 100])
        count = len(self.milliseconds)
        return f"{count} messages: median {p50:.3f} ms, p99 {p99:.3f} ms, longest {worst:.2f} ms"


def plain_save(folder: Path, numbers: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    begin = time.perf_counter()
    with open(folder / "plain.npy", "wb") as file:
        np.save(file, numbers)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - begin


def plain_load(folder: Path) -> float:
    begin = time.perf_counter()
    np.load(folder / "plain.npy")
    return time.perf_counter() - begin


def timed(work: Callable[[], CheckpointReport]) -> tuple[CheckpointReport, float]:
    """What it says, and the processor time of the whole process."""
    begin = time.process_time()
    report = work()
    return report, time.process_time() - begin


def full(store: MetricStore) -> Callable[[], CheckpointReport]:
    assert store._checkpoints is not None
    store._checkpoints.go_on_from([])
    return store.checkpoint


def median(numbers: list[float]) -> float:
    return float(np.median(numbers))


def main() -> None:
    series, samples = (int(one) for one in (sys.argv[1:] or ("20000", "1440")))
    metrics = {"c": [Metric("m", 60, "sum", "hwthread")]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = StoreOptions(directory=folder / "store", retention=14 * 86400)
        store = MetricStore(metrics, options, lambda: NOW)
        store.restore()
        filled(store, series, samples)
        numbers = np.random.default_rng(2).random((series, samples), np.float32)
        with Stalls(store, START + 60 * samples) as quiet:
            time.sleep(1)
        saves, fulls, increments, processors = [], [], [], []
        sizes = [0, 0]
        for _ in range(5):
            saves.append(plain_save(folder, numbers))
            report, processor = timed(full(store))
            fulls.append(report.seconds)
            processors.append(processor)
            sizes[0] = report.size
            report, _ = timed(store.checkpoint)
            increments.append(report.seconds)
            sizes[1] = report.size
        with Stalls(store, START + 60 * samples) as busy:
            for _ in range(5):
                full(store)()
        with Stalls(store, START + 60 * samples) as busy_saving:
            for _ in range(5):
                plain_save(folder, numbers)
        with Stalls(store, START + 60 * samples) as freeing:
            begin = time.perf_counter()
            while time.perf_counter() < begin + 1:
                store.free([["c"]], START)
        with Stalls(store, START + 60 * samples) as dropping:
            begin = time.perf_counter()
            store._retention.drop_before(START + 60 * (samples + 10**6))
            store._retention.recycle()
            took = time.perf_counter() - begin
        # As after a crash: what the disk has is all there is.
        assert store._claim is not None
        store._claim.close()
        loads, restores, processors_of_restore = [], [], []
        for _ in range(5):
            loads.append(plain_load(folder))
            again = MetricStore(metrics, options, lambda: NOW)
            processor = time.process_time()
            restores.append(again.restore())
            processors_of_restore.append(time.process_time() - processor)
            assert again._claim is not None
            again._claim.close()
            del again
        mine, plain = median(fulls), median(saves)
        print(f"{series} series x {samples} samples = {series * samples / 1e6:.1f} million; medians of 5")
        print(
            f"full checkpoint {mine:.3f} s ({median(processors):.3f} s of processors), "
            f"{sizes[0] / 1e6:.1f} MB; numpy.save {plain:.3f} s, {numbers.nbytes / 1e6:.1f} MB; "
            f"ratio {mine / plain:.1f} in time, {sizes[0] / numbers.nbytes:.2f} in size"
        )
        print(f"increment       {median(increments):.3f} s, {sizes[1] / 1e6:.1f} MB")
        best = median([one.seconds for one in restores])
        print(
            f"restore         {best:.3f} s ({median(processors_of_restore):.3f} s of processors), "
            f"{restores[0].samples / best / 1e6:.1f} million samples/s; "
            f"numpy.load {median(loads):.3f} s; ratio {best / median(loads):.1f}"
        )
        print(f"writer, nothing else going on   {quiet}")
        print(f"writer during checkpoints       {busy}")
        print(f"writer during numpy.save        {busy_saving}")
        print(f"writer during free              {freeing}")
        print(f"writer while all series are dropped in {took:.2f} s  {dropping}")


if __name__ == "__main__":
    main()
