"""Totals and histograms over jobs. Contract: spec/graphql.md 9."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from graphql import GraphQLError
from strawberry import UNSET, Info

from ccserver.graphql import arguments, outputs
from ccserver.graphql.inputs import Aggregate, JobFilter, PageRequest, SortByAggregate
from ccserver.graphql.request import Request, request_of
from ccserver.graphql.selection import selected_by_aliases, selected_fields, selects
from ccserver.jobs import filters
from ccserver.model.job import MONITORING_DISABLED, MONITORING_FAILED

if TYPE_CHECKING:
    from ccserver.clusters import Clusters
    from ccserver.jobs.statistics import HistogramPoint, JobsStatistics

log = logging.getLogger(__name__)

DEFAULT_DURATION_BINS = "1h"
DEFAULT_METRIC_BINS = 10
MOST_METRIC_BINS = 1000
MOST_LIVE_JOBS = 5000
MOST_EDGES = 107
"""Two years of weeks."""
EVERYTHING = -1
UNMONITORED = (MONITORING_DISABLED, MONITORING_FAILED)

_HISTOGRAMS = {"histDuration", "histNumNodes", "histNumCores", "histNumAccs"}
_METRIC_NAME = re.compile(r"[A-Za-z0-9_]+")
_TOTALS = {
    "totalJobs": "total_jobs",
    "totalUsers": "total_users",
    "runningJobs": "running_jobs",
    "shortJobs": "short_jobs",
    "totalWalltime": "total_walltime",
    "totalNodes": "total_nodes",
    "totalNodeHours": "total_node_hours",
    "totalCores": "total_cores",
    "totalCoreHours": "total_core_hours",
    "totalAccs": "total_accs",
    "totalAccHours": "total_acc_hours",
}


@dataclass
class Overall:
    """A `JobsStatistics` over all matching jobs; histograms are computed when they are selected."""

    request: Request
    filters: list[filters.JobFilter]
    totals: set[str]
    duration_bins: str
    metrics: list[str]
    metric_bins: int
    open_bin: bool
    """Whether a last point counts what lies above the peak; parity clients know none."""
    id: str = ""
    name: str = ""
    _viewer: Any = field(init=False)

    def __post_init__(self) -> None:
        self._viewer = self.request.job_viewer

    def __getattr__(self, name: str) -> int:
        """The totals, read in one statement."""
        if name in _TOTALS.values():
            return int(getattr(self._row, name))
        raise AttributeError(name)

    @cached_property
    def _row(self) -> JobsStatistics:
        jobs = self.request.site.jobs
        key = ("totals of all", repr(self.filters))
        return self.request.once(
            key, lambda: jobs.statistics(self.filters, self._viewer, totals=self.totals)[0]
        )

    @property
    def hist_duration(self) -> Sequence[HistogramPoint]:
        return self.request.site.jobs.duration_histogram(self.filters, self._viewer, self.duration_bins)

    @property
    def hist_num_nodes(self) -> Sequence[HistogramPoint]:
        return self._values("num_nodes")

    @property
    def hist_num_cores(self) -> Sequence[HistogramPoint]:
        return self._values("num_hwthreads")

    @property
    def hist_num_accs(self) -> Sequence[HistogramPoint]:
        return self._values("num_acc")

    def _values(self, column: str) -> Sequence[HistogramPoint]:
        return self.request.site.jobs.value_histogram(self.filters, self._viewer, column)

    @property
    def hist_metrics(self) -> list[outputs.MetricHistoPoints]:
        if any(list(one.state or ()) == ["running"] for one in self.filters):
            return self._live()
        return [self._footprints(name) for name in self.metrics if _METRIC_NAME.fullmatch(name)]

    def _footprints(self, metric: str) -> outputs.MetricHistoPoints:
        clusters = self.request.site.clusters
        known = next((one for one in clusters.global_metrics(restricted=False) if one.name == metric), None)
        stat = known.footprint if known else ""
        peak = peak_of(clusters, metric, self._cluster)
        counts = self.request.site.jobs.footprint_histogram(
            self.filters, self._viewer, f"{metric}_{stat}", peak, self.metric_bins
        )
        return outputs.MetricHistoPoints(
            metric=metric,
            unit=f"{known.unit.prefix}{known.unit.base}" if known else "",
            stat=stat,
            data=histogram_points(counts, peak, self.open_bin),
        )

    def _live(self) -> list[outputs.MetricHistoPoints]:
        """From the metric store; nothing when there are too many jobs or it cannot answer."""
        from ccserver.metricdata import MetricDataError  # not before: it would load the store's kernels

        jobs = self.request.site.jobs.list(
            self.filters, self._viewer, page=1, items_per_page=MOST_LIVE_JOBS + 1
        )
        if len(jobs) > MOST_LIVE_JOBS:
            log.warning("metric histograms left out: more than %d running jobs match", MOST_LIVE_JOBS)
            return []
        monitored = [job for job in jobs if job.monitoring_status not in UNMONITORED]
        try:
            averages = list(self.request.site.metric_data.averages_of_jobs(monitored, self.metrics))
        except MetricDataError as error:
            log.warning("metric histograms of running jobs left out: %s", error)
            return []
        return [
            self._live_histogram(metric, [values[index] for values in averages])
            for index, metric in enumerate(self.metrics)
        ]

    def _live_histogram(self, metric: str, values: Sequence[float]) -> outputs.MetricHistoPoints:
        clusters = self.request.site.clusters
        known = next((one for one in clusters.global_metrics(restricted=False) if one.name == metric), None)
        peak = peak_of(clusters, metric, self._cluster)
        points = histogram_points([0] * (self.metric_bins + 1), peak, self.open_bin)
        for value in values:
            for point in points:
                if not math.isnan(value) and self._inside(value, point):
                    point.count += 1
        return outputs.MetricHistoPoints(
            metric=metric,
            unit=f"{known.unit.prefix}{known.unit.base}" if known else "",
            stat=None,
            data=points,
        )

    def _inside(self, value: float, point: outputs.MetricHistoPoint) -> bool:
        if self.open_bin:
            return (point.min_f or 0) <= value < (math.inf if point.max_f is None else point.max_f)
        return (point.min or 0) <= math.floor(value) < (point.max or 0)

    @property
    def _cluster(self) -> str | None:
        return next((one.cluster.eq for one in self.filters if one.cluster and one.cluster.eq), None)


def jobs_statistics(
    info: Info,
    filter: list[JobFilter] | None = UNSET,
    metrics: list[str] | None = UNSET,
    page: PageRequest | None = UNSET,
    sort_by: SortByAggregate | None = UNSET,
    group_by: Aggregate | None = UNSET,
    num_duration_bins: str | None = UNSET,
    num_metric_bins: int | None = UNSET,
) -> object:
    request = request_of(info)
    selected = selected_fields(info)
    # one statement serves all aliases, so it computes what any of them selects
    totals = {_TOTALS[name] for name in selected_by_aliases(info) & set(_TOTALS)}
    wanted = arguments.job_filters(filter)
    group = arguments.given(group_by)
    if group is not None:
        _refuse_histograms(selected)
        return _groups(request, wanted, group, arguments.given(sort_by), arguments.given(page), totals)
    bins, durations = arguments.given(num_metric_bins), arguments.given(num_duration_bins)
    return [
        Overall(
            request=request,
            filters=wanted,
            totals=totals,
            duration_bins=DEFAULT_DURATION_BINS if durations is None else durations,
            metrics=arguments.given(metrics) or [],
            metric_bins=_bins(DEFAULT_METRIC_BINS if bins is None else bins),
            open_bin=any(selects(info, "histMetrics", "data", name) for name in ("minF", "maxF")),
        )
    ]


def footprint_trend(
    info: Info, metrics: list[str], edges: list[int], filter: list[JobFilter] | None = UNSET
) -> object:
    """What is kept of each metric in footprints, averaged over the jobs that started between two edges."""
    request = request_of(info)
    if not 2 <= len(edges) <= MOST_EDGES or any(b <= a for a, b in pairwise(edges)):
        raise GraphQLError(f"edges must be from 2 to {MOST_EDGES} rising times")
    shown = request.site.clusters.global_metrics(restricted=not request.user.sees_restricted_metrics)
    known = {one.name: one for one in shown if one.footprint}
    wanted = [known[name] for name in dict.fromkeys(metrics) if name in known]
    keys = [f"{one.name}_{one.footprint}" for one in wanted]
    found = request.site.jobs.footprint_trend(arguments.job_filters(filter), request.job_viewer, keys, edges)
    return [
        outputs.FootprintTrend(
            metric=one.name,
            stat=one.footprint,
            unit=cast(outputs.Unit, one.unit),
            means=cast(Any, np.array([total / count if count else np.nan for total, count in row])),
            jobs=[count for _, count in row],
        )
        for one, row in zip(wanted, found, strict=True)
    ]


def peak_of(clusters: Clusters, metric: str, cluster: str | None) -> float:
    """The metric's peak on `cluster`; the largest of all clusters where that is not known or 0."""
    peaks = {one.name: one.metrics[metric].peak for one in clusters.by_name.values() if metric in one.metrics}
    return peaks.get(cluster or "", 0.0) or max(peaks.values(), default=0.0)


def histogram_points(
    counts: Sequence[int], peak: float, open_bin: bool = False
) -> list[outputs.MetricHistoPoint]:
    """Bins from 1; the last of `counts` is of what lies above the peak, a point of its own if `open_bin`.

    Whole-number labels: a peak smaller than the number of bins labels all of them 0.
    """
    *inside, above = counts
    step, width = int(peak) // len(inside), peak / len(inside)
    points = [
        outputs.MetricHistoPoint(
            bin=bin, count=count, min=step * (bin - 1), max=step * bin,
            min_f=width * (bin - 1), max_f=width * bin,
        )
        for bin, count in enumerate(inside, 1)
    ]  # fmt: skip
    if open_bin:
        points.append(
            outputs.MetricHistoPoint(
                bin=len(inside) + 1, count=above, min=int(peak), max=None, min_f=peak, max_f=None
            )
        )
    return points


def _groups(
    request: Request,
    wanted: list[filters.JobFilter],
    group: Aggregate,
    sort_by: SortByAggregate | None,
    page: PageRequest | None,
    totals: set[str],
) -> Sequence[JobsStatistics]:
    number, items_per_page = (page.page, page.items_per_page) if page else (1, EVERYTHING)
    viewer = request.job_viewer

    def read() -> Sequence[JobsStatistics]:
        return request.site.jobs.statistics(
            wanted,
            viewer,
            group_by=group.value,
            sort_by=sort_by.value if sort_by else None,
            page=number,
            items_per_page=items_per_page,
            totals=totals,
        )

    return request.once(("totals by group", repr(wanted), group, sort_by, number, items_per_page), read)


def _refuse_histograms(selected: set[str]) -> None:
    if selected & _HISTOGRAMS:
        raise GraphQLError("histograms only implemented without groupBy argument")
    if "histMetrics" in selected:
        raise GraphQLError("metric histograms only implemented without groupBy argument")


def _bins(number: int) -> int:
    if not 1 <= number <= MOST_METRIC_BINS:
        raise GraphQLError(f"numMetricBins must be from 1 to {MOST_METRIC_BINS}: {number}")
    return number
