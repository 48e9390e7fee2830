"""docs/graphql.md: its examples run, its tables name every field, its limits are those of the code."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLObjectType

from ccserver.graphql import documents
from ccserver.graphql.resolvers.analysis import MOST_JOBS
from ccserver.graphql.resolvers.statistics import MOST_LIVE_JOBS
from ccserver.graphql.schema import core_schema
from tests.conftest import ROOT
from tests.graphql.graphql_world import World
from tests.graphql.shapes import differences

PAGE = (ROOT / "docs" / "graphql.md").read_text()
EXAMPLES = re.findall(r"```graphql\n(.*?)```\n```json\n(.*?)```", PAGE, re.DOTALL)
SECTIONS = {
    heading: re.findall(r"^\| `(\w+)` \| (\S.*) \|$", text, re.MULTILINE)
    for heading, text in re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
TYPES = {
    name: set(kind.fields)
    for name, kind in core_schema.type_map.items()
    if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType) and not name.startswith("__")
}


@pytest.mark.parametrize(("query", "answer"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(world: World, query: str, answer: str) -> None:
    got: Any = world.ask("root", query)
    assert differences(json.loads(answer), got) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


def test_every_type_and_field_has_its_line() -> None:
    documented = {
        name: {field for field, _meaning in rows} for name, rows in SECTIONS.items() if name in TYPES
    }
    assert documented == TYPES


@pytest.mark.parametrize(
    "number", [documents.COST_LIMIT, documents.DEPTH_LIMIT, MOST_JOBS, MOST_LIVE_JOBS, documents.TOKEN_LIMIT]
)
def test_limits_are_those_of_the_code(number: int) -> None:
    limits = PAGE.split("### Limits")[1].split("###")[0]
    assert re.search(rf"\| {number}( \||,)|\| {number:,} \|", limits)
