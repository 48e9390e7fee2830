"""`nodeMetrics` as text, straight from blocks of numbers. Contract: spec/graphql.md 3, 12.

Cost model: an answer for 1000 nodes and 3 metrics has 25,000 fields. One by one they take 40 ms and more;
here every text that is the same for all nodes is made once, numbers become text a block at a time, and a node
costs one joining of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from ccserver.graphql.encoding import Text

if TYPE_CHECKING:
    from ccserver.metricdata.blocks import MetricBlock, NodeBlock


class Selected(NamedTuple):
    """A selected field: its name in the answer, its name in the schema, what is selected of it."""

    answer_name: str
    name: str
    inner: Selection


Selection = Sequence[Selected]
Column = list[bytes]
"""A text per node."""
Parts = list[bytes | Column]
"""Texts that follow each other: the same for all nodes, or a column."""
Field = Callable[[Selection], Parts]

_NODES_AT_ONCE = 128
_SHORT = 64  # numbers; longer rows go through the kernel


@dataclass(frozen=True, slots=True)
class NodeTexts:
    """A list of `NodeMetrics`. The lists are parallel to the hosts of the block."""

    block: NodeBlock
    states: Callable[[], tuple[list[str], list[str]]]
    """Scheduler and health states; called when one of them is selected."""
    subclusters: Callable[[], list[str]]

    def text(self, selection: Selection) -> Text:
        """The items of the list, with what `selection` asks of each."""
        fields: Mapping[str, Field] = {
            "__typename": lambda _: [b'"NodeMetrics"'],
            "host": lambda _: [_texts(self.block.hosts)],
            "nodeState": lambda _: [_texts(self.states()[0])],
            "metricHealth": lambda _: [_texts(self.states()[1])],
            "subCluster": lambda _: [_texts(self.subclusters())],
            "metrics": lambda inner: [b"[", self._metrics(inner), b"]"],
        }
        if not self.block.hosts:
            return Text([])
        nodes = _joined(_object(selection, fields), len(self.block.hosts))
        pieces = [
            b",".join(nodes[start : start + _NODES_AT_ONCE]) for start in range(0, len(nodes), _NODES_AT_ONCE)
        ]
        return Text(pieces)

    def _metrics(self, selection: Selection) -> Column:
        """Per node the items of its list of metrics."""
        of_node: list[list[bytes]] = [[] for _ in self.block.hosts]
        for metric in self.block.metrics:
            texts = _joined(_metric(metric, self.block.hosts, selection), len(metric.rows))
            for row, text in zip(metric.rows.tolist(), texts, strict=True):
                of_node[row].append(text)
        return [b",".join(texts) for texts in of_node]


def _metric(block: MetricBlock, hosts: Sequence[str], selection: Selection) -> Parts:
    config = block.metric

    def statistics(inner: Selection) -> Parts:
        def column(row: int) -> Parts:
            return [_rows_of(block.statistics[row])]

        return _object(
            inner,
            {
                "__typename": lambda _: [b'"MetricStatistics"'],
                "avg": lambda _: column(0),
                "min": lambda _: column(1),
                "max": lambda _: column(2),
            },
        )

    def series(inner: Selection) -> Parts:
        one = _object(
            inner,
            {
                "__typename": lambda _: [b'"Series"'],
                "hostname": lambda _: [_texts([hosts[row] for row in block.rows.tolist()])],
                "id": lambda _: [b"null"],
                "statistics": statistics,
                "data": lambda _: [b"[", _number_rows(block.data), b"]"],
            },
        )
        return [b"[", *one, b"]"]

    def unit(inner: Selection) -> Parts:
        return _object(
            inner,
            {
                "__typename": lambda _: [b'"Unit"'],
                "base": lambda _: [orjson.dumps(config.unit.base)],
                "prefix": lambda _: [orjson.dumps(config.unit.prefix)],
            },
        )

    def metric(inner: Selection) -> Parts:
        return _object(
            inner,
            {
                "__typename": lambda _: [b'"JobMetric"'],
                "unit": unit,
                "timestep": lambda _: [b"%d" % config.timestep],
                "series": series,
                "statisticsSeries": lambda _: [b"null"],
            },
        )

    return _object(
        selection,
        {
            "__typename": lambda _: [b'"JobMetricWithName"'],
            "name": lambda _: [orjson.dumps(config.name)],
            "scope": lambda _: [b'"node"'],
            "metric": metric,
        },
    )


def _object(selection: Selection, fields: Mapping[str, Field]) -> Parts:
    parts: Parts = []
    for number, field in enumerate(selection):
        opening = b"," if number else b"{"
        parts.append(opening + orjson.dumps(field.answer_name) + b":")
        parts += fields[field.name](field.inner)
    parts.append(b"}")
    return parts


def _joined(parts: Parts, count: int) -> Column:
    """Per node its parts as one text."""
    merged: Parts = []
    for part in parts:
        if merged and isinstance(part, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    columns: list[Any] = [repeat(part, count) if isinstance(part, bytes) else part for part in merged]
    return list(map(b"".join, zip(*columns, strict=True)))


def _texts(texts: Sequence[str]) -> Column:
    known: dict[str, bytes] = {}
    return [known.get(text) or known.setdefault(text, orjson.dumps(text)) for text in texts]


def _rows_of(values: NDArray[np.float64]) -> Column:
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _number_rows(data: NDArray[np.float32]) -> Column:
    """Per row the text between the brackets of its array."""
    rows, points = data.shape
    if not points:
        return [b""] * rows
    if points <= _SHORT:
        text = orjson.dumps(np.ascontiguousarray(data), option=orjson.OPT_SERIALIZE_NUMPY)
        return text[2:-2].split(b"],[")
    from ccstore.json_text import json_numbers  # not before: it would load the store's kernels

    return [b"".join(pieces) for pieces in json_numbers(list(data))]
