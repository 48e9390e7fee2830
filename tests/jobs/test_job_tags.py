"""Tags: who reads and writes which scope, and what happens to jobs and their archived records."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccserver.archive import FileArchive
from ccserver.database import Database
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.scopes import readable, writable
from ccserver.jobs.tags import TagExists, TagForbidden, TagMissing, TagRepository
from ccserver.jobs.untagging import Untagging
from ccserver.model.job import Job, Tag
from ccserver.model.user import Principal
from tests.jobs.records import make_job, stored


def who(name: str, *roles: str) -> Principal:
    return Principal(name, frozenset(roles))


ADMIN = who("root", "admin")
SUPPORT = who("help", "support")
API = who("robot", "api")
ALICE = who("alice", "user")
BOB = who("bob", "manager", "user")


@pytest.mark.parametrize(
    ("scope", "readers", "writers"),
    [
        ("global", {ADMIN, SUPPORT, API, ALICE, BOB}, {ADMIN, SUPPORT, API}),
        ("admin", {ADMIN, SUPPORT}, {ADMIN, API}),
        ("alice", {ALICE}, {ALICE}),
        ("", set(), set()),
    ],
)
def test_scopes(scope: str, readers: set[Principal], writers: set[Principal]) -> None:
    everybody = {ADMIN, SUPPORT, API, ALICE, BOB}
    assert {one for one in everybody if readable(scope, one)} == readers
    assert {one for one in everybody if writable(scope, one)} == writers
    assert readable(scope, None)
    assert writable(scope, None)


@pytest.mark.parametrize("name", ["admin", "global"])
def test_an_account_with_a_reserved_name_gains_nothing(name: str) -> None:
    impostor = who(name, "user")
    assert not writable("global", impostor)
    assert not writable("admin", impostor)
    assert not readable("admin", impostor)
    assert not readable("alice", impostor)


def test_creating(tags: TagRepository) -> None:
    created = tags.create(Tag("app", "md", "global"), ADMIN)
    assert tags.get(created.id) == created
    for scope in ("", "bob", "global", "admin"):
        with pytest.raises(TagForbidden, match=f"not authorized to create tag with scope: {scope}"):
            tags.create(Tag("x", "y", scope), ALICE)
    with pytest.raises(TagExists):
        tags.create(Tag("app", "md", "global"), ADMIN)
    with pytest.raises(TagExists, match="in another scope"):
        tags.create(Tag("app", "md", "alice"), ALICE)


def test_attaching_by_name_creates_and_repeats_without_harm(tags: TagRepository, jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1))
    job = make_job(1, id=id)
    wanted = [Tag("app", "md", ""), Tag("app", "md", "global"), Tag("watch", "it", "admin")]
    first = tags.attach(job, wanted, ADMIN)
    assert [tag.scope for tag in first] == ["global", "global", "admin"]
    assert tags.attach(job, wanted, ADMIN) == first
    assert [tag.name for tag in tags.of_job(id)] == ["md", "it"]
    assert [tag.name for tag in tags.of_job(id, ALICE)] == ["md"]
    assert jobs.tags_of([id, 99], ALICE) == {id: [first[0]], 99: []}


def test_attaching_stops_at_the_first_failure(tags: TagRepository, jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1))
    wanted = [Tag("mine", "a", "alice"), Tag("app", "md", "global"), Tag("mine", "b", "alice")]
    with pytest.raises(TagForbidden):
        tags.attach(make_job(1, id=id), wanted, ALICE)
    assert [tag.name for tag in tags.of_job(id)] == ["a"]


def test_attaching_and_detaching_by_id(tags: TagRepository, jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1))
    job = make_job(1, id=id)
    public, private = tags.create(Tag("a", "b"), ADMIN), tags.create(Tag("m", "n", "alice"), ALICE)
    tags.attach_ids(job, [public.id], SUPPORT)
    with pytest.raises(TagExists):
        tags.attach_ids(job, [public.id], SUPPORT)
    with pytest.raises(TagMissing, match=r"tag does not exist \(ID\): 99"):
        tags.attach_ids(job, [99], ADMIN)
    with pytest.raises(TagForbidden, match=f"not authorized to add tag: {private.id}"):
        tags.attach_ids(job, [private.id], ADMIN)
    with pytest.raises(TagForbidden, match=f"not authorized to remove tag: {public.id}"):
        tags.detach_ids(job, [public.id], ALICE)
    tags.detach_ids(job, [public.id, public.id], ADMIN)
    assert tags.of_job(id) == []


def test_detaching_by_name_skips_private_tags(tags: TagRepository, jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1))
    job = make_job(1, id=id)
    tags.attach(job, [Tag("m", "n", "alice"), Tag("a", "b")], None)
    tags.detach(job, [Tag("m", "n", "alice"), Tag("a", "b", "")], API)
    assert len(tags.of_job(id)) == 2
    tags.detach(job, [Tag("a", "b", "global")], API)
    assert [tag.type for tag in tags.of_job(id)] == ["m"]
    with pytest.raises(TagMissing, match=r"tag does not exist \(name, type, scope\): x, y, global"):
        tags.detach(job, [Tag("y", "x", "global")], API)


def test_deleting_takes_the_links_along(tags: TagRepository, jobs: JobRepository) -> None:
    one, two = stored(jobs, make_job(1), make_job(2))
    for id in (one, two):
        tags.attach(make_job(1, id=id), [Tag("a", "b"), Tag("c", "d")], None)
    assert [(tag.name, count) for tag, count in tags.counts()] == [("b", 2), ("d", 2)]
    untagged: list[Untagging] = []
    assert tags.delete([Tag("a", "b", "global"), Tag("m", "n", "alice")], API, untagged.append) == 1
    assert [sorted(lost.ids) for lost in untagged] == [sorted((one, two))]
    with pytest.raises(TagMissing):
        tags.delete([Tag("a", "b", "global")], API, untagged.append)
    assert [tag.name for tag in tags.of_job(one)] == ["d"]
    left = tags.list()[0].id
    with pytest.raises(TagForbidden):
        tags.delete_ids([left], SUPPORT)
    assert tags.delete_ids([left], ADMIN) == [left]
    assert jobs.tags_of([one, two]) == {one: [], two: []}


def test_links_vanish_with_their_job(tags: TagRepository, jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1))
    tags.attach(make_job(1, id=id), [Tag("a", "b")], None)
    assert jobs.delete(id)
    assert [count for _, count in tags.counts()] == [0]


def test_the_archived_record_of_a_finished_job_follows(
    database: Database, jobs: JobRepository, tmp_path: Path
) -> None:
    (tmp_path / "archive").mkdir()
    archive = FileArchive(tmp_path / "archive")
    archive.open()
    tags = TagRepository(database, archive)
    finished, running = make_job(1, state="completed"), make_job(2)
    finished.id, running.id = stored(jobs, finished, running)
    for job in (finished, running):
        archive.import_job(job, {})

    def archived(job: Job) -> list[tuple[str, str]]:
        return [
            (tag.name, tag.scope)
            for tag in archive.load_meta(job.cluster, job.job_id, job.start_time).tags or ()
        ]

    for job in (finished, running):
        tags.attach(job, [Tag("a", "b"), Tag("m", "n", "alice")], None)
    assert archived(finished) == [("b", "global"), ("n", "alice")]
    assert archived(running) == []
    tags.detach(finished, [Tag("a", "b", "global")], None)
    assert archived(finished) == [("n", "alice")]
    tags.delete_ids([tag.id for tag in tags.list(ALICE) if tag.scope == "alice"], ALICE)
    assert archived(finished) == []
