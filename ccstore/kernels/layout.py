"""Where everything lies: columns of the tables that the kernels share, and their numba types.

All tables are address ranges reserved once and never moved (ccstore/memory.py), so that readers need no lock.

Cost model: a series costs 64 bytes (its row in `series`), 12 bytes (its segment), 8 to 32 bytes (its group),
12 to 24 bytes of directory and, while senders use it, about 100 bytes of alias. A page costs 20 bytes and
4 bytes for each of its slots; pages begin with 8 slots a series and grow to 64, so that a series never has
much more room than it has samples (benchmarks/store_memory.py). Old pages are joined and packed (codec.py).

A *slot number* k counts steps of f seconds: the slot's nominal time is BASE + k * f + offset, where the
offset belongs to a segment of the series (spec/metric-store.md 3.3). Slot numbers never repeat within a
series. Series of one host and step share pages (a *group*, of 1, 2 or 4 series): a page holds a run of slot
numbers of each of them, whatever their offsets are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from ccstore.kernels.compiling import entry_point

Function = TypeVar("Function", bound=Callable[..., Any])

# 2020-01-01: slot numbers and times relative to it fit 32 bits until 2088, even at one sample a second.
BASE = 1577836800

UNIT = 8  # slots: pages are multiples of it in size and place
UNIT_BITS = 3
UNIT_BYTES = 4 * UNIT
LARGEST = 64  # slots of a page
PAGE_BYTES = 20  # its row in `pages`

# series[:, ...], int32: one cache line per series
METRIC = 0
HOST = 1
COMPONENT = 2
NEXT = 3  # next series of the same host and metric, -1 at the end
LAST = 4  # newest slot number
TIME = 5  # time stamp of the newest sample, relative to BASE
OFFSET = 6  # of the newest segment: a copy for writers
GROUP = 7
SEGMENT = 8  # newest row of `segments`: the one readers use
SHIFT = 9  # consecutive samples early (-) or late (+) by more than f/4
DEVIATION = 10  # sum of their deviations, or of those of a young segment
AGE = 11  # samples of the newest segment, up to YOUNG
STEP = 12  # f
ALIVE = 13
BEGIN = 14  # slots before this one have been freed: older checkpoints may still have them
LOGGED = 15  # chapter of the journal that says what series this is

YOUNG = 8

# segments[:, ...], int32
SEGMENT_OFFSET = 0
SEGMENT_FIRST = 1
SEGMENT_OLDER = 2

# groups[:, ...], int32
NEWEST = 0  # page
OLDEST = 1  # page
GROUP_HOST = 2
GROUP_USED = 3  # rows given out
GROUP_ALIVE = 4  # rows with a living series
GROUP_NEXT = 5  # next group of the host
GROUP_FIRST = 6  # series of row 0, the others follow
GROUP_ROWS = 7  # 1, 2 or 4

# pages[:, ...], int32
PAGE_START = 0  # its first slot
OLDER = 1
NEWER = 2
PAGE_AT = 3  # unit of `slots` at which its rows begin, one after the other; unsigned
STATE = 4  # log2 of units a row | log2 of rows << 2 | ... << PACKED | SETTLED | ... << CHANGED
PACKED = 4  # shift of five bits: units of a page that is packed, 0: it is not
SETTLED = 1 << 9  # packed, or found not worth it
CHANGED = 10  # shift: number of the checkpoint it changed after
MOST_UNITS = 32  # of a page

# hosts[:, ...], int32
HOST_CLUSTER = 0
HOST_GROUPS = 1
HOST_SERIES = 2  # living series
HOST_KEPT = 3  # 1: retention leaves it alone
HOST_NAME = 4  # entry in `names`

# components[:, ...], int32
TYPE = 0
SUBTYPE = 1  # 0: none
PARENT = 2  # the component without sub type
NAME = 3  # entry in `names`

# metrics[:, ...], int64
METRIC_TABLE = 0
METRIC_STEP = 1
METRIC_SUBTYPE_IGNORED = 2

# counts[...], int64
SERIES_COUNT = 0
GROUP_COUNT = 1
PAGE_COUNT = 2
SEGMENT_COUNT = 3
HOST_COUNT = 4
COMPONENT_COUNT = 5
DIRECTORY_COUNT = 6
UNIT_COUNT = 7
UNITS_IN_USE = 8
FREE_SEGMENTS = 9
PAGES_IN_USE = 10
SERIES_LIVING = 11
LAST_ALIAS = 12
TYPE_COUNT = 13
CLUSTER_COUNT = 14
UNKNOWN_COUNT = 15
ANY_CLUSTER = 16  # metric table for clusters that are not configured, -1: none
PAGE_LIMIT = 17
SAMPLES = 18
SUBTYPE_IGNORED = 19
PREDICTED = 20
TABLE_COUNT = 21
UNIT_LIMIT = 22
EPOCH = 23  # checkpoints begun
FREE_GROUPS = 24  # heads of lists linked through GROUP_NEXT: of 1, 2, 4 rows
FREE_PAGES = 26  # + units: heads of lists linked through OLDER
FREE_ROWS = 59  # head of a list, linked the same way, of rows of `pages` without slots
REPLACED = 60  # head of a list, linked through NEWER, of pages that others have taken the place of
PACKED_PAGES = 61
SPARED_UNITS = 62  # what these would take more if they were not packed
COUNTS = 72

# entries of a ByteTable, int64
START = 0
KEY = 1  # length | flags << 16 | scope << 32
HASH = 2
VALUE = 3

# used[...] of a ByteTable
ENTRIES = 0
TEXT_END = 1
ENTRY_LIMIT = 2
TEXT_LIMIT = 3

# spaces of names; those that depend on a number are shifted left by it
SPACE_CLUSTER = 1
SPACE_COMPONENT = 2
SPACE_TYPE = 3
SPACE_UNKNOWN = 4
SPACE_HOST = 5
SPACE_METRIC = 6

UNKNOWN_LIMIT = 1000


class ByteTable(NamedTuple):
    """Open addressing from (bytes, scope) to a number; text is only ever appended."""

    slots: NDArray[np.int64]
    entries: NDArray[np.int64]
    text: NDArray[np.uint8]
    used: NDArray[np.int64]


class Tables(NamedTuple):
    """Everything a store consists of."""

    alias: ByteTable
    names: ByteTable
    directory: NDArray[np.int32]
    series: NDArray[np.int32]
    segments: NDArray[np.int32]
    groups: NDArray[np.int32]
    pages: NDArray[np.int32]
    slots: NDArray[np.float32]
    hosts: NDArray[np.int32]
    components: NDArray[np.int32]
    clusters: NDArray[np.int64]
    metrics: NDArray[np.int64]
    unknown: NDArray[np.int64]
    counts: NDArray[np.int64]


Flat = tuple[NDArray[Any], ...]
"""The arrays of `Tables` in order, without nesting: handing that over costs a third of nested named
tuples."""

int64 = types.int64
uint64 = types.uint64
float64 = types.float64
none = types.void
bytes1 = types.Array(types.uint8, 1, "C")
readonly_bytes1 = types.Array(types.uint8, 1, "C", readonly=True)
int64_1 = types.Array(types.int64, 1, "C")
int64_2 = types.Array(types.int64, 2, "C")
int32_1 = types.Array(types.int32, 1, "C")
int32_2 = types.Array(types.int32, 2, "C")
float32_1 = types.Array(types.float32, 1, "C")
float64_1 = types.Array(types.float64, 1, "C")
float64_2 = types.Array(types.float64, 2, "C")

BYTE_TABLE = (int64_1, int64_2, bytes1, int64_1)
TABLES = types.Tuple(  # type: ignore[no-untyped-call]
    (
        *BYTE_TABLE,
        *BYTE_TABLE,
        int32_1,
        int32_2,
        int32_2,
        int32_2,
        int32_2,
        float32_1,
        int32_2,
        int32_2,
        int64_1,
        int64_2,
        int64_1,
        int64_1,
    )
)


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
    # Hashes wrap around; only numpy's scalars complain about it.
    np.seterr(over="ignore")

# Divisions by zero cannot occur where numbers come from outside; numpy's model spares the check.
# Without numba's reference counts (two atomic operations per array, table and call) kernels cannot
# allocate: what they
# need comes from the caller.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}


def part(function: Function) -> Function:
    """Compiles a function that kernels call; it becomes part of each of them."""
    return numba.njit(**_OPTIONS)(function)  # type: ignore[no-any-return]


def reordering(function: Function) -> Function:
    """Like `part`; sums may be taken in any order, which is what lets them be vectorised."""
    return numba.njit(fastmath={"reassoc", "nsz"}, **_OPTIONS)(function)  # type: ignore[no-any-return]


def inlined(function: Function) -> Function:
    """Like `part`, for the hot path: a call with all tables as arguments would cost more than its work."""
    return numba.njit(**_OPTIONS, forceinline=True)(function)  # type: ignore[no-any-return]


def kernel(result: Any, *arguments: Any) -> Callable[[Function], Function]:
    """Compiles an entry point for one signature, into the cache, running without the interpreter lock."""

    def compile_it(function: Function) -> Function:
        return entry_point(result(*arguments), function, _OPTIONS)  # type: ignore[no-any-return]

    return compile_it


@part
def gather(flat: Flat) -> Tables:
    return Tables(
        ByteTable(flat[0], flat[1], flat[2], flat[3]),
        ByteTable(flat[4], flat[5], flat[6], flat[7]),
        flat[8],
        flat[9],
        flat[10],
        flat[11],
        flat[12],
        flat[13],
        flat[14],
        flat[15],
        flat[16],
        flat[17],
        flat[18],
        flat[19],
    )
