"""Numbers to text: float32 blocks as the numbers of JSON arrays.

Cost model: 9 ns a number, 8 bytes of text. A block of BLOCK numbers is cut into digits first (loops without
branches that the compiler vectorises), then written with two 8-byte stores a number.

Every number comes out with at least two decimals and six (mostly seven) significant digits, as far as it has
them: trailing zeros are left out except for one behind the point. A decimal number below 131072 that float32
can tell from its neighbours of as many digits comes out as it went in; whole numbers below 10**16 come out
exactly as they are stored. NaN and infinities are `null`.
Contract: spec/metric-store.md 4.4, 4.6.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from ccstore.kernels.layout import bytes1, int64, int64_1, kernel, part, readonly_bytes1

BLOCK = 256
ROOM = 32  # bytes that one number, the comma behind it and its last store may take
DIGITS_SIZE = 2 * BLOCK

_DECIMALS = 8  # of the fast path
_ZEROS = np.uint64(0x3030303030303030)
_TOP = np.uint64(1 << 56)
_WHOLE_BYTES = np.uint64(56)
_32 = np.uint32
_64 = np.uint64


def _decimals(exponent: int) -> int:
    """As many as float32 numbers of that exponent keep of a decimal number: at least six significant digits.
    And two at least."""
    return max(math.floor((23 - exponent) * math.log10(2.0)), 2)


# By the eight exponent bits: 10**decimals, and what makes _DECIMALS decimals of that.
_POWER = np.ones(256)
_FILL = np.full(256, 10**_DECIMALS, np.uint32)
_IS_FAST = np.zeros(256, np.bool_)
for _exponent in range(-6, 26):
    _places = _decimals(_exponent) if _exponent < 24 else 0
    _POWER[_exponent + 127] = 10.0**_places
    _FILL[_exponent + 127] = 10 ** (_DECIMALS - _places)
    _IS_FAST[_exponent + 127] = True
_FAST_BELOW = 2.0**26
_SMALL_DECIMALS = 16  # two words of digits: for 10**-10 <= v < 2**-6
_SMALL_POWER = np.ones(256)
_SMALL_FILL = np.ones(256, np.int64)
for _exponent in range(-34, -6):
    _SMALL_POWER[_exponent + 127] = 10.0 ** min(_decimals(_exponent), _SMALL_DECIMALS)
    _SMALL_FILL[_exponent + 127] = 10 ** max(_SMALL_DECIMALS - _decimals(_exponent), 0)
_SMALL_ABOVE = 1e-10
_WHOLE_BELOW = 1e16
_WORD = np.int64(10**8)  # numbers below have eight digits

values1 = types.Array(types.float32, 1, "C", readonly=True)
bits1 = types.Array(types.uint32, 1, "C", readonly=True)
uint64_1 = types.Array(types.uint64, 1, "C")
uint32_1 = types.Array(types.uint32, 1, "C")


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def leading_zeros(word: np.uint64) -> np.uint64:
        return np.uint64(64 - int(word).bit_length())

    def trailing_zeros(word: np.uint64) -> np.uint64:
        return np.uint64((int(word) & -int(word)).bit_length() - 1)

    def store(out: NDArray[np.uint8], at: np.uint64, word: np.uint64) -> None:
        out[int(at) : int(at) + 8] = np.frombuffer(int(word).to_bytes(8, "little"), np.uint8)

else:

    @intrinsic
    def leading_zeros(_: Any, word: Any) -> Any:
        """Bits above the highest one; of a word that is not zero."""

        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.uint64(types.uint64), generate

    @intrinsic
    def trailing_zeros(_: Any, word: Any) -> Any:
        """Bits below the lowest one; of a word that is not zero."""

        def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.uint64(types.uint64), generate

    @intrinsic
    def store(_: Any, out: Any, at: Any, word: Any) -> Any:
        """Eight bytes to out[at:], the lowest first."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            builder.store(arguments[2], builder.bitcast(place, cgutils.intp_t.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(out, types.uint64, types.uint64), generate


@part
def four_digits(number: np.uint32) -> np.uint32:
    """Of a number below 10000: one a byte, the first in the lowest."""
    hundreds = (number * _32(5243)) >> _32(19)
    pairs = hundreds | ((number - hundreds * _32(100)) << _32(16))
    tens = ((pairs * _32(103)) >> _32(10)) & _32(0x000F000F)
    return tens | ((pairs - tens * _32(10)) << _32(8))


@part
def eight_digits(number: np.uint32) -> np.uint64:
    """Of a number below 10**8: one a byte, the first in the lowest."""
    high = _32((_64(number) * _64(3518437209)) >> _64(45))  # number // 10000
    return _64(four_digits(high)) | (_64(four_digits(number - high * _32(10000))) << _64(32))


@part
def cut(
    values: NDArray[np.float32],
    bits: NDArray[np.uint32],
    at: int,
    count: int,
    digits: NDArray[np.uint64],
    whole: NDArray[np.uint32],
) -> None:
    """Digits before the point to digits[:count], those behind it to digits[BLOCK:]; nonsense for numbers that
    are not fast."""
    for i in range(count):
        v = abs(np.float64(values[at + i]))
        v = v if v < _FAST_BELOW else 0.0
        before = np.int32(v)
        power = _POWER[(bits[at + i] >> _32(23)) & _32(255)]
        whole[i] = _32(before)
        whole[BLOCK + i] = _32(np.int32((v - np.float64(before)) * power + 0.5))
    for i in range(count):
        behind = whole[BLOCK + i] * _FILL[(bits[at + i] >> _32(23)) & _32(255)]
        carry = behind >= _32(_WORD)
        whole[i] = whole[i] + _32(carry)
        whole[BLOCK + i] = _32(0) if carry else behind
    for i in range(BLOCK + count):
        digits[i] = eight_digits(whole[i])


@part
def put_whole(out: NDArray[np.uint8], p: np.uint64, digits: np.uint64) -> np.uint64:
    """Without leading zeros."""
    lead = trailing_zeros(digits | _TOP) & _WHOLE_BYTES
    store(out, p, (digits | _ZEROS) >> lead)
    return p + _64(8) - (lead >> _64(3))


@part
def put_decimals(out: NDArray[np.uint8], p: np.uint64, digits: np.uint64) -> np.uint64:
    """The point and at least one decimal, without trailing zeros."""
    out[p] = 46
    p += _64(1)
    store(out, p, digits | _ZEROS)
    return p + _64(8) - (leading_zeros(digits | _64(1)) >> _64(3))


@part
def put_rare(out: NDArray[np.uint8], p: np.uint64, value: float, exponent: np.uint32) -> np.uint64:
    """What `cut` has no digits for."""
    v = abs(value)
    if v - v != 0.0:
        store(out, p, _64(0x6C6C756E))  # null
        return p + _64(4)
    if v == 0.0:
        store(out, p, _64(0x302E30))  # 0.0
        return p + _64(3)
    if value < 0.0:
        out[p] = 45
        p += _64(1)
    if v < _FAST_BELOW and v >= _SMALL_ABOVE:
        number = np.int64(v * _SMALL_POWER[exponent] + 0.5) * _SMALL_FILL[exponent]
        high = eight_digits(_32(number // _WORD))
        low = eight_digits(_32(number % _WORD))
        out[p] = 48
        if low == _64(0):
            return put_decimals(out, p + _64(1), high)
        out[p + _64(1)] = 46
        store(out, p + _64(2), high | _ZEROS)
        store(out, p + _64(10), low | _ZEROS)
        return p + _64(18) - (leading_zeros(low) >> _64(3))
    if _FAST_BELOW <= v < _WHOLE_BELOW:
        number = np.int64(v)
        high = eight_digits(_32(number // _WORD))
        if high != _64(0):
            p = put_whole(out, p, high)
            store(out, p, eight_digits(_32(number % _WORD)) | _ZEROS)
            p += _64(8)
        else:
            p = put_whole(out, p, eight_digits(_32(number)))
        return put_decimals(out, p, _64(0))
    tens = 0
    sign = 43
    if v < 1.0:
        sign = 45
        while v < 1.0:
            v *= 10.0
            tens += 1
    else:
        while v >= 10.0:
            v /= 10.0
            tens += 1
    before = np.int32(v)
    behind = np.int32((v - before) * 1e8 + 0.5)
    if behind >= _WORD:
        behind = np.int32(0)
        before += np.int32(1)
    p = put_whole(out, p, eight_digits(_32(before)))
    p = put_decimals(out, p, eight_digits(_32(behind)))
    out[p] = 101
    out[p + _64(1)] = sign
    return put_whole(out, p + _64(2), eight_digits(_32(tens)))


@kernel(int64, values1, bits1, int64_1, readonly_bytes1, int64_1, bytes1, int64_1, uint64_1, uint32_1)
def json_numbers(
    values: NDArray[np.float32],
    bits: NDArray[np.uint32],
    ends: NDArray[np.int64],
    texts: NDArray[np.uint8],
    text_ends: NDArray[np.int64],
    out: NDArray[np.uint8],
    spans: NDArray[np.int64],
    digits: NDArray[np.uint64],
    whole: NDArray[np.uint32],
) -> int:
    """texts[text_ends[r-1]:text_ends[r]] and behind it the numbers values[ends[r-1]:ends[r]] with commas
    between them, for all r, to `out`; returns the length of it all.

    The numbers stand at out[spans[2*r]:spans[2*r+1]]. `bits` are the values seen as uint32; `out` has room
    for the texts and ROOM bytes a value; `digits` and `whole` have DIGITS_SIZE places.
    """
    p = _64(0)
    begin = 0
    at_text = 0
    for r in range(ends.shape[0]):
        for k in range(at_text, text_ends[r]):
            out[p] = texts[k]
            p += _64(1)
        at_text = text_ends[r]
        spans[2 * r] = np.int64(p)
        for at in range(begin, ends[r], BLOCK):
            count = min(BLOCK, ends[r] - at)
            cut(values, bits, at, count, digits, whole)
            for i in range(count):
                exponent = (bits[at + i] >> _32(23)) & _32(255)
                if _IS_FAST[exponent]:
                    out[p] = 45
                    p += _64(bits[at + i] >> _32(31))
                    p = put_whole(out, p, digits[i])
                    p = put_decimals(out, p, digits[BLOCK + i])
                else:
                    p = put_rare(out, p, np.float64(values[at + i]), exponent)
                out[p] = 44
                p += _64(1)
        if ends[r] > begin:
            p -= _64(1)
        begin = ends[r]
        spans[2 * r + 1] = np.int64(p)
    return np.int64(p)
