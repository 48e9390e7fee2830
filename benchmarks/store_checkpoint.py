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
from pathlib import Path

import numpy as np

from ccstore import Metric, MetricStore, StoreOptions

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


def main() -> None:
    series, samples = (int(one) for one in (sys.argv[1:] or ("10000", "480")))
    metrics = {"c": [Metric("m", 60, "sum", "hwthread")]}
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        store = MetricStore(
            metrics, StoreOptions(directory=folder / "store", retention=14 * 86400), lambda: NOW
        )
        store.restore()
        filled(store, series, samples)
        numbers = np.random.default_rng(2).random((series, samples), np.float32)
        with Stalls(store, START + 60 * samples) as quiet:
            time.sleep(1)
        saves, ours, size = [], [], 0
        for _ in range(3):
            saves.append(plain_save(folder, numbers))
            report = store.checkpoint()
            ours.append(report.seconds)
            size = report.size
        with Stalls(store, START + 60 * samples) as busy:
            for _ in range(3):
                store.checkpoint()
        with Stalls(store, START + 60 * samples) as freeing:
            begin = time.perf_counter()
            while time.perf_counter() < begin + 1:
                store.free([["c"]], START)
        loads, restores = [], []
        for _ in range(3):
            loads.append(plain_load(folder))
            again = MetricStore(
                metrics, StoreOptions(directory=folder / "store", retention=14 * 86400), lambda: NOW
            )
            restores.append(again.restore())
        mine, plain = min(ours), min(saves)
        print(f"{series} series x {samples} samples = {series * samples / 1e6:.1f} million")
        print(
            f"checkpoint {mine:.3f} s, {size / 1e6:.1f} MB; numpy.save {plain:.3f} s, "
            f"{numbers.nbytes / 1e6:.1f} MB; ratio {mine / plain:.1f} in time, "
            f"{size / numbers.nbytes:.2f} in size"
        )
        best = min(one.seconds for one in restores)
        print(
            f"restore    {best:.3f} s, {restores[0].samples / best / 1e6:.1f} million samples/s; "
            f"numpy.load {min(loads):.3f} s; ratio {best / min(loads):.1f}"
        )
        print(f"writer, nothing else going on   {quiet}")
        print(f"writer during checkpoints       {busy}")
        print(f"writer during free              {freeing}")
        with Stalls(store, START + 60 * samples) as dropping:
            begin = time.perf_counter()
            store._retention.drop_before(START + 60 * (samples + 10**6))
            store._retention.recycle()
            took = time.perf_counter() - begin
        print(f"writer while all series are dropped in {took:.2f} s  {dropping}")


if __name__ == "__main__":
    main()
