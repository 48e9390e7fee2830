"""Messages to samples: the fast path for lines seen before, the careful path for everything else.

A line is `key SP value=number SP time LF`, where the key (measurement and tags as sent) has nearly always
been seen before. Lines are taken in batches, because what costs most is waiting for memory: `scan` reads a
batch of lines and compares each key with the one that followed its predecessor last time, `look_up_keys`
finds the others by hash, all of them in step, asking for each cache line before it is needed, and `apply`
stores. They decide nothing on their own: whatever is not perfectly regular goes through `read_point` and
`resolve`, where all rules live. Cost: benchmarks/store_ingest.py.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.grammar import (
    BAD_NAME,
    FIELD_BOOL,
    FIELD_FLOAT,
    FIRST_DROPPED,
    FUTURE,
    HAS_TIME,
    KEY_END,
    KEY_SPAN_END,
    KEY_START,
    KIND,
    LINE_START,
    NEXT_LINE,
    NO_CLUSTER,
    NO_HOSTNAME,
    NO_MEMORY,
    NO_VALUE,
    NOT_A_METRIC,
    OUTCOMES,
    SKIPPED,
    STORED,
    TAG,
    TIME_VALUE,
    TOKENS,
    TOO_OLD,
    UNKNOWN_CLUSTER,
    UNKNOWN_METRIC,
    VALUE_END,
    VALUE_START,
    VALUE_TYPE,
    is_key,
    read_point,
    unescape,
)
from ccstore.kernels.layout import (
    ALIVE,
    ANY_CLUSTER,
    BASE,
    CLUSTER_COUNT,
    COMPONENT_COUNT,
    DIRECTORY_COUNT,
    ENTRIES,
    ENTRY_LIMIT,
    GROUP_COUNT,
    HOST_CLUSTER,
    HOST_COUNT,
    HOST_GROUPS,
    HOST_KEPT,
    HOST_NAME,
    HOST_SERIES,
    KEY,
    LAST_ALIAS,
    METRIC,
    METRIC_SUBTYPE_IGNORED,
    NAME,
    PARENT,
    PREDICTED,
    SAMPLES,
    SEGMENT_COUNT,
    SERIES_COUNT,
    SPACE_CLUSTER,
    SPACE_COMPONENT,
    SPACE_HOST,
    SPACE_METRIC,
    SPACE_TYPE,
    SPACE_UNKNOWN,
    START,
    SUBTYPE,
    SUBTYPE_IGNORED,
    TABLE_COUNT,
    TABLES,
    TEXT_END,
    TEXT_LIMIT,
    TYPE,
    TYPE_COUNT,
    UNKNOWN_COUNT,
    UNKNOWN_LIMIT,
    VALUE,
    Flat,
    Tables,
    bytes1,
    float64_1,
    gather,
    inlined,
    int32_1,
    int64,
    int64_1,
    int64_2,
    kernel,
    part,
)
from ccstore.kernels.log import room_in_log, write_log
from ccstore.kernels.lookup import (
    LOW,
    add,
    directory_find,
    equal_bytes,
    find,
    has_room,
    hash_bytes,
    name,
    series_key,
)
from ccstore.kernels.machine import prefetch, stop_lanes, trailing_zeros
from ccstore.kernels.numbers import BAD, load, quick_number, read_number
from ccstore.kernels.raster import new_series, prefetch_group, prefetch_page, prefetch_slot, store

# request[...]: what a call is told
PART = 0  # row of `parts` to go on with
AT = 1  # position in it; -1: its beginning
NOW = 2
RETENTION = 3
MAX_FUTURE = 4
SCOPE = 5  # number of the default cluster, for aliases; -1: too many different ones, do not remember aliases
DEFAULT_LENGTH = 6
LINE_LIMIT = 7
REPEATED = 8  # 1: another default cluster has had the message; what does not depend on it is passed over
REQUEST_SIZE = 9

# result[...]: what it answers; counts are added up over the calls of one message
STATUS = 0
LINE = 1  # line number of AT within its part, from 0
LINES = 2  # points
REJECTED = 3
NOTED = 4  # rows filled in rejections
SEEN = 5  # lines of any kind
OUTCOME = 8  # + outcome: count
RESULT_SIZE = 8 + OUTCOMES

DONE = 0
GROW = 1  # a table is full: make room and call again
PAUSE = 2  # enough lines for one go
LOG_FULL = 3

LONGEST_ALIAS = 1024
NOTED_LIMIT = 100

# A batch: enough lines to overlap their waits for memory, few enough to stay in the nearest cache.
BATCH = 64

# lanes[line of the batch, ...]
LANE_START = 0
LANE_NEXT = 1  # position behind the line
LANE_ALIAS = 2  # -1: not known (yet)
LANE_HASH = 3
LANE_LENGTH = 4  # of the key; negative: it cannot be an alias
LANE_TIME = 5  # unix seconds
LANE_EXPECTED = 6  # 1: the alias that was predicted
LANE_CANDIDATE = 7
LANES = 8

# aliases that are not series: VALUE low half = -2 - (UNKNOWN_METRIC | UNKNOWN_CLUSTER | SKIPPED) - OUTCOMES *
# unknown number
FLAG_SUBTYPE_IGNORED = 1

_ZERO = np.uint64(0)
_VALUE_WORD = np.uint64(int.from_bytes(b"value=\0\0", "little"))
_SIX_BYTES = np.uint64(0xFFFFFFFFFFFF)


@inlined
def alias_series(value: int) -> int:
    """The signed lower half."""
    return np.int64(np.int32(value & LOW))


@inlined
def key_end(text: NDArray[np.uint8], start: int) -> int:
    """Where measurement and tags end, if they are plain: no escapes, no illegal bytes; else -1."""
    at = np.int64(start)
    stops = stop_lanes(text, at)
    while stops == _ZERO:
        at += 32
        stops = stop_lanes(text, at)
    at += trailing_zeros(stops)
    return at if text[at] == 32 else np.int64(-1)


@part
def seconds(time: int) -> int:
    """Unix seconds of a time stamp by its magnitude, rounded down."""
    size = abs(time)
    if size < 100000000000:
        return time
    if size < 100000000000000:
        return time // 1000
    if size < 100000000000000000:
        return time // 1000000
    return time // 1000000000


@inlined
def window(time: int, request: NDArray[np.int64]) -> int:
    """STORED, FUTURE or TOO_OLD."""
    if time > request[NOW] + request[MAX_FUTURE]:
        return FUTURE
    if time < request[NOW] - request[RETENTION]:
        return TOO_OLD
    return STORED


@part
def note_unknown(tables: Tables, scratch: NDArray[np.uint8], length: int) -> int:
    """Number under which an unknown metric is counted; UNKNOWN_LIMIT for all beyond the first thousand."""
    entry = name(tables.names, scratch, 0, length, SPACE_UNKNOWN)
    if entry >= 0:
        return tables.names.entries[entry, VALUE]
    number = tables.counts[UNKNOWN_COUNT]
    if number >= UNKNOWN_LIMIT or length > 255:
        return UNKNOWN_LIMIT
    h = hash_bytes(scratch, 0, length, SPACE_UNKNOWN)
    add(tables.names, scratch, 0, length, SPACE_UNKNOWN, h, 0, number)
    tables.counts[UNKNOWN_COUNT] = number + 1
    return number


@part
def known_anywhere(tables: Tables, scratch: NDArray[np.uint8], length: int) -> bool:
    """Whether any cluster has this metric."""
    for table in range(tables.counts[TABLE_COUNT]):
        if name(tables.names, scratch, 0, length, SPACE_METRIC | (table << 8)) >= 0:
            return True
    return False


@part
def good_top_name(text: NDArray[np.uint8], start: int, end: int) -> bool:
    """Cluster and host names: 1-255 bytes, no slash, backslash, control character or `..`, not `.`."""
    length = end - start
    if length < 1 or length > 255 or (length == 1 and text[start] == 46):
        return False
    for i in range(start, end):
        c = text[i]
        if c == 47 or c == 92 or c < 32 or c == 127 or (c == 46 and i + 1 < end and text[i + 1] == 46):
            return False
    return True


@part
def good_type(text: NDArray[np.uint8], start: int, end: int) -> bool:
    """Types: letters, digits, `_` and `-`, at most 64."""
    if end - start > 64:
        return False
    for i in range(start, end):
        c = text[i]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 95 or c == 45):
            return False
    return True


@part
def good_id(text: NDArray[np.uint8], start: int, end: int) -> bool:
    """Ids: up to 255 bytes, no control character, no `..`."""
    if end - start > 255:
        return False
    for i in range(start, end):
        c = text[i]
        if c < 32 or c == 127 or (c == 46 and i + 1 < end and text[i + 1] == 46):
            return False
    return True


@part
def type_number(tables: Tables, text: NDArray[np.uint8], start: int, end: int) -> int:
    entry = name(tables.names, text, start, end - start, SPACE_TYPE)
    if entry >= 0:
        return tables.names.entries[entry, VALUE]
    number = tables.counts[TYPE_COUNT]
    tables.counts[TYPE_COUNT] = number + 1
    h = hash_bytes(text, start, end - start, SPACE_TYPE)
    add(tables.names, text, start, end - start, SPACE_TYPE, h, 0, number)
    return number


@part
def component_number(
    tables: Tables,
    text: NDArray[np.uint8],
    start: int,
    end: int,
    type_end: int,
    parent: int,
    subtype: int,
    subtype_end: int,
) -> int:
    """Number of the component spelled `type NUL id NUL stype NUL sid` at text[start:end], made when new."""
    entry = name(tables.names, text, start, end - start, SPACE_COMPONENT)
    if entry >= 0:
        return tables.names.entries[entry, VALUE]
    number = tables.counts[COMPONENT_COUNT]
    tables.counts[COMPONENT_COUNT] = number + 1
    row = tables.components[number]
    row[TYPE] = type_number(tables, text, start, type_end)
    row[SUBTYPE] = type_number(tables, text, subtype, subtype_end) if subtype_end > subtype else 0
    row[PARENT] = parent if parent >= 0 else number
    h = hash_bytes(text, start, end - start, SPACE_COMPONENT)
    row[NAME] = add(tables.names, text, start, end - start, SPACE_COMPONENT, h, 0, number)
    return number


@part
def cluster_number(tables: Tables, text: NDArray[np.uint8], start: int, end: int, create: bool) -> int:
    """Number of a cluster; -1 when it is not configured, -2 when it may be made but was not asked to be."""
    entry = name(tables.names, text, start, end - start, SPACE_CLUSTER)
    if entry >= 0:
        return tables.names.entries[entry, VALUE]
    if tables.counts[ANY_CLUSTER] < 0 or tables.counts[CLUSTER_COUNT] >= tables.clusters.shape[0]:
        return -1
    if not create:
        return -2
    number = tables.counts[CLUSTER_COUNT]
    tables.counts[CLUSTER_COUNT] = number + 1
    tables.clusters[number] = tables.counts[ANY_CLUSTER]
    h = hash_bytes(text, start, end - start, SPACE_CLUSTER)
    add(tables.names, text, start, end - start, SPACE_CLUSTER, h, 0, number)
    return number


@part
def host_number(tables: Tables, text: NDArray[np.uint8], start: int, end: int, cluster: int) -> int:
    scope = SPACE_HOST | (cluster << 8)
    entry = name(tables.names, text, start, end - start, scope)
    if entry >= 0:
        return tables.names.entries[entry, VALUE]
    number = tables.counts[HOST_COUNT]
    row = tables.hosts[number]
    row[HOST_CLUSTER] = cluster
    row[HOST_GROUPS] = -1
    row[HOST_SERIES] = 0
    row[HOST_KEPT] = 0
    h = hash_bytes(text, start, end - start, scope)
    row[HOST_NAME] = add(tables.names, text, start, end - start, scope, h, 0, number)
    tables.counts[HOST_COUNT] = number + 1
    return number


# spans[...] in the scratch text, filled by `resolve`
_CLUSTER = 0
_HOST = 1
_TYPE = 2
_ID = 3
_STYPE = 4
_SID = 5
_MEASUREMENT = 6


@part
def resolve(
    tables: Tables,
    text: NDArray[np.uint8],
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    request: NDArray[np.int64],
    default: NDArray[np.uint8],
    scratch: NDArray[np.uint8],
    spans: NDArray[np.int64],
) -> tuple[int, int, int, int, float]:
    """Everything after the grammar: outcome, series (or what an alias shall say), flags, time, value.

    Nothing is created unless the outcome is STORED.
    """
    spans[:] = -1
    length = unescape(text, tokens[0, KEY_START], tokens[0, KEY_END], False, scratch, 0)
    free = length
    repeated = request[REPEATED] != 0
    if not known_anywhere(tables, scratch, length):
        if repeated:
            return SKIPPED, 0, 0, 0, 0.0
        return UNKNOWN_METRIC, note_unknown(tables, scratch, length), 0, 0, 0.0

    value = 0.0
    kind = -1
    only_others = True
    for i in range(1, head[TOKENS]):
        row = tokens[i]
        start = row[KEY_START]
        end = row[KEY_END]
        if row[KIND] == TAG:
            which = -1
            if is_key(text, start, end, b"cluster"):
                which = _CLUSTER
            elif is_key(text, start, end, b"hostname") or is_key(text, start, end, b"host"):
                which = _HOST
            elif is_key(text, start, end, b"type"):
                which = _TYPE
            elif is_key(text, start, end, b"type-id"):
                which = _ID
            elif is_key(text, start, end, b"stype"):
                which = _STYPE
            elif is_key(text, start, end, b"stype-id"):
                which = _SID
            if which >= 0:
                spans[which] = i
        elif is_key(text, start, end, b"value"):
            kind = row[KIND]
            if kind < FIELD_BOOL:
                _, value, _ = read_number(text, row[VALUE_START])
        elif not (
            is_key(text, start, end, b"event")
            or is_key(text, start, end, b"log")
            or is_key(text, start, end, b"control")
            or is_key(text, start, end, b"query")
        ):
            only_others = False
    if kind < 0:
        fields = 0
        for i in range(1, head[TOKENS]):
            if tokens[i, KIND] >= FIELD_FLOAT:
                fields += 1
        return (NOT_A_METRIC if only_others and fields == 1 else NO_VALUE), 0, 0, 0, 0.0
    if kind >= FIELD_BOOL:
        return VALUE_TYPE, 0, 0, 0, 0.0

    # Cluster: the tag, else the default of the message.
    cluster_start = free
    if spans[_CLUSTER] >= 0:
        if repeated:
            return SKIPPED, 0, 0, 0, 0.0
        row = tokens[spans[_CLUSTER]]
        free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
    else:
        for i in range(request[DEFAULT_LENGTH]):
            scratch[free] = default[i]
            free += 1
        if free == cluster_start:
            return NO_CLUSTER, 0, 0, 0, 0.0
    cluster_end = free
    if not good_top_name(scratch, cluster_start, cluster_end):
        return BAD_NAME, 0, 0, 0, 0.0
    cluster = cluster_number(tables, scratch, cluster_start, cluster_end, False)
    if cluster == -1:
        return UNKNOWN_CLUSTER, 0, 0, 0, 0.0
    table = tables.clusters[cluster] if cluster >= 0 else tables.counts[ANY_CLUSTER]
    entry = name(tables.names, scratch, 0, length, SPACE_METRIC | (table << 8))
    if entry < 0:
        return UNKNOWN_METRIC, note_unknown(tables, scratch, length), 0, 0, 0.0
    metric = tables.names.entries[entry, VALUE]

    if spans[_HOST] < 0:
        return NO_HOSTNAME, 0, 0, 0, 0.0
    host_start = free
    row = tokens[spans[_HOST]]
    free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
    host_end = free
    if not good_top_name(scratch, host_start, host_end):
        return BAD_NAME, 0, 0, 0, 0.0

    # Component, spelled `type NUL id NUL stype NUL sid`.
    component_start = free
    flags = 0
    is_node = True
    if spans[_TYPE] >= 0:
        row = tokens[spans[_TYPE]]
        free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
        if not good_type(scratch, component_start, free):
            return BAD_NAME, 0, 0, 0, 0.0
        is_node = is_key(scratch, component_start, free, b"node")
        if is_key(scratch, component_start, free, b"cpu"):
            free = component_start
            for c in b"hwthread":
                scratch[free] = c
                free += 1
    type_end = free
    parent_end = free
    subtype_start = free
    subtype_end = free
    if is_node:
        free = component_start
        if spans[_STYPE] >= 0:
            flags = FLAG_SUBTYPE_IGNORED
    else:
        scratch[free] = 0
        free += 1
        if spans[_ID] >= 0:
            id_start = free
            row = tokens[spans[_ID]]
            free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
            if not good_id(scratch, id_start, free):
                return BAD_NAME, 0, 0, 0, 0.0
        parent_end = free
        if spans[_STYPE] >= 0:
            scratch[free] = 0
            free += 1
            subtype_start = free
            row = tokens[spans[_STYPE]]
            free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
            subtype_end = free
            if not good_type(scratch, subtype_start, free):
                return BAD_NAME, 0, 0, 0, 0.0
            scratch[free] = 0
            free += 1
            if spans[_SID] >= 0:
                id_start = free
                row = tokens[spans[_SID]]
                free = unescape(text, row[VALUE_START], row[VALUE_END], True, scratch, free)
                if not good_id(scratch, id_start, free):
                    return BAD_NAME, 0, 0, 0, 0.0

    time = seconds(head[TIME_VALUE]) if head[HAS_TIME] else request[NOW]
    outcome = window(time, request)
    if outcome != STORED:
        return outcome, 0, 0, 0, 0.0

    if not room_in_ranges(tables):
        return NO_MEMORY, 0, 0, 0, 0.0
    cluster = cluster_number(tables, scratch, cluster_start, cluster_end, True)
    host = host_number(tables, scratch, host_start, host_end, cluster)
    component = 0
    if not is_node:
        component = component_number(tables, scratch, component_start, parent_end, type_end, -1, 0, 0)
        if parent_end < free:
            component = component_number(
                tables, scratch, component_start, free, type_end, component, subtype_start, subtype_end
            )
    series = directory_find(tables, series_key(host, metric, component))
    if series < 0:
        series = new_series(tables, host, metric, component)
    return STORED, series, flags, time, value


@part
def room_for_one(tables: Tables) -> bool:
    """Whether the tables that can be replaced by larger ones take what one new series may need."""
    counts = tables.counts
    return (
        has_room(tables.alias, LONGEST_ALIAS)
        and 3 * (tables.names.used[ENTRIES] + 8) < 2 * tables.names.slots.shape[0]
        and 3 * (counts[DIRECTORY_COUNT] + 8) < 2 * tables.directory.shape[0]
    )


@part
def room_in_ranges(tables: Tables) -> bool:
    """Whether the tables that never move can take one new series."""
    counts = tables.counts
    return (
        counts[SERIES_COUNT] + 8 < tables.series.shape[0]
        and counts[GROUP_COUNT] + 2 < tables.groups.shape[0]
        and counts[SEGMENT_COUNT] + 2 < tables.segments.shape[0]
        and counts[HOST_COUNT] + 2 < tables.hosts.shape[0]
        and counts[COMPONENT_COUNT] + 3 < tables.components.shape[0]
        and tables.names.used[ENTRIES] + 8 < tables.names.used[ENTRY_LIMIT]
        and tables.names.used[TEXT_END] + 2048 < tables.names.used[TEXT_LIMIT]
    )


@part
def count_subtype(tables: Tables, metric: int) -> None:
    tables.metrics[metric, METRIC_SUBTYPE_IGNORED] += 1
    tables.counts[SUBTYPE_IGNORED] += 1


@part
def careful_line(
    tables: Tables,
    text: NDArray[np.uint8],
    at: int,
    end: int,
    request: NDArray[np.int64],
    default: NDArray[np.uint8],
    scratch: NDArray[np.uint8],
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    spans: NDArray[np.int64],
    log: NDArray[np.int32],
    mark: NDArray[np.int64],
) -> tuple[int, int]:
    """Outcome of the line at `at` and the alias it now has (-1: none); `head` tells where the next line
    begins."""
    outcome = read_point(text, at, end, tokens, head)
    if outcome == SKIPPED:
        return outcome, -1
    if outcome != 0 and request[REPEATED] != 0:
        return SKIPPED, -1
    if outcome != 0:
        # Lines of other kinds share the subject: what is wrong with them is not our business.
        if head[TOKENS] > 0:
            length = unescape(text, tokens[0, KEY_START], tokens[0, KEY_END], False, scratch, 0)
            if outcome != 2 and not known_anywhere(tables, scratch, length):
                tables.unknown[note_unknown(tables, scratch, length)] += 1
                return UNKNOWN_METRIC, -1
        return outcome, -1
    outcome, number, flags, time, value = resolve(
        tables, text, tokens, head, request, default, scratch, spans
    )
    if request[REPEATED] != 0 and (STORED < outcome < FIRST_DROPPED or outcome == NOT_A_METRIC):
        return SKIPPED, -1
    if outcome == UNKNOWN_METRIC:
        tables.unknown[number] += 1
    elif outcome == STORED:
        if flags & FLAG_SUBTYPE_IGNORED:
            count_subtype(tables, np.int64(tables.series[number, METRIC]))
        if not store(tables, number, time - BASE, value):
            return NO_MEMORY, -1
        write_log(tables, log, mark, number, time - BASE, value)
        tables.counts[SAMPLES] += 1
    elif outcome not in (UNKNOWN_CLUSTER, SKIPPED):
        return outcome, -1

    start = head[LINE_START]
    length = head[KEY_SPAN_END] - start
    if request[SCOPE] < 0 or length > LONGEST_ALIAS:
        return outcome, -1
    meaning = number if outcome == STORED else -2 - outcome - OUTCOMES * number
    h = hash_bytes(text, start, length, request[SCOPE])
    alias = find(tables.alias, text, start, length, request[SCOPE], h)
    if alias < 0:
        alias = add(tables.alias, text, start, length, request[SCOPE], h, flags, (-1 << 32) | (meaning & LOW))
    else:
        next_alias = tables.alias.entries[alias, VALUE] >> 32
        tables.alias.entries[alias, VALUE] = (next_alias << 32) | (meaning & LOW)
    return outcome, alias


@inlined
def scan(
    tables: Tables,
    text: NDArray[np.uint8],
    at: int,
    end: int,
    request: NDArray[np.int64],
    previous: int,
    lanes: NDArray[np.int64],
    values: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Reads regular lines into lanes; returns their number, how many keys are not known yet, and how many
    were predicted. It ends before a line that is not regular."""
    entries = tables.alias.entries
    scope = request[SCOPE]
    unknown = 0
    predicted = 0
    run = 4  # lines since a prediction failed
    time = np.int64(0)
    timed = False  # whether these are the words of the last time stamp: " 1700000" and "0000000\n"
    time_head = _ZERO
    time_tail = _ZERO
    count = 0
    while count < BATCH and at < end:
        alias = np.int64(-1)
        expected = 0
        length = np.int64(-1)
        h = np.int64(0)
        behind = np.int64(-1)
        if previous >= 0:
            guess = entries[previous, VALUE] >> 32
            # After the key that is expected the one behind it: a line may be missing.
            for _ in range(2):
                if guess < 0:
                    break
                key = entries[guess, KEY]
                length = key & 0xFFFF
                if (
                    at + length < end
                    and text[at + length] == 32
                    and key >> 32 == scope
                    and equal_bytes(text, at, tables.alias.text, entries[guess, START], length)
                ):
                    alias = guess
                    behind = at + length
                    expected = 1
                    run += 1
                    break
                if run < 4:
                    break
                guess = entries[guess, VALUE] >> 32
        if alias < 0:
            behind = key_end(text, at)
            length = behind - at
            if scope < 0 or length < 1 or length > LONGEST_ALIAS:
                break
            h = hash_bytes(text, at, length, scope)
            if run >= 4:
                # Order is the rule here: without this key the next one could not be predicted.
                alias = find(tables.alias, text, at, length, scope, h)
            else:
                prefetch(tables.alias.slots, (h & (tables.alias.slots.shape[0] - 1)) << 3)
            run = 0
        if load(text, np.uint64(behind + 1)) & _SIX_BYTES != _VALUE_WORD:
            break
        kind, value, behind = quick_number(text, behind + 7)
        if kind == BAD:
            break
        head = load(text, np.uint64(behind))
        tail = load(text, np.uint64(behind + 4))
        if timed and head == time_head and tail == time_tail:
            behind += 12
        else:
            c = text[behind]
            if c == 32:
                # A time stamp of at most 18 digits; others are for the careful path.
                begin = behind + 1
                behind = begin
                time = np.int64(0)
                digit = np.int64(text[behind]) - 48
                while 0 <= digit <= 9 and behind < begin + 18:
                    time = time * 10 + digit
                    behind += 1
                    digit = np.int64(text[behind]) - 48
                if behind == begin:
                    break
                c = text[behind]
                timed = behind == begin + 10 and c == 10
                time_head = head
                time_tail = tail
                time = seconds(time)
            elif c == 10 or c == 13:
                timed = False
                time = request[NOW]
            else:
                break
            if c == 13:
                behind += 1
                c = text[behind]
            if c != 10:
                break
            behind += 1
        lane = lanes[count]
        lane[LANE_START] = at
        lane[LANE_NEXT] = behind
        lane[LANE_ALIAS] = alias
        lane[LANE_HASH] = h
        lane[LANE_LENGTH] = length
        lane[LANE_TIME] = time
        lane[LANE_EXPECTED] = expected
        values[count] = value
        predicted += expected
        count += 1
        if alias >= 0:
            prefetch(tables.series, max(alias_series(entries[alias, VALUE]), 0) << 6)
        else:
            unknown += 1
        previous = alias
        at = behind
    return count, unknown, predicted


@inlined
def look_up_keys(
    tables: Tables, text: NDArray[np.uint8], count: int, scope: int, lanes: NDArray[np.int64]
) -> None:
    """Finds the aliases that `scan` could not predict: every pass reads what the one before has asked for."""
    slots = tables.alias.slots
    entries = tables.alias.entries
    mask = slots.shape[0] - 1
    for i in range(count):
        lane = lanes[i]
        if lane[LANE_ALIAS] < 0:
            at = lane[LANE_HASH] & mask
            tag = lane[LANE_HASH] >> 32
            slot = slots[at]
            while slot != 0 and slot >> 32 != tag:
                at = (at + 1) & mask
                slot = slots[at]
            lane[LANE_CANDIDATE] = (slot & LOW) - 1
            if slot != 0:
                prefetch(entries, ((slot & LOW) - 1) << 5)
    for i in range(count):
        lane = lanes[i]
        if lane[LANE_ALIAS] < 0 and lane[LANE_CANDIDATE] >= 0:
            start = entries[lane[LANE_CANDIDATE], START]
            prefetch(tables.alias.text, start)
            prefetch(tables.alias.text, start + 64)
            prefetch(tables.series, max(alias_series(entries[lane[LANE_CANDIDATE], VALUE]), 0) << 6)
    for i in range(count):
        lane = lanes[i]
        if lane[LANE_ALIAS] < 0 and lane[LANE_CANDIDATE] >= 0:
            lane[LANE_ALIAS] = find(
                tables.alias, text, lane[LANE_START], lane[LANE_LENGTH], scope, lane[LANE_HASH]
            )


@inlined
def prefetch_slots(tables: Tables, count: int, lanes: NDArray[np.int64]) -> None:
    """The group of each series, then where its newest samples are."""
    for i in range(count):
        if lanes[i, LANE_ALIAS] >= 0:
            series = alias_series(tables.alias.entries[lanes[i, LANE_ALIAS], VALUE])
            if series >= 0:
                prefetch_group(tables, series)
    for i in range(count):
        if lanes[i, LANE_ALIAS] >= 0:
            series = alias_series(tables.alias.entries[lanes[i, LANE_ALIAS], VALUE])
            if series >= 0:
                prefetch_page(tables, series)
    for i in range(count):
        if lanes[i, LANE_ALIAS] >= 0:
            series = alias_series(tables.alias.entries[lanes[i, LANE_ALIAS], VALUE])
            if series >= 0:
                prefetch_slot(tables, series)


@part
def careful(
    tables: Tables,
    text: NDArray[np.uint8],
    end: int,
    request: NDArray[np.int64],
    result: NDArray[np.int64],
    default: NDArray[np.uint8],
    scratch: NDArray[np.uint8],
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    spans: NDArray[np.int64],
    rejections: NDArray[np.int64],
    log: NDArray[np.int32],
    mark: NDArray[np.int64],
) -> None:
    """Takes the line at request[AT], whatever it is, and counts it."""
    at = request[AT]
    outcome, alias = careful_line(
        tables, text, at, end, request, default, scratch, tokens, head, spans, log, mark
    )
    if outcome != SKIPPED:
        result[LINES] += 1
        result[OUTCOME + outcome] += 1
        if outcome != STORED and outcome < FIRST_DROPPED:
            result[REJECTED] += 1
            if result[NOTED] < rejections.shape[0]:
                row = rejections[result[NOTED]]
                row[0] = result[LINE]
                row[1] = outcome
                row[2] = at
                row[3] = head[NEXT_LINE] - 1
                result[NOTED] += 1
    if alias >= 0:
        follow(tables, alias)
    result[SEEN] += 1
    for i in range(at, min(head[NEXT_LINE], end)):
        if text[i] == 10:
            result[LINE] += 1
    request[AT] = head[NEXT_LINE]


@inlined
def follow(tables: Tables, alias: int) -> None:
    """Remembers that this key came after the previous one."""
    previous = tables.counts[LAST_ALIAS]
    if previous >= 0:
        known = tables.alias.entries[previous, VALUE]
        tables.alias.entries[previous, VALUE] = (alias << 32) | (known & LOW)
    tables.counts[LAST_ALIAS] = alias


@inlined
def apply(
    tables: Tables,
    request: NDArray[np.int64],
    result: NDArray[np.int64],
    lane: NDArray[np.int64],
    value: float,
    log: NDArray[np.int32],
    mark: NDArray[np.int64],
) -> bool:
    """Stores a line whose key is known; false when it needs care."""
    alias = lane[LANE_ALIAS]
    meaning = alias_series(tables.alias.entries[alias, VALUE])
    if meaning >= 0:
        if tables.series[meaning, ALIVE] == 0:
            return False
        outcome = window(lane[LANE_TIME], request)
        if outcome == STORED:
            if store(tables, meaning, lane[LANE_TIME] - BASE, value):
                write_log(tables, log, mark, meaning, lane[LANE_TIME] - BASE, value)
                tables.counts[SAMPLES] += 1
            else:
                outcome = NO_MEMORY
            if (tables.alias.entries[alias, KEY] >> 16) & FLAG_SUBTYPE_IGNORED:
                count_subtype(tables, np.int64(tables.series[meaning, METRIC]))
    else:
        packed = -2 - meaning
        outcome = packed % OUTCOMES
        if outcome == UNKNOWN_METRIC:
            tables.unknown[packed // OUTCOMES] += 1
    if outcome != SKIPPED:
        result[OUTCOME + outcome] += 1
        result[LINES] += 1
    result[SEEN] += 1
    result[LINE] += 1
    if lane[LANE_EXPECTED] != 0:
        tables.counts[LAST_ALIAS] = alias
    else:
        follow(tables, alias)
    request[AT] = lane[LANE_NEXT]
    return True


@kernel(
    int64,
    TABLES,
    bytes1,
    int64_2,
    int64_1,
    int64_1,
    bytes1,
    bytes1,
    int64_2,
    int64_1,
    int64_1,
    int64_2,
    int64_2,
    float64_1,
    int32_1,
    int64_1,
)
def ingest(
    flat: Flat,
    text: NDArray[np.uint8],
    parts: NDArray[np.int64],
    request: NDArray[np.int64],
    result: NDArray[np.int64],
    default: NDArray[np.uint8],
    scratch: NDArray[np.uint8],
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    spans: NDArray[np.int64],
    rejections: NDArray[np.int64],
    lanes: NDArray[np.int64],
    values: NDArray[np.float64],
    log: NDArray[np.int32],
    mark: NDArray[np.int64],
) -> int:
    """Stores the lines of the messages text[begin:end], one a row of `parts`; returns DONE, or GROW, PAUSE or
    LOG_FULL with the request set to go on.

    text[end] is LF and may be read up to 64 bytes further. `rejections` takes (line, outcome, start, end) of
    bad lines; `log` and `mark` are the journal's (kernels/log.py).
    """
    tables = gather(flat)
    goal = result[SEEN] + request[LINE_LIMIT]
    while request[PART] < parts.shape[0]:
        end = parts[request[PART], 1]
        if request[AT] < 0:
            request[AT] = parts[request[PART], 0]
            result[LINE] = 0
        while request[AT] < end:
            if result[SEEN] >= goal:
                return PAUSE
            if not room_in_log(log, mark):
                return LOG_FULL
            count, unknown, predicted = scan(
                tables, text, request[AT], end, request, tables.counts[LAST_ALIAS], lanes, values
            )
            tables.counts[PREDICTED] += predicted
            if unknown > 0:
                look_up_keys(tables, text, count, request[SCOPE], lanes)
            prefetch_slots(tables, count, lanes)
            known = tables.alias.used[ENTRIES]
            for i in range(count):
                lane = lanes[i]
                if lane[LANE_ALIAS] < 0 and tables.alias.used[ENTRIES] > known:
                    # A line of this very batch may have made it known.
                    lane[LANE_ALIAS] = find(
                        tables.alias, text, request[AT], lane[LANE_LENGTH], request[SCOPE], lane[LANE_HASH]
                    )
                if lane[LANE_ALIAS] >= 0 and apply(tables, request, result, lane, values[i], log, mark):
                    continue
                if not room_for_one(tables):
                    return GROW
                careful(
                    tables,
                    text,
                    end,
                    request,
                    result,
                    default,
                    scratch,
                    tokens,
                    head,
                    spans,
                    rejections,
                    log,
                    mark,
                )
            if count < BATCH and request[AT] < end:
                if not room_for_one(tables):
                    return GROW
                careful(
                    tables,
                    text,
                    end,
                    request,
                    result,
                    default,
                    scratch,
                    tokens,
                    head,
                    spans,
                    rejections,
                    log,
                    mark,
                )
        request[PART] += 1
        request[AT] = -1
    return DONE


CLUSTER_NAME = 0
HOST_NAME_OF = 1
COMPONENT_NAME = 2


@kernel(int64, TABLES, int64, bytes1, int64_1)
def intern(flat: Flat, what: int, text: NDArray[np.uint8], ends: NDArray[np.int64]) -> int:
    """Number of a cluster, host or component, made when new; -1: not configured, a bad name, or no room.

    The text is padded. `ends`: of a cluster (its end,), of a host (its end, cluster number), of a component
    the ends
    of type, id, sub type and all.
    """
    tables = gather(flat)
    if not room_in_ranges(tables):
        return -1
    if what == CLUSTER_NAME:
        return cluster_number(tables, text, 0, ends[0], True) if good_top_name(text, 0, ends[0]) else -1
    if what == HOST_NAME_OF:
        return host_number(tables, text, 0, ends[0], ends[1]) if good_top_name(text, 0, ends[0]) else -1
    if ends[3] == 0:
        return 0
    component = component_number(tables, text, 0, ends[1], ends[0], -1, 0, 0)
    if ends[3] > ends[1]:
        component = component_number(tables, text, 0, ends[3], ends[0], component, ends[1] + 1, ends[2])
    return component
