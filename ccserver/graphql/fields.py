"""How fields get their resolvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def resolved_by(resolver: Callable[..., object]) -> Any:
    """A field of the annotated type. The resolver may return anything that has that type's attributes."""
    return strawberry.field(resolver=resolver)


def per_item(resolver: F) -> F:
    """Mark a resolver that takes the parent and `info.context`, nothing else.

    The executor calls it directly, item after item, without the library's work around a field.
    """
    resolver.per_item = True  # type: ignore[attr-defined]
    return resolver


def is_per_item(resolver: object) -> bool:
    return getattr(resolver, "per_item", False)
