"""The metric store: what a program embeds."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ccstore import foreign
from ccstore.append import REASONS, Writer
from ccstore.archive import Archived, archive
from ccstore.checkpoint import CheckpointWriter, checkpoints, move_aside
from ccstore.claim import claim
from ccstore.journal import DamagedJournal, Journal, journals, last_number
from ccstore.kernels import grammar, layout, reading, usage
from ccstore.latencies import Latencies
from ccstore.read import Reader
from ccstore.replay import Replay
from ccstore.restore import ProgressMeter, Restorer, journal_after, total_size
from ccstore.retention import Readers, Retention
from ccstore.steps import step
from ccstore.tables import Component, StoreTables
from ccstore.types import (
    CheckpointReport,
    CleanupReport,
    ClusterUsage,
    HostBlocks,
    ImportReport,
    LastValues,
    Metric,
    NodeHealth,
    Query,
    QueryAnswer,
    ResampleAlgorithm,
    RestoreProgress,
    RestoreReport,
    Run,
    StoredSeries,
    StoreOptions,
    WriteReport,
)

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 600.0  # seconds between retention passes
_RETRY = 60.0  # seconds, after a failure and between checkpoints that the journal asks for

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
        self._claim = claim(options.directory) if options.directory else None
        self._tables = StoreTables(clusters, options.memory_cap)
        self._journal = _journal(options, self._tables, self._lock)
        self._writer = Writer(self._tables, self._lock, options.retention, options.max_future, self._journal)
        self._reader = Reader(self._tables, options.minimum_points)
        self.latencies = Latencies()
        self._used_nodes: UsedNodes | None = None
        self.ready = options.directory is None
        self._closed = False
        self._readers = Readers()
        self._retention = Retention(self._tables, self._lock, self._readers)
        self._checkpoints = (
            CheckpointWriter(self._tables, self._lock, options.directory, workers(options))
            if options.directory
            else None
        )
        self._meter = ProgressMeter()
        self._kept_replaced = options.archive is not None  # an earlier run may have left some
        self._checkpointing = threading.Lock()
        self._checkpoints_done = self._checkpoint_failures = 0
        self._checkpoint_time = 0.0  # unix seconds of the last one, 0: none yet
        self._last_checkpoint = CheckpointReport()
        now = clock()
        # A quarter: what a pass just misses is still gone half a retention after its time.
        self._retention_pause = min(options.retention / 4, _LONGEST_PAUSE)
        self._next_retention = now + self._retention_pause
        self._interval = options.checkpoint_interval
        if options.archive is not None:
            # What is archived comes from checkpoints: it must have been in one before it leaves the memory.
            self._interval = min(self._interval, options.retention / 2)
        self._next_checkpoint = now + self._interval
        self._no_checkpoint_before = now
        self._next_cap_check = now
        self._next_cleanup = now + options.retention
        self._packing_pause = min(options.pack_after / 4, _LONGEST_PAUSE)
        self._next_packing = now

    # -- writing -----------------------------------------------------------------------------------------

    def write(
        self, payload: bytes | bytearray | memoryview, default_cluster: str = "", *, repeated: bool = False
    ) -> WriteReport:
        """Stores the good lines of a message of line protocol; a bad line costs itself only.

        `repeated`: the message has been written with another default cluster before. Only lines without a
        cluster are stored then, and only what becomes of these is counted.
        """
        return self._writer.write(payload, default_cluster, int(self._clock()), repeated)

    def write_parts(
        self,
        text: NDArray[np.uint8],
        parts: NDArray[np.int64],
        default_cluster: str = "",
        *,
        repeated: bool = False,
    ) -> WriteReport:
        """Many messages in one call: text[begin:end] for each row (begin, end) of `parts`; else like `write`.

        text[end] is overwritten, and 64 bytes behind it must be readable. Line numbers of rejections count
        within their message.
        """
        return self._writer.write_parts(text, parts, default_cluster, int(self._clock()), repeated)

    def sync(self, patience: float = 10.0) -> bool:
        """Waits until the journal has on disk what has been written so far; False when there is no journal or
        that does not happen within `patience` seconds."""
        return self._journal is not None and self._options.journal and self._journal.sync(patience)

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
        begun = time.perf_counter()
        with self._readers.reading():
            answer = self._reader.query(
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
        self.latencies.add(time.perf_counter() - begun)
        return answer

    def host_blocks(
        self, cluster: str, metrics: Sequence[str], start: int, to: int, hosts: Sequence[str] | None = None
    ) -> HostBlocks:
        """Host-level data of [start, to) as one block of numbers per metric, of all hosts with data or of
        those among `hosts`. Raises InvalidRange."""
        self._names()
        with self._readers.reading():
            return self._reader.host_blocks(cluster, metrics, start, to, hosts)

    def statistics(
        self, cluster: str, queries: Sequence[Query], starts: NDArray[np.int64], to: int
    ) -> NDArray[np.float64]:
        """Average, minimum, maximum of each query over [its own start, to): float64 of shape (queries, 3),
        NaN where there is no value. Every query must ask for one result. Raises InvalidRange."""
        self._names()
        with self._readers.reading():
            return self._reader.statistics(cluster, queries, starts, to)

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
        if directory is None:
            self.ready = True
            return RestoreReport()
        assert self._checkpoints is not None
        started = time.perf_counter()
        cutoff = int(self._clock() - self._options.retention)
        files = [path for _, path in (*checkpoints(directory), *journals(directory))]
        self._meter.begin(total_size(files))
        restorer = Restorer(self._tables, self._lock, directory, workers(self._options), self._meter)
        in_use = self._hosts_in_use(cutoff)
        report = restorer.restore(cutoff, in_use)
        self._checkpoints.go_on_from(restorer.chain)
        replayed, damaged = self._replay(directory, restorer.journal)
        if replayed:
            # A journal does not know how old its samples are by now.
            self._retain(self._clock())
        if report.damaged or damaged:
            # What was read of a damaged file is in memory only.
            self._next_checkpoint = self._clock()
        marks = foreign.Marks(directory)
        found = foreign.new_files(directory, marks)
        imported = self._import(found, in_use) if found else None
        self._meter.end()
        self.ready = True
        step("restore: done")
        if imported is not None:
            try:
                self.checkpoint()
                step("import: saved")
                marks.add(found)
                step("import: marked")
            except OSError as error:
                log.error("what was imported could not be saved, the next start imports it again: %s", error)
        return replace(
            report,
            damaged=report.damaged + damaged,
            replayed=replayed,
            seconds=time.perf_counter() - started,
            imported=imported,
        )

    def _replay(self, directory: Path, begin: int) -> tuple[int, int]:
        """Samples put back from the journals of earlier runs, and how many of these files are damaged."""
        assert self._journal is not None
        samples = damaged = 0
        for number, path in journals(directory):
            if not begin <= number < self._journal.first:
                continue
            replay = Replay(self._tables, self._lock)
            try:
                replay.run(path, self._meter.advance)
            except (DamagedJournal, OSError) as error:
                log.warning("%s: %s", path, error)
                damaged += 1
                if replay.samples:
                    # Needed until a checkpoint has what it holds.
                    self._journal.keep_damaged(number)
                elif isinstance(error, DamagedJournal):
                    move_aside(path)
            samples += replay.samples
        return samples, damaged

    def import_checkpoints(self, directory: Path) -> ImportReport:
        """Takes over all checkpoints that cc-metric-store or cc-backend left in a directory, read before or
        not.

        Fills empty slots only. Raises NotADirectoryError; what is in the directory raises nothing.
        """
        if not directory.is_dir():
            raise NotADirectoryError(f"{directory} is no directory")
        cutoff = int(self._clock() - self._options.retention)
        return self._import(foreign.new_files(directory, None), self._hosts_in_use(cutoff))

    def _import(self, files: foreign.Files, in_use: set[tuple[str, str]] | None) -> ImportReport:
        now = self._clock()
        window = (int(now - self._options.retention), int(now + self._options.max_future))
        return foreign.Importer(self._tables, self._lock).run(files, *window, in_use)

    @property
    def progress(self) -> RestoreProgress:
        """How far `restore` is."""
        return self._meter.value()

    def in_use(self, used_nodes: UsedNodes) -> None:
        """From now on retention and restore spare the hosts of running jobs that this function names.

        When it raises, all hosts are in use for that time.
        """
        self._used_nodes = used_nodes

    def housekeeping(self) -> None:
        """What is due: retention, memory cap, checkpoint. Cheap when nothing is; call it once a second or
        so."""
        now = self._clock()
        self._forget_the_future(now)
        self._retention.recycle()
        if now >= self._next_retention:
            self._next_retention = now + self._retention_pause
            self._retain(now)
        if self._options.pack_after and now >= self._next_packing:
            self._pack(now)
        if self._options.memory_cap and now >= self._next_cap_check:
            self._retention.enforce_cap(self._options.memory_cap, int(now), self._options.retention)
            near = self._tables.resident_bytes() > 0.8 * self._options.memory_cap
            self._next_cap_check = now + (30 if near else 300)
        if now >= self._next_cleanup and self.ready:
            self._next_cleanup = now + self._options.retention
            try:
                self.cleanup()
            except OSError as error:
                log.error(
                    "clean-up of the checkpoints failed, next try in %.0f s: %s",
                    self._options.retention,
                    error,
                )
        if self._journal is not None and self.ready and now >= self._no_checkpoint_before:
            if now < self._next_checkpoint and not self._journal_wants_checkpoint():
                return
            # A disk that cannot keep up asks again and again; more checkpoints would not help it.
            self._no_checkpoint_before = now + _RETRY
            try:
                self.checkpoint()
                self._next_checkpoint = now + self._interval
            except OSError as error:
                self._checkpoint_failures += 1
                self._next_checkpoint = min(self._next_checkpoint, self._no_checkpoint_before)
                log.error("checkpoint failed, next try in %d s: %s", _RETRY, error)

    def _forget_the_future(self, now: float) -> None:
        """A clock that has been set back must not put off for hours what is due."""
        self._next_retention = min(self._next_retention, now + self._retention_pause)
        self._next_packing = min(self._next_packing, now + self._packing_pause)
        self._next_cap_check = min(self._next_cap_check, now + 300)
        self._next_cleanup = min(self._next_cleanup, now + self._options.retention)
        self._next_checkpoint = min(self._next_checkpoint, now + self._interval)
        self._no_checkpoint_before = min(self._no_checkpoint_before, now + _RETRY)

    def _journal_wants_checkpoint(self) -> bool:
        assert self._journal is not None
        if self._journal.wants_checkpoint:
            return True
        per_host = self._options.journal_limit_per_host
        hosts = np.count_nonzero(
            self._tables.hosts[: self._tables.counts[layout.HOST_COUNT], layout.HOST_SERIES]
        )
        return 0 < per_host * max(int(hosts), 1) <= self._journal.size

    def _retain(self, now: float) -> None:
        """One retention pass; hosts of running jobs are spared, all hosts when nobody can tell which these
        are."""
        cutoff = int(now - self._options.retention)
        used = self._hosts_in_use(cutoff)
        if used is None:
            self._next_retention = now + min(_RETRY, self._retention_pause)
            return
        self._names()
        numbers = self._tables.host_numbers
        kept = [
            numbers[cluster][host]
            for name, host in used
            if (cluster := self._reader.cluster(name)) >= 0 and host in numbers[cluster]
        ]
        self._retention.keep(kept)
        self._retention.join_free_pages()
        self._retention.drop_before(cutoff)

    def _pack(self, now: float) -> None:
        if self._retention.pack_before(int(now - self._options.pack_after)):
            self._next_packing = now + self._packing_pause
        self._retention.recycle()

    def _hosts_in_use(self, before: int) -> set[tuple[str, str]] | None:
        """(cluster, host) of running jobs that began before that time; None when nobody can tell."""
        if self._used_nodes is None:
            return set()
        try:
            used = self._used_nodes(before)
            return {(cluster, host) for cluster, hosts in used.items() for host in hosts}
        except Exception as error:  # whatever it is: keeping too much is the safe side
            log.warning("which nodes are in use is not known, all data is kept this time: %r", error)
            return None

    def checkpoint(self) -> CheckpointReport:
        """Saves everything; durable when this returns. Raises OSError, and then nothing that was saved is
        lost. Before `restore` has ended it does nothing: it would take the place of what is not read yet."""
        if self._checkpoints is None or self._journal is None or not self.ready:
            return CheckpointReport()
        started = time.perf_counter()
        with self._checkpointing:
            now = self._clock()
            failed = False
            if self._options.archive is not None and self._checkpoints.next_is_full:
                # What a full checkpoint leaves out would be gone with the files it replaces.
                failed = bool(self._archive(int(now - self._options.retention)).failed)
            journal = self._writer.switch_journal()
            step("journal: switched")
            with self._readers.reading():
                written = self._checkpoints.write(now, journal, keep_replaced=failed or self._kept_replaced)
            self._kept_replaced = self._kept_replaced or failed
            self._journal.forget(journal)
            if self._options.archive is None:
                self._checkpoints.remove(self._checkpoints.outdated(int(now - self._options.retention)))
        report = CheckpointReport(written.series, written.pages, written.size, time.perf_counter() - started)
        self._checkpoints_done += 1
        self._checkpoint_time, self._last_checkpoint = self._clock(), report
        return report

    def cleanup(self) -> CleanupReport:
        """Archives or deletes what is older than the retention on disk. Raises OSError. Before `restore` has
        ended it does nothing."""
        if self._checkpoints is None or not self.ready:
            return CleanupReport()
        with self._checkpointing:
            cutoff = int(self._clock() - self._options.retention)
            done = Archived()
            if self._options.archive is not None:
                done = self._archive(cutoff)
            numbers = self._tables.cluster_numbers
            failed = {numbers[name] for name in done.failed if name in numbers}
            cluster_of = self._tables.hosts[:, layout.HOST_CLUSTER]
            outdated = [
                saved
                for saved in self._checkpoints.outdated(cutoff)
                if not failed.intersection(cluster_of[list(saved.hosts)].tolist())
            ]
            self._checkpoints.remove(outdated)
            removed = len(outdated)
            if self._kept_replaced and not done.failed:
                removed += self._checkpoints.remove_replaced()
                self._kept_replaced = False
        return CleanupReport(removed, tuple(done.files), done.samples, tuple(sorted(done.failed)))

    def _archive(self, cutoff: int) -> Archived:
        directory, target = self._options.directory, self._options.archive
        assert directory is not None
        assert target is not None
        done = archive(directory, target, cutoff)
        if done.samples:
            log.info("%d samples older than the retention archived: %s", done.samples, done.files)
        return done

    def free(self, selectors: Sequence[Sequence[str]], to: int) -> int:
        """Removes what ends before `to` at and below each level; returns the number of segments (pages of
        series). After a crash before the next checkpoint it is there again."""
        self._names()
        freed = 0
        series_before = self._retention.removed_series
        for selector in selectors:
            # As a reader: the rows found must not become other series before they are emptied.
            with self._readers.reading():
                series = self._series_below(selector)
                if len(series):
                    freed += self._retention.free(series, to)
        if self._checkpoints is not None and self._retention.removed_series > series_before:
            self._checkpoints.start_over()
        return freed

    # -- the tree ----------------------------------------------------------------------------------------

    def _series_below(self, selector: Sequence[str]) -> NDArray[np.int64]:
        """Numbers of the series at and below a level; none when there is no such level."""
        found = [self._series_of(host, selector) for _, _, host in self._hosts_below(selector)]
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _hosts_below(self, selector: Sequence[str]) -> list[tuple[str, str, int]]:
        """Cluster, name and number of the hosts that a selector may mean."""
        clusters = [selector[0]] if selector else sorted(self._tables.cluster_numbers)
        return [
            (cluster, name, host)
            for cluster in clusters
            for name, host in self._reader.hosts(cluster)
            if len(selector) < 2 or name == selector[1]
        ]

    def _series_of(self, host: int, selector: Sequence[str]) -> NDArray[np.int64]:
        series = self._retention.series_of(host)
        if len(selector) <= 2 or not len(series):
            return series
        components = self._tables.series[series, layout.COMPONENT].tolist()
        names = self._tables.component_names
        below: NDArray[np.int64] = series[[matches(names[c], selector[2:]) for c in components]]
        return below

    def tree(self, selector: Sequence[str] = ()) -> Iterator[StoredSeries]:
        """Every series at and below a level, host by host: for inspection.

        Whoever takes their time over it holds nothing up: a host is read when it is its turn.
        """
        self._names()
        for cluster, name, host in self._hosts_below(selector):
            with self._readers.reading():
                found = [self._stored(cluster, name, s) for s in self._series_of(host, selector).tolist()]
            yield from found

    def _stored(self, cluster: str, host: str, series: int) -> StoredSeries:
        row = self._tables.series[series]
        out = np.empty(3 * 512, np.int64)
        count = int(reading.runs_of_series(self._tables.flat, series, out))
        if 3 * count > len(out):
            out = np.empty(3 * count + 64, np.int64)
            count = min(int(reading.runs_of_series(self._tables.flat, series, out)), len(out) // 3)
        runs = out[: 3 * count].reshape(-1, 3)[::-1].tolist()
        return StoredSeries(
            cluster,
            host,
            self._tables.component_names[int(row[layout.COMPONENT])],
            self._tables.metric_rows[int(row[layout.METRIC])].name,
            _joined(runs, int(row[layout.STEP])),
        )

    def usage(self) -> dict[str, ClusterUsage]:
        """What is held of each cluster. Walks all pages: about 10 ns each, holding up nobody."""
        self._names()
        numbers = dict(self._tables.cluster_numbers)
        out = np.zeros((max(numbers.values(), default=-1) + 1, usage.COLUMNS), np.int64)
        with self._readers.reading():
            usage.usage_of_clusters(self._tables.flat, out)
        return {name: ClusterUsage(*out[number].tolist()) for name, number in sorted(numbers.items())}

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
            "packed_pages": int(counts[layout.PACKED_PAGES]),
            "packing_saves_bytes": int(counts[layout.SPARED_UNITS]) * layout.UNIT_BYTES,
            "segments": int(counts[layout.SEGMENT_COUNT]),
            "aliases": int(self._tables.alias.used[layout.ENTRIES]),
            "removed_pages": self._retention.removed_pages,
            "removed_series": self._retention.removed_series,
            "memory_bytes": self._tables.resident_bytes(),
            "checkpoints": self._checkpoints_done,
            "checkpoint_failures": self._checkpoint_failures,
            "checkpoint_time": self._checkpoint_time,
            "checkpoint_seconds": self._last_checkpoint.seconds,
            "checkpoint_bytes": self._last_checkpoint.size,
            **(self._journal.figures() if self._journal is not None else {}),
        }

    def close(self) -> None:
        """Final checkpoint; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            self.checkpoint()
        finally:
            if self._journal is not None:
                self._journal.close()
            if self._claim is not None:
                self._claim.close()


def _joined(runs: list[tuple[int, int, int]], step: int) -> list[Run]:
    """Start, slots and end of each page, oldest first; pages that go on where one ends are one run."""
    joined: list[Run] = []
    for start, slots, end in runs:
        if joined and start - joined[-1].end == step:
            before = joined.pop()
            start, slots = before.start, before.slots + slots
        joined.append(Run(start, slots, end))
    return joined


def workers(options: StoreOptions) -> int:
    """Threads that write checkpoints, restore and archive."""
    return options.num_workers or min((os.cpu_count() or 1) // 2 + 1, 10)


def _journal(options: StoreOptions, tables: StoreTables, lock: threading.Lock) -> Journal | None:
    directory = options.directory
    if directory is None:
        return None
    named = [journal_after(path) or 0 for _, path in checkpoints(directory)]
    first = max(last_number(directory) + 1, *named, 1)
    return Journal(directory, tables, lock, first=first, limit=options.journal_limit, writing=options.journal)


def matches(component: Component, levels: Sequence[str]) -> bool:
    """Whether a component is at or below a level given by level names (type and id glued together)."""
    kind, one, subtype, sub = component
    level = levels[0]
    if not kind or not all(levels):
        return False
    if level.startswith("cpu") and level[3:].isdecimal():
        level = "hwthread" + level[3:]
    return kind + one == level and (len(levels) == 1 or (len(levels) == 2 and subtype + sub == levels[1]))
