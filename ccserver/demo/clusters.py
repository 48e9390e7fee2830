"""The two clusters of the demo: what they are made of and their `cluster.json` (spec/job-archive.md 6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIMULATED = "noether"
SIMULATED_STEP = 30
SOCKETS = 2
CORES_PER_SOCKET = 8
THREADS = SOCKETS * CORES_PER_SOCKET
ACCELERATORS = ("00000000:0E:00.0", "00000000:13:00.0", "00000000:8E:00.0", "00000000:93:00.0")
CPU_NODES = tuple(f"n{number:03d}" for number in range(1, 49))
GPU_NODES = tuple(f"g{number:02d}" for number in range(1, 17))

# Peak values of one node; the curves of the simulation stay below them.
PEAK_FLOPS = 1228.8
PEAK_BANDWIDTH = 160.0
NODE_MEMORY = 128.0

LOCAL = "local"
LOCAL_STEP = 5

_G_FLOPS = {"base": "F/s", "prefix": "G"}
_G_BYTES = {"base": "B", "prefix": "G"}
_G_BANDWIDTH = {"base": "B/s", "prefix": "G"}
_M_BANDWIDTH = {"base": "B/s", "prefix": "M"}
_WATT = {"base": "W"}


@dataclass(frozen=True, slots=True)
class Machine:
    """This computer as a cluster node; processor numbers are the operating system's."""

    hostname: str
    processor: str
    threads: list[int]
    sockets: list[list[int]]
    memory_domains: list[list[int]]
    cores: list[list[int]]
    memory: float  # GB


def node_name(hostname: str) -> str:
    """A host name reduced to what node lists allow: letters, digits and inner hyphens."""
    short = hostname.split(".")[0]
    return re.sub(r"[^A-Za-z0-9-]", "-", short).strip("-") or "localhost"


def simulated_cluster() -> dict[str, Any]:
    """`cluster.json` of the simulated cluster: 48 CPU nodes, 16 nodes with four accelerators each."""
    threads = list(range(THREADS))
    sockets = [threads[:CORES_PER_SOCKET], threads[CORES_PER_SOCKET:]]
    topology: dict[str, Any] = {
        "node": threads,
        "socket": sockets,
        "memoryDomain": sockets,
        "core": [[thread] for thread in threads],
    }
    accelerators = [{"id": each, "type": "Nvidia GPU", "model": "simulated 40 GB"} for each in ACCELERATORS]
    rates = {
        "processorType": "simulated, 2 x 8 cores at 2.4 GHz",
        "socketsPerNode": SOCKETS,
        "coresPerSocket": CORES_PER_SOCKET,
        "threadsPerCore": 1,
        "flopRateScalar": {"unit": _G_FLOPS, "value": 153.6},
        "flopRateSimd": {"unit": _G_FLOPS, "value": PEAK_FLOPS},
        "memoryBandwidth": {"unit": _G_BANDWIDTH, "value": PEAK_BANDWIDTH},
    }
    return {
        "name": SIMULATED,
        "metricConfig": _simulated_metrics(),
        "subClusters": [
            {"name": "main", "nodes": "n[001-048]", **rates, "topology": topology},
            {
                "name": "gpu",
                "nodes": "g[01-16]",
                **rates,
                "topology": {**topology, "accelerators": accelerators},
            },
        ],
    }


def local_cluster(machine: Machine) -> dict[str, Any]:
    """`cluster.json` of this machine; its peak rates are rough figures, for there is no counter for them."""
    count = len(machine.threads)
    sockets = max(1, len(machine.sockets))
    cores = max(1, len(machine.cores))
    memory = max(1.0, machine.memory)
    step = LOCAL_STEP

    def thirds(peak: float) -> dict[str, float]:
        return {"peak": peak, "normal": peak * 0.5, "caution": peak * 0.8, "alert": peak * 0.95}

    metrics = [
        _metric(
            "cpu_load", {"base": ""}, "node", step, "avg", (count, count, count * 0.25, count * 0.1), "avg"
        ),
        _metric("cpu_user", {"base": "%"}, "hwthread", step, "avg", (100, 50, 10, 5), "avg"),
        {
            **_metric("mem_used", _G_BYTES, "node", step, "sum", (0, 0, 0, 0), "max"),
            **{name: round(value, 1) for name, value in thirds(memory).items()},
            "lowerIsBetter": True,
        },
        _metric("net_bw", _M_BANDWIDTH, "node", step, "sum", (125, 10, 1, 0.1), ""),
        _metric("disk_read_bw", _M_BANDWIDTH, "node", step, "sum", (500, 50, 5, 0.5), ""),
        _metric("disk_write_bw", _M_BANDWIDTH, "node", step, "sum", (500, 50, 5, 0.5), ""),
    ]
    return {
        "name": LOCAL,
        "metricConfig": metrics,
        "subClusters": [
            {
                "name": "host",
                "nodes": machine.hostname,
                "processorType": machine.processor,
                "socketsPerNode": sockets,
                "coresPerSocket": max(1, cores // sockets),
                "threadsPerCore": max(1, count // cores),
                "flopRateScalar": {"unit": _G_FLOPS, "value": 4.0 * cores},
                "flopRateSimd": {"unit": _G_FLOPS, "value": 32.0 * cores},
                "memoryBandwidth": {"unit": _G_BANDWIDTH, "value": 20.0 * sockets},
                "topology": {
                    "node": machine.threads,
                    "socket": machine.sockets,
                    "memoryDomain": machine.memory_domains,
                    "core": machine.cores,
                },
            }
        ],
    }


def this_machine(hostname: str, memory_bytes: int, processors: int) -> Machine:
    """Reads the topology from Linux' sysfs; elsewhere every processor is a core of one socket."""
    threads = _listed(Path("/sys/devices/system/cpu/online")) or list(range(processors))
    base = Path("/sys/devices/system/cpu")
    sockets: dict[int, list[int]] = {}
    cores: dict[tuple[int, int], list[int]] = {}
    for thread in threads:
        package = _number(base / f"cpu{thread}/topology/physical_package_id", 0)
        core = _number(base / f"cpu{thread}/topology/core_id", thread)
        sockets.setdefault(package, []).append(thread)
        cores.setdefault((package, core), []).append(thread)
    listed = [_listed(path) for path in sorted(Path("/sys/devices/system/node").glob("node[0-9]*/cpulist"))]
    domains = [domain for domain in listed if domain]
    return Machine(
        hostname=node_name(hostname),
        processor=_processor(),
        threads=threads,
        sockets=list(sockets.values()),
        memory_domains=domains or [threads],
        cores=list(cores.values()),
        memory=round(memory_bytes / 1e9, 1),
    )


def _metric(
    name: str,
    unit: dict[str, str],
    scope: str,
    step: int,
    aggregation: str,
    limits: tuple[float, float, float, float],
    footprint: str,
) -> dict[str, Any]:
    peak, normal, caution, alert = limits
    metric: dict[str, Any] = {
        "name": name,
        "unit": unit,
        "scope": scope,
        "timestep": step,
        "aggregation": aggregation,
        "peak": peak,
        "normal": normal,
        "caution": caution,
        "alert": alert,
    }
    return {**metric, "footprint": footprint} if footprint else metric


def _simulated_metrics() -> list[dict[str, Any]]:
    step = SIMULATED_STEP
    accelerator_only = {"subClusters": [{"name": "main", "remove": True}]}
    return [
        _metric("cpu_load", {"base": ""}, "node", step, "avg", (THREADS, THREADS, 8, 4), "avg"),
        _metric("cpu_user", {"base": "%"}, "hwthread", step, "avg", (100, 80, 30, 10), ""),
        _metric("flops_any", _G_FLOPS, "hwthread", step, "sum", (PEAK_FLOPS, 200, 40, 5), "avg"),
        _metric("ipc", {"base": "IPC"}, "hwthread", step, "avg", (4, 2, 0.8, 0.4), ""),
        _metric("mem_bw", _G_BANDWIDTH, "socket", step, "sum", (PEAK_BANDWIDTH, 60, 20, 2), "avg"),
        {
            **_metric("mem_used", _G_BYTES, "node", step, "sum", (NODE_MEMORY, 64, 100, 120), "max"),
            "lowerIsBetter": True,
        },
        _metric("clock", {"base": "Hz", "prefix": "M"}, "socket", step, "avg", (3200, 2400, 1800, 1200), ""),
        _metric("net_bw", _M_BANDWIDTH, "node", step, "sum", (12500, 500, 50, 5), ""),
        _metric("file_bw", _M_BANDWIDTH, "node", step, "sum", (5000, 100, 10, 1), ""),
        {**_metric("cpu_power", _WATT, "socket", step, "sum", (480, 350, 200, 120), ""), "energy": "power"},
        {**_metric("mem_power", _WATT, "socket", step, "sum", (80, 50, 30, 15), ""), "energy": "power"},
        {
            **_metric("acc_utilization", {"base": "%"}, "accelerator", step, "avg", (100, 80, 40, 10), "avg"),
            **accelerator_only,
        },
        {
            **_metric("acc_mem_used", _G_BYTES, "accelerator", step, "sum", (160, 80, 10, 2), ""),
            **accelerator_only,
        },
        {
            **_metric("acc_power", _WATT, "accelerator", step, "sum", (1600, 1000, 500, 260), ""),
            "energy": "power",
            **accelerator_only,
        },
    ]


def _listed(path: Path) -> list[int]:
    """A processor list of the kernel such as `0-3,8`."""
    try:
        text = path.read_text().strip()
    except OSError:
        return []
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def _number(path: Path, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return otherwise


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "unknown processor"
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else "unknown processor"
