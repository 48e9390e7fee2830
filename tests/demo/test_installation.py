"""What the demo keeps in its directory, and what it does not touch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ccserver.demo import state
from ccserver.demo.errors import DemoError
from ccserver.demo.installation import _import, _remove_half_made
from ccserver.demo.state import State


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A job archive of somebody else with one cluster and one job."""
    root = tmp_path / "source"
    job = root / "fritz" / "1403" / "244" / "1608923076"
    job.mkdir(parents=True)
    (root / "version.txt").write_text("3\n")
    (root / "fritz" / "cluster.json").write_text("{}")
    (job / "meta.json").write_text('{"jobId":1403244}')
    (root / "lost+found").mkdir()
    return root


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_an_archive_is_copied_beside_ours_and_stays_as_it_was(source: Path, tmp_path: Path) -> None:
    before = contents(source)
    archive = tmp_path / "archive"
    (archive / "noether").mkdir(parents=True)
    _import(source, archive)
    assert sorted(path.name for path in archive.iterdir()) == ["fritz", "noether"]
    assert contents(archive / "fritz") == {
        name.removeprefix("fritz/"): text for name, text in before.items() if name.startswith("fritz/")
    }
    assert contents(source) == before


def test_an_archive_with_a_cluster_of_our_name_is_refused(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "fritz").mkdir(parents=True)
    with pytest.raises(DemoError, match="a cluster fritz"):
        _import(source, archive)


def test_an_archive_of_another_version_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "version.txt").write_text("2\n")
    with pytest.raises(DemoError, match="version 2, need 3"):
        _import(source, tmp_path)


def test_a_folder_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="no job archive"):
        _import(tmp_path, tmp_path / "archive")


def test_the_state_reads_back(tmp_path: Path) -> None:
    written = State(stage="ready", seed=5, scheduler={"now": 3}, unreported=[[1, 2, "failed"]])
    written.save(tmp_path)
    assert state.load(tmp_path) == written


def test_no_state_is_no_error_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert state.load(tmp_path) is None
    (tmp_path / state.FILE).write_text('{"stage": "rea')
    with pytest.raises(DemoError, match=r"demo-state\.json is damaged"):
        state.load(tmp_path)


def test_a_half_made_installation_is_removed_and_nothing_else(tmp_path: Path) -> None:
    State().save(tmp_path)
    (tmp_path / "var" / "job-archive").mkdir(parents=True)
    (tmp_path / "config.json").write_text(json.dumps({}))
    (tmp_path / "notes.txt").write_text("mine")
    _remove_half_made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
