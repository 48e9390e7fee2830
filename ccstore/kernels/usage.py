"""What each cluster holds: for monitoring. About 10 ns a page, without any lock."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    GROUP_ALIVE,
    GROUP_NEXT,
    HOST_CLUSTER,
    HOST_COUNT,
    HOST_GROUPS,
    HOST_SERIES,
    NEWEST,
    OLDER,
    PAGE_BYTES,
    TABLES,
    UNIT_BYTES,
    Flat,
    gather,
    int64_2,
    kernel,
    none,
)
from ccstore.kernels.pages import page_units

# columns of the result
HOSTS = 0
SERIES = 1
PAGES = 2
BYTES = 3
COLUMNS = 4


@kernel(none, TABLES, int64_2)
def usage_of_clusters(flat: Flat, out: NDArray[np.int64]) -> None:
    """Living hosts, living series, pages and their bytes, a row per cluster; `out` is zero before."""
    tables = gather(flat)
    for host in range(tables.counts[HOST_COUNT]):
        if tables.hosts[host, HOST_SERIES] <= 0:
            continue
        cluster = np.int64(tables.hosts[host, HOST_CLUSTER])
        if cluster >= out.shape[0]:
            continue
        out[cluster, HOSTS] += 1
        group = np.int64(tables.hosts[host, HOST_GROUPS])
        while group >= 0:
            out[cluster, SERIES] += np.int64(tables.groups[group, GROUP_ALIVE])
            page = np.int64(tables.groups[group, NEWEST])
            while page >= 0:
                out[cluster, PAGES] += 1
                out[cluster, BYTES] += UNIT_BYTES * page_units(tables.pages, page) + PAGE_BYTES
                page = np.int64(tables.pages[page, OLDER])
            group = np.int64(tables.groups[group, GROUP_NEXT])
