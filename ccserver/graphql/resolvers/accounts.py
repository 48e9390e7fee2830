from __future__ import annotations

from strawberry import Info


def user(info: Info, username: str) -> object:
    raise NotImplementedError


def update_configuration(info: Info, name: str, value: str) -> object:
    raise NotImplementedError
