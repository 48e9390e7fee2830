"""Measures this machine and turns its counters into line protocol, as a node's collector does."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from ccserver.demo.clusters import LOCAL
from ccserver.demo.lines import SeriesKey, line


@dataclass(frozen=True, slots=True)
class _Counters:
    time: float
    busy: list[float]  # user seconds per hwthread
    network: int  # bytes
    read: int
    written: int


class Collector:
    """Rates are differences to the call before, so the first call only gives levels."""

    def __init__(self, hostname: str, threads: Sequence[int]) -> None:
        self._hostname = hostname
        self._threads = list(threads)
        self._before = _read()

    def lines(self, now: int) -> bytes:
        """One flush of all metrics, stamped with `now` in seconds."""
        before, counters = self._before, _read()
        self._before = counters
        seconds = max(counters.time - before.time, 1e-3)
        memory = psutil.virtual_memory()
        samples = [
            (SeriesKey("cpu_load"), os.getloadavg()[0]),
            (SeriesKey("disk_read_bw"), max(0, counters.read - before.read) / seconds / 1e6),
            (SeriesKey("disk_write_bw"), max(0, counters.written - before.written) / seconds / 1e6),
            (SeriesKey("mem_used"), (memory.total - memory.available) / 1e9),
            (SeriesKey("net_bw"), max(0, counters.network - before.network) / seconds / 1e6),
        ]
        for thread, new, old in zip(self._threads, counters.busy, before.busy, strict=False):
            share = min(100.0, max(0.0, (new - old) / seconds * 100.0))
            samples.append((SeriesKey("cpu_user", "hwthread", str(thread)), share))
        lines = [line(key, LOCAL, self._hostname, value, now) for key, value in samples]
        return b"\n".join([*lines, b""])


def _read() -> _Counters:
    network = psutil.net_io_counters(pernic=True)
    disk = psutil.disk_io_counters()
    return _Counters(
        time=time.monotonic(),
        busy=[each.user + getattr(each, "nice", 0.0) for each in psutil.cpu_times(percpu=True)],
        network=sum(each.bytes_sent + each.bytes_recv for name, each in network.items() if name != "lo"),
        read=disk.read_bytes if disk else 0,
        written=disk.write_bytes if disk else 0,
    )
