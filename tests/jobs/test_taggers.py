"""Automatic tags. Contract: spec/job-archive.md 17, spec/rest-api.md 4.6."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ccserver.jobs.repository import JobRepository
from ccserver.jobs.taggers import ApplicationTagger, TaggerBusy, Taggers
from ccserver.jobs.tags import TagRepository
from ccserver.model.job import Job, Tag
from tests.jobs.records import make_job, stored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "apps"
    folder.mkdir()
    (folder / "vasp.txt").write_text("vasp_std\n\n  vasp_gam  \n")
    (folder / "foo.bar.txt").write_text("FOO\n(\nfoo\\s+--bar\n")
    (folder / "sub").mkdir()
    return folder


def found(
    jobs: JobRepository, tags: TagRepository, tagger: ApplicationTagger, script: str | None, number: int = 1
) -> list[str]:
    metadata = None if script is None else {"jobScript": script}
    (id,) = stored(jobs, make_job(number, metadata=metadata))
    job = jobs.find(id)
    assert job is not None
    tagger.tag(job)
    return [f"{tag.type}:{tag.name}:{tag.scope}" for tag in tags.of_job(id)]


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("srun VASP_STD", ["vasp"]),
        ("#SBATCH vasp_std\nsrun x", []),
        ("srun x # vasp_std", []),
        ("srun vasp_gam # why", ["vasp"]),
        ("# one\nsrun vasp_std", ["vasp"]),
        ("FOO", []),  # the script is searched in lower case, the pattern stays as it is
        ("foo   --bar vasp_std", ["foo.bar", "vasp"]),
        ("", []),
        (None, []),
    ],
)
def test_applications(
    jobs: JobRepository, tags: TagRepository, folder: Path, script: str | None, names: list[str]
) -> None:
    tagger = ApplicationTagger(folder, jobs, tags)
    assert found(jobs, tags, tagger, script) == [f"app:{name}:global" for name in names]


def test_a_script_of_a_megabyte_without_line_ends_is_searched_at_once(
    jobs: JobRepository, tags: TagRepository, folder: Path
) -> None:
    tagger = ApplicationTagger(folder, jobs, tags)
    assert found(jobs, tags, tagger, "echo x\n" * 100_000 + "vasp_std") == ["app:vasp:global"]


def test_a_tag_the_job_has_in_another_scope_is_not_added_again(
    jobs: JobRepository, tags: TagRepository, folder: Path
) -> None:
    (id,) = stored(jobs, make_job(1, metadata={"jobScript": "vasp_std"}))
    job = jobs.find(id)
    assert job is not None
    tags.attach(job, [Tag("app", "vasp", "alice")], None)
    ApplicationTagger(folder, jobs, tags).tag(job)
    assert [tag.scope for tag in tags.of_job(id)] == ["alice"]


def test_patterns_are_read_again_when_they_change(
    jobs: JobRepository, tags: TagRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccserver.jobs.watched._LOOK_AGAIN", 0.0)
    tagger = ApplicationTagger(folder, jobs, tags)
    assert found(jobs, tags, tagger, "lmp -in x", 1) == []
    (folder / "lammps.txt").write_text("\\blmp\\s+")
    assert found(jobs, tags, tagger, "lmp -in x", 2) == ["app:lammps:global"]


def test_a_missing_folder_is_reported_and_harmless(
    jobs: JobRepository, tags: TagRepository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tagger = ApplicationTagger(tmp_path / "none", jobs, tags)
    assert found(jobs, tags, tagger, "vasp_std") == []
    assert "no applications are recognised" in caplog.text


def test_the_shipped_patterns_of_other_sites(
    jobs: JobRepository, tags: TagRepository, fixtures: Path
) -> None:
    tagger = ApplicationTagger(fixtures / "tagger" / "apps", jobs, tags)
    assert found(jobs, tags, tagger, "mpirun lmp -in a\nsrun starccm+ x") == [
        "app:lammps:global",
        "app:starccm:global",
    ]


class Slow:
    name, kind = "Slow", "stop"

    def __init__(self) -> None:
        self.gate, self.seen = threading.Event(), list[int]()

    def tag(self, job: Job) -> None:
        assert self.gate.wait(20)
        self.seen.append(job.job_id)
        if job.job_id == 2:
            raise RuntimeError("not this one")


def test_a_run_goes_over_all_finished_jobs_once_at_a_time(jobs: JobRepository) -> None:
    stored(jobs, *(make_job(number, state="completed", duration=1) for number in (1, 2, 3)), make_job(4))
    slow = Slow()
    taggers = Taggers(jobs, [slow])  # type: ignore[list-item]
    taggers.start("Slow")
    assert [(one.name, one.kind, one.running) for one in taggers.states()] == [("Slow", "stop", True)]
    for name in ("Slow", "Other"):
        with pytest.raises(TaggerBusy):
            taggers.start(name)
    slow.gate.set()
    while taggers.states()[0].running:
        threading.Event().wait(0.005)
    assert slow.seen == [1, 2, 3]
    assert taggers.hooks("start") == []
    assert taggers.hooks("stop") == [slow.tag]
