"""The way of samples out of the store: queries to plans, plans to kernel calls, results to answers.

Source: spec/metric-store.md 4 and 5. A request is planned in Python and read by one kernel call for all of
its
series, without the interpreter lock and without the writers' lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, reading, resampling
from ccstore.kernels.layout import BASE
from ccstore.kernels.lookup import look_up
from ccstore.tables import StoreTables
from ccstore.types import LastValues, Metric, NodeHealth, Query, QueryAnswer, SeriesResult

TYPE_ORDER = ("socket", "die", "memoryDomain", "llc", "core", "hwthread", "accelerator")
"""Implicit descent takes the native scope, else the first of these with data, else others by name."""

LONGEST_RANGE = 10_000_000
"""Points of one series."""
MOST_POINTS = 1 << 28
"""Points of one answer: 1 GiB."""

_ALGORITHMS = {
    "": resampling.LTTB,
    "lttb": resampling.LTTB,
    "average": resampling.AVERAGE,
    "simple": resampling.SIMPLE,
}
_MODES = {"sum": reading.SUM, "avg": reading.AVG, "": reading.REFUSED}
_LAST_RANK = 1 << 20
STALE_STEPS = 5


class InvalidRange(ValueError):
    """The range of a query ends before it begins."""


@dataclass(slots=True)
class _Plan:
    """One result to be read; `members` are filled in later for host-level queries."""

    row: int
    query: Query
    metric: Metric
    mode: int
    points: int
    id: str | None = None
    subid: str | None = None
    members: NDArray[np.int64] | Sequence[int] = ()
    parents: NDArray[np.int64] | Sequence[int] = ()


@dataclass(slots=True)
class _Request:
    """What holds for all queries of a request."""

    start: int
    to: int
    with_stats: bool
    with_data: bool
    with_padding: bool
    algorithm: int
    rows: list[list[SeriesResult]] = field(default_factory=list)


def points_in(start: int, to: int, step: int) -> int:
    return -((start - to) // step)


def failure(message: str) -> SeriesResult:
    """A result that says why there is none."""
    return SeriesResult(0, 0, 0, None, 0.0, 0.0, 0.0, error=message)


class Reader:
    """Answers queries; any number of threads may ask."""

    def __init__(self, tables: StoreTables, minimum_points: int) -> None:
        self._tables = tables
        self._minimum_points = minimum_points
        self._ranks: tuple[int, dict[str, int], NDArray[np.int64]] = (0, {}, np.zeros((0, 0), np.int64))

    # -- names -------------------------------------------------------------------------------------------

    def cluster(self, name: str) -> int:
        """Number of a cluster, -1 when it has no data yet or is not known."""
        return self._tables.cluster_numbers.get(name, -1)

    def metrics(self, name: str) -> Mapping[str, tuple[int, Metric]]:
        cluster = self.cluster(name)
        if cluster >= 0:
            return self._tables.table_metrics[int(self._tables.clusters[cluster])]
        any_cluster = int(self._tables.counts[layout.ANY_CLUSTER])
        return self._tables.table_metrics[any_cluster] if any_cluster >= 0 else {}

    def hosts(self, cluster: str) -> list[tuple[str, int]]:
        number = self.cluster(cluster)
        return self._tables.living_hosts(number) if number >= 0 else []

    def _orders(self) -> tuple[dict[str, int], NDArray[np.int64]]:
        """Row of `ranks` per native scope, and the rank of every type in each row."""
        types = self._tables.type_names
        known, rows, ranks = self._ranks
        if known == len(types) and known:
            return rows, ranks
        known = len(types)
        names = list(types)
        plain = {name: rank + 1 for rank, name in enumerate(TYPE_ORDER)}
        others = sorted(set(names) - set(plain))
        plain |= {name: len(TYPE_ORDER) + 1 + i for i, name in enumerate(others)}
        scopes = sorted({metric.scope for metric in self._tables.metric_rows} | {"node"})
        rows = {scope: i for i, scope in enumerate(scopes)}
        ranks = np.array(
            [[0 if name == scope else plain[name] for name in names] for scope in scopes], np.int64
        )
        self._ranks = (known, rows, ranks)
        return rows, ranks

    # -- queries -----------------------------------------------------------------------------------------

    def query(
        self,
        cluster: str,
        start: int,
        to: int,
        queries: Sequence[Query],
        for_all_nodes: Sequence[str],
        with_stats: bool,
        with_data: bool,
        with_padding: bool,
        resample_algorithm: str,
    ) -> QueryAnswer:
        if start > to:
            raise InvalidRange("[METRICSTORE]> invalid time range: 'from' must be before 'to'")
        if resample_algorithm not in _ALGORITHMS:
            raise ValueError(f"unknown resampler algorithm: {resample_algorithm}")
        generated: list[Query] = []
        if for_all_nodes:
            if not cluster:
                raise ValueError("[METRICSTORE]> cluster name cannot be empty")
            names = self.hosts(cluster)
            generated = [Query(metric, host) for host, _ in names for metric in for_all_nodes]
        request = _Request(start, to, with_stats, with_data, with_padding, _ALGORITHMS[resample_algorithm])
        everything = [*queries, *generated]
        request.rows = [[] for _ in everything]
        plans = self._plan(cluster, request, everything)
        self._execute(request, plans)
        return QueryAnswer(request.rows, generated)

    def _plan(self, cluster: str, request: _Request, queries: Sequence[Query]) -> list[_Plan]:
        tables = self._tables
        metrics = self.metrics(cluster)
        number = self.cluster(cluster)
        hosts = tables.host_numbers[number] if number >= 0 else {}
        plans: list[_Plan] = []
        descents: list[tuple[_Plan, int, int]] = []
        total = 0
        for row, query in enumerate(queries):
            known = metrics.get(query.metric)
            if known is None:
                request.rows[row].append(failure(f"[METRICSTORE]> unknown metric: {query.metric}"))
                continue
            metric_row, metric = known
            host = hosts.get(query.host, -1)
            if host < 0:
                continue
            points = points_in(request.start, request.to, metric.frequency)
            if points > LONGEST_RANGE or total > MOST_POINTS:
                request.rows[row].append(
                    failure(
                        f"[METRICSTORE]> {points} points of {query.metric} asked for, at most "
                        f"{LONGEST_RANGE} are answered: ask for a shorter range"
                        if points > LONGEST_RANGE
                        else f"[METRICSTORE]> more than {MOST_POINTS} points asked for: ask for less at once"
                    )
                )
                continue
            mode = _MODES[metric.aggregation]
            if not query.type or query.type == "node":
                plan = _Plan(row, query, metric, mode, points)
                descents.append((plan, host, metric_row))
                plans.append(plan)
                total += points
            else:
                found = self._component_plans(row, query, metric, mode, points, host, metric_row)
                plans.extend(found)
                total += points * len(found)
        self._descend(descents)
        return plans

    def _component_plans(
        self, row: int, query: Query, metric: Metric, mode: int, points: int, host: int, metric_row: int
    ) -> list[_Plan]:
        """One plan per listed id that has data, or one for all of them."""
        kind = "hwthread" if query.type == "cpu" else query.type
        asked = [
            (kind, one, query.subtype, sub)
            for one in query.type_ids
            for sub in (query.subtype_ids if query.subtype else ("",))
        ]
        numbers = [self._tables.component_numbers.get(component, -1) for component in asked]
        keys = np.array([(host << 40) | (metric_row << 24) | max(n, 0) for n in numbers], np.int64)
        series = np.empty(len(keys), np.int64)
        look_up(self._tables.flat, keys, series)
        plans: list[_Plan] = []
        for component, number, one in zip(asked, numbers, series.tolist(), strict=True):
            if number < 0:
                continue
            if one >= 0:
                members: NDArray[np.int64] | list[int] = [one]
                parents: NDArray[np.int64] | list[int] = [number]
            elif query.subtype:
                continue
            else:
                members, parents = self._subtypes(metric, host, metric_row, number)
                if not len(members):
                    continue
            subid = component[3] if query.subtype else None
            plans.append(_Plan(row, query, metric, mode, points, component[1], subid, members, parents))
        if query.aggregate and plans:
            return [
                _Plan(
                    row,
                    query,
                    metric,
                    mode,
                    points,
                    members=[int(m) for plan in plans for m in plan.members],
                    parents=[int(p) for plan in plans for p in plan.parents],
                )
            ]
        return plans

    def _subtypes(
        self, metric: Metric, host: int, metric_row: int, component: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows, ranks = self._orders()
        room = 256
        while True:
            members, parents = np.empty(room, np.int64), np.empty(room, np.int64)
            count = reading.select_subtypes(
                self._tables.flat,
                host,
                metric_row,
                component,
                ranks[rows.get(metric.scope, rows["node"])],
                members,
                parents,
            )
            if count >= 0:
                return members[:count], parents[:count]
            room *= 8

    def _descend(self, descents: Sequence[tuple[_Plan, int, int]]) -> None:
        if not descents:
            return
        count = len(descents)
        members, parents, ends = self._select(
            np.fromiter((host for _, host, _ in descents), np.int64, count),
            np.fromiter((metric for _, _, metric in descents), np.int64, count),
            [plan.metric.scope for plan, _, _ in descents],
        )
        begin = 0
        for (plan, _, _), end in zip(descents, ends.tolist(), strict=True):
            plan.members = members[begin:end]
            plan.parents = parents[begin:end]
            begin = end

    def _select(
        self, hosts: NDArray[np.int64], metrics: NDArray[np.int64], scopes: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Series that answer for each (host, metric), with their components, and where each run of them
        ends."""
        rows, ranks = self._orders()
        orders = np.fromiter((rows[scope] for scope in scopes), np.int64, len(scopes))
        ends = np.empty(len(hosts), np.int64)
        room = 4 * len(hosts) + 1024
        while True:
            members, parents = np.empty(room, np.int64), np.empty(room, np.int64)
            count = reading.select_hosts(
                self._tables.flat, hosts, metrics, orders, ranks, ends, members, parents
            )
            if count >= 0:
                return members, parents, ends
            room *= 8

    # -- execution ---------------------------------------------------------------------------------------

    def _execute(self, request: _Request, plans: Sequence[_Plan]) -> None:
        wanted: list[_Plan] = []
        for plan in plans:
            if not len(plan.members):
                continue
            if len(plan.members) > 1 and plan.mode == reading.REFUSED:
                request.rows[plan.row].append(failure("[METRICSTORE]> invalid aggregation"))
                continue
            wanted.append(plan)
        if not wanted:
            return
        flat = self._tables.flat
        results = len(wanted)
        members = np.concatenate([np.asarray(plan.members, np.int64) for plan in wanted])
        parents = np.concatenate([np.asarray(plan.parents, np.int64) for plan in wanted])
        member_ends = np.cumsum(np.fromiter((len(plan.members) for plan in wanted), np.int64, results))
        counts = np.fromiter((plan.points for plan in wanted), np.int64, results)
        ends = np.cumsum(counts)
        out = np.empty(int(ends[-1]), np.float32)
        stats = np.empty(3 * results, np.float64)
        extents = np.empty(3 * results, np.int64)
        room = max((plan.points for plan in wanted if len(plan.members) > 1), default=1)
        reading.read_many(
            flat,
            members,
            parents,
            member_ends,
            np.full(results, request.start - BASE, np.int64),
            counts,
            np.fromiter((plan.mode for plan in wanted), np.int64, results),
            np.fromiter((plan.query.scale_by or 1.0 for plan in wanted), np.float64, results),
            ends,
            out,
            stats,
            extents,
            np.empty(room, np.float32),
            np.empty((4, room), np.float64),
        )
        firsts = lasts = np.zeros(0, np.int64)
        if not request.with_padding:
            firsts, lasts = np.empty(results, np.int64), np.empty(results, np.int64)
            reading.spans(flat, members, member_ends, firsts, lasts)
        begin = 0
        numbers = stats.tolist() if request.with_stats else [0.0] * (3 * results)
        for i, plan in enumerate(wanted):
            end = begin + plan.points
            data = out[begin:end]
            begin = end
            start = request.start
            if not request.with_padding:
                start, data = _trimmed(
                    request.start,
                    plan.metric.frequency,
                    data,
                    int(extents[3 * i + 2]),
                    int(firsts[i]),
                    int(lasts[i]),
                )
            data, resolution = self._resampled(request, plan, data)
            request.rows[plan.row].append(
                SeriesResult(
                    start,
                    start + len(data) * resolution,
                    resolution,
                    data if request.with_data else None,
                    numbers[3 * i],
                    numbers[3 * i + 1],
                    numbers[3 * i + 2],
                    plan.id,
                    plan.subid,
                )
            )

    def _resampled(
        self, request: _Request, plan: _Plan, data: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], int]:
        return resampled(
            data, plan.metric.frequency, plan.query.resolution, request.algorithm, self._minimum_points
        )

    # -- newest values and health ------------------------------------------------------------------------

    def last_values(
        self, cluster: str, metrics: Sequence[str], hosts: Sequence[str] | None, now: int
    ) -> LastValues:
        known = self.metrics(cluster)
        number = self.cluster(cluster)
        numbers = self._tables.host_numbers[number] if number >= 0 else {}
        if hosts is None:
            named = self.hosts(cluster)
            hosts = [name for name, _ in named]
            rows = np.fromiter((one for _, one in named), np.int64, len(named))
        else:
            rows = np.fromiter((numbers.get(name, -1) for name in hosts), np.int64, len(hosts))
        values = np.full((len(hosts), len(metrics)), np.nan, np.float32)
        times = np.zeros((len(hosts), len(metrics)), np.int64)
        for column, name in enumerate(metrics):
            if name not in known or not len(rows):
                continue
            row, metric = known[name]
            members, parents, ends = self._select(
                rows, np.full(len(rows), row, np.int64), [metric.scope] * len(rows)
            )
            newest, at = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
            modes = np.full(len(rows), _MODES[metric.aggregation], np.int64)
            reading.newest(self._tables.flat, members, parents, ends, modes, now, STALE_STEPS, newest, at)
            values[:, column] = newest
            times[:, column] = at
        return LastValues(list(hosts), list(metrics), values, times)

    def health(
        self, cluster: str, nodes: Sequence[str], metrics: Sequence[str], now: int, retention: float
    ) -> dict[str, NodeHealth]:
        known = self.metrics(cluster)
        number = self.cluster(cluster)
        numbers = self._tables.host_numbers[number] if number >= 0 else {}
        alive = self._tables.hosts[:, layout.HOST_SERIES]
        rows = [known[name][0] if name in known else -1 for name in metrics]
        answer: dict[str, NodeHealth] = {}
        for node in nodes:
            host = numbers.get(node, -1)
            if host < 0 or alive[host] == 0:
                answer[node] = NodeHealth("failed", (), (), known=False)
                continue
            states = np.empty(len(rows), np.int64)
            reading.health(
                self._tables.flat,
                np.full(len(rows), host, np.int64),
                np.array(rows, np.int64),
                now,
                int(retention / 2),
                states,
            )
            answer[node] = _node_health(metrics, states.tolist())
        return answer


def _node_health(metrics: Sequence[str], states: Sequence[int]) -> NodeHealth:
    degraded = tuple(name for name, state in zip(metrics, states, strict=True) if state == 1)
    missing = tuple(name for name, state in zip(metrics, states, strict=True) if state == 2)
    if not degraded and not missing:
        return NodeHealth("full", degraded, missing)
    healthy = len(metrics) - len(degraded) - len(missing)
    return NodeHealth("partial" if healthy else "failed", degraded, missing)


def _trimmed(
    start: int, step: int, data: NDArray[np.float32], filled: int, first: int, last: int
) -> tuple[int, NDArray[np.float32]]:
    """From the first stored slot of the series to its last one, as far as the range reaches; both are
    nominal times."""
    if not filled:
        return start, data[:0]
    half = step // 2
    begin = max(0, -((start - (first - half)) // step))
    end = min(len(data), (last - half + step - 1 - start) // step + 1)
    return max(start, first), data[begin:end]


def resampled(
    data: NDArray[np.float32], step: int, resolution: int, algorithm: int, minimum_points: int
) -> tuple[NDArray[np.float32], int]:
    """The points at the resolution asked for, or at the next larger multiple of the step, and that
    resolution."""
    if resolution <= step or len(data) < minimum_points:
        return data, step
    every = -(-resolution // step)
    points = len(data) // every
    if points == 0 or points >= len(data):
        return data, step
    if algorithm == resampling.LTTB and points == 1:
        points = 2
    out = np.empty(points, np.float32)
    resampling.resample(data, every, algorithm, out)
    return out, every * step
