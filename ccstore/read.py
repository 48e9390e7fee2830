"""The way of samples out of the store: queries to plans, plans to kernel calls, results to answers.

Source: spec/metric-store.md 4 and 5. A request is planned in Python and read by one kernel call for all of
its series, without the interpreter lock and without the writers' lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, reading, resampling
from ccstore.kernels.layout import BASE
from ccstore.kernels.lookup import look_up
from ccstore.tables import StoreTables
from ccstore.types import (
    HostBlock,
    HostBlocks,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    SeriesResult,
)

TYPE_ORDER = ("socket", "die", "memoryDomain", "llc", "core", "hwthread", "accelerator")
"""Implicit descent takes the native scope, else the first of these with data, else others by name."""

LONGEST_RANGE = 10_000_000
"""Points of one series."""
MOST_POINTS = 1 << 28
"""Points of one answer: 1 GiB."""

ALGORITHMS = {
    "": resampling.LTTB,
    "lttb": resampling.LTTB,
    "average": resampling.AVERAGE,
    "simple": resampling.SIMPLE,
}
_MODES = {"sum": reading.SUM, "avg": reading.AVG, "": reading.REFUSED}
_MOST_PER_HOST = 512
STALE_STEPS = 5


class InvalidRange(ValueError):
    """The range of a query ends before it begins."""


LATEST = 1 << 53
"""Seconds, and before the epoch as many: what lies beyond is no time."""


class _Choice(NamedTuple):
    """What holds for all series of a metric in one request."""

    row: int  # of the store's metric table
    metric: Metric
    mode: int
    points: int
    order: int  # row of `ranks`


@dataclass(slots=True)
class _Plans:
    """Results to be read, one place in every list each; host-level ones first, whose members are not known
    yet."""

    rows: list[int] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)  # places in `chosen`
    resolutions: list[int] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    hosts: list[int] = field(default_factory=list)  # host-level only
    chosen: list[_Choice] = field(default_factory=list)


@dataclass(slots=True)
class _Component:
    """One result over components that are listed."""

    row: int
    query: Query
    choice: int
    members: list[int]
    parents: list[int]
    id: str | None = None
    subid: str | None = None


@dataclass(slots=True)
class _Request:
    """What holds for all queries of a request."""

    start: int
    to: int
    with_stats: bool
    with_data: bool
    with_padding: bool
    algorithm: int
    rows: list[list[SeriesResult]]


def points_in(start: int, to: int, step: int) -> int:
    return -((start - to) // step)


def failure(message: str) -> SeriesResult:
    """A result that says why there is none."""
    return SeriesResult(0, 0, 0, None, 0.0, 0.0, 0.0, error=message)


_TOO_MUCH = failure(f"[METRICSTORE]> more than {MOST_POINTS} points asked for: ask for less at once")


@dataclass(slots=True)
class _Read:
    """What the kernels have found, a place per result: values[begins:], (avg, min, max), (values, members
    that have some), nominal times of the first and last slot."""

    begins: NDArray[np.int64]
    values: NDArray[np.float32]
    stats: NDArray[np.float64]
    found: NDArray[np.int64]
    firsts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lasts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


class Reader:
    """Answers queries; any number of threads may ask."""

    def __init__(self, tables: StoreTables, minimum_points: int) -> None:
        self._tables = tables
        self._minimum_points = minimum_points
        self._members_per_host = 4  # as far as seen: spares going through them twice
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
        if start < -LATEST or to > LATEST:
            raise InvalidRange("[METRICSTORE]> invalid time range: 'from' and 'to' are unix seconds")
        if resample_algorithm not in ALGORITHMS:
            raise ValueError(f"unknown resampler algorithm: {resample_algorithm}")
        if for_all_nodes and not cluster:
            raise ValueError("[METRICSTORE]> cluster name cannot be empty")
        named = self.hosts(cluster) if for_all_nodes else []
        generated = [Query(metric, host) for host, _ in named for metric in for_all_nodes]
        rows: list[list[SeriesResult]] = [[] for _ in range(len(queries) + len(generated))]
        request = _Request(
            start, to, with_stats, with_data, with_padding, ALGORITHMS[resample_algorithm], rows
        )
        plans, components = self._plan(cluster, request, queries)
        self._plan_all_nodes(cluster, request, plans, len(queries), named, for_all_nodes)
        self._execute(request, plans, components)
        return QueryAnswer(request.rows, generated)

    def _choose(
        self, plans: _Plans, known: Mapping[str, tuple[int, Metric]], name: str, start: int, to: int
    ) -> int | SeriesResult:
        """Place of the choice for a metric, or why there is none."""
        if name not in known:
            return failure(f"[METRICSTORE]> unknown metric: {name}")
        row, metric = known[name]
        points = points_in(start, to, metric.frequency)
        if points > LONGEST_RANGE:
            return failure(
                f"[METRICSTORE]> {points} points of {name} asked for, at most {LONGEST_RANGE} are answered: "
                "ask for a shorter range"
            )
        orders, _ = self._orders()
        order = orders.get(metric.scope, orders["node"])
        plans.chosen.append(_Choice(row, metric, _MODES[metric.aggregation], points, order))
        return len(plans.chosen) - 1

    def _plan(
        self, cluster: str, request: _Request, queries: Sequence[Query]
    ) -> tuple[_Plans, list[_Component]]:
        plans = _Plans()
        components: list[_Component] = []
        known = self.metrics(cluster)
        number = self.cluster(cluster)
        hosts = self._tables.host_numbers[number] if number >= 0 else {}
        chosen: dict[str, int | SeriesResult] = {}
        for row, query in enumerate(queries):
            metric, name, kind = query.metric, query.host, query.type
            choice = chosen.get(metric)
            if choice is None:
                choice = chosen[metric] = self._choose(plans, known, metric, request.start, request.to)
            if not isinstance(choice, int):
                request.rows[row].append(choice)
                continue
            host = hosts.get(name)
            if host is None:
                continue
            if not kind or kind == "node":
                plans.rows.append(row)
                plans.choices.append(choice)
                plans.resolutions.append(query.resolution)
                plans.scales.append(query.scale_by or 1.0)
                plans.hosts.append(host)
            else:
                components += self._components(row, query, choice, plans.chosen[choice], host)
        return plans, components

    def _plan_all_nodes(
        self,
        cluster: str,
        request: _Request,
        plans: _Plans,
        first: int,
        named: Sequence[tuple[str, int]],
        metrics: Sequence[str],
    ) -> None:
        """Rows from `first` on: hosts outside, metrics inside."""
        known = self.metrics(cluster)
        choices = [self._choose(plans, known, name, request.start, request.to) for name in metrics]
        hosts = [number for _, number in named]
        for place, choice in enumerate(choices):
            rows = range(first + place, first + len(hosts) * len(metrics), len(metrics))
            if not isinstance(choice, int):
                for row in rows:
                    request.rows[row].append(choice)
                continue
            plans.rows += rows
            plans.choices += [choice] * len(hosts)
            plans.resolutions += [0] * len(hosts)
            plans.scales += [1.0] * len(hosts)
            plans.hosts += hosts

    def _components(
        self, row: int, query: Query, choice: int, chosen: _Choice, host: int
    ) -> list[_Component]:
        """One result per listed id that has data, or one for all of them."""
        kind = "hwthread" if query.type == "cpu" else query.type
        asked = [
            (kind, one, query.subtype, sub)
            for one in query.type_ids
            for sub in (query.subtype_ids if query.subtype else ("",))
        ]
        numbers = [self._tables.component_numbers.get(component, -1) for component in asked]
        keys = np.array([(host << 40) | (chosen.row << 24) | max(n, 0) for n in numbers], np.int64)
        series = np.empty(len(keys), np.int64)
        look_up(self._tables.flat, keys, series)
        found: list[_Component] = []
        for component, number, one in zip(asked, numbers, series.tolist(), strict=True):
            if number < 0:
                continue
            if one >= 0:
                members, parents = [one], [number]
            elif query.subtype:
                continue
            else:
                members, parents = self._subtypes(chosen, host, number)
                if not members:
                    continue
            subid = component[3] if query.subtype else None
            found.append(_Component(row, query, choice, members, parents, component[1], subid))
        if query.aggregate and found:
            members = [member for one in found for member in one.members]
            parents = [parent for one in found for parent in one.parents]
            return [_Component(row, query, choice, members, parents)]
        return found

    def _subtypes(self, chosen: _Choice, host: int, component: int) -> tuple[list[int], list[int]]:
        _, ranks = self._orders()
        order = ranks[chosen.order]
        room = 256
        while True:
            members, parents = np.empty(room, np.int64), np.empty(room, np.int64)
            count = reading.select_subtypes(
                self._tables.flat, host, chosen.row, component, order, members, parents
            )
            if count >= 0:
                return members[:count].tolist(), parents[:count].tolist()
            room *= 8

    def _select(
        self, hosts: NDArray[np.int64], metrics: NDArray[np.int64], orders: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Series that answer for each (host, metric), with their components, and where each run of them
        ends. `orders` are rows of ranks."""
        _, ranks = self._orders()
        ends = np.empty(len(hosts), np.int64)
        room = self._members_per_host * len(hosts) + 1024
        while True:
            members, parents = np.empty(room, np.int64), np.empty(room, np.int64)
            count = reading.select_hosts(
                self._tables.flat, hosts, metrics, orders, ranks, ends, members, parents
            )
            if count >= 0:
                return members[:count], parents[:count], ends
            room *= 8
            self._members_per_host = min(max(self._members_per_host, room // len(hosts)), _MOST_PER_HOST)

    # -- execution ---------------------------------------------------------------------------------------

    def _execute(self, request: _Request, plans: _Plans, components: list[_Component]) -> None:
        if plans.rows or components:
            self._answer(request, plans, components, *self._run(request, plans, components))

    def _run(
        self,
        request: _Request,
        plans: _Plans,
        components: list[_Component],
        own_starts: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], _Read]:
        """Points and number of series per result, and what was read; components have joined the plans.

        `own_starts` has a start per row, where they differ.
        """
        chosen = plans.chosen
        rows_of = np.array([choice.row for choice in chosen], np.int64)
        orders = np.array([choice.order for choice in chosen], np.int64)
        choices = np.array(plans.choices, np.int64)
        members, parents, ends = self._select(
            np.array(plans.hosts, np.int64), rows_of[choices], orders[choices]
        )
        for one in components:
            plans.rows.append(one.row)
            plans.choices.append(one.choice)
            plans.resolutions.append(one.query.resolution)
            plans.scales.append(one.query.scale_by or 1.0)
        if components:
            choices = np.array(plans.choices, np.int64)
            added = np.cumsum([len(one.members) for one in components])
            ends = np.concatenate((ends, len(members) + added))
            members = np.concatenate((members, *(np.array(one.members, np.int64) for one in components)))
            parents = np.concatenate((parents, *(np.array(one.parents, np.int64) for one in components)))
        counts = np.array([choice.points for choice in chosen], np.int64)[choices]
        starts = np.full(len(counts), request.start, np.int64)
        if own_starts is not None:
            starts = own_starts[plans.rows]
            steps = np.array([choice.metric.frequency for choice in chosen], np.int64)[choices]
            counts = np.maximum(-((starts - request.to) // steps), 0)
        sizes = np.diff(ends, prepend=0)
        counts[sizes == 0] = 0
        room = np.cumsum(counts)
        if int(room[-1]) > MOST_POINTS:
            # What does not fit any more is neither read nor answered.
            for place in np.flatnonzero((room > MOST_POINTS) & (sizes > 0)).tolist():
                request.rows[plans.rows[place]].append(_TOO_MUCH)
            counts[room > MOST_POINTS] = 0
            sizes[room > MOST_POINTS] = 0
            room = np.cumsum(counts)
        return (
            counts,
            sizes,
            self._read(request, plans, starts, counts, room, choices, members, parents, ends),
        )

    def _read(
        self,
        request: _Request,
        plans: _Plans,
        starts: NDArray[np.int64],
        counts: NDArray[np.int64],
        room: NDArray[np.int64],
        choices: NDArray[np.int64],
        members: NDArray[np.int64],
        parents: NDArray[np.int64],
        ends: NDArray[np.int64],
    ) -> _Read:
        results = len(counts)
        longest = int(counts.max(initial=0))
        # Without data every result takes the place of the one before: it never leaves the cache.
        begins = room - counts if request.with_data else np.zeros(results, np.int64)
        read = _Read(
            begins,
            np.empty(int(room[-1]) if request.with_data else longest, np.float32),
            np.empty((results, 3), np.float64),
            np.empty((results, 2), np.int64),
        )
        several = int(counts.max(initial=0, where=np.diff(ends, prepend=0) > 1))
        reading.read_many(
            self._tables.flat,
            members,
            parents,
            ends,
            starts - BASE,
            counts,
            np.array([choice.mode for choice in plans.chosen], np.int64)[choices],
            np.array(plans.scales, np.float64),
            begins,
            read.values,
            read.stats,
            read.found,
            np.empty(several, np.float32),
            np.empty((4, several), np.float64),
        )
        if not request.with_padding:
            read.firsts, read.lasts = np.empty(results, np.int64), np.empty(results, np.int64)
            reading.spans(self._tables.flat, members, ends, read.firsts, read.lasts)
        return read

    def _answer(
        self,
        request: _Request,
        plans: _Plans,
        components: list[_Component],
        counts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        read: _Read,
    ) -> None:
        """Results into their rows."""
        steps = np.array([choice.metric.frequency for choice in plans.chosen], np.int64)[
            np.array(plans.choices, np.int64)
        ]
        starts = [request.start] * len(counts)
        tos = (request.start + counts * steps).tolist()
        resolutions = steps.tolist()
        data = _arrays(read, counts)
        if not request.with_padding or max(plans.resolutions) > 0:
            self._shorten(request, plans.resolutions, read, starts, tos, resolutions, data)
        host_level = [None] * len(plans.hosts)
        averages, lows, highs = read.stats.T.tolist() if request.with_stats else ([0.0] * len(counts),) * 3
        results = map(
            SeriesResult,
            starts,
            tos,
            resolutions,
            data if request.with_data else repeat(None),
            averages,
            lows,
            highs,
            chain(host_level, (one.id for one in components)),
            chain(host_level, (one.subid for one in components)),
        )
        rows = request.rows
        for row, size, result in zip(plans.rows, sizes.tolist(), results, strict=True):
            if size:
                rows[row].append(result)
        modes = np.array([choice.mode for choice in plans.chosen], np.int64)[plans.choices]
        refused = (sizes > 0) & (read.found[:, reading.TAKEN] > 1) & (modes == reading.REFUSED)
        for place in np.flatnonzero(refused).tolist():
            rows[plans.rows[place]][:] = [failure("[METRICSTORE]> invalid aggregation")]

    def _shorten(
        self,
        request: _Request,
        wanted: list[int],
        read: _Read,
        starts: list[int],
        tos: list[int],
        resolutions: list[int],
        data: list[NDArray[np.float32]],
    ) -> None:
        """Cuts and resamples what is to be, and says so in the lists."""
        filled = read.found[:, reading.FILLED].tolist()
        firsts, lasts = read.firsts.tolist(), read.lasts.tolist()
        for place, values in enumerate(data):
            step = resolutions[place]
            if not request.with_padding:
                starts[place], values = _trimmed(
                    request.start, step, values, filled[place], firsts[place], lasts[place]
                )
            if wanted[place] > step:
                values, step = resampled(values, step, wanted[place], request.algorithm, self._minimum_points)
            tos[place] = starts[place] + len(values) * step
            resolutions[place], data[place] = step, values

    # -- many hosts, many windows ------------------------------------------------------------------------

    def host_blocks(
        self, cluster: str, metrics: Sequence[str], start: int, to: int, hosts: Sequence[str] | None
    ) -> HostBlocks:
        if start > to or start < -LATEST or to > LATEST:
            raise InvalidRange("[METRICSTORE]> invalid time range: 'from' must be before 'to'")
        named = self.hosts(cluster)
        if hosts is not None:
            living = dict(named)
            named = [(name, living[name]) for name in dict.fromkeys(hosts) if name in living]
        rows: list[list[SeriesResult]] = [[] for _ in range(len(named) * len(metrics))]
        request = _Request(start, to, True, True, True, ALGORITHMS[""], rows)
        plans = _Plans()
        self._plan_all_nodes(cluster, request, plans, 0, named, metrics)
        blocks: list[HostBlock] = []
        if plans.rows:
            counts, sizes, read = self._run(request, plans, [])
            choices = np.array(plans.choices, np.int64)
            for place, choice in enumerate(plans.chosen):
                found = np.flatnonzero((choices == place) & (sizes > 0))
                if not len(found):
                    continue
                # Places without a series take no room, so the rows of a metric follow each other.
                begin, number = int(read.begins[found[0]]), int(counts[found[0]])
                data = read.values[begin : begin + number * len(found)].reshape(len(found), number)
                refused = (choice.mode == reading.REFUSED) & (read.found[found, reading.TAKEN] > 1)
                if refused.any():
                    rows[0].append(failure("[METRICSTORE]> invalid aggregation"))
                    found, data = found[~refused], data[~refused]
                first = int(np.argmax(choices == place))
                blocks.append(HostBlock(choice.metric.name, found - first, data, read.stats[found]))
        errors = {result.error for row in rows for result in row if result.error is not None}
        return HostBlocks([name for name, _ in named], blocks, sorted(errors))

    def statistics(
        self, cluster: str, queries: Sequence[Query], starts: NDArray[np.int64], to: int
    ) -> NDArray[np.float64]:
        found = np.full((len(queries), 3), np.nan)
        if not len(queries):
            return found
        earliest = int(starts.min())
        if earliest > to or earliest < -LATEST or to > LATEST:
            raise InvalidRange("[METRICSTORE]> invalid time range: 'from' must be before 'to'")
        rows: list[list[SeriesResult]] = [[] for _ in queries]
        request = _Request(earliest, to, True, False, True, ALGORITHMS[""], rows)
        plans, components = self._plan(cluster, request, queries)
        if not plans.rows and not components:
            return found
        _, sizes, read = self._run(request, plans, components, starts)
        modes = np.array([choice.mode for choice in plans.chosen], np.int64)[plans.choices]
        usable = (sizes > 0) & ~((modes == reading.REFUSED) & (read.found[:, reading.TAKEN] > 1))
        found[np.array(plans.rows, np.int64)[usable]] = read.stats[usable]
        return found

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
            orders, _ = self._orders()
            members, parents, ends = self._select(
                rows,
                np.full(len(rows), row, np.int64),
                np.full(len(rows), orders[metric.scope], np.int64),
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


def _arrays(read: _Read, counts: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """The values of each result."""
    first = int(counts[0])
    if len(read.values) == first * len(counts) and np.all(counts == first):
        return list(read.values.reshape(len(counts), first))
    ends = (read.begins + counts).tolist()
    return [read.values[begin:end] for begin, end in zip(read.begins.tolist(), ends, strict=True)]


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
