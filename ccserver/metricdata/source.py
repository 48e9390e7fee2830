"""Where live metric data comes from: the store in this process, later also stores elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ccstore.types import HostBlocks, Query, ResampleAlgorithm, SeriesResult


class Answer(Protocol):
    """`rows` answer the queries given, then `queries`: those that were made for all nodes."""

    @property
    def rows(self) -> Sequence[Sequence[SeriesResult]]: ...

    @property
    def queries(self) -> Sequence[Query]: ...


class MetricSource(Protocol):
    """What is asked of a metric store; `ccstore.MetricStore` is one. Contract: spec/metric-store.md 4, 6.1.

    Raises ValueError for a request that makes no sense (from after to, too many points, unknown algorithm).
    """

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
    ) -> Answer: ...


@runtime_checkable
class BlockSource(Protocol):
    """A metric store that also answers in blocks of numbers; `ccstore.MetricStore` is one."""

    def host_blocks(
        self, cluster: str, metrics: Sequence[str], start: int, to: int, hosts: Sequence[str] | None = None
    ) -> HostBlocks: ...

    def statistics(
        self, cluster: str, queries: Sequence[Query], starts: NDArray[np.int64], to: int
    ) -> NDArray[np.float64]: ...
