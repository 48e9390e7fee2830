"""`meta.json`: the job record in the archive. Contract: spec/job-archive.md 3 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ccserver.archive.errors import ArchiveError
from ccserver.archive.numbers import shortest, text
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobStatistic, Unit


class UnitDocument(msgspec.Struct):
    base: str = ""
    prefix: str | None = None


class _Statistic(msgspec.Struct):
    unit: UnitDocument | None = None
    avg: float | None = None
    min: float | None = None
    max: float | None = None


class _Resource(msgspec.Struct):
    hostname: str
    hwthreads: list[int] | None = None
    accelerators: list[str] | None = None
    configuration: str | None = None


class _Tag(msgspec.Struct):
    type: str
    name: str
    scope: str | None = None


class _Meta(msgspec.Struct, rename="camel"):
    job_id: int
    cluster: str
    start_time: int
    sub_cluster: str | None = None
    user: str | None = None
    project: str | None = None
    partition: str | None = None
    array_job_id: int | None = None
    num_nodes: int | None = None
    num_hwthreads: int | None = None
    num_acc: int | None = None
    shared: str | None = None
    smt: int | None = None
    job_state: str | None = None
    submit_time: int | None = None
    duration: int | None = None
    walltime: int | None = None
    requested_memory: int | None = None
    monitoring_status: int | None = None
    resources: list[_Resource] | None = None
    meta_data: dict[str, Any] | None = None
    tags: list[_Tag] | None = None
    statistics: dict[str, _Statistic] | None = None
    footprint: dict[str, float | None] | None = None
    energy_footprint: dict[str, float | None] | None = None
    energy: float | None = None


_decoder = msgspec.json.Decoder(_Meta)


def decode_meta(raw: bytes) -> Job:
    """Reads a `meta.json`; raises ArchiveError. Unknown keys are ignored, absent ones are 0, "" or None.

    `shared` is "" where the file has none (nothing is assumed), `id` is always 0: the file's is meaningless.
    """
    try:
        meta = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"meta.json: {error}") from None
    return Job(
        job_id=meta.job_id,
        cluster=meta.cluster,
        user=meta.user or "",
        start_time=meta.start_time,
        resources=[
            Resource(r.hostname, r.hwthreads, r.accelerators, r.configuration or "")
            for r in meta.resources or ()
        ],
        num_nodes=meta.num_nodes or 0,
        project=meta.project or "",
        subcluster=meta.sub_cluster or "",
        partition=meta.partition or "",
        state=meta.job_state or "",
        shared=meta.shared or "",
        duration=meta.duration or 0,
        walltime=meta.walltime or 0,
        submit_time=meta.submit_time or 0,
        requested_memory=meta.requested_memory or 0,
        array_job_id=meta.array_job_id or 0,
        num_hwthreads=meta.num_hwthreads or 0,
        num_acc=meta.num_acc or 0,
        smt=meta.smt or 0,
        monitoring_status=meta.monitoring_status or 0,
        energy=meta.energy or 0.0,
        footprint=_numbers(meta.footprint),
        energy_footprint=_numbers(meta.energy_footprint),
        metadata=_strings(meta.meta_data),
        tags=[Tag(t.type, t.name, t.scope or "") for t in meta.tags or ()],
        statistics={
            name: JobStatistic(unit_of(s.unit), s.avg or 0.0, s.min or 0.0, s.max or 0.0)
            for name, s in (meta.statistics or {}).items()
        },
    )


def encode_meta(job: Job) -> bytes:
    """The `meta.json` of a job, with the key order, omissions and numbers of the reference."""
    fields: list[tuple[str, str | None]] = [
        ("cluster", text(job.cluster)),
        ("subCluster", text(job.subcluster)),
        ("partition", text(job.partition) if job.partition else None),
        ("project", text(job.project)),
        ("user", text(job.user)),
        ("shared", text(job.shared)),
        ("jobState", text(job.state)),
        ("tags", _array(map(_encode_tag, job.tags)) if job.tags else None),
        ("resources", _array(map(_encode_resource, job.resources))),
        ("energyFootprint", _encode_numbers(job.energy_footprint)),
        ("footprint", _encode_numbers(job.footprint)),
        ("metaData", _encode_strings(job.metadata)),
        ("concurrentJobs", '{"items":null,"count":0}'),
        ("energy", shortest(job.energy)),
        ("arrayJobId", _unless_zero(job.array_job_id)),
        ("walltime", _unless_zero(job.walltime)),
        ("requestedMemory", _unless_zero(job.requested_memory)),
        ("jobId", str(job.job_id)),
        ("duration", str(job.duration)),
        ("smt", _unless_zero(job.smt)),
        ("monitoringStatus", _unless_zero(job.monitoring_status)),
        ("numAcc", _unless_zero(job.num_acc)),
        ("numHwthreads", _unless_zero(job.num_hwthreads)),
        ("numNodes", str(job.num_nodes)),
        ("statistics", _encode_statistics(job.statistics or {})),
        ("id", _unless_zero(job.id)),
        ("submitTime", _unless_zero(job.submit_time)),
        ("startTime", str(job.start_time)),
    ]
    return f"{_object(fields)}\n".encode("utf-8", "replace")


def unit_of(document: UnitDocument | None) -> Unit:
    return Unit(document.base, document.prefix or "") if document else Unit()


def encode_unit(unit: Unit) -> str:
    prefix = f',"prefix":{text(unit.prefix)}' if unit.prefix else ""
    return f'{{"base":{text(unit.base)}{prefix}}}'


def _object(fields: list[tuple[str, str | None]]) -> str:
    return "{" + ",".join(f"{text(key)}:{value}" for key, value in fields if value is not None) + "}"


def _array(items: Any) -> str:
    return f"[{','.join(items)}]"


def _unless_zero(value: int) -> str | None:
    return str(value) if value else None


def _encode_tag(tag: Tag) -> str:
    # A tag's id belongs to one database, so archives carry 0.
    return f'{{"type":{text(tag.type)},"name":{text(tag.name)},"scope":{text(tag.scope)},"id":0}}'


def _encode_resource(resource: Resource) -> str:
    accelerators = resource.accelerators
    return _object(
        [
            ("hostname", text(resource.hostname)),
            ("configuration", text(resource.configuration) if resource.configuration else None),
            ("hwthreads", _array(map(str, resource.hwthreads)) if resource.hwthreads else None),
            ("accelerators", _array(map(text, accelerators)) if accelerators else None),
        ]
    )


def _encode_statistics(statistics: Mapping[str, JobStatistic]) -> str:
    return _object(
        [
            (
                name,
                f'{{"unit":{encode_unit(s.unit)},'
                f'"avg":{shortest(s.avg)},"min":{shortest(s.min)},"max":{shortest(s.max)}}}',
            )
            for name, s in sorted(statistics.items())
        ]
    )


def _encode_numbers(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "null"
    return _object([(key, shortest(value)) for key, value in sorted(values.items())])


def _encode_strings(values: Mapping[str, str] | None) -> str:
    if values is None:
        return "null"
    return _object([(key, text(value)) for key, value in sorted(values.items())])


def _numbers(values: Mapping[str, float | None] | None) -> dict[str, float] | None:
    return None if values is None else {key: value or 0.0 for key, value in values.items()}


def _strings(values: Mapping[str, Any] | None) -> dict[str, str] | None:
    # Some adapters store numbers or whole objects; as text they survive.
    if values is None:
        return None
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in values.items()
    }
