"""Number arrays out of JSON text: a document of many long arrays is read without an object per number.

Cost: about 8 ns a number like `123.40`.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numba import types
from numpy.typing import NDArray

from ccstore.kernels.layout import int64, int64_1, kernel, part

HARD = -1

_uint8_1 = types.Array(types.uint8, 1, "C")
_text = types.Array(types.uint8, 1, "C", readonly=True)
_float64_1 = types.Array(types.float64, 1, "C")

_POWER = np.array([float(10**e) for e in range(23)])


@part
def _is_space(c: int) -> bool:
    return c == 32 or c == 10 or c == 13 or c == 9


@part
def _behind_space(text: NDArray[np.uint8], at: int) -> int:
    while _is_space(text[at]):
        at += 1
    return at


@part
def _read_value(text: NDArray[np.uint8], at: int) -> tuple[int, float]:
    """Position behind a JSON number or null and its value; -1 if there is none, -2 if it cannot be exact.

    Exact is a number of at most 15 digits whose power of ten is a double (Clinger 1990).
    """
    c = np.int64(text[at])
    if c == 110:  # null
        if text[at + 1] == 117 and text[at + 2] == 108 and text[at + 3] == 108:
            return at + 4, np.nan
        return -1, 0.0
    negative = c == 45
    if negative:
        at += 1
        c = np.int64(text[at])
    if not 48 <= c <= 57:
        return -1, 0.0
    begin = at
    mantissa = np.int64(0)
    if c == 48:
        at += 1
        c = np.int64(text[at])
    else:
        while 48 <= c <= 57:
            mantissa = mantissa * 10 + (c - 48)
            at += 1
            c = np.int64(text[at])
    digits = at - begin
    exponent = 0
    if c == 46:
        at += 1
        begin = at
        c = np.int64(text[at])
        while 48 <= c <= 57:
            mantissa = mantissa * 10 + (c - 48)
            at += 1
            c = np.int64(text[at])
        if at == begin:
            return -1, 0.0
        digits += at - begin
        exponent = begin - at
    if c == 101 or c == 69:
        at += 1
        c = np.int64(text[at])
        minus = c == 45
        if minus or c == 43:
            at += 1
            c = np.int64(text[at])
        if not 48 <= c <= 57:
            return -1, 0.0
        power = 0
        while 48 <= c <= 57:
            power = min(power * 10 + (c - 48), 9999)
            at += 1
            c = np.int64(text[at])
        exponent += -power if minus else power
    if digits > 15 or not -22 <= exponent <= 22:
        return -2, 0.0
    value = np.float64(mantissa)
    value = value / _POWER[-exponent] if exponent < 0 else value * _POWER[exponent]
    return at, -value if negative else value


@kernel(int64, _text, int64, _float64_1, int64_1, _uint8_1, int64_1)
def take_arrays(
    text: NDArray[np.uint8],
    length: int,
    values: NDArray[np.float64],
    ends: NDArray[np.int64],
    rest: NDArray[np.uint8],
    rest_length: NDArray[np.int64],
) -> int:
    """Moves the number arrays of a JSON text into `values`; returns how many there are, or HARD.

    An array that is not empty and holds nothing but numbers and nulls (NaN) becomes `[k]` in `rest`, with k
    counting from 0, and ends in `values` before `ends[k]`. Everything else is copied to `rest`, whose length
    is left in `rest_length[0]`; whether it is valid JSON is for its reader to say. HARD: some number has more
    digits than this kernel can read exactly.

    `text` needs 8 zero bytes behind `length`. `values` holds length / 2 numbers, `ends` as many as there are
    brackets, `rest` twice the length.
    """
    at = 0
    out = 0
    count = 0
    arrays = 0
    while at < length:
        c = text[at]
        rest[out] = c
        out += 1
        at += 1
        if c == 34:  # a string, up to its end
            while at < length and text[at] != 34:
                if text[at] == 92:
                    rest[out] = text[at]
                    out += 1
                    at += 1
                rest[out] = text[at]
                out += 1
                at += 1
            if at < length:
                rest[out] = text[at]
                out += 1
                at += 1
        elif c == 91:
            begin = at
            taken = count
            good = False
            at = _behind_space(text, at)
            while True:
                at, value = _read_value(text, at)
                if at < 0:
                    break
                values[taken] = value
                taken += 1
                at = _behind_space(text, at)
                if text[at] == 93:
                    good = True
                    break
                if text[at] != 44:
                    break
                at = _behind_space(text, at + 1)
            if at == -2:
                return HARD
            if not good:
                at = begin
                continue
            digits = 1
            power = 10
            while power <= arrays:
                power *= 10
                digits += 1
            number = arrays
            for place in range(digits - 1, -1, -1):
                rest[out + place] = 48 + number % 10
                number //= 10
            out += digits
            count = taken
            ends[arrays] = count
            arrays += 1
    rest_length[0] = out
    return arrays
