"""The columns of table `job` that statistics read, in memory, one array each.

Cost model: 65 bytes a job and 8 per footprint key, so some 130 MB for a million jobs. Reading a row of the
database takes about 4 us of Python, comparing or adding up a column of a million jobs 0.3 to 3 ms outside the
interpreter lock. Who keeps the table up to date: `ccserver.jobs.column_keeper`; who asks it:
`ccserver.jobs.column_queries`. Measured by benchmarks/graphql_statistics.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from ccserver.model.job import JOB_STATES, SHARED

NUMBERS: dict[str, type[np.generic]] = {
    "start_time": np.int64,
    "duration": np.int64,
    "num_nodes": np.int32,
    "num_hwthreads": np.int32,
    "num_acc": np.int32,
    "energy": np.float64,
}
NAMED = ("cluster", "subcluster", "hpc_user", "project", "cluster_partition")
CHOSEN: dict[str, tuple[str, ...]] = {"job_state": JOB_STATES, "shared": SHARED}

MOST_KEYS = 48
"""Footprint keys; a site has about ten."""

SELECT = (
    "SELECT id, start_time, duration, num_nodes, coalesce(num_hwthreads, 0), coalesce(num_acc, 0), energy,"
    " cluster, subcluster, hpc_user, project, coalesce(cluster_partition, ''), job_state, shared, footprint"
    " FROM job"
)
"""What `Batch.of_rows` takes; unknown counts and partitions are 0 and empty, as everywhere."""

_KEY = re.compile(r"[A-Za-z0-9_]+")
_PLAIN = frozenset((float, int, bool))
_NOTHING: dict[str, Any] = {}

Numbers = NDArray[Any]


class Names:
    """Texts that come again and again, by number."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts: list[str] = []
        self.numbers: dict[str, int] = {}
        for text in texts:
            self.number(text)

    def number(self, text: str) -> int:
        known = self.numbers.get(text)
        if known is None:
            if not isinstance(text, str):
                raise TypeError(f"not a text: {text!r}")
            known = self.numbers[text] = len(self.texts)
            self.texts.append(text)
        return known

    def encode(self, texts: Sequence[str]) -> NDArray[np.int32]:
        try:
            return np.array([self.numbers[text] for text in texts], np.int32)
        except KeyError:
            return np.array([self.number(text) for text in texts], np.int32)


@dataclass(slots=True)
class Batch:
    """Some jobs by rising id; `footprint` has an array per key that any has, NaN where one lacks it."""

    ids: NDArray[np.int64]
    values: dict[str, Numbers]
    footprint: dict[str, NDArray[np.float64]]


class JobTable:
    """`count` jobs by rising id; rows of deleted jobs stay, not `alive`, until they are many.

    All arrays have spare room behind `count`. Coded columns (NAMED, CHOSEN) hold numbers of `names`.
    `all_keys` is False when jobs have more different footprint keys than are kept.
    """

    def __init__(self) -> None:
        self.count = 0
        self.dead = 0
        self.all_keys = True
        self.names = {name: Names() for name in NAMED} | {
            name: Names(texts) for name, texts in CHOSEN.items()
        }
        self._arrays: dict[str, Numbers] = {
            "id": np.empty(0, np.int64),
            "alive": np.empty(0, np.bool_),
            **{name: np.empty(0, kind) for name, kind in NUMBERS.items()},
            **{name: np.empty(0, np.int32) for name in NAMED},
            **{name: np.empty(0, np.int8) for name in CHOSEN},
        }
        self._footprint: dict[str, NDArray[np.float64]] = {}

    def __getitem__(self, name: str) -> Numbers:
        """A column without its spare room."""
        return self._arrays[name][: self.count]

    def footprint(self, key: str) -> NDArray[np.float64] | None:
        """The values of a footprint key, NaN where there is none; None when no job has it."""
        values = self._footprint.get(key)
        return None if values is None else values[: self.count]

    def batch(self, rows: Sequence[Sequence[Any]]) -> Batch:
        """Rows of SELECT, by rising id. Raises TypeError, ValueError, OverflowError for what does not fit."""
        columns = list(zip(*rows, strict=True))
        values: dict[str, Numbers] = {}
        position = 1
        for name, kind in NUMBERS.items():
            values[name] = np.array(columns[position], kind)
            position += 1
        for name in NAMED:
            values[name] = self.names[name].encode(columns[position])
            position += 1
        for name in CHOSEN:
            codes = self.names[name].numbers
            values[name] = np.array([codes[text] for text in columns[position]], np.int8)
            position += 1
        return Batch(np.array(columns[0], np.int64), values, _footprints(columns[position]))

    def put(self, batch: Batch) -> None:
        """Add or replace jobs."""
        if not len(batch.ids):
            return
        at = np.searchsorted(self["id"], batch.ids)
        known = np.zeros(len(at), np.bool_)
        inside = at < self.count
        known[inside] = self["id"][at[inside]] == batch.ids[inside]
        if not known.all():
            at[~known] = np.arange(self.count, self.count + int((~known).sum()))
            self._reserve(int(at[~known][-1]) + 1)
        self.dead -= int((~self._arrays["alive"][at[known]]).sum())
        self._arrays["id"][at] = batch.ids
        self._arrays["alive"][at] = True
        for name, values in batch.values.items():
            self._arrays[name][at] = values
        for key in batch.footprint:
            self._know(key)
        for key, stored in self._footprint.items():
            stored[at] = batch.footprint.get(key, np.nan)
        before = self.count
        self.count = max(before, int(at.max()) + 1)
        if before and self.count > before and self._arrays["id"][before] < self._arrays["id"][before - 1]:
            self._keep(np.argsort(self["id"], kind="stable"))  # somebody chose an id below the last one

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Forget jobs; unknown ids are ignored."""
        at = np.searchsorted(self["id"], ids)
        at = at[at < self.count]
        at = at[np.isin(self["id"][at], ids)]
        self.dead += int(self["alive"][at].sum())
        self._arrays["alive"][at] = False
        if self.dead > 1000 and self.dead > self.count // 8:
            self._keep(np.flatnonzero(self["alive"]))
            self.dead = 0

    def _know(self, key: str) -> None:
        if key in self._footprint or not self.all_keys:
            return
        if len(self._footprint) >= MOST_KEYS:
            self.all_keys = False
            return
        self._footprint[key] = np.full(len(self._arrays["id"]), np.nan)

    def _reserve(self, needed: int) -> None:
        room = len(self._arrays["id"])
        if needed <= room:
            return
        room = max(1024, needed + needed // 4)
        for name, array in self._arrays.items():
            self._arrays[name] = _longer(array, room)
        for key, values in self._footprint.items():
            self._footprint[key] = _longer(values, room)

    def _keep(self, rows: NDArray[np.intp]) -> None:
        """Only these rows, in this order."""
        for arrays in (self._arrays, self._footprint):
            for array in arrays.values():
                array[: len(rows)] = array[rows]
        self.count = len(rows)


@dataclass(slots=True)
class Changes:
    """What a transaction did to the jobs: those to put, and the ids of those that are gone."""

    batch: Batch | None = None
    removed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def _longer(array: Numbers, room: int) -> Numbers:
    longer = np.empty(room, array.dtype)
    longer[: len(array)] = array
    return longer


def _footprints(texts: Sequence[str | None]) -> dict[str, NDArray[np.float64]]:
    documents = _documents(texts)
    keys = sorted(key for key in set().union(*documents) if _KEY.fullmatch(key))[: MOST_KEYS + 1]
    found: dict[str, NDArray[np.float64]] = {}
    for key in keys:
        values = [document.get(key, np.nan) for document in documents]
        if not _PLAIN.issuperset(map(type, values)):
            values = [value if type(value) in _PLAIN else np.nan for value in values]
        found[key] = np.array(values, np.float64)
    return found


def _documents(texts: Sequence[str | None]) -> list[dict[str, Any]]:
    """The JSON objects, empty for what is none; all in one go, since that takes a third of the time."""
    try:
        whole: list[Any] = orjson.loads(f"[{','.join(text or 'null' for text in texts)}]")
    except (orjson.JSONDecodeError, TypeError):
        whole = []
    if len(whole) != len(texts):
        whole = [_document(text) for text in texts]
    return [document if isinstance(document, dict) else _NOTHING for document in whole]


def _document(text: object) -> object:
    try:
        return orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None
