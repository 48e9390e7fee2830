"""Address ranges: arrays with room to grow that never move, and cost nothing until they are touched."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Not counted against the commit limit; the constant is missing in older Pythons.
_NO_RESERVE = 0x4000 if os.uname().sysname == "Linux" else 0
_HUGE_PAGE = 1 << 21


def reserve(rows: int, columns: int, dtype: DTypeLike, *, huge: bool = False) -> NDArray[Any]:
    """A zeroed array of `rows` x `columns` (one-dimensional when columns is 0), aligned to cache lines.

    Where the process may not have that much address space (ulimit -v), it gets half as many rows, or a
    quarter,
    ...; `huge` asks for large pages, which make the first touch of memory ten times cheaper.
    """
    item = np.dtype(dtype).itemsize * max(columns, 1)
    while True:
        try:
            area = mmap.mmap(
                -1, rows * item + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
            )
            break
        except OSError:
            if rows < 1024:
                raise
            rows //= 2
    if huge and hasattr(mmap, "MADV_HUGEPAGE"):
        area.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(area, dtype, count=rows * max(columns, 1))
    return array.reshape(rows, columns) if columns else array


def physical_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
