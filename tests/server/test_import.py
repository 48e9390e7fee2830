"""`-import-job` and `-init-db` on the command line."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ccserver.archive import FileArchive
from ccserver.database import open_database
from ccserver.jobs.repository import JobRepository
from tests.server.running import Server, ccserver, environment
from tests.server.test_export import archived_job, job_data


def stored(site: Server) -> list[int]:
    database = open_database(site.folder / "var" / "job.db")
    try:
        return sorted(job.job_id for job in JobRepository(database).list(items_per_page=-1))
    finally:
        database.close()


def archive_of(site: Server) -> FileArchive:
    return FileArchive(site.folder / "var" / "job-archive")


def pair(folder: Path, name: str, **more: Any) -> str:
    meta = {
        "jobId": 1, "user": "ute", "project": "lab", "cluster": "small", "subCluster": "", "numNodes": 1,
        "shared": "none", "jobState": "completed", "startTime": 1700000000, "duration": 60,
        "resources": [{"hostname": "n01"}], "statistics": {}, **more,
    }  # fmt: skip
    (folder / f"{name}-meta.json").write_text(json.dumps(meta))
    (folder / f"{name}-data.json").write_text("{}")
    return f"{name}-meta.json:{name}-data.json"


def test_pairs_are_imported_up_to_the_first_error(installation: Server) -> None:
    folder = installation.folder
    good, bad, late = (
        pair(folder, "one"), pair(folder, "two", jobId=2, stopTime=3), pair(folder, "three", jobId=3)
    )  # fmt: skip
    done = ccserver(folder, "-import-job", f"{good},{bad},{late}")
    assert done.returncode == 1
    assert 'two-meta.json: unknown field "stopTime"' in done.stderr
    assert stored(installation) == [1]
    assert archive_of(installation).count() == 1
    assert ccserver(folder, "--import-job=nonsense").returncode == 1
    again = ccserver(folder, "-import-job", good)
    assert "is in the database already" in again.stderr


def test_init_db_comes_before_import_job(installation: Server) -> None:
    archive_of(installation).import_job(archived_job(5), job_data(3))
    done = ccserver(installation.folder, "-init-db", "-import-job", pair(installation.folder, "one"))
    assert done.returncode == 0, done.stderr
    assert stored(installation) == [1, 1005]


def test_init_db_counts_on_standard_output(installation: Server) -> None:
    archive = archive_of(installation)
    for number in range(250):
        archive.import_job(archived_job(number), {})
    (archive.root / "small" / "77" / "000" / "1").mkdir(parents=True)
    done = ccserver(installation.folder, "-init-db")
    lines = [line for line in done.stdout.splitlines() if "inserted" in line]
    assert lines == [f"{count} jobs inserted..." for count in (100, 200, 250)]
    assert re.search(r"250 jobs, 1 skipped, [0-9.]+ s", done.stdout)
    assert "no meta.json" in done.stderr


def test_init_db_shows_a_bar_on_a_terminal(installation: Server) -> None:
    archive_of(installation).import_job(archived_job(1), {})
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ccserver.cli", "-init-db"],
        cwd=installation.folder,
        env={**environment(), "TERM": "xterm", "COLUMNS": "100"},
        stdout=follower,
        stderr=subprocess.DEVNULL,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert process.wait() == 0
    assert "inserting jobs" in shown.decode()
    assert "1/1" in shown.decode()


def test_old_archives_are_refused_with_the_tool_that_converts_them(installation: Server) -> None:
    root = archive_of(installation).root
    for version in ("1", "2"):
        (root / "version.txt").write_text(version)
        done = ccserver(installation.folder, "-init-db")
        assert done.returncode == 1
        assert "cc-archive-migration" in done.stderr


def test_validation_of_clusters_is_a_matter_of_configuration(installation: Server) -> None:
    path = archive_of(installation).root / "small" / "cluster.json"
    document = json.loads(path.read_text())
    document["metricConfig"][0]["unit"]["base"] = "bananas"
    path.write_text(json.dumps(document))
    assert ccserver(installation.folder, "-init-db").returncode == 0
    installation.configure(lambda config: config["main"].update(validate=True))
    done = ccserver(installation.folder, "-init-db")
    assert done.returncode == 1
    assert "small/cluster.json breaks its schema: /metricConfig/0/unit/base: 'bananas'" in done.stderr


def test_the_real_archive_is_taken_over(installation: Server, fixtures: Path) -> None:
    root = archive_of(installation).root
    shutil.copytree(fixtures / "job-archive", root, dirs_exist_ok=True)
    done = ccserver(installation.folder, "-init-db")
    assert done.returncode == 0, done.stderr
    assert stored(installation) == [1403244]
