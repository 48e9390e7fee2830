"""A page of 50 of a million jobs out of the repository, against plain sqlite3 reading 50 in the same run.

Filling the database takes a minute or two; `CC_BENCH_JOBS=path` keeps it there for the next time.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import orjson

from benchmarks.graphql_statistics import JOBS, fill
from ccserver.database import DatabaseOptions, open_database
from ccserver.jobs.column_keeper import ColumnKeeper
from ccserver.jobs.filters import JobFilter, StringInput, TimeRange
from ccserver.jobs.repository import JobRepository
from ccserver.model.user import Principal

ROUNDS = 21
TARGET = 5.0  # ms
USER = Principal("user0007", frozenset({"user"}))
MANAGER = Principal("user0007", frozenset({"manager"}), ("project7", "project8"))
CASES: tuple[tuple[str, list[JobFilter], Principal | None, int], ...] = (
    ("newest", [], None, 1),
    ("running, one cluster", [JobFilter(state=["running"], cluster=StringInput(eq="c"))], None, 1),
    ("completed or failed", [JobFilter(state=["completed", "failed"])], None, 1),
    ("one project", [JobFilter(project=StringInput(eq="project7"))], None, 1),
    ("last 30 days", [JobFilter(start_time=TimeRange(range="last30d"))], None, 1),
    ("own jobs of a user", [], USER, 1),
    ("own jobs and projects of a manager", [], MANAGER, 1),
    ("newest, page 1000", [], None, 1000),
)  # fmt: skip


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Median wall and processor time of this thread, in ms."""
    wall, processor = [], []
    for _ in range(ROUNDS):
        begin, used = time.perf_counter(), time.thread_time()
        work()
        wall.append(1e3 * (time.perf_counter() - begin))
        processor.append(1e3 * (time.thread_time() - used))
    return statistics.median(wall), statistics.median(processor)


def plain(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    rows = connection.execute("SELECT * FROM job ORDER BY start_time DESC, id DESC LIMIT 50").fetchall()
    return [(*row, orjson.loads(row[14])) for row in rows]


def _page(jobs: JobRepository, filters: list[JobFilter], viewer: Principal | None, page: int) -> object:
    return next(jobs.newest_first(filters, viewer, page, 50))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        kept = os.environ.get("CC_BENCH_JOBS")
        path = Path(kept) if kept else Path(name) / "job.db"
        if not path.exists():
            fill(path)
        database = open_database(path, DatabaseOptions(cache_size_mb=256))
        columns = ColumnKeeper(database)
        database.follow(columns)
        columns.fill()
        jobs = JobRepository(database, columns=columns)
        with closing(sqlite3.connect(path)) as connection:
            baseline = measured(lambda: plain(connection))
        print(f"{JOBS:,} jobs, pages of 50; medians of {ROUNDS}; target {TARGET:.0f} ms")
        print(f"{'':44}{'wall':>10}{'processor':>11}{'ratio to plain sqlite3':>24}")
        print(f"{'plain sqlite3, newest':44}{baseline[0]:7.2f} ms{baseline[1]:8.2f} ms")
        for title, filters, viewer, page in CASES:
            wall, processor = measured(partial(_page, jobs, filters, viewer, page))
            print(f"{title:44}{wall:7.2f} ms{processor:8.2f} ms{processor / baseline[1]:24.1f}")
        columns.stop()
        database.close()


if __name__ == "__main__":
    main()
