"""Comparing answers by shape: the same members of the same JSON kinds."""

from __future__ import annotations

from typing import Any


def differences(expected: Any, got: Any, place: str = "") -> list[str]:
    """Where `got` has another shape than `expected`; null fits everything, of lists the first items count."""
    if expected is None or got is None:
        return []
    if isinstance(expected, dict) and isinstance(got, dict):
        if list(expected) != list(got):
            return [f"{place}: members {list(got)} instead of {list(expected)}"]
        return [one for key in expected for one in differences(expected[key], got[key], f"{place}.{key}")]
    if isinstance(expected, list) and isinstance(got, list):
        return differences(expected[0], got[0], f"{place}[0]") if expected and got else []
    return [] if _kind(expected) == _kind(got) else [f"{place}: {got!r} instead of {expected!r}"]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__
