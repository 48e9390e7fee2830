"""Old jobs leave, tagged and running ones stay. Contract: spec/job-archive.md 16, spec/operations.md 10."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, insert

from ccserver.archive import ArchiveError, BrokenEntry, FileArchive
from ccserver.archive.backends import archive_of
from ccserver.archive.parquet import read_parquet
from ccserver.archive.places import Directory
from ccserver.database import Database
from ccserver.database.tables import jobtag, tag
from ccserver.jobs.repository import JobRepository
from ccserver.model.job import Job
from ccserver.model.metrics import JobMetric, Series, Unit
from ccserver.tasks import Retention, compress, retain
from ccserver.tasks.retention import DAY, MARKER
from tests.archive.s3_server import s3_server
from tests.jobs.records import CLUSTER, NOW, make_job


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    root = tmp_path / "archive"
    root.mkdir()
    archive = FileArchive(root)
    archive.open()
    (root / "alpha").mkdir()
    (root / "alpha" / "cluster.json").write_text(json.dumps(CLUSTER))
    return archive


@pytest.fixture
def repository(database: Database) -> JobRepository:
    return JobRepository(database)


def add(
    repository: JobRepository, archive: FileArchive, job_id: int, days: int, state: str = "completed"
) -> Job:
    """A job that began so many days ago, in the archive unless it runs."""
    one = make_job(job_id, start_time=NOW - days * DAY, state=state, duration=60)
    (stored,) = repository.insert_all([one])
    assert isinstance(stored, int)
    one.id = stored
    if state != "running":
        series = Series("a01", np.ones(3, np.float32))
        archive.import_job(one, {"cpu_load": {"node": JobMetric(Unit(), 60, [series])}})
    return one


def to(folder: Path) -> dict[str, str]:
    return {"kind": "file", "path": str(folder)}


def left(repository: JobRepository) -> set[int]:
    return {one.job_id for one in repository.iterate()}


def archived(archive: FileArchive) -> set[int]:
    return {one.job_id for one in archive.iterate() if isinstance(one, Job)}


@pytest.fixture
def jobs(repository: JobRepository, archive: FileArchive, database: Database) -> dict[int, Job]:
    found = {
        1: add(repository, archive, 1, 30),
        2: add(repository, archive, 2, 30, "running"),
        3: add(repository, archive, 3, 30),
        4: add(repository, archive, 4, 30),
        5: add(repository, archive, 5, 3),
    }

    def work(connection: Connection) -> None:
        for number, (kind, name) in ((3, ("app", "vasp")), (4, ("note", "odd"))):
            connection.execute(insert(tag).values(id=number, tag_type=kind, tag_name=name))
            connection.execute(insert(jobtag).values(job_id=found[number].id, tag_id=number))

    database.write(work)
    return found


@pytest.mark.parametrize(("omit", "gone"), [("none", {1, 3, 4}), ("user", {1, 3}), ("all", {1})])
def test_delete(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], omit: str, gone: set[int]
) -> None:
    run = retain(Retention("delete", omit_tagged=omit), repository, archive, NOW)
    assert (run.deleted, run.failed) == (len(gone), 0)
    assert left(repository) == {1, 2, 3, 4, 5} - gone
    assert archived(archive) == {1, 3, 4, 5} - gone


def test_rows_may_stay(repository: JobRepository, archive: FileArchive, jobs: dict[int, Job]) -> None:
    retain(Retention("delete", include_db=False), repository, archive, NOW)
    assert left(repository) == {1, 2, 3, 4, 5}
    assert archived(archive) == {5}


@pytest.mark.parametrize("section", [{"policy": "delete"}, {"policy": "delete", "age": 0}])
def test_a_missing_age_means_a_week(section: dict[str, int]) -> None:
    assert Retention.of(section).days == 7


def test_copy_goes_on_where_it_ended(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], tmp_path: Path
) -> None:
    (tmp_path / "copies").mkdir()
    copying = Retention("copy", target=to(tmp_path / "copies"))
    assert retain(copying, repository, archive, NOW).transferred == 3
    target = FileArchive(tmp_path / "copies")
    assert archived(target) == {1, 3, 4} <= archived(archive)
    assert json.loads((tmp_path / "copies/alpha/cluster.json").read_text()) == CLUSTER
    assert (tmp_path / "copies" / MARKER).read_text() == str(NOW - 7 * DAY)
    assert retain(copying, repository, archive, NOW + 5 * DAY).transferred == 1
    assert archived(target) == {1, 3, 4, 5}


def test_move_deletes_only_what_arrived(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    broken = archive.root / "alpha/0/003" / str(jobs[3].start_time)
    for data in broken.glob("data.json*"):
        data.write_bytes(b"{")
    run = retain(Retention("move", target=to(tmp_path / "old")), repository, archive, NOW)
    assert (run.transferred, run.deleted, run.failed) == (2, 2, 1)
    assert archived(FileArchive(tmp_path / "old")) == {1, 4}
    assert left(repository) == {2, 3, 5}
    assert broken.is_dir()


@pytest.mark.parametrize("most", [1, 512])
def test_move_to_parquet_deletes_what_lies_in_a_file(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], tmp_path: Path, most: int
) -> None:
    broken = archive.root / "alpha/0/003" / str(jobs[3].start_time)
    for data in broken.glob("data.json*"):
        data.write_bytes(b"{")
    section = {
        "policy": "move", "format": "parquet", "target-path": str(tmp_path / "old"), "max-file-size-mb": most,
    }  # fmt: skip
    run = retain(Retention.of(section), repository, archive, NOW)
    assert (run.transferred, run.deleted, run.failed) == (2, 2, 1)
    moved = read_parquet(Directory(tmp_path / "old"), "alpha")
    assert {one[0].job_id for one in moved if not isinstance(one, BrokenEntry)} == {1, 4}
    assert left(repository) == {2, 3, 5}
    assert archived(archive) == {3, 5}


def test_nothing_is_deleted_when_no_file_can_be_written(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], tmp_path: Path
) -> None:
    target = tmp_path / "old"
    (target / "alpha").mkdir(parents=True)
    moving = Retention("move", target=to(target), parquet=True)
    (target / "alpha" / "cluster.json").mkdir()
    run = retain(moving, repository, archive, NOW)
    assert (run.transferred, run.deleted, run.failed) == (0, 0, 3)
    (target / "alpha" / "cluster.json").rmdir()
    day = time.strftime("%Y-%m-%d")
    (target / "alpha" / f"cc-archive-{day}-001.parquet").mkdir()  # in the way of the file
    with pytest.raises(ArchiveError, match="3 jobs not written"):
        retain(moving, repository, archive, NOW)
    assert archived(archive) == {1, 3, 4, 5}
    assert left(repository) == {1, 2, 3, 4, 5}


def test_copies_to_a_bucket_go_on_where_they_ended(
    repository: JobRepository,
    archive: FileArchive,
    jobs: dict[int, Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with s3_server() as section:
        target = {f"target-{key}": value for key, value in section.items()}
        copying = Retention.of({"policy": "copy", **target})
        assert retain(copying, repository, archive, NOW).transferred == 3
        assert (tmp_path / "var/cc-copy-marker-jobs").read_text() == str(NOW - 7 * DAY)
        assert retain(copying, repository, archive, NOW + 5 * DAY).transferred == 1
        copies = archive_of(section)
        assert {one.job_id for one in copies.iterate() if isinstance(one, Job)} == {1, 3, 4, 5}


def test_an_interrupted_compression_is_repeated(
    repository: JobRepository, archive: FileArchive, jobs: dict[int, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*key: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archive, "compress_job", stop)
        with pytest.raises(KeyboardInterrupt):
            compress(7, repository, archive, NOW)
    assert compress(7, repository, archive, NOW) == 3


def test_compression(repository: JobRepository, archive: FileArchive, jobs: dict[int, Job]) -> None:
    assert compress(7, repository, archive, NOW) == 3
    assert compress(7, repository, archive, NOW) == 0
    assert (archive.root / "compress.txt").read_text() == str(NOW - 7 * DAY)
    directory = archive.root / "alpha/0/001" / str(jobs[1].start_time)
    assert {path.name for path in directory.iterdir()} == {"meta.json", "data.json.gz"}
    assert list(archive.load_data(jobs[1])["cpu_load"]["node"].series[0].data) == [1, 1, 1]
