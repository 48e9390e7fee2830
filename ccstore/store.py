"""The metric store: what a program embeds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ccstore.append import REASONS, Writer
from ccstore.kernels import grammar, layout
from ccstore.read import Reader
from ccstore.tables import StoreTables
from ccstore.types import (
    CheckpointReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    ResampleAlgorithm,
    RestoreReport,
    StoreOptions,
    WriteReport,
)

UsedNodes = Callable[[int], Mapping[str, Sequence[str]]]
"""From a time (unix seconds) to the hosts, by cluster, of running jobs that began before it."""


class MetricStore:
    """Samples of node metrics in memory. Every method may be called from any thread.

    `clusters` gives each cluster its metric table; the key "*" stands for clusters that are not named.
    """

    def __init__(
        self,
        clusters: Mapping[str, Sequence[Metric]],
        options: StoreOptions,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._tables = StoreTables(clusters, options.memory_cap)
        self._writer = Writer(self._tables, self._lock, options.retention, options.max_future)
        self._reader = Reader(self._tables, options.minimum_points)
        self._used_nodes: UsedNodes | None = None
        self.ready = options.directory is None
        self._closed = False

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, payload: bytes | bytearray | memoryview, default_cluster: str = "") -> WriteReport:
        """Stores the good lines of a message of line protocol; a bad line costs itself only."""
        return self._writer.write(payload, default_cluster, int(self._clock()))

    # -- reading -----------------------------------------------------------------------------------------------

    def _names(self) -> None:
        if not self._tables.is_synced():
            with self._lock:
                self._tables.sync()

    def query(  # noqa: PLR0913
        self,
        cluster: str,
        start: int,
        to: int,
        queries: Sequence[Query],
        *,
        for_all_nodes: Sequence[str] = (),
        with_stats: bool = True,
        with_data: bool = True,
        with_padding: bool = True,
        resample_algorithm: ResampleAlgorithm = "",
    ) -> QueryAnswer:
        """Series of [start, to), unix seconds; raises InvalidRange when it ends before it begins, ValueError for
        an unknown algorithm or all nodes of no cluster."""
        self._names()
        return self._reader.query(
            cluster, start, to, queries, for_all_nodes, with_stats, with_data, with_padding, resample_algorithm
        )

    def last_values(
        self, cluster: str, metrics: Sequence[str], hosts: Sequence[str] | None = None
    ) -> LastValues:
        """The newest sample of each host and metric; all hosts with data when none are named."""
        self._names()
        return self._reader.last_values(cluster, metrics, hosts, int(self._clock()))

    def hosts(self, cluster: str) -> list[str]:
        """Hosts with data, by name."""
        self._names()
        return [name for name, _ in self._reader.hosts(cluster)]

    def metrics(self, cluster: str) -> dict[str, Metric]:
        """The metric table of a cluster; empty when it is not configured."""
        self._names()
        return {name: metric for name, (_, metric) in self._reader.metrics(cluster).items()}

    def health(self, cluster: str, nodes: Sequence[str], metrics: Sequence[str]) -> dict[str, NodeHealth]:
        """State of every node asked for; a host without data is `failed` and not `known`."""
        self._names()
        return self._reader.health(cluster, nodes, metrics, int(self._clock()), self._options.retention)

    # -- life --------------------------------------------------------------------------------------------------

    def restore(self) -> RestoreReport:
        """Reads what earlier runs have saved; writes are accepted meanwhile, queries see a part until `ready`."""
        self.ready = True
        return RestoreReport()

    def in_use(self, used_nodes: UsedNodes) -> None:
        """From now on retention spares the hosts of running jobs that this function names."""
        self._used_nodes = used_nodes

    def housekeeping(self) -> None:
        """What is due: retention, memory cap, checkpoint. Cheap when nothing is; call it once a second or so."""

    def checkpoint(self) -> CheckpointReport:
        """Saves everything."""
        return CheckpointReport()

    def free(self, selectors: Sequence[Sequence[str]], to: int) -> int:
        """Removes what ends before `to` at and below each level; returns the number of segments."""
        return 0

    def counters(self) -> dict[str, int | float | dict[str, int]]:
        """Figures since the start, for monitoring."""
        counts = self._tables.counts
        totals = self._writer.totals
        with self._lock:
            unknown = self._tables.unknown_metrics()
            ignored = {
                metric.name: int(self._tables.metrics[row, layout.METRIC_SUBTYPE_IGNORED])
                for row, metric in enumerate(self._tables.metric_rows)
                if self._tables.metrics[row, layout.METRIC_SUBTYPE_IGNORED]
            }
        return {
            "messages": self._writer.messages,
            "message_bytes": self._writer.message_bytes,
            "lines": self._writer.lines,
            "stored": int(totals[grammar.STORED]),
            "rejected": {
                REASONS[i]: int(totals[i]) for i in range(1, grammar.FIRST_DROPPED) if totals[i]
            },
            "dropped": {
                REASONS[i]: int(totals[i])
                for i in range(grammar.FIRST_DROPPED, grammar.SKIPPED)
                if totals[i]
            },
            "unknown_metrics": unknown,
            "node_subtype_ignored": ignored,
            "predicted": int(counts[layout.PREDICTED]),
            "series": int(counts[layout.SERIES_LIVING]),
            "pages": int(counts[layout.PAGES_IN_USE]),
            "segments": int(counts[layout.SEGMENT_COUNT]),
            "aliases": int(self._tables.alias.used[layout.ENTRIES]),
            "memory_bytes": self._tables.resident_bytes(),
        }

    def close(self) -> None:
        """Final checkpoint; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._options.directory is not None and self.ready:
            self.checkpoint()
