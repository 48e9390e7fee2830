"""Job filters and statistics in plain Python, written from the contract: slow, obvious, no SQL."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from ccserver.jobs.filters import FloatRange, IntRange, JobFilter, StringInput, TimeRange
from ccserver.model.job import Job

SPANS = {"last6h": 21600, "last24h": 86400, "last7d": 604800, "last30d": 2592000}


def like(text: str, pattern: str) -> bool:
    """SQL LIKE: % any text, _ any character, ASCII letters without case."""
    parts = {"%": ".*", "_": "."}
    fold = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})
    expression = "".join(parts.get(c) or re.escape(c) for c in pattern.translate(fold))
    return re.fullmatch(expression, text.translate(fold), re.DOTALL) is not None


def text_matches(text: str | None, wanted: StringInput | None) -> bool:
    if wanted is None or wanted == StringInput():
        return True
    if text is None:
        return False
    if wanted.eq is not None:
        return text == wanted.eq
    if wanted.neq is not None:
        return text != wanted.neq
    if wanted.starts_with is not None:
        return like(text, wanted.starts_with + "%")
    if wanted.ends_with is not None:
        return like(text, "%" + wanted.ends_with)
    if wanted.contains is not None:
        return like(text, "%" + wanted.contains + "%")
    return text in (wanted.in_ or ())


def in_range(value: float | None, bounds: IntRange | FloatRange | None) -> bool:
    if bounds is None:
        return True
    if bounds.exact is not None:
        return value == bounds.exact
    if bounds.from_ < 0 or bounds.to < 0:
        return True
    if bounds.from_ == 0 and bounds.to == 0:
        return True
    if value is None:
        return False
    return (bounds.from_ == 0 or value >= bounds.from_) and (bounds.to == 0 or value <= bounds.to)


def in_time(value: int, bounds: TimeRange | None, now: int) -> bool:
    if bounds is None:
        return True
    if bounds.from_ is None and bounds.to is None:
        return bounds.range not in SPANS or value >= now - SPANS[bounds.range]
    if bounds.from_ is not None and value < int(bounds.from_):
        return False
    return bounds.to is None or value <= int(bounds.to)


def matches(job: Job, tags: set[int], one: JobFilter, now: int, stored_duration: int) -> bool:
    name = (job.metadata or {}).get("jobName")
    checks = [
        one.tags is None or (tags >= set(one.tags) if one.every_tag else bool(tags & set(one.tags))),
        one.tags_not is None or not tags & set(one.tags_not),
        one.db_id is None or str(job.id) in [str(id) for id in one.db_id],
        text_matches(str(job.job_id), one.job_id),
        one.array_job_id is None or job.array_job_id == one.array_job_id,
        text_matches(job.user, one.user),
        text_matches(job.project, one.project),
        text_matches(job.cluster, one.cluster),
        text_matches(job.subcluster, one.sub_cluster),
        text_matches(job.partition, one.partition),
        text_matches(name, one.job_name),
        in_range(stored_duration, one.duration),
        in_range(job.energy, one.energy),
        in_range(job.num_nodes, one.num_nodes),
        in_range(job.num_acc, one.num_accelerators),
        in_range(job.num_hwthreads, one.num_hw_threads),
        in_time(job.start_time, one.start_time, now),
        one.state is None or job.state in one.state,
        one.shared is None or job.shared == one.shared,
        one.schedule != "interactive" or name == "interactive",
        one.schedule != "batch" or (name is not None and name != "interactive"),
        one.node is None
        or one.node == StringInput()
        or any(text_matches(host, one.node) for host in job.hostnames),
    ]
    for item in one.metric_stats or ():
        checks.append(re.fullmatch("[A-Za-z0-9_]+", item.metric_name) is not None)
        checks.append(in_range((job.footprint or {}).get(item.metric_name), item.range))
    return all(checks)


def totals(
    jobs: Iterable[Job], durations: Callable[[Job], int], stored: Callable[[Job], int]
) -> dict[str, int]:
    jobs = list(jobs)
    seconds = [(durations(job), job) for job in jobs]
    return {
        "total_jobs": len(jobs),
        "total_users": len({job.user for job in jobs}),
        "running_jobs": sum(job.state == "running" for job in jobs),
        "short_jobs": sum(stored(job) < 300 for job in jobs),
        "total_walltime": sum(d for d, _ in seconds) // 3600,
        "total_nodes": sum(job.num_nodes for job in jobs),
        "total_node_hours": sum(d * job.num_nodes for d, job in seconds) // 3600,
        "total_cores": sum(job.num_hwthreads for job in jobs),
        "total_core_hours": sum(d * job.num_hwthreads for d, job in seconds) // 3600,
        "total_accs": sum(job.num_acc for job in jobs),
        "total_acc_hours": sum(d * job.num_acc for d, job in seconds) // 3600,
    }


def footprint_bins(jobs: Iterable[Job], key: str, peak: float, bins: int) -> list[int]:
    counts = [0] * (bins + 1)
    for job in jobs:
        value = (job.footprint or {}).get(key)
        if value is None or value < 0:
            continue
        if value > peak:
            counts[bins] += 1
        else:
            counts[bins - 1 if value == peak else math.floor(value / peak * bins)] += 1
    return counts


def duration_bins(values: Iterable[int], width: int, number: int) -> list[tuple[int, int]]:
    points = {(k + 1) * width: 0 for k in range(number)}
    for value in values:
        edge = (value // width + 1) * width
        if edge in points:
            points[edge] += 1
    return sorted(points.items())


def sort_key(column: Callable[[Job], Any]) -> Callable[[Job], tuple[Any, int]]:
    return lambda job: (column(job), job.id)
