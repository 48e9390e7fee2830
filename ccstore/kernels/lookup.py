"""Open-addressing tables: from bytes to numbers (aliases, names) and from series keys to series."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import (
    COMPONENT,
    DIRECTORY_COUNT,
    ENTRIES,
    ENTRY_LIMIT,
    HASH,
    HOST,
    KEY,
    METRIC,
    START,
    TABLES,
    TEXT_END,
    TEXT_LIMIT,
    VALUE,
    ByteTable,
    Flat,
    Tables,
    bytes1,
    gather,
    inlined,
    int32_1,
    int64,
    int64_1,
    int64_2,
    kernel,
    none,
    part,
)
from ccstore.kernels.machine import equal_lanes
from ccstore.kernels.numbers import load

_SEED = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_ONE = np.uint64(1)
_EIGHT = np.uint64(8)
_SIXTEEN = np.uint64(16)
_TWENTY_FOUR = np.uint64(24)
_THIRTY_TWO = np.uint64(32)
_ALL_LANES = np.uint64(0xFFFFFFFF)

LOW = 0xFFFFFFFF


@part
def hash_bytes(text: NDArray[np.uint8], start: int, length: int, scope: int) -> int:
    """A 63-bit hash of the bytes and the scope; four words at a time, so that multiplications overlap."""
    a = _SEED ^ (np.uint64(scope) * _PRIME)
    b = _SEED ^ np.uint64(length)
    c = _SEED
    d = _PRIME
    at = np.uint64(start)
    for _ in range(length >> 5):
        a = (a ^ load(text, at)) * _PRIME
        b = (b ^ load(text, at + _EIGHT)) * _PRIME
        c = (c ^ load(text, at + _SIXTEEN)) * _PRIME
        d = (d ^ load(text, at + _TWENTY_FOUR)) * _PRIME
        a ^= a >> _SHIFT
        b ^= b >> _SHIFT
        c ^= c >> _SHIFT
        d ^= d >> _SHIFT
        at += _THIRTY_TWO
    for _ in range((length & 31) >> 3):
        a = (a ^ load(text, at)) * _PRIME
        a ^= a >> _SHIFT
        at += _EIGHT
    rest = length & 7
    if rest:
        mask = (_ONE << np.uint64(8 * rest)) - _ONE
        b = (b ^ (load(text, at) & mask)) * _PRIME
        b ^= b >> _SHIFT
    h = (a ^ (b * _PRIME)) * _SEED ^ (c ^ (d * _PRIME)) * _PRIME
    h ^= h >> _SHIFT
    h *= _PRIME
    h ^= h >> _SHIFT
    return np.int64(h >> _ONE)


@inlined
def equal_bytes(a: NDArray[np.uint8], i: int, b: NDArray[np.uint8], j: int, length: int) -> bool:
    """Both texts have 31 more bytes behind the key."""
    done = 0
    while done + 32 <= length:
        if equal_lanes(a, i + done, b, j + done) != _ALL_LANES:
            return False
        done += 32
    if done < length:
        lanes = (_ONE << np.uint64(length - done)) - _ONE
        return (equal_lanes(a, i + done, b, j + done) & lanes) == lanes
    return True


@part
def find(table: ByteTable, text: NDArray[np.uint8], start: int, length: int, scope: int, h: int) -> int:
    """Entry of the key, or -1."""
    mask = table.slots.shape[0] - 1
    at = h & mask
    tag = h >> 32
    while True:
        slot = table.slots[at]
        if slot == 0:
            return -1
        if slot >> 32 == tag:
            entry = (slot & LOW) - 1
            key = table.entries[entry, KEY]
            if (
                key & 0xFFFF == length
                and key >> 32 == scope
                and equal_bytes(text, start, table.text, table.entries[entry, START], length)
            ):
                return entry
        at = (at + 1) & mask


@part
def add(
    table: ByteTable,
    text: NDArray[np.uint8],
    start: int,
    length: int,
    scope: int,
    h: int,
    flags: int,
    value: int,
) -> int:
    """Appends a key that is not there; the caller made sure of room. Length is below 65536."""
    entry = table.used[ENTRIES]
    at = table.used[TEXT_END]
    for i in range(length):
        table.text[at + i] = text[start + i]
    table.entries[entry, START] = at
    table.entries[entry, KEY] = length | (flags << 16) | (scope << 32)
    table.entries[entry, HASH] = h
    table.entries[entry, VALUE] = value
    table.used[ENTRIES] = entry + 1
    table.used[TEXT_END] = at + length
    place(table.slots, entry, h)
    return entry


@part
def place(slots: NDArray[np.int64], entry: int, h: int) -> None:
    mask = slots.shape[0] - 1
    at = h & mask
    while slots[at] != 0:
        at = (at + 1) & mask
    slots[at] = (entry + 1) | ((h >> 32) << 32)


@part
def name(table: ByteTable, text: NDArray[np.uint8], start: int, length: int, scope: int) -> int:
    """Entry of a name, or -1."""
    return find(table, text, start, length, scope, hash_bytes(text, start, length, scope))


@part
def has_room(table: ByteTable, length: int) -> bool:
    """Whether another key of this length fits, entries, text and slots."""
    return (
        table.used[ENTRIES] < table.used[ENTRY_LIMIT]
        and table.used[TEXT_END] + length + 64 < table.used[TEXT_LIMIT]
        and 3 * (table.used[ENTRIES] + 8) < 2 * table.slots.shape[0]
    )


@kernel(none, int64_1, int64_2, int64)
def replace_slots(slots: NDArray[np.int64], entries: NDArray[np.int64], count: int) -> None:
    """Fills new, empty slots with all entries."""
    for entry in range(count):
        place(slots, entry, entries[entry, HASH])


@kernel(int64, int64_1, int64_2, bytes1, int64_1, bytes1, int64, int64)
def find_name(
    slots: NDArray[np.int64],
    entries: NDArray[np.int64],
    text: NDArray[np.uint8],
    used: NDArray[np.int64],
    key: NDArray[np.uint8],
    length: int,
    scope: int,
) -> int:
    """Entry of a name, or -1; `key` is padded with at least 8 bytes."""
    return name(ByteTable(slots, entries, text, used), key, 0, length, scope)


@kernel(int64, bytes1, int64, int64)
def hash_name(key: NDArray[np.uint8], length: int, scope: int) -> int:
    return hash_bytes(key, 0, length, scope)


@kernel(int64, int64_1, int64_2, bytes1, int64_1, bytes1, int64, int64, int64, int64)
def add_name(
    slots: NDArray[np.int64],
    entries: NDArray[np.int64],
    text: NDArray[np.uint8],
    used: NDArray[np.int64],
    key: NDArray[np.uint8],
    length: int,
    scope: int,
    h: int,
    number: int,
) -> int:
    return add(ByteTable(slots, entries, text, used), key, 0, length, scope, h, 0, number)


@kernel(int64, int64_1, int64_2, bytes1, int64_1, int64)
def room(
    slots: NDArray[np.int64],
    entries: NDArray[np.int64],
    text: NDArray[np.uint8],
    used: NDArray[np.int64],
    length: int,
) -> int:
    return 1 if has_room(ByteTable(slots, entries, text, used), length) else 0


# -- the directory: (host, metric, component) -> series --------------------------------------------------
#
# A place holds 1 + the number of a series, whose row spells the key, or the negative of that when the series
# is the head of the chain of all components of its host and metric: 4 bytes an entry instead of 16.

HEAD = 0xFFFFFF  # in place of a component: the first series of a chain of all components
TAKEN_OUT = -(1 << 31)


@part
def series_key(host: int, metric: int, component: int) -> int:
    return (host << 40) | (metric << 24) | component


@part
def mix(key: int) -> int:
    h = (np.uint64(key) ^ _SEED) * _PRIME
    h ^= h >> _SHIFT
    h *= _PRIME
    h ^= h >> _SHIFT
    return np.int64(h >> _ONE)


@part
def directory_place(tables: Tables, key: int) -> int:
    """Where a key is in the directory, or the negative of 1 + the empty place at which it may be put."""
    directory = tables.directory
    mask = directory.shape[0] - 1
    host = key >> 40
    metric = (key >> 24) & 0xFFFF
    component = key & HEAD
    at = mix(key) & mask
    while True:
        found = np.int64(directory[at])
        if found == 0:
            return -1 - at
        if found != TAKEN_OUT and (found < 0) == (component == HEAD):
            row = tables.series[abs(found) - 1]
            if (
                row[HOST] == host
                and row[METRIC] == metric
                and (component == HEAD or row[COMPONENT] == component)
            ):
                return at
        at = (at + 1) & mask


@part
def directory_find(tables: Tables, key: int) -> int:
    """Number of the series under the key, or -1."""
    at = directory_place(tables, key)
    return abs(np.int64(tables.directory[at])) - 1 if at >= 0 else np.int64(-1)


@part
def directory_put(tables: Tables, key: int, series: int) -> None:
    """Stores or replaces; the row of the series spells the key. -1 takes the key out."""
    at = directory_place(tables, key)
    if at < 0:
        at = -1 - at
        tables.counts[DIRECTORY_COUNT] += 1
    if series < 0:
        tables.directory[at] = TAKEN_OUT
    else:
        tables.directory[at] = -1 - series if key & HEAD == HEAD else 1 + series


@kernel(int64, TABLES, int32_1)
def move_directory(flat: Flat, new: NDArray[np.int32]) -> int:
    """Fills a new, empty directory, without keys that were taken out; returns their number."""
    tables = gather(flat)
    mask = new.shape[0] - 1
    count = 0
    for i in range(tables.directory.shape[0]):
        found = np.int64(tables.directory[i])
        if found != 0 and found != TAKEN_OUT:
            row = tables.series[abs(found) - 1]
            component = HEAD if found < 0 else np.int64(row[COMPONENT])
            at = mix(series_key(np.int64(row[HOST]), np.int64(row[METRIC]), component)) & mask
            while new[at] != 0:
                at = (at + 1) & mask
            new[at] = found
            count += 1
    return count


@kernel(none, TABLES, int64_1, int64_1)
def look_up(flat: Flat, keys: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Many keys of the directory at once."""
    tables = gather(flat)
    for i in range(keys.shape[0]):
        out[i] = directory_find(tables, keys[i])
