from __future__ import annotations

from strawberry import Info


def clusters(info: Info) -> object:
    raise NotImplementedError


def global_metrics(info: Info) -> object:
    raise NotImplementedError
