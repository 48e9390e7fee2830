"""A small cluster with overrides, as `cluster.json` would describe it; tests change copies of it."""

from __future__ import annotations

import copy
from typing import Any

_GIGAFLOPS = {"base": "F/s", "prefix": "G"}


def demo() -> dict[str, Any]:
    return copy.deepcopy(_DEMO)


def metric(name: str, scope: str = "node", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "unit": {"base": ""},
        "scope": scope,
        "timestep": 60,
        "aggregation": "avg",
        "peak": 8,
        "normal": 6,
        "caution": 4,
        "alert": 2,
        **more,
    }


def subcluster(name: str, nodes: str, topology: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "nodes": nodes,
        "processorType": "Demo CPU",
        "socketsPerNode": 2,
        "coresPerSocket": 4,
        "threadsPerCore": 1,
        "flopRateScalar": {"unit": _GIGAFLOPS, "value": 32},
        "flopRateSimd": {"unit": _GIGAFLOPS, "value": 512},
        "memoryBandwidth": {"unit": {"base": "B/s", "prefix": "G"}, "value": 80},
        "topology": topology,
    }


_SMALL_NODE = {
    "node": list(range(8)),
    "socket": [[0, 1, 2, 3], [4, 5, 6, 7]],
    "memoryDomain": [[0, 1, 2, 3], [4, 5, 6, 7]],
    "core": [[i] for i in range(8)],
}
_BIG_NODE = {
    "node": list(range(8)),
    "socket": [list(range(8))],
    "memoryDomain": [list(range(8))],
    "core": [[0, 4], [1, 5], [2, 6], [3, 7]],
    "accelerators": [{"id": "00000000:0E:00.0", "type": "Nvidia GPU", "model": "A100"}],
}
_DEMO: dict[str, Any] = {
    "name": "demo",
    "metricConfig": [
        metric("cpu_load", footprint="avg"),
        metric(
            "mem_used",
            unit={"base": "B", "prefix": "G"},
            aggregation="sum",
            footprint="max",
            lowerIsBetter=True,
            subClusters=[{"name": "big", "footprint": "max", "lowerIsBetter": True, "peak": 512}],
        ),
        metric("cpu_user", "hwthread", restrict=True),
        metric(
            "flops_any",
            "hwthread",
            unit=_GIGAFLOPS,
            aggregation="sum",
            footprint="avg",
            subClusters=[{"name": "big", "peak": 1024, "normal": 200, "caution": 40, "alert": 10}],
        ),
        metric(
            "mem_bw",
            "socket",
            unit={"base": "B/s", "prefix": "G"},
            aggregation="sum",
            footprint="avg",
            subClusters=[{"name": "big", "remove": True}],
        ),
        metric("cpu_power", "socket", unit={"base": "W"}, aggregation="sum", energy="power"),
        metric("acc_power", "accelerator", unit={"base": "W"}, aggregation="sum", energy="power"),
    ],
    "subClusters": [
        subcluster("small", "d[01-16]", _SMALL_NODE),
        subcluster("big", "d[17-20],dbig-[1-2]", _BIG_NODE),
    ],
}
