"""One writer thread and a pool of readers over one SQLite file in WAL mode.

Cost model (2 shared cores): a write costs the hand-over to the writer thread and back plus its share of one
commit, together about 0.4 ms with four threads writing. Writes that wait while a transaction is committed go
into the next one together, up to `_GROUP` of them, each in its own savepoint (some 5 us).
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from ccserver.cancelling import stop_when_cancelled, was_cancelled
from ccserver.database.prepared import driver
from ccserver.database.versions import check_version

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_GROUP = 64  # writes per commit at most: bounds how long the first of them waits
_CONNECTION_LIFETIME = 3600  # seconds
_STEPS = 100_000  # of SQLite's virtual machine (some milliseconds) between two looks at who waits


class DatabaseClosed(RuntimeError):
    """The database was used after `close`."""


class TransactionLost(RuntimeError):
    """SQLite gave up the transaction that a write was part of; nothing of it was stored."""


class Follower(Protocol):
    """Learns of every write transaction; called in the writer thread."""

    def before_commit(self, writer: sqlite3.Connection) -> Callable[[], None] | None:
        """Inside the transaction. What is returned is called once it has committed."""

    def lost(self, why: str) -> None:
        """What followed from earlier calls may be wrong: a transaction or the follower itself failed."""


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """Section `main.db-config` (spec/operations.md 8.2); `cache_size_mb` counts per connection."""

    cache_size_mb: int = 2048
    soft_heap_limit_mb: int = 16384
    max_open_connections: int = 4
    max_idle_connections: int = 4
    busy_timeout_ms: int = 60000
    write_queue: int = 1024


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    result: Future[Any]


def open_database(path: str | Path, options: DatabaseOptions | None = None) -> Database:
    """Open a database file of the supported version; raises DatabaseVersionError otherwise."""
    check_version(path)
    return Database(Path(path), options or DatabaseOptions())


class Database:
    """Reads from any thread through a bounded pool, writes through one thread.

    All methods block and are safe to call from any thread; an async caller uses a worker thread.
    """

    def __init__(self, path: Path, options: DatabaseOptions) -> None:
        self.path = path
        self.options = options
        # Here, not by whoever connects first: of two that switch a file to WAL at once one finds it locked,
        # whatever the busy timeout.
        with closing(sqlite3.connect(path, timeout=options.busy_timeout_ms / 1000)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").close()
        self._readers = _engine(path, options, readonly=True)
        self._writer = _engine(path, options, readonly=False)
        self._writes: queue.Queue[_Write | None] = queue.Queue(options.write_queue)
        self._closing = threading.Lock()
        self._closed = False
        self._follower: Follower | None = None
        self._per_thread = threading.local()
        self._thread = threading.Thread(target=self._run_writes, name="database-writer", daemon=True)
        self._thread.start()

    @property
    def idle_readers(self) -> int:
        """How many connections stay open while nobody reads."""
        return cast(QueuePool, self._readers.pool).checkedin()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in one read transaction: all statements inside see the same state.

        Nested calls in one thread share the connection, so a thread never waits for a second one. A statement
        is interrupted, and trio.Cancelled raised, when the task that waits for this thread was cancelled.
        """
        current: Connection | None = getattr(self._per_thread, "connection", None)
        if current is not None:
            yield current
            return
        if self._closed:
            raise DatabaseClosed(f"database {self.path} is closed")
        with self._readers.connect() as connection, connection.begin():
            self._per_thread.connection = connection
            try:
                yield connection
            except (OperationalError, sqlite3.OperationalError):
                stop_when_cancelled()
                raise
            finally:
                self._per_thread.connection = None

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work(connection)` in a write transaction and return its result once that is committed.

        Whatever `work` raises is raised here and undoes only that piece of work. `work` may call `read` and
        `write` of the same database: they join its transaction.
        """
        if threading.current_thread() is self._thread:
            connection: Connection = self._per_thread.connection
            with connection.begin_nested():
                return work(connection)
        return self.submit(work).result()

    def submit(self, work: Callable[[Connection], Result]) -> Future[Result]:
        """As `write`, without waiting for the outcome: the future has it once that is committed.

        Blocks only while `write_queue` writes wait. Not for the writer thread.
        """
        request = _Write(work, Future())
        with self._closing:  # so that nothing is queued behind the end mark
            if self._closed:
                raise DatabaseClosed(f"database {self.path} is closed")
            self._writes.put(request)
        return request.result

    def follow(self, follower: Follower) -> None:
        """From now on tell `follower` of every write transaction, this call's own included."""

        def begin(_connection: Connection) -> None:
            self._follower = follower

        self.write(begin)

    def close(self) -> None:
        """Finish the writes already queued, then close all connections; idempotent."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._writes.put(None)
        self._thread.join()
        self._readers.dispose()
        self._writer.dispose()

    def _run_writes(self) -> None:
        ending = False
        while not ending:
            group = [self._writes.get()]
            while group[-1] is not None and len(group) < _GROUP:
                try:
                    group.append(self._writes.get_nowait())
                except queue.Empty:
                    break
            ending = group[-1] is None
            if requests := [request for request in group if request is not None]:
                self._commit_together(requests)

    def _commit_together(self, requests: list[_Write]) -> None:
        outcomes: list[tuple[_Write, Any, BaseException | None]] = []
        committed: Callable[[], None] | None = None
        try:
            with self._writer.connect() as connection, connection.begin():
                self._per_thread.connection = connection
                for request in requests:
                    outcomes.append((request, *_attempt(connection, request.work)))
                    _check_open(connection, outcomes[-1][2])
                committed = self._tell_follower(connection)
        except BaseException as error:
            log.error("database %s: a transaction could not be committed: %s", self.path, error)
            outcomes = [(request, None, error) for request in requests]
            if self._follower is not None:
                self._follower.lost("a transaction was not committed")
        else:
            self._commit_seen(committed)
        finally:
            self._per_thread.connection = None
        for request, result, failure in outcomes:
            if failure is None:
                request.result.set_result(result)
            else:
                request.result.set_exception(failure)

    def _tell_follower(self, connection: Connection) -> Callable[[], None] | None:
        follower = self._follower
        if follower is None:
            return None
        try:
            return follower.before_commit(driver(connection))
        except Exception as error:  # its trouble is not that of the writes
            log.exception("database %s: the follower failed", self.path)
            follower.lost(str(error))
            return None

    def _commit_seen(self, committed: Callable[[], None] | None) -> None:
        if committed is None or self._follower is None:
            return
        try:
            committed()
        except Exception as error:
            log.exception("database %s: the follower failed", self.path)
            self._follower.lost(str(error))


def _attempt(connection: Connection, work: Callable[[Connection], Any]) -> tuple[Any, BaseException | None]:
    raw = driver(connection)
    raw.execute("SAVEPOINT one_write").close()  # not SQLAlchemy's, which costs 20 times as much
    try:
        result = work(connection)
        raw.execute("RELEASE one_write").close()
        return result, None
    except Exception as error:
        if raw.in_transaction:
            raw.execute("ROLLBACK TO one_write").close()
            raw.execute("RELEASE one_write").close()
        return None, error


def _check_open(connection: Connection, failure: BaseException | None) -> None:
    """A full disk or an I/O error makes SQLite roll the whole transaction back, earlier writes with it."""
    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
        raise TransactionLost("the database has rolled the transaction back") from failure


def _engine(path: Path, options: DatabaseOptions, *, readonly: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        # isolation_level None: transactions are begun by us, with the kind of lock that fits
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    open_at_most = options.max_open_connections if readonly else 1
    kept = min(options.max_idle_connections, open_at_most)
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=kept,
        max_overflow=open_at_most - kept,
        pool_timeout=options.busy_timeout_ms / 1000,
        # the writer's connection carries temporary tables of the follower
        pool_recycle=_CONNECTION_LIFETIME if readonly else -1,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        for statement in (
            f"PRAGMA busy_timeout = {options.busy_timeout_ms}",
            # What was answered survives a power cut, too; a group of writes shares the one sync.
            f"PRAGMA synchronous = {'NORMAL' if readonly else 'FULL'}",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA cache_size = {-options.cache_size_mb * 1024}",
            "PRAGMA temp_store = MEMORY",
            f"PRAGMA soft_heap_limit = {options.soft_heap_limit_mb * 1024 * 1024}",
            f"PRAGMA query_only = {'ON' if readonly else 'OFF'}",
        ):
            connection.execute(statement).close()
        if readonly:
            # True ends the running statement: its client has left, or the server stops.
            connection.set_progress_handler(was_cancelled, _STEPS)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
