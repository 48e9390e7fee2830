from __future__ import annotations

from strawberry import ID, UNSET, Info

from ccserver.graphql.inputs import JobFilter, OrderByInput, PageRequest


def job(info: Info, id: ID) -> object:
    raise NotImplementedError


def jobs(
    info: Info,
    filter: list[JobFilter] | None = UNSET,
    page: PageRequest | None = UNSET,
    order: OrderByInput | None = UNSET,
) -> object:
    raise NotImplementedError
