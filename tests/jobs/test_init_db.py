"""Rebuilding the job tables from a real archive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccserver.archive import BrokenEntry, FileArchive
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.jobs.init_db import Rebuilt, rebuild
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobStatistic, Unit
from tests.jobs.records import make_job, stored


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    root = tmp_path / "archive"
    root.mkdir()
    archive = FileArchive(root)
    archive.open()
    return archive


def finished(number: int, **changes: Any) -> Job:
    statistics = {
        "cpu_load": JobStatistic(Unit(), 3.5, 1.0, 4.0),
        "mem_used": JobStatistic(Unit("B", "G"), 10.5, 10.0, 12.0),
        "cpu_power": JobStatistic(Unit("W"), 150.018, 140.0, 160.0),
    }
    values: dict[str, Any] = {"state": "completed", "duration": 177, "statistics": statistics, **changes}
    return make_job(number, start_time=1_600_000_000 + number, **values)


class Rebuilding:
    def __init__(self, database: Database, archive: FileArchive, clusters: Clusters) -> None:
        self.database, self.archive, self.clusters = database, archive, clusters
        self.steps: list[tuple[int, int]] = []
        self.source = "here"
        self.stop_after: int | None = None

    def __call__(self) -> Rebuilt:
        data = MetricData(self.clusters, None, self.archive)
        return rebuild(
            self.database,
            self.archive,
            self.clusters,
            data,
            self.step,
            source=self.source,
        )

    def step(self, so_far: Rebuilt) -> None:
        self.steps.append((so_far.jobs, so_far.failed))
        if so_far.jobs == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture
def rebuilding(database: Database, archive: FileArchive, clusters: Clusters) -> Rebuilding:
    return Rebuilding(database, archive, clusters)


def test_what_the_archive_holds_replaces_what_was_there(
    rebuilding: Rebuilding, archive: FileArchive, jobs: JobRepository, tags: TagRepository, database: Database
) -> None:
    (old,) = stored(jobs, make_job(99))
    tags.attach(make_job(99, id=old), [Tag("old", "tag")], None)
    UserRepository(database).add("alice", ["user"])
    archive.import_job(finished(1, metadata={"jobName": "x"}, subcluster=""), {})
    assert rebuilding() == Rebuilt(1, 0)
    (job,) = jobs.list(with_metadata=True)
    assert (job.job_id, job.subcluster, job.monitoring_status, job.metadata) == (
        1,
        "main",
        3,
        {"jobName": "x"},
    )
    assert job.footprint == {"cpu_load_avg": 3.5, "mem_used_max": 12.0}
    assert (job.energy_footprint, job.energy) == ({"cpu_power": 0.01}, 0.01)
    assert tags.list() == []
    assert [user.username for user in UserRepository(database).list()] == ["alice"]


def test_tags_keep_their_scope(
    rebuilding: Rebuilding, archive: FileArchive, tags: TagRepository, jobs: JobRepository
) -> None:
    archive.import_job(
        finished(1, tags=[Tag("a", "b", "admin"), Tag("m", "n", "alice"), Tag("g", "h", "")]), {}
    )
    archive.import_job(finished(2, tags=[Tag("m", "n", "alice")]), {})
    rebuilding()
    assert [(tag.type, tag.scope, count) for tag, count in tags.counts()] == [
        ("a", "admin", 1), ("g", "global", 1), ("m", "alice", 2)
    ]  # fmt: skip


def test_bad_jobs_are_logged_counted_and_skipped(
    rebuilding: Rebuilding, archive: FileArchive, jobs: JobRepository, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        finished(1, state="stopped"),
        finished(2, user=""),
        finished(3, num_nodes=2),
        finished(4, subcluster="gone"),
        finished(5, shared=""),
        finished(6, subcluster="", resources=[Resource("z1")]),
    ]
    for job in [*bad, finished(9)]:
        archive.import_job(job, {})
    archive.import_job(finished(11, walltime=1 << 70), {})
    broken = archive.root / "alpha" / "0" / "010" / "1600000010"
    broken.mkdir(parents=True)
    (broken / "meta.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        result = rebuilding()
    assert result == Rebuilt(1, 8)
    assert [job.job_id for job in jobs.list()] == [9]
    assert "8 jobs of the archive could not be registered" in caplog.text
    assert "not a valid job state: stopped" in caplog.text


def test_a_tag_that_exists_in_another_scope_costs_itself_not_its_job(
    rebuilding: Rebuilding,
    archive: FileArchive,
    jobs: JobRepository,
    tags: TagRepository,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number, scope in ((7, "admin"), (8, "bob"), (9, "admin")):
        one = finished(number, tags=[Tag("c", f"d{number}"), Tag("a", "b", scope), Tag("e", "f")])
        archive.import_job(one, {})
    assert rebuilding() == Rebuilt(3, 0)
    found = {job.job_id: [tag.name for tag in tags.of_job(job.id)] for job in jobs.list()}
    scope = next(tag.scope for tag in tags.list() if tag.name == "b")  # of whichever job was read first
    without, with_it = ({8}, {7, 9}) if scope == "admin" else ({7, 9}, {8})
    assert found == {
        **{number: ["b", f"d{number}", "f"] for number in with_it},
        **{number: [f"d{number}", "f"] for number in without},
    }
    for number in without:
        assert f"job {number} of cluster alpha" in caplog.text


def test_rebuilding_again_gives_the_same(
    rebuilding: Rebuilding, archive: FileArchive, jobs: JobRepository
) -> None:
    for number in range(1, 231):
        archive.import_job(finished(number, tags=[Tag("app", f"n{number % 3}")]), {})
    assert rebuilding() == Rebuilt(230, 0)
    assert rebuilding.steps == [(100, 0), (200, 0), (230, 0)]

    def content() -> list[Any]:
        found = sorted(jobs.list(items_per_page=-1, with_metadata=True), key=lambda job: job.job_id)
        labels = jobs.tags_of([job.id for job in found])
        for job in found:
            job.tags = [Tag(tag.type, tag.name, tag.scope) for tag in labels[job.id]]
            job.id = 0
        return found

    first = content()
    assert rebuilding() == Rebuilt(230, 0)
    assert content() == first


def test_an_interrupted_rebuild_goes_on(
    rebuilding: Rebuilding, archive: FileArchive, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 151):
        archive.import_job(finished(number), {})
    iterate = archive.iterate

    def torn(known: Callable[[str, int, int], bool]) -> Iterator[Job | BrokenEntry]:
        for number, entry in enumerate(iterate(known)):
            if number == 120:
                raise KeyboardInterrupt
            yield entry

    with monkeypatch.context() as patch:
        patch.setattr(archive, "iterate", torn)
        with pytest.raises(KeyboardInterrupt):
            rebuilding()
    assert jobs.count() == 100
    assert rebuilding() == Rebuilt(50, 0, kept=100)
    assert jobs.count() == 150
    assert rebuilding() == Rebuilt(150, 0)


def test_an_interrupted_rebuild_over_another_archive_starts_over(
    rebuilding: Rebuilding, archive: FileArchive, jobs: JobRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 151):
        archive.import_job(finished(number), {})
    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "stop_after", 100)
        with pytest.raises(KeyboardInterrupt):
            rebuilding()
    rebuilding.source = "elsewhere"
    assert rebuilding() == Rebuilt(150, 0)
