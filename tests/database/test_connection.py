"""Readers see consistent states and cannot write; writes are atomic and survive each other's errors."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import trio
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from ccserver.database import (
    Database,
    DatabaseClosed,
    DatabaseOptions,
    TransactionLost,
    migrate,
    open_database,
)
from ccserver.database.tables import hpc_user


def add(name: str) -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        connection.execute(insert(hpc_user).values(username=name))
        return name

    return work


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(hpc_user.c.username)).scalars())


def pragmas(connection: Connection) -> dict[str, int | str]:
    wanted = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "cache_size", "temp_store",
              "query_only", "soft_heap_limit")  # fmt: skip
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}


def test_the_first_connections_may_come_at_once(tmp_path: Path) -> None:
    """A writer and two readers, with files that no connection has switched to WAL so far."""
    migrate(tmp_path / "new.db")
    with ThreadPoolExecutor(3) as threads:
        for number in range(60):
            path = tmp_path / f"{number}.db"
            shutil.copy(tmp_path / "new.db", path)
            database = open_database(path)
            together = threading.Barrier(3)

            def write(database: Database = database, together: threading.Barrier = together) -> str:
                together.wait()
                return database.write(add("first"))

            def read(database: Database = database, together: threading.Barrier = together) -> set[str]:
                together.wait()
                return names(database)

            work = [threads.submit(write), threads.submit(read), threads.submit(read)]
            assert work[0].result() == "first"
            assert all(one.result() <= {"first"} for one in work[1:])
            database.close()


def test_every_connection_is_configured(database: Database) -> None:
    options = DatabaseOptions(
        cache_size_mb=8, busy_timeout_ms=1234, soft_heap_limit_mb=512, max_open_connections=2
    )
    second = open_database(database.path, options)
    expected = {
        "journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 1234, "cache_size": -8192,
        "temp_store": 2, "soft_heap_limit": 512 << 20,
    }  # fmt: skip
    barrier = threading.Barrier(2)

    def reader(_: int) -> dict[str, int | str]:
        with second.read() as connection:
            barrier.wait()  # so that the two threads hold different connections
            return pragmas(connection)

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(reader, range(2))) == 2 * [expected | {"query_only": 1}]
    assert second.write(pragmas) == expected | {"query_only": 0, "synchronous": 2}
    second.close()


def test_no_more_connections_stay_open_than_wanted(database: Database) -> None:
    options = DatabaseOptions(cache_size_mb=8, max_open_connections=3, max_idle_connections=1)
    second = open_database(database.path, options)
    barrier = threading.Barrier(3)

    def reader(_: int) -> None:
        with second.read():
            barrier.wait()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(reader, range(3)))
    assert second.idle_readers == 1
    assert names(second) == set()
    second.close()


def test_a_write_returns_its_result_after_the_commit(database: Database) -> None:
    assert database.write(add("alice")) == "alice"
    assert names(database) == {"alice"}


def test_a_failing_write_undoes_only_itself(database: Database) -> None:
    database.write(add("alice"))

    def half(connection: Connection) -> None:
        add("bob")(connection)
        add("alice")(connection)

    with pytest.raises(IntegrityError):
        database.write(half)
    with pytest.raises(ZeroDivisionError):
        database.write(lambda connection: 1 / 0)
    database.write(add("carol"))
    assert names(database) == {"alice", "carol"}


def test_writes_that_share_a_commit_fail_on_their_own(database: Database) -> None:
    """While the first write holds the writer up, the others queue and are committed together."""
    begun, proceed = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert proceed.wait(20)

    def attempt(name: str) -> bool:
        try:
            database.write(add(name))
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(database.write, slow)
        assert begun.wait(20)
        outcomes = [threads.submit(attempt, f"user{number // 2}") for number in range(8)]
        proceed.set()
        first.result(20)
        assert sorted(outcome.result(20) for outcome in outcomes) == 4 * [False] + 4 * [True]
    assert names(database) == {"user0", "user1", "user2", "user3"}


def test_a_transaction_the_database_gave_up_is_no_success(database: Database) -> None:
    """As on a full disk: the rollback takes along what was written before in the same commit."""
    begun, proceed = threading.Event(), threading.Event()

    def full_disk(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")

    with ThreadPoolExecutor(3) as threads:
        blocker = threads.submit(database.write, lambda connection: begun.set() or proceed.wait(20))
        assert begun.wait(20)
        first = threads.submit(database.write, add("alice"))
        while database._writes.qsize() < 1:
            threading.Event().wait(0.002)
        second = threads.submit(database.write, full_disk)
        while database._writes.qsize() < 2:
            threading.Event().wait(0.002)
        proceed.set()
        blocker.result(20)
        for lost in (first, second):
            with pytest.raises(TransactionLost):
                lost.result(20)
    assert names(database) == set()
    database.write(add("bob"))
    assert names(database) == {"bob"}


def test_writes_from_many_threads_all_arrive(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: database.write(add(f"user{number}")), range(300)))
    assert len(names(database)) == 300


def test_a_read_sees_one_state_throughout(database: Database) -> None:
    database.write(add("alice"))
    with database.read() as connection:
        query = select(hpc_user.c.username)
        before = connection.execute(query).all()
        other = threading.Thread(target=lambda: database.write(add("bob")))
        other.start()
        other.join()
        assert connection.execute(query).all() == before
        with database.read() as nested:
            assert nested is connection
    assert names(database) == {"alice", "bob"}


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"), database.read() as connection:
        add("alice")(connection)


def test_a_write_may_read_and_write(database: Database) -> None:
    def outer(connection: Connection) -> set[str]:
        add("alice")(connection)
        database.write(add("bob"))
        with pytest.raises(IntegrityError):
            database.write(add("alice"))
        return names(database)

    assert database.write(outer) == {"alice", "bob"}
    assert names(database) == {"alice", "bob"}


def test_a_reader_that_fails_leaves_its_connection_usable(database: Database) -> None:
    for _ in range(2 * database.options.max_open_connections):
        with pytest.raises(KeyError), database.read():
            raise KeyError
    assert names(database) == set()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.mark.parametrize("abandoned", [True, False])
async def test_a_query_ends_when_nobody_waits_for_it(database: Database, abandoned: bool) -> None:
    begun, ended = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            with database.read() as connection:
                begun.set()
                connection.exec_driver_sql(ENDLESS)
        finally:
            ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.to_thread.run_sync, ask, abandon_on_cancel=abandoned))
        await trio.to_thread.run_sync(begun.wait)
        nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        assert await trio.to_thread.run_sync(ended.wait, 60)
    assert names(database) == set()


def test_references_are_enforced(database: Database) -> None:
    from ccserver.database.tables import configuration

    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        database.write(
            lambda connection: connection.execute(
                insert(configuration).values(username="nobody", confkey="k", value="1")
            ).close()
        )


def test_close_finishes_what_is_queued(database: Database) -> None:
    begun, proceed = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        assert proceed.wait(20)

    with ThreadPoolExecutor(3) as threads:
        threads.submit(database.write, slow)
        assert begun.wait(20)
        queued = threads.submit(database.write, add("alice"))
        while not database._writes.qsize():
            threading.Event().wait(0.002)
        closing = threads.submit(database.close)
        proceed.set()
        assert queued.result(20) == "alice"
        closing.result(20)
    with pytest.raises(DatabaseClosed):
        database.write(add("bob"))
    with pytest.raises(DatabaseClosed), database.read():
        pass
    again = open_database(database.path)
    assert names(again) == {"alice"}
    again.close()
