"""How far a text that goes on later consists of whole lines: a newline inside a string does not end one."""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.grammar import (
    ERROR_AT,
    LINE_BEGIN,
    LONGEST_LINE,
    NEXT_LINE,
    SYNTAX,
    read_point,
)
from ccstore.kernels.layout import bytes1, int64, int64_1, int64_2, kernel


@kernel(int64, bytes1, int64, int64_2, int64_1)
def whole_lines(text: NDArray[np.uint8], end: int, tokens: NDArray[np.int64], head: NDArray[np.int64]) -> int:
    """Where the last whole line of text[:end] ends; text[end] is LF and may be read 64 bytes further.

    A quoted string without end may find it in what follows, unless its line is too long already.
    """
    at = np.int64(0)
    while at < end:
        outcome = read_point(text, at, end, tokens, head)
        if head[NEXT_LINE] > end:
            break
        if outcome == SYNTAX and text[head[ERROR_AT]] == 34 and end - head[LINE_BEGIN] <= LONGEST_LINE:
            break
        at = head[NEXT_LINE]
    return at
