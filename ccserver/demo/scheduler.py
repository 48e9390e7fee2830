"""A small batch scheduler: first come first served per partition, with backfilling.

The head of a queue that does not fit gets a reservation: the earliest time, by the walltimes of what runs,
at which enough of its nodes are free. Jobs behind it may start at once if they end before, or on other nodes
(EASY backfilling, Lifka 1995). All of it is a function of the seed and of the times of `advance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ccserver.demo.clusters import CPU_NODES, GPU_NODES, THREADS
from ccserver.demo.jobs import Job, Placement, submitted_job

PERIOD = 15  # seconds between two scheduling rounds
FIRST_NUMBER = 100_001
SERIAL_NODES = CPU_NODES[-4:]
DOWN = (CPU_NODES[12], GPU_NODES[6])
RESERVED = (CPU_NODES[29],)
DEGRADED = CPU_NODES[20]

PARTITIONS: dict[str, tuple[str, ...]] = {
    "batch": tuple(node for node in CPU_NODES[:-4] if node not in (*DOWN, *RESERVED)),
    "serial": SERIAL_NODES,
    "gpu": tuple(node for node in GPU_NODES if node not in DOWN),
}
# Threads asked for by running and queued jobs against those present; over 1 a queue forms.
_DEMAND = {"batch": (0.9, 1.2), "serial": (0.14, 0.22), "gpu": (0.75, 1.05)}


@dataclass(frozen=True, slots=True)
class Started:
    placement: Placement


@dataclass(frozen=True, slots=True)
class Ended:
    placement: Placement
    time: int
    state: str


Event = Started | Ended


class Scheduler:
    """Queue, running jobs and free hwthreads of the simulated cluster."""

    def __init__(self, seed: int, now: int) -> None:
        self.seed = seed
        self.now = now
        self.next_number = FIRST_NUMBER
        self.queue: list[Job] = []
        self.running: dict[int, Placement] = {}
        self._free = {node: [True] * THREADS for nodes in PARTITIONS.values() for node in nodes}

    def advance(self, now: int, *, mid_life: bool = False) -> list[Event]:
        """Ends what is over, takes submissions and starts what fits; events in order of time.

        `mid_life` lets the jobs that start now be partly over already, so that a fresh cluster looks used.
        """
        events: list[Event] = [*self._end(now)]
        self.now = now
        for partition in PARTITIONS:
            self._submit(partition, now)
            events += [Started(placement) for placement in self._start(partition, now, mid_life)]
        return events

    def end_early(self, numbers: set[int], time: int, state: str) -> list[Ended]:
        """Takes jobs off the machine before their planned end."""
        ended = []
        for number in sorted(numbers & self.running.keys()):
            placement = self.running.pop(number)
            self._mark(placement, free=True)
            ended.append(Ended(placement, max(time, placement.start), state))
        return ended

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON."""
        return {
            "seed": self.seed,
            "now": self.now,
            "next_number": self.next_number,
            "queue": [[job.number, job.partition, job.submitted] for job in self.queue],
            "running": [
                [
                    placement.job.number,
                    placement.job.partition,
                    placement.job.submitted,
                    placement.start,
                    placement.end,
                    list(placement.hosts),
                    list(placement.first_thread),
                ]
                for placement in self.running.values()
            ],
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Scheduler:
        scheduler = cls(int(state["seed"]), int(state["now"]))
        scheduler.next_number = int(state["next_number"])
        scheduler.queue = [submitted_job(scheduler.seed, *entry) for entry in state["queue"]]
        for number, partition, submitted, start, end, hosts, first_thread in state["running"]:
            job = submitted_job(scheduler.seed, number, partition, submitted)
            placement = Placement(job, start, end, tuple(hosts), tuple(first_thread))
            scheduler.running[number] = placement
            scheduler._mark(placement, free=False)
        return scheduler

    def _end(self, now: int) -> list[Ended]:
        over = sorted((each for each in self.running.values() if each.end <= now), key=lambda each: each.end)
        for placement in over:
            del self.running[placement.job.number]
            self._mark(placement, free=True)
        return [Ended(placement, placement.end, placement.job.ending) for placement in over]

    def _submit(self, partition: str, now: int) -> None:
        low, high = _DEMAND[partition]
        day = 0.5 - 0.5 * math.cos(2 * math.pi * ((now / 3600 - 3) % 24) / 24)
        capacity = len(PARTITIONS[partition]) * THREADS
        wanted = (low + (high - low) * day) * capacity
        jobs = [*self.queue, *(placement.job for placement in self.running.values())]
        asked = sum(job.nodes * job.threads for job in jobs if job.partition == partition)
        while asked < wanted:
            job = submitted_job(self.seed, self.next_number, partition, now)
            self.next_number += 1
            self.queue.append(job)
            asked += job.nodes * job.threads

    def _start(self, partition: str, now: int, mid_life: bool) -> list[Placement]:
        started: list[Placement] = []
        reserved_time, reserved_nodes = math.inf, frozenset[str]()
        blocked = False
        for job in [job for job in self.queue if job.partition == partition]:
            hosts = self._fitting(job, self._free)
            if blocked and now + job.walltime > reserved_time:
                hosts = [host for host in hosts if host not in reserved_nodes]
            if len(hosts) >= job.nodes:
                placement = self._place(job, now, hosts[: job.nodes], mid_life)
                self.queue.remove(job)
                started.append(placement)
            elif not blocked:
                blocked = True
                reserved_time, reserved_nodes = self._reservation(job)
        return started

    def _place(self, job: Job, now: int, hosts: list[str], mid_life: bool) -> Placement:
        left = 0.1 + 0.9 * (job.key % 1000) / 1000 if mid_life else 1.0
        first = tuple(_first_fit(self._free[host], job.threads) for host in hosts)
        placement = Placement(job, now, now + max(60, int(job.runtime * left)), tuple(hosts), first)
        self.running[job.number] = placement
        self._mark(placement, free=False)
        return placement

    def _fitting(self, job: Job, free: dict[str, list[bool]]) -> list[str]:
        fits = [host for host in PARTITIONS[job.partition] if _first_fit(free[host], job.threads) >= 0]
        # Fill nodes that are in use first, so that whole ones stay free for those who need them.
        return sorted(fits, key=lambda host: sum(free[host])) if job.threads < THREADS else fits

    def _reservation(self, job: Job) -> tuple[float, frozenset[str]]:
        free = {host: list(threads) for host, threads in self._free.items()}
        running = [each for each in self.running.values() if each.job.partition == job.partition]
        for placement in sorted(running, key=lambda each: each.start + each.job.walltime):
            for rank, host in enumerate(placement.hosts):
                for thread in placement.threads(rank):
                    free[host][thread] = True
            hosts = self._fitting(job, free)
            if len(hosts) >= job.nodes:
                return placement.start + placement.job.walltime, frozenset(hosts[: job.nodes])
        return math.inf, frozenset()

    def _mark(self, placement: Placement, *, free: bool) -> None:
        for rank, host in enumerate(placement.hosts):
            for thread in placement.threads(rank):
                self._free[host][thread] = free


def replay(seed: int, start: int, end: int) -> tuple[Scheduler, list[Event]]:
    """A cluster that has worked from `start` to `end`, both multiples of PERIOD, and all that happened."""
    scheduler = Scheduler(seed, start)
    events = scheduler.advance(start, mid_life=True)
    for _, now in pairwise(range(start, end + 1, PERIOD)):
        events += scheduler.advance(now)
    return scheduler, events


def _first_fit(free: list[bool], threads: int) -> int:
    """First thread of the first aligned free run, or -1."""
    for first in range(0, len(free) - threads + 1, threads):
        if all(free[first : first + threads]):
            return first
    return -1
