"""The installation the demo runs: made once by the server's own command line, then found again.

The directory is an installation directory like any other: config.json, .env and var/ with database, job
archive and checkpoints; beside them the demo's own state and the logs of its programs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from ccserver.demo import clusters, state
from ccserver.demo.children import program
from ccserver.demo.clusters import Machine
from ccserver.demo.errors import DemoError
from ccserver.demo.state import State

ARCHIVE_VERSION = "3"
ADAPTER = "demo-adapter"
USERS = ("demo:admin,api:demo", "alice:user:alice", "support:support:support", f"{ADAPTER}:api:")
BROKER_HOST = "127.0.0.1"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installation:
    directory: Path
    host: str
    port: int
    broker_port: int
    token: str


async def prepare(
    directory: Path, host: str, port: int, machine: Machine, source: Path | None, say: Say
) -> State:
    """Makes or finds the installation and points it at the addresses of this start. Raises DemoError."""
    found = state.load(directory)
    if found is None and any((directory / name).exists() for name in ("config.json", "var")):
        raise DemoError(f"{directory} holds an installation that is not a demo; choose another --directory")
    if found is not None and found.stage == "setup":
        _remove_half_made(directory)
        found = None
    if found is None:
        say(f"setting up the demo in {directory}")
        found = await _make(directory, machine, source)
    elif source is not None and found.imported != str(source):
        say("DEMO_ARCHIVE is read at the first start of a directory only; it is left alone now")
    if not _free(BROKER_HOST, found.broker_port):
        found.broker_port = free_port(BROKER_HOST)
    _point_at(directory, host, port, found.broker_port)
    _write_cluster(directory, clusters.local_cluster(machine))  # the machine may have changed
    found.save(directory)
    return found


async def adapter_token(directory: Path) -> str:
    """A fresh API token of the account that stands for the batch system's adapter."""
    output = await _ccserver(directory, "-jwt", ADAPTER)
    for line in output.splitlines():
        word = (line.split() or [""])[-1]
        if word.count(".") == 2 and word.startswith("ey"):
            return word
    raise DemoError(f"`ccserver -jwt {ADAPTER}` printed no token:\n{output}")


def free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def port_is_free(host: str, port: int) -> bool:
    return _free(host, port)


async def _make(directory: Path, machine: Machine, source: Path | None) -> State:
    fresh = State(seed=int.from_bytes(os.urandom(3), "big"), broker_port=free_port(BROKER_HOST))
    fresh.save(directory)
    await _ccserver(directory, "-init")
    _edit(directory / "config.json", _configure)
    archive = directory / "var" / "job-archive"
    archive.mkdir(parents=True, exist_ok=True)
    (archive / "version.txt").write_text(f"{ARCHIVE_VERSION}\n")
    _write_cluster(directory, clusters.simulated_cluster())
    _write_cluster(directory, clusters.local_cluster(machine))
    if source is not None:
        await trio.to_thread.run_sync(_import, source, archive)
        fresh.imported = str(source)
    await _ccserver(directory, "-migrate-db")
    for number, user in enumerate(USERS):
        rebuild = ("-init-db",) if source is not None and number == 0 else ()
        await _ccserver(directory, *rebuild, "-add-user", user)
    fresh.stage = "ready"
    return fresh


def _configure(config: dict[str, Any]) -> None:
    # Jobs of the demo are short: show them at once, and let footprints follow while one watches.
    config["main"]["short-running-jobs-duration"] = 30
    config["cron"] = {"commit-job-worker": "1m", "duration-worker": "1m", "footprint-worker": "2m"}
    config["metric-store"] = {
        **config.get("metric-store", {}),
        "retention-in-memory": "48h",
        "memory-cap": 4,
        "nats-subscriptions": [
            {"subscribe-to": subject(name), "cluster-tag": name}
            for name in (clusters.SIMULATED, clusters.LOCAL)
        ],
    }
    local = ["cpu_load", "cpu_user", "mem_used", "disk_write_bw"]
    gpu = ["acc_utilization", "acc_mem_used", "cpu_load", "mem_used"]
    config["ui"] = {
        "status-for-support": True,
        "density": "compact",
        "job-view": {"show-footprint": True},
        "metric-config": {
            "clusters": [
                {
                    "name": clusters.LOCAL,
                    "job-list-metrics": local,
                    "job-view-plot-metrics": [*local, "disk_read_bw", "net_bw"],
                    "job-view-table-metrics": local[:3],
                },
                {
                    "name": clusters.SIMULATED,
                    "job-list-metrics": ["cpu_load", "flops_any", "mem_bw", "mem_used"],
                    "job-view-plot-metrics": [
                        "cpu_load",
                        "cpu_user",
                        "flops_any",
                        "mem_bw",
                        "mem_used",
                        "net_bw",
                    ],
                    "job-view-table-metrics": ["flops_any", "mem_bw", "mem_used"],
                    "sub-clusters": [
                        {
                            "name": "gpu",
                            "job-list-metrics": gpu,
                            "job-view-plot-metrics": [*gpu, "acc_power", "cpu_user"],
                            "job-view-table-metrics": gpu[:3],
                        }
                    ],
                },
            ]
        },
    }


def subject(cluster: str) -> str:
    return f"{cluster}.metrics"


def _point_at(directory: Path, host: str, port: int, broker_port: int) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["main"]["addr"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        config["nats"] = {"address": f"nats://{BROKER_HOST}:{broker_port}"}

    _edit(directory / "config.json", edit)


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config, indent=2) + "\n")


def _write_cluster(directory: Path, document: dict[str, Any]) -> None:
    folder = directory / "var" / "job-archive" / str(document["name"])
    folder.mkdir(exist_ok=True)
    (folder / "cluster.json").write_text(json.dumps(document, indent=1) + "\n")


def _import(source: Path, archive: Path) -> None:
    """Copies the clusters of another archive beside ours; the source is only read."""
    try:
        version = (source / "version.txt").read_text().strip()
    except OSError as error:
        raise DemoError(f"DEMO_ARCHIVE={source}: {error.strerror}, this is no job archive") from error
    if version != ARCHIVE_VERSION:
        raise DemoError(f"DEMO_ARCHIVE={source} has version {version}, need {ARCHIVE_VERSION}")
    for cluster in sorted(source.iterdir()):
        if not (cluster / "cluster.json").is_file():
            continue
        if (archive / cluster.name).exists():
            raise DemoError(f"DEMO_ARCHIVE={source} has a cluster {cluster.name}, which is the demo's own")
        shutil.copytree(cluster, archive / cluster.name)


def _remove_half_made(directory: Path) -> None:
    """What an interrupted first start left; nothing else in the directory is touched."""
    shutil.rmtree(directory / "var", ignore_errors=True)
    for name in ("config.json", ".env", state.FILE):
        (directory / name).unlink(missing_ok=True)


def _free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


async def _ccserver(directory: Path, *arguments: str) -> str:
    """Runs one action of the server's command line and returns its output. Raises DemoError."""
    result = await trio.run_process(
        [program("ccserver"), *arguments],
        cwd=directory,
        stdin=b"",
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
        start_new_session=True,
    )
    output = (result.stdout or b"").decode(errors="replace")
    if result.returncode:
        shown = " ".join(["ccserver", *(each.split(":")[0] for each in arguments)])
        raise DemoError(f"`{shown}` failed with exit code {result.returncode}:\n{output.strip()}")
    return output
