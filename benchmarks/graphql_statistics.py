"""`jobsStatistics` over a million jobs, from body to body, against plain strawberry over SQL in the same run.

Making the database takes some minutes; with CC_BENCH_JOBS=<file> it is made there once and kept. Plain
strawberry is the library's own executor over the same schema, with statistics computed by SQLite.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.graphql_queries import CLUSTER, measured, ours, plain
from ccserver.archive import FileArchive
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.config import Config, Main
from ccserver.database import Database, DatabaseOptions, migrate, open_database
from ccserver.graphql.schema import schema
from ccserver.jobs.column_keeper import ColumnKeeper
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.taggers import Taggers
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.nodes.repository import NodeRepository
from ccserver.site import Site

JOBS = 1_000_000
RUNNING = 2000
USERS = 1500
DAY = 86400
SPAN = 1500 * DAY
ROUNDS = 7
TOTALS = """totalJobs totalUsers runningJobs shortJobs totalWalltime totalNodes totalNodeHours totalCores
            totalCoreHours totalAccs totalAccHours"""
ALL = f"{{ jobsStatistics {{ {TOTALS} }} }}"
GROUPED = f"""{{ top: jobsStatistics(groupBy: USER, sortBy: TOTALCOREHOURS) {{ id name {TOTALS} }}
  all: jobsStatistics(metrics: ["metric0", "metric1"]) {{ {TOTALS} histDuration {{ value count }}
    histNumNodes {{ value count }} histNumCores {{ value count }} histNumAccs {{ value count }}
    histMetrics {{ metric unit stat data {{ bin min max count }} }} }} }}"""
MONTH = f"""{{ jobsStatistics(filter: {{startTime: {{range: "last30d"}}, cluster: {{eq: "c"}}}}) {{
  {TOTALS} }} }}"""


def rows(now: int, jobs: int = JOBS) -> Iterator[tuple[Any, ...]]:
    """Few users with many jobs, many with few; the newest jobs run."""
    choose = random.Random(1)
    users = choose.choices(range(USERS), [1 / (rank + 1) for rank in range(USERS)], k=jobs)
    for number, user in enumerate(users):
        running = number >= jobs - RUNNING
        nodes = choose.choice((1, 1, 1, 2, 4, 8, 16))
        start = now - choose.randrange(DAY) if running else now - SPAN + number * SPAN // jobs
        duration = min(int(choose.expovariate(1 / 7200)), 2 * DAY)
        hosts = [{"hostname": f"n{(7 * number + host) % 1000 + 1:04}"} for host in range(nodes)]
        footprint = {f"metric{metric}_avg": round(500 * choose.random(), 2) for metric in range(4)}
        yield (
            number + 1, number, "c", "main", start, start, f"user{user:04}", f"project{user % 200}", "batch",
            0, duration, DAY, "running" if running else "completed", '{"jobName": "md"}', json.dumps(hosts),
            nodes, 72 * nodes, 0, 1, "none", 1 if running else 3, 0.5, "{}", json.dumps(footprint),
        )  # fmt: skip


def fill(path: Path, jobs: int = JOBS) -> None:
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master"
            " WHERE type = 'index' AND tbl_name = 'job' AND sql IS NOT NULL"
        ).fetchall()
        connection.execute("BEGIN")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        marks = ",".join("?" * 24)
        connection.executemany(f"INSERT INTO job VALUES ({marks})", rows(int(time.time()), jobs))
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("ANALYZE")


def site_of(folder: Path, database: Database) -> Site:
    (folder / "archive" / "c").mkdir(parents=True)
    (folder / "archive" / "c" / "cluster.json").write_text(json.dumps(CLUSTER))
    (folder / "archive" / "version.txt").write_text("3\n")
    archive = FileArchive(folder / "archive")
    archive.open()
    clusters = Clusters.from_documents(archive.cluster_documents())
    return Site(
        config=Config(main=Main()),
        database=database,
        clusters=clusters,
        archive=archive,
        store=None,
        metric_data=MetricData(clusters, None, archive),
        jobs=JobRepository(database),
        tags=TagRepository(database, archive),
        users=UserRepository(database),
        nodes=NodeRepository(database, clusters),
        life_cycle=None,  # type: ignore[arg-type]
        taggers=Taggers(JobRepository(database), []),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        kept = os.environ.get("CC_BENCH_JOBS")
        path = Path(kept) if kept else Path(name) / "job.db"
        if not path.exists():
            fill(path)
        database = open_database(path, DatabaseOptions(cache_size_mb=256))
        slow = site_of(Path(name), database)
        columns = ColumnKeeper(database)
        fast = replace(slow, jobs=JobRepository(database, columns=columns))
        begin = time.process_time()
        database.follow(columns)
        assert columns.fill()
        print(f"columns of {JOBS:,} jobs read in {time.process_time() - begin:.1f} s of processor time")
        print(f"{'':44}{'wall':>9}{'processor':>11}{'target':>9}{'plain':>10}{'ratio':>8}")
        for title, target, query in (
            ("all totals over all jobs", 100, ALL),
            ("by user, and five kinds of histograms", 250, GROUPED),
            ("all totals, one cluster, 30 days", 60, MONTH),
        ):
            mine = [measured(lambda q=query: ours(fast, q, {})) for _ in range(ROUNDS)]
            theirs = measured(lambda q=query: plain(slow, q, {}, schema))
            wall, processor = (1e3 * statistics.median(row[column] for row in mine) for column in (0, 1))
            print(
                f"{title:44}{wall:6.1f} ms{processor:8.1f} ms{target:6} ms{1e3 * theirs[1]:7.0f} ms"
                f"{1e3 * theirs[1] / processor:8.1f}"
            )
        columns.stop()
        database.close()


if __name__ == "__main__":
    main()
