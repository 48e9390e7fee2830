"""A real database with some accounts, and what a login attempt looks like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccserver.auth.users import UserRepository
from ccserver.database import migrate, open_database


@pytest.fixture
def users(tmp_path: Path) -> Iterator[UserRepository]:
    migrate(tmp_path / "job.db")
    database = open_database(tmp_path / "job.db")
    yield UserRepository(database)
    database.close()
