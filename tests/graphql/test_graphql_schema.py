"""The printed schema is the published one, type by type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from graphql import build_schema, find_breaking_changes, lexicographic_sort_schema, print_schema

from ccserver.graphql.schema import schema

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
