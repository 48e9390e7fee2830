"""The job archive in a bucket, against a server that speaks S3. Contract: spec/job-archive.md 21.1."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ccserver.archive import ArchiveVersionError, BrokenEntry, FileArchive, JobNotArchivedError
from ccserver.archive.backends import BackendError, archive_of
from ccserver.archive.data import encode_data
from ccserver.archive.manage import copy, overview, validate
from ccserver.archive.places import Bucket, read, write
from ccserver.archive.s3 import S3Archive
from ccserver.model.job import Job
from ccserver.model.metrics import JobData, JobMetric, Unit
from tests.archive import jobs
from tests.archive.s3_server import s3_server
from tests.clusters.documents import demo


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, Any]]:
    with s3_server() as section:
        yield section


@pytest.fixture
def bucket(server: dict[str, Any], request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket for each test."""
    name = f"b{abs(hash(request.node.name))}"
    assert httpx.put(f"{server['endpoint']}/{name}").status_code == 200
    return Bucket({**server, "bucket": name})


@pytest.fixture
def archive(bucket: Bucket) -> S3Archive:
    archive = S3Archive(bucket)
    archive.open()
    return archive


def make_data(samples: int) -> JobData:
    return {"cpu_load": {"node": JobMetric(Unit(), 60, [jobs.series("d03", [1.0] * samples)])}}


def test_a_bucket_gets_a_version_and_another_one_is_refused(
    archive: S3Archive, bucket: Bucket, server: dict[str, Any]
) -> None:
    archive.open()
    assert read(bucket, "version.txt") == b"3\n"
    write(bucket, "version.txt", b"2\n")
    with pytest.raises(ArchiveVersionError, match=r"version\.txt: unsupported version 2, need 3"):
        archive.open()
    with pytest.raises(ArchiveVersionError, match="no such bucket"):
        archive_of({**server, "bucket": "elsewhere"}).open()
    with pytest.raises(BackendError, match="bucket: "):
        archive_of({"kind": "s3"})


def test_objects_are_the_files_of_an_archive(archive: S3Archive, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    files = FileArchive(tmp_path / "files")
    files.open()
    files.store_cluster("demo", json.dumps(demo()).encode())
    for number, samples in ((1042, 3), (2, 3000)):
        files.import_job(jobs.job(number), make_data(samples))
    assert copy(files, archive, lambda so_far: None).jobs == 2
    assert copy(files, archive, lambda so_far: None).present == 2
    names = {str(path.relative_to(files.root)) for path in files.root.rglob("*") if path.is_file()}
    assert set(bucket.files("")) == names
    assert {read(bucket, name) == (files.root / name).read_bytes() for name in names} == {True}
    assert archive.clusters() == ["demo"]
    assert archive.cluster_documents() == files.cluster_documents()
    for number in (1042, 2):
        key = ("demo", number, jobs.job().start_time)
        assert archive.load_files(*key) == files.load_files(*key)
        assert archive.load_meta(*key) == files.load_meta(*key)
        job = jobs.job(number)
        assert encode_data(archive.load_data(job)) == encode_data(files.load_data(job))
    assert [(info.name, info.jobs) for info in overview(archive)] == [("demo", 2), ("TOTAL", 2)]
    assert overview(archive)[0].size == overview(files)[0].size
    assert validate(archive, lambda problem: None) == validate(files, lambda problem: None)


def test_importing_again_replaces_both_documents(archive: S3Archive, bucket: Bucket) -> None:
    archive.import_job(jobs.job(1), make_data(3000))
    archive.import_job(jobs.job(1, project="other"), make_data(3))
    folder = f"demo/0/001/{jobs.job().start_time}"
    assert set(bucket.files("demo")) == {f"{folder}/data.json", f"{folder}/meta.json"}
    assert archive.load_meta("demo", 1, jobs.job().start_time).project == "other"


def test_a_record_changes_only_where_there_is_one(archive: S3Archive) -> None:
    job = jobs.job(1)
    with pytest.raises(JobNotArchivedError):
        archive.store_meta(job)
    with pytest.raises(JobNotArchivedError):
        archive.load_data(job)
    archive.import_job(job, make_data(3))

    def change(one: Job) -> None:
        one.metadata = {"a": "b"}

    archive.update_meta("demo", 1, job.start_time, change)
    assert archive.load_meta("demo", 1, job.start_time).metadata == {"a": "b"}


def test_data_is_packed_later(archive: S3Archive, bucket: Bucket) -> None:
    job = jobs.job(1)
    archive.import_job(job, make_data(3))
    assert not archive.compress_job("demo", 1, job.start_time)
    long = b'{"m":' + b" " * 2000 + b"{}}"
    folder = f"demo/0/001/{job.start_time}"
    write(bucket, f"{folder}/data.json", long)
    assert archive.compress_job("demo", 1, job.start_time)
    assert gzip.decompress(read(bucket, f"{folder}/data.json.gz")) == long
    assert not bucket.has(f"{folder}/data.json")
    assert archive.compress_marker() is None
    archive.store_compress_marker(5)
    assert archive.compress_marker() == 5


def test_deleting(archive: S3Archive, bucket: Bucket) -> None:
    for number in (1, 2):
        archive.import_job(jobs.job(number), make_data(3))
    archive.delete_job("demo", 1, jobs.job().start_time)
    assert not archive.exists(jobs.job(1))
    assert archive.exists(jobs.job(2))
    assert archive.count() == 1
    with pytest.raises(JobNotArchivedError):
        archive.delete_job("demo", 1, jobs.job().start_time)
    archive.delete_cluster("demo")
    assert bucket.files("demo") == {}


def test_broken_jobs_cost_themselves(archive: S3Archive, bucket: Bucket) -> None:
    for number in range(1, 6):
        archive.import_job(jobs.job(number), make_data(3))
    write(bucket, f"demo/0/003/{jobs.job().start_time}/meta.json", b"x")
    write(bucket, "demo/0/004/soon/meta.json", b"x")
    found = list(archive.iterate(lambda cluster, job_id, start_time: job_id == 2))
    assert sorted(one.job_id for one in found if isinstance(one, Job)) == [1, 4, 5]
    assert len([one for one in found if isinstance(one, BrokenEntry)]) == 2
