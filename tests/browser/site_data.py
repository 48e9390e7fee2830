"""What the browser tests look at: one cluster with processors and accelerators, a few jobs, their samples."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.server.running import Server, set_up

STEP = 10  # seconds
HOSTILE = "<img src=x onerror=alert(1)> & <b>bold</b>"
ACCELERATORS = ["00:0", "00:1"]


def _metric(name: str, base: str, prefix: str, scope: str, aggregation: str, peak: float) -> dict[str, Any]:
    return {
        "name": name, "unit": {"base": base, "prefix": prefix}, "scope": scope, "aggregation": aggregation,
        "timestep": STEP, "peak": peak, "normal": peak * 0.5, "caution": peak * 0.2, "alert": peak * 0.1,
        "footprint": "avg",
    }  # fmt: skip


def _subcluster(name: str, nodes: str, accelerators: list[str]) -> dict[str, Any]:
    topology: dict[str, Any] = {
        "node": [0, 1, 2, 3], "socket": [[0, 1], [2, 3]], "memoryDomain": [[0, 1], [2, 3]],
        "core": [[0], [1], [2], [3]],
    }  # fmt: skip
    if accelerators:
        topology["accelerators"] = [{"id": one, "type": "GPU", "model": "X"} for one in accelerators]
    rate = {"unit": {"base": "F/s", "prefix": "G"}, "value": 32}
    return {
        "name": name, "nodes": nodes, "processorType": "four cores", "socketsPerNode": 2, "coresPerSocket": 2,
        "threadsPerCore": 1, "flopRateScalar": rate, "flopRateSimd": rate,
        "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": 10}, "topology": topology,
    }  # fmt: skip


CLUSTER = {
    "name": "small",
    "metricConfig": [
        {**_metric("cpu_load", "", "", "node", "avg", 4), "subClusters": []},
        _metric("flops_any", "F/s", "G", "hwthread", "sum", 40),
        _metric("mem_used", "B", "G", "node", "sum", 64),
        {
            **_metric("acc_utilization", "%", "", "accelerator", "avg", 100),
            "subClusters": [{"name": "main", "remove": True}],
        },
    ],
    "subClusters": [
        _subcluster("main", "n[01-04]", []),
        _subcluster("gpu", "g[01-02]", ACCELERATORS),
    ],
}


@dataclass
class Site:
    """A running server with the jobs below; ids are those of the database."""

    server: Server
    api: httpx.Client
    wide: int  # running on three nodes of main, one of them nearly idle
    gpu: int  # running on one node of gpu, one of its accelerators idle
    hostile: int  # finished, its name and script are markup

    @property
    def url(self) -> str:
        return self.server.url

    def write(self, lines: list[str]) -> None:
        answer = self.api.post("/api/write/", params={"cluster": "small"}, content="\n".join(lines) + "\n")
        assert answer.status_code == 200, answer.text

    def start(self, number: int, hosts: list[str], **more: Any) -> int:
        """Reports the start of a job, now unless `startTime` is given; returns its database id."""
        job = {
            "jobId": number, "cluster": "small", "user": "ute", "project": "lab", "numNodes": len(hosts),
            "numHwthreads": 4 * len(hosts), "walltime": 36000, "shared": "none", "partition": "main",
            "startTime": int(time.time()), "resources": [{"hostname": host} for host in hosts],
            "metaData": {"jobName": f"job-{number}", "jobScript": "#!/bin/bash\nsrun ./a.out\n"},
        } | more  # fmt: skip
        answer = self.api.post("/api/jobs/start_job/", json=job)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def stop(self, number: int, state: str = "completed") -> None:
        stop = {"jobId": number, "cluster": "small", "jobState": state, "stopTime": int(time.time())}
        answer = self.api.post("/api/jobs/stop_job/", json=stop)
        assert answer.status_code == 200, answer.text


def samples(host: str, start: int, end: int, values: dict[str, float]) -> list[str]:
    """Lines of one host for all its metrics, one sample per step."""
    lines = []
    for moment in range(start, end, STEP):
        lines.append(f"cpu_load,hostname={host},type=node value={values['cpu_load']} {moment}")
        lines.append(f"mem_used,hostname={host},type=node value={values['mem_used']} {moment}")
        for thread in range(4):
            tags = f"hostname={host},type=hwthread,type-id={thread}"
            lines.append(f"flops_any,{tags} value={values['flops_any']} {moment}")
        if host.startswith("g"):
            for place, one in enumerate(ACCELERATORS):
                tags = f"hostname={host},type=accelerator,type-id={one}"
                used = values["acc_utilization"] if place == 0 else 0.1
                lines.append(f"acc_utilization,{tags} value={used} {moment}")
    return lines


def build(folder: Path) -> Site:
    """Installs, starts and fills a server in `folder`."""
    server = set_up(folder)
    (folder / "var" / "job-archive" / "small" / "cluster.json").write_text(json.dumps(CLUSTER))
    resampling = {"minimum-points": 100, "trigger": 100, "resolutions": [60, 10]}

    def configure(config: dict[str, Any]) -> None:
        config["main"]["resampling"] = resampling
        config.setdefault("ui", {}).update({"density": "compact", "job-view": {"show-footprint": True}})

    server.configure(configure)
    server.start()
    site = Site(server, server.client("adapter"), 0, 0, 0)
    now = int(time.time())
    start = now - 1800
    usual = {"cpu_load": 3.5, "mem_used": 20.0, "flops_any": 5.0, "acc_utilization": 80.0}
    site.wide = site.start(1001, ["n01", "n02", "n03"], startTime=start)
    site.gpu = site.start(
        1002,
        ["g01"],
        startTime=start,
        numAcc=2,
        resources=[{"hostname": "g01", "accelerators": ACCELERATORS}],
    )
    site.hostile = site.start(
        1003, ["n04"], startTime=start, user="max", metaData={"jobName": HOSTILE, "jobScript": HOSTILE}
    )  # fmt: skip
    for host, part in {"n01": 1.0, "n02": 0.8, "n03": 0.05, "n04": 1.0, "g01": 1.0}.items():
        site.write(samples(host, start, now, {metric: part * value for metric, value in usual.items()}))
    site.stop(1003, "failed")
    return site
