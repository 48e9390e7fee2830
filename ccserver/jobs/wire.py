"""The job as clients send and receive it. Contract: spec/rest-api.md 1.5, 2.1, 3.8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ccserver.model.job import SHARED, Job, Resource, Tag
from ccserver.model.metrics import JobStatistic, Unit
from ccserver.model.strict import (
    Decoder,
    WireError,
    array,
    fields,
    int32,
    int64,
    mapping,
    number,
    parse_json,
    text,
)

__all__ = [
    "JobReference",
    "StopRequest",
    "WireError",
    "decode_job",
    "decode_reference",
    "decode_stop",
    "decode_tags",
    "encode_job",
    "encode_tag",
]

_EXCLUSIVE = {0: "multi_user", 1: "none", 2: "single_user"}  # spelling of clients up to 1.2


@dataclass(frozen=True, slots=True)
class JobReference:
    """How clients name a job: the scheduler's number, narrowed by cluster and start time where given."""

    job_id: int
    cluster: str | None = None
    start_time: int | None = None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A stop report; `state` empty means completed. `job_id` is None only where the path names the job."""

    job_id: int | None
    stop_time: int = 0
    state: str = ""
    cluster: str | None = None
    start_time: int | None = None


def decode_job(body: bytes | str | Mapping[str, Any]) -> Job:
    """A job from a start or import body, with the defaults of the contract filled in.

    `state` is as sent (starting a job overwrites it). Raises WireError naming the place.
    """
    found = fields(_parsed(body), "", _JOB)
    if "jobId" not in found:
        raise WireError("the field 'jobId' is required")
    shared = found.get("shared", _EXCLUSIVE[found["exclusive"]] if "exclusive" in found else "none") or "none"
    if shared not in SHARED:
        raise WireError(f"/shared: {shared!r} is none of {', '.join(SHARED)}")
    status = found.get("monitoringStatus", 1)
    if not 0 <= status <= 3:
        raise WireError(f"/monitoringStatus: {status} is not between 0 and 3")
    return Job(
        job_id=found["jobId"],
        cluster=found.get("cluster", ""),
        user=found.get("user", ""),
        start_time=found.get("startTime", 0),
        resources=found.get("resources", []),
        num_nodes=found.get("numNodes", 0),
        project=found.get("project", ""),
        subcluster=found.get("subCluster", ""),
        partition=found.get("partition", ""),
        state=found.get("jobState", ""),
        shared=shared,
        duration=found.get("duration", 0),
        walltime=found.get("walltime", 0),
        submit_time=found.get("submitTime", 0),
        requested_memory=found.get("requestedMemory", 0),
        array_job_id=found.get("arrayJobId", 0),
        num_hwthreads=found.get("numHwthreads", 0),
        num_acc=found.get("numAcc", 0),
        smt=found.get("smt", 0),
        monitoring_status=status,
        energy=found.get("energy", 0.0),
        footprint=found.get("footprint"),
        energy_footprint=found.get("energyFootprint"),
        metadata=found.get("metaData"),
        tags=found.get("tags"),
        statistics=found.get("statistics"),
    )


def decode_stop(body: bytes | str | Mapping[str, Any], *, job_id_required: bool = True) -> StopRequest:
    """A stop body; whether its state is a known one is checked later, after the job was found."""
    found = fields(_parsed(body), "", _STOP)
    if job_id_required and "jobId" not in found:
        raise WireError("the field 'jobId' is required")
    return StopRequest(
        job_id=found.get("jobId"),
        stop_time=found.get("stopTime", 0),
        state=found.get("jobState") or found.get("state") or "",
        cluster=found.get("cluster") or None,
        start_time=found.get("startTime") or None,
    )


def decode_reference(body: bytes | str | Mapping[str, Any]) -> JobReference:
    """The body of a deletion by request: jobId, and cluster and startTime where given."""
    found = fields(_parsed(body), "", {"jobId": int64, "cluster": text, "startTime": int64})
    if "jobId" not in found:
        raise WireError("the field 'jobId' is required")
    return JobReference(found["jobId"], found.get("cluster") or None, found.get("startTime") or None)


def decode_tags(body: bytes | str) -> list[Tag]:
    """An array of tags as tag_job and the deletion of tags take it; an absent scope stays empty."""
    return array(_tag)(parse_json(body), "")


def encode_job(job: Job) -> dict[str, Any]:
    """The members of a job in an answer: exact names, absent where the contract omits them."""
    members: dict[str, Any] = {"cluster": job.cluster, "subCluster": job.subcluster}
    if job.partition:
        members["partition"] = job.partition
    members.update(project=job.project, user=job.user, shared=job.shared, jobState=job.state)
    if job.tags:
        members["tags"] = [encode_tag(tag) for tag in job.tags]
    members["resources"] = [encode_resource(resource) for resource in job.resources]
    members["energyFootprint"] = _numbers(job.energy_footprint)
    members["footprint"] = _numbers(job.footprint)
    members["metaData"] = job.metadata
    members["concurrentJobs"] = {"items": None, "count": 0}
    members["energy"] = _short(job.energy)
    for name, value in (
        ("arrayJobId", job.array_job_id),
        ("walltime", job.walltime),
        ("requestedMemory", job.requested_memory),
    ):
        if value:
            members[name] = value
    members["jobId"] = job.job_id
    members["duration"] = job.duration
    for name, value in (
        ("smt", job.smt),
        ("monitoringStatus", job.monitoring_status),
        ("numAcc", job.num_acc),
        ("numHwthreads", job.num_hwthreads),
    ):
        if value:
            members[name] = value
    members["numNodes"] = job.num_nodes
    members["statistics"] = _statistics(job.statistics)
    members["id"] = job.id
    if job.submit_time:
        members["submitTime"] = job.submit_time
    members["startTime"] = job.start_time
    return members


def encode_tag(tag: Tag) -> dict[str, Any]:
    return {"type": tag.type, "name": tag.name, "scope": tag.scope, "id": tag.id}


def encode_resource(resource: Resource) -> dict[str, Any]:
    members: dict[str, Any] = {"hostname": resource.hostname}
    if resource.hwthreads:
        members["hwthreads"] = resource.hwthreads
    if resource.accelerators:
        members["accelerators"] = resource.accelerators
    if resource.configuration:
        members["configuration"] = resource.configuration
    return members


def _parsed(body: bytes | str | Mapping[str, Any]) -> Any:
    return parse_json(body) if isinstance(body, bytes | str) else body


def _numbers(values: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if values is None else {key: _short(value) for key, value in values.items()}


def _short(value: float) -> float:
    """Whole numbers are written without a fraction, as clients have always seen them."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _statistics(statistics: Mapping[str, JobStatistic] | None) -> dict[str, Any] | None:
    if statistics is None:
        return None
    return {
        metric: {
            "unit": _unit_members(one.unit),
            "avg": _short(one.avg),
            "min": _short(one.min),
            "max": _short(one.max),
        }
        for metric, one in statistics.items()
    }


def _unit_members(unit: Unit) -> dict[str, str]:
    return {"base": unit.base, "prefix": unit.prefix} if unit.prefix else {"base": unit.base}


def _resource(value: Any, place: str) -> Resource:
    found = fields(value, place, _RESOURCE)
    return Resource(
        found.get("hostname", ""),
        found.get("hwthreads") or None,
        found.get("accelerators") or None,
        found.get("configuration", ""),
    )


def _tag(value: Any, place: str) -> Tag:
    found = fields(value, place, {"type": text, "name": text, "scope": text, "id": int64})
    return Tag(found.get("type", ""), found.get("name", ""), found.get("scope", ""), found.get("id", 0))


def _statistic(value: Any, place: str) -> JobStatistic:
    found = fields(value, place, {"unit": _unit, "avg": number, "min": number, "max": number})
    unit = found.get("unit", Unit())
    return JobStatistic(unit, found.get("avg", 0.0), found.get("min", 0.0), found.get("max", 0.0))


def _unit(value: Any, place: str) -> Unit:
    found = fields(value, place, {"base": text, "prefix": text})
    return Unit(found.get("base", ""), found.get("prefix", ""))


def _exclusive(value: Any, place: str) -> int:
    chosen = int32(value, place)
    if chosen not in _EXCLUSIVE:
        raise WireError(f"{place}: expected 0, 1 or 2, found {chosen}")
    return chosen


def _link(value: Any, place: str) -> dict[str, Any]:
    return fields(value, place, {"id": int64, "jobId": int64})


def _concurrent(value: Any, place: str) -> dict[str, Any]:
    return fields(value, place, {"items": array(_link), "count": int64})


_RESOURCE: dict[str, Decoder] = {
    "hostname": text,
    "hwthreads": array(int32),
    "accelerators": array(text),
    "configuration": text,
}

_JOB: dict[str, Decoder] = {
    "id": int64,
    "jobId": int64,
    "cluster": text,
    "subCluster": text,
    "partition": text,
    "project": text,
    "user": text,
    "shared": text,
    "exclusive": _exclusive,
    "jobState": text,
    "startTime": int64,
    "submitTime": int64,
    "duration": int32,
    "walltime": int64,
    "requestedMemory": int64,
    "numNodes": int32,
    "numHwthreads": int32,
    "numAcc": int32,
    "smt": int32,
    "arrayJobId": int64,
    "monitoringStatus": int32,
    "resources": array(_resource),
    "metaData": mapping(text),
    "tags": array(_tag),
    "footprint": mapping(number),
    "energyFootprint": mapping(number),
    "energy": number,
    "statistics": mapping(_statistic),
    "concurrentJobs": _concurrent,
}

_STOP: dict[str, Decoder] = {
    "jobId": int64,
    "cluster": text,
    "startTime": int64,
    "jobState": text,
    "state": text,
    "stopTime": int64,
}
