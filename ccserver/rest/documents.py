"""Schemas of what REST answers with: jobs, metric data, clusters, accounts. Source: spec/rest-api.md 2, 4."""

from __future__ import annotations

from ccserver.model.job import JOB_STATES, SHARED
from ccserver.model.metrics import SCOPES
from ccserver.model.strict import INT32, INT64, NUMBER, TEXT, Schema, nullable
from ccserver.rest.table import described, keyed, listed

NOTHING: Schema = {"type": "null"}
UNIT = described("Unit", {"base": TEXT}, {"prefix": TEXT})
TAG = described("Tag", {"type": TEXT, "name": TEXT, "scope": TEXT, "id": INT64})
RESOURCE = described(
    "Resource",
    {"hostname": TEXT},
    {"hwthreads": listed(INT32), "accelerators": listed(TEXT), "configuration": TEXT},
)
STATISTIC = described("JobStatistic", {"unit": UNIT, "avg": NUMBER, "min": NUMBER, "max": NUMBER})
JOB = described(
    "Job",
    {
        "id": INT64,
        "jobId": INT64,
        "cluster": TEXT,
        "subCluster": TEXT,
        "project": TEXT,
        "user": TEXT,
        "shared": {"type": "string", "enum": list(SHARED)},
        "jobState": {"type": "string", "enum": list(JOB_STATES)},
        "startTime": INT64,
        "duration": {"type": "integer", "description": "seconds; of a running job: until now"},
        "numNodes": INT32,
        "resources": listed(RESOURCE),
        "metaData": nullable(keyed(TEXT)),
        "footprint": nullable(keyed(NUMBER)),
        "energyFootprint": nullable(keyed(NUMBER)),
        "energy": {"type": "number", "description": "kWh"},
        "statistics": nullable(keyed(STATISTIC)),
        "concurrentJobs": described("", {"items": NOTHING, "count": {"type": "integer"}}),
    },
    {
        "partition": TEXT,
        "submitTime": INT64,
        "walltime": INT64,
        "requestedMemory": INT64,
        "numHwthreads": INT32,
        "numAcc": INT32,
        "smt": INT32,
        "arrayJobId": INT64,
        "monitoringStatus": {"type": "integer", "enum": [0, 1, 2, 3]},
        "tags": listed(TAG),
    },
)

_NUMBERS = listed({"type": ["number", "null"]})
_SERIES = described(
    "Series",
    {
        "hostname": TEXT,
        "statistics": described("", {"min": NUMBER, "avg": NUMBER, "max": NUMBER}),
        "data": _NUMBERS,
    },
    {"id": TEXT},
)
JOB_METRIC = described(
    "JobMetric",
    {"unit": UNIT, "timestep": {"type": "integer"}, "series": listed(_SERIES)},
    {
        "statisticsSeries": described(
            "",
            {},
            {
                "min": _NUMBERS,
                "mean": _NUMBERS,
                "median": _NUMBERS,
                "max": _NUMBERS,
                "percentiles": keyed(_NUMBERS),
            },
        )
    },
)
NAMED_METRIC = described(
    "NamedJobMetric",
    {"metric": JOB_METRIC, "name": TEXT, "scope": {"type": "string", "enum": list(SCOPES)}},
)

_METRIC = described(
    "MetricConfig",
    {
        "name": TEXT,
        "unit": UNIT,
        "scope": TEXT,
        "aggregation": TEXT,
        "timestep": {"type": "integer"},
        "peak": NUMBER,
        "normal": NUMBER,
        "caution": NUMBER,
        "alert": NUMBER,
        "energy": TEXT,
        "restrict": {"type": "boolean"},
        "lowerIsBetter": {"type": "boolean"},
    },
    {"footprint": TEXT, "subClusters": listed({"type": "object"})},
)
_VALUE = described("MetricValue", {"unit": UNIT, "value": NUMBER})
_INTEGERS = listed({"type": "integer"})
_TOPOLOGY = described(
    "Topology",
    {
        "node": _INTEGERS,
        "socket": listed(_INTEGERS),
        "memoryDomain": listed(_INTEGERS),
        "core": listed(_INTEGERS),
    },
    {
        "die": listed({"anyOf": [_INTEGERS, NOTHING]}),
        "accelerators": listed(described("Accelerator", {"id": TEXT, "type": TEXT, "model": TEXT})),
    },
)
CLUSTER = described(
    "Cluster",
    {
        "name": TEXT,
        "metricConfig": listed(_METRIC),
        "subClusters": listed(
            described(
                "SubCluster",
                {
                    "name": TEXT,
                    "nodes": TEXT,
                    "processorType": TEXT,
                    "topology": _TOPOLOGY,
                    "flopRateScalar": _VALUE,
                    "flopRateSimd": _VALUE,
                    "memoryBandwidth": _VALUE,
                    "socketsPerNode": {"type": "integer"},
                    "coresPerSocket": {"type": "integer"},
                    "threadsPerCore": {"type": "integer"},
                },
                {"metricConfig": listed(_METRIC), "footprint": listed(TEXT), "energyFootprint": listed(TEXT)},
            )
        ),
    },
)
USER = described(
    "User",
    {
        "username": TEXT,
        "name": TEXT,
        "email": TEXT,
        "roles": listed(TEXT),
        "projects": listed(TEXT),
        "authType": {"type": "integer"},
        "authSource": {"type": "integer"},
    },
)
