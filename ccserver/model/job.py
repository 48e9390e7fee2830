"""The job record: plain fields. Wire names and which keys are omitted live in `ccserver.jobs.wire`."""

from __future__ import annotations

from dataclasses import dataclass

from ccserver.model.metrics import JobStatistic

JOB_STATES = (
    "boot_fail", "cancelled", "completed", "deadline", "failed", "node_fail",
    "out_of_memory", "pending", "preempted", "running", "suspended", "timeout",
)  # fmt: skip
SHARED = ("none", "single_user", "multi_user")

MONITORING_DISABLED, MONITORING_RUNNING, MONITORING_FAILED, MONITORING_ARCHIVED = 0, 1, 2, 3


@dataclass(slots=True)
class Resource:
    """A host of a job; `hwthreads` None means the whole node, `accelerators` are topology ids."""

    hostname: str
    hwthreads: list[int] | None = None
    accelerators: list[str] | None = None
    configuration: str = ""


@dataclass(slots=True)
class Tag:
    """`scope` is `global`, `admin` or the name of the user it is private to."""

    type: str
    name: str
    scope: str = "global"
    id: int = 0


@dataclass(slots=True)
class Job:
    """Times in unix seconds, `duration` and `walltime` in seconds, `energy` in kWh, memory in MB.

    `tags`, `metadata`, `statistics` are None where they were not loaded.
    """

    job_id: int
    cluster: str
    user: str
    start_time: int
    resources: list[Resource]
    num_nodes: int
    project: str = ""
    subcluster: str = ""
    partition: str = ""
    state: str = "running"
    shared: str = "none"
    duration: int = 0
    walltime: int = 0
    submit_time: int = 0
    requested_memory: int = 0
    array_job_id: int = 0
    num_hwthreads: int = 0
    num_acc: int = 0
    smt: int = 0
    monitoring_status: int = MONITORING_RUNNING
    energy: float = 0.0
    footprint: dict[str, float] | None = None
    energy_footprint: dict[str, float] | None = None
    metadata: dict[str, str] | None = None
    tags: list[Tag] | None = None
    statistics: dict[str, JobStatistic] | None = None
    id: int = 0

    @property
    def hostnames(self) -> list[str]:
        return [resource.hostname for resource in self.resources]

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def reads_store(self) -> bool:
        """Whether metric data still comes from the metric store rather than the archive."""
        return self.running or self.monitoring_status == MONITORING_RUNNING
