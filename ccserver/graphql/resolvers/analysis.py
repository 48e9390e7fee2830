from __future__ import annotations

from strawberry import UNSET, Info

from ccserver.graphql.inputs import JobFilter


def jobs_footprints(info: Info, metrics: list[str], filter: list[JobFilter] | None = UNSET) -> object:
    raise NotImplementedError


def roofline_heatmap(
    info: Info,
    filter: list[JobFilter],
    rows: int,
    cols: int,
    min_x: float,
    min_y: float,
    max_x: float,
    max_y: float,
) -> object:
    raise NotImplementedError
