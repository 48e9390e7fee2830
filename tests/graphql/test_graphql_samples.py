"""Each sample query of the contract gives an answer of the sample answer's shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ccserver.graphql.scalars import rfc3339
from ccserver.model.job import Tag
from tests.graphql.graphql_world import IDS, NOW, World
from tests.graphql.shapes import differences

CHAPTER = Path(__file__).resolve().parents[3] / "shared" / "spec" / "graphql.md"
PAIR = re.compile(r"```graphql\n((?:(?!```).)*)```\s*```json\n((?:(?!```).)*)```", re.DOTALL)
VARIABLES: dict[str, Any] = {
    "f": [], "filter": [{"state": "timeout"}], "from": rfc3339(NOW - 600), "to": rfc3339(NOW),
    "sorting": {"field": "startTime", "type": "col", "order": "DESC"},
    "paging": {"itemsPerPage": 10, "page": 1}, "job": str(IDS[1005]), "tagIds": ["4"],
}  # fmt: skip


def samples() -> list[tuple[str, Any]]:
    """Queries with their answers; a block of mutations has one of each per line."""
    if not CHAPTER.is_file():
        return []
    found = []
    for query, answer in PAIR.findall(CHAPTER.read_text().split("## 3 Schema")[1]):
        queries = query.strip().splitlines() if query.startswith("mutation") else [query]
        answers = answer.strip().splitlines() if query.startswith("mutation") else [answer]
        for one, text in zip(queries, answers, strict=True):
            document = json.loads(text)
            if "data" in document:
                found.append((one, document))
    return found


def test_the_chapter_has_samples() -> None:
    if not CHAPTER.is_file():
        pytest.skip(f"no contract at {CHAPTER}")
    assert len(samples()) >= 11


@pytest.mark.parametrize(
    ("query", "answer"), samples(), ids=lambda value: re.sub(r"\W+", "_", str(value))[:40]
)
def test_a_sample_has_its_shape(world: World, query: str, answer: Any) -> None:
    if query.startswith("mutation") and "createTag" not in query:
        created = world.site.tags.create(Tag("app", "other", "global"), None)
        assert created.id == 4
    if "createTag" in query:
        query = query.replace('name: "md"', 'name: "new"')  # the site has that tag already
    variables = {name: value for name, value in VARIABLES.items() if re.search(rf"\${name}\b", query)}
    got = world.ask("root", query, **variables)
    assert differences(answer, got) == []
