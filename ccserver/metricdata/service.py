"""Metric data of jobs and nodes, wherever it lives. Contract: spec/metric-store.md 9 and 10."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from ccserver.archive import ArchiveError, JobArchive, JobNotArchivedError
from ccserver.clusters import Cluster, Clusters, MetricConfig, SubCluster
from ccserver.clusters.units import conversion
from ccserver.metricdata import archived, blocks, curves, footprint, live, many_jobs
from ccserver.metricdata.blocks import NodeBlock
from ccserver.metricdata.cache import CacheCounters, ResultCache
from ccserver.metricdata.errors import MetricDataError
from ccserver.metricdata.footprint import JobStatistics
from ccserver.metricdata.scopes import WHOLE_HOST
from ccserver.metricdata.source import BlockSource, MetricSource
from ccserver.model.job import Job
from ccserver.model.metrics import NO_STATISTICS, JobData, JobStatistic, Statistics, Unit
from ccstore.types import ResampleAlgorithm

log = logging.getLogger(__name__)

CACHE_BYTES = 128 << 20
_BYTES_PER_NUMBER = 8
_LIFETIME_LIVE = 120.0
_LIFETIME_ARCHIVED = 5 * 3600.0
_CORE_SCOPE_UP_TO = 8  # nodes: larger jobs are archived without core scope


@dataclass(frozen=True, slots=True)
class ScopedStatistic:
    """Of one component of a host over the job's time; `id` None at node scope."""

    hostname: str
    id: str | None
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class ClusterTotal:
    """A metric summed over hosts: `data[i]` belongs to start + i * timestep, two decimals."""

    unit: Unit
    timestep: int
    data: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClusterTotals:
    """`node_count` hosts delivered anything; `metrics` in the cluster's order."""

    node_count: int
    metrics: dict[str, ClusterTotal]


class MetricData:
    """Reads job and node data from the metric store or the archive. Safe to use from any thread.

    `external` maps `<cluster>-<subcluster>`, `<cluster>` or `*` to stores that are asked instead of `store`.
    Answers are cached and shared: their arrays are read-only. MetricDataError is raised when nothing of what
    was asked for could be had; what is merely missing is left out.
    """

    def __init__(
        self,
        clusters: Clusters,
        store: MetricSource | None,
        archive: JobArchive,
        *,
        external: Mapping[str, MetricSource] | None = None,
        minimum_points: int = 1000,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clusters = clusters
        self._store = store
        self._external = dict(external or {})
        self._archive = archive
        self._minimum_points = minimum_points
        self._clock = clock
        self._cache: ResultCache[JobData] = ResultCache(cache_bytes, _size_of)

    def job_data(
        self,
        job: Job,
        metrics: Sequence[str] | None = None,
        scopes: Sequence[str] | None = None,
        resolution: int = 0,
        algorithm: str = "",
    ) -> JobData:
        """Curves of a job from its start on.

        None for `metrics` is all of them, None for `scopes` is node scope of a running job and everything of
        an archived one. `resolution` in seconds per point, 0 for the native step.
        """
        method = _algorithm(algorithm)
        key = (*_identity(job), _sorted(metrics), _sorted(scopes), resolution, method or "lttb")
        if job.reads_store:
            window = self._window(job, resolution, method)
            wanted = ["node"] if scopes is None else scopes
            return self._cache.get(key, _LIFETIME_LIVE, lambda: self._live(job, metrics, wanted, window))
        return self._cache.get(
            key, _LIFETIME_ARCHIVED, lambda: self._archived(job, metrics, scopes, resolution, method)
        )

    def archive_job_data(self, job: Job) -> JobData:
        """What the archive keeps of a stopped job, out of the metric store (spec/job-archive.md 11)."""
        scopes = ["node"]
        if job.num_nodes <= _CORE_SCOPE_UP_TO:
            scopes.append("core")
        if job.num_acc > 0:
            scopes.append("accelerator")
        return self._live(job, None, scopes, self._window(job))

    def statistics_for_archive(self, job: Job, data: JobData) -> dict[str, JobStatistic]:
        """Job-wide statistics of every metric that `data` has at node scope."""
        return footprint.statistics_for_archive(job, data, self._cluster(job.cluster).metrics)

    def footprint(self, job: Job, statistics: JobStatistics) -> dict[str, float]:
        """`<metric>_<statistic>` -> value; raises MetricDataError for a footprint nobody can compute."""
        return footprint.footprint(self._subcluster(job), statistics)

    def energy(self, job: Job, statistics: JobStatistics) -> tuple[dict[str, float], float]:
        """kWh per energy metric and in total."""
        return footprint.energy(self._subcluster(job), job, statistics)

    def job_statistics(self, job: Job, metrics: Sequence[str] | None = None) -> dict[str, Statistics]:
        """Job-wide average, minimum, maximum of each metric; 0/0/0 where nothing is known.

        Of a running job from the store, averaged over the hosts that have data and rounded to two decimals;
        of a finished one as `meta.json` has it.
        """
        if not job.reads_store:
            stored = self._archived_statistics(job)
            return {
                name: Statistics(stored[name].avg, stored[name].min, stored[name].max)
                if name in stored
                else NO_STATISTICS
                for name in (stored if metrics is None else metrics)
            }
        per_host = self.node_statistics(job, metrics)
        return {
            name: footprint.over_hosts([*per_host.get(name, {}).values()])
            for name in (self._cluster(job.cluster).metrics if metrics is None else metrics)
        }

    def averages(self, job: Job, metrics: Sequence[str]) -> list[float]:
        """One number per metric, NaN where nothing is known.

        The sum over hosts of their averages for a running job, the job's average for an archived one.
        """
        if not job.reads_store:
            stored = self._archived_statistics(job)
            return [stored[name].avg if name in stored else math.nan for name in metrics]
        per_host = self.node_statistics(job, metrics)
        return [
            sum(one.avg for one in per_host[name].values()) if per_host.get(name) else math.nan
            for name in metrics
        ]

    def statistics_of_jobs(
        self, jobs: Sequence[Job], metrics: Sequence[str]
    ) -> Iterator[tuple[Job, dict[str, Statistics]]]:
        """As `job_statistics`, for each of `jobs` in their order; a job whose data cannot be had is left out.

        Running jobs share one reading of the store.
        """
        running, found = self._statistics_at_once(jobs, metrics)
        for job in jobs:
            try:
                if job.id in running:
                    of_store, row = running[job.id]
                    yield (
                        job,
                        {
                            name: found[of_store].over_hosts(row, column)
                            for column, name in enumerate(dict.fromkeys(metrics))
                        },
                    )
                else:
                    yield job, self.job_statistics(job, metrics)
            except MetricDataError as error:
                log.warning("statistics of job %d on %s are missing: %s", job.job_id, job.cluster, error)

    def averages_of_jobs(self, jobs: Sequence[Job], metrics: Sequence[str]) -> Iterator[list[float]]:
        """As `averages`, for each of `jobs` in their order. Running jobs share one reading of the store."""
        running, found = self._statistics_at_once(jobs, metrics)
        columns = {name: column for column, name in enumerate(dict.fromkeys(metrics))}
        for job in jobs:
            if job.id in running:
                of_store, row = running[job.id]
                sums = found[of_store].sums(row)
                yield [sums[columns[name]] for name in metrics]
            else:
                yield self.averages(job, metrics)

    def _statistics_at_once(
        self, jobs: Sequence[Job], metrics: Sequence[str]
    ) -> tuple[dict[int, tuple[tuple[int, str], int]], dict[tuple[int, str], many_jobs.HostStatistics]]:
        """For the jobs whose store answers in blocks: where their numbers are, and the numbers per store and
        cluster."""
        places: dict[int, tuple[tuple[int, str], int]] = {}
        groups: dict[tuple[int, str], tuple[BlockSource, list[many_jobs.JobRequest]]] = {}
        for job in jobs:
            if not job.reads_store:
                continue
            try:
                cluster, subcluster = self._cluster(job.cluster), self._subcluster(job)
                source = self._source(job.cluster, job.subcluster)
            except MetricDataError:
                continue  # asked again alone, which says why
            if not isinstance(source, BlockSource) or not job.running:
                continue
            wanted = live.job_metrics(cluster, subcluster, metrics, accelerators=job.num_acc > 0)
            planned = live.plan(wanted, ["node"], live.shares_of_job(job, subcluster))
            key = (id(source), job.cluster)
            requests = groups.setdefault(key, (source, []))[1]
            places[job.id] = (key, len(requests))
            requests.append(many_jobs.JobRequest(job.start_time, planned))
        now = int(self._clock())
        names = list(dict.fromkeys(metrics))
        try:
            return places, {
                key: many_jobs.host_statistics(source, key[1], requests, names, now)
                for key, (source, requests) in groups.items()
            }
        except ValueError as error:
            raise MetricDataError(str(error)) from error

    def node_statistics(
        self, job: Job, metrics: Sequence[str] | None = None
    ) -> dict[str, dict[str, Statistics]]:
        """Metric -> host -> statistics at node scope; hosts without data are left out."""
        if not job.reads_store:
            data = self.stored_data(job)
            return {
                name: {s.hostname: s.statistics or NO_STATISTICS for s in scopes["node"].series}
                for name, scopes in data.items()
                if "node" in scopes and (metrics is None or name in metrics)
            }
        answers = self._ask_job(job, metrics, ["node"], self._window(job), with_data=False)
        found: dict[str, dict[str, Statistics]] = {}
        for planned, result in answers.series:
            if statistics := live.statistics(result):
                found.setdefault(planned.metric.name, {})[planned.host] = statistics
        return found

    def scoped_statistics(
        self, job: Job, metrics: Sequence[str], scopes: Sequence[str]
    ) -> dict[str, dict[str, list[ScopedStatistic]]]:
        """Metric -> scope -> one entry per component.

        Of a finished job everything the archive has, whatever was asked for; of a running one what was asked
        for, rounded to two decimals.
        """
        if not job.reads_store:
            return {
                name: {
                    scope: [
                        ScopedStatistic(s.hostname, s.id, s.statistics or NO_STATISTICS)
                        for s in metric.series
                    ]
                    for scope, metric in found.items()
                    if metric.series
                }
                for name, found in self.stored_data(job).items()
            }
        answers = self._ask_job(job, metrics, scopes, self._window(job), with_data=False)
        result: dict[str, dict[str, list[ScopedStatistic]]] = {}
        for planned, series in answers.series:
            result.setdefault(planned.metric.name, {}).setdefault(planned.scope, []).append(
                ScopedStatistic(
                    planned.host,
                    live.component_id(planned, series),
                    curves.rounded(live.statistics(series) or NO_STATISTICS),
                )
            )
        return result

    def node_block(
        self,
        cluster: str,
        metrics: Sequence[str] | None,
        nodes: Sequence[str] | None,
        start: int,
        to: int,
    ) -> NodeBlock:
        """Node level in native steps over [start, to), a block per metric.

        `nodes` None is every host the store knows. Hosts that are named but have no data are left out, and so
        are metrics of a host that has none of them.
        """
        known = self._cluster(cluster)
        wanted = live.configured(known, metrics)
        source = self._source(cluster, "")
        window = live.Window(start, to)
        if isinstance(source, BlockSource):
            try:
                found = source.host_blocks(cluster, [metric.name for metric in wanted], start, to, nodes)
            except ValueError as error:
                raise MetricDataError(str(error)) from error
            failed = live.Answers(errors=found.errors)
            if not found.blocks:
                failed.check(f"nodes of cluster {cluster}")
            elif found.errors:
                log.warning("nodes of cluster %s: incomplete: %s", cluster, "; ".join(found.errors[:5]))
            return blocks.from_store(found, known.metrics)
        if nodes is None:
            hosts, answers = live.ask_all_nodes(source, known, wanted, window)
        else:
            planned = [
                live.PlannedQuery(metric, "node", node, WHOLE_HOST)
                for node in dict.fromkeys(nodes)
                for metric in wanted
            ]
            answers = live.ask(source, cluster, planned, window)
            hosts = [planned_query.host for planned_query, _ in answers.series]
        answers.check(f"nodes of cluster {cluster}")
        return blocks.node_block(hosts, wanted, answers)

    def node_list_data(
        self,
        cluster: str,
        subcluster: str,
        hosts: Sequence[str],
        metrics: Sequence[str] | None,
        scopes: Sequence[str],
        start: int,
        to: int,
        resolution: int = 0,
        algorithm: str = "",
    ) -> dict[str, JobData]:
        """Host -> its data in the scopes asked for, over the whole node.

        `subcluster` "" is looked up per host; hosts in no sub-cluster, and hosts without data, are left out.
        """
        known = self._cluster(cluster)
        window = live.Window(start, to, resolution, _algorithm(algorithm))
        by_source: dict[int, tuple[MetricSource, list[live.PlannedQuery]]] = {}
        for owner, share in live.shares_of_nodes(known, subcluster, hosts).values():
            wanted = live.job_metrics(known, owner, metrics, accelerators=bool(share.accelerators))
            source = self._source(cluster, owner.name)
            by_source.setdefault(id(source), (source, []))[1].extend(live.plan(wanted, scopes, [share]))
        answers = live.Answers()
        for source, planned in by_source.values():
            part = live.ask(source, cluster, planned, window)
            answers.series += part.series
            answers.errors += part.errors
        answers.check(f"node list of cluster {cluster}")
        per_host: dict[str, live.Answers] = {}
        for planned_query, result in answers.series:
            per_host.setdefault(planned_query.host, live.Answers()).series.append((planned_query, result))
        return {
            host: curves.finish(live.job_data(part), node_wanted="node" in scopes)
            for host, part in per_host.items()
        }

    def cluster_totals(
        self, cluster: str, metrics: Sequence[str] | None, start: int, to: int
    ) -> ClusterTotals:
        """Sums over all hosts of the cluster in units with prefix T; a value nobody has counts as 0."""
        known = self._cluster(cluster)
        wanted = live.configured(known, metrics)
        _, answers = live.ask_all_nodes(self._source(cluster, ""), known, wanted, live.Window(start, to))
        answers.check(f"totals of cluster {cluster}")
        sums: dict[str, NDArray[np.float64]] = {}
        hosts: set[str] = set()
        for planned, result in answers.series:
            if result.data is None or np.isnan(result.data).all():
                continue
            hosts.add(planned.host)
            total = sums.setdefault(planned.metric.name, np.zeros(len(result.data)))
            total += np.nan_to_num(result.data, nan=0.0)
        return ClusterTotals(
            len(hosts),
            {metric.name: _total(metric, sums[metric.name]) for metric in wanted if metric.name in sums},
        )

    def cache_counters(self) -> CacheCounters:
        return self._cache.counters()

    def _live(
        self, job: Job, metrics: Sequence[str] | None, scopes: Sequence[str], window: live.Window
    ) -> JobData:
        answers = self._ask_job(job, metrics, scopes, window)
        return curves.finish(live.job_data(answers), node_wanted="node" in scopes)

    def _ask_job(
        self,
        job: Job,
        metrics: Sequence[str] | None,
        scopes: Sequence[str],
        window: live.Window,
        *,
        with_data: bool = True,
    ) -> live.Answers:
        cluster, subcluster = self._cluster(job.cluster), self._subcluster(job)
        wanted = live.job_metrics(cluster, subcluster, metrics, accelerators=job.num_acc > 0)
        planned = list(live.plan(wanted, scopes, live.shares_of_job(job, subcluster)))
        source = self._source(job.cluster, job.subcluster)
        answers = live.ask(source, job.cluster, planned, window, with_data=with_data)
        answers.check(f"job {job.job_id} on {job.cluster}")
        return answers

    def _archived(
        self,
        job: Job,
        metrics: Sequence[str] | None,
        scopes: Sequence[str] | None,
        resolution: int,
        algorithm: ResampleAlgorithm,
    ) -> JobData:
        data = archived.select(self.stored_data(job), metrics, scopes)
        resampling = archived.Resampling(resolution, self._minimum_points, algorithm)
        data = archived.resampled(data, resampling)
        return curves.finish(data, node_wanted=scopes is not None and "node" in scopes)

    def stored_data(self, job: Job, *, cached: bool = True) -> JobData:
        """The archived document as it is. Raises MetricDataError.

        Kept in the cache: several views of one job ask for it in a row.
        """

        def load() -> JobData:
            try:
                return self._archive.load_data(job)
            except ArchiveError as error:
                raise _archive_failure(job, error) from error

        if not cached:
            return load()
        return self._cache.get((*_identity(job), "archived"), _LIFETIME_ARCHIVED, load)

    def _archived_statistics(self, job: Job) -> dict[str, JobStatistic]:
        if job.statistics is not None:
            return job.statistics
        try:
            meta = self._archive.load_meta(job.cluster, job.job_id, job.start_time)
        except ArchiveError as error:
            raise _archive_failure(job, error) from error
        return meta.statistics or {}

    def _window(self, job: Job, resolution: int = 0, algorithm: ResampleAlgorithm = "") -> live.Window:
        to = int(self._clock()) if job.running else job.start_time + job.duration
        return live.Window(job.start_time, max(job.start_time, to), resolution, algorithm)

    def _source(self, cluster: str, subcluster: str) -> MetricSource:
        for scope in (f"{cluster}-{subcluster}", cluster, "*"):
            if scope in self._external:
                return self._external[scope]
        if self._store is None:
            raise MetricDataError(f"no metric store is configured for cluster {cluster}")
        return self._store

    def _cluster(self, name: str) -> Cluster:
        if name not in self._clusters:
            raise MetricDataError(f"no such cluster: {name}")
        return self._clusters[name]

    def _subcluster(self, job: Job) -> SubCluster:
        subcluster = self._cluster(job.cluster).subclusters.get(job.subcluster)
        if subcluster is None:
            raise MetricDataError(f"no such subcluster: {job.subcluster} (cluster: {job.cluster})")
        return subcluster


def _archive_failure(job: Job, error: ArchiveError) -> MetricDataError:
    """What clients may know; the place in the archive is for the log."""
    log.warning("job %d: %s", job.id, error)
    missing = isinstance(error, JobNotArchivedError)
    what = "it is not in the job archive" if missing else "its entry in the job archive cannot be read"
    return MetricDataError(f"job {job.job_id} on {job.cluster}: {what}")


def _algorithm(name: str) -> ResampleAlgorithm:
    if name not in get_args(ResampleAlgorithm):
        raise MetricDataError(f"unknown resampler algorithm: {name}")
    return cast(ResampleAlgorithm, name)


def _identity(job: Job) -> tuple[object, ...]:
    # A stopped job keeps its state when it moves from the store to the archive: the source is part of it.
    return (job.cluster, job.job_id, job.start_time, job.id, job.state, job.reads_store)


def _sorted(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(set(names)))


def _size_of(data: JobData) -> int:
    return curves.points_of(data) * _BYTES_PER_NUMBER


def _total(metric: MetricConfig, values: NDArray[np.float64]) -> ClusterTotal:
    factor, unit = conversion(metric.unit, "T")
    scaled = values * factor
    two_decimals = np.copysign(np.floor(np.abs(scaled) * 100 + 0.5) / 100, scaled)
    two_decimals.setflags(write=False)
    return ClusterTotal(unit, metric.timestep, two_decimals)
