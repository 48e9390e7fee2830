"""Stores for tests: a clock that stands still, no directory unless a test wants one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccstore import Metric, MetricStore, StoreOptions

NOW = 1700000100

StoreMaker = Callable[..., MetricStore]


@pytest.fixture
def make_store() -> Iterator[StoreMaker]:
    """Makes stores with metrics of cluster c; all are closed at the end."""
    stores: list[MetricStore] = []

    def make(
        metrics: list[Metric] | None = None,
        now: float = NOW,
        clusters: tuple[str, ...] = ("c",),
        **options: object,
    ) -> MetricStore:
        table = metrics or [Metric("cpu_load", 60), Metric("flops_any", 60, "sum", "hwthread")]
        store = MetricStore(dict.fromkeys(clusters, table), StoreOptions(**options), clock=lambda: now)  # type: ignore[arg-type]
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()


@pytest.fixture(scope="session")
def testc(fixtures: Path) -> list[Metric]:
    """Metric table of the cluster that the fixtures' stream belongs to."""
    document = json.loads((fixtures / "metric-store/jobdata/cluster-testc.json").read_text())
    return [
        Metric(m["name"], m["timestep"], m.get("aggregation") or "", m["scope"])
        for m in document["metricConfig"]
    ]
