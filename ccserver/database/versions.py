"""Schema versions: what a database file is at, and the way up to the version this program speaks.

The table `schema_migrations(version, dirty)` and the file names `NN_title.up.sql` are those of the common
`migrate` tool, which can therefore be used on the same files. Contract: spec/operations.md 9.1.
"""

from __future__ import annotations

import os
import pwd
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

SCHEMA_VERSION = 11

_SCRIPT_NAME = re.compile(r"(\d+)_[\w-]+\.(up|down)\.sql")
# Says in a script that a table shall end with exactly the indexes the script makes: what programs before us
# left behind has names no script can know.
_COMPLETE = re.compile(r"^-- complete indexes of: (\w+)$", re.MULTILINE)
_INDEX = re.compile(r"CREATE INDEX (?:IF NOT EXISTS )?(\w+) ON (\w+) (\([^;]+);")


class DatabaseVersionError(Exception):
    """The database cannot be used as it is; the message says what was found and which flag helps."""


class MigrationError(DatabaseVersionError):
    """A migration script failed or is missing; after a failed script the database is marked dirty."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: the script that leads to `version`, from the one before or, down, from the one after."""

    version: int
    name: str
    script: str


def shipped_migrations(folder: Traversable | None = None, direction: str = "up") -> list[Migration]:
    """The scripts of a folder (default: the packaged ones for SQLite), by rising version."""
    folder = folder or resources.files("ccserver.database") / "migrations" / "sqlite3"
    steps = [
        Migration(int(match[1]) - (direction == "down"), entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if (match := _SCRIPT_NAME.fullmatch(entry.name)) and match[2] == direction
    ]
    return sorted(steps, key=lambda step: step.version)


def check_version(path: str | Path) -> None:
    """Raise DatabaseVersionError unless the file exists and is at SCHEMA_VERSION and clean.

    Never creates the file: an empty one made here would hide that the configured path is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise DatabaseVersionError(
            f"database {path}: the file does not exist (version 0), version {SCHEMA_VERSION} is needed; "
            "create it with -migrate-db"
        )
    _check_access(path)
    with closing(_connect(path)) as connection:
        version, dirty = _recorded(connection, path)
    if dirty:
        raise DatabaseVersionError(
            f"database {path}: version {version} is marked dirty, a migration has failed half-way; "
            "repair it by hand or restore a backup, then clear the mark with -force-db"
        )
    if version is None:
        raise DatabaseVersionError(
            f"database {path}: no schema version recorded (version 0), version {SCHEMA_VERSION} is needed; "
            "create the schema with -migrate-db"
        )
    if version < SCHEMA_VERSION:
        raise DatabaseVersionError(
            f"database {path}: found version {version}, version {SCHEMA_VERSION} is needed; "
            "make a backup, then run with -migrate-db"
        )
    if version > SCHEMA_VERSION:
        raise DatabaseVersionError(
            f"database {path}: found version {version}, this program needs version {SCHEMA_VERSION}; "
            "it was written by a newer program: see the documentation about downgrading a database"
        )


def migrate(
    path: str | Path,
    migrations: list[Migration] | None = None,
    progress: Callable[[Migration], None] = lambda step: None,
) -> int:
    """Bring the database to SCHEMA_VERSION, creating the file if needed; returns the version reached.

    Each script runs in one transaction with foreign keys off (dropping a rebuilt table would otherwise
    cascade into its children) and is checked for broken references before the commit. A failure leaves the
    dirty mark and raises MigrationError.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = shipped_migrations() if migrations is None else migrations
    with closing(_connect(path)) as connection:
        version, dirty = _recorded(connection, path)
        if dirty:
            raise DatabaseVersionError(
                f"database {path}: version {version} is marked dirty; "
                "repair it, then clear the mark with -force-db"
            )
        if version is None and _has_tables(connection):
            raise DatabaseVersionError(
                f"database {path}: has tables but no schema version; it is not one of ours"
            )
        if version is not None and version > SCHEMA_VERSION:
            raise DatabaseVersionError(
                f"database {path}: found version {version}, newer than the supported {SCHEMA_VERSION}"
            )
        connection.execute("PRAGMA foreign_keys = OFF")
        for step in _missing_steps(path, version, steps):
            progress(step)
            _apply(connection, path, step)
            version = step.version
    return version or 0


def revert(path: str | Path) -> int:
    """Take a database at SCHEMA_VERSION one version down and return that; raises DatabaseVersionError."""
    check_version(path)
    path = Path(path)
    step = next(step for step in shipped_migrations(direction="down") if step.version == SCHEMA_VERSION - 1)
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        _apply(connection, path, step)
    return step.version


def force_version(path: str | Path, version: int = SCHEMA_VERSION) -> None:
    """Record `version` as clean without running any script."""
    if not Path(path).exists():
        raise DatabaseVersionError(f"database {path}: the file does not exist")
    with closing(_connect(Path(path))) as connection:
        _record(connection, version, dirty=False)


def _check_access(path: Path) -> None:
    """Commands once run as root leave files behind that the server cannot write, and SQLite names none."""
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise DatabaseVersionError(
                f"database {file}: not readable and writable for {_account(os.geteuid())}, "
                f"it belongs to {_account(file.stat().st_uid)}"
            )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=60)


def _recorded(connection: sqlite3.Connection, path: Path) -> tuple[int | None, bool]:
    try:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'").fetchone()
        row = (
            connection.execute("SELECT version, dirty FROM schema_migrations LIMIT 1").fetchone()
            if known
            else None
        )
    except sqlite3.DatabaseError as error:
        raise DatabaseVersionError(f"database {path}: cannot be read: {error}") from error
    return (int(row[0]), bool(row[1])) if row else (None, False)


def _has_tables(connection: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name NOT IN ('schema_migrations') LIMIT 1"
    return connection.execute(query).fetchone() is not None


def _missing_steps(path: Path, version: int | None, steps: list[Migration]) -> list[Migration]:
    reached = version or 0
    missing = [step for step in steps if reached < step.version <= SCHEMA_VERSION]
    for step in missing:
        if step.version != reached + 1:
            break
        reached = step.version
    if reached != SCHEMA_VERSION:
        raise MigrationError(
            f"database {path}: no migration script leads from version {reached} to {reached + 1}"
        )
    return missing


def _apply(connection: sqlite3.Connection, path: Path, step: Migration) -> None:
    _record(connection, step.version, dirty=True)
    try:
        broken_before = _broken_references(connection)
        drops = [
            drop
            for table in _COMPLETE.findall(step.script)
            for drop in _drops_of_other_indexes(connection, table, step.script)
        ]
        connection.executescript("\n".join(["BEGIN IMMEDIATE;", *drops, step.script]))
        # Rows that referred to nothing before are somebody else's loss; new ones would be ours.
        broken = _broken_references(connection) - broken_before
        if broken:
            (table, parent), number = broken.most_common(1)[0]
            raise MigrationError(f"{number} rows of {table} refer to rows of {parent} that are gone")
        connection.execute("COMMIT")
    except (sqlite3.Error, MigrationError) as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise MigrationError(
            f"database {path}: {step.name} failed: {error}; "
            "nothing of it was kept, the database is marked dirty"
        ) from error
    _record(connection, step.version, dirty=False)


def _broken_references(connection: sqlite3.Connection) -> Counter[tuple[str, str]]:
    """How many rows of a table refer to missing rows of which other table."""
    found: Counter[tuple[str, str]] = Counter()
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        found[table, parent] += 1
    return found


def _drops_of_other_indexes(connection: sqlite3.Connection, table: str, script: str) -> Iterator[str]:
    """Statements for the indexes of `table` that are not exactly as `script` makes them."""
    wanted = {name: _plain(columns) for name, of, columns in _INDEX.findall(script) if of == table}
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    for name, sql in connection.execute(query, (table,)).fetchall():
        if wanted.get(name) != _plain(sql[sql.index("(") :]):
            quoted = name.replace('"', '""')
            yield f'DROP INDEX "{quoted}";'


def _plain(columns: str) -> str:
    return re.sub(r"[\s\"`]+", "", columns).lower()


def _record(connection: sqlite3.Connection, version: int, *, dirty: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version uint64, dirty bool)")
    connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS version_unique ON schema_migrations (version)")
    connection.execute("DELETE FROM schema_migrations")
    connection.execute("INSERT INTO schema_migrations (version, dirty) VALUES (?, ?)", (version, dirty))
    connection.execute("COMMIT")
