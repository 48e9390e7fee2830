"""Data that crosses the border of the store: metric table, queries, answers, reports.

An answer may have thousands of series: queries and their results are structs of msgspec, which take a tenth
of a microsecond to make and none of the garbage collector's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Aggregation = Literal["sum", "avg", ""]
ResampleAlgorithm = Literal["", "lttb", "average", "simple"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of a cluster's metric table.

    `frequency` is the step in whole seconds (>= 1), `aggregation` says how components combine (empty: they
    do not), `scope` is the level at which the metric is measured. Contract: spec/metric-store.md 3.2.
    """

    name: str
    frequency: int
    aggregation: Aggregation = ""
    scope: str = "node"

    def __post_init__(self) -> None:
        if self.frequency < 1:
            raise ValueError(f"metric {self.name!r}: the step must be at least 1 s, not {self.frequency}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A bad line of a message: 1-based line number, reason code, at most 120 characters of the line."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What became of one message: `lines == stored + sum(dropped) + rejected_total`, always."""

    lines: int
    stored: int
    dropped: dict[str, int] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    rejected_total: int = 0


class Query(msgspec.Struct, frozen=True, gc=False):
    """One row of a request: which series of `metric`, and in what form. Contract: spec/metric-store.md 4,
    6.1.

    `host` alone reads the host level (descending to components when the host has no such metric); with `type`
    and `type_ids` one result per id, or all of them combined when `aggregate` is set.
    `resolution` is seconds per point (0: the native step), `scale_by` multiplies data and statistics (0: as
    is).
    """

    metric: str
    host: str
    type: str = ""
    type_ids: tuple[str, ...] = ()
    subtype: str = ""
    subtype_ids: tuple[str, ...] = ()
    aggregate: bool = False
    resolution: int = 0
    scale_by: float = 0.0


class SeriesResult(msgspec.Struct, gc=False):
    """One series of an answer.

    `data` is float32 or float64 with NaN for "nothing stored", point i belonging to `start + i * resolution`
    (unix seconds); None when data was not asked for. `avg`, `min`, `max` are over the native samples in
    range,
    NaN when there are none. `id` names the component (None at host level and for aggregates).
    """

    start: int
    to: int
    resolution: int
    data: NDArray[np.float32] | NDArray[np.float64] | None
    avg: float
    min: float
    max: float
    id: str | None = None
    subid: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """`rows[i]` holds the results of query i: first the queries asked, then those generated for all nodes.

    `queries` are the generated ones only.
    """

    rows: list[list[SeriesResult]]
    queries: list[Query]


@dataclass(frozen=True, slots=True)
class HostBlock:
    """One metric of many hosts: float32 `data` of shape (rows, points), NaN where nothing was stored, and
    float64 `statistics` of shape (rows, 3): average, minimum, maximum, NaN without a value. `rows` are rising
    places in the list of hosts."""

    metric: str
    rows: NDArray[np.intp]
    data: NDArray[np.float32]
    statistics: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HostBlocks:
    """`errors` tell of metrics that could not be read."""

    hosts: list[str]
    blocks: list[HostBlock]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class LastValues:
    """The newest sample per host and metric, at host level (components combined).

    `values` is float32, hosts x metrics, NaN where there is none or it is older than five steps; `times` is
    int64 of
    the same shape: nominal time of the newest sample, stale or not, unix seconds, 0 where there is none.
    """

    hosts: list[str]
    metrics: list[str]
    values: NDArray[np.float32]
    times: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """Contract: spec/metric-store.md 8. `known` is False for a host the store has no data of."""

    state: Literal["full", "partial", "failed"]
    degraded: tuple[str, ...]
    missing: tuple[str, ...]
    known: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """Stored slots in a row: nominal times of the first and the last filled one, and slots from one to the
    other."""

    start: int
    slots: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """What the store holds of one series; `component` is (type, id, sub type, sub id), runs are oldest
    first."""

    cluster: str
    host: str
    component: tuple[str, str, str, str]
    metric: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What came back: files read, files found damaged, series and samples (filled slots) of checkpoints,
    samples replayed from journals, seconds it took. `imported`: what checkpoints of other programs in the
    same directory had, if there were new ones."""

    files: int = 0
    damaged: int = 0
    series: int = 0
    samples: int = 0
    replayed: int = 0
    seconds: float = 0.0
    imported: ImportReport | None = None


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is: bytes of files that there are and that have been read, series made, seconds."""

    bytes_total: int = 0
    bytes_done: int = 0
    series: int = 0
    seconds: float = 0.0

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.bytes_done / self.bytes_total if self.bytes_total else 1.0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came from checkpoints of other programs: hosts, files read, files that are damaged (what could be
    read of them counts), samples stored, and per metric that is not configured the series left out."""

    hosts: int = 0
    files: int = 0
    damaged: int = 0
    samples: int = 0
    unknown_metrics: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a clean-up did: checkpoint files removed, Parquet files written, samples in them, clusters that
    could not be archived (their checkpoint files are kept)."""

    removed: int = 0
    archived: tuple[Path, ...] = ()
    samples: int = 0
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """What was written: series, pages (those that changed since the checkpoint before), bytes of the file (0:
    nothing to do), seconds it took."""

    series: int = 0
    pages: int = 0
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ClusterUsage:
    """What the store holds of a cluster: hosts, series, pages of slots and their bytes."""

    hosts: int
    series: int
    pages: int
    page_bytes: int


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """How a store behaves. Contract: spec/metric-store.md 12.1.

    `directory` takes checkpoints and journal (None: memory only); `retention`, `checkpoint_interval` and
    `max_future` are seconds, `memory_cap` bytes (0: none). `journal_limit` is the size in bytes at which the
    journal asks for a checkpoint, `journal_limit_per_host` (0: none) the same for each host with data.
    `num_workers` threads (0: half of the processors and one, at most 10) write checkpoints and restore.
    Samples that leave the retention go to Parquet files below `archive` (None: they are deleted).
    Queries that ask for a resolution get it from `minimum_points` on. Samples older than `pack_after` seconds
    (0: none) are packed in memory, without loss, at half of its size or less.
    """

    directory: Path | None = None
    retention: float = 172800
    memory_cap: int = 0
    checkpoint_interval: float = 43200
    max_future: float = 600
    journal: bool = True
    journal_limit: int = 1 << 30
    journal_limit_per_host: int = 0
    num_workers: int = 0
    archive: Path | None = None
    minimum_points: int = 1000
    pack_after: float = 600
