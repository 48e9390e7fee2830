"""What must hold of a job before it is stored. Contract: spec/rest-api.md 5.1, spec/job-archive.md 15."""

from __future__ import annotations

from ccserver.clusters import ClusterError, Clusters
from ccserver.model.job import JOB_STATES, SHARED, Job


class InvalidJob(ValueError):
    """A job does not fit the clusters of this site or contradicts itself; clients print the message."""


def check_job(job: Job, clusters: Clusters) -> None:
    """Raise InvalidJob unless the job can be stored; assigns the subcluster where none is given."""
    if job.cluster not in clusters:
        raise InvalidJob(f"no such cluster: {job.cluster}")
    try:
        job.subcluster = clusters.assign_subcluster(job.cluster, job.subcluster, job.resources)
    except ClusterError as error:
        raise InvalidJob(str(error)) from error
    if job.state not in JOB_STATES:
        raise InvalidJob(f"not a valid job state: {job.state}")
    if not job.resources or not job.user:
        raise InvalidJob("'resources' and 'user' should not be empty")
    if job.num_nodes < 1 or job.num_acc < 0 or job.num_hwthreads < 0:
        raise InvalidJob("'numNodes', 'numAcc' or 'numHWThreads' invalid")
    if len(job.resources) != job.num_nodes:
        raise InvalidJob(f"len(resources) does not equal numNodes ({len(job.resources)} vs {job.num_nodes})")
    if job.shared not in SHARED:
        raise InvalidJob(f"'shared' invalid: {job.shared!r} is none of {', '.join(SHARED)}")
    if not 0 <= job.monitoring_status <= 3:
        raise InvalidJob(f"'monitoringStatus' invalid: {job.monitoring_status} is not between 0 and 3")
    if job.smt < 0:
        raise InvalidJob(f"'smt' invalid: {job.smt} is negative")
