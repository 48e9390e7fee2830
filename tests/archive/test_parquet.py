"""Jobs in Parquet files, and the commands that write and read them. Contract: spec/job-archive.md 21.3."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from ccserver.archive import ArchiveError, BrokenEntry, FileArchive, decode_meta, encode_data, encode_meta
from ccserver.archive.manage import Copied
from ccserver.archive.parquet import ParquetWriter, export_parquet, import_parquet, read_parquet
from ccserver.archive.places import Bucket, Directory
from ccserver.archivetools import manager
from ccserver.model.job import Job
from ccserver.model.metrics import JobData
from tests.archive.jobs import data, full_job, job
from tests.archive.s3_server import s3_server
from tests.archive.test_tools import status
from tests.clusters.documents import demo

DOCUMENT = json.dumps(demo()).encode()


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    (tmp_path / "archive").mkdir()
    archive = FileArchive(tmp_path / "archive")
    archive.open()
    archive.store_cluster("demo", DOCUMENT)
    for number, project in ((1, "z"), (2, "a"), (3, "m")):
        archive.import_job(job(number, project=project), data())
    return archive


def found(place: Directory | Bucket) -> list[tuple[Job, JobData]]:
    return [one for one in read_parquet(place, "demo") if not isinstance(one, BrokenEntry)]


def rows(folder: Path) -> list[list[int]]:
    return [
        pyarrow.parquet.read_table(path)["job_id"].to_pylist() for path in sorted(folder.glob("*.parquet"))
    ]


def test_a_file_of_the_reference_gives_its_job_back(fixtures: Path) -> None:
    ((one, samples),) = read_parquet(Directory(fixtures / "parquet"), "fritz")  # type: ignore[misc]
    folder = fixtures / "importer/written-by-reference/fritz/398/764/1675954353"
    written = decode_meta((folder / "meta.json").read_bytes())
    for dropped in ("array_job_id", "monitoring_status", "submit_time", "requested_memory"):
        setattr(written, dropped, 0)
    written.shared = "none"
    assert one == written
    assert encode_data(samples) == gzip.decompress((folder / "data.json.gz").read_bytes())


def test_columns_are_those_of_the_reference(fixtures: Path, archive: FileArchive, tmp_path: Path) -> None:
    export_parquet(archive, Directory(tmp_path / "out"), 1 << 30, lambda so_far: None)
    (path,) = (tmp_path / "out/demo").glob("*.parquet")
    ours = pyarrow.parquet.ParquetFile(path)
    theirs = pyarrow.parquet.ParquetFile(next((fixtures / "parquet/fritz").glob("*.parquet")))
    assert ours.schema_arrow.equals(theirs.schema_arrow)
    assert ours.metadata.row_group(0).column(22).compression == "ZSTD"
    sorting = [one.metadata.row_group(0).sorting_columns for one in (ours, theirs)]
    assert [one.column_index for one in sorting[0]] == [one.column_index for one in sorting[1]]
    assert rows(tmp_path / "out/demo") == [[2, 3, 1]]
    assert (tmp_path / "out/demo/cluster.json").read_text() == json.dumps(demo(), indent=2)


def test_everything_but_what_the_format_drops_comes_back(tmp_path: Path) -> None:
    place = Directory(tmp_path)
    writer = ParquetWriter(place, 1 << 30)
    assert writer.add(full_job(), data()) == []
    assert writer.flush() == [full_job()]
    ((one, samples),) = found(place)
    expected = decode_meta(encode_meta(full_job()))
    for dropped in ("array_job_id", "monitoring_status", "submit_time", "requested_memory"):
        setattr(expected, dropped, 0)
    assert one == expected
    assert encode_data(samples) == encode_data(data())


def test_full_files_and_other_clusters_begin_a_file_and_none_is_overwritten(tmp_path: Path) -> None:
    place = Directory(tmp_path)
    writer = ParquetWriter(place, 1)
    assert writer.add(job(1), {}) == []
    assert writer.add(job(2), {}) == [job(1)]
    writer.flush()
    writer = ParquetWriter(place, 1 << 30)
    writer.add(job(3), {})
    assert writer.add(job(4, cluster="other"), {}) == [job(3)]
    writer.flush()
    assert rows(tmp_path / "demo") == [[1], [2], [3]]
    assert rows(tmp_path / "other") == [[4]]
    assert [path.name[-11:-8] for path in sorted((tmp_path / "demo").iterdir())] == ["001", "002", "003"]


def test_a_target_that_takes_nothing_ends_the_conversion(archive: FileArchive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="file"):
        export_parquet(archive, Directory(tmp_path / "file"), 1, lambda so_far: None)


def test_the_manager_converts_both_ways(archive: FileArchive, tmp_path: Path) -> None:
    back = tmp_path / "back"
    back.mkdir()
    sections = [
        json.dumps({"kind": "file", "path": str(path)}) for path in (archive.root, tmp_path / "p", back)
    ]
    forth = ("-convert", "-format", "parquet", "-src-config", sections[0], "-dst-config", sections[1])
    assert status(manager, *forth) == 0
    arguments = ("-convert", "-src-config", sections[1], "-dst-config", sections[2])
    assert status(manager, *arguments) == 0
    for number in (1, 2, 3):
        key = ("demo", number, job().start_time)
        original, returned = archive.load_files(*key), FileArchive(back).load_files(*key)
        assert returned.data == original.data
        assert decode_meta(returned.meta).statistics == decode_meta(original.meta).statistics
    (tmp_path / "p/demo/broken.parquet").write_bytes(b"PAR1")
    assert status(manager, *arguments) == 1
    assert FileArchive(back).count() == 3
    assert status(manager, "-convert", "-format", "parquet", *forth[3:5], "-dst-config", '{"kind": "x"}') == 1


def test_buckets_take_parquet_files_too(archive: FileArchive, tmp_path: Path) -> None:
    with s3_server() as section:
        camel = {"kind": "s3", "bucket": "jobs", "endpoint": section["endpoint"], "accessKey": "key",
                 "secretKey": "secret", "usePathStyle": True}  # fmt: skip
        place = Bucket(camel)
        assert export_parquet(archive, place, 1 << 30, lambda so_far: None) == Copied(3, 0, 0)
        assert sorted(one.job_id for one, _ in found(place)) == [1, 2, 3]
        (tmp_path / "back").mkdir()
        target = FileArchive(tmp_path / "back")
        target.open()
        assert import_parquet(place, target, lambda so_far: None) == Copied(3, 0, 0)
        assert import_parquet(place, target, lambda so_far: None) == Copied(0, 3, 0)
