"""Tags: who sees, creates, attaches and deletes which. Contract: spec/graphql.md 4, 13, 14."""

from __future__ import annotations

from typing import Any

import pytest

from ccserver.graphql.resolvers import tags as tag_resolvers
from ccserver.jobs import tags as tag_repository
from ccserver.model.job import Tag
from tests.graphql.graphql_world import IDS, START, World

MD, ODD, BEST = 1, 2, 3  # scopes global, admin, alice

CREATE = 'mutation($s: String!) { createTag(type: "t", name: "n", scope: $s) { id type name scope } }'
ADD = "mutation($job: ID!, $tags: [ID!]!) { addTagsToJob(job: $job, tagIds: $tags) { id name } }"
REMOVE = "mutation($job: ID!, $tags: [ID!]!) { removeTagsFromJob(job: $job, tagIds: $tags) { id } }"
DELETE = "mutation($tags: [ID!]!) { removeTagFromList(tagIds: $tags) }"


@pytest.mark.parametrize(
    ("user", "visible"),
    [
        ("root", {"md", "odd"}),
        ("sue", {"md", "odd"}),
        ("mona", {"md"}),
        ("alice", {"md", "best"}),
        ("script", {"md"}),
    ],
)
def test_tags_the_caller_may_read(world: World, user: str, visible: set[str]) -> None:
    assert {tag["name"] for tag in world.data(user, "{ tags { name } }")["tags"]} == visible


@pytest.mark.parametrize(
    ("user", "scope", "allowed"),
    [
        ("root", "global", True),
        ("sue", "global", True),
        ("mona", "global", False),
        ("alice", "global", False),
        ("script", "global", False),
        ("root", "admin", True),
        ("sue", "admin", False),
        ("alice", "admin", False),
        ("alice", "alice", True),
        ("root", "alice", False),
        ("alice", "", False),
    ],
)
def test_who_creates_which(world: World, user: str, scope: str, allowed: bool) -> None:
    if allowed:
        assert world.data(user, CREATE, s=scope)["createTag"] == {
            "id": 4,
            "type": "t",
            "name": "n",
            "scope": scope,
        }
    else:
        expected = f"not authorized to create tag with scope: {scope}"
        assert world.error(user, CREATE, s=scope) == expected
        assert len(world.site.tags.list(None)) == 3


def test_a_duplicate_is_an_error(world: World) -> None:
    world.data("root", CREATE, s="global")
    assert "exists" in world.error("root", CREATE, s="global")


def test_attaching_returns_what_the_caller_may_read(world: World) -> None:
    answer = world.data("root", ADD, job=IDS[1001], tags=[MD])
    assert answer["addTagsToJob"] == [{"id": MD, "name": "md"}]
    assert world.data("root", ADD, job=IDS[1001], tags=[]) == {"addTagsToJob": []}


def test_attaching_twice_is_an_error(world: World) -> None:
    assert "errors" in world.ask("root", ADD, job=IDS[1005], tags=[MD])


def test_the_first_failure_stops_and_earlier_ones_stay(world: World) -> None:
    assert "tag does not exist (ID): 99" in world.error("root", ADD, job=IDS[1002], tags=[MD, "99", ODD])
    query = "query($id: ID!) { job(id: $id) { tags { id } } }"
    assert world.data("root", query, id=IDS[1002])["job"]["tags"] == [{"id": MD}]


@pytest.mark.parametrize("user", ["mona", "alice", "script"])
def test_others_may_not_attach_global_tags(world: World, user: str) -> None:
    assert world.error(user, ADD, job=IDS[1001], tags=[MD]) == f"not authorized to add tag: {MD}"


def test_a_job_one_cannot_see_cannot_be_tagged(world: World) -> None:
    assert world.error("alice", ADD, job=IDS[1003], tags=[BEST]) == "sql: no rows in result set"


def test_detaching(world: World) -> None:
    assert world.data("root", REMOVE, job=IDS[1005], tags=[MD]) == {"removeTagsFromJob": [{"id": ODD}]}
    assert world.data("root", REMOVE, job=IDS[1005], tags=[MD]) == {"removeTagsFromJob": [{"id": ODD}]}
    assert world.error("sue", REMOVE, job=IDS[1005], tags=[ODD]) == f"not authorized to remove tag: {ODD}"


def test_the_archived_record_follows(world: World) -> None:
    world.data("root", ADD, job=IDS[1001], tags=[MD])
    archived = world.site.archive.load_meta("tc", 1001, 1_700_000_000)
    assert sorted(tag.name for tag in archived.tags or ()) == ["best", "md"]


def test_deleting_altogether(world: World) -> None:
    assert world.data("root", DELETE, tags=[str(MD), ODD]) == {"removeTagFromList": [MD, ODD]}
    assert world.data("alice", DELETE, tags=BEST) == {"removeTagFromList": [BEST]}
    assert world.site.tags.list(None) == []


@pytest.mark.parametrize(("user", "tag"), [("sue", MD), ("alice", MD), ("root", BEST), ("script", MD)])
def test_others_may_not_delete(world: World, user: str, tag: int) -> None:
    assert world.error(user, DELETE, tags=[tag]) == f"not authorized to remove tag: {tag}"


def test_delete_tag_answers_with_the_id_as_text(world: World) -> None:
    assert world.data("root", "mutation { deleteTag(id: 1) }") == {"deleteTag": "1"}
    assert "tag does not exist" in world.error("root", "mutation { deleteTag(id: 1) }")


def test_mutations_run_one_after_another(world: World) -> None:
    mutation = """mutation { a: createTag(type: "t", name: "1", scope: "global") { id }
                  removeTagFromList(tagIds: [4])
                  b: createTag(type: "t", name: "1", scope: "global") { id } }"""
    data = world.data("root", mutation)
    assert list(data) == ["a", "removeTagFromList", "b"]
    assert data["a"]["id"] == 4


MANY = """mutation($filter: [JobFilter!]!, $tag: ID!, $dry: Boolean!) {
  addTagsToJobs(filter: $filter, tagIds: [$tag], dryRun: $dry) { matching affected changed } }"""
NONE = MANY.replace("addTags", "removeTags").replace("ToJobs", "FromJobs")


def change_many(world: World, user: str, text: str, tag: int, **wanted: Any) -> tuple[int, int, int]:
    variables = {"filter": [wanted.get("filter", {})], "tag": str(tag), "dry": wanted.get("dry", False)}
    [found] = world.data(user, text, **variables).values()
    return found["matching"], found["affected"], found["changed"]


def test_many_jobs_are_tagged_after_a_look_at_how_many(world: World) -> None:
    tag = world.site.tags.create(Tag("bulk", "all", "global"), None).id
    of_alice = {"user": {"eq": "alice"}}
    assert change_many(world, "sue", MANY, tag, filter=of_alice, dry=True) == (2, 2, 0)
    assert change_many(world, "sue", MANY, tag, filter={"dbId": [str(IDS[1001])]}) == (1, 1, 1)
    assert change_many(world, "sue", MANY, tag, filter=of_alice) == (2, 1, 1)
    assert change_many(world, "sue", MANY, tag, filter=of_alice) == (2, 0, 0)
    for number in (1001, 1002):
        one = world.site.jobs.find(IDS[number])
        assert one is not None
        assert ("bulk", "all") in {(each.type, each.name) for each in world.site.tags.of_job(one.id)}
        archived = world.site.archive.load_meta("tc", number, one.start_time)
        assert ("bulk", "all") in {(each.type, each.name) for each in archived.tags or ()}
    assert change_many(world, "sue", NONE, tag) == (5, 2, 2)
    archived = world.site.archive.load_meta("tc", 1001, START)
    assert ("bulk", "all") not in {(each.type, each.name) for each in archived.tags or ()}


def test_many_are_changed_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_resolvers, "MOST_TAGGED", 3)
    monkeypatch.setattr(tag_repository, "_BATCH", 2)
    tag = world.site.tags.create(Tag("bulk", "some", "global"), None).id
    assert change_many(world, "sue", MANY, tag) == (5, 5, 3)
    assert change_many(world, "sue", MANY, tag) == (5, 2, 2)


def test_only_jobs_one_sees_are_tagged(world: World) -> None:
    own = world.site.tags.create(Tag("mine", "many", "alice"), None).id
    assert change_many(world, "alice", MANY, own) == (2, 2, 2)
    assert world.site.tags.of_job(IDS[1003]) == []


def test_a_right_missing_for_one_tag_changes_nothing(world: World) -> None:
    own = world.site.tags.create(Tag("mine", "one", "alice"), None).id
    common = world.site.tags.create(Tag("bulk", "common", "global"), None).id
    text = "mutation($tags: [ID!]!) { addTagsToJobs(filter: [], tagIds: $tags) { changed } }"
    answer = world.ask("alice", text, tags=[str(own), str(common)])
    assert "not authorized to add tag" in answer["errors"][0]["message"]
    assert all(one.id != own for one in world.site.tags.of_job(IDS[1001]))
