"""Databases of every version come up without losing a job, a tag, an account or a setting.

Version 6 is written down here once more, as the contract describes it (spec/operations.md 9.4), so that
a mistake in our own scripts does not hide itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ccserver.auth.users import UserRepository
from ccserver.database import SCHEMA_VERSION, check_version, migrate, open_database, revert, versions
from ccserver.database.versions import MigrationError, shipped_migrations
from ccserver.jobs.repository import JobRepository
from ccserver.model.user import Principal

STATISTICS = (
    "flops_any_avg", "mem_bw_avg", "mem_used_max", "load_avg", "net_bw_avg", "net_data_vol_total",
    "file_bw_avg", "file_data_vol_total",
)  # fmt: skip
EVERYBODY = Principal("root", frozenset({"admin"}))

VERSION_6 = f"""
CREATE TABLE schema_migrations (version uint64, dirty bool);
CREATE UNIQUE INDEX version_unique ON schema_migrations (version);
INSERT INTO schema_migrations VALUES (6, 0);
CREATE TABLE "job" (
  id INTEGER PRIMARY KEY, job_id BIGINT NOT NULL, cluster VARCHAR(255) NOT NULL,
  subcluster VARCHAR(255) NOT NULL, start_time BIGINT NOT NULL, user VARCHAR(255) NOT NULL,
  project VARCHAR(255) NOT NULL, partition VARCHAR(255) NOT NULL, array_job_id BIGINT NOT NULL,
  duration INT NOT NULL DEFAULT 0, walltime INT NOT NULL DEFAULT 0,
  job_state VARCHAR(255) NOT NULL CHECK (job_state IN ('running', 'completed', 'failed', 'cancelled',
    'stopped', 'timeout', 'preempted', 'out_of_memory')),
  meta_data TEXT, resources TEXT NOT NULL, num_nodes INT NOT NULL, num_hwthreads INT NOT NULL,
  num_acc INT NOT NULL, smt TINYINT NOT NULL DEFAULT 1 CHECK (smt IN (0, 1)),
  exclusive TINYINT NOT NULL DEFAULT 1 CHECK (exclusive IN (0, 1, 2)),
  monitoring_status TINYINT NOT NULL DEFAULT 1 CHECK (monitoring_status IN (0, 1, 2, 3)),
  {", ".join(f"{name} REAL NOT NULL DEFAULT 0.0" for name in STATISTICS)},
  UNIQUE (job_id, cluster, start_time)
);
CREATE INDEX job_stats ON job (cluster, subcluster, user);
CREATE INDEX job_by_load ON job (load_avg);
CREATE TABLE tag (id INTEGER PRIMARY KEY, tag_type VARCHAR(255) NOT NULL, tag_name VARCHAR(255) NOT NULL,
  insert_ts TEXT DEFAULT CURRENT_TIMESTAMP, UNIQUE (tag_type, tag_name));
CREATE TABLE jobtag (job_id INTEGER, tag_id INTEGER, insert_ts TEXT DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (job_id, tag_id),
  FOREIGN KEY (job_id) REFERENCES job (id) ON DELETE CASCADE,
  FOREIGN KEY (tag_id) REFERENCES tag (id) ON DELETE CASCADE);
CREATE TABLE user (username varchar(255) PRIMARY KEY NOT NULL, password varchar(255) DEFAULT NULL,
  ldap tinyint NOT NULL DEFAULT 0, name varchar(255) DEFAULT NULL, roles varchar(255) NOT NULL DEFAULT "[]",
  email varchar(255) DEFAULT NULL, projects varchar(255) NOT NULL DEFAULT "[]");
CREATE TABLE configuration (username varchar(255), confkey varchar(255), value text,
  PRIMARY KEY (username, confkey),
  FOREIGN KEY (username) REFERENCES user (username) ON DELETE CASCADE ON UPDATE NO ACTION);
"""


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.db"


def up_to(path: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(versions, "SCHEMA_VERSION", version)
        assert migrate(path) == version


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    """Insert what the table has columns for."""
    known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    row = {name: value for name, value in values.items() if name in known}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def fill(path: Path, version: int) -> None:
    """Three jobs with tags, accounts and settings, in the words of that version."""
    with connected(path) as connection:
        account = "hpc_user" if version >= 8 else "user"
        insert(connection, account, username="ann", password="$2b$x", roles='["user"]', projects='["lab"]')
        insert(connection, account, username="bob", ldap=1, roles='["api"]')
        insert(connection, "configuration", username="ann", confkey="plot", value='{"a": 1}')
        cancelled = "canceled" if version < 4 else "cancelled"
        for number, state in (
            (11, "completed"),
            (12, cancelled),
            (13, "stopped" if version < 9 else "timeout"),
        ):
            insert(
                connection, "job", id=number, job_id=number * 10, cluster="c", subcluster="s",
                start_time=1_600_000_000 + number, user="ann", hpc_user="ann", project="lab", partition="p",
                cluster_partition="p", array_job_id=0, duration=60, walltime=100, job_state=state,
                meta_data='{"jobName": "x"}', resources='[{"hostname": "n1"}]', num_nodes=1, num_hwthreads=4,
                num_acc=0, smt=1, exclusive=number - 11, shared="none", monitoring_status=3,
                flops_any_avg=1.5, mem_bw_avg=2.5, mem_used_max=3.5, load_avg=4.5, net_bw_avg=0.0,
                file_bw_avg=6.5, energy=0.5, footprint='{"cpu_load_avg": 4.5}',
            )  # fmt: skip
        for number, name in ((5, "bug"), (7, "odd")):
            insert(connection, "tag", id=number, tag_type="kind", tag_name=name, tag_scope="ann")
        for job, tag in ((11, 5), (11, 7), (12, 5), (13, 7)):
            insert(connection, "jobtag", job_id=job, tag_id=tag)


def rows(path: Path, query: str) -> list[Any]:
    with connected(path) as connection:
        return connection.execute(query).fetchall()


def schema(path: Path) -> dict[str, str]:
    found = rows(path, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.replace('"', "").split()).lower() for name, sql in found}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("fresh") / "job.db"
    migrate(path)
    return schema(path)


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_every_version_comes_up(
    path: Path, version: int, fresh: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    up_to(path, version, monkeypatch)
    fill(path, version)
    assert migrate(path) == SCHEMA_VERSION
    check_version(path)
    assert rows(path, "SELECT job_id, tag_id FROM jobtag ORDER BY 1, 2") == [
        (11, 5), (11, 7), (12, 5), (13, 7)
    ]  # fmt: skip
    last = "cancelled" if version < 9 else "timeout"
    assert rows(path, "SELECT id, job_id, job_state, cluster_partition FROM job ORDER BY 1") == [
        (11, 110, "completed", "p"), (12, 120, "cancelled", "p"), (13, 130, last, "p")
    ]  # fmt: skip
    scope = "global" if version < 8 else "ann"
    assert rows(path, "SELECT id, tag_name, tag_scope FROM tag") == [(5, "bug", scope), (7, "odd", scope)]
    assert rows(path, "SELECT username, confkey, value FROM configuration") == [("ann", "plot", '{"a": 1}')]
    assert rows(path, "PRAGMA foreign_key_check") == []
    assert rows(path, "SELECT version, dirty FROM schema_migrations") == [(11, 0)]
    assert schema(path) == fresh
    if version < 9:
        shared = [("multi_user",), ("none",), ("single_user",)]
        assert rows(path, "SELECT shared FROM job ORDER BY id") == shared
    database = open_database(path)
    account = UserRepository(database).get("ann")
    jobs = JobRepository(database)
    assert account is not None
    assert account.projects == (("lab",) if version >= 3 else ())
    found = jobs.find(11, EVERYBODY)
    assert found is not None
    assert found.resources[0].hostname == "n1"
    database.close()


def test_statistic_columns_become_the_footprint(path: Path) -> None:
    with connected(path) as connection:
        connection.executescript(VERSION_6)
    fill(path, 6)
    migrate(path)
    (footprint,) = rows(path, "SELECT footprint FROM job WHERE id = 11")[0]
    assert json.loads(footprint) == {
        "flops_any_avg": 1.5, "mem_bw_avg": 2.5, "mem_used_max": 3.5, "cpu_load_avg": 4.5, "file_bw_avg": 6.5
    }  # fmt: skip


def test_a_database_of_version_1_2_as_it_lies_in_the_field(path: Path, fresh: dict[str, str]) -> None:
    with connected(path) as connection:
        connection.executescript(VERSION_6)
    fill(path, 6)
    assert migrate(path) == SCHEMA_VERSION
    assert len(rows(path, "SELECT * FROM jobtag")) == 4
    assert {name for name in schema(path) if "index" in schema(path)[name]} == {
        name for name in fresh if "index" in fresh[name]
    }


@pytest.mark.parametrize("version", [9, 10])
def test_whatever_indexes_there_are_it_ends_with_the_same(
    path: Path, version: int, fresh: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    up_to(path, version, monkeypatch)
    fill(path, version)
    with connected(path) as connection:
        for name, columns in (
            ("jobs_cluster_starttime", "cluster, start_time"),
            ('"odd name"', "hpc_user"),
            ("jobs_cluster_user_starttime_stats", "cluster"),
        ):
            connection.execute(f"CREATE INDEX {name} ON job ({columns})")
        connection.execute("DROP INDEX jobs_starttime")
    migrate(path)
    assert schema(path) == fresh


def test_rows_that_were_orphans_before_do_not_stop_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    up_to(path, 7, monkeypatch)
    fill(path, 7)
    with connected(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO jobtag (job_id, tag_id) VALUES (999, 5)")
    assert migrate(path) == SCHEMA_VERSION
    assert len(rows(path, "SELECT * FROM jobtag WHERE job_id < 20")) == 4


def test_a_failing_step_keeps_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    up_to(path, 8, monkeypatch)
    fill(path, 8)
    with connected(path) as connection:
        connection.execute("CREATE TABLE job_cache (in_the_way)")
    with pytest.raises(MigrationError, match=r"09_add-job-cache\.up\.sql failed"):
        migrate(path)
    assert rows(path, "SELECT version, dirty FROM schema_migrations") == [(9, 1)]
    assert len(rows(path, "SELECT * FROM jobtag")) == 4
    assert len(rows(path, "SELECT exclusive FROM job")) == 3


def test_one_version_down(path: Path) -> None:
    migrate(path)
    fill(path, 11)
    assert revert(path) == 10
    assert rows(path, "SELECT version, dirty FROM schema_migrations") == [(10, 0)]
    names = schema(path)
    assert "jobs_running_user_stats" not in names
    assert "jobs_cluster_jobstate_user" in names
    with pytest.raises(versions.DatabaseVersionError, match="found version 10"):
        revert(path)
    assert migrate(path) == 11
    assert len(rows(path, "SELECT * FROM jobtag")) == 4


def test_all_the_way_down_and_up_again(path: Path, fresh: dict[str, str]) -> None:
    migrate(path)
    fill(path, 11)
    with connected(path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO job_cache SELECT * FROM job WHERE id = 11")
        connection.execute("UPDATE job_cache SET job_id = 777")
        for step in reversed(shipped_migrations(direction="down")):
            if step.version == 0:
                break
            connection.executescript("BEGIN;" + step.script + "COMMIT;")
            assert len(connection.execute("SELECT * FROM jobtag").fetchall()) == 4, step.name
        connection.execute("UPDATE schema_migrations SET version = 1")
    assert migrate(path) == 11
    assert schema(path) == fresh
    assert len(rows(path, "SELECT * FROM job WHERE job_id = 777")) == 1
    footprint = rows(path, "SELECT json_extract(footprint, '$.cpu_load_avg') FROM job WHERE id = 11")
    assert footprint == [(4.5,)]


def test_every_step_has_its_way_back() -> None:
    up, down = shipped_migrations(), shipped_migrations(direction="down")
    assert [step.version for step in up] == list(range(1, SCHEMA_VERSION + 1))
    assert [step.version for step in down] == list(range(SCHEMA_VERSION))
    assert [step.name.replace(".up.", ".") for step in up] == [
        step.name.replace(".down.", ".") for step in down
    ]
