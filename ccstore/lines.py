"""Cutting a stream of line protocol where a line ends."""

from __future__ import annotations

import numpy as np

from ccstore.kernels import grammar, lines


def whole_lines(data: bytes | bytearray) -> int:
    """How many bytes of the beginning are whole lines; the rest may go on in data that has not come yet."""
    cut = data.rfind(b"\n") + 1
    if not cut or b'"' not in data:
        return cut
    text = np.zeros(len(data) + 72, np.uint8)
    text[: len(data)] = np.frombuffer(data, np.uint8)
    text[len(data)] = 10
    tokens = np.zeros((grammar.MAX_TOKENS + 8, 5), np.int64)
    return int(lines.whole_lines(text, len(data), tokens, np.zeros(grammar.HEAD_SIZE, np.int64)))
