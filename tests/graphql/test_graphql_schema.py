"""The printed schema is the published one, type by type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    get_named_type,
    lexicographic_sort_schema,
    print_schema,
)

from ccserver.graphql import presentation
from ccserver.graphql.schema import core_schema, schema

PUBLISHED = Path(__file__).with_name("schema.graphql")
CHAPTER = Path(__file__).resolve().parents[3] / "shared" / "spec" / "graphql.md"


def normal_form(sdl: str) -> str:
    """The same schema with types, fields and arguments in alphabetical order."""
    return print_schema(lexicographic_sort_schema(build_schema(sdl)))


def test_schema_is_the_published_listing() -> None:
    assert normal_form(schema.as_str()) == normal_form(PUBLISHED.read_text())


def test_schema_holds_all_of_the_contract() -> None:
    if not CHAPTER.is_file():
        pytest.skip(f"no contract at {CHAPTER}")
    listing = CHAPTER.read_text().split("## 3 Schema")[1].split("```graphql\n")[1].split("```")[0]
    changes = find_breaking_changes(build_schema(listing), build_schema(schema.as_str()))
    assert [change.description for change in changes] == []


def test_schema_needs_neither_store_nor_event_loop() -> None:
    program = "import sys; from ccserver.graphql.schema import schema; schema.as_str(); print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert not {"numba", "trio", "nats"} & set(modules)


def test_printing_is_a_command() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "ccserver.graphql.schema"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert normal_form(printed) == normal_form(PUBLISHED.read_text())


def test_every_text_of_the_schema_has_a_verdict() -> None:
    """Whoever adds a field of text decides whether it can hold the name of a user, project, host or job.

    Presentation mode hides such names and refuses what `ccserver/graphql/presentation.py` does not list.
    """
    given, taken = set(), set()
    for type_ in core_schema.type_map.values():
        if type_.name.startswith("__"):
            continue
        for name, field in getattr(type_, "fields", {}).items():
            text = get_named_type(field.type).name in presentation.TEXTS
            if isinstance(type_, GraphQLObjectType):
                given |= {f"{type_.name}.{name}"} if text else set()
                for argument, sent in field.args.items():
                    if get_named_type(sent.type).name in presentation.TEXTS:
                        taken.add(f"{type_.name}.{name}.{argument}")
            elif isinstance(type_, GraphQLInputObjectType) and text:
                taken.add(f"{type_.name}.{name}")
    withheld = {"Mutation.updateConfiguration"}
    known = presentation.SAFE | presentation.CHANGED.keys() | withheld
    assert given - known == set()
    assert presentation.SAFE - given == set()
    known_arguments = presentation.SAFE_TAKEN | presentation.TAKEN.keys()
    assert taken - known_arguments == set()
    assert presentation.SAFE_TAKEN - taken == set()
