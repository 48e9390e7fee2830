"""Classification of archived jobs. Contract: spec/job-archive.md 17.2, 24.5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.jobs.jobclasses import JobClassTagger, RuleError, read_rule
from ccserver.jobs.lifecycle import JobLifeCycle
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import Job, Tag
from ccserver.model.metrics import JobStatistic, Unit
from tests.jobs.records import make_job, stored

IDLE: dict[str, Any] = {
    "name": "Idle nodes", "tag": "idle", "parameters": ["idle_factor", "job_min_duration_seconds"],
    "metrics": ["cpu_load"],
    "requirements": ["job.shared == \"none\"", "job.duration > job_min_duration_seconds"],
    "variables": [{"name": "limit", "expr": "cpu_load.limits.peak * idle_factor"}],
    "rule": "cpu_load.avg < limit",
    "hint": "Load {{.cpu_load.avg}} is below {{.limit}} ({{.idle_factor}} of {{.cpu_load.limits.peak}}).",
}  # fmt: skip
PARAMETERS = {"idle_factor": 0.1, "job_min_duration_seconds": 600.0}
FACTS: dict[str, Any] = {
    "job": {"shared": "none", "duration": 3600, "jobState": "completed"},
    "cpu_load": {"avg": 0.456, "min": 0.0, "max": 1.0, "limits": {"peak": 72.0, "alert": 1.0}},
}


def rule(**changes: Any) -> bytes:
    return json.dumps({**IDLE, **changes}).encode()


def test_the_published_example() -> None:
    message = read_rule(rule(), PARAMETERS).message(FACTS)
    assert message == "Load 0.46 is below 7.2 (0.1 of 72)."


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ["cpu_load", "mem_bw"]},
        {"requirements": ["job.duration > 3600"]},
        {"rule": "cpu_load.avg > limit"},
        {"rule": "job.jobState == 'failed'"},
    ],
)
def test_a_rule_that_does_not_fit(changes: dict[str, Any]) -> None:
    assert read_rule(rule(**changes), PARAMETERS).message(FACTS) is None


@pytest.mark.parametrize(
    "document",
    [b"{", b"[]", rule(tag=""), rule(parameters=["unknown"]), rule(rule="a &&"),
     rule(requirements=["not a < b"]), rule(variables=[{"name": "x", "expr": ")"}]), rule(hint="{{"),
     rule(rule=5)],
)  # fmt: skip
def test_what_is_no_rule(document: bytes) -> None:
    with pytest.raises(RuleError):
        read_rule(document, PARAMETERS)


class Site:
    """A folder of rules and one archived job."""

    def __init__(self, path: Path, jobs: JobRepository, clusters: Clusters) -> None:
        self.folder = path / "jobclasses"
        self.folder.mkdir()
        (path / "archive").mkdir()
        self.archive = FileArchive(path / "archive")
        self.archive.open()
        self.tags = TagRepository(jobs.database, self.archive)
        source = MetricData(clusters, None, self.archive)
        life_cycle = JobLifeCycle(jobs, self.tags, clusters, source, self.archive)
        set_metadata = life_cycle.set_metadata
        self.tagger = JobClassTagger(self.folder, self.tags, clusters, self.archive, set_metadata)
        statistics = {"cpu_load": JobStatistic(Unit(), 0.456, 0.0, 1.0)}
        self.job = make_job(7, state="completed", monitoring_status=3, duration=3600, statistics=statistics)
        (self.job.id,) = stored(jobs, self.job)
        self.archive.import_job(self.job, {})

    def write(self, name: str, content: object) -> None:
        (self.folder / name).write_text(content if isinstance(content, str) else json.dumps(content))

    @property
    def archived(self) -> Job:
        return self.archive.load_meta(self.job.cluster, self.job.job_id, self.job.start_time)


@pytest.fixture
def site(tmp_path: Path, jobs: JobRepository, clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("ccserver.jobs.watched._LOOK_AGAIN", 0.0)
    return Site(tmp_path, jobs, clusters)


def test_a_job_gets_tags_and_message_in_database_and_archive(site: Site, jobs: JobRepository) -> None:
    site.write("parameters.json", PARAMETERS)
    site.write("b.json", {**IDLE, "rule": "true", "hint": "second", "tag": "always"})
    site.write("a.json", {**IDLE, "rule": "cpu_load.avg > 0.4", "hint": "first"})
    site.write("c.json", "no rule")
    site.write("d.json", {**IDLE, "rule": "unknown.member > 1", "tag": "never"})
    site.tagger.tag(site.job)
    tags = [Tag("jobClass", name, "global") for name in ("always", "idle")]
    assert [(tag.type, tag.name, tag.scope) for tag in site.tags.of_job(site.job.id)] == [
        (tag.type, tag.name, tag.scope) for tag in tags
    ]
    metadata = jobs.metadata_of([site.job.id])[site.job.id] or {}
    assert metadata["message"] == "first\nsecond"
    assert (site.archived.metadata or {})["message"] == "first\nsecond"
    assert {tag.name for tag in site.archived.tags or ()} == {"always", "idle"}


def test_rules_are_read_again_and_tags_stay(site: Site, jobs: JobRepository) -> None:
    site.tagger.tag(site.job)  # without parameters.json nothing happens
    site.write("parameters.json", PARAMETERS)
    site.write("a.json", {**IDLE, "rule": "true", "hint": "one"})
    site.tagger.tag(site.job)
    site.write("a.json", {**IDLE, "rule": "true", "hint": "another"})
    site.tagger.tag(site.job)
    assert (jobs.metadata_of([site.job.id])[site.job.id] or {})["message"] == "another"
    site.write("a.json", {**IDLE, "rule": "false", "hint": "none of them"})
    site.tagger.tag(site.job)
    assert (jobs.metadata_of([site.job.id])[site.job.id] or {})["message"] == "another"
    assert [tag.name for tag in site.tags.of_job(site.job.id)] == ["idle"]


def test_rules_of_another_program(fixtures: Path, clusters: Clusters, tags: TagRepository) -> None:
    folder = fixtures / "tagger/jobclasses"
    tagger = JobClassTagger(folder, tags, clusters, None, lambda *given: None)  # type: ignore[arg-type]
    expected = {"lowload", "excessiveload", "highmemory", "memorybound", "lowutilization"}
    assert {rule.tag for rule in tagger._rules.current()} == expected
