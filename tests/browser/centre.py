"""A computing centre to prove the interface on: two clusters, six accounts, 1,200 jobs, nine of them odd.

Contract: spec/web-ui.md 10. Finished jobs are written straight into the archive, without the syncs of a real
one, and registered from there as `-init-db` does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import update

from ccserver.archive import FileArchive
from ccserver.archive.file import pack_data
from ccserver.archive.meta import encode_meta
from ccserver.auth.sessions import Sessions
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.database import open_database
from ccserver.database.tables import job as job_table
from ccserver.jobs.init_db import rebuild
from ccserver.metricdata import MetricData
from ccserver.model.job import MONITORING_ARCHIVED, MONITORING_DISABLED, Job, Resource, Tag
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from ccserver.model.user import Principal
from tests.server.running import Server, ccserver

STEP = 60  # seconds
HOUR = 3600
CORES = 8
JOBS = 1200
HOSTILE = "<img src=x onerror=alert(1)>"
ODD_USER = "mü&+%"
ODD_PROJECT = "a&b+50% ü#1"
FORMULA = "=cmd"
ACCELERATORS = [f"00000000:0{number}:00.0" for number in range(4)]
ACCOUNTS = {
    "alice": (["user"], "Alice Ångström", []),
    "manny": (["manager"], "Manny Manager", ["proj01"]),
    "sue": (["support"], "Sue Support", []),
    "root1": (["admin"], "Root One", []),
    "apionly": (["api"], "", []),
    ODD_USER: (["user"], "Müller & Söhne", []),
}  # fmt: skip
PEAKS = {"cpu_load": 8.0, "flops_any": 400.0, "mem_bw": 100.0, "mem_used": 256.0, "acc_utilization": 100.0}
UNITS = {
    "cpu_load": Unit(), "flops_any": Unit("F/s", "G"), "mem_bw": Unit("B/s", "G"), "mem_used": Unit("B", "G"),
    "acc_utilization": Unit("%"), "cpu_power": Unit("W"),
}  # fmt: skip
_EVERYWHERE = ("cpu_load", "flops_any", "mem_bw", "mem_used", "cpu_power")


def _metric(name: str, scope: str, aggregation: str, **more: Any) -> dict[str, Any]:
    peak = PEAKS.get(name, 400.0)
    unit = UNITS[name]
    return {
        "name": name, "unit": {"base": unit.base, "prefix": unit.prefix}, "scope": scope,
        "aggregation": aggregation, "timestep": STEP, "peak": peak, "normal": peak / 2, "caution": peak / 4,
        "alert": peak / 8, "footprint": "avg", **more,
    }  # fmt: skip


def _subcluster(name: str, nodes: str, bandwidth: int, simd: int, accelerators: list[str]) -> dict[str, Any]:
    halves = [[0, 1, 2, 3], [4, 5, 6, 7]]
    topology: dict[str, Any] = {
        "node": list(range(CORES)), "socket": halves, "memoryDomain": halves,
        "core": [[core] for core in range(CORES)],
    }  # fmt: skip
    if accelerators:
        topology["accelerators"] = [{"id": one, "type": "GPU", "model": "X"} for one in accelerators]

    def rate(value: int) -> dict[str, Any]:
        return {"unit": {"base": "F/s", "prefix": "G"}, "value": value}

    return {
        "name": name, "nodes": nodes, "processorType": f"{name} processor", "socketsPerNode": 2,
        "coresPerSocket": 4, "threadsPerCore": 1, "flopRateScalar": rate(simd // 4),
        "flopRateSimd": rate(simd),
        "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": bandwidth},
        "topology": topology,
    }  # fmt: skip


_METRICS = [
    _metric("cpu_load", "node", "avg"),
    _metric("flops_any", "core", "sum"),
    _metric("mem_bw", "socket", "sum"),
    _metric("mem_used", "node", "sum", lowerIsBetter=True, normal=128.0, caution=200.0, alert=240.0),
    _metric("cpu_power", "socket", "sum", footprint="", energy="power", restrict=True),
]
CLUSTERS = [
    {
        "name": "alpha",
        "metricConfig": [
            *_METRICS,
            {
                **_metric("acc_utilization", "accelerator", "avg"),
                "subClusters": [{"name": "main", "remove": True}],
            },
        ],
        "subClusters": [
            _subcluster("main", "a[1-9,10-40]", 100, 400, []),
            _subcluster("gpu", "g[1-4]", 200, 800, ACCELERATORS),
        ],
    },
    {"name": "beta", "metricConfig": _METRICS, "subClusters": [_subcluster("small", "b[1-8]", 50, 200, [])]},
]  # fmt: skip


@dataclass
class Centre:
    """A running server with the jobs J1 to J9; `jobs` maps these names to database ids."""

    server: Server
    api: httpx.Client
    now: int
    jobs: dict[str, int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.server.url

    def session(self, username: str, *, presentation: bool = False) -> Any:
        """The cookie of an account, as Playwright takes it."""
        roles, _, projects = ACCOUNTS[username]
        key = self.server.keys().session
        assert key is not None
        principal = Principal(username, frozenset(roles), tuple(projects))
        value = Sessions(key, 7200).issue(principal, presentation=presentation)
        return {"name": "session", "value": value, "url": self.url}

    def query(self, username: str, text: str, **variables: Any) -> Any:
        """The data of a GraphQL answer, asked for as an account."""
        cookies = {"session": self.session(username)["value"]}
        with httpx.Client(base_url=self.url, cookies=cookies, timeout=30) as client:
            answer = client.post("/query", json={"query": text, "variables": variables}).json()
        assert not answer.get("errors"), answer
        return answer["data"]

    def count(self, username: str, filters: Sequence[Mapping[str, Any]]) -> int:
        """How many jobs a filter lets through."""
        text = "query($f: [JobFilter!]) { jobs(filter: $f, page: {page: 1, itemsPerPage: 1}) { count } }"
        return int(self.query(username, text, f=filters)["jobs"]["count"])

    def start(self, number: int, hosts: list[str], **more: Any) -> int:
        """Reports the start of a job on beta; returns its database id."""
        job = {
            "jobId": number, "cluster": "beta", "user": "alice", "project": "proj01", "numNodes": len(hosts),
            "numHwthreads": CORES * len(hosts), "walltime": 36000, "shared": "none", "partition": "batch",
            "startTime": int(time.time()), "resources": [{"hostname": host} for host in hosts],
            "metaData": {"jobName": f"live-{number}"},
        } | more  # fmt: skip
        answer = self.api.post("/api/jobs/start_job/", json=job)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def stop(self, number: int, cluster: str = "beta") -> None:
        stop = {"jobId": number, "cluster": cluster, "jobState": "completed", "stopTime": int(time.time())}
        answer = self.api.post("/api/jobs/stop_job/", json=stop)
        assert answer.status_code == 200, answer.text


def _series(host: str, level: float, points: int, id: str | None = None) -> Series:
    """A slow wave around `level`, so that no two curves are alike."""
    shift = sum(map(ord, host + (id or "")))
    wave = 1 + 0.2 * np.sin(np.arange(points) / 5 + shift)
    data = np.round(level * wave, 3).astype(np.float32)
    return Series(host, data, Statistics(float(data.mean()), float(data.min()), float(data.max())), id)


def _data(hosts: list[str], points: int, levels: dict[str, float], **change: Any) -> JobData:
    """`levels`: average per metric and node; without `silent` hosts and `without` metrics."""
    silent, without = change.get("silent", ()), change.get("without", ())
    data: JobData = {}
    speaking = [host for host in hosts if host not in silent]
    for name in _EVERYWHERE:
        if name in without:
            continue
        unit, level = UNITS[name], levels.get(name, 100.0)
        data[name] = {"node": JobMetric(unit, STEP, [_series(host, level, points) for host in speaking])}
        parts = {"flops_any": ("core", CORES), "mem_bw": ("socket", 2)}.get(name)
        if parts and change.get("fine"):
            scope, number = parts
            units = [
                _series(host, level / number, points, str(n)) for host in speaking for n in range(number)
            ]
            data[name][scope] = JobMetric(unit, STEP, units)
    used = change.get("accelerators")
    if used:
        data["acc_utilization"] = {
            "accelerator": JobMetric(
                UNITS["acc_utilization"], STEP,
                [_series(host, level, points, one) for host in hosts for one, level in used.items()],
            )
        }  # fmt: skip
    return data


def _statistics(data: JobData) -> dict[str, JobStatistic]:
    found = {}
    for name, scopes in data.items():
        metric = next(iter(scopes.values()))
        each = [one.statistics for one in metric.series if one.statistics]
        found[name] = JobStatistic(
            metric.unit, sum(one.avg for one in each) / len(each), min(one.min for one in each),
            max(one.max for one in each),
        )  # fmt: skip
    return found


USUAL = {"cpu_load": 6.0, "flops_any": 150.0, "mem_bw": 40.0, "mem_used": 60.0}


def _job(number: int, start: int, duration: int, hosts: list[str], **more: Any) -> Job:
    values: dict[str, Any] = {
        "cluster": "alpha", "subcluster": "main", "partition": "batch", "user": "alice", "project": "proj01",
        "state": "completed", "num_nodes": len(hosts), "num_hwthreads": CORES * len(hosts), "smt": 1,
        "walltime": 24 * HOUR, "monitoring_status": MONITORING_ARCHIVED, "duration": duration,
        "metadata": {"jobName": f"run-{number}", "jobScript": f"#!/bin/bash\nsrun ./{number}\n"},
        **more,
    }  # fmt: skip
    resources = values.pop("resources", None) or [Resource(host) for host in hosts]
    return Job(number, start_time=start, resources=resources, **values)


def _special(now: int) -> list[tuple[str, Job, JobData]]:
    """J2 to J9, all of the last hours, so that they come first in every list."""
    wide = [f"a{number}" for number in range(1, 17)]
    half = [Resource("a20", hwthreads=[0, 1, 2, 3])]
    other = [Resource("a20", hwthreads=[4, 5]), Resource("a20", hwthreads=[6, 7])]
    two = ["a21", "a22", "a23"]
    gpu = [Resource("g1", accelerators=ACCELERATORS)]
    utilisation = dict(zip(ACCELERATORS, (80.0, 70.0, 60.0, 0.1), strict=True))
    power = {**USUAL, "cpu_load": 0.4, "mem_used": 20.0}
    shared: dict[str, Any] = {"shared": "multi_user", "num_nodes": 1, "num_hwthreads": 4}
    hostile = {
        "jobName": HOSTILE,
        "jobScript": f"#!/bin/bash\n# {HOSTILE}\n",
        "message": f"Note {HOSTILE}\nline two",
    }
    half_hour = HOUR // 2
    tags = [Tag("check", HOSTILE)]
    others = {"user": "bob", "project": "proj02"}
    fixed: list[tuple[str, Job, JobData]] = [
        ("J2", _job(5002, now - 6000, half_hour, wide), _data(wide, 30, USUAL, fine=True)),
        (
            "J3",
            _job(5003, now - 9000, half_hour, ["a20"], resources=half, **shared),
            _data(["a20"], 30, USUAL, fine=True),
        ),
        ("J4", _job(5004, now - 7000, half_hour, ["a24"]), {}),
        (
            "J5",
            _job(5005, now - 7200, half_hour, two),
            _data(two, 30, USUAL, silent=["a23"], without=["mem_bw"], fine=True),
        ),
        (
            "J6",
            _job(5006, now - 7400, half_hour, ["g1"], subcluster="gpu", resources=gpu, num_acc=4),
            _data(["g1"], 30, power, accelerators=utilisation, fine=True),
        ),
        (
            "J7",
            _job(5007, now - 7600, half_hour, ["a25"], state="failed", metadata=hostile, tags=tags),
            _data(["a25"], 30, {**USUAL, "mem_used": 210.0, "flops_any": 10.0}),
        ),
        ("J8", _job(5008, now - 7800, half_hour, ["a26"], **others), _data(["a26"], 30, USUAL)),
    ]  # fmt: skip
    for place, resource in enumerate(other):
        more = shared | others | {"num_hwthreads": 2}
        neighbour = _job(5030 + place, now - 9100, half_hour, ["a20"], resources=[resource], **more)
        fixed.append(("", neighbour, _data(["a20"], 30, USUAL)))
    for task in range(5):
        job = _job(5090 + task, now - 8200 + task, half_hour, ["a27"], array_job_id=5090)
        fixed.append(("J9" if task == 0 else "", job, _data(["a27"], 30, USUAL)))
    return fixed


def _many(now: int) -> list[tuple[Job, tuple[str, bytes]]]:
    """The other jobs and their packed curves: one node each, forty days, 600 of them of alice."""

    @cache
    def curves(host: str, level: int) -> tuple[dict[str, JobStatistic], tuple[str, bytes]]:
        data = _data([host], 10, {name: value * level / 4 for name, value in USUAL.items()})
        return _statistics(data), pack_data(data)

    found = []
    odd = {3: (ODD_USER, "proj01"), 4: ("carl", ODD_PROJECT), 5: (FORMULA, "proj03")}
    for number in range(JOBS - 15):
        user, project = (
            ("alice", "proj01") if number % 2 else (f"user{number % 30:02}", f"proj{number % 7:02}")
        )
        user, project = odd.get(number, (user, project))
        beta = number % 10 == 0
        host = f"b{number // 10 % 8 + 1}" if beta else f"a{number % 40 + 1}"
        duration = 60 if number % 25 == 0 else 216_000 if number == 9 else 600 + number * 7
        where = {"cluster": "beta", "subcluster": "small"} if beta else {}
        state = ("completed", "completed", "failed", "timeout")[number % 4]
        start = now - 4 * HOUR - (40 * 86400 * (number + 1)) // JOBS - duration
        job = _job(
            10_000 + number, start, duration, [host], user=user, project=project, state=state, **where
        )  # fmt: skip
        job.statistics, packed = curves(host, number % 4 + 1)
        found.append((job, packed))
    return found


def _write(root: Path, job: Job, packed: tuple[str, bytes]) -> None:
    folder = root / job.cluster / str(job.job_id // 1000) / f"{job.job_id % 1000:03d}" / str(job.start_time)
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(encode_meta(job))
    (folder / packed[0]).write_bytes(packed[1])


def build(folder: Path) -> Centre:
    """Installs, fills and starts a server in `folder`."""
    done = ccserver(folder, "-init")
    assert done.returncode == 0, done.stderr
    root = folder / "var" / "job-archive"
    for cluster in CLUSTERS:
        (root / str(cluster["name"])).mkdir()
        (root / str(cluster["name"]) / "cluster.json").write_text(json.dumps(cluster))
    database = open_database(folder / "var" / "job.db")
    users = UserRepository(database)
    for name, (roles, full, projects) in ACCOUNTS.items():
        # A password only where a test logs in by the form: hashing is slow on purpose.
        users.add(name, roles, "alice" if name == "alice" else "", full, projects=projects)
    users.add("adapter", ["api"])
    now = int(time.time())
    names = {}
    for name, job, data in _special(now):
        job.statistics = _statistics(data)
        _write(root, job, pack_data(data))
        names[job.job_id] = name
    for job, packed in _many(now):
        _write(root, job, packed)
    archive = FileArchive(root)
    archive.open()
    clusters = Clusters.from_documents(archive.cluster_documents())
    outcome = rebuild(database, archive, clusters, MetricData(clusters, None, archive))
    assert (outcome.jobs, outcome.failed) == (JOBS - 1, 0), outcome
    # What is in an archive counts as archived; this one was never monitored.
    database.write(
        lambda connection: connection.execute(
            update(job_table).where(job_table.c.job_id == 5004).values(monitoring_status=MONITORING_DISABLED)
        )
    )
    database.close()
    server = Server(folder)
    server.configure(_configure)
    server.start()
    centre = Centre(server, server.client("adapter"), now)
    _run_one(centre)
    found = centre.query(
        "root1",
        """{ jobs(filter: [{jobId: {in: ["5002","5003","5004","5005","5006","5007","5008","5090"]}}],
                  page: {page: 1, itemsPerPage: 20}) { items { id jobId tags { id } } } }""",
    )
    for row in found["jobs"]["items"]:
        centre.jobs[names[row["jobId"]]] = int(row["id"])
        for tag in row["tags"]:
            centre.tags["hostile"] = int(tag["id"])
    return centre


def _configure(config: dict[str, Any]) -> None:
    config["main"]["short-running-jobs-duration"] = 300
    config["main"]["emission-constant"] = 400
    config.setdefault("ui", {}).update({"density": "compact", "job-view": {"show-footprint": True}})
    config["main"]["resampling"] = {"minimum-points": 60, "trigger": 30, "resolutions": [600, 300, 120, 60]}


def _run_one(centre: Centre) -> None:
    """J1: four nodes of alpha, running for half an hour, with samples in the store."""
    start = centre.now - 1800
    hosts = ["a31", "a32", "a33", "a34"]
    centre.jobs["J1"] = centre.start(5001, hosts, cluster="alpha", startTime=start)
    lines = []
    for moment in range(start - start % STEP, centre.now, STEP):
        wave = 1 + 0.2 * math.sin(moment / 300)
        for host in hosts:
            lines.append(f"cpu_load,hostname={host},type=node value={6 * wave:.3f} {moment}")
            lines.append(f"mem_used,hostname={host},type=node value={60 * wave:.3f} {moment}")
            for core in range(CORES):
                tags = f"hostname={host},type=core,type-id={core}"
                lines.append(f"flops_any,{tags} value={18 * wave:.3f} {moment}")
            for socket in range(2):
                tags = f"hostname={host},type=socket,type-id={socket}"
                lines.append(f"mem_bw,{tags} value={20 * wave:.3f} {moment}")
                lines.append(f"cpu_power,{tags} value={90 * wave:.3f} {moment}")
    answer = centre.api.post("/api/write/", params={"cluster": "alpha"}, content="\n".join(lines) + "\n")
    assert answer.status_code == 200, answer.text
