from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from ccserver.archive import (
    ArchiveError,
    ArchiveVersionError,
    BrokenEntry,
    FileArchive,
    JobNotArchivedError,
    decode_data,
    decode_meta,
)
from ccserver.clusters import Clusters
from ccserver.model.job import Job
from ccserver.model.metrics import JobData, JobMetric, Unit
from tests.archive import jobs
from tests.clusters.documents import demo


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    root = tmp_path / "archive"
    (root / "demo").mkdir(parents=True)
    (root / "version.txt").write_text("3\n")
    (root / "demo/cluster.json").write_text(json.dumps(demo()))
    return FileArchive(root)


def long_data() -> JobData:
    return {"cpu_load": {"node": JobMetric(Unit(), 60, [jobs.series("d03", [1.0] * 1000)])}}


def files(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def test_an_empty_directory_becomes_an_archive(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    archive = FileArchive(tmp_path)
    archive.open()
    assert (tmp_path / "version.txt").read_bytes() == b"3\n"
    assert stat.S_IMODE((tmp_path / "version.txt").stat().st_mode) == 0o644
    assert archive.cluster_documents() == {}
    archive.open()


@pytest.mark.parametrize("content", [b"3", b"3\n", b"03"])
def test_version_three_is_accepted(archive: FileArchive, content: bytes) -> None:
    (archive.root / "version.txt").write_bytes(content)
    archive.open()


@pytest.mark.parametrize("content", [b"3\r\n", b"3\n\n", b"", b"x", b"-3", b" 3"])
def test_a_version_file_that_is_no_number_is_refused(archive: FileArchive, content: bytes) -> None:
    (archive.root / "version.txt").write_bytes(content)
    with pytest.raises(ArchiveVersionError, match=r"version\.txt"):
        archive.open()


@pytest.mark.parametrize("version", [1, 2])
def test_older_versions_are_refused_with_the_tool_that_converts_them(
    archive: FileArchive, version: int
) -> None:
    (archive.root / "version.txt").write_text(f"{version}\n")
    with pytest.raises(
        ArchiveVersionError, match=f"unsupported version {version}, need 3.*cc-archive-migration"
    ):
        archive.open()


def test_newer_versions_are_refused(archive: FileArchive) -> None:
    (archive.root / "version.txt").write_text("4\n")
    with pytest.raises(ArchiveVersionError, match=r"unsupported version 4, need 3$"):
        archive.open()


def test_a_directory_with_other_things_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(ArchiveVersionError, match=r"version\.txt is missing"):
        FileArchive(tmp_path).open()
    assert files(tmp_path) == ["holiday.jpg"]


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveVersionError, match="does not exist"):
        FileArchive(tmp_path / "nowhere").open()


def test_clusters_are_the_directories_in_byte_order(archive: FileArchive) -> None:
    for name in ("Zebra", ".git", "alpha"):
        (archive.root / name).mkdir()
        (archive.root / name / "cluster.json").write_text(json.dumps({**demo(), "name": name}))
    assert list(archive.cluster_documents()) == ["Zebra", "alpha", "demo"]
    assert Clusters.from_documents(archive.cluster_documents()).names() == ["Zebra", "alpha", "demo"]


@pytest.mark.parametrize("content", [None, "", "{"])
def test_a_cluster_without_readable_description_is_an_error_with_its_name(
    archive: FileArchive, content: str | None
) -> None:
    path = archive.root / "demo/cluster.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArchiveError, match=r"demo/cluster\.json"):
        archive.cluster_documents()


@pytest.mark.parametrize(
    ("job_id", "place"),
    [(1403244, "1403/244"), (42, "0/042"), (12345678, "12345/678"), (1000, "1/000")],
)
def test_where_a_job_lies(archive: FileArchive, job_id: int, place: str) -> None:
    job = jobs.job(job_id, 1608923076)
    assert not archive.exists(job)
    archive.import_job(job, jobs.data())
    assert archive.exists(job)
    assert (archive.root / "demo" / place / "1608923076/meta.json").is_file()


def test_what_was_imported_reads_back(archive: FileArchive) -> None:
    job = jobs.job()
    archive.import_job(job, jobs.data())
    assert archive.load_meta("demo", job.job_id, job.start_time) == decode_meta(
        (archive.root / "demo/4711/042/1700000400/meta.json").read_bytes()
    )
    found = archive.load_data(job)
    np.testing.assert_allclose(found["cpu_load"]["node"].series[0].data, [0.1, 8, 8.2, np.nan])


def test_small_documents_stay_plain_and_large_ones_are_compressed(archive: FileArchive) -> None:
    small, large = jobs.job(1), jobs.job(2)
    archive.import_job(small, jobs.data())
    archive.import_job(large, long_data())
    assert files(archive.root / "demo/0/001") == ["1700000400/data.json", "1700000400/meta.json"]
    assert files(archive.root / "demo/0/002") == ["1700000400/data.json.gz", "1700000400/meta.json"]
    raw = gzip.decompress((archive.root / "demo/0/002/1700000400/data.json.gz").read_bytes())
    assert raw.endswith(b"}\n")
    assert len(archive.load_data(large)["cpu_load"]["node"].series[0].data) == 1000


def test_the_limit_of_compression_is_2000_bytes(archive: FileArchive) -> None:
    def document(padding: int) -> JobData:
        return {"m" * padding: {"node": JobMetric(Unit(), 60, [])}}

    empty = len('{"":{"node":{"unit":{"base":""},"series":[],"timestep":60}}}\n')
    archive.import_job(jobs.job(1), document(2000 - empty))
    archive.import_job(jobs.job(2), document(2001 - empty))
    assert (archive.root / "demo/0/001/1700000400/data.json").stat().st_size == 2000
    assert (archive.root / "demo/0/002/1700000400/data.json.gz").is_file()


def test_importing_again_replaces_the_other_form_of_the_data(archive: FileArchive) -> None:
    job = jobs.job(1)
    archive.import_job(job, long_data())
    archive.import_job(job, jobs.data())
    assert files(archive.root / "demo/0/001") == ["1700000400/data.json", "1700000400/meta.json"]
    archive.import_job(job, long_data())
    assert files(archive.root / "demo/0/001") == ["1700000400/data.json.gz", "1700000400/meta.json"]


def test_new_files_get_the_usual_permissions(archive: FileArchive) -> None:
    archive.import_job(jobs.job(1), jobs.data())
    archive.store_meta(jobs.job(1))
    umask = os.umask(0)
    os.umask(umask)
    place = archive.root / "demo/0/001/1700000400"
    assert stat.S_IMODE(place.stat().st_mode) == 0o777 & ~umask
    for file in place.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def test_the_compressed_form_is_read_first(archive: FileArchive) -> None:
    job = jobs.job(1)
    archive.import_job(job, long_data())
    (archive.root / "demo/0/001/1700000400/data.json").write_text("{}")
    assert list(archive.load_data(job)) == ["cpu_load"]


class DiskFullError(OSError):
    pass


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("known_before", [False, True])
def test_a_full_disk_leaves_no_half_written_job(
    archive: FileArchive, monkeypatch: pytest.MonkeyPatch, failing: int, known_before: bool
) -> None:
    if known_before:
        archive.import_job(jobs.job(1), jobs.data())
    before = files(archive.root)
    calls = 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise DiskFullError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ArchiveError, match="No space left"):
        archive.import_job(jobs.job(1, user="bob"), jobs.data())
    assert files(archive.root) == before
    assert archive.exists(jobs.job(1)) == known_before
    if known_before:
        assert archive.load_meta("demo", 1, 1700000400).user == "alice"


def test_nothing_temporary_stays_behind(archive: FileArchive) -> None:
    archive.import_job(jobs.job(1), jobs.data())
    archive.import_job(jobs.job(1), jobs.data())
    assert sorted(os.listdir(archive.root / "demo")) == ["0", "cluster.json"]


def test_storing_the_record_needs_an_archived_job(archive: FileArchive) -> None:
    with pytest.raises(JobNotArchivedError, match="no such job"):
        archive.store_meta(jobs.job(1))
    archive.import_job(jobs.job(1), jobs.data())
    archive.store_meta(jobs.job(1, user="bob"))
    assert archive.load_meta("demo", 1, 1700000400).user == "bob"


def test_a_record_is_changed_in_place(archive: FileArchive) -> None:
    archive.import_job(jobs.job(1), jobs.data())

    def change(job: Job) -> None:
        job.metadata = {**(job.metadata or {}), "message": "idle"}

    archive.update_meta("demo", 1, 1700000400, change)
    assert archive.load_meta("demo", 1, 1700000400).metadata == {"message": "idle"}


def test_a_job_that_is_not_there(archive: FileArchive) -> None:
    with pytest.raises(JobNotArchivedError):
        archive.load_meta("demo", 1, 2)
    with pytest.raises(JobNotArchivedError):
        archive.load_data(jobs.job(1, 2))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08garbage", b"{}"])
def test_broken_compressed_data_is_an_error_with_the_place(archive: FileArchive, content: bytes) -> None:
    archive.import_job(jobs.job(1), long_data())
    (archive.root / "demo/0/001/1700000400/data.json.gz").write_bytes(content)
    with pytest.raises(ArchiveError, match="demo/0/001/1700000400"):
        archive.load_data(jobs.job(1))


@pytest.mark.parametrize("cluster", ["", ".", "..", "../x", ".git", "a/b", "a\0b"])
def test_a_cluster_cannot_lead_out_of_the_archive(archive: FileArchive, cluster: str) -> None:
    with pytest.raises(ArchiveError, match="cannot be the name of a cluster"):
        archive.import_job(jobs.job(1, cluster=cluster), jobs.data())


def test_broken_records_cost_only_themselves(archive: FileArchive) -> None:
    for job_id in range(200):
        archive.import_job(jobs.job(job_id), {})
    (archive.root / "demo/0/007/1700000400/meta.json").write_text("{")
    (archive.root / "demo/0/008/1700000400/meta.json").unlink()
    (archive.root / "demo/README").touch()
    found = list(archive.iterate())
    broken = [entry for entry in found if isinstance(entry, BrokenEntry)]
    assert sorted(Path(entry.place).parent.name for entry in broken) == ["007", "008"]
    assert all("meta.json" in entry.reason for entry in broken)
    ids = {entry.job_id for entry in found if isinstance(entry, Job)}
    assert ids == set(range(200)) - {7, 8}


def test_an_archive_of_the_reference_loads(fixtures: Path) -> None:
    archive = FileArchive(fixtures / "job-archive")
    archive.open()
    assert Clusters.from_documents(archive.cluster_documents()).names() == ["emmy", "fritz"]
    (job,) = archive.iterate()
    assert isinstance(job, Job)
    assert (job.job_id, job.start_time, job.num_nodes, job.subcluster) == (1403244, 1608923076, 32, "haswell")
    data = archive.load_data(job)
    assert len(data) == 9
    for scopes in data.values():
        (node,) = scopes.values()
        assert [len(series.data) for series in node.series] == [1441] * 32
    load = data["cpu_load"]["node"].series[0]
    np.testing.assert_array_equal(load.data[:5], [4.01, 14.37, 16.29, np.nan, 18.14])


def test_the_reference_s_import_is_repeated(fixtures: Path, archive: FileArchive) -> None:
    expected = fixtures / "importer/written-by-reference/fritz/398/764/1675954353"
    job = decode_meta((expected / "meta.json").read_bytes())
    data = decode_data((fixtures / "importer/data-fritzMinimal.json").read_bytes())
    archive.import_job(job, data)
    written = archive.root / "fritz/398/764/1675954353"
    assert files(written) == files(expected)
    assert (written / "meta.json").read_bytes() == (expected / "meta.json").read_bytes()
    both = [gzip.decompress((path / "data.json.gz").read_bytes()) for path in (written, expected)]
    assert both[0] == both[1]
