"""Statistics of many running jobs out of one reading of the store.

Cost model: asking job by job costs 500 us a job, most of it for making and unmaking the request; together 25
us and 4 us per host and metric. Contract: spec/graphql.md 9 (histMetrics), 10.4, 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.metricdata.live import PlannedQuery, query_of
from ccserver.metricdata.source import BlockSource
from ccserver.model.metrics import NO_STATISTICS, Statistics
from ccserver.model.rounding import round2
from ccstore.types import Query


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job wants to know: at most one result per host and metric over [start, now)."""

    start: int
    planned: Iterable[PlannedQuery]


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """Over the hosts that have data, per job and metric: how many they are, the sum of their averages, the
    smallest and the largest value. Shape of each (jobs, metrics)."""

    hosts: NDArray[np.int64]
    averages: NDArray[np.float64]
    smallest: NDArray[np.float64]
    largest: NDArray[np.float64]

    def over_hosts(self, job: int, metric: int) -> Statistics:
        """Mean of the hosts' averages, smallest, largest; two decimals, 0 without data."""
        hosts = int(self.hosts[job, metric])
        if not hosts:
            return NO_STATISTICS
        return Statistics(
            avg=round2(float(self.averages[job, metric]) / hosts),
            min=round2(float(self.smallest[job, metric])),
            max=round2(float(self.largest[job, metric])),
        )

    def sums(self, job: int) -> list[float]:
        """Per metric the sum of the hosts' averages, NaN without data."""
        return np.where(self.hosts[job] > 0, self.averages[job], np.nan).tolist()  # type: ignore[no-any-return]


def host_statistics(
    source: BlockSource, cluster: str, jobs: Sequence[JobRequest], metrics: Sequence[str], now: int
) -> HostStatistics:
    """One reading for all of `jobs`. Raises ValueError for windows the store refuses."""
    columns = {name: column for column, name in enumerate(metrics)}
    queries: list[Query] = []
    starts: list[int] = []
    rows: list[int] = []
    places: list[int] = []
    for row, job in enumerate(jobs):
        for planned in job.planned:
            queries.append(query_of(planned))
            starts.append(min(job.start, now))
            rows.append(row)
            places.append(columns[planned.metric.name])
    shape = (len(jobs), len(metrics))
    found = HostStatistics(
        np.zeros(shape, np.int64), np.zeros(shape), np.full(shape, np.inf), np.full(shape, -np.inf)
    )
    if queries:
        statistics = source.statistics(cluster, queries, np.array(starts, np.int64), now)
        known = ~np.isnan(statistics).any(axis=1)
        at = (np.array(rows)[known], np.array(places)[known])
        average, smallest, largest = statistics[known].T
        np.add.at(found.hosts, at, 1)
        np.add.at(found.averages, at, average)
        np.minimum.at(found.smallest, at, smallest)
        np.maximum.at(found.largest, at, largest)
    return found
