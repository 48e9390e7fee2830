"""What takes long delays nobody else. Contract: spec/operations.md 15, P14."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import httpx

from tests.server.running import Server, eventually

JOBS = 20_000
# Each filter reads the name of every job, and no two questions are the same: more than a minute of work.
QUESTIONS = range(1, 61)
NAMES = [{"jobName": {"contains": f"job{'_' * (n % 60)}"}} for n in range(190)]
SLOW = {
    "query": "query ({}) {{ {} }}".format(
        ", ".join(f"$f{n}: [JobFilter!]" for n in QUESTIONS),
        " ".join(f"a{n}: jobsStatistics(filter: $f{n}) {{ totalJobs }}" for n in QUESTIONS),
    ),
    "variables": {f"f{n}": [*NAMES, {"duration": {"from": n, "to": 0}}] for n in QUESTIONS},
}


def fill(server: Server) -> None:
    """Many jobs with a name that every filter has to read to its end."""
    row = {
        "cluster": "small", "hpc_user": "ute", "project": "lab", "cluster_partition": "main",
        "subcluster": "main", "job_state": "completed", "start_time": 1_700_000_000, "duration": 3600,
        "walltime": 3600, "num_nodes": 1, "resources": '[{"hostname":"n01"}]', "shared": "none",
        "monitoring_status": 1, "meta_data": '{"jobName":"' + "job_" * 200 + "_" * 60 + '"}',
    }  # fmt: skip
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    with closing(sqlite3.connect(server.folder / "var" / "job.db")) as database, database:
        database.executemany(
            f"INSERT INTO job (job_id, {names}) VALUES (?, {marks})",
            ((number, *row.values()) for number in range(1, JOBS + 1)),
        )


def seconds_of_work(server: Server) -> float:
    """Processor time of the server so far."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_a_log_in_does_not_wait_for_a_query(installation: Server) -> None:
    fill(installation)
    installation.start()
    ended = threading.Event()
    with installation.browser("root") as staff:

        def ask() -> None:
            try:
                staff.post("/query", json=SLOW, timeout=300)
            except httpx.TransportError:
                pass  # the client is closed below
            finally:
                ended.set()

        before = seconds_of_work(installation)
        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: seconds_of_work(installation) > before + 1)
        form = {"username": "ute", "password": "ute"}
        answer = httpx.post(installation.url + "/login", data=form)
        assert answer.status_code == 302
        assert not ended.is_set(), "the query was too quick to show anything"
        assert installation.stop() == 0  # which interrupts the query
        asking.join(30)
