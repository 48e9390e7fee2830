"""A row of slots in fewer bits: what old pages are packed with. Bit for bit what was stored comes back.

Most samples are decimal numbers of a few digits near each other: n = round(value x 10^e), if that gives every
value of the row back. Other rows take the 32 bits of each float32 as a number, without the zeros that all
end with. Either way the row holds its lowest number and, for each slot, the distance from it in as few bits
as the largest one needs; a slot without a sample has all of these bits set. A slot is found without its
neighbours.

    header   bits 0-5 width, 6-10 zeros left out, 11-15 e + 10 (0: bits of float32), 16 some slots are empty,
             17 all slots are empty; one word of 32 bits
    base     the lowest number, one word
    codes    width x slots bits, lowest first, filled up to a word

Cost: benchmarks/store_packing.py.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import inlined, part
from ccstore.kernels.machine import trailing_zeros

EMPTY_ROW = 1 << 17
TOO_WIDE = -1

_HOLES = 1 << 16
_NOTHING = 0x7FC00000  # what an empty slot holds: the NaN of np.float32(np.nan)
_MINUS_ZERO = 0x80000000
_INFINITY = 0x7F800000
_ALL = np.uint64(0xFFFFFFFF)
_ONE, _FIVE, _31, _32 = np.uint64(1), np.uint64(5), np.uint64(31), np.uint64(32)
_MOST = 2.0**29  # so that a code and a number fit an int32

_EXPONENTS = range(-9, 8)
_TO_NUMBER = np.array([0.0] + [10.0**e for e in _EXPONENTS])
_TO_VALUE = np.array([0.0] + [10.0**-e for e in _EXPONENTS])


@inlined
def words_of(header: int, slots: int) -> int:
    """Words of a row behind its header; those of a row that was emptied later stay where they are."""
    return 1 + (((header & 63) * slots + 31) >> 5)


@part
def _bit_length(number: int) -> int:
    length = 0
    while number > 0:
        number >>= 1
        length += 1
    return length


@part
def _decimals(values: NDArray[np.float32], words: NDArray[np.uint32], code: int) -> tuple[int, int]:
    """Lowest and highest number when every value is one of 10^-e; the highest is below the lowest when one
    is not."""
    low = np.int64(1) << 40
    high = -(np.int64(1) << 40)
    for i in range(values.shape[0]):
        word = np.int64(words[i])
        if word == _NOTHING:
            continue
        scaled = np.float64(values[i]) * _TO_NUMBER[code]
        if not abs(scaled) < _MOST or word == _MINUS_ZERO:
            return 1, 0
        number = np.int64(np.rint(scaled))
        if np.float32(np.float64(number) * _TO_VALUE[code]) != values[i]:
            return 1, 0
        low = min(low, number)
        high = max(high, number)
    return low, high


@part
def plan(values: NDArray[np.float32], words: NDArray[np.uint32]) -> tuple[int, int]:
    """Header and base of the row that takes the fewest bits; header TOO_WIDE when it would need 33 a slot.

    `words` are the bits of `values`.
    """
    low = np.int64(1) << 40
    high = np.int64(0)
    holes = np.int64(0)
    for i in range(words.shape[0]):
        word = np.int64(words[i])
        if word == _NOTHING:
            holes = np.int64(_HOLES)
            continue
        low = min(low, word)
        high = max(high, word)
    if low > high:
        return np.int64(EMPTY_ROW), np.int64(0)
    differences = np.int64(0)
    for i in range(words.shape[0]):
        word = np.int64(words[i])
        if word != _NOTHING:
            differences |= word - low
    zeros = np.int64(trailing_zeros(np.uint64(differences))) if differences else np.int64(0)
    width = _bit_length(((high - low) >> zeros) + (1 if holes else 0))
    header = np.int64(TOO_WIDE) if width > 32 else width | (zeros << 6) | holes
    base = low
    for code in range(1, _TO_NUMBER.shape[0]):
        low, high = _decimals(values, words, code)
        if low <= high:
            fewer = _bit_length(high - low + (1 if holes else 0))
            if fewer < width:
                header = fewer | (code << 11) | holes
                base = low
            break
    return header, base


@part
def pack(
    values: NDArray[np.float32], words: NDArray[np.uint32], header: int, base: int, target: NDArray[np.uint32]
) -> None:
    """Writes base and codes of a row to `target`, which has words_of(header, slots) words."""
    if header & EMPTY_ROW:
        target[0] = 0
        return
    width = np.uint64(header & 63)
    zeros = (header >> 6) & 31
    code = (header >> 11) & 31
    all_set = (_ONE << width) - _ONE
    target[0] = np.uint32(base & 0xFFFFFFFF)
    waiting = np.uint64(0)
    filled = np.uint64(0)
    place = 1
    for i in range(values.shape[0]):
        if words[i] == np.uint32(_NOTHING):
            number = all_set
        elif code:
            number = np.uint64(np.int64(np.rint(np.float64(values[i]) * _TO_NUMBER[code])) - base)
        else:
            number = np.uint64((np.int64(words[i]) - base) >> zeros)
        waiting |= number << filled
        filled += width
        if filled >= _32:
            target[place] = np.uint32(waiting & _ALL)
            place += 1
            waiting >>= _32
            filled -= _32
    if filled > np.uint64(0):
        target[place] = np.uint32(waiting & _ALL)


@inlined
def _number(words: NDArray[np.uint32], begin: np.uint64, bit: np.uint64, mask: np.uint64) -> np.uint64:
    """The code whose lowest bit is bit `bit` of words[begin:]; one word behind its own is read, too.

    Unsigned throughout: an index that may be negative costs half of the time again.
    """
    place = begin + (bit >> _FIVE)
    two = np.uint64(words[place]) | (np.uint64(words[place + _ONE]) << _32)
    return (two >> (bit & _31)) & mask


@part
def is_filled(words: NDArray[np.uint32], at: int, header: int, slot: int) -> bool:
    """Whether a slot of the row whose base is words[at] holds a number."""
    if header & EMPTY_ROW:
        return False
    width = np.uint64(header & 63)
    mask = (_ONE << width) - _ONE
    number = _number(words, np.uint64(at + 1), np.uint64(slot) * width, mask)
    if header & _HOLES and number == mask:
        return False
    if (header >> 11) & 31:
        return True
    word = np.int64(words[at]) + (np.int64(number) << ((header >> 6) & 31))
    return (word & 0x7FFFFFFF) <= _INFINITY


@part
def unpack(words: NDArray[np.uint32], at: int, header: int, first: int, out: NDArray[np.float32]) -> None:
    """Slots from `first` on of the row whose base is words[at], as many as `out` takes."""
    if header & EMPTY_ROW:
        out[:] = np.float32(np.nan)
        return
    width = np.uint64(header & 63)
    mask = (_ONE << width) - _ONE
    nothing = np.int64(mask) if header & _HOLES else np.int64(-1)
    code = (header >> 11) & 31
    begin = np.uint64(at + 1)
    bit = np.uint64(first) * width
    if code:
        base = np.int32(words[at])
        factor = _TO_VALUE[code]
        for i in range(out.shape[0]):
            number = np.int32(_number(words, begin, bit, mask))
            value = np.float32(np.float64(np.int32(base + number)) * factor)
            out[i] = np.float32(np.nan) if number == nothing else value
            bit += width
        return
    lowest = np.int64(words[at])
    zeros = np.int64((header >> 6) & 31)
    bits = out.view(np.uint32)
    for i in range(out.shape[0]):
        number = np.int64(_number(words, begin, bit, mask))
        bits[i] = np.uint32(_NOTHING) if number == nothing else np.uint32(lowest + (number << zeros))
        bit += width
