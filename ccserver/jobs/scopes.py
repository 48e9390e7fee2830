"""Who may read and write tags of which scope. Contract: spec/operations.md 3.5."""

from __future__ import annotations

from ccserver.model.user import Principal

GLOBAL = "global"
ADMIN = "admin"


def readable(scope: str, viewer: Principal | None) -> bool:
    """The reserved words are decided by role, so that an account named "admin" gains nothing."""
    if viewer is None or scope == GLOBAL:
        return True
    if scope == ADMIN:
        return bool(viewer.roles & {"admin", "support"})
    return scope == viewer.username


def writable(scope: str, viewer: Principal | None) -> bool:
    if viewer is None:
        return True
    if scope == GLOBAL:
        return viewer.api_only or bool(viewer.roles & {"admin", "support"})
    if scope == ADMIN:
        return viewer.api_only or "admin" in viewer.roles
    return bool(scope) and scope == viewer.username
