"""A job as a row of table `job` (or `job_cache`) and back. JSON columns are decoded here and nowhere else."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from typing import Any

import orjson

from ccserver.database.tables import job
from ccserver.model.job import Job, Resource, Tag

JOB_COLUMNS = tuple(column for column in job.c if column.name != "meta_data")
"""Everything but the metadata, which may hold job scripts of megabytes."""

JobRow = namedtuple("JobRow", [column.name for column in JOB_COLUMNS])  # type: ignore[misc]
"""Names for a plain tuple of JOB_COLUMNS."""


def job_of_row(row: Any, now: float) -> Job:
    """The job of a row of JOB_COLUMNS; a running job's duration is the time since its start."""
    running = row.job_state == "running"
    return Job(
        job_id=row.job_id,
        cluster=row.cluster,
        user=row.hpc_user,
        start_time=row.start_time,
        resources=resources_of(row.resources),
        num_nodes=row.num_nodes,
        project=row.project,
        subcluster=row.subcluster,
        partition=row.cluster_partition or "",
        state=row.job_state,
        shared=row.shared,
        duration=max(0, int(now) - row.start_time) if running else row.duration,
        walltime=row.walltime,
        submit_time=row.submit_time,
        array_job_id=row.array_job_id or 0,
        num_hwthreads=row.num_hwthreads or 0,
        num_acc=row.num_acc or 0,
        smt=row.smt,
        monitoring_status=row.monitoring_status,
        energy=row.energy,
        footprint=_object(row.footprint),
        energy_footprint=_object(row.energy_footprint),
        id=row.id,
    )


ROW_COLUMNS = tuple(column.name for column in job.c if column.name != "id")


def row_of_job(one: Job) -> dict[str, Any]:
    """The values of a new row; `id` is left to the database."""
    return {
        "job_id": one.job_id,
        "cluster": one.cluster,
        "subcluster": one.subcluster,
        "submit_time": one.submit_time,
        "start_time": one.start_time,
        "hpc_user": one.user,
        "project": one.project,
        "cluster_partition": one.partition,
        "array_job_id": one.array_job_id,
        "duration": one.duration,
        "walltime": one.walltime,
        "job_state": one.state,
        "meta_data": json_text(one.metadata),
        "resources": json_text([_resource_members(resource) for resource in one.resources]),
        "num_nodes": one.num_nodes,
        "num_hwthreads": one.num_hwthreads,
        "num_acc": one.num_acc,
        "smt": one.smt,
        "shared": one.shared,
        "monitoring_status": one.monitoring_status,
        "energy": one.energy,
        "energy_footprint": json_text(one.energy_footprint),
        "footprint": json_text(one.footprint),
    }


def resources_of(stored: str) -> list[Resource]:
    return [
        Resource(
            one.get("hostname", ""),
            one.get("hwthreads") or None,
            one.get("accelerators") or None,
            one.get("configuration") or "",
        )
        for one in orjson.loads(stored) or ()
    ]


def metadata_of(stored: str | None) -> dict[str, str] | None:
    members = _object(stored)
    return None if members is None else {key: str(value) for key, value in members.items()}


def tag_of_row(row: Any) -> Tag:
    return Tag(row.tag_type, row.tag_name, row.tag_scope, row.id)


def json_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def chunks(ids: Iterable[int], size: int = 1000) -> Iterable[list[int]]:
    """Lists short enough to be bound as parameters of one statement."""
    ordered = list(ids)
    return (ordered[start : start + size] for start in range(0, len(ordered), size))


def _object(stored: str | None) -> dict[str, Any] | None:
    """A JSON object column; NULL, JSON null and unreadable text count as absent."""
    if not stored or stored == "null":
        return None
    try:
        value = orjson.loads(stored)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _resource_members(resource: Resource) -> dict[str, Any]:
    members: dict[str, Any] = {"hostname": resource.hostname}
    if resource.hwthreads:
        members["hwthreads"] = resource.hwthreads
    if resource.accelerators:
        members["accelerators"] = resource.accelerators
    if resource.configuration:
        members["configuration"] = resource.configuration
    return members
