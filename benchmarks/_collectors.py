"""What collectors of a cluster send, as far as a metric store can tell the difference.

One flush of a host: its metrics in the collector's order, tags sorted by key, integers with `i` and `u`,
floats in shortest form with exponents and up to 17 digits, extra tags (`device`, `stype`, `unit`) before
`type`, some metrics per socket, hwthread and accelerator; every host has a phase of its own and jitter, some
restart with another phase, and not every hwthread reports every metric (about 86 bytes a line).
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ccstore import Metric

START = 1700000000
STEP = 60
CLUSTER = "fritz"

_PLAIN = [
    "cpu_load",
    "cpu_user",
    "cpu_system",
    "cpu_idle",
    "cpu_iowait",
    "mem_used",
    "mem_cached",
    "mem_power",
    "proc_run",
    "proc_total",
]
_DEVICES = {"net_bytes_in": "eth0", "net_bytes_out": "eth0", "ib_recv": "mlx5_0", "ib_xmit": "mlx5_0"}
_FILES = ["nfs4_read", "nfs4_write", "nfs4_total", "lustre_open", "lustre_read_bytes", "lustre_write_bytes"]
_THREAD = ["flops_any", "ipc", "clock", "core_power"]
_SOCKET = ["mem_bw", "cpu_power"]
_ACCELERATOR = ["acc_utilization", "acc_mem_used", "acc_power"]

Flush = list[bytes]
Order = Callable[[Sequence[Flush], random.Random], list[bytes]]


def metrics(step: int = STEP) -> list[Metric]:
    """The metric table of the cluster."""
    return [
        *(Metric(name, step) for name in (*_PLAIN, *_DEVICES, *_FILES)),
        *(Metric(name, step, "sum", "hwthread") for name in _THREAD),
        *(Metric(name, step, "sum", "socket") for name in _SOCKET),
        *(Metric(name, step, "avg", "accelerator") for name in _ACCELERATOR),
    ]


def _value(kind: int, source: random.Random) -> str:
    """One number; a metric sticks to its kind. Of twelve three are integers, one is unsigned, three have
    short decimals, three exponents, two all the digits of a quotient."""
    if kind < 3:
        return f"{source.randrange(10 ** source.randrange(1, 8))}i"
    if kind < 4:
        return f"{source.randrange(10 ** source.randrange(4, 12))}u"
    if kind < 7:
        return repr(round(source.uniform(0, 5000), source.randrange(1, 4)))
    if kind < 10:
        digits = source.randrange(10**6)
        return f"{digits // 10**5}.{digits % 10**5:05d}e+{source.randrange(6, 12):02d}"
    return repr(source.uniform(0, 100))


class Host:
    """A node and its collector."""

    def __init__(self, number: int, threads: int, accelerators: int, step: int) -> None:
        self._source = random.Random(number)
        self._step = step
        self.phase = self._source.randrange(step)
        name = f"f{number:04d}"
        head = f"cluster={CLUSTER}"
        keys = [f"{m},{head},hostname={name},type=node" for m in _PLAIN]
        for m, device in _DEVICES.items():
            keys.append(f"{m},{head},device={device},hostname={name},type=node,unit=bytes/s")
        keys += [f"{m},{head},hostname={name},stype=filesystem,stype-id=/home,type=node" for m in _FILES]
        for thread in range(threads):
            for m in _THREAD:
                if self._source.random() < 0.97:  # a counter that this thread does not have
                    keys.append(f"{m},{head},hostname={name},type=hwthread,type-id={thread}")
        for socket in range(2):
            keys += [f"{m},{head},hostname={name},type=socket,type-id={socket},unit=W" for m in _SOCKET]
        for one in range(accelerators):
            where = f"type=accelerator,type-id=00000000:{0x49 + one:02X}:00.0"
            keys += [f"{m},{head},hostname={name},{where}" for m in _ACCELERATOR]
        self.keys = [(f"{key} value=", zlib.crc32(key.split(",")[0].encode()) % 12) for key in keys]

    def flush(self, step: int) -> Flush:
        """The lines of one interval."""
        source = self._source
        if source.random() < 0.001:
            self.phase = source.randrange(self._step)  # restarted
        jitter = min(self._step // 8, 1)
        at = START + self._step * step + self.phase + source.randint(-jitter, jitter)
        return [f"{key}{_value(kind, source)} {at}".encode() for key, kind in self.keys]


class Site:
    """Hosts of one cluster."""

    def __init__(self, hosts: int, threads: int = 72, accelerators: int = 2, step: int = STEP) -> None:
        self.hosts = [Host(number, threads, accelerators, step) for number in range(hosts)]

    def flush(self, step: int) -> list[Flush]:
        """The lines of one interval, by host."""
        return [host.flush(step) for host in self.hosts]


def stable(flushes: Sequence[Flush], _: random.Random) -> list[bytes]:
    return [line for flush in flushes for line in flush]


def some_missing(flushes: Sequence[Flush], source: random.Random) -> list[bytes]:
    """Every twentieth line is left out."""
    return [line for flush in flushes for line in flush if source.random() >= 0.05]


def shuffled_in_host(flushes: Sequence[Flush], source: random.Random) -> list[bytes]:
    return [line for flush in flushes for line in source.sample(flush, len(flush))]


def interleaved_hosts(flushes: Sequence[Flush], source: random.Random) -> list[bytes]:
    """Lines of eight hosts at a time arrive in turn, as they do through a tree of collectors."""
    lines = []
    for first in range(0, len(flushes), 8):
        waiting = [list(reversed(flush)) for flush in flushes[first : first + 8]]
        while waiting:
            one = source.choice(waiting)
            lines.append(one.pop())
            if not one:
                waiting.remove(one)
    return lines


def shuffled(flushes: Sequence[Flush], source: random.Random) -> list[bytes]:
    """No order at all, over all hosts: nobody sends that."""
    lines = stable(flushes, source)
    source.shuffle(lines)
    return lines


ORDERS: dict[str, Order] = {
    "stable": stable,
    "5 % missing": some_missing,
    "shuffled in host": shuffled_in_host,
    "interleaved hosts": interleaved_hosts,
    "shuffled over all": shuffled,
}


def messages(lines: Sequence[bytes], size: int) -> list[bytes]:
    """Messages of so many lines, the last one shorter."""
    return [b"\n".join(lines[i : i + size]) + b"\n" for i in range(0, len(lines), size)]


class Replayed:
    """Messages made once and sent again with other times: a sender that costs next to nothing."""

    def __init__(self, payloads: Sequence[bytes], frame: Callable[[bytes], bytes] = bytes) -> None:
        """Every line ends with a time of ten digits and LF; `frame` is put around each message."""
        framed = [frame(payload) for payload in payloads]
        self._text: NDArray[np.uint8] = np.frombuffer(bytearray(b"".join(framed)), np.uint8)
        ends = np.flatnonzero(self._text == 10)
        self._times = ends[self._text[ends - 1] != 13] - 10
        self._made = self._at(self._times)
        self._shown = self._made
        self.ends = np.cumsum([len(one) for one in framed])
        self.lines = len(self._times)

    def _at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        digits = self._text[positions[:, None] + np.arange(10)].astype(np.int64) - 48
        return digits @ (10 ** np.arange(9, -1, -1))

    def move(self, seconds: int) -> None:
        """All times of the first making plus so many seconds."""
        times = self._made + seconds
        now, shown = times, self._shown
        for digit in range(9, -1, -1):
            if np.array_equal(now, shown):
                break
            self._text[self._times + digit] = now % 10 + 48
            now, shown = now // 10, shown // 10
        self._shown = times

    def frames(self, first: int, behind: int) -> memoryview:
        """Messages of this range, one after the other."""
        begin = self.ends[first - 1] if first else 0
        return self._text[begin : self.ends[behind - 1] if behind else 0].data

    def payloads(self) -> Iterator[memoryview]:
        """One message after the other."""
        return (self.frames(i, i + 1) for i in range(len(self.ends)))
