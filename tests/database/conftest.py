"""A real SQLite file per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccserver.database import Database, migrate, open_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "job.db"
    migrate(path)
    database = open_database(path)
    yield database
    database.close()
