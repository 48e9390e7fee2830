"""`cc-archive-migration` and `cc-archive-manager`, run as commands in this process."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ccserver.archive import ArchiveError, FileArchive
from ccserver.archive.backends import archive_of
from ccserver.archive.migration import migrated_meta
from ccserver.archivetools import manager, migration
from tests.archive.jobs import data, job
from tests.archive.test_schemas import META
from tests.archive.test_schemas import data as valid_data


def status(command: Callable[[list[str]], Any], *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command(list(arguments))
    return int(ended.value.code or 0)


# ---- migration


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Two jobs of version 2."""
    (tmp_path / "version.txt").write_text("2\n")
    for number, exclusive in ((1, 1), (2, 0)):
        place = tmp_path / "c" / "0" / f"00{number}" / "17"
        place.mkdir(parents=True)
        document = {"jobId": number, "startTime": 17, "exclusive": exclusive, "load_avg": 3, "stopTime": 9}
        (place / "meta.json").write_text(json.dumps(document))
    return tmp_path


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def metas(root: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(root.rglob("meta.json"))]


def test_the_golden_record(fixtures: Path) -> None:
    folder = fixtures / "migration"
    expected = (folder / "meta-v3-emmy-1403244.expected.json").read_bytes()
    assert migrated_meta((folder / "meta-v2-emmy-1403244.json").read_bytes()) == expected
    assert migrated_meta(expected) == expected


def test_an_archive_is_converted_after_a_yes(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "y\n")
    assert status(migration, "--archive", str(old)) == 0
    assert (old / "version.txt").read_text() == "3\n"
    assert metas(old) == [
        {"jobId": n, "startTime": 17, "submitTime": 17, "shared": shared, "energy": 0, "requestedMemory": 0,
         "stopTime": 9}
        for n, shared in ((1, "none"), (2, "multi_user"))
    ]  # fmt: skip


def test_nothing_happens_without_a_yes_or_in_a_dry_run(
    old: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = metas(old)
    answer(monkeypatch, "yes\n")
    assert status(migration, "-archive", str(old)) == 0
    assert "[y/N]" in capsys.readouterr().out
    assert status(migration, "-archive", str(old), "-dry-run") == 0
    assert capsys.readouterr().out.count("meta.json") == 2
    assert metas(old) == before
    assert (old / "version.txt").read_text() == "2\n"


@pytest.mark.parametrize("exclusive", [3, "1", True, None])
def test_a_failure_leaves_version_2_and_the_rest_converted(
    old: Path, monkeypatch: pytest.MonkeyPatch, exclusive: Any
) -> None:
    path = old / "c/0/001/17/meta.json"
    path.write_text(json.dumps({"exclusive": exclusive}))
    answer(monkeypatch, "Y\n")
    assert status(migration, "-archive", str(old)) == 1
    assert (old / "version.txt").read_text() == "2\n"
    assert metas(old)[0] == {"exclusive": exclusive}
    assert metas(old)[1]["shared"] == "multi_user"
    path.write_text(json.dumps({"exclusive": 2}))
    answer(monkeypatch, "Y\n")
    assert status(migration, "-archive", str(old)) == 0
    assert (old / "version.txt").read_text() == "3\n"


def test_wrong_use_of_the_migration(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(migration) == 1
    assert "usage" in capsys.readouterr().err
    (old / "version.txt").write_text("1")
    assert status(migration, "-archive", str(old)) == 1
    assert "archive version is 1, expected 2" in capsys.readouterr().err
    assert status(migration, "-archive", str(old / "nowhere")) == 1
    with pytest.raises(ArchiveError):
        migrated_meta(b"[]")


# ---- manager


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    """Jobs of three days; times as in local time."""
    root = tmp_path / "archive"
    root.mkdir()
    archive = FileArchive(root)
    archive.open()
    for number, start in enumerate(
        (1672574400, 1675252800, 1677672000)
    ):  # noon of 1 January, February, March
        archive.import_job(job(1000 + number, start), data())
    (root / "demo" / "cluster.json").write_text("{}")
    return archive


def test_the_overview(
    archive: FileArchive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(manager, "-s", str(archive.root)) == 0
    header, demo, total = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in header.split("|")] == ["cluster", "#jobs", "from", "to", "du (MB)", ""]
    assert [cell.strip() for cell in demo.split("|")][:2] == ["demo", "3"]
    assert total.startswith("TOTAL")
    (archive.root / "demo" / "1" / "000" / "soon").mkdir()
    assert status(manager, "-s", str(archive.root)) == 1


def test_jobs_are_removed_by_date(archive: FileArchive) -> None:
    assert status(manager, "-s", str(archive.root), "-remove-before", "2023-Jan-15") == 0
    assert archive.count() == 2
    assert not (archive.root / "demo/1/000").exists()
    assert (archive.root / "demo/1").exists()
    assert status(manager, "-s", str(archive.root), "--remove-after=2023-Feb-15") == 0
    assert archive.count() == 1
    assert status(manager, "-s", str(archive.root), "-remove-before", "2023-01-15") == 1
    assert archive.count() == 1


def test_validation_names_the_documents(
    archive: FileArchive, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(manager, "-s", str(archive.root), "-validate") == 1
    assert "1677672000/meta.json: " in capsys.readouterr().err + caplog.text
    for path in archive.root.glob("demo/*/*/*"):
        (path / "meta.json").write_text(json.dumps(META))
        (path / "data.json").unlink()
        (path / "data.json.gz").write_bytes(gzip.compress(json.dumps(valid_data()).encode()))
    assert status(manager, "-s", str(archive.root), "-validate") == 0


def test_an_archive_is_copied_into_another(archive: FileArchive, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    source, destination = (json.dumps({"kind": "file", "path": str(p)}) for p in (archive.root, target))
    arguments = ("-import", "-src-config", source, "-dst-config", destination)
    assert status(manager, *arguments) == 0
    copied = [path.relative_to(target) for path in target.rglob("*") if path.is_file()]
    assert {(target / name).read_bytes() == (archive.root / name).read_bytes() for name in copied} == {True}
    assert FileArchive(target).count() == 3
    shutil.rmtree(target / "demo/1/000")
    (archive.root / "demo/1/001/1675252800/meta.json").write_text("{")
    assert status(manager, *arguments) == 1
    assert FileArchive(target).count() == 3
    assert status(manager, "-import") == 1
    assert status(manager, "-import", "-src-config", '{"kind": "s3"}', "-dst-config", destination) == 1


def test_other_kinds_of_archive_are_looked_at_and_shortened(
    archive: FileArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "archive.db"
    source = json.dumps({"kind": "file", "path": str(archive.root)})
    target = json.dumps({"kind": "sqlite", "db-path": str(database)})
    assert status(manager, "-import", "-src-config", source, "-dst-config", target) == 0
    capsys.readouterr()
    for named in (str(database), target):
        assert status(manager, "-s", named) == 0
        assert [cell.strip() for cell in capsys.readouterr().out.splitlines()[1].split("|")][:2] == [
            "demo",
            "3",
        ]
    assert status(manager, "-s", target, "-validate") == 1
    assert status(manager, "-s", target, "-remove-before", "2023-Jan-15") == 0
    assert status(manager, "-s", target) == 0
    total = capsys.readouterr().out.splitlines()[-1]
    assert [cell.strip() for cell in total.split("|")][:2] == ["TOTAL", "2"]
    assert status(manager, "-s", target, "-remove-cluster", "nowhere") == 1
    assert status(manager, "-s", target, "-remove-cluster", "demo") == 0
    assert archive_of(json.loads(target)).clusters() == []


def test_a_cluster_is_removed(archive: FileArchive) -> None:
    assert status(manager, "-s", str(archive.root), "-remove-cluster", "demo") == 0
    assert archive.clusters() == []
