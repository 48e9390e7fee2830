"""A real SQLite file per test, and a small cluster to run jobs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccserver.clusters import Clusters
from ccserver.database import Database, migrate, open_database
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from tests.jobs.records import CLUSTER, NOW


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "job.db"
    migrate(path)
    database = open_database(path)
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> JobRepository:
    return JobRepository(database, clock=lambda: NOW)


@pytest.fixture
def tags(database: Database) -> TagRepository:
    return TagRepository(database)


@pytest.fixture
def clusters() -> Clusters:
    return Clusters.from_documents({"alpha": CLUSTER})
