"""The line protocol's grammar: one point to tokens. Source: spec/metric-store.md 2.2.

The text ends with LF and 64 bytes of padding, so that no scan needs to look at its length; only quoted
strings
may contain LF and check it.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import bytes1, int64, int64_1, int64_2, kernel, part
from ccstore.kernels.numbers import BAD, read_number

# outcomes of a line; 0 is a stored sample
STORED = 0
SYNTAX = 1
UTF8 = 2
VALUE_BAD = 3
VALUE_TYPE = 4
NO_VALUE = 5
TIMESTAMP = 6
NO_HOSTNAME = 7
NO_CLUSTER = 8
BAD_NAME = 9
TOO_LONG = 10
UNKNOWN_METRIC = 11
UNKNOWN_CLUSTER = 12
NOT_A_METRIC = 13
TOO_OLD = 14
FUTURE = 15
NO_MEMORY = 16
SKIPPED = 17  # blank and comment lines: not counted as lines
OUTCOMES = 18
FIRST_DROPPED = UNKNOWN_METRIC

# kinds of tokens
MEASUREMENT = 0
TAG = 1
FIELD_FLOAT = 2
FIELD_INT = 3
FIELD_UINT = 4
FIELD_BOOL = 5
FIELD_STRING = 6

# tokens[:, ...]: key and value as spans of the text
KIND = 0
KEY_START = 1
KEY_END = 2
VALUE_START = 3
VALUE_END = 4

# head[...] of a parsed point
TOKENS = 0  # number of tokens
NEXT_LINE = 1  # position behind the line
ERROR_AT = 2
HAS_TIME = 3
TIME_VALUE = 4
KEY_SPAN_END = 5  # end of measurement and tags
LINE_START = 6  # position of the measurement
LINE_BEGIN = 7  # of the line: of the blanks before it
HEAD_SIZE = 8

LONGEST_LINE = 65536
MAX_TOKENS = LONGEST_LINE // 3


@part
def illegal(c: int) -> bool:
    return c < 0x20 or c == 0x7F


@part
def end_of_name(text: NDArray[np.uint8], at: int, equals_ends: bool) -> int:
    """Position of the unescaped comma, blank or (if asked for) equals sign, or of an illegal byte."""
    while True:
        c = text[at]
        if c == 92:
            following = text[at + 1]
            if following == 44 or following == 32 or (equals_ends and following == 61):
                at += 1
        elif c == 44 or c == 32 or (equals_ends and c == 61) or illegal(c):
            return at
        at += 1


@part
def end_of_string(text: NDArray[np.uint8], at: int, limit: int) -> int:
    """Position of the closing quote of a string whose content begins at `at`, or -1."""
    while at < limit:
        c = text[at]
        if c == 92:
            at += 1
        elif c == 34:
            return at
        at += 1
    return -1


@part
def line_ends(text: NDArray[np.uint8], at: int) -> bool:
    return text[at] == 10 or (text[at] == 13 and text[at + 1] == 10)


@part
def behind_line_feed(text: NDArray[np.uint8], at: int) -> int:
    while text[at] != 10:
        at += 1
    return at + 1


@part
def is_bool(text: NDArray[np.uint8], start: int, end: int) -> bool:
    """t T true True TRUE f F false False FALSE."""
    length = end - start
    c = text[start]
    if length == 1:
        return c == 116 or c == 84 or c == 102 or c == 70
    if length == 4:
        upper = text[start + 1] == 82
        if c != 84 and (c != 116 or upper):
            return False
        if upper:
            return text[start + 2] == 85 and text[start + 3] == 69
        return text[start + 1] == 114 and text[start + 2] == 117 and text[start + 3] == 101
    if length == 5:
        upper = text[start + 1] == 65
        if c != 70 and (c != 102 or upper):
            return False
        if upper:
            return text[start + 2] == 76 and text[start + 3] == 83 and text[start + 4] == 69
        return (
            text[start + 1] == 97
            and text[start + 2] == 108
            and text[start + 3] == 115
            and text[start + 4] == 101
        )
    return False


@part
def is_key(text: NDArray[np.uint8], start: int, end: int, word: bytes) -> bool:
    if end - start != len(word):
        return False
    for i in range(len(word)):  # noqa: SIM110  (numba has no generators)
        if text[start + i] != word[i]:
            return False
    return True


@part
def valid_utf8(text: NDArray[np.uint8], at: int, end: int) -> bool:
    """RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF."""
    while at < end:
        c = text[at]
        if c < 0x80:
            at += 1
            continue
        low = 0x80
        high = 0xBF
        if 0xC2 <= c <= 0xDF:
            more = 1
        elif 0xE0 <= c <= 0xEF:
            more = 2
            if c == 0xE0:
                low = 0xA0
            elif c == 0xED:
                high = 0x9F
        elif 0xF0 <= c <= 0xF4:
            more = 3
            if c == 0xF0:
                low = 0x90
            elif c == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more >= end:
            return False
        for i in range(1, more + 1):
            if not low <= text[at + i] <= high:
                return False
            low = 0x80
            high = 0xBF
        at += more + 1
    return True


@part
def token(
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    kind: int,
    start: int,
    end: int,
    value: int,
    value_end: int,
) -> None:
    row = tokens[head[TOKENS]]
    row[KIND] = kind
    row[KEY_START] = start
    row[KEY_END] = end
    row[VALUE_START] = value
    row[VALUE_END] = value_end
    head[TOKENS] += 1


@part
def fail(head: NDArray[np.int64], at: int, reason: int) -> int:
    head[ERROR_AT] = at
    return reason


@part
def read_field_value(
    text: NDArray[np.uint8],
    at: int,
    end: int,
    tokens: NDArray[np.int64],
    head: NDArray[np.int64],
    key: int,
    key_end: int,
) -> tuple[int, int]:
    """Reason (0: fine) and the position behind the value."""
    named_value = is_key(text, key, key_end, b"value")
    c = text[at]
    if c == 34:
        close = end_of_string(text, at + 1, end)
        if close < 0 or close - head[LINE_BEGIN] > LONGEST_LINE:
            return SYNTAX if close < 0 and end - head[LINE_BEGIN] <= LONGEST_LINE else TOO_LONG, at
        token(tokens, head, FIELD_STRING, key, key_end, at + 1, close)
        return 0, close + 1
    kind = BAD
    behind = at
    if c == 45 or c == 46 or 48 <= c <= 57:
        kind, _, behind = read_number(text, at)
    elif c == 116 or c == 84 or c == 102 or c == 70:
        while 65 <= text[behind] <= 90 or 97 <= text[behind] <= 122:
            behind += 1
        if is_bool(text, at, behind):
            kind = FIELD_BOOL - FIELD_FLOAT + 1
    if kind == BAD or not (text[behind] == 44 or text[behind] == 32 or line_ends(text, behind)):
        return VALUE_BAD if named_value else SYNTAX, behind
    token(tokens, head, FIELD_FLOAT + kind - 1, key, key_end, at, behind)
    return 0, behind


@part
def read_time(text: NDArray[np.uint8], at: int, head: NDArray[np.int64]) -> tuple[bool, int]:
    """Whether there is a 64-bit number, and the position behind it; the number goes into the head."""
    negative = text[at] == 45
    if negative:
        at += 1
    value = np.uint64(0)
    begin = at
    while 48 <= text[at] <= 57:
        if value > np.uint64(922337203685477580):
            return False, at
        value = value * np.uint64(10) + np.uint64(text[at] - np.uint8(48))
        at += 1
    if at == begin or value > np.uint64(9223372036854775807) + np.uint64(negative):
        return False, at
    head[HAS_TIME] = 1
    head[TIME_VALUE] = -np.int64(value) if negative else np.int64(value)
    return True, at


@part
def read_point(
    text: NDArray[np.uint8], at: int, end: int, tokens: NDArray[np.int64], head: NDArray[np.int64]
) -> int:
    """Splits the line at `at` into tokens; returns 0, SKIPPED or the reason why it is bad, and fills `head`.

    After an error reading goes on behind the first LF after the place of the error; the place of a string
    without end is its opening quote.
    """
    head[:] = 0
    head[LINE_BEGIN] = at
    while text[at] == 32:
        at += 1
    head[LINE_START] = at
    if line_ends(text, at):
        head[NEXT_LINE] = behind_line_feed(text, at)
        return SKIPPED
    if text[at] == 35:
        head[NEXT_LINE] = behind_line_feed(text, at)
        return SKIPPED
    reason = read_tokens(text, at, end, tokens, head)
    if reason:
        head[NEXT_LINE] = behind_line_feed(text, head[ERROR_AT])
        # A line is too long even when something in it is wrong before its end, unless that is a missing
        # quote.
        if head[ERROR_AT] - head[LINE_BEGIN] > LONGEST_LINE:
            reason = TOO_LONG
    return reason


@part
def read_tokens(
    text: NDArray[np.uint8], at: int, end: int, tokens: NDArray[np.int64], head: NDArray[np.int64]
) -> int:
    begin = head[LINE_BEGIN]
    start = at
    at = end_of_name(text, at, False)
    if at == start:
        return fail(head, at, SYNTAX)
    if at - begin > LONGEST_LINE:
        return fail(head, at, TOO_LONG)
    token(tokens, head, MEASUREMENT, start, at, at, at)
    while text[at] == 44:
        key = at + 1
        key_end = end_of_name(text, key, True)
        if text[key_end] != 61 or key_end == key:
            return fail(head, key_end, SYNTAX)
        at = end_of_name(text, key_end + 1, True)
        if at == key_end + 1 or text[at] == 61:
            return fail(head, at, SYNTAX)
        if at - begin > LONGEST_LINE:
            return fail(head, at, TOO_LONG)
        token(tokens, head, TAG, key, key_end, key_end + 1, at)
    if text[at] != 32:
        return fail(head, at, SYNTAX)
    head[KEY_SPAN_END] = at
    while text[at] == 32:
        at += 1
    while True:
        key = at
        key_end = end_of_name(text, key, True)
        if text[key_end] != 61 or key_end == key:
            return fail(head, key_end, SYNTAX)
        reason, at = read_field_value(text, key_end + 1, end, tokens, head, key, key_end)
        if reason:
            return fail(head, at, reason)
        if at - begin > LONGEST_LINE:
            return fail(head, at, TOO_LONG)
        if text[at] != 44:
            break
        at += 1
    if text[at] == 32:
        while text[at] == 32:
            at += 1
        if not line_ends(text, at):
            good, at = read_time(text, at, head)
            if not good:
                return fail(head, at, TIMESTAMP)
            if text[at] == 32:
                while text[at] == 32:
                    at += 1
            if not line_ends(text, at):
                return fail(head, at, TIMESTAMP)
    elif not line_ends(text, at):
        return fail(head, at, SYNTAX)
    if at - begin > LONGEST_LINE:
        return fail(head, at, TOO_LONG)
    for i in range(start, at):
        if text[i] >= 0x80:
            if not valid_utf8(text, i, at):
                return fail(head, at, UTF8)
            break
    head[NEXT_LINE] = behind_line_feed(text, at)
    return 0


@part
def unescape(
    text: NDArray[np.uint8], start: int, end: int, equals_too: bool, out: NDArray[np.uint8], at: int
) -> int:
    """Copies a name without its escapes; returns the position behind it."""
    i = start
    while i < end:
        c = text[i]
        if c == 92 and i + 1 < end:
            following = text[i + 1]
            if following == 44 or following == 32 or (equals_too and following == 61):
                i += 1
                c = following
        out[at] = c
        at += 1
        i += 1
    return at


@kernel(int64, bytes1, int64, int64, int64_2, int64_1)
def split_point(
    text: NDArray[np.uint8], at: int, end: int, tokens: NDArray[np.int64], head: NDArray[np.int64]
) -> int:
    """`read_point` as an entry point: for the conformance test of the grammar and for decoders outside the
    store."""
    return read_point(text, at, end, tokens, head)
