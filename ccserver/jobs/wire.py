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
    int32,
    int64,
    mapping,
    number,
    parse_json,
    record,
    text,
)

__all__ = [
    "JOB",
    "METADATA",
    "METADATA_REQUEST",
    "REFERENCE",
    "STOP",
    "TAGS",
    "JobReference",
    "MetadataEntry",
    "StopRequest",
    "WireError",
    "decode_job",
    "decode_metadata",
    "decode_metadata_request",
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
class MetadataEntry:
    key: str
    value: str


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
    return JOB.read(_parsed(body), "")


def decode_stop(body: bytes | str | Mapping[str, Any], *, job_id_required: bool = True) -> StopRequest:
    """A stop body; whether its state is a known one is checked later, after the job was found."""
    stop = STOP.read(_parsed(body), "")
    if job_id_required and stop.job_id is None:
        raise WireError("the field 'jobId' is required")
    return stop


def decode_reference(body: bytes | str | Mapping[str, Any]) -> JobReference:
    """The body of a deletion by request: jobId, and cluster and startTime where given."""
    return REFERENCE.read(_parsed(body), "")


def decode_tags(body: bytes | str) -> list[Tag]:
    """An array of tags as tag_job and the deletion of tags take it; an absent scope stays empty."""
    parsed = parse_json(body)
    return [] if parsed is None else TAGS.read(parsed, "")


def decode_metadata(body: bytes | str) -> MetadataEntry:
    """One metadata key and its value; the value may be absent and is empty then."""
    return METADATA.read(parse_json(body), "")


def decode_metadata_request(body: bytes | str) -> tuple[JobReference, MetadataEntry]:
    """As `decode_metadata`, with the job named by its scheduler number."""
    return METADATA_REQUEST.read(parse_json(body), "")


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


def _resource(found: dict[str, Any], _place: str) -> Resource:
    return Resource(
        found.get("hostname", ""),
        found.get("hwthreads") or None,
        found.get("accelerators") or None,
        found.get("configuration", ""),
    )


def _tag(found: dict[str, Any], _place: str) -> Tag:
    return Tag(found.get("type", ""), found.get("name", ""), found.get("scope", ""), found.get("id", 0))


def _statistic(found: dict[str, Any], _place: str) -> JobStatistic:
    unit = found.get("unit", Unit())
    return JobStatistic(unit, found.get("avg", 0.0), found.get("min", 0.0), found.get("max", 0.0))


def _job(found: dict[str, Any], _place: str) -> Job:
    if "jobId" not in found:
        raise WireError("the field 'jobId' is required")
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
        shared=_shared(found),
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


def _shared(found: dict[str, Any]) -> str:
    if "shared" not in found and "exclusive" in found:
        if found["exclusive"] not in _EXCLUSIVE:
            raise WireError(f"/exclusive: expected 0, 1 or 2, found {found['exclusive']}")
        return _EXCLUSIVE[found["exclusive"]]
    shared = str(found.get("shared") or "none")
    if shared not in SHARED:
        raise WireError(f"/shared: {shared!r} is none of {', '.join(SHARED)}")
    return shared


def _stop(found: dict[str, Any], _place: str) -> StopRequest:
    return StopRequest(
        job_id=found.get("jobId"),
        stop_time=found.get("stopTime", 0),
        state=found.get("jobState") or found.get("state") or "",
        cluster=found.get("cluster") or None,
        start_time=found.get("startTime") or None,
    )


def _reference(found: dict[str, Any], _place: str) -> JobReference:
    if "jobId" not in found:
        raise WireError("the field 'jobId' is required")
    return JobReference(found["jobId"], found.get("cluster") or None, found.get("startTime") or None)


def _metadata(found: dict[str, Any], place: str) -> MetadataEntry:
    if not found.get("key"):
        raise WireError(f"{place}/key: is missing")
    return MetadataEntry(found["key"], found.get("value", ""))


def _metadata_request(found: dict[str, Any], place: str) -> tuple[JobReference, MetadataEntry]:
    reference = _reference(found, place)
    if "payload" not in found:
        raise WireError("the field 'payload' is required")
    return reference, found["payload"]


_RESOURCE: dict[str, Decoder] = {
    "hostname": text,
    "hwthreads": array(int32),
    "accelerators": array(text),
    "configuration": text,
}
_TAG: dict[str, Decoder] = {"type": text, "name": text, "scope": text, "id": int64}
_UNIT = record(
    {"base": text, "prefix": text},
    lambda found, _: Unit(found.get("base", ""), found.get("prefix", "")),
    title="UnitInput",
)
_STATISTIC: dict[str, Decoder] = {"unit": _UNIT, "avg": number, "min": number, "max": number}
_LINK: dict[str, Decoder] = {"id": int64, "jobId": int64}
_CONCURRENT: dict[str, Decoder] = {
    "items": array(record(_LINK, lambda found, _: found)),
    "count": int64,
}
_REFERENCE: dict[str, Decoder] = {"jobId": int64, "cluster": text, "startTime": int64}

TAGS = array(record(_TAG, _tag, title="TagInput"))
JOB = record(
    {
        "id": int64,
        "jobId": int64,
        "cluster": text,
        "subCluster": text,
        "partition": text,
        "project": text,
        "user": text,
        "shared": text,
        "exclusive": int32,
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
        "resources": array(record(_RESOURCE, _resource, title="ResourceInput")),
        "metaData": mapping(text),
        "tags": TAGS,
        "footprint": mapping(number),
        "energyFootprint": mapping(number),
        "energy": number,
        "statistics": mapping(record(_STATISTIC, _statistic, title="StatisticInput")),
        "concurrentJobs": record(_CONCURRENT, lambda found, _: found),
    },
    _job,
    title="JobInput",
    required=("jobId", "cluster", "user", "numNodes", "resources"),
)
STOP = record(
    {
        "jobId": int64,
        "cluster": text,
        "startTime": int64,
        "jobState": text,
        "state": text,
        "stopTime": int64,
    },
    _stop,
    title="StopInput",
    required=("stopTime",),
)
REFERENCE = record(_REFERENCE, _reference, title="JobReference", required=("jobId",))
METADATA = record({"key": text, "value": text}, _metadata, title="MetadataInput", required=("key",))
METADATA_REQUEST = record(
    {**_REFERENCE, "payload": METADATA},
    _metadata_request,
    title="MetadataRequest",
    required=("jobId", "payload"),
)
