"""The columns in memory hold what the table holds, whatever happens to the table."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from ccserver.database import Database, migrate, open_database
from ccserver.jobs.column_keeper import ColumnKeeper
from ccserver.jobs.columns import MOST_KEYS, SELECT, JobTable
from ccserver.jobs.filters import FloatRange as Range
from ccserver.jobs.filters import JobFilter, MetricStatItem, StringInput
from ccserver.jobs.repository import JobRepository
from ccserver.model.job import Job
from tests.jobs.records import NOW, make_job, stored
from tests.jobs.test_job_filters import random_job


class Failure(Exception):
    pass


class Site:
    """The same database asked through columns and through SQL."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database: Database = open_database(path)
        self.keeper = ColumnKeeper(self.database, pause=0.01)
        self.database.follow(self.keeper)
        self.jobs = JobRepository(self.database, clock=lambda: NOW, columns=self.keeper)
        self.sql = JobRepository(self.database, clock=lambda: NOW)

    def fill(self) -> None:
        assert self.keeper.fill()

    def check(self) -> None:
        """Both give the same answers, and the columns did answer."""
        assert self.keeper.ready
        for group in (None, "USER", "PROJECT", "CLUSTER", "SUBCLUSTER"):
            for sort in (None, "TOTALNODEHOURS", "TOTALUSERS"):
                found = self.jobs.statistics([], None, group_by=group, sort_by=sort)
                assert found == self.sql.statistics([], None, group_by=group, sort_by=sort)
        assert self.jobs.duration_histogram([], None) == self.sql.duration_histogram([], None)
        for key in ("cpu_load_avg", "mem_used_max"):
            bins = self.jobs.footprint_histogram([], None, key, 100.0)
            assert bins == self.sql.footprint_histogram([], None, key, 100.0)

    def close(self) -> None:
        self.keeper.stop()
        self.database.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    path = tmp_path / "job.db"
    migrate(path)
    site = Site(path)
    yield site
    site.close()


def job_numbered(number: int, random: Random) -> Job:
    job = random_job(number, random)
    job.job_id = number
    return job


def insert(site: Site, random: Random, number: int) -> None:
    stored(site.jobs, *(job_numbered(10 * number + offset, random) for offset in range(random.randrange(4))))


def change(site: Site, random: Random, number: int) -> None:
    for job in site.jobs.list(items_per_page=-1)[:: random.randint(1, 4)]:
        site.jobs.mark_stopped(job.id, "completed", random.randrange(200_000))
        job.footprint = {"mem_used_max": random.random() * 100}
        site.jobs.mark_archived(job)


def remove(site: Site, random: Random, number: int) -> None:
    for job in site.jobs.list(items_per_page=-1)[:: random.randint(1, 4)]:
        site.jobs.delete(job.id)


def run_on(site: Site, random: Random, number: int) -> None:
    site.jobs.update_durations()


def fail(site: Site, random: Random, number: int) -> None:
    """A write that changes everything and is undone."""

    def work(connection: object) -> None:
        site.jobs.update_durations()
        stored(site.jobs, job_numbered(10 * number, random))
        raise Failure

    with pytest.raises(Failure):
        site.database.write(work)


def move(site: Site, random: Random, number: int) -> None:
    """A job gets another id, below or above all others."""
    statement = "UPDATE job SET id = :new WHERE id = (SELECT max(id) FROM job)"
    new = random.choice([-number - 1, 100_000 + number])
    site.database.write(lambda connection: connection.execute(text(statement), {"new": new}).close())


def clear(site: Site, random: Random, number: int) -> None:
    site.jobs.clear()


STEPS: list[Callable[[Site, Random, int], None]] = [insert, insert, change, remove, run_on, fail, move, clear]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 30), steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=12))
def test_columns_follow_random_changes(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: list[Callable[[Site, Random, int], None]]
) -> None:
    path = tmp_path_factory.mktemp("jobs") / "job.db"
    migrate(path)
    site, random = Site(path), Random(seed)
    try:
        insert(site, random, 0)
        site.fill()
        for number, step in enumerate(steps, 1):
            step(site, random, number)
            site.check()
    finally:
        site.close()


def test_changes_made_while_the_columns_are_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every kind, between two portions of rows."""
    random = Random(1)
    monkeypatch.setattr("ccserver.jobs.column_keeper.ROWS_AT_ONCE", 5)
    stored(site.jobs, *(job_numbered(number, random) for number in range(30)))
    read = site.keeper._rows_after
    calls = 0

    def read_and_disturb(id: int) -> list[tuple[int, ...]]:
        nonlocal calls
        calls += 1
        rows = read(id)
        stored(site.jobs, job_numbered(1000 + calls, random)) if calls < 10 else None
        site.jobs.delete(2 * calls)
        site.jobs.mark_stopped(2 * calls + 1, "failed", 17)
        return rows

    monkeypatch.setattr(site.keeper, "_rows_after", read_and_disturb)
    site.fill()
    assert calls > 5
    site.check()


def test_another_program_writes_to_the_file(site: Site) -> None:
    stored(site.jobs, make_job(1), make_job(2, user="bob"))
    thread = threading.Thread(target=site.keeper.run)
    thread.start()
    try:
        wait_until(lambda: site.keeper.ready)
        site.check()
        for name in ("carol", "dave"):
            with closing(sqlite3.connect(site.path)) as foreign, foreign:
                foreign.execute("UPDATE job SET hpc_user = ? WHERE job_id = 2", (name,))
            # at once, from SQL, and soon from the columns again
            assert {one.id for one in site.jobs.statistics([], None, group_by="USER")} == {"alice", name}
            wait_until(lambda: site.keeper.ready)
            site.check()
    finally:
        site.keeper.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert site.jobs.count() == 2


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_many_changes_at_once_give_the_columns_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccserver.jobs.column_keeper.MOST_CHANGES", 3)
    site.fill()
    stored(site.jobs, *(make_job(number) for number in range(5)))
    assert not site.keeper.ready
    assert site.jobs.count() == 5


def test_more_jobs_than_are_kept(site: Site) -> None:
    stored(site.jobs, *(make_job(number) for number in range(5)))
    keeper = ColumnKeeper(site.database, most_jobs=4)
    site.database.follow(keeper)
    assert keeper.fill()
    assert not keeper.ready


def test_the_file_stays_as_published(site: Site, tmp_path: Path) -> None:
    migrate(tmp_path / "other.db")
    site.fill()
    stored(site.jobs, make_job(1))

    def schema(path: Path) -> list[object]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()

    assert schema(site.path) == schema(tmp_path / "other.db")


def test_rows_of_other_programs(site: Site) -> None:
    """NULL, numbers as text and JSON that is none count as unknown."""
    stored(site.jobs, *(make_job(number) for number in range(4)))
    change = "UPDATE job SET num_acc = NULL, num_hwthreads = NULL, cluster_partition = NULL, footprint = "
    for id, footprint in enumerate(["NULL", "'null'", "'[1]'", """'{"a_max": "5", "b_max": true}'"""], 1):
        statement = text(f"{change}{footprint} WHERE id = {id}")
        site.database.write(lambda connection, statement=statement: connection.execute(statement).close())
    site.fill()
    site.check()
    above = Range(1.0, 0.0)
    for key, matching in (("a_max", 0), ("b_max", 1)):
        assert site.jobs.count([JobFilter(metric_stats=[MetricStatItem(key, above)])]) == matching
    assert site.jobs.count([JobFilter(partition=StringInput(eq=""))]) == 4


def test_patterns_are_left_to_the_database(site: Site) -> None:
    stored(site.jobs, make_job(1, user="al_ce"), make_job(2, user="alice"))
    site.fill()
    assert site.jobs.count([JobFilter(user=StringInput(contains="L_C"))]) == 2
    assert site.jobs.count([JobFilter(user=StringInput(contains="LIC"))]) == 1


def test_a_sum_beyond_64_bit_floats_is_exact(site: Site) -> None:
    duration, threads = 2**31 - 1, 2**27 + 1
    stored(
        site.jobs,
        *(
            make_job(n, duration=duration, num_hwthreads=threads, state="completed", user=f"u{n % 2}")
            for n in range(6)
        ),
    )
    site.fill()
    for group in (None, "USER"):
        found = site.jobs.statistics([], None, group_by=group)
        assert found == site.sql.statistics([], None, group_by=group)
        assert found[0].total_core_hours == duration * threads * (3 if group else 6) // 3600


def test_a_table_knows_a_bounded_number_of_footprint_keys() -> None:
    row = (1, 0, 0, 1, 1, 0, 0.0, "c", "s", "u", "p", "", "running", "none")
    table = JobTable()
    assert len(SELECT.split(",")) >= len(row)
    table.put(table.batch([(*row, "{" + ",".join(f'"k{n:02}": {n}' for n in range(MOST_KEYS)) + "}")]))
    assert table.all_keys
    table.put(table.batch([(2, *row[1:], '{"one_more": 1}')]))
    assert not table.all_keys
    assert table.footprint("one_more") is None


def test_deleted_rows_are_dropped_when_they_are_many() -> None:
    row = (0, 0, 1, 1, 0, 0.0, "c", "s", "u", "p", "", "running", "none", None)
    table = JobTable()
    table.put(table.batch([(id, *row) for id in range(4000)]))
    table.remove(np.arange(0, 4000, 2))
    assert (table.count, table.dead) == (2000, 0)
    assert table["id"].tolist() == list(range(1, 4000, 2))
