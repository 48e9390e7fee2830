"""A store in thirty lines of dictionaries, for tests of what is built on one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ccstore.types import Metric, Query, SeriesResult

Key = tuple[str, str, str, str]  # host, metric, type, id


@dataclass
class NaiveAnswer:
    rows: list[list[SeriesResult]]
    queries: list[Query]


class NaiveStore:
    def __init__(self, clusters: Mapping[str, Sequence[Metric]]) -> None:
        self._metrics = {name: {m.name: m for m in metrics} for name, metrics in clusters.items()}
        self._samples: dict[Key, dict[int, float]] = {}

    def write(self, payload: bytes, default_cluster: str = "") -> None:
        for line in payload.decode().splitlines():
            head, value, time = line.split(" ")
            metric, *pairs = head.split(",")
            tags = dict(pair.split("=") for pair in pairs)
            kind = tags.get("type", "node")
            key = (tags["hostname"], metric, "" if kind == "node" else kind, tags.get("type-id", ""))
            number = float(value.removeprefix("value=").removesuffix("i"))
            samples = self._samples.setdefault(key, {})
            samples[int(time)] = number + (samples.get(int(time), 0) if "stype" in tags else 0)

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
        resample_algorithm: str = "",
    ) -> NaiveAnswer:
        if start > to:
            raise ValueError("from is after to")
        made = [Query(m, h) for m in for_all_nodes for h in sorted({key[0] for key in self._samples})]
        asked = made or list(queries)
        rows = [self._row(self._metrics[cluster][q.metric], q, start, to, with_data) for q in asked]
        return NaiveAnswer(rows, asked)

    def _row(self, metric: Metric, query: Query, start: int, to: int, with_data: bool) -> list[SeriesResult]:
        if not query.type:
            own = [k for k in self._samples if k[:2] == (query.host, metric.name)]
            keys = [k for k in own if not k[2]] or [k for k in own if k[2] == metric.scope]
        else:
            keys = [(query.host, metric.name, query.type, i) for i in query.type_ids]
            keys = [k for k in keys if k in self._samples]
        children = [self._read(key, start, to, metric.frequency) for key in keys]
        if query.type and not query.aggregate:
            return [
                _result(start, metric.frequency, c, key[3], with_data)
                for key, c in zip(keys, children, strict=True)
            ]
        if not children:
            return []
        combined = np.sum(children, axis=0)
        if metric.aggregation == "avg":
            with np.errstate(all="ignore"):
                combined = np.nanmean(children, axis=0)
        return [_result(start, metric.frequency, combined, None, with_data)]

    def _read(self, key: Key, start: int, to: int, step: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        samples = self._samples[key]
        values = np.full(math.ceil((to - start) / step), np.nan)
        for i in range(len(values)):
            for time, value in samples.items():
                if -step / 2 <= start + i * step - time < step / 2:
                    values[i] = value
        return values


def _result(start: int, step: int, values: object, id_: str | None, with_data: bool) -> SeriesResult:
    array = np.asarray(values, dtype=np.float64)
    known = array[~np.isnan(array)]
    stats = (known.mean(), known.min(), known.max()) if len(known) else (math.nan,) * 3
    data = array.astype(np.float32) if with_data else None
    return SeriesResult(start, start + len(array) * step, step, data, *map(float, stats), id=id_)
