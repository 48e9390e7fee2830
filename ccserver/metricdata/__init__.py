"""Metric data of jobs and nodes, from the metric store while a job runs, from the archive afterwards."""

from ccserver.metricdata.cache import CacheCounters
from ccserver.metricdata.errors import MetricDataError
from ccserver.metricdata.service import ClusterTotal, ClusterTotals, MetricData, ScopedStatistic
from ccserver.metricdata.source import MetricSource

__all__ = [
    "CacheCounters",
    "ClusterTotal",
    "ClusterTotals",
    "MetricData",
    "MetricDataError",
    "MetricSource",
    "ScopedStatistic",
]
