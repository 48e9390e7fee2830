"""An embeddable in-memory store for node metrics."""

from ccstore.read import InvalidRange
from ccstore.resampling import resample
from ccstore.store import MetricStore
from ccstore.types import (
    CheckpointReport,
    ImportReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    Rejection,
    RestoreReport,
    Run,
    SeriesResult,
    StoredSeries,
    StoreOptions,
    WriteReport,
)

__all__ = [
    "CheckpointReport",
    "ImportReport",
    "InvalidRange",
    "LastValues",
    "Metric",
    "MetricStore",
    "NodeHealth",
    "Query",
    "QueryAnswer",
    "Rejection",
    "RestoreReport",
    "Run",
    "SeriesResult",
    "StoreOptions",
    "StoredSeries",
    "WriteReport",
    "resample",
]
