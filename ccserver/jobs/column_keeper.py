"""Keeps the columns in memory equal to table `job`, by what every transaction of the writer changed.

The connection of the writer notes the ids of changed jobs in a temporary table, by temporary triggers: the
file itself stays as published. Before a transaction commits those jobs are read again; once it has committed
they are put into the table, before anybody learns that the write is done.

Another program may write to the file as well. SQLite tells that it did (`PRAGMA data_version`), not what it
did: then the table is filled anew in a thread, and statistics come from SQL until that is done. The same goes
for the time after the start, so no answer ever waits for the table and none is wrong.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ccserver.database import Database, DatabaseClosed
from ccserver.jobs.columns import SELECT, Changes, JobTable

log = logging.getLogger(__name__)

MOST_JOBS = 10_000_000
"""About 1.3 GB; larger databases are asked in SQL."""
ROWS_AT_ONCE = 4000
MOST_CHANGES = 50_000
"""Of one transaction, or while the table is filled; beyond, it is filled anew."""
PAUSE = 5.0  # seconds before it is filled anew, so that a long import does not do it all the time

_NOTING = (
    "CREATE TEMP TABLE IF NOT EXISTS changed_job (id INTEGER PRIMARY KEY)",
    "CREATE TEMP TRIGGER IF NOT EXISTS job_added AFTER INSERT ON main.job"
    " BEGIN INSERT OR IGNORE INTO changed_job VALUES (new.id); END",
    "CREATE TEMP TRIGGER IF NOT EXISTS job_removed AFTER DELETE ON main.job"
    " BEGIN INSERT OR IGNORE INTO changed_job VALUES (old.id); END",
    "CREATE TEMP TRIGGER IF NOT EXISTS job_changed AFTER UPDATE ON main.job"
    " BEGIN INSERT OR IGNORE INTO changed_job VALUES (old.id), (new.id); END",
)


class ColumnKeeper:
    """`run` fills the table and refills it when that is needed; `current` gives it to readers."""

    def __init__(self, database: Database, *, most_jobs: int = MOST_JOBS, pause: float = PAUSE) -> None:
        self._database = database
        self._most_jobs = most_jobs
        self._pause = pause
        self._lock = threading.Lock()
        self._table: JobTable | None = None
        self._noted: set[int] | None = None
        """Ids changed while the table is being filled; None at other times."""
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._writer: sqlite3.Connection | None = None
        self._writer_version = -1
        self._watch: sqlite3.Connection | None = None
        self._seen_version = -1

    # ---- for readers

    @contextmanager
    def current(self) -> Iterator[JobTable | None]:
        """The table as of the last commit; None while it does not hold. Nothing changes it meanwhile."""
        if self._table is not None:
            self._look_for_foreign_writes()
        with self._lock:
            yield self._table

    @property
    def ready(self) -> bool:
        return self._table is not None

    # ---- filling

    def run(self) -> None:
        """Fill the table, and again whenever it no longer holds; returns after `stop`."""
        self._database.follow(self)
        self._wanted.set()
        while not self._ended.is_set():
            self._wanted.wait()
            self._wanted.clear()
            if self._ended.is_set():
                return
            try:
                if not self.fill():
                    self._wanted.set()
            except DatabaseClosed:
                return
            except Exception:
                log.exception("job statistics are computed in SQL: the columns could not be read")
                return
            self._ended.wait(self._pause)

    def stop(self) -> None:
        """End `run`; the table is given up."""
        self._ended.set()
        self._wanted.set()
        with self._lock:
            self._table = None
            if self._watch is not None:
                self._watch.close()
                self._watch = None

    def fill(self) -> bool:
        """Read all jobs; False when it has to be done again because too much changed meanwhile."""
        begin = time.monotonic()
        self._database.write(self._start_noting)
        table, last = JobTable(), -(1 << 63)
        while rows := self._rows_after(last):
            if self._ended.is_set() or self._noted is None:
                return False
            if table.count + len(rows) > self._most_jobs:
                log.warning("more than %d jobs: statistics are computed in SQL", self._most_jobs)
                self._noted = None
                return True
            table.put(table.batch(rows))
            last = rows[-1][0]
        installed = self._database.write(partial(self._install, table=table))
        if installed:
            log.info(
                "columns of %d jobs read in %.1f s: statistics no longer read the table",
                table.count,
                time.monotonic() - begin,
            )
        return installed

    def _rows_after(self, id: int) -> list[tuple[int, ...]]:
        with self._database.read() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            query = f"{SELECT} WHERE id > ? ORDER BY id LIMIT {ROWS_AT_ONCE}"
            return raw.execute(query, (id,)).fetchall()

    def _start_noting(self, _connection: object) -> None:
        with self._lock:
            self._table = None
            self._noted = set()

    def _install(self, _connection: object, table: JobTable) -> bool:
        """In the writer thread, so that nothing changes between the last look and the first use."""
        if self._noted is None or self._writer is None or self._ended.is_set():
            return False
        ids = np.fromiter(sorted(self._noted), np.int64)
        _apply(table, _read_again(self._writer, table, ids))
        with self._lock:
            self._table, self._noted = table, None
        return True

    # ---- what the writer did

    def before_commit(self, writer: sqlite3.Connection) -> Callable[[], None] | None:
        """Read what the transaction changed."""
        if writer is not self._writer:
            self._adopt(writer)
        version = _data_version(writer)
        if version != self._writer_version:
            self._writer_version = version
            self.lost("another program wrote to the database")
        ids = np.fromiter((row[0] for row in writer.execute("SELECT id FROM changed_job")), np.int64)
        if not len(ids):
            return None
        writer.execute("DELETE FROM changed_job").close()
        if len(ids) > MOST_CHANGES:
            return partial(self.lost, f"{len(ids)} jobs changed at once")
        table = self._table
        changes = None if table is None else _read_again(writer, table, ids)
        return partial(self._commit, table, changes, ids)

    def lost(self, why: str) -> None:
        """The table does not hold any more."""
        log.info("job statistics are computed in SQL for a while: %s", why)
        with self._lock:
            self._table, self._noted = None, None
        self._wanted.set()

    def _adopt(self, writer: sqlite3.Connection) -> None:
        """The writer has a new connection: temporary tables and triggers are gone with the old one."""
        for statement in _NOTING:
            writer.execute(statement).close()
        if self._writer is not None:
            self.lost("the writer's connection is a new one")
        self._writer, self._writer_version = writer, _data_version(writer)

    def _commit(self, table: JobTable | None, changes: Changes | None, ids: NDArray[np.int64]) -> None:
        with self._lock:
            if self._table is not None and self._table is table and changes is not None:
                _apply(self._table, changes)
                return
            if self._noted is None:
                return
            self._noted.update(ids.tolist())
            if len(self._noted) <= MOST_CHANGES:
                return
        self.lost("many jobs changed while the columns were read")

    def _look_for_foreign_writes(self) -> None:
        """Ask SQLite; only where anybody wrote since the last look, let the writer find out who."""
        with self._lock:
            if self._watch is None:
                self._watch = sqlite3.connect(
                    self._database.path, isolation_level=None, check_same_thread=False
                )
            version = _data_version(self._watch)
            if version == self._seen_version:
                return
        with suppress(DatabaseClosed):
            self._database.write(lambda _connection: None)
        with self._lock:
            self._seen_version = version


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _read_again(writer: sqlite3.Connection, table: JobTable, ids: NDArray[np.int64]) -> Changes:
    """The present rows of `ids` (rising); names new to `table` are added to it, which changes no answer."""
    rows: list[tuple[int, ...]] = []
    for start in range(0, len(ids), ROWS_AT_ONCE):
        part = ids[start : start + ROWS_AT_ONCE].tolist()
        marks = ",".join("?" * len(part))
        rows += writer.execute(f"{SELECT} WHERE id IN ({marks}) ORDER BY id", part)
    batch = table.batch(rows) if rows else None
    present = batch.ids if batch is not None else np.empty(0, np.int64)
    return Changes(batch, np.setdiff1d(ids, present, assume_unique=True))


def _apply(table: JobTable, changes: Changes) -> None:
    if len(changes.removed):
        table.remove(changes.removed)
    if changes.batch is not None:
        table.put(changes.batch)
