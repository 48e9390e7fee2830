"""Samples of one simulated node: idle noise plus what its jobs do, for any stretch of time.

Four thousand series in all; one node and one time step costs about a millisecond, an hour of one node three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.demo import noise
from ccserver.demo.activity import Activity, activity
from ccserver.demo.clusters import (
    ACCELERATORS,
    CORES_PER_SOCKET,
    CPU_NODES,
    GPU_NODES,
    SIMULATED,
    SIMULATED_STEP,
    SOCKETS,
    THREADS,
)
from ccserver.demo.jobs import Placement
from ccserver.demo.lines import SeriesKey, format_block, head, head_matrix
from ccserver.demo.scheduler import DEGRADED, DOWN

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

NODES = (*CPU_NODES, *GPU_NODES)
REPORTING = tuple(node for node in NODES if node not in DOWN)
_PEAK_FLOPS_PER_THREAD = 76.8


def phase(node: str) -> int:
    """Second within the step at which a node sends; every collector has its own."""
    return noise.key("phase", node) % SIMULATED_STEP


def sample_times(node: str, start: int, end: int) -> Times:
    """Times in [start, end) at which a node sends."""
    first = -(-(start - phase(node)) // SIMULATED_STEP) * SIMULATED_STEP + phase(node)
    return np.arange(first, end, SIMULATED_STEP, dtype=np.int64)


@dataclass(slots=True)
class _Load:
    """Sum over the jobs of a node; shapes as in Activity, over all threads and accelerators of the node."""

    user: Floats
    flops: Floats
    ipc: Floats
    bandwidth: Floats
    memory: Floats
    network: Floats
    files: Floats
    gpu_use: Floats
    gpu_memory: Floats
    gpu_power: Floats


class NodeCurves:
    """All series of one node, in the order in which its collector sends them."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.accelerators = len(ACCELERATORS) if node in GPU_NODES else 0
        self._key = noise.key("node", node)
        self.series = self._series()
        self._heads = head_matrix([head(key, SIMULATED, node) for key in self.series])

    def text(self, times: Times, placements: Sequence[Placement]) -> bytes:
        """Line protocol of all series at `times` while these jobs are placed."""
        return format_block(self._heads, self.values(times, placements), times) if len(times) else b""

    def values(self, times: Times, placements: Sequence[Placement]) -> Floats:
        """Samples, shape (series, times); NaN where the node measures nothing."""
        at = times.astype(np.float64)
        load = self._idle(at)
        for placement in placements:
            if self.node in placement.hosts and placement.end > times[0] and placement.start <= times[-1]:
                self._add(load, placement, at)
        return self._measured(load, at)

    def _series(self) -> list[SeriesKey]:
        keys = [SeriesKey(name) for name in ("cpu_load", "mem_used", "net_bw", "file_bw")]
        for name in ("mem_bw", "clock", "cpu_power", "mem_power"):
            keys += [SeriesKey(name, "socket", str(socket)) for socket in range(SOCKETS)]
        for name in ("cpu_user", "flops_any", "ipc"):
            keys += [SeriesKey(name, "hwthread", str(thread)) for thread in range(THREADS)]
        for name in ("acc_utilization", "acc_mem_used", "acc_power"):
            keys += [SeriesKey(name, "accelerator", each) for each in ACCELERATORS[: self.accelerators]]
        return keys

    def _idle(self, at: Floats) -> _Load:
        threads = noise.keys(self._key, THREADS)
        system = noise.smooth(threads, at, 90.0)
        times = len(at)
        return _Load(
            user=0.2 + 0.7 * system,
            flops=0.004 + 0.01 * system,
            ipc=0.55 + 0.2 * system,
            bandwidth=0.01 + 0.03 * system,
            memory=2.6 + 0.3 * noise.smooth(threads[:1], at, 3600.0)[0],
            network=0.05 + 0.2 * system[0],
            files=0.02 * system[1],
            gpu_use=np.zeros((self.accelerators, times)),
            gpu_memory=np.full((self.accelerators, times), 0.4),
            gpu_power=52.0 + 5.0 * noise.smooth(threads[: self.accelerators], at, 200.0),
        )

    def _add(self, load: _Load, placement: Placement, at: Floats) -> None:
        rank = placement.hosts.index(self.node)
        inside = slice(*np.searchsorted(at, [placement.start, placement.end]))
        if inside.start == inside.stop:
            return
        does: Activity = activity(placement.job, rank, at[inside] - placement.start)
        threads = placement.threads(rank)
        cores = (slice(threads.start, threads.stop), inside)
        load.user[cores] = np.maximum(load.user[cores], does.user)
        load.flops[cores] += does.flops
        load.ipc[cores] = does.ipc
        load.bandwidth[cores] += does.bandwidth
        load.memory[inside] += does.memory
        load.network[inside] += does.network
        load.files[inside] += does.files
        if placement.job.accelerators:
            gpus = placement.accelerators(rank)
            boards = (slice(gpus.start, gpus.stop), inside)
            load.gpu_use[boards] = does.gpu_use
            load.gpu_memory[boards] = does.gpu_memory
            load.gpu_power[boards] = does.gpu_power

    def _measured(self, load: _Load, at: Floats) -> Floats:
        grain = noise.uniform(noise.keys(self._key ^ 0xA5A5, len(self.series)), at.astype(np.int64))
        busy = load.user / 100.0
        per_socket = (SOCKETS, CORES_PER_SOCKET, len(at))
        active = busy.reshape(per_socket).sum(axis=1)
        bandwidth = load.bandwidth.reshape(per_socket).sum(axis=1)
        work = busy * (6.5 + 12.0 * load.flops / _PEAK_FLOPS_PER_THREAD)
        rows = [
            (busy.sum(axis=0) + 0.05)[None],
            load.memory[None],
            load.network[None],
            load.files[None],
            bandwidth,
            3200.0 - 62.0 * active - 12.0 * bandwidth / 10.0,
            46.0 + work.reshape(per_socket).sum(axis=1) + 0.35 * bandwidth,
            7.0 + 0.36 * bandwidth,
            load.user,
            load.flops,
            load.ipc,
            load.gpu_use,
            load.gpu_memory,
            load.gpu_power,
        ]
        values = np.concatenate(rows) * (0.985 + 0.03 * grain)
        user = slice(4 + 4 * SOCKETS, 4 + 4 * SOCKETS + THREADS)
        values[user] = np.minimum(values[user], 100.0)
        first_gpu = 4 + 4 * SOCKETS + 3 * THREADS
        boards = slice(first_gpu, first_gpu + self.accelerators)
        values[boards] = np.minimum(values[boards], 100.0)
        if self.node == DEGRADED:  # its power counters and one core are never read
            values[[key.metric in ("cpu_power", "mem_power") for key in self.series]] = np.nan
            values[[key.type_id == "5" for key in self.series]] = np.nan
        return values
