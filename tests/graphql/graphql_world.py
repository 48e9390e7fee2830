"""A small site with real parts: cluster "tc", five jobs, seven accounts, an archive, a metric store.

Jobs: 1001 and 1002 of alice (project p1), 1003 and the running 1004 of bob (p2, shared host g1), 1005 of
carol (p1, four hosts). Time stands still at NOW.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, event

from ccserver.graphql import view
from ccserver.graphql.request import Request
from ccserver.model.job import MONITORING_ARCHIVED, MONITORING_RUNNING, Job, Resource
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from ccserver.model.user import Principal
from ccserver.nodes.repository import Health, NodeReport
from ccserver.site import Site

START = 1_700_000_000  # 2023-11-14T22:13:20Z
NOW = START + 2 * 86400

GIGAFLOPS = {"base": "F/s", "prefix": "G"}
GPU = "00000000:01:00.0"


def metric(name: str, scope: str, unit: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "name": name, "scope": scope, "unit": unit, "timestep": 60, "aggregation": "sum",
        "peak": 8, "normal": 6, "caution": 4, "alert": 2, **more,
    }  # fmt: skip


def subcluster(name: str, nodes: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "nodes": nodes, "processorType": "Test CPU",
        "socketsPerNode": 2, "coresPerSocket": 4, "threadsPerCore": 1,
        "flopRateScalar": {"unit": GIGAFLOPS, "value": 32},
        "flopRateSimd": {"unit": GIGAFLOPS, "value": 512},
        "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": 80},
        "topology": {
            "node": list(range(8)),
            "socket": [[0, 1, 2, 3], [4, 5, 6, 7]],
            "memoryDomain": [[0, 1, 2, 3], [4, 5, 6, 7]],
            "core": [[thread] for thread in range(8)],
            **more,
        },
    }  # fmt: skip


CLUSTER = {
    "name": "tc",
    "metricConfig": [
        metric("cpu_load", "node", {"base": ""}, aggregation="avg", footprint="avg"),
        metric("mem_used", "node", {"base": "B", "prefix": "G"}, footprint="max", peak=64,
               subClusters=[{"name": "gpu", "footprint": "max", "peak": 512, "restrict": True}]),
        metric("flops_any", "hwthread", GIGAFLOPS, footprint="avg", peak=512),
        metric("mem_bw", "socket", {"base": "B/s", "prefix": "G"}, peak=80),
        metric("acc_power", "accelerator", {"base": "W"}, aggregation="avg", energy="power",
               subClusters=[{"name": "cpu", "remove": True}]),
        metric("secret", "node", {"base": ""}, restrict=True),
    ],
    "subClusters": [
        subcluster("cpu", "c[01-04]"),
        subcluster("gpu", "g[1-2]", accelerators=[{"id": GPU, "type": "GPU", "model": "T1"}]),
    ],
}  # fmt: skip

ROLES: dict[str, tuple[str, ...]] = {
    "alice": ("user",),
    "bob": ("user",),
    "carol": ("user",),
    "mona": ("manager",),
    "sue": ("support",),
    "root": ("admin",),
    "script": ("api",),
}
PRINCIPALS = {
    name: Principal(name, frozenset(roles), ("p1",) if name == "mona" else ())
    for name, roles in ROLES.items()
}


def job(job_id: int, user: str, hosts: list[str], **more: Any) -> Job:
    finished = more.get("state", "completed") != "running"
    return Job(
        job_id=job_id, user=user, cluster="tc", num_nodes=len(hosts),
        resources=[Resource(host) for host in hosts] if "resources" not in more else more.pop("resources"),
        num_hwthreads=8 * len(hosts), walltime=86400,
        monitoring_status=MONITORING_ARCHIVED if finished else MONITORING_RUNNING,
        **{"state": "completed", "subcluster": "cpu", "start_time": START, "partition": "main", **more},
    )  # fmt: skip


JOBS = [
    job(1001, "alice", ["c01"], project="p1", duration=3599, metadata={"jobName": "md_run"},
        footprint={"cpu_load_avg": 4.0, "mem_used_max": 9.5}, energy=1.5,
        energy_footprint={"acc_power": 0.5, "cpu_x": 1.0},
        statistics={"cpu_load": JobStatistic(Unit(), 4.0, 0.2, 8.1),
                    "mem_used": JobStatistic(Unit("B", "G"), 9.5, 9.0, 10.0),
                    "flops_any": JobStatistic(Unit("F/s", "G"), 31.2, 1.0, 60.0)}),
    job(1002, "alice", ["c02"], project="p1", duration=200, start_time=START + 3600),
    job(1003, "bob", ["g1"], project="p2", duration=7200, start_time=NOW - 10000, subcluster="gpu",
        partition="gpu", shared="multi_user"),
    job(1004, "bob", ["g1"], project="p2", state="running", start_time=NOW - 3600, subcluster="gpu",
        partition="gpu", shared="multi_user", num_acc=1, smt=1,
        resources=[Resource("g1", [0, 1, 2, 3], [GPU])]),
    job(1005, "carol", ["c01", "c02", "c03", "c04"], project="p1", duration=86400, state="timeout",
        footprint={"cpu_load_avg": 7.9999, "mem_used_max": 63.0},
        statistics={"cpu_load": JobStatistic(Unit(), 7.5, 0.5, 8.0),
                    "mem_used": JobStatistic(Unit("B", "G"), 60.0, 50.0, 63.0)}),
]  # fmt: skip
IDS = {one.job_id: index for index, one in enumerate(JOBS, 1)}


def series(host: str, values: list[float], id: str | None = None) -> Series:
    data = np.array(values, np.float32)
    present = data[~np.isnan(data)]
    return Series(
        host, data, Statistics(float(present.mean()), float(present.min()), float(present.max())), id
    )


def archived_data(one: Job) -> JobData:
    """Two points a host; the load of host c02 has a gap."""
    load = [series(host, [0.2, float("nan") if host == "c02" else 8.1]) for host in one.hostnames]
    flops = [series(host, [10.0 + index, 20.0]) for index, host in enumerate(one.hostnames)]
    bandwidth = [series(host, [1.0, 2.0]) for host in one.hostnames]
    return {
        "cpu_load": {"node": JobMetric(Unit(), 60, load)},
        "flops_any": {"node": JobMetric(Unit("F/s", "G"), 60, flops)},
        "mem_bw": {"node": JobMetric(Unit("B/s", "G"), 60, bandwidth)},
    }


REPORTS = [
    NodeReport("c01", ("allocated",), cpus_allocated=8, memory_allocated=64, jobs_running=2),
    NodeReport("c02", ("idle",)),
    NodeReport("g1", ("allocated",), gpus_allocated=1),
]


class FixedHealth:
    """Judges nodes without looking: c02 lacks a metric."""

    def health(self, cluster: str, nodes: Sequence[str], metrics: Sequence[str]) -> dict[str, Health]:
        return {node: Health("partial", missing=["mem_bw"]) if node == "c02" else Health() for node in nodes}


HEALTH = FixedHealth()


STEPS = 60  # in the last hour


def lines() -> bytes:
    """Line protocol of the last hour: c01, c02 and g1, one sample a minute; c02 pauses in the middle.

    The load of host c01 is its minute, that of the others 1; hwthread t of a host does t Gflop/s, both
    sockets move 10 GB/s, and the accelerator draws 200 W.
    """
    text = []
    for minute in range(STEPS):
        moment = NOW - 3600 + 60 * minute
        for host in ("c01", "c02", "g1"):
            if host == "c02" and 20 <= minute < 30:
                continue
            load = minute if host == "c01" else 1
            tags = f"cluster=tc,hostname={host}"
            text.append(f"cpu_load,{tags},type=node value={load} {moment}")
            text.append(f"mem_used,{tags},type=node value=9.123456 {moment}")
            text += [
                f"flops_any,{tags},type=hwthread,type-id={thread} value={thread} {moment}"
                for thread in range(8)
            ]
            text += [f"mem_bw,{tags},type=socket,type-id={socket} value=10 {moment}" for socket in range(2)]
        text.append(f"acc_power,cluster=tc,hostname=g1,type=accelerator,type-id={GPU} value=200 {moment}")
    return "\n".join(text).encode() + b"\n"


@dataclass
class World:
    site: Site

    def ask(self, user: str, query: str, **variables: Any) -> dict[str, Any]:
        """The answer's document; every operation executed is answered with status 200."""
        request = Request(self.site, PRINCIPALS[user])
        body = json.dumps({"query": query, "variables": variables}).encode()
        status, _headers, pieces = view.answer(body, request)
        document = json.loads(b"".join(pieces))
        assert status == 200, document
        assert isinstance(document, dict)
        return document

    def data(self, user: str, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        document = self.ask(user, query, **variables)
        assert "errors" not in document, document["errors"]
        return dict(document["data"])

    def error(self, user: str, query: str, **variables: Any) -> str:
        """The message of the only error."""
        [error] = self.ask(user, query, **variables)["errors"]
        return str(error["message"])


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements that are run meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
