"""JSON schemas of `cluster.json`, `meta.json` and `data.json`. Contract: spec/job-archive.md 19.

They say what a perfect archive looks like. Genuine ones have other units and lack metrics, so
reading never depends on them; `main.validate` and `cc-archive-manager -validate` report what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import jsonschema
import msgspec

from ccserver.model.job import JOB_STATES, SHARED
from ccserver.model.metrics import SCOPES

Kind = Literal["cluster", "meta", "data"]
Schema = dict[str, Any]

_SHOWN = 20  # problems of one document


def problems(kind: Kind, raw: bytes) -> list[str]:
    """What in a document breaks its schema, each with its place as a JSON pointer; at most 20, [] if none."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [f"not JSON: {error}"]
    return problems_of(kind, document)


def problems_of(kind: Kind, document: Any) -> list[str]:
    """As `problems`, of a decoded document."""
    found: list[str] = []
    for error in _validator(kind).iter_errors(document):
        place = "".join(f"/{step}" for step in error.absolute_path)
        found.append(f"{place or '/'}: {_short(error.message)}")
        if len(found) == _SHOWN:
            break
    return found


def schema(kind: Kind) -> Schema:
    """The schema itself (draft 2020-12)."""
    return _SCHEMAS[kind]


@cache
def _validator(kind: Kind) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_SCHEMAS[kind])


def _short(message: str) -> str:
    """A message quotes the value that is wrong, which may be a whole array."""
    return message if len(message) <= 200 else f"{message[:120]} ... {message[-60:]}"


def _object(properties: Mapping[str, Schema], required: tuple[str, ...] = (), **more: Any) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required), **more}


def _array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_POSITIVE: Schema = {"type": "integer", "exclusiveMinimum": 0}
_NUMBER: Schema = {"type": "number"}
_NOT_NEGATIVE: Schema = {"type": "number", "minimum": 0}
_SWITCH: Schema = {"type": "boolean"}
_NUMBERS_BY_NAME: Schema = {"type": "object", "additionalProperties": _NUMBER}

_UNIT = _object(
    {
        "base": _one_of("B", "F", "B/s", "F/s", "CPI", "IPC", "Hz", "W", "J", "°C", ""),
        "prefix": _one_of("K", "M", "G", "T", "P", "E"),
    },
    ("base",),
)

# ---- cluster.json

_VALUE = _object({"unit": _UNIT, "value": _NUMBER})
_THRESHOLDS = {name: _NUMBER for name in ("peak", "normal", "caution", "alert")}
# Copying a configuration writes empty texts where nothing was: as good as absent.
_ATTRIBUTES = {
    **_THRESHOLDS,
    "footprint": _one_of("avg", "max", "min", ""),
    "energy": _one_of("power", "energy", ""),
    "lowerIsBetter": _SWITCH,
    "restrict": _SWITCH,
}
_METRIC = _object(
    {
        "name": _TEXT,
        "unit": _UNIT,
        "scope": _one_of(*SCOPES),
        "timestep": _INTEGER,
        "aggregation": _one_of("sum", "avg", ""),
        **_ATTRIBUTES,
        "subClusters": _array(_object({"name": _TEXT, "remove": _SWITCH, **_ATTRIBUTES}, ("name",))),
    },
    ("name", "unit", "scope", "timestep", "aggregation", *_THRESHOLDS),
)
_THREADS = _array(_INTEGER)
_TOPOLOGY = _object(
    {
        "node": _THREADS,
        **{name: _array(_THREADS) for name in ("socket", "memoryDomain", "die", "core")},
        "accelerators": _array(
            _object(
                {"id": _TEXT, "type": _one_of("Nvidia GPU", "AMD GPU", "Intel GPU"), "model": _TEXT},
                ("id", "type", "model"),
            )
        ),
    },
    ("node", "socket", "memoryDomain"),
)
_SUBCLUSTER_REQUIRED: dict[str, Schema] = {
    "name": _TEXT,
    "nodes": _TEXT,
    "processorType": _TEXT,
    **{name: _INTEGER for name in ("socketsPerNode", "coresPerSocket", "threadsPerCore")},
    **{name: _VALUE for name in ("flopRateScalar", "flopRateSimd", "memoryBandwidth")},
    "topology": _TOPOLOGY,
}
_SUBCLUSTER = _object(
    {
        **_SUBCLUSTER_REQUIRED,
        "metricConfig": _array(_METRIC),
        "footprint": _array(_TEXT),
        "energyFootprint": _array(_TEXT),
    },
    tuple(_SUBCLUSTER_REQUIRED),
)
_CLUSTER = _object(
    {
        "name": _TEXT,
        "metricConfig": _array(_METRIC, minItems=1),
        "subClusters": _array(_SUBCLUSTER, minItems=1),
    },
    ("name", "metricConfig", "subClusters"),
)

# ---- what meta.json and data.json share: known metrics and the scopes they come in

_CPU = ("node", "socket", "memoryDomain", "core", "hwthread")
_METRIC_SCOPES: dict[str, tuple[str, ...]] = {
    **{name: _CPU for name in ("flops_any", "flops_dp", "flops_sp", "ipc", "cpu_user", "clock")},
    "vectorization_ratio": _CPU,
    "mem_bw": _CPU[:3],
    "cpu_power": _CPU[:2],
    "mem_power": _CPU[:2],
    **{
        name: ("node",)
        for name in (
            "mem_used", "cpu_load", "net_bw", "eth_read_bw", "eth_write_bw", "ic_rcv_packets",
            "ic_send_packets", "ic_read_bw", "ic_write_bw",
        )
    },
    **{name: ("accelerator",) for name in ("acc_utilization", "acc_mem_used", "acc_power")},
}  # fmt: skip
_BASIC_METRICS = ("cpu_user", "cpu_load", "mem_used", "flops_any", "mem_bw")


def _filesystems(of_metric: Schema) -> Schema:
    names = ("read_bw", "write_bw", "read_req", "write_req", "inodes", "accesses", "fsync")
    metrics = {name: of_metric for name in (*names, "create", "open", "close", "seek")}
    kinds = _one_of("nfs", "lustre", "gpfs", "nvme", "ssd", "hdd", "beegfs")
    required = ("name", "type", "read_bw", "write_bw")
    return _array(_object({"name": _TEXT, "type": kinds, **metrics}, required), minItems=1)


# ---- meta.json

_STATISTIC = _object(
    {"unit": _UNIT, **{name: _NOT_NEGATIVE for name in ("avg", "min", "max")}},
    ("unit", "avg", "min", "max"),
)
_STATISTICS = _object(
    {**{name: _STATISTIC for name in _METRIC_SCOPES}, "filesystems": _filesystems(_STATISTIC)},
    _BASIC_METRICS,
)
_RESOURCE = _object(
    {"hostname": _TEXT, "hwthreads": _THREADS, "accelerators": _array(_TEXT), "configuration": _TEXT},
    ("hostname",),
)
_TAG = _object({"name": _TEXT, "type": _TEXT, "scope": _TEXT, "id": _INTEGER}, ("name", "type"))
_LINK = _object({"id": _INTEGER, "jobId": _INTEGER}, ("id", "jobId"))
_META = _object(
    {
        **{name: _TEXT for name in ("user", "project", "cluster", "subCluster", "partition")},
        **{name: _INTEGER for name in ("jobId", "arrayJobId", "monitoringStatus", "smt", "id", "submitTime")},
        **{
            name: _POSITIVE
            for name in (
                "numNodes", "numHwthreads", "numAcc", "walltime", "startTime", "duration", "requestedMemory",
            )
        },
        "shared": _one_of(*SHARED),
        "jobState": _one_of(*JOB_STATES),
        "resources": _array(_RESOURCE),
        "metaData": _object({name: _TEXT for name in ("jobScript", "jobName", "slurmInfo")}),
        "tags": _array(_TAG, uniqueItems=True),
        "energy": _NUMBER,
        "energyFootprint": _NUMBERS_BY_NAME,
        "footprint": _NUMBERS_BY_NAME,
        "concurrentJobs": _object({"items": _array(_LINK), "count": _INTEGER}, ("items", "count")),
        "statistics": _STATISTICS,
    },
    (
        "jobId", "user", "project", "cluster", "subCluster", "numNodes", "shared", "startTime", "jobState",
        "duration", "resources", "statistics",
    ),
)  # fmt: skip

# ---- data.json

_CURVE = _array(_NOT_NEGATIVE, minItems=3)
_PERCENTS = ("10", "20", "25", "30", "40", "50", "60", "70", "75", "80", "90")
_SERIES = _object(
    {
        "hostname": _TEXT,
        "id": _TEXT,
        "statistics": _object({name: _NOT_NEGATIVE for name in ("avg", "min", "max")}, ("avg", "min", "max")),
        "data": {"type": "array", "contains": _NOT_NEGATIVE, "minItems": 1},
    },
    ("hostname", "statistics", "data"),
)
_JOB_METRIC = _object(
    {
        "unit": _UNIT,
        "timestep": _INTEGER,
        "statisticsSeries": _object(
            {
                **{name: _CURVE for name in ("min", "max", "mean", "median")},
                "percentiles": _object({name: _CURVE for name in _PERCENTS}),
            }
        ),
        "series": _array(_SERIES),
    },
    ("unit", "timestep", "series"),
)


def _by_scope(scopes: tuple[str, ...]) -> Schema:
    required = scopes if len(scopes) == 1 else ()
    properties = {scope: _JOB_METRIC for scope in scopes}
    return _object(properties, required, minProperties=1)


_DATA = _object(
    {
        **{name: _by_scope(scopes) for name, scopes in _METRIC_SCOPES.items()},
        "filesystems": _filesystems(_by_scope(("node",))),
    },
    (*_BASIC_METRICS, "net_bw", "filesystems"),
)

_SCHEMAS: dict[Kind, Schema] = {"cluster": _CLUSTER, "meta": _META, "data": _DATA}
