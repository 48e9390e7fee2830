"""Data of many nodes at node level, a block of numbers per metric instead of an object per series.

Cost model: 1000 nodes and 3 metrics are 3000 series; an object, a name and a rounding for each cost 50 us a
series in Python, arithmetic on whole blocks less than 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccserver.clusters import MetricConfig
from ccserver.metricdata.live import Answers
from ccstore.types import HostBlocks, SeriesResult


@dataclass(frozen=True, slots=True)
class MetricBlock:
    """One metric of the nodes `rows` (rising places in the list of hosts).

    `data` is float32 of shape (rows, points) in steps of the metric, NaN where nothing was stored;
    `statistics` is float64 of shape (3, rows): average, minimum, maximum, two decimals, 0 where one is
    unknown.
    """

    metric: MetricConfig
    rows: NDArray[np.intp]
    data: NDArray[np.float32]
    statistics: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NodeBlock:
    hosts: list[str]
    metrics: list[MetricBlock]


def node_block(hosts: Iterable[str], metrics: Sequence[MetricConfig], answers: Answers) -> NodeBlock:
    """The answers of a store, which cover equal windows; hosts without any are kept."""
    names = list(dict.fromkeys(hosts))
    places = {host: place for place, host in enumerate(names)}
    found: dict[str, list[tuple[int, SeriesResult]]] = {metric.name: [] for metric in metrics}
    for planned, result in answers.series:
        found[planned.metric.name].append((places[planned.host], result))
    return NodeBlock(names, [_block(metric, found[metric.name]) for metric in metrics if found[metric.name]])


def from_store(found: HostBlocks, metrics: Mapping[str, MetricConfig]) -> NodeBlock:
    """What a store answered in blocks."""
    blocks = []
    for one in found.blocks:
        statistics = one.statistics.T.copy()
        statistics[:, np.isnan(statistics).any(axis=0)] = 0
        blocks.append(MetricBlock(metrics[one.metric], one.rows, one.data, rounded(statistics)))
    return NodeBlock(found.hosts, blocks)


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `model.rounding.round2`, for an array."""
    return np.copysign(np.floor(np.abs(values) * 100 + 0.5) / 100, values)


def _block(metric: MetricConfig, found: list[tuple[int, SeriesResult]]) -> MetricBlock:
    found.sort(key=lambda one: one[0])
    statistics = np.array([(one.avg, one.min, one.max) for _, one in found], np.float64).T
    statistics[:, np.isnan(statistics).any(axis=0)] = 0
    return MetricBlock(
        metric,
        np.array([place for place, _ in found], np.intp),
        np.array([one.data for _, one in found], np.float32).reshape(len(found), -1),
        rounded(statistics),
    )
