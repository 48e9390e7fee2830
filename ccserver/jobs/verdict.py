"""What stands out in a job: hints with evidence and a next step. Contract: spec/web-ui.md 9.4.

Pure functions on the arrays of a job; every one judges a rule, or stays silent where a host or an accelerator
of the job has no data. Cost: a few passes over three metrics at node scope and one at accelerator scope;
0.1 ms for a node and a day of minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.clusters import SubCluster
from ccserver.clusters.units import convert, normalize
from ccserver.config.sections import HintRules
from ccserver.model.job import Job
from ccserver.model.metrics import JobData, JobMetric, Unit

ACCELERATOR_METRIC = "acc_utilization"
LOAD, MEMORY, WORK = "cpu_load", "mem_used", "flops_any"
NODE_METRICS = (LOAD, MEMORY, WORK)

_SEVERITIES = ("critical", "warning", "info")
_SLOPE_POINTS = 60  # 1770 pairs
_NAMED_NODES = 3
_MEGABYTE = Unit("B", "M")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The value a rule looked at, and where it draws the line."""

    value: float
    threshold: float
    unit: str


@dataclass(frozen=True, slots=True)
class EfficiencyHint:
    """`detail` and `suggestion` are whole sentences; `metric` is None for what was not measured."""

    id: str
    severity: str
    title: str
    detail: str
    suggestion: str
    metric: str | None
    evidence: Evidence


Hints = Iterator[EfficiencyHint]


@dataclass(frozen=True, slots=True)
class Case:
    """A job and what was measured of it until `now`, in native steps at node and accelerator scope."""

    job: Job
    subcluster: SubCluster
    data: JobData
    now: float
    rules: HintRules

    @property
    def elapsed(self) -> float:
        return max(self.now - self.job.start_time, 0) if self.job.running else self.job.duration

    @property
    def exclusive(self) -> bool:
        """Whether what a node measures is this job's doing."""
        return self.job.shared == "none"

    @property
    def threads(self) -> float:
        """Allocated hardware threads per node."""
        return self.job.num_hwthreads / self.job.num_nodes if self.job.num_nodes else 0.0

    @property
    def cores(self) -> float:
        """Allocated cores per node; whoever has all threads of a core need not keep both busy."""
        sub = self.subcluster
        if sub.threads_per_core > 1 and self.threads > sub.sockets_per_node * sub.cores_per_socket:
            return self.threads / sub.threads_per_core
        return self.threads

    def measured(self, name: str, scope: str = "node") -> JobMetric | None:
        """The metric, if every node (or accelerator) of the job has data of it."""
        metric = self.data.get(name, {}).get(scope)
        if metric is None:
            return None
        expected = self.job.num_acc if scope == "accelerator" else self.job.num_nodes
        if len(metric.series) < max(expected, 1):
            return None
        return None if any(np.isnan(series.data).all() for series in metric.series) else metric


def judge(
    job: Job, subcluster: SubCluster, data: JobData, now: float, rules: HintRules
) -> list[EfficiencyHint] | None:
    """All hints, the gravest first; None for a job that is too young to judge."""
    case = Case(job, subcluster, data, now, rules)
    if case.elapsed < rules.minimum_runtime:
        return None
    found = [hint for rule in RULES for hint in rule(case) if hint.id not in rules.off]
    return sorted(found, key=lambda hint: _SEVERITIES.index(hint.severity))


def accelerators(case: Case) -> Hints:
    metric = case.measured(ACCELERATOR_METRIC, "accelerator") if case.job.num_acc else None
    if metric is None:
        return
    rules, averages = case.rules, _averages(metric)
    idle = int((averages < rules.idle_accelerator).sum())
    if idle:
        yield EfficiencyHint(
            "idle-gpu", "critical", "Idle GPUs",
            f"{idle} of {len(averages)} GPUs idle: "
            f"used less than {_number(rules.idle_accelerator)} % on average.",
            f"Ask for {_plural(len(averages) - idle, 'GPU')}." if idle < len(averages)
            else "Check that the program was built for GPUs and finds them, or use nodes without.",
            ACCELERATOR_METRIC, Evidence(float(averages.min()), rules.idle_accelerator, "%"),
        )  # fmt: skip
    mean = float(averages.mean())
    if idle < len(averages) and mean < rules.low_accelerator_warning:
        critical = mean < rules.low_accelerator_critical
        limit = rules.low_accelerator_critical if critical else rules.low_accelerator_warning
        yield EfficiencyHint(
            "low-gpu", "critical" if critical else "warning", "GPUs little used",
            f"GPUs {round(mean)} % used on average.",
            "Feed them more: larger batches, faster input, or several tasks on each GPU.",
            ACCELERATOR_METRIC, Evidence(mean, limit, "%"),
        )  # fmt: skip


def load(case: Case) -> Hints:
    metric = case.measured(LOAD) if case.exclusive else None
    cores, threads, rules = case.cores, case.threads, case.rules
    if metric is None or cores <= 0:
        return
    idle = [] if case.job.num_acc else _idle_hosts(metric, rules.idle_node_load * cores, rules.idle_node_part)
    if idle:
        names = ", ".join(idle[:_NAMED_NODES]) + (" …" if len(idle) > _NAMED_NODES else "")
        limit = rules.idle_node_load * cores
        yield EfficiencyHint(
            "idle-node", "critical", "Idle nodes",
            f"{len(idle)} of {_plural(len(metric.series), 'node')} idle: {names} "
            f"(load below {_number(limit)} nearly all the time).",
            f"Ask for {_plural(len(metric.series) - len(idle), 'node')}, or start tasks on all of them."
            if len(idle) < len(metric.series)
            else "Check that the program started and did not wait for something.",
            LOAD, Evidence(len(idle), 0, "nodes"),
        )  # fmt: skip
    busy = float(_averages(metric).mean())
    share = busy / cores
    if not idle and not case.job.num_acc and share < rules.low_cpu_warning:
        critical = share < rules.low_cpu_critical
        limit = rules.low_cpu_critical if critical else rules.low_cpu_warning
        yield EfficiencyHint(
            "low-cpu", "critical" if critical else "warning", "Cores little used",
            f"Load is {_number(busy)} on {_number(cores)} cores per node ({round(share * 100)} %).",
            "Start more tasks or threads, or ask for fewer cores.",
            LOAD, Evidence(busy, limit * cores, ""),
        )  # fmt: skip
    if busy > rules.oversubscription * threads:
        yield EfficiencyHint(
            "oversubscribed", "warning", "More work than cores",
            f"More work than cores: load {_number(busy)} on {_number(threads)} hardware threads per node.",
            f"Start at most {_number(threads)} tasks times threads per node.",
            LOAD, Evidence(busy, rules.oversubscription * threads, ""),
        )  # fmt: skip


def imbalance(case: Case) -> Hints:
    for name in (WORK, LOAD):
        metric = case.measured(name)
        if metric is None or len(metric.series) < 2:
            continue
        averages = _averages(metric)
        least, most = int(averages.argmin()), int(averages.argmax())
        top = float(averages[most])
        spread = (top - float(averages.mean())) / top if top > 0 else 0.0
        if spread > case.rules.imbalance:
            part = round(float(averages[least]) / top * 100)
            hosts = [series.hostname for series in metric.series]
            yield EfficiencyHint(
                "imbalance", "warning", "Uneven work",
                f"Uneven work: {hosts[least]} does {part} % of what {hosts[most]} does ({name}).",
                "Spread the work evenly, or look whether that node is slower than the others.",
                name, Evidence(spread, case.rules.imbalance, ""),
            )  # fmt: skip
            return


def memory(case: Case) -> Hints:
    config, metric = case.subcluster.metrics.get(MEMORY), case.measured(MEMORY)
    if config is None or config.peak <= 0 or metric is None or not case.exclusive:
        return
    capacity, hosts = config.peak, [series.hostname for series in metric.series]
    tops = np.array([np.nanmax(series.data) for series in metric.series], np.float64)
    full, top = int(tops.argmax()), float(tops.max())
    limit = case.rules.memory_near_limit * capacity
    if top > limit:
        yield EfficiencyHint(
            "memory-full", "warning", "Memory nearly full",
            f"Memory nearly full: {_quantity(top, metric.unit)} of {_quantity(capacity, metric.unit)} "
            f"on {hosts[full]}.",
            "Use more nodes, or fewer tasks on each, before it ends for lack of memory.",
            MEMORY, Evidence(top, limit, _unit(metric.unit)),
        )  # fmt: skip
    elif case.job.running and case.job.walltime > case.elapsed:
        yield from _growth(case, metric, capacity)
    yield from _request(case, metric, float(tops.sum()))


def _growth(case: Case, metric: JobMetric, capacity: float) -> Hints:
    left = case.job.walltime - case.elapsed
    worst, host = np.inf, ""
    for series in metric.series:
        pace = slope(series.data, metric.timestep)
        last = float(series.data[~np.isnan(series.data)][-1])
        until = (capacity - last) / pace if pace > 0 else np.inf
        if 0 < until < worst:
            worst, host = until, series.hostname
    if worst < left:
        yield EfficiencyHint(
            "memory-growth", "warning", "Memory keeps growing",
            f"Memory keeps growing: at this pace {host} is full in about {_roughly(worst)}, "
            "before the requested time ends.",
            "Look for a leak, write a checkpoint, or use more nodes.",
            MEMORY, Evidence(worst, left, "s"),
        )  # fmt: skip


def _request(case: Case, metric: JobMetric, used: float) -> Hints:
    """Compared with the peaks of all nodes together: a request may be per node or for the job."""
    requested = float(case.job.requested_memory)
    if not requested or used <= 0:
        return
    try:
        peak = convert(used, metric.unit, _MEGABYTE)
    except ValueError:
        return
    if requested > case.rules.memory_over_asked * peak:
        yield EfficiencyHint(
            "memory-request", "info", "Much memory requested",
            f"Used at most {_quantity(peak, _MEGABYTE)} "
            f"of the {_quantity(requested, _MEGABYTE)} of memory requested.",
            "A smaller request starts sooner.",
            MEMORY, Evidence(requested, case.rules.memory_over_asked * peak, "MB"),
        )  # fmt: skip


def walltime(case: Case) -> Hints:
    job, rules = case.job, case.rules
    if job.running or job.walltime <= 0:
        return
    if (
        job.duration < rules.walltime_used * job.walltime
        and job.walltime - job.duration > rules.walltime_unused
    ):
        yield EfficiencyHint(
            "walltime", "info", "Much time requested",
            f"Used {_roughly(job.duration)} of the {_roughly(job.walltime)} requested.",
            "A shorter request starts sooner.",
            None, Evidence(job.duration, rules.walltime_used * job.walltime, "s"),
        )  # fmt: skip


RULES = (accelerators, load, imbalance, memory, walltime)


def slope(values: NDArray[np.floating], timestep: int) -> float:
    """Median of the slopes between pairs (Theil-Sen) over the second half, in units per second."""
    first = len(values) // 2
    stride = max(1, (len(values) - first) // _SLOPE_POINTS)
    picked = np.arange(first, len(values), stride)
    picked = picked[~np.isnan(values[picked])]
    if len(picked) < 2:
        return 0.0
    a, b = np.triu_indices(len(picked), 1)
    heights = values[picked].astype(np.float64)
    return float(np.median((heights[b] - heights[a]) / ((picked[b] - picked[a]) * timestep)))


def _averages(metric: JobMetric) -> NDArray[np.float64]:
    return np.array([np.nanmean(series.data, dtype=np.float64) for series in metric.series])


def _idle_hosts(metric: JobMetric, limit: float, part: float) -> list[str]:
    found = []
    for series in metric.series:
        present = series.data[~np.isnan(series.data)]
        if (present < limit).sum() > part * len(present):
            found.append(series.hostname)
    return found


# ---- texts


def _number(value: float) -> str:
    """At most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"


def _quantity(value: float, unit: Unit) -> str:
    scale, prefix = normalize(value, unit.prefix)
    return f"{_number(value * scale)} {prefix}{unit.base}"


def _unit(unit: Unit) -> str:
    return unit.prefix + unit.base


def _plural(amount: int, word: str) -> str:
    return f"{amount} {word}{'' if amount == 1 else 's'}"


def _roughly(seconds: float) -> str:
    if seconds < 60:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
