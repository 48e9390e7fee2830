"""Job and node data out of a metric store: plan the queries, ask once, sort the answers.

Contract: spec/metric-store.md 9.2 to 9.4, 10.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ccserver.clusters import Cluster, MetricConfig, SubCluster, Topology
from ccserver.metricdata.curves import freeze
from ccserver.metricdata.errors import MetricDataError
from ccserver.metricdata.scopes import WHOLE_HOST, ComponentQuery, coarser, component_queries
from ccserver.metricdata.source import Answer, MetricSource
from ccserver.model.job import Job
from ccserver.model.metrics import NO_STATISTICS, FloatArray, JobData, JobMetric, Series, Statistics
from ccstore.types import Query, ResampleAlgorithm, SeriesResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """Unix seconds, `to` exclusive; `resolution` in seconds per point, 0 for the metric's own step."""

    start: int
    to: int
    resolution: int = 0
    algorithm: ResampleAlgorithm = ""


@dataclass(frozen=True, slots=True)
class HostShare:
    """A host and the part of it that is meant."""

    host: str
    topology: Topology
    hwthreads: tuple[int, ...]
    accelerators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlannedQuery:
    metric: MetricConfig
    scope: str
    host: str
    components: ComponentQuery


@dataclass(slots=True)
class Answers:
    """`series` holds what was found, `errors` what could not be had."""

    series: list[tuple[PlannedQuery, SeriesResult]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self, what: str) -> None:
        """Errors beside data are logged once; errors without data raise MetricDataError."""
        if not self.errors:
            return
        text = "; ".join(self.errors[:5])
        if len(self.errors) > 5:
            text += f"; and {len(self.errors) - 5} more"
        if not self.series:
            raise MetricDataError(text)
        log.warning("%s: incomplete: %s", what, text)


def shares_of_job(job: Job, subcluster: SubCluster) -> list[HostShare]:
    """A resource without hardware threads means the whole node."""
    topology = subcluster.topology
    return [
        HostShare(
            resource.hostname,
            topology,
            tuple(resource.hwthreads) if resource.hwthreads else topology.node,
            tuple(resource.accelerators or ()),
        )
        for resource in job.resources
    ]


def shares_of_nodes(
    cluster: Cluster, subcluster: str, hosts: Iterable[str]
) -> dict[str, tuple[SubCluster, HostShare]]:
    """Whole nodes; hosts that belong to no sub-cluster are left out."""
    shares: dict[str, tuple[SubCluster, HostShare]] = {}
    for host in hosts:
        known = cluster.subclusters.get(subcluster or cluster.subcluster_of_host(host) or "")
        if known is not None:
            topology = known.topology
            share = HostShare(host, topology, topology.node, tuple(topology.accelerator_ids))
            shares[host] = known, share
    return shares


def job_metrics(
    cluster: Cluster, subcluster: SubCluster, names: Sequence[str] | None, accelerators: bool
) -> list[MetricConfig]:
    """The configured metrics among `names` (None: all) that exist on the sub-cluster.

    Accelerator metrics only where there are accelerators.
    """
    return [
        config
        for name in (cluster.metrics if names is None else dict.fromkeys(names))
        if (config := cluster.metrics.get(name)) is not None
        and name in subcluster.metrics
        and (accelerators or config.scope != "accelerator")
    ]


def plan(
    metrics: Iterable[MetricConfig], scopes: Sequence[str], shares: Sequence[HostShare]
) -> Iterator[PlannedQuery]:
    """Queries in the order of the result: metric, scope, host, component. Each resulting scope once."""
    # Thousands of equal nodes: their queries differ in the host's name only.
    known: dict[tuple[str, str, int, tuple[int, ...], tuple[str, ...]], list[ComponentQuery]] = {}
    for metric in metrics:
        handled: set[str] = set()
        for requested in scopes:
            scope = coarser(metric.scope, requested)
            if scope in handled:
                continue
            handled.add(scope)
            for share in shares:
                key = (metric.scope, requested, id(share.topology), share.hwthreads, share.accelerators)
                if key not in known:
                    known[key] = component_queries(
                        metric.scope, requested, share.topology, share.hwthreads, share.accelerators
                    )
                for components in known[key]:
                    yield PlannedQuery(metric, scope, share.host, components)


def ask(
    source: MetricSource,
    cluster: str,
    planned: Sequence[PlannedQuery],
    window: Window,
    *,
    with_data: bool = True,
) -> Answers:
    """One request for all of `planned`; the arrays cover the whole window."""
    if not planned:
        return Answers()
    queries = [query_of(one, window.resolution) for one in planned]
    try:
        answer = source.query(
            cluster,
            window.start,
            window.to,
            queries,
            with_data=with_data,
            with_padding=with_data,
            resample_algorithm=window.algorithm,
        )
    except ValueError as error:
        raise MetricDataError(str(error)) from error
    return _sorted_answers(planned, answer)


def query_of(planned: PlannedQuery, resolution: int = 0) -> Query:
    return Query(
        metric=planned.metric.name,
        host=planned.host,
        type=planned.components.type,
        type_ids=planned.components.ids,
        aggregate=planned.components.aggregate,
        resolution=resolution,
    )


def ask_all_nodes(
    source: MetricSource, cluster: Cluster, metrics: Sequence[MetricConfig], window: Window
) -> tuple[list[str], Answers]:
    """Every host the store knows, and their host-level data."""
    try:
        answer = source.query(
            cluster.name, window.start, window.to, [], for_all_nodes=[metric.name for metric in metrics]
        )
    except ValueError as error:
        raise MetricDataError(str(error)) from error
    planned = [PlannedQuery(cluster.metrics[q.metric], "node", q.host, WHOLE_HOST) for q in answer.queries]
    return list(dict.fromkeys(query.host for query in answer.queries)), _sorted_answers(planned, answer)


def job_data(answers: Answers) -> JobData:
    """Metric -> scope -> series. Units are those of the cluster."""
    found: dict[str, dict[str, JobMetric]] = {}
    for planned, result in answers.series:
        scopes = found.setdefault(planned.metric.name, {})
        metric = scopes.get(planned.scope)
        if metric is None:
            metric = JobMetric(planned.metric.unit, result.resolution or planned.metric.timestep, [])
            scopes[planned.scope] = metric
        metric.series.append(
            Series(
                planned.host, data(result), statistics(result) or NO_STATISTICS, component_id(planned, result)
            )
        )
    return found


def statistics(result: SeriesResult) -> Statistics | None:
    """None where any of the three is unknown."""
    if math.isnan(result.avg) or math.isnan(result.min) or math.isnan(result.max):
        return None
    return Statistics(result.avg, result.min, result.max)


def component_id(planned: PlannedQuery, result: SeriesResult) -> str | None:
    if planned.scope == "node":
        return None
    return planned.components.result_id if planned.components.aggregate else result.id


def configured(cluster: Cluster, names: Sequence[str] | None) -> list[MetricConfig]:
    """The cluster's metrics among `names` (None: all); unknown names are dropped."""
    metrics: Mapping[str, MetricConfig] = cluster.metrics
    return [metrics[name] for name in (metrics if names is None else dict.fromkeys(names)) if name in metrics]


def _sorted_answers(planned: Sequence[PlannedQuery], answer: Answer) -> Answers:
    answers = Answers()
    for p, row in zip(planned, answer.rows, strict=True):
        for result in row:
            if result.error is not None:
                answers.errors.append(
                    f"failed to fetch '{p.metric.name}' from host '{p.host}': {result.error}"
                )
            else:
                answers.series.append((p, result))
    return answers


def data(result: SeriesResult) -> FloatArray:
    return freeze(np.empty(0, dtype=np.float32) if result.data is None else result.data)
