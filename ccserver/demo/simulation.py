"""The simulated cluster while one watches: jobs come and go, every node sends in its own second."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress

import trio

from ccserver.demo.adapter import Adapter, node_states
from ccserver.demo.clusters import SIMULATED
from ccserver.demo.curves import REPORTING, NodeCurves, sample_times
from ccserver.demo.installation import subject
from ccserver.demo.jobs import Placement
from ccserver.demo.publisher import Publisher
from ccserver.demo.real_job import RealWork
from ccserver.demo.rest import Api, Unreachable
from ccserver.demo.scheduler import PERIOD, Ended, Scheduler

PAUSE = 120  # seconds without a sample that count as a pause: the demo was stopped, the laptop slept
NODE_STATE_INTERVAL = 60.0
_FIRST_SAMPLES = 8.0  # seconds until nodes have sent something: before that their health would be "failed"


class Simulation:
    """Drives the scheduler by the clock, publishes samples, hands job events to the adapter."""

    def __init__(
        self, scheduler: Scheduler, last_sample: int, publisher: Publisher, adapter: Adapter
    ) -> None:
        self.scheduler = scheduler
        self.last_sample = last_sample
        self._publisher = publisher
        self._adapter = adapter
        self._curves = {node: NodeCurves(node) for node in REPORTING}

    async def run(self) -> None:
        while True:
            now = time.time()
            self.step(int(now))
            await trio.sleep(1.0 - now % 1.0 + 0.05)

    def step(self, now: int) -> None:
        """Everything due up to and including the second `now`."""
        if now - self.last_sample > PAUSE:
            self._adapter.report(wake_up(self.scheduler, self.last_sample, now))
            self.last_sample = now - 1
        while self.scheduler.now + PERIOD <= now:
            self._adapter.report(self.scheduler.advance(self.scheduler.now + PERIOD))
        self._send(now)
        self.last_sample = max(self.last_sample, now)

    def _send(self, now: int) -> None:
        on_node: dict[str, list[Placement]] = defaultdict(list)
        for placement in self.scheduler.running.values():
            for host in placement.hosts:
                on_node[host].append(placement)
        for node, curves in self._curves.items():
            times = sample_times(node, self.last_sample + 1, now + 1)
            if len(times):
                self._publisher.publish(subject(SIMULATED), curves.text(times, on_node[node]))


def wake_up(scheduler: Scheduler, last_sample: int, now: int) -> list[Ended]:
    """Goes on after a pause: what was to end during it ended when the lights went out, the rest continues."""
    over = {number for number, placement in scheduler.running.items() if placement.end <= now}
    nearly = {number for number in over if scheduler.running[number].end - last_sample < PAUSE}
    ended = scheduler.end_early(nearly, last_sample, "completed")
    ended += scheduler.end_early(over - nearly, last_sample, "cancelled")
    scheduler.now = now // PERIOD * PERIOD
    return ended


async def report_node_states(simulation: Simulation, work: RealWork, api: Api) -> None:
    """Every minute the state of every node, as a batch system sees it."""
    await trio.sleep(_FIRST_SAMPLES)
    while True:
        for body in (node_states(simulation.scheduler.running.values()), work.node_state()):
            await trio.to_thread.run_sync(_post_quietly, api, body)
        await trio.sleep(NODE_STATE_INTERVAL)


def _post_quietly(api: Api, body: dict[str, object]) -> None:
    with suppress(Unreachable):  # the next minute brings the next report
        api.post("/api/nodestate/", body)
