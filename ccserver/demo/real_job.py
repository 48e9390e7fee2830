"""Real work on this machine as jobs of the cluster `local`: started, measured, stopped and archived."""

from __future__ import annotations

import contextlib
import getpass
import sys
import time
from pathlib import Path
from typing import Any

import trio

from ccserver.demo.children import Child
from ccserver.demo.clusters import LOCAL, LOCAL_STEP, Machine
from ccserver.demo.rest import Api, Unreachable

SECONDS = 60
INTERVAL = 480.0  # seconds between two starts: an eighth of one core on average
REPORT_PATIENCE = 3.0
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class RealWork:
    """A short numpy program on one hwthread every few minutes."""

    def __init__(self, api: Api, machine: Machine, directory: Path, next_number: int) -> None:
        self._api = api
        self._machine = machine
        self._directory = directory
        self.next_number = next_number
        self.running = False

    async def run(self) -> None:
        """One job after the other, the first at once; cancelling ends the current one and reports it."""
        while True:
            begin = trio.current_time()
            self.next_number += 1
            await self._run_job(self.next_number - 1)
            await trio.sleep_until(begin + INTERVAL)

    def node_state(self) -> dict[str, Any]:
        """Body of a node state report for this machine (spec/rest-api.md 4.3)."""
        busy = int(self.running)
        node = {
            "hostname": self._machine.hostname,
            "states": ["MIXED" if busy else "IDLE"],
            "cpusAllocated": busy,
            "memoryAllocated": 0,
            "gpusAllocated": 0,
            "jobsRunning": busy,
        }
        return {"cluster": LOCAL, "nodes": [node]}

    async def _run_job(self, number: int) -> None:
        thread = self._machine.threads[-1]
        command = [
            sys.executable,
            "-m",
            "ccserver.demo.load",
            "--seconds",
            str(SECONDS),
            "--thread",
            str(thread),
        ]
        work = Child("work", command, self._directory, _ONE_THREAD)
        start = int(time.time())
        if not await self._post("/api/jobs/start_job/", self._start_request(thread, number, start, command)):
            return
        self.running = True
        end, state = 0, "cancelled"
        try:
            await work.start()
            state = "completed" if await work.wait() == "exit code 0" else "failed"
            end = int(time.time())
            await trio.sleep(LOCAL_STEP + 2)  # the sample that covers the last seconds
        finally:
            self.running = False
            with trio.CancelScope(shield=True, deadline=trio.current_time() + REPORT_PATIENCE):
                await work.stop(1.0)
                body = {"jobId": number, "cluster": LOCAL, "jobState": state, "startTime": start}
                await self._post("/api/jobs/stop_job/", {**body, "stopTime": end or int(time.time())})

    async def _post(self, path: str, body: dict[str, Any]) -> bool:
        with contextlib.suppress(Unreachable):
            status, _ = await trio.to_thread.run_sync(self._api.post, path, body, abandon_on_cancel=True)
            return int(status) in (200, 201)
        return False

    def _start_request(self, thread: int, number: int, start: int, command: list[str]) -> dict[str, Any]:
        script = f"#!/bin/sh\n# real work, measured on this machine\nnice -n 19 {' '.join(command)}\n"
        return {
            "cluster": LOCAL,
            "partition": "main",
            "project": "demo",
            "user": "alice",
            "shared": "multi_user",
            "resources": [{"hostname": self._machine.hostname, "hwthreads": [thread]}],
            "metaData": {"jobName": "numpy-work", "jobScript": script, "slurmInfo": _started_by()},
            "walltime": 2 * SECONDS,
            "jobId": number,
            "numHwthreads": 1,
            "numNodes": 1,
            "startTime": start,
        }


def _started_by() -> str:
    try:
        return f"started by {getpass.getuser()}"
    except (KeyError, OSError):  # a container without an entry for its user
        return "started by the demo"
