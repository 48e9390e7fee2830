"""Job-wide numbers: statistics over nodes, footprint, energy. Contract: spec/job-archive.md 11, 12."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from ccserver.clusters import MetricConfig, SubCluster
from ccserver.metricdata.errors import MetricDataError
from ccserver.model.job import Job
from ccserver.model.metrics import NO_STATISTICS, JobData, JobStatistic, Statistics
from ccserver.model.rounding import round2

log = logging.getLogger(__name__)

JobStatistics = Mapping[str, Statistics] | Mapping[str, JobStatistic]


def over_hosts(statistics: Sequence[Statistics]) -> Statistics:
    """Of a running job: mean of the hosts that have data, smallest and largest value; two decimals."""
    if not statistics:
        return NO_STATISTICS
    return Statistics(
        avg=round2(sum(one.avg for one in statistics) / len(statistics)),
        min=round2(min(one.min for one in statistics)),
        max=round2(max(one.max for one in statistics)),
    )


def statistics_for_archive(
    job: Job, data: JobData, metrics: Mapping[str, MetricConfig]
) -> dict[str, JobStatistic]:
    """What `meta.json` says per metric that has node scope.

    The average is over the job's nodes, also over those without data; series without a single value do not
    count in minimum and maximum.
    """
    statistics: dict[str, JobStatistic] = {}
    for name, scopes in data.items():
        if "node" not in scopes:
            continue
        node = scopes["node"]
        known = [s.statistics for s in node.series if s.statistics and not np.isnan(s.data).all()]
        statistics[name] = JobStatistic(
            unit=metrics[name].unit if name in metrics else node.unit,
            avg=round2(sum(one.avg for one in known) / job.num_nodes) if job.num_nodes else 0.0,
            min=min((one.min for one in known), default=0.0),
            max=max((one.max for one in known), default=0.0),
        )
    return statistics


def footprint(subcluster: SubCluster, statistics: JobStatistics) -> dict[str, float]:
    """`<metric>_<statistic>` -> value for the metrics of the sub-cluster's footprint; 0 without statistics.

    Raises MetricDataError where the configured statistic is none of avg, min, max.
    """
    result: dict[str, float] = {}
    for name in subcluster.footprint:
        config = subcluster.metrics.get(name)
        which = (config.footprint if config else "") or "avg"
        one = statistics.get(name)
        if which == "avg":
            value = one.avg if one else 0.0
        elif which == "min":
            value = one.min if one else 0.0
        elif which == "max":
            value = one.max if one else 0.0
        else:
            raise MetricDataError(
                f"sub-cluster {subcluster.name}: metric {name}: footprint {which!r} is none of avg, min, max"
            )
        result[f"{name}_{which}"] = value
    return result


def energy(subcluster: SubCluster, job: Job, statistics: JobStatistics) -> tuple[dict[str, float], float]:
    """kWh per metric of the sub-cluster's energy footprint, and their sum; from mean watts per node."""
    per_metric: dict[str, float] = {}
    for name in subcluster.energy_footprint:
        config = subcluster.metrics.get(name)
        one = statistics.get(name)
        per_metric[name] = 0.0
        if config is not None and config.energy == "energy":
            log.warning("sub-cluster %s: metric %s: energy counters are not added up", subcluster.name, name)
        elif one is not None:
            per_metric[name] = round2(one.avg * job.num_nodes * (job.duration / 3600.0) / 1000.0)
    return per_metric, round2(sum(per_metric.values()))
