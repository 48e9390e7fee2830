"""A database is used only at the version this program speaks, and brought there only on request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ccserver.database import (
    SCHEMA_VERSION,
    DatabaseVersionError,
    MigrationError,
    check_version,
    force_version,
    migrate,
    open_database,
    versions,
)
from ccserver.database.tables import metadata
from ccserver.database.versions import Migration, shipped_migrations


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "job.db"


def test_a_fresh_database_is_at_the_current_version(path: Path) -> None:
    assert migrate(path) == SCHEMA_VERSION == 11
    check_version(path)
    with connected(path) as connection:
        assert connection.execute("SELECT version, dirty FROM schema_migrations").fetchall() == [(11, 0)]
        unique = connection.execute("PRAGMA index_list(schema_migrations)").fetchall()
    assert [(index[1], index[2]) for index in unique] == [("version_unique", 1)]
    assert migrate(path) == 11


def test_tables_are_what_the_program_believes(path: Path) -> None:
    migrate(path)
    with connected(path) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'schema_migrations'"
        )
        assert {name for (name,) in tables} == set(metadata.tables)
        for name, table in metadata.tables.items():
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            assert [column[1] for column in columns] == [column.name for column in table.columns], name


def test_indexes_are_complete(path: Path) -> None:
    migrate(path)
    with connected(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        )
        indexes = dict(rows.fetchall())
    jobs = {name: text for name, text in indexes.items() if name.startswith("jobs_")}
    assert len(jobs) == 54
    partial = {name for name, text in jobs.items() if "WHERE job_state = 'running'" in text}
    assert partial == {f"jobs_running_{group}_stats" for group in ("user", "project", "subcluster")}
    assert "(array_job_id, start_time)" in jobs["jobs_arrayjobid_starttime"]
    assert "time_stamp DESC" in indexes["nodestates_nodeid_timestamp"]


def test_a_missing_file_is_reported_and_not_created(path: Path) -> None:
    with pytest.raises(DatabaseVersionError, match=r"does not exist \(version 0\).*-migrate-db"):
        open_database(path)
    assert not path.exists()


def test_an_empty_file_has_no_version(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(DatabaseVersionError, match=r"no schema version recorded.*-migrate-db"):
        check_version(path)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (6, r"found version 6, version 11 is needed.*-migrate-db"),
        (12, r"found version 12.*newer.*downgrading"),
    ],
)
def test_another_version_is_refused(path: Path, version: int, words: str) -> None:
    migrate(path)
    force_version(path, version)
    with pytest.raises(DatabaseVersionError, match=words):
        check_version(path)


def test_a_dirty_database_is_refused_until_the_mark_is_cleared(path: Path) -> None:
    migrate(path)
    with connected(path) as connection:
        connection.execute("UPDATE schema_migrations SET dirty = 1")
    for attempt in (check_version, migrate):
        with pytest.raises(DatabaseVersionError, match=r"dirty.*-force-db"):
            attempt(path)
    force_version(path)
    check_version(path)


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is a text file, and not a short one either\n" * 50)
    with pytest.raises(DatabaseVersionError, match="cannot be read"):
        check_version(path)


def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with connected(path) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")
    with pytest.raises(DatabaseVersionError, match="not one of ours"):
        migrate(path)


def test_an_old_database_without_a_way_up_is_not_touched(path: Path) -> None:
    migrate(path)
    force_version(path, 5)
    with pytest.raises(MigrationError, match="no migration script leads from version 5 to 6"):
        migrate(path, [Migration(7, "07_x.up.sql", ""), Migration(11, "11_x.up.sql", "")])
    with connected(path) as connection:
        assert connection.execute("SELECT version, dirty FROM schema_migrations").fetchall() == [(5, 0)]


def ladder(monkeypatch: pytest.MonkeyPatch, *scripts: str) -> list[Migration]:
    monkeypatch.setattr(versions, "SCHEMA_VERSION", len(scripts))
    return [Migration(number, f"{number:02}_step.up.sql", text) for number, text in enumerate(scripts, 1)]


PARENT_AND_CHILD = """
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER REFERENCES parent (id) ON DELETE CASCADE);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (1);
"""


def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = """
    CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT);
    INSERT INTO parent_new (id) SELECT id FROM parent;
    DROP TABLE parent;
    ALTER TABLE parent_new RENAME TO parent;
    """
    assert migrate(path, ladder(monkeypatch, PARENT_AND_CHILD, rebuild)) == 2
    with connected(path) as connection:
        assert connection.execute("SELECT id FROM child").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE TABLE extra (id); SELECT no_such_function();", "no_such_function"),
        (
            "CREATE TABLE extra (id); DELETE FROM parent;",
            "1 rows of child refer to rows of parent that are gone",
        ),
    ],
)
def test_a_failing_step_leaves_nothing_but_the_mark(
    path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    steps = ladder(monkeypatch, PARENT_AND_CHILD, script)
    with pytest.raises(MigrationError, match=f"02_step.up.sql failed: .*{words}"):
        migrate(path, steps)
    with connected(path) as connection:
        assert connection.execute("SELECT version, dirty FROM schema_migrations").fetchall() == [(2, 1)]
        assert connection.execute("SELECT id FROM parent").fetchall() == [(1,)]
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchall()


def test_progress_names_each_step(path: Path) -> None:
    seen: list[str] = []
    migrate(path, progress=lambda step: seen.append(step.name))
    assert seen == [step.name for step in shipped_migrations()]
