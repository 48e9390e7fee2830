"""A store with known samples, an empty archive, and the service on top of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.metricdata import MetricData
from tests.clusters.documents import demo
from tests.metricdata.naive_store import NaiveStore

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


StoreOf = Callable[[Clusters, float], Any]


@pytest.fixture
def make_store() -> StoreOf:
    def make(clusters: Clusters, now: float) -> NaiveStore:
        return NaiveStore(clusters.store_metrics())

    return make


@pytest.fixture
def store(clusters: Clusters, make_store: StoreOf) -> Any:
    return make_store(clusters, NOW)


@pytest.fixture
def metric_data(clusters: Clusters, store: Any, archive: FileArchive) -> MetricData:
    return MetricData(clusters, store, archive, clock=lambda: NOW)
