"""An embeddable in-memory store for node metrics."""

from ccstore.claim import DirectoryInUse
from ccstore.lines import whole_lines
from ccstore.read import InvalidRange
from ccstore.resampling import resample
from ccstore.store import MetricStore
from ccstore.types import (
    CheckpointReport,
    CleanupReport,
    ClusterUsage,
    ImportReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    Rejection,
    RestoreProgress,
    RestoreReport,
    Run,
    SeriesResult,
    StoredSeries,
    StoreOptions,
    WriteReport,
)

__all__ = [
    "CheckpointReport",
    "CleanupReport",
    "ClusterUsage",
    "DirectoryInUse",
    "ImportReport",
    "InvalidRange",
    "LastValues",
    "Metric",
    "MetricStore",
    "NodeHealth",
    "Query",
    "QueryAnswer",
    "Rejection",
    "RestoreProgress",
    "RestoreReport",
    "Run",
    "SeriesResult",
    "StoreOptions",
    "StoredSeries",
    "WriteReport",
    "resample",
    "whole_lines",
]
