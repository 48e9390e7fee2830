"""An embeddable in-memory store for node metrics."""

from ccstore.read import InvalidRange
from ccstore.resampling import resample
from ccstore.store import MetricStore
from ccstore.types import (
    CheckpointReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    Rejection,
    RestoreReport,
    SeriesResult,
    StoreOptions,
    WriteReport,
)

__all__ = [
    "CheckpointReport",
    "InvalidRange",
    "LastValues",
    "Metric",
    "MetricStore",
    "NodeHealth",
    "Query",
    "QueryAnswer",
    "Rejection",
    "RestoreReport",
    "SeriesResult",
    "StoreOptions",
    "WriteReport",
    "resample",
]
