"""A store with known samples, an empty archive, and the service on top of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.metricdata import MetricData
from ccstore import MetricStore, StoreOptions
from tests.clusters.documents import demo

NOW = 1700000000


@pytest.fixture
def clusters() -> Clusters:
    return Clusters.from_documents({"demo": demo()})


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    (tmp_path / "demo").mkdir()
    (tmp_path / "version.txt").write_text("3\n")
    (tmp_path / "demo/cluster.json").write_text(json.dumps(demo()))
    return FileArchive(tmp_path)


StoreOf = Callable[[Clusters, float], MetricStore]


@pytest.fixture
def make_store() -> Iterator[StoreOf]:
    """Makes stores that live in memory and believe that it is `now`."""
    stores: list[MetricStore] = []

    def make(clusters: Clusters, now: float) -> MetricStore:
        options = StoreOptions(directory=None, journal=False)
        stores.append(MetricStore(clusters.store_metrics(), options, clock=lambda: now))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(clusters: Clusters, make_store: StoreOf) -> MetricStore:
    return make_store(clusters, NOW)


@pytest.fixture
def metric_data(clusters: Clusters, store: MetricStore, archive: FileArchive) -> MetricData:
    return MetricData(clusters, store, archive, clock=lambda: NOW)
