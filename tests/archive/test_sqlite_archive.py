"""The job archive in one SQLite file. Contract: spec/job-archive.md 21.2."""

from __future__ import annotations

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ccserver.archive import ArchiveError, ArchiveVersionError, BrokenEntry, FileArchive, JobNotArchivedError
from ccserver.archive.data import encode_data
from ccserver.archive.manage import copy
from ccserver.archive.sqlite import SqliteArchive
from ccserver.model.job import Job
from ccserver.model.metrics import JobData, JobMetric, Unit
from tests.archive import jobs
from tests.clusters.documents import demo


def make_job(number: int) -> Job:
    return jobs.job(number)


def make_data(samples: int) -> JobData:
    return {"cpu_load": {"node": JobMetric(Unit(), 60, [jobs.series("d03", [1.0] * samples)])}}


@pytest.fixture
def archive(tmp_path: Path) -> SqliteArchive:
    archive = SqliteArchive(tmp_path / "archive.db")
    archive.open()
    return archive


def row(archive: SqliteArchive, columns: str) -> tuple[object, ...]:
    with closing(sqlite3.connect(archive.path)) as connection:
        return tuple(connection.execute(f"SELECT {columns} FROM jobs").fetchone())


def test_a_new_file_has_the_version_and_another_one_is_refused(archive: SqliteArchive) -> None:
    archive.open()
    with closing(sqlite3.connect(archive.path)) as connection, connection:
        assert connection.execute("SELECT * FROM metadata").fetchall() == [("version", "3")]
        connection.execute("UPDATE metadata SET value = '2'")
    with pytest.raises(ArchiveVersionError, match="unsupported version 2, need 3"):
        archive.open()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ArchiveVersionError, match=r"archive\.db: file is not a database"):
        SqliteArchive(tmp_path / "archive.db").open()


def test_what_was_imported_reads_back_byte_for_byte_as_from_files(
    archive: SqliteArchive, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    files = FileArchive(tmp_path / "files")
    files.open()
    for number, samples in ((1, 3), (2, 3000)):
        job, data = make_job(number), make_data(samples)
        for one in (files, archive):
            one.import_job(job, data)
        assert archive.exists(job)
        key = (job.cluster, job.job_id, job.start_time)
        assert archive.load_files(*key) == files.load_files(*key)
        assert archive.load_meta(*key) == files.load_meta(*key)
        assert encode_data(archive.load_data(job)) == encode_data(files.load_data(job))
    assert archive.count() == 2


def test_importing_again_replaces_and_storing_the_record_leaves_the_data(archive: SqliteArchive) -> None:
    archive.import_job(make_job(1), make_data(3000))
    assert row(archive, "data_compressed") == (1,)
    archive.import_job(make_job(1), make_data(3))
    assert row(archive, "data_compressed, count(*)") == (0, 1)
    before = row(archive, "data_json")
    job = make_job(1)
    job.project = "other"
    archive.store_meta(job)
    assert archive.load_meta(job.cluster, 1, job.start_time).project == "other"
    assert row(archive, "data_json") == before

    def change(one: Job) -> None:
        one.metadata = {"a": "b"}

    archive.update_meta(job.cluster, 1, job.start_time, change)
    assert archive.load_meta(job.cluster, 1, job.start_time).metadata == {"a": "b"}
    with pytest.raises(JobNotArchivedError):
        archive.store_meta(make_job(2))


def test_data_is_packed_later(archive: SqliteArchive) -> None:
    job = make_job(1)
    archive.import_job(job, make_data(3))
    long = b'{"m":' + b" " * 2000 + b"{}}"
    with closing(sqlite3.connect(archive.path)) as connection, connection:
        connection.execute("UPDATE jobs SET data_json = ?", (long,))
    assert archive.compress_job(job.cluster, 1, job.start_time)
    packed, compressed = row(archive, "data_json, data_compressed")
    assert isinstance(packed, bytes)
    assert (gzip.decompress(packed), compressed) == (long, 1)
    assert not archive.compress_job(job.cluster, 1, job.start_time)
    assert archive.compress_marker() is None
    for until in (5, 6):
        archive.store_compress_marker(until)
        assert archive.compress_marker() == until


def test_clusters_are_those_with_jobs_and_those_with_a_configuration(archive: SqliteArchive) -> None:
    document = json.dumps(demo()).encode()
    archive.store_cluster("one", b"{}")
    archive.store_cluster("one", document)
    job = make_job(1)
    job.cluster = "two"
    archive.import_job(job, make_data(3))
    assert archive.clusters() == ["one", "two"]
    assert archive.cluster_file("one") == document
    with pytest.raises(ArchiveError, match="cluster two has no configuration"):
        archive.cluster_documents()


def test_deleting(archive: SqliteArchive) -> None:
    job = make_job(1)
    archive.import_job(job, make_data(3))
    archive.delete_job(job.cluster, 1, job.start_time)
    assert not archive.exists(job)
    with pytest.raises(JobNotArchivedError):
        archive.delete_job(job.cluster, 1, job.start_time)


def test_all_jobs_in_order_and_broken_ones_cost_themselves(archive: SqliteArchive) -> None:
    for number in range(1, 6):
        archive.import_job(make_job(number), make_data(3))
    with closing(sqlite3.connect(archive.path)) as connection, connection:
        connection.execute("UPDATE jobs SET meta_json = 'x' WHERE job_id = 3")
    found = list(archive.iterate(lambda cluster, job_id, start_time: job_id == 2))
    assert [one.job_id for one in found if isinstance(one, Job)] == [1, 4, 5]
    assert [one.place for one in found if isinstance(one, BrokenEntry)]


def test_an_archive_of_files_is_copied_into_it(archive: SqliteArchive, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    files = FileArchive(tmp_path / "files")
    files.open()
    files.store_cluster(make_job(1).cluster, json.dumps(demo()).encode())
    for number in (1, 2):
        files.import_job(make_job(number), make_data(3))
    result = copy(files, archive, lambda so_far: None)
    assert (result.jobs, result.failed) == (2, 0)
    assert archive.cluster_documents() == files.cluster_documents()
    assert copy(files, archive, lambda so_far: None).present == 2
