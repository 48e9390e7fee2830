"""A server killed at any step of starting, stopping or archiving a job leaves nothing half-written.

A child does the work with real parts and kills itself (SIGKILL) at the n-th step that reaches the disk: a
statement or commit of the database, a file opened for writing, synced, renamed or a folder made. The parent
raises n until the child survives, and after every death opens what is left as a new server would.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.database import Database, migrate, open_database
from ccserver.jobs.lifecycle import JobLifeCycle, LifeCycleError
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.jobs.wire import StopRequest
from ccserver.metricdata import footprint as formulas
from ccserver.model.job import Job, Tag
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from tests.jobs.records import CLUSTER, NOW, make_job

MOST_STEPS = 200
TAGS = [Tag("app", "md", "global"), Tag("app", "qm", "global")]
METADATA = {"jobName": "x", "jobScript": "y" * 5000}


class Measured:
    """Two samples of one metric for any job."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters

    def archive_job_data(self, job: Job) -> JobData:
        series = [Series(host, np.array([1.0, 2.0]), Statistics(1.5, 1, 2)) for host in job.hostnames]
        return {"cpu_load": {"node": JobMetric(Unit(), 60, series)}}

    def statistics_for_archive(self, job: Job, data: JobData) -> dict[str, JobStatistic]:
        return formulas.statistics_for_archive(job, data, self.clusters[job.cluster].metrics)

    def footprint(self, job: Job, statistics: Any) -> dict[str, float]:
        return {"cpu_load_avg": 1.5}

    def energy(self, job: Job, statistics: Any) -> tuple[dict[str, float], float]:
        return {}, 0.0


class Site:
    """The parts of a server that jobs need, on the files of `folder`."""

    def __init__(self, folder: Path) -> None:
        clusters = Clusters.from_documents({"alpha": CLUSTER})
        self.database: Database = open_database(folder / "job.db")
        self.archive = FileArchive(folder / "archive")
        self.archive.open()
        self.jobs = JobRepository(self.database, clock=lambda: NOW)
        self.tags = TagRepository(self.database, self.archive)
        self.life_cycle = JobLifeCycle(self.jobs, self.tags, clusters, Measured(clusters), self.archive)

    def start(self) -> None:
        self.life_cycle.start(make_job(1, tags=TAGS, metadata=METADATA))

    def stop(self) -> None:
        self.life_cycle.stop(StopRequest(1, NOW))

    def archive_all(self) -> None:
        """What the archiver of a server does after its start, until nothing waits."""
        done = self.life_cycle._archiver
        for id in list(self.jobs.waiting_for_archive()):
            done._archive_one(id)

    def retag(self) -> None:
        (job,) = self.jobs.list()
        self.tags.attach(job, [Tag("note", "late", "global")], None)
        self.life_cycle.set_metadata(job.id, "late", "1")


def arm(site: Site, step: int) -> None:
    """From now on the process kills itself at the `step`-th thing that reaches the disk."""
    left = step

    def reached(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit"):
        event.listen(site.database._writer, name, reached)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        writing = (
            name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if writing or name in ("os.rename", "os.mkdir", "os.remove"):
            reached()

    sys.addaudithook(hook)
    sync = os.fsync
    os.fsync = lambda descriptor: (reached(), sync(descriptor))[1]  # type: ignore[assignment,func-returns-value]


def dies(folder: Path, work: Callable[[Site], None], step: int) -> bool:
    """Whether a child that does `work` is killed at `step`; it does all of it otherwise."""
    child = os.fork()
    if child == 0:
        try:
            site = Site(folder)
            arm(site, step)
            work(site)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def fresh(folder: Path, prepare: Callable[[Site], None]) -> Path:
    (folder / "archive").mkdir(parents=True)
    migrate(folder / "job.db")
    site = Site(folder)
    prepare(site)
    site.database.close()
    return folder


def check_start(site: Site) -> None:
    """Either nothing is there, or all of the job; what was lost can be sent again."""
    found = site.jobs.list(with_metadata=True)
    if found:
        (job,) = found
        assert (job.state, job.metadata) == ("running", METADATA)
        assert [tag.name for tag in site.tags.of_job(job.id)] == ["md", "qm"]
        with pytest.raises(LifeCycleError, match="already exists"):
            site.start()
    else:
        site.start()


def check_stop(site: Site) -> None:
    (job,) = site.jobs.list()
    if job.running:
        site.stop()
    else:
        assert (job.state, job.duration, job.monitoring_status) == ("completed", 3600, 1)
    check_archive(site)


def check_archive(site: Site) -> None:
    """Every entry of the archive is whole, and the job gets there in the end."""
    (job,) = site.jobs.list()
    if site.archive.exists(job):
        meta = site.archive.load_meta(job.cluster, job.job_id, job.start_time)
        assert site.archive.load_data(meta)["cpu_load"]["node"].series[0].data.tolist() == [1.0, 2.0]
    if job.monitoring_status == 3:
        assert site.archive.exists(job)
        assert job.footprint == {"cpu_load_avg": 1.5}
    site.archive_all()
    (job,) = site.jobs.list()
    assert job.monitoring_status == 3
    meta = site.archive.load_meta(job.cluster, job.job_id, job.start_time)
    assert [tag.name for tag in meta.tags or ()] == ["md", "qm"]
    assert meta.metadata == METADATA
    assert site.archive.load_data(meta)["cpu_load"]["node"].series[0].data.tolist() == [1.0, 2.0]


def check_retag(site: Site) -> None:
    (job,) = site.jobs.list()
    meta = site.archive.load_meta(job.cluster, job.job_id, job.start_time)
    assert {tag.name for tag in meta.tags or ()} >= {"md", "qm"}
    assert site.archive.load_data(meta)["cpu_load"]["node"].series[0].data.tolist() == [1.0, 2.0]
    site.retag()
    meta = site.archive.load_meta(job.cluster, job.job_id, job.start_time)
    assert {tag.name for tag in meta.tags or ()} == {"md", "qm", "late"}
    assert (meta.metadata or {})["late"] == "1"


def begun(site: Site) -> None:
    site.start()


def stopped(site: Site) -> None:
    site.start()
    site.stop()


def archived(site: Site) -> None:
    stopped(site)
    site.archive_all()


CASES: dict[str, tuple[Callable[[Site], None], Callable[[Site], None], Callable[[Site], None], int]] = {
    "start": (lambda site: None, Site.start, check_start, 4),
    "stop": (begun, Site.stop, check_stop, 2),
    "archive": (stopped, Site.archive_all, check_archive, 6),
    "retag": (archived, Site.retag, check_retag, 6),
}


@pytest.mark.parametrize("name", CASES)
def test_killed_at_every_step(tmp_path: Path, name: str) -> None:
    prepare, work, check, least = CASES[name]
    step = 1
    while dies(fresh(tmp_path / str(step), prepare), work, step):
        with sqlite3.connect(tmp_path / str(step) / "job.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        site = Site(tmp_path / str(step))
        check(site)
        site.database.close()
        files = [path for path in (tmp_path / str(step) / "archive").rglob("*.json") if path.is_file()]
        for path in files:
            json.loads(path.read_bytes())
        step += 1
        assert step < MOST_STEPS
    assert step > least, "the steps were not seen"
