"""Reports jobs and node states to the server over REST, as the adapter of a batch system does."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

import trio

from ccserver.demo.clusters import SIMULATED
from ccserver.demo.curves import NODES
from ccserver.demo.errors import DemoError
from ccserver.demo.jobs import Placement, start_request, stop_request
from ccserver.demo.rest import Api, Unreachable
from ccserver.demo.scheduler import DOWN, RESERVED, Ended, Event, Started

PATIENCE = 3.0  # seconds between the end of a job and its report, for its last samples to arrive
RETRY = 2.0
TAKEN = (200, 201, 422)  # 422: the server knows already


class Adapter:
    """Delivers events in order; one the server does not take now is tried again, a refused one is dropped."""

    def __init__(self, api: Api, complain: Callable[[str], None]) -> None:
        self._api = api
        self._complain = complain
        self._waiting: deque[Event] = deque()
        self._wake = trio.Event()

    def report(self, events: Iterable[Event]) -> None:
        self._waiting.extend(events)
        self._wake.set()

    def unreported(self) -> list[list[Any]]:
        """Ends the server does not know of yet, as [job number, time, state]."""
        ends = [event for event in self._waiting if isinstance(event, Ended)]
        return [[event.placement.job.number, event.time, event.state] for event in ends]

    async def run(self) -> None:
        while True:
            while self._waiting:
                event = self._waiting[0]
                if isinstance(event, Ended):
                    await trio.sleep(max(0.0, event.time + PATIENCE - time.time()))
                if await trio.to_thread.run_sync(self._deliver, event):
                    self._waiting.popleft()
                else:
                    await trio.sleep(RETRY)
            self._wake = trio.Event()
            await self._wake.wait()

    def _deliver(self, event: Event) -> bool:
        try:
            status, answer = deliver(self._api, event)
        except Unreachable:
            return False
        if status not in TAKEN:
            self._complain(
                f"the server refuses an event of job {event.placement.job.number}: {status} {answer}"
            )
        return status < 500


def deliver(api: Api, event: Event) -> tuple[int, Any]:
    """One event as the call of rest-api 3.7 or 3.8. Raises Unreachable."""
    if isinstance(event, Started):
        return api.post("/api/jobs/start_job/", start_request(event.placement))
    return api.post("/api/jobs/stop_job/", stop_request(event.placement, event.time, event.state))


def running_jobs(api: Api) -> list[dict[str, Any]]:
    """Jobs of all clusters that the server takes for running. Raises DemoError."""
    try:
        status, answer = api.get(
            "/api/jobs/", **{"state": "running", "items-per-page": "9999999", "page": "1"}
        )
    except Unreachable as error:
        raise DemoError(f"the server does not answer: {error}") from error
    if status != 200 or not isinstance(answer, dict):
        raise DemoError(f"the server does not list its running jobs: {status} {answer}")
    jobs: list[dict[str, Any]] = answer["jobs"]
    return jobs


def stop(api: Api, cluster: str, number: int, end: int, state: str) -> None:
    """Ends a job that nobody runs any more. Raises Unreachable."""
    body = {"jobId": number, "cluster": cluster, "jobState": state, "stopTime": end}
    api.post("/api/jobs/stop_job/", body)


def node_states(placements: Iterable[Placement]) -> dict[str, Any]:
    """Body of a node state report for the simulated cluster (spec/rest-api.md 4.3)."""
    threads: Counter[str] = Counter()
    accelerators: Counter[str] = Counter()
    jobs: Counter[str] = Counter()
    for placement in placements:
        for host in placement.hosts:
            threads[host] += placement.job.threads
            accelerators[host] += placement.job.accelerators
            jobs[host] += 1
    nodes = [
        {
            "hostname": node,
            "states": [_state(node, threads[node])],
            "cpusAllocated": threads[node],
            "memoryAllocated": 8192 * threads[node],
            "gpusAllocated": accelerators[node],
            "jobsRunning": jobs[node],
        }
        for node in NODES
    ]
    return {"cluster": SIMULATED, "nodes": nodes}


def _state(node: str, threads: int) -> str:
    if node in DOWN:
        return "DOWN"
    if node in RESERVED:
        return "RESERVED"
    return "ALLOCATED" if threads else "IDLE"
