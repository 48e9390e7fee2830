"""Names of the steps between which a crash must lose nothing: tests/faults kills the process at each."""

from __future__ import annotations

from collections.abc import Callable

STEPS = (
    "checkpoint: begun",
    "checkpoint: block written",
    "checkpoint: written",
    "checkpoint: synced",
    "checkpoint: renamed",
    "checkpoint: older files removed",
    "journal: switched",
    "journal: file made",
    "journal: record written",
    "journal: synced",
    "journal: file removed",
    "restore: begun",
    "restore: block inserted",
    "restore: file read",
    "restore: file moved aside",
    "restore: record replayed",
    "restore: done",
    "import: saved",
    "import: marked",
    "archive: file written",
    "archive: file renamed",
    "archive: noted",
)

on_step: Callable[[str], None] | None = None
"""Called with the name of every step; for tests."""


def step(name: str) -> None:
    """Says that a step has been reached."""
    if on_step is not None:
        on_step(name)
