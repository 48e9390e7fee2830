"""The Parquet archive of samples that leave the retention. Source: spec/metric-store.md 11.4.

One file for each cluster and run, `<directory>/<cluster>/<cutoff>.parquet`, from the checkpoint files, host
by host: memory holds the samples of one host at a time. The names of these files, and `archived.json` among
the checkpoints, say up to which time a cluster is archived: no sample is written twice, even after a crash.
"""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from ccstore.checkpoint import END, checkpoints, sync_directory
from ccstore.kernels import snapshot
from ccstore.kernels.layout import BASE
from ccstore.restore import Block, Damaged, decoded, frames_of, read_header
from ccstore.steps import step
from ccstore.tables import Component

log = logging.getLogger(__name__)

_ROWS_OF_GROUP = 1 << 20
"""Rows of a host after which a row group is written early."""
_BLOCKS_KEPT = 16  # decoded: consecutive hosts stand in the same ones

Place = tuple[Path, int]
"""A checkpoint file and where in it a block begins."""


@dataclass(slots=True)
class Archived:
    """What a run has written: a file for each cluster with samples, their number; clusters that failed."""

    files: list[Path] = field(default_factory=list)
    samples: int = 0
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Samples:
    """Of one series: nominal times (unix seconds), values, step."""

    times: NDArray[np.int64]
    values: NDArray[np.float32]
    step: int


_Series = tuple[str, Component]  # metric, component


def archive(source: Path, target: Path, cutoff: int) -> Archived:
    """Writes all samples of the checkpoint files in `source` that are older than the cutoff (unix seconds)
    and not archived yet. What fails for one cluster fails for it alone."""
    marks = _Marks(source)
    until = marks.read()
    done = Archived()
    for cluster, hosts in _index(source, cutoff).items():
        try:
            begin = max(until.get(cluster, 0), _newest(folder_of(target, cluster)))
            path, count = _write_cluster(target, cluster, hosts, begin, cutoff)
            until[cluster] = cutoff
            marks.write(until)
            step("archive: noted")
        except Exception as error:  # whatever it is: the other clusters go on, the sources stay
            log.error("cluster %s could not be archived, its checkpoints are kept: %r", cluster, error)
            done.failed.add(cluster)
            continue
        done.samples += count
        if path is not None:
            done.files.append(path)
    return done


def _newest(folder: Path) -> int:
    """Cutoff of the last file that has been written."""
    names = [path.stem for path in folder.glob("*.parquet")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


class _Marks:
    """Up to which time clusters are archived."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "archived.json"

    def read(self) -> dict[str, int]:
        try:
            return {str(name): int(time) for name, time in json.loads(self._path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s cannot be used, samples may be archived a second time: %r", self._path, error)
            return {}

    def write(self, until: Mapping[str, int]) -> None:
        draft = self._path.with_suffix(".unfinished")
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(dict(until), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)
        sync_directory(self._path.parent)


# -- reading -------------------------------------------------------------------------------------------------


def _index(source: Path, cutoff: int) -> dict[str, dict[str, list[Place]]]:
    """By cluster and host: the blocks that may have samples before the cutoff, those of newer files first."""
    found: defaultdict[str, dict[str, list[Place]]] = defaultdict(dict)
    for _, path in reversed(checkpoints(source)):
        try:
            with open(path, "rb") as file:
                read_header(file)
                for at, raw, payload in frames_of(file):
                    if raw[:4] == END:
                        continue
                    try:
                        block = decoded(raw, payload)
                    except (Damaged, KeyError, TypeError, ValueError) as error:
                        log.warning("%s: the block at byte %d is not archived: %s", path, at, error)
                        continue
                    for cluster, host in _hosts_before(block, cutoff):
                        found[cluster].setdefault(host, []).append((path, at))
        except (Damaged, OSError) as error:
            log.warning("%s is archived only as far as it can be read: %s", path, error)
    return found


def _hosts_before(block: Block, cutoff: int) -> list[tuple[str, str]]:
    columns, pages = block.columns, block.pages
    if not pages.shape[1]:
        return []
    steps = np.zeros(int(columns[snapshot.C_GROUP].max()) + 1, np.int64)
    hosts = np.zeros(len(steps), np.int64)
    steps[columns[snapshot.C_GROUP]] = columns[snapshot.C_STEP]
    hosts[columns[snapshot.C_GROUP]] = columns[snapshot.C_HOST]
    group = pages[snapshot.P_GROUP]
    # An offset leaves its step by a few steps at most.
    early = (pages[snapshot.P_FIRST] - np.int64(16)) * steps[group] + BASE < cutoff
    names = block.meta["hosts"]
    return [(str(names[h][0]), str(names[h][1])) for h in np.unique(hosts[group[early]]).tolist()]


@lru_cache(maxsize=_BLOCKS_KEPT)
def _block_at(place: Place) -> Block:
    path, at = place
    with open(path, "rb") as file:
        file.seek(at)
        _, raw, payload = next(frames_of(file))
    return decoded(raw, payload)


def _samples_of(
    host: str, cluster: str, places: list[Place], begin: int, end: int
) -> dict[_Series, _Samples]:
    """Samples of a host in [begin, end) by series; a slot has the value of the newest file."""
    parts: defaultdict[_Series, list[tuple[NDArray[np.int64], ...]]] = defaultdict(list)
    steps: dict[_Series, int] = {}
    for place in places:
        block = _block_at(place)
        for series, slots, times, values, seconds in _rows(block, cluster, host):
            inside = (times >= begin) & (times < end) & ~np.isnan(values)
            if inside.any():
                steps.setdefault(series, seconds)
                parts[series].append((slots[inside], times[inside], values[inside]))
    found = {}
    for series, arrays in parts.items():
        slots, times, values = (np.concatenate(one) for one in zip(*arrays, strict=True))
        _, first = np.unique(slots, return_index=True)
        order = first[np.argsort(times[first], kind="stable")]
        found[series] = _Samples(times[order], values[order].astype(np.float32), steps[series])
    return found


def _rows(
    block: Block, cluster: str, host: str
) -> Iterator[tuple[_Series, NDArray[np.int64], NDArray[np.int64], NDArray[Any], int]]:
    """Series, slot numbers, nominal times, values and step of every row that belongs to the host."""
    meta, columns, pages = block.meta, block.columns, block.pages
    try:
        number = [tuple(one) for one in meta["hosts"]].index((cluster, host))
    except ValueError:
        return
    ends = np.cumsum(columns[snapshot.C_SEGMENTS])
    sizes = pages[snapshot.P_SLOTS].astype(np.int64) * pages[snapshot.P_ROWS]
    starts = np.cumsum(sizes) - sizes
    for s in np.flatnonzero(columns[snapshot.C_HOST] == number).tolist():
        of_series = slice(int(ends[s] - columns[snapshot.C_SEGMENTS, s]), int(ends[s]))
        firsts = block.segments[snapshot.S_FIRST, of_series]
        offsets = block.segments[snapshot.S_OFFSET, of_series].astype(np.int64)
        seconds = int(columns[snapshot.C_STEP, s])
        component = meta["components"][columns[snapshot.C_COMPONENT, s]]
        series = (
            str(meta["metrics"][columns[snapshot.C_METRIC, s]]),
            (str(component[0]), str(component[1]), str(component[2]), str(component[3])),
        )
        for p in np.flatnonzero(pages[snapshot.P_GROUP] == columns[snapshot.C_GROUP, s]).tolist():
            width = int(pages[snapshot.P_SLOTS, p])
            at = int(starts[p]) + int(columns[snapshot.C_ROW, s]) * width
            slots = np.arange(width, dtype=np.int64) + int(pages[snapshot.P_FIRST, p])
            values = block.values[at : at + width].copy()
            values[slots < columns[snapshot.C_BEGIN, s]] = np.nan
            segment = np.maximum(np.searchsorted(firsts, slots, "right") - 1, 0)
            yield series, slots, BASE + slots * seconds + offsets[segment], values, seconds


# -- writing -------------------------------------------------------------------------------------------------


def scope_of(component: Component) -> tuple[str, str]:
    """Scope and its id, as the columns have them."""
    kind, one, subtype, sub = component
    if not kind:
        return "node", ""
    return (subtype, f"{one}/{sub}") if subtype or sub else (kind, one)


def folder_of(target: Path, cluster: str) -> Path:
    """Names of clusters come from outside: one that is no plain file name is escaped."""
    name = quote(cluster, safe=" !#$&'()+,;=@[]{}~")
    return target / (name.replace(".", "%2E", 1) if name.startswith(".") else name)


def _write_cluster(
    target: Path, cluster: str, hosts: Mapping[str, list[Place]], begin: int, cutoff: int
) -> tuple[Path | None, int]:
    """The file, None when there was nothing for it, and the number of its rows."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [(name, pa.string()) for name in ("cluster", "hostname", "metric", "scope", "scope_id")]
        + [("timestamp", pa.int64()), ("frequency", pa.int64()), ("value", pa.float32())]
    )
    folder = folder_of(target, cluster)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{cutoff}.parquet"
    draft = folder / f".{cutoff}.parquet.unfinished"
    rows = 0
    try:
        with open(draft, "wb") as file:
            with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
                for host in sorted(hosts):
                    for columns in _row_groups(cluster, host, hosts[host], begin, cutoff):
                        table = pa.table(
                            [
                                pa.array(column).cast(kind) if not isinstance(column, tuple)
                                else pa.DictionaryArray.from_arrays(*map(pa.array, column)).cast(kind)
                                for column, kind in zip(columns, schema.types, strict=True)
                            ],
                            schema=schema,
                        )  # fmt: skip
                        writer.write_table(table, row_group_size=max(len(table), 1))
                        rows += len(table)
            file.flush()
            os.fsync(file.fileno())
        step("archive: file written")
        if not rows:
            return None, 0
        os.rename(draft, path)
        sync_directory(folder)
        step("archive: file renamed")
    finally:
        draft.unlink(missing_ok=True)
    return path, rows


def _row_groups(cluster: str, host: str, places: list[Place], begin: int, cutoff: int) -> Iterator[list[Any]]:
    """Columns of the rows of a host, by metric, scope and time: all in one, or several when they are many.

    A column of text is a pair of numbers and the texts they stand for.
    """
    samples = _samples_of(host, cluster, places, begin, cutoff)
    by_metric: defaultdict[str, list[Component]] = defaultdict(list)
    for metric, component in samples:
        by_metric[metric].append(component)
    waiting: list[list[Any]] = []
    count = 0
    for metric in sorted(by_metric):
        components = sorted(by_metric[metric], key=scope_of)
        scopes = [scope_of(component) for component in components]
        chosen = [samples[metric, component] for component in components]
        which = np.repeat(np.arange(len(chosen)), [len(one.times) for one in chosen])
        times = np.concatenate([one.times for one in chosen])
        kinds = sorted({kind for kind, _ in scopes})
        kind = np.array([kinds.index(one) for one, _ in scopes])[which]
        order = np.lexsort((which, times, kind))
        size = len(order)
        waiting.append(
            [
                np.zeros(size, np.int32),
                np.zeros(size, np.int32),
                metric,
                kind[order].astype(np.int32),
                kinds,
                which[order].astype(np.int32),
                [one for _, one in scopes],
                times[order],
                np.repeat([one.step for one in chosen], [len(one.times) for one in chosen])[order],
                np.concatenate([one.values for one in chosen])[order],
            ]
        )
        count += size
        if count >= _ROWS_OF_GROUP:
            yield _joined(cluster, host, waiting)
            waiting, count = [], 0
    if waiting:
        yield _joined(cluster, host, waiting)


def _joined(cluster: str, host: str, parts: list[list[Any]]) -> list[Any]:
    kinds = [text for part in parts for text in part[4]]
    ids = [text for part in parts for text in part[6]]
    kind_begin = np.cumsum([0, *[len(part[4]) for part in parts[:-1]]])
    id_begin = np.cumsum([0, *[len(part[6]) for part in parts[:-1]]])
    return [
        (np.concatenate([part[0] for part in parts]), [cluster]),
        (np.concatenate([part[1] for part in parts]), [host]),
        (
            np.repeat(np.arange(len(parts), dtype=np.int32), [len(part[7]) for part in parts]),
            [part[2] for part in parts],
        ),
        (np.concatenate([part[3] + b for part, b in zip(parts, kind_begin, strict=True)]), kinds),
        (np.concatenate([part[5] + b for part, b in zip(parts, id_begin, strict=True)]), ids),
        *(np.concatenate([part[i] for part in parts]) for i in (7, 8, 9)),
    ]
