"""Journals of earlier runs back into the store; docs/format/journal.md draws the files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore.journal import NAMES, SAMPLES, DamagedJournal, records_of
from ccstore.kernels import replay
from ccstore.memory import reserve
from ccstore.numbering import Numbering
from ccstore.steps import step
from ccstore.tables import MOST_SERIES, StoreTables


class Replay:
    """Takes the records of one file, in order. Samples of what is not configured any more are left out."""

    def __init__(self, tables: StoreTables, lock: threading.Lock) -> None:
        self._tables = tables
        self._lock = lock
        self._numbering = Numbering(tables)
        self.samples = 0
        self._begin([])

    def run(self, path: Path, advance: Callable[[int], None]) -> None:
        """Raises DamagedJournal, perhaps after all that could be read has been put back, and OSError."""
        trouble = ""
        for kind, content in records_of(path, advance):
            if kind == NAMES:
                self._names(content)
            elif kind == SAMPLES:
                trouble = trouble or self._samples(content)
            step("restore: record replayed")
        if trouble:
            raise DamagedJournal(trouble)

    def _begin(self, metrics: list[str]) -> None:
        """A chapter: numbers mean what is said from now on."""
        self._numbers = reserve(MOST_SERIES, 0, np.int32)
        self._hosts = np.empty(0, np.int64)
        self._components = np.empty(0, np.int64)
        self._metrics = np.full((max(len(self._tables.table_metrics), 1), len(metrics)), -1, np.int64)
        for table, rows in enumerate(self._tables.table_metrics):
            for number, name in enumerate(metrics):
                if name in rows:
                    self._metrics[table, number] = rows[name][0]

    def _names(self, content: bytearray) -> None:
        said = msgpack.unpackb(content)  # type: ignore[attr-defined, no-untyped-call]
        first_host, first_component = said["from"]
        if not first_host and not first_component:
            self._begin(said["metrics"])
        with self._lock:
            clusters = {name: self._numbering.cluster(name) for name in {one for one, _ in said["hosts"]}}
            hosts = [self._numbering.host(clusters[cluster], name) for cluster, name in said["hosts"]]
            components = [self._numbering.component(tuple(one)) for one in said["components"]]
        self._hosts = _longer(self._hosts, first_host, hosts)
        self._components = _longer(self._components, first_component, components)

    def _samples(self, content: bytearray) -> str:
        """What is wrong with it, if anything."""
        words = np.frombuffer(content, np.int32)
        state = np.zeros(replay.STATES, np.int64)
        status, reached = replay.GROW, -1
        while status == replay.GROW and reached < state[replay.AT]:
            reached = int(state[replay.AT])
            with self._lock:
                self._tables.grow()
                status = replay.replay(
                    self._tables.flat,
                    words,
                    len(words),
                    self._numbers,
                    self._hosts,
                    self._components,
                    self._metrics,
                    state,
                )
        self.samples += int(state[replay.STORED])
        if status == replay.GROW:
            return "no room for more series"
        return "" if status == replay.DONE else "a record that is no log"


def _longer(numbers: NDArray[np.int64], first: int, more: list[int]) -> NDArray[np.int64]:
    """With more numbers from `first` on; -1 where a record between is missing."""
    longer = np.full(first + len(more), -1, np.int64)
    longer[: len(numbers)] = numbers[: len(longer)]
    longer[first:] = more
    return longer
