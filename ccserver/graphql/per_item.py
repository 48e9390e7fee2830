"""Resolvers that the executor may call directly, item after item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def per_item(resolver: F) -> F:
    """Mark a resolver that takes the parent and `info.context`, nothing else: it is run for whole lists."""
    resolver.per_item = True  # type: ignore[attr-defined]
    return resolver


def is_per_item(resolver: object) -> bool:
    return getattr(resolver, "per_item", False)
