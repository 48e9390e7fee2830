"""Text conditions that filters of jobs and nodes share. Contract: spec/graphql.md 5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def text_predicate(wanted: StringInput | None) -> Callable[[str], bool] | None:
    """What `text_condition` says, as a function of the text; None where nothing is restricted.

    Raises NotImplementedError for wildcards inside the text: matching them is SQLite's business.
    """
    if wanted is None:
        return None
    if wanted.eq is not None:
        return wanted.eq.__eq__
    if wanted.neq is not None:
        return wanted.neq.__ne__
    if wanted.starts_with is not None:
        start = _folded(wanted.starts_with)
        return lambda text: text.translate(_ASCII_LOWER).startswith(start)
    if wanted.ends_with is not None:
        end = _folded(wanted.ends_with)
        return lambda text: text.translate(_ASCII_LOWER).endswith(end)
    if wanted.contains is not None:
        part = _folded(wanted.contains)
        return lambda text: part in text.translate(_ASCII_LOWER)
    return None if wanted.in_ is None else frozenset(wanted.in_).__contains__


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _folded(pattern: str) -> str:
    """Letters as LIKE compares them: ASCII without case, others with."""
    if any(special in pattern for special in "%_\0"):
        raise NotImplementedError(f"a pattern with wildcards: {pattern!r}")
    return pattern.translate(_ASCII_LOWER)
