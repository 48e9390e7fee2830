"""What processors can do and numba has no word for: wide comparisons, bit counts, prefetches.

Each is a few machine instructions when compiled, and a plain twin when the compiler is switched off. Texts
end with at least 64 bytes of padding, so that 32 bytes can be read at any position of theirs.
"""

# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"
# mypy: disable-error-code="no-untyped-call, call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

_BYTE = ir.IntType(8)
_WIDE = ir.VectorType(_BYTE, 32)
_BITS = ir.IntType(32)


def _address(context: Any, builder: Any, kind: Any, array: Any, at: Any, width: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    first = builder.bitcast(data, _BYTE.as_pointer())
    return builder.bitcast(builder.gep(first, [at]), width.as_pointer())


def _loaded(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    place = builder.load(_address(context, builder, kind, array, at, _WIDE))
    place.align = 1
    return place


def _all(byte: int) -> Any:
    return ir.Constant(_WIDE, [byte] * 32)


@intrinsic
def _equal_lanes(_: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x = _loaded(context, builder, signature.args[0], values[0], values[1])
        y = _loaded(context, builder, signature.args[2], values[2], values[3])
        mask = builder.bitcast(builder.icmp_unsigned("==", x, y), _BITS)
        return builder.zext(mask, ir.IntType(64))

    return types.uint64(a, types.int64, b, types.int64), code


@intrinsic
def _stop_lanes(_: Any, text: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x = _loaded(context, builder, signature.args[0], values[0], values[1])
        low = builder.icmp_unsigned("<=", x, _all(32))
        backslash = builder.icmp_unsigned("==", x, _all(92))
        mask = builder.bitcast(builder.or_(low, backslash), _BITS)
        return builder.zext(mask, ir.IntType(64))

    return types.uint64(text, types.int64), code


@intrinsic
def _trailing_zeros(_: Any, word: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), code


@intrinsic
def _prefetch(_: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _address(context, builder, signature.args[0], values[0], values[1], _BYTE)
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), number, number, number]),
            "llvm.prefetch.p0i8",
        )
        builder.call(function, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), code


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def equal_lanes(a: NDArray[np.uint8], i: int, b: NDArray[np.uint8], j: int) -> int:
        equal = a[i : i + 32] == b[j : j + 32]
        return np.uint64(sum(1 << lane for lane in np.flatnonzero(equal).tolist()))

    def stop_lanes(text: NDArray[np.uint8], at: int) -> int:
        lanes = text[at : at + 32]
        stops = (lanes <= 32) | (lanes == 92)
        return np.uint64(sum(1 << lane for lane in np.flatnonzero(stops).tolist()))

    def trailing_zeros(word: int) -> int:
        number = int(word)
        return np.int64((number & -number).bit_length() - 1 if number else 64)

    def prefetch(array: NDArray[Any], at: int) -> None:
        pass

else:

    @numba.njit(forceinline=True)
    def equal_lanes(a, i, b, j):  # type: ignore[no-untyped-def]
        """Bit k: a[i + k] equals b[j + k], for 32 bytes."""
        return _equal_lanes(a, np.int64(i), b, np.int64(j))

    @numba.njit(forceinline=True)
    def stop_lanes(text, at):  # type: ignore[no-untyped-def]
        """Bit k: text[at + k] is a blank, a backslash or below 0x20, for 32 bytes."""
        return _stop_lanes(text, np.int64(at))

    @numba.njit(forceinline=True)
    def trailing_zeros(word):  # type: ignore[no-untyped-def]
        """Number of zero bits below the lowest one; 64 when there is none."""
        return _trailing_zeros(np.uint64(word))

    @numba.njit(forceinline=True)
    def prefetch(array, at):  # type: ignore[no-untyped-def]
        """Asks for the cache line of byte `at` of an array; any address is fine."""
        _prefetch(array, np.int64(at))
