"""What a job does to the nodes it runs on, as a function of the seconds since its start.

Every kind of `jobs.KINDS` has one function. Arrays have shape (parts, times): parts are the job's hwthreads
or accelerators on one node. All randomness hangs on the job's key, the node's rank in the job and the part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.demo import noise
from ccserver.demo.clusters import NODE_MEMORY, PEAK_BANDWIDTH, THREADS
from ccserver.demo.jobs import Job

Floats = NDArray[np.float64]

BANDWIDTH_PER_THREAD = PEAK_BANDWIDTH / THREADS
_IDLE_GPU_POWER = 55.0


@dataclass(slots=True)
class Activity:
    """Load of one job on one node; units as in the cluster's metric list."""

    user: Floats  # %, per hwthread
    flops: Floats  # GF/s, per hwthread
    ipc: Floats  # per hwthread
    bandwidth: Floats  # GB/s, per hwthread
    memory: Floats  # GB, (times,)
    network: Floats  # MB/s, (times,)
    files: Floats  # MB/s, (times,)
    gpu_use: Floats  # %, per accelerator
    gpu_memory: Floats  # GB, per accelerator
    gpu_power: Floats  # W, per accelerator


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in a job we look: rank of the node, seconds since start (times,), planned runtime."""

    job: Job
    rank: int
    tau: Floats

    def wave(self, name: str, parts: int, period: float) -> Floats:
        """Slow noise in [0, 1), own for every part of every node, shape (parts, times)."""
        return noise.smooth(noise.keys(noise.key(self.job.key, name, self.rank), parts), self.tau, period)

    def common(self, name: str, period: float) -> Floats:
        """Slow noise in [0, 1) shared by all nodes of the job, shape (times,)."""
        shared: Floats = noise.smooth(noise.keys(noise.key(self.job.key, name), 1), self.tau, period)[0]
        return shared

    def trait(self, name: str) -> float:
        return noise.draw(self.job.key, name)

    def starting(self, seconds: float) -> Floats:
        """0 at the start of the job, 1 once `seconds` have passed."""
        risen: Floats = np.clip(self.tau / seconds, 0.0, 1.0)
        return risen

    def dips(self, period: float, length: float) -> NDArray[np.bool_]:
        """True in the last `length` seconds of every `period`, for checkpoints and epochs."""
        low: NDArray[np.bool_] = self.tau % period > period - length
        return low


def activity(job: Job, rank: int, tau: Floats) -> Activity:
    """Load of a job on its node number `rank` at `tau` seconds after its start."""
    return _BEHAVIOUR[job.kind.name](Moment(job, rank, tau))


def _cores(at: Moment, busy: Floats | float, flops: float, ipc: float, bandwidth: float) -> Activity:
    """All threads alike up to some noise, scaled by `busy` (0..1; scalar, (times,) or (parts, times))."""
    parts, times = at.job.threads, len(at.tau)
    level = np.broadcast_to(np.asarray(busy, np.float64), (parts, times)) * at.starting(45.0)
    jitter = 0.94 + 0.12 * at.wave("jitter", parts, 240.0)
    gpus = at.job.accelerators
    return Activity(
        user=np.minimum(99.8, 99.0 * level * (0.985 + 0.03 * at.wave("user", parts, 120.0))),
        flops=flops * level * jitter,
        ipc=ipc * (0.35 + 0.65 * level) * (0.97 + 0.06 * at.wave("ipc", parts, 300.0)),
        bandwidth=np.minimum(BANDWIDTH_PER_THREAD, bandwidth * level * jitter),
        memory=(4.0 + 0.5 * at.job.threads) * at.starting(180.0),
        network=0.2 + 0.4 * at.common("network", 200.0),
        files=0.1 * at.common("files", 200.0),
        gpu_use=np.zeros((gpus, times)),
        gpu_memory=np.full((gpus, times), 0.4),
        gpu_power=np.full((gpus, times), _IDLE_GPU_POWER),
    )


def _compute_bound(at: Moment) -> Activity:
    phase = np.where(at.dips(1500.0 + 600.0 * at.trait("period"), 90.0), 0.35, 1.0)
    load = _cores(at, phase, flops=30.0 + 26.0 * at.trait("flops"), ipc=2.6, bandwidth=1.3)
    load.memory += 14.0 + 20.0 * at.trait("memory")
    return load


def _memory_bound(at: Moment) -> Activity:
    load = _cores(at, 0.9 + 0.1 * at.common("sweep", 400.0), flops=2.2, ipc=0.55, bandwidth=8.9)
    load.memory += 30.0 + 50.0 * at.trait("memory")
    load.network += 150.0 * (at.job.nodes > 1) * (0.7 + 0.6 * at.wave("halo", 1, 90.0)[0])
    return load


def _mpi(at: Moment) -> Activity:
    period = 900.0 + 900.0 * at.trait("period")
    writing = at.dips(period, 75.0)
    load = _cores(
        at, np.where(writing, 0.25, 1.0), flops=11.0 + 8.0 * at.trait("flops"), ipc=1.7, bandwidth=3.6
    )
    load.memory += 10.0 + 14.0 * at.trait("memory")
    load.network += np.where(writing, 60.0, 900.0 + 700.0 * at.trait("network"))
    load.network *= 0.85 + 0.3 * at.wave("exchange", 1, 120.0)[0]
    load.files += np.where(writing, 700.0 + 900.0 * at.trait("files"), 0.5)
    return load


def _imbalanced(at: Moment) -> Activity:
    share = 1.0 - 0.75 * at.rank / max(1, at.job.nodes - 1)
    threads = np.linspace(1.0, 0.45, at.job.threads)[:, None]
    refinement = 0.75 + 0.25 * at.common("refinement", 900.0)
    load = _cores(at, np.clip(share * threads * refinement, 0.03, 1.0), flops=14.0, ipc=1.4, bandwidth=4.0)
    load.memory += 8.0 + 45.0 * share * at.starting(2400.0)
    load.network += 120.0 * (1.2 - share)
    return load


def _memory_leak(at: Moment) -> Activity:
    load = _cores(at, 0.55 + 0.2 * at.wave("work", at.job.threads, 300.0), flops=1.4, ipc=0.9, bandwidth=2.4)
    grown = np.clip(at.tau / at.job.runtime, 0.0, 1.0)
    load.memory = 6.0 + (0.97 * NODE_MEMORY - 10.0) * (grown + 0.012 * at.common("garbage", 60.0))
    load.files += 60.0 * at.common("reading", 150.0)
    return load


def _one_thread(at: Moment) -> Activity:
    busy = np.full((at.job.threads, 1), 0.002)
    busy[int(at.trait("core") * at.job.threads)] = 1.0
    load = _cores(at, busy, flops=1.8, ipc=1.2, bandwidth=2.0)
    load.files += 20.0 * at.common("reading", 400.0)
    return load


def _file_io(at: Moment) -> Activity:
    reading = at.common("reading", 240.0)
    load = _cores(at, 0.12 + 0.3 * reading, flops=0.3, ipc=0.8, bandwidth=1.5)
    load.files += 400.0 + 2600.0 * reading * (0.6 + 0.4 * at.wave("stripe", 1, 60.0)[0])
    load.network += load.files * 1.05
    return load


def _single_core(at: Moment) -> Activity:
    load = _cores(at, 1.0, flops=2.0 + 4.0 * at.trait("flops"), ipc=1.9, bandwidth=0.8)
    load.memory = (0.6 + 3.0 * at.trait("memory")) * at.starting(60.0)
    load.network = 0.02 * load.network
    return load


def _training(at: Moment) -> Activity:
    epoch = 420.0 + 900.0 * at.trait("epoch")
    evaluating = at.dips(epoch, 60.0)
    load = _cores(
        at, 0.35 + 0.15 * at.wave("loader", at.job.threads, 60.0), flops=1.1, ipc=1.1, bandwidth=2.6
    )
    parts = at.job.accelerators
    use = np.where(evaluating, 38.0, 93.0) * at.starting(90.0)
    load.gpu_use = np.clip(use * (0.95 + 0.1 * at.wave("kernel", parts, 90.0)), 0.0, 100.0)
    load.gpu_memory = 0.4 + (18.0 + 20.0 * at.trait("gpu memory")) * np.tile(at.starting(60.0), (parts, 1))
    load.gpu_power = _IDLE_GPU_POWER + 3.1 * load.gpu_use
    load.memory = (10.0 + 8.0 * at.job.accelerators) * at.starting(240.0)
    load.network += 2500.0 * (at.job.nodes > 1) * (use / 100.0)
    load.files += np.where(at.tau % epoch < 90.0, 350.0, 12.0)
    return load


def _idle_gpu(at: Moment) -> Activity:
    busy = np.where(at.common("cell", 900.0) > 0.75, 0.5, 0.01)
    load = _cores(at, busy, flops=0.2, ipc=0.8, bandwidth=0.4)
    if at.trait("one of them") > 0.4:  # asked for several, uses the first
        load.gpu_use[0] = np.where(at.common("gpu cell", 700.0) > 0.7, 55.0, 0.0)
        load.gpu_memory[0] = 6.0
        load.gpu_power[0] += 2.6 * load.gpu_use[0]
    load.memory = 6.0 * at.starting(300.0)
    return load


def _gpu_bursts(at: Moment) -> Activity:
    load = _cores(at, 0.8 * at.starting(60.0), flops=2.4, ipc=1.5, bandwidth=1.8)
    parts = at.job.accelerators
    burst = at.wave("burst", parts, 150.0)
    load.gpu_use = np.clip(30.0 + 110.0 * (burst - 0.35), 4.0, 99.0) * at.starting(60.0)
    load.gpu_memory = np.full(load.gpu_use.shape, 5.0 + 10.0 * at.trait("gpu memory"))
    load.gpu_power = _IDLE_GPU_POWER + 2.4 * load.gpu_use
    return load


_BEHAVIOUR: dict[str, Callable[[Moment], Activity]] = {
    "compute-bound": _compute_bound,
    "memory-bound": _memory_bound,
    "mpi": _mpi,
    "imbalanced": _imbalanced,
    "memory-leak": _memory_leak,
    "one-thread": _one_thread,
    "file-io": _file_io,
    "single-core": _single_core,
    "training": _training,
    "idle-gpu": _idle_gpu,
    "gpu-bursts": _gpu_bursts,
}
