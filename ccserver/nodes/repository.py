"""Tables `node` and `node_state`. Contract: spec/rest-api.md 4.3, spec/graphql.md 12.

A node's latest state is its row with the largest time stamp, the largest id among equals.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, select, true

from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.database.conditions import StringInput, text_condition
from ccserver.database.tables import node, node_state

SCHEDULER_STATES = ("allocated", "reserved", "idle", "mixed", "down", "unknown")
HEALTH_STATES = ("full", "partial", "failed")
_IDS_AT_ONCE = 500  # in one statement


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a scheduler says of one node; `states` are its own words, memory in MB."""

    hostname: str
    states: tuple[str, ...] = ()
    cpus_allocated: int = 0
    memory_allocated: int = 0
    gpus_allocated: int = 0
    jobs_running: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a node delivers its metrics: full, partial or failed, and the names that are late or absent."""

    state: str = "full"
    degraded: Sequence[str] = ()
    missing: Sequence[str] = ()


class HealthSource(Protocol):
    """The part of the metric store that judges nodes."""

    def health(self, cluster: str, nodes: Sequence[str], metrics: Sequence[str]) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node with its latest state. `health_metrics` maps "missing" and "degraded" to metric names."""

    id: int
    hostname: str
    cluster: str
    subcluster: str
    time_stamp: int
    scheduler_state: str
    health_state: str
    jobs_running: int = 0
    cpus_allocated: int = 0
    memory_allocated: int = 0
    gpus_allocated: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    health_metrics: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """One element of a filter list; all members of all elements must hold. None: no restriction.

    `time_start` (unix seconds, exclusive) restricts time series only.
    """

    hostname: StringInput | None = None
    cluster: StringInput | None = None
    sub_cluster: StringInput | None = None
    scheduler_state: str | None = None
    health_state: str | None = None
    time_start: int | None = None


@dataclass(frozen=True, slots=True)
class TimedCounts:
    """Number of nodes in `state` at each moment (rising unix seconds) at which any was."""

    state: str
    times: list[int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class StateChange:
    """What became of a node at a moment (unix seconds)."""

    time: int
    state: str
    health: str


def scheduler_state(words: Iterable[str]) -> str:
    """The one state that a scheduler's words come down to; first rule that fits."""
    said = {word.lower() for word in words}
    if "allocated" in said:
        return "allocated"
    if "reserved" in said:
        return "reserved"
    if "down" in said:
        return "down"
    if "idle" in said:
        return "idle"
    return "mixed" if "mixed" in said else "unknown"


class NodeRepository:
    """Records node states and answers questions about them; all methods block and are thread-safe."""

    def __init__(
        self, database: Database, clusters: Clusters, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clusters = clusters
        self._clock = clock

    def record_states(self, cluster: str, reports: Sequence[NodeReport], store: HealthSource | None) -> int:
        """Append one state per reported node, all in one transaction and with the present time.

        Hosts outside every subcluster and unknown clusters are skipped. Returns the number of rows.
        """
        known = [
            (report, subcluster)
            for report in reports
            if (subcluster := self._clusters.subcluster_of_host(cluster, report.hostname)) is not None
        ]
        health = self._health(cluster, known, store)
        now = int(self._clock())

        def work(connection: Connection) -> None:
            ids = _node_ids(
                connection, cluster, [(report.hostname, subcluster) for report, subcluster in known]
            )
            rows = [_row(report, ids[report.hostname], health[report.hostname], now) for report, _ in known]
            if rows:
                connection.execute(insert(node_state), rows)

        self._database.write(work)
        return len(known)

    def _health(
        self, cluster: str, known: Sequence[tuple[NodeReport, str]], store: HealthSource | None
    ) -> dict[str, Health]:
        health: dict[str, Health] = {}
        to_ask: dict[str, list[str]] = {}
        for report, subcluster in known:
            if scheduler_state(report.states) == "down":
                health[report.hostname] = Health()
            else:
                to_ask.setdefault(subcluster, []).append(report.hostname)
        for subcluster, hosts in to_ask.items():
            metrics = list(self._clusters[cluster].subclusters[subcluster].metrics)
            answers = store.health(cluster, hosts, metrics) if store is not None else {}
            for host in hosts:
                answer = answers.get(host)
                health[host] = (
                    Health("failed")
                    if answer is None
                    else Health(answer.state, list(answer.degraded), list(answer.missing))
                )
        return health

    def find(self, id: int) -> NodeState | None:
        with self._database.read() as connection:
            row = connection.execute(_latest(node.c.id == id)).first()
        return _node_state(row) if row else None

    def latest(self, filters: Iterable[NodeFilter] = ()) -> list[NodeState]:
        """Every matching node with its latest state, by hostname."""
        query = _latest(_condition(filters)).order_by(node.c.hostname, node.c.cluster)
        with self._database.read() as connection:
            return [_node_state(row) for row in connection.execute(query)]

    def current_states(self, cluster: str) -> dict[str, str]:
        """Scheduler state of every node of the cluster that ever had one."""
        query = _latest(node.c.cluster == cluster)
        with self._database.read() as connection:
            return {row.hostname: row.node_state for row in connection.execute(query)}

    def counts(self, filters: Iterable[NodeFilter] = ()) -> list[tuple[str, int]]:
        """Number of nodes per latest scheduler state, then per latest health state; no empty ones."""
        latest = _latest(_condition(filters)).subquery()
        found: list[tuple[str, int]] = []
        with self._database.read() as connection:
            for column, order in (
                (latest.c.node_state, SCHEDULER_STATES),
                (latest.c.health_state, HEALTH_STATES),
            ):
                rows = connection.execute(select(column, func.count()).group_by(column))
                counted = {row[0]: row[1] for row in rows}
                found += [(state, counted[state]) for state in order if state in counted]
        return found

    def counts_over_time(
        self, filters: Iterable[NodeFilter] = (), *, health: bool = False
    ) -> list[TimedCounts]:
        """Over all recorded states (not just the latest) the number of nodes per state and moment."""
        chosen = list(filters)
        column = node_state.c.health_state if health else node_state.c.node_state
        conditions = [_condition(chosen)]
        conditions += [
            node_state.c.time_stamp > one.time_start for one in chosen if one.time_start is not None
        ]
        query = (
            select(column, node_state.c.time_stamp, func.count(func.distinct(node_state.c.node_id)))
            .join(node, node.c.id == node_state.c.node_id)
            .where(*conditions)
            .group_by(column, node_state.c.time_stamp)
            .order_by(column, node_state.c.time_stamp)
        )
        series: dict[str, TimedCounts] = {}
        with self._database.read() as connection:
            for state, moment, count in connection.execute(query):
                one = series.setdefault(state, TimedCounts(state, [], []))
                one.times.append(moment)
                one.counts.append(count)
        order = HEALTH_STATES if health else SCHEDULER_STATES
        return [series[state] for state in order if state in series]

    def changes(self, cluster: str, hostname: str, start: int, end: int) -> list[StateChange]:
        """When scheduler or health state of a node changed, after `start` and up to `end` (unix seconds)."""
        moment = node_state.c.time_stamp
        query = (
            select(moment, node_state.c.node_state, node_state.c.health_state)
            .join(node, node.c.id == node_state.c.node_id)
            .where(node.c.cluster == cluster, node.c.hostname == hostname)
        )
        order = (moment.desc(), node_state.c.id.desc())
        with self._database.read() as connection:
            before = connection.execute(query.where(moment <= start).order_by(*order).limit(1)).all()
            inside = connection.execute(query.where(moment > start, moment <= end).order_by(*order)).all()
        states = [StateChange(*row) for row in [*before, *reversed(inside)]]
        return [new for old, new in pairwise(states) if (old.state, old.health) != (new.state, new.health)]

    def hostnames(self, cluster: str) -> set[str]:
        """Hosts of the cluster that the table knows."""
        with self._database.read() as connection:
            return set(connection.execute(select(node.c.hostname).where(node.c.cluster == cluster)).scalars())

    def delete_before(self, time_stamp: int) -> int:
        """Delete states older than `time_stamp`; the latest of each node stays. Returns how many went."""
        statement = node_state.delete().where(_outdated(time_stamp))
        return self._database.write(lambda connection: connection.execute(statement).rowcount)

    def outdated(self, time_stamp: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Ids and rows of what `delete_before` would delete, by cluster, subcluster, host and time."""
        names = ("cluster", "subcluster", "hostname")
        statement = (
            select(node_state, *(node.c[name] for name in names))
            .join(node, node.c.id == node_state.c.node_id)
            .where(_outdated(time_stamp))
            .order_by(*(node.c[name] for name in names), node_state.c.time_stamp)
        )
        with self._database.read() as connection:
            for found in connection.execute(statement).mappings():
                row = dict(found)
                del row["node_id"]
                yield row.pop("id"), row

    def delete_states(self, ids: Sequence[int]) -> None:
        def work(connection: Connection) -> None:
            for begin in range(0, len(ids), _IDS_AT_ONCE):
                chunk = ids[begin : begin + _IDS_AT_ONCE]
                connection.execute(node_state.delete().where(node_state.c.id.in_(chunk)))

        self._database.write(work)


def _outdated(time_stamp: int) -> ColumnElement[bool]:
    newest = select(func.max(node_state.c.id)).group_by(node_state.c.node_id)
    return and_(node_state.c.time_stamp < time_stamp, node_state.c.id.not_in(newest))


def _latest(condition: ColumnElement[bool]) -> Select[Any]:
    """Nodes joined with their latest state; the index (node_id, time_stamp DESC) answers the inner query."""
    inner = node_state.alias("newest")
    newest = (
        select(inner.c.id)
        .where(inner.c.node_id == node.c.id)
        .order_by(inner.c.time_stamp.desc(), inner.c.id.desc())
        .limit(1)
        .correlate(node)
        .scalar_subquery()
    )
    return (
        select(
            node.c.id, node.c.hostname, node.c.cluster, node.c.subcluster, node.c.meta_data,
            node_state.c.time_stamp, node_state.c.node_state, node_state.c.health_state,
            node_state.c.health_metrics, node_state.c.jobs_running, node_state.c.cpus_allocated,
            node_state.c.memory_allocated, node_state.c.gpus_allocated,
        )
        .select_from(node)
        .join(node_state, node_state.c.id == newest)
        .where(condition)
    )  # fmt: skip


def _condition(filters: Iterable[NodeFilter]) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    for one in filters:
        for wanted, column in (
            (one.hostname, node.c.hostname),
            (one.cluster, node.c.cluster),
            (one.sub_cluster, node.c.subcluster),
        ):
            condition = text_condition(column, wanted)
            if condition is not None:
                conditions.append(condition)
        if one.scheduler_state is not None:
            conditions.append(node_state.c.node_state == one.scheduler_state)
        if one.health_state is not None:
            conditions.append(node_state.c.health_state == one.health_state)
    return and_(*conditions)


def _node_ids(connection: Connection, cluster: str, hosts: Sequence[tuple[str, str]]) -> dict[str, int]:
    query = select(node.c.hostname, node.c.id).where(node.c.cluster == cluster)
    ids = {row.hostname: row.id for row in connection.execute(query)}
    for hostname, subcluster in hosts:
        if hostname not in ids:
            values = {"hostname": hostname, "cluster": cluster, "subcluster": subcluster}
            key = connection.execute(insert(node).values(values)).inserted_primary_key
            if key is None:
                raise RuntimeError("the database did not report the id of a new node")
            ids[hostname] = int(key[0])
    return ids


def _row(report: NodeReport, node_id: int, health: Health, now: int) -> dict[str, Any]:
    lists = {"missing": list(health.missing), "degraded": list(health.degraded)}
    return {
        "time_stamp": now,
        "jobs_running": report.jobs_running,
        "cpus_allocated": report.cpus_allocated,
        "memory_allocated": report.memory_allocated,
        "gpus_allocated": report.gpus_allocated,
        "node_state": scheduler_state(report.states),
        "health_state": health.state,
        "health_metrics": json.dumps({key: names for key, names in lists.items() if names}),
        "node_id": node_id,
    }


def _node_state(row: Any) -> NodeState:
    return NodeState(
        id=row.id,
        hostname=row.hostname,
        cluster=row.cluster,
        subcluster=row.subcluster,
        time_stamp=row.time_stamp,
        scheduler_state=row.node_state,
        health_state=row.health_state,
        jobs_running=row.jobs_running,
        cpus_allocated=row.cpus_allocated,
        memory_allocated=row.memory_allocated,
        gpus_allocated=row.gpus_allocated,
        metadata=_object(row.meta_data),
        health_metrics=_object(row.health_metrics),
    )


def _object(stored: str | None) -> dict[str, Any]:
    try:
        value = json.loads(stored or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
