"""Keeps footprint and energy of running jobs up to date. Contract: spec/job-archive.md 13, spec/README.md."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ccserver.cancelling import stop_when_cancelled
from ccserver.clusters import Clusters
from ccserver.jobs.filters import IntRange, JobFilter, StringInput
from ccserver.jobs.repository import JobRepository
from ccserver.model.job import MONITORING_RUNNING, Job
from ccserver.model.metrics import NO_STATISTICS, Statistics

log = logging.getLogger(__name__)

MINIMUM_DURATION = 600  # seconds a job must have run


class FootprintSource(Protocol):
    """What the worker needs of the metric data service."""

    def job_statistics(self, job: Job, metrics: Sequence[str]) -> Mapping[str, Statistics]: ...

    def footprint(self, job: Job, statistics: Mapping[str, Statistics]) -> dict[str, float]: ...

    def energy(self, job: Job, statistics: Mapping[str, Statistics]) -> tuple[dict[str, float], float]: ...


@dataclass(slots=True)
class FootprintRun:
    """How many jobs were updated and how many skipped for lack of data or an error."""

    updated: int = 0
    skipped: int = 0


def update_footprints(jobs: JobRepository, clusters: Clusters, metric_data: FootprintSource) -> FootprintRun:
    """Recompute footprint and energy of running jobs older than 600 s, one transaction per cluster.

    Ends between two jobs when the trio task that runs it is cancelled: thousands of jobs take a while.
    """
    run = FootprintRun()
    for cluster in clusters.names():
        metrics = list(clusters[cluster].metrics)
        chosen = JobFilter(
            cluster=StringInput(eq=cluster), state=["running"], duration=IntRange(from_=MINIMUM_DURATION + 1)
        )
        updated = [job for job in jobs.iterate([chosen]) if _refreshed(job, metrics, metric_data, run)]
        if updated:
            jobs.update_footprints(updated)
        run.updated += len(updated)
    if run.skipped:
        log.warning("footprints of %d running jobs could not be updated", run.skipped)
    return run


def _refreshed(job: Job, metrics: Sequence[str], metric_data: FootprintSource, run: FootprintRun) -> bool:
    if job.monitoring_status != MONITORING_RUNNING:
        return False
    stop_when_cancelled()
    try:
        statistics = metric_data.job_statistics(job, metrics)
        if all(one == NO_STATISTICS for one in statistics.values()):
            raise LookupError("no metric has data")
        job.footprint = metric_data.footprint(job, statistics)
        job.energy_footprint, job.energy = metric_data.energy(job, statistics)
    except Exception as error:
        log.debug("job %d: footprint not updated: %s", job.id, error)
        run.skipped += 1
        return False
    return True
