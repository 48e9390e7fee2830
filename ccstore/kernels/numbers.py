"""Text to numbers, as the line protocol spells them; results are within 1 ulp of the nearest double.

Up to 20 digits are read into an integer. Small exponents are exact in double arithmetic (Clinger 1990); the
others go through a table of powers of ten with twice the precision.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import inlined, part
from ccstore.kernels.machine import trailing_zeros

# `load` and the word tricks: a word of eight bytes, its first byte lowest
_B1, _B2, _B3, _B4, _B5, _B6, _B7 = (np.uint64(8 * i) for i in range(1, 8))
_I1, _I2, _I3, _I4, _I5, _I6, _I7 = (np.uint64(i) for i in range(1, 8))
_DIGITS = np.uint64(0x3030303030303030)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_HIGHS = np.uint64(0x8080808080808080)
_BYTES = np.uint64(0x00FF00FF00FF00FF)
_PAIRS = np.uint64(0x0000FFFF0000FFFF)
_HALF = np.uint64(0xFFFFFFFF)
_HUNDRED = np.uint64(100)
_TEN_THOUSAND = np.uint64(10000)
_POWERS = np.array([10**e for e in range(9)], np.uint64)

BAD = 0
FLOAT = 1
INT = 2
UINT = 3

_LOWEST = -370
_HIGHEST = 330


def _powers_of_ten() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """10**e = (high + low) * 2**exponent with high in [0.5, 2), for e in _LOWEST.._HIGHEST."""
    high, low, exponent = [], [], []
    for e in range(_LOWEST, _HIGHEST + 1):
        power = 10**e if e >= 0 else 1
        divisor = 1 if e >= 0 else 10**-e
        two = power.bit_length() - divisor.bit_length()
        exact = Fraction(power << max(-two, 0), divisor << max(two, 0))
        high.append(float(exact))
        low.append(float(exact - Fraction(high[-1])))
        exponent.append(two)
    return np.array(high), np.array(low), np.array(exponent)


_HIGH, _LOW, _EXPONENT = _powers_of_ten()
_EXACT = np.array([float(10**e) for e in range(23)])
_MAX_EXACT = np.uint64(1 << 53)
_INT_MAX = np.uint64((1 << 63) - 1)
_INT_MIN = np.uint64(1 << 63)
_TEN = np.uint64(10)
_TENTH = np.uint64(((1 << 64) - 1) // 10)
_TWO64 = 18446744073709551616.0
_ZERO = np.uint64(0)
_SPLIT = 134217729.0  # 2**27 + 1


@inlined
def load(text: NDArray[np.uint8], at: np.uint64) -> np.uint64:
    """Eight bytes as a little-endian word: LLVM makes one load of it. Reads up to 7 bytes past the end of a
    key."""
    return (
        np.uint64(text[at])
        | (np.uint64(text[at + _I1]) << _B1)
        | (np.uint64(text[at + _I2]) << _B2)
        | (np.uint64(text[at + _I3]) << _B3)
        | (np.uint64(text[at + _I4]) << _B4)
        | (np.uint64(text[at + _I5]) << _B5)
        | (np.uint64(text[at + _I6]) << _B6)
        | (np.uint64(text[at + _I7]) << _B7)
    )


@inlined
def leading_digits(word: np.uint64) -> tuple[int, np.uint64]:
    """How many of the eight characters, from the first, are digits, and the number that these spell."""
    t = word ^ _DIGITS
    # A byte above nine gets its highest bit; sums may carry into later bytes, which do not count any more.
    count = trailing_zeros(((t + _ABOVE_NINE) | t) & _HIGHS) >> 3
    if count == 0:
        return 0, _ZERO
    t <<= np.uint64(64 - 8 * count)
    t = (t * _TEN + (t >> _B1)) & _BYTES
    t = (t * _HUNDRED + (t >> _B2)) & _PAIRS
    return count, (t * _TEN_THOUSAND + (t >> _B4)) & _HALF


@inlined
def scale(mantissa: np.uint64, exponent: int) -> float:
    """mantissa * 10**exponent."""
    if mantissa == _ZERO:
        return 0.0
    value = np.float64(mantissa)
    if mantissa <= _MAX_EXACT:
        if exponent == 0:
            return value
        if 0 < exponent <= 22:
            return value * _EXACT[exponent]
        if -22 <= exponent < 0:
            return value / _EXACT[-exponent]
    if exponent < _LOWEST:
        return 0.0
    if exponent > _HIGHEST:
        return np.inf
    if value == _TWO64:
        rest = -np.float64(_ZERO - mantissa)
    else:
        rest = np.float64(np.int64(mantissa - np.uint64(value)))
    high = _HIGH[exponent - _LOWEST]
    low = _LOW[exponent - _LOWEST]
    # Product of two pairs of doubles (Dekker 1971).
    product = value * high
    t = value * _SPLIT
    a = t - (t - value)
    b = value - a
    t = high * _SPLIT
    c = t - (t - high)
    d = high - c
    error = ((a * c - product) + a * d + b * c) + b * d
    error += value * low + rest * high
    return np.ldexp(product + error, _EXPONENT[exponent - _LOWEST])


@part
def read_number(text: NDArray[np.uint8], at: int) -> tuple[int, float, int]:
    """Kind, value and the position behind the number; BAD with the position of the trouble.

    The text ends with a byte that no number contains. A float must be finite, int and uint must fit 64 bits.
    """
    negative = text[at] == 45
    if negative:
        at += 1
    mantissa = _ZERO
    taken = 0
    exponent = 0
    begin = at
    c = np.int64(text[at])
    while 48 <= c <= 57:
        if taken < 19 or (taken == 19 and mantissa < _TENTH):
            mantissa = mantissa * _TEN + np.uint64(c - 48)
            if mantissa != _ZERO:
                taken += 1
        elif taken == 19 and mantissa == _TENTH and c <= 53:
            mantissa = mantissa * _TEN + np.uint64(c - 48)
            taken += 1
        else:
            taken = 20
            exponent += 1
        at += 1
        c = np.int64(text[at])
    digits = at - begin
    whole = True
    if c == 46:
        whole = False
        at += 1
        c = np.int64(text[at])
        begin = at
        while 48 <= c <= 57:
            if taken < 19:
                mantissa = mantissa * _TEN + np.uint64(c - 48)
                exponent -= 1
                if mantissa != _ZERO:
                    taken += 1
            at += 1
            c = np.int64(text[at])
        digits += at - begin
    if digits == 0:
        return BAD, 0.0, at
    if c in (101, 69):
        whole = False
        at += 1
        c = np.int64(text[at])
        minus = c == 45
        if c in (45, 43):
            at += 1
            c = np.int64(text[at])
        if not 48 <= c <= 57:
            return BAD, 0.0, at
        power = 0
        while 48 <= c <= 57:
            if power < 100000:
                power = power * 10 + (c - 48)
            at += 1
            c = np.int64(text[at])
        exponent += -power if minus else power
    if c in (105, 117):
        if not whole or exponent != 0:
            return BAD, 0.0, at
        value = np.float64(mantissa)
        if c == 117:
            return (BAD, 0.0, at) if negative else (UINT, value, at + 1)
        if mantissa > (_INT_MIN if negative else _INT_MAX):
            return BAD, 0.0, at
        return INT, -value if negative else value, at + 1
    value = scale(mantissa, exponent)
    if value == np.inf:
        return BAD, 0.0, at
    return FLOAT, -value if negative else value, at


@inlined
def quick_number(text: NDArray[np.uint8], at: int) -> tuple[int, float, int]:
    """What `read_number` says, without a step for every digit: at most 15 digits before the point, 19 in all.

    Numbers of another form are left to it. At least 40 bytes may be read behind `at`.
    """
    begin = at
    negative = text[at] == 45
    if negative:
        at += 1
    digits, mantissa = leading_digits(load(text, np.uint64(at)))
    at += digits
    if digits == 8:
        more, number = leading_digits(load(text, np.uint64(at)))
        if more == 8:
            return read_number(text, begin)
        mantissa = mantissa * _POWERS[more] + number
        digits += more
        at += more
    exponent = 0
    c = np.int64(text[at])
    if c == 46:
        at += 1
        behind, number = leading_digits(load(text, np.uint64(at)))
        if digits + behind > 19:
            return read_number(text, begin)
        if behind:
            mantissa = mantissa * _POWERS[behind] + number
            at += behind
            digits += behind
            exponent = -behind
            if behind == 8:
                behind, number = leading_digits(load(text, np.uint64(at)))
                more, last = (0, _ZERO) if behind < 8 else leading_digits(load(text, np.uint64(at + 8)))
                digits += behind + more
                if digits > 19 or more == 8:
                    return read_number(text, begin)
                mantissa = (mantissa * _POWERS[behind] + number) * _POWERS[more] + last
                at += behind + more
                exponent -= behind + more
        c = np.int64(text[at])
    elif c in (105, 117):
        if digits == 0 or (negative and c == 117):
            return BAD, 0.0, at
        value = np.float64(mantissa)
        return (UINT if c == 117 else INT), (-value if negative else value), at + 1
    if digits == 0:
        return BAD, 0.0, at
    if c in (101, 69):
        at += 1
        c = np.int64(text[at])
        minus = c == 45
        if c in (45, 43):
            at += 1
        more, number = leading_digits(load(text, np.uint64(at)))
        if more == 0 or more > 4:
            return read_number(text, begin)
        at += more
        exponent += -np.int64(number) if minus else np.int64(number)
        c = np.int64(text[at])
    if c in (105, 117):
        return BAD, 0.0, at
    value = scale(mantissa, exponent)
    if value == np.inf:
        return BAD, 0.0, at
    return FLOAT, -value if negative else value, at
