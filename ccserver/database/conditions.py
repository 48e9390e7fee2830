"""Text conditions that filters of jobs and nodes share. Contract: spec/graphql.md 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class StringInput:
    """The first member present in the order eq, neq, starts_with, ends_with, contains, in_ decides."""

    eq: str | None = None
    neq: str | None = None
    contains: str | None = None
    starts_with: str | None = None
    ends_with: str | None = None
    in_: Sequence[str] | None = None


def text_condition(column: ColumnElement[Any], wanted: StringInput | None) -> Condition | None:
    """None where nothing is restricted. `%` and `_` in partial texts are wildcards, as clients know them."""
    if wanted is None:
        return None
    if wanted.eq is not None:
        return column == wanted.eq
    if wanted.neq is not None:
        return column != wanted.neq
    for pattern in (
        None if wanted.starts_with is None else f"{wanted.starts_with}%",
        None if wanted.ends_with is None else f"%{wanted.ends_with}",
        None if wanted.contains is None else f"%{wanted.contains}%",
    ):
        if pattern is not None:
            return column.like(pattern)
    return None if wanted.in_ is None else column.in_(list(wanted.in_))
