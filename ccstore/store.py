"""The metric store: what a program embeds."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ccstore import foreign
from ccstore.append import REASONS, Writer
from ccstore.checkpoint import CheckpointWriter
from ccstore.kernels import grammar, layout, reading
from ccstore.read import Reader
from ccstore.restore import Restorer
from ccstore.retention import Readers, Retention
from ccstore.tables import Component, StoreTables
from ccstore.types import (
    CheckpointReport,
    ImportReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    ResampleAlgorithm,
    RestoreReport,
    Run,
    StoredSeries,
    StoreOptions,
    WriteReport,
)

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 600.0  # seconds between retention passes
_RETRY = 60.0  # seconds

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
        self._readers = Readers()
        self._retention = Retention(self._tables, self._lock, self._readers)
        self._checkpoints = (
            CheckpointWriter(self._tables, self._lock, options.directory) if options.directory else None
        )
        self._checkpointing = threading.Lock()
        now = clock()
        self._next_retention = now + min(options.retention / 2, _LONGEST_PAUSE)
        self._next_checkpoint = now + options.checkpoint_interval
        self._next_cap_check = now

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, payload: bytes | bytearray | memoryview, default_cluster: str = "") -> WriteReport:
        """Stores the good lines of a message of line protocol; a bad line costs itself only."""
        return self._writer.write(payload, default_cluster, int(self._clock()))

    # -- reading -----------------------------------------------------------------------------------------

    def _names(self) -> None:
        if not self._tables.is_synced():
            with self._lock:
                self._tables.sync()

    def query(
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
        """Series of [start, to), unix seconds; raises InvalidRange when it ends before it begins,
        ValueError for
        an unknown algorithm or all nodes of no cluster."""
        self._names()
        with self._readers.reading():
            return self._reader.query(
                cluster,
                start,
                to,
                queries,
                for_all_nodes,
                with_stats,
                with_data,
                with_padding,
                resample_algorithm,
            )

    def last_values(
        self, cluster: str, metrics: Sequence[str], hosts: Sequence[str] | None = None
    ) -> LastValues:
        """The newest sample of each host and metric; all hosts with data when none are named."""
        self._names()
        with self._readers.reading():
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
        with self._readers.reading():
            return self._reader.health(cluster, nodes, metrics, int(self._clock()), self._options.retention)

    # -- life --------------------------------------------------------------------------------------------

    def restore(self) -> RestoreReport:
        """Reads what earlier runs have saved; writes are accepted meanwhile, queries see a part until
        `ready`. Checkpoints of cc-metric-store in the same directory are taken over once."""
        directory = self._options.directory
        report = RestoreReport()
        if directory is None:
            self.ready = True
            return report
        cutoff = int(self._clock() - self._options.retention)
        report = Restorer(self._tables, self._lock, directory).restore(cutoff)
        marks = foreign.Marks(directory)
        files = foreign.new_files(directory, marks)
        imported = self._import(files) if files else None
        self.ready = True
        if imported is not None:
            try:
                self.checkpoint()
                marks.add(files)
            except OSError as error:
                log.error("what was imported could not be saved, the next start imports it again: %s", error)
        return dataclasses.replace(report, imported=imported)

    def import_checkpoints(self, directory: Path) -> ImportReport:
        """Takes over all checkpoints that cc-metric-store or cc-backend left in a directory, read before or
        not.

        Fills empty slots only. Raises NotADirectoryError; what is in the directory raises nothing.
        """
        if not directory.is_dir():
            raise NotADirectoryError(f"{directory} is no directory")
        return self._import(foreign.new_files(directory, None))

    def _import(self, files: foreign.Files) -> ImportReport:
        now = self._clock()
        window = (int(now - self._options.retention), int(now + self._options.max_future))
        return foreign.Importer(self._tables, self._lock).run(files, *window)

    def in_use(self, used_nodes: UsedNodes) -> None:
        """From now on retention spares the hosts of running jobs that this function names."""
        self._used_nodes = used_nodes

    def housekeeping(self) -> None:
        """What is due: retention, memory cap, checkpoint. Cheap when nothing is; call it once a second or
        so."""
        now = self._clock()
        self._retention.recycle()
        if now >= self._next_retention:
            self._next_retention = now + min(self._options.retention / 2, _LONGEST_PAUSE)
            self._retain(now)
        if self._options.memory_cap and now >= self._next_cap_check:
            self._retention.enforce_cap(self._options.memory_cap, int(now), self._options.retention)
            near = self._tables.resident_bytes() > 0.8 * self._options.memory_cap
            self._next_cap_check = now + (30 if near else 300)
        if self._options.directory is not None and self.ready and now >= self._next_checkpoint:
            self._next_checkpoint = now + self._options.checkpoint_interval
            try:
                self.checkpoint()
            except OSError as error:
                self._next_checkpoint = now + _RETRY
                log.error("checkpoint failed, next try in %d s: %s", _RETRY, error)

    def _retain(self, now: float) -> None:
        """One retention pass; hosts of running jobs are spared, all hosts when nobody can tell which these
        are."""
        cutoff = int(now - self._options.retention)
        if self._used_nodes is not None:
            try:
                used = self._used_nodes(cutoff)
            except Exception as error:  # whatever it is: keeping too much is the safe side
                log.warning("which nodes are in use is not known, nothing is dropped this time: %s", error)
                self._next_retention = now + _RETRY
                return
            self._names()
            numbers = self._tables.host_numbers
            kept = [
                numbers[cluster][host]
                for name, hosts in used.items()
                if (cluster := self._reader.cluster(name)) >= 0
                for host in hosts
                if host in numbers[cluster]
            ]
            self._retention.keep(kept)
        self._retention.drop_before(cutoff)

    def checkpoint(self) -> CheckpointReport:
        """Saves everything; durable when this returns. Raises OSError, and then nothing has changed on
        disk."""
        if self._checkpoints is None:
            return CheckpointReport()
        started = time.perf_counter()
        with self._checkpointing, self._readers.reading():
            written = self._checkpoints.write(self._clock())
        return CheckpointReport(written.series, written.rows, written.size, time.perf_counter() - started)

    def free(self, selectors: Sequence[Sequence[str]], to: int) -> int:
        """Removes what ends before `to` at and below each level; returns the number of segments (pages of
        series)."""
        self._names()
        freed = 0
        for selector in selectors:
            series = self._series_below(selector)
            if len(series):
                freed += self._retention.free(series, to)
        return freed

    # -- the tree ----------------------------------------------------------------------------------------

    def _series_below(self, selector: Sequence[str]) -> NDArray[np.int64]:
        """Numbers of the series at and below a level; none when there is no such level."""
        clusters = [selector[0]] if selector else list(self._tables.cluster_numbers)
        found = []
        for cluster in clusters:
            for name, host in self._reader.hosts(cluster):
                if len(selector) > 1 and name != selector[1]:
                    continue
                series = self._retention.series_of(host)
                if len(selector) > 2:
                    components = self._tables.series[series, layout.COMPONENT].tolist()
                    names = self._tables.component_names
                    below = [matches(names[c], selector[2:]) for c in components]
                    series = series[np.array(below, bool)] if below else series
                found.append(series)
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def tree(self, selector: Sequence[str] = ()) -> Iterator[StoredSeries]:
        """Every series at and below a level, host by host: for inspection."""
        self._names()
        clusters = {number: name for name, number in self._tables.cluster_numbers.items()}
        with self._readers.reading():
            for series in self._series_below(selector).tolist():
                row = self._tables.series[series]
                host = int(row[layout.HOST])
                out = np.empty(3 * 512, np.int64)
                count = int(reading.runs_of_series(self._tables.flat, series, out))
                if 3 * count > len(out):
                    out = np.empty(3 * count + 64, np.int64)
                    count = min(int(reading.runs_of_series(self._tables.flat, series, out)), len(out) // 3)
                runs = out[: 3 * count].reshape(-1, 3)[::-1].tolist()
                yield StoredSeries(
                    clusters[int(self._tables.hosts[host, layout.HOST_CLUSTER])],
                    self._tables.host_names[host],
                    self._tables.component_names[int(row[layout.COMPONENT])],
                    self._tables.metric_rows[int(row[layout.METRIC])].name,
                    [Run(start, slots, end) for start, slots, end in runs],
                )

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
            "rejected": {REASONS[i]: int(totals[i]) for i in range(1, grammar.FIRST_DROPPED) if totals[i]},
            "dropped": {
                REASONS[i]: int(totals[i]) for i in range(grammar.FIRST_DROPPED, grammar.SKIPPED) if totals[i]
            },
            "unknown_metrics": unknown,
            "node_subtype_ignored": ignored,
            "predicted": int(counts[layout.PREDICTED]),
            "series": int(counts[layout.SERIES_LIVING]),
            "pages": int(counts[layout.PAGES_IN_USE]),
            "segments": int(counts[layout.SEGMENT_COUNT]),
            "aliases": int(self._tables.alias.used[layout.ENTRIES]),
            "removed_pages": self._retention.removed_pages,
            "removed_series": self._retention.removed_series,
            "memory_bytes": self._tables.resident_bytes(),
        }

    def close(self) -> None:
        """Final checkpoint; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._options.directory is not None and self.ready:
            self.checkpoint()


def matches(component: Component, levels: Sequence[str]) -> bool:
    """Whether a component is at or below a level given by level names (type and id glued together)."""
    kind, one, subtype, sub = component
    level = levels[0]
    if level.startswith("cpu") and level[3:].isdecimal():
        level = "hwthread" + level[3:]
    return kind + one == level and (len(levels) == 1 or (len(levels) == 2 and subtype + sub == levels[1]))
