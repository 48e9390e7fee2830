"""Parts of metric data that are never null on the wire though the document may lack them."""

from __future__ import annotations

import numpy as np
from strawberry import Info, Parent

from ccserver.graphql.fields import per_item
from ccserver.model.metrics import NO_STATISTICS, Series, StatisticsSeries

NO_CURVE = np.empty(0, np.float32)


@per_item
def statistics(parent: Parent[Series], info: Info) -> object:
    return parent.statistics or NO_STATISTICS


@per_item
def mean(parent: Parent[StatisticsSeries], info: Info) -> object:
    return NO_CURVE if parent.mean is None else parent.mean


@per_item
def median(parent: Parent[StatisticsSeries], info: Info) -> object:
    return NO_CURVE if parent.median is None else parent.median


@per_item
def minimum(parent: Parent[StatisticsSeries], info: Info) -> object:
    return NO_CURVE if parent.min is None else parent.min


@per_item
def maximum(parent: Parent[StatisticsSeries], info: Info) -> object:
    return NO_CURVE if parent.max is None else parent.max
