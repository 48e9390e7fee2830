"""Reads what the hints of a job are made of. Contract: spec/web-ui.md 9.4."""

from __future__ import annotations

from dataclasses import replace

from ccserver.archive import ArchiveError, JobArchive
from ccserver.clusters import SubCluster
from ccserver.config.sections import HintRules
from ccserver.jobs.verdict import ACCELERATOR_METRIC, NODE_METRICS, EfficiencyHint, judge
from ccserver.metricdata import MetricData, MetricDataError
from ccserver.model.job import Job


def hints_of_job(
    metric_data: MetricData,
    archive: JobArchive,
    job: Job,
    subcluster: SubCluster,
    now: float,
    rules: HintRules,
) -> list[EfficiencyHint] | None:
    """All hints of a job, the gravest first; None for one that is too young or has no data."""
    scopes = ["node", "accelerator"] if job.num_acc else ["node"]
    try:
        data = metric_data.job_data(job, [*NODE_METRICS, ACCELERATOR_METRIC], scopes)
    except MetricDataError:
        return None
    known = job if job.reads_store else _with_requested_memory(archive, job)
    return judge(known, subcluster, data, now, rules)


def _with_requested_memory(archive: JobArchive, job: Job) -> Job:
    """Only the archive keeps it."""
    try:
        meta = archive.load_meta(job.cluster, job.job_id, job.start_time)
    except ArchiveError:
        return job
    return replace(job, requested_memory=meta.requested_memory)
