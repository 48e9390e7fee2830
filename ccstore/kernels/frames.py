"""Splits the stream that a message broker sends into messages: MSG and HMSG of the NATS client protocol.

Only what is perfectly regular is split here; everything else is for the client library.
"""

# Numbers in kernels are numpy scalars, which mypy tells from int.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value, operator, type-var"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels.layout import bytes1, int64, int64_1, int64_2, kernel

# frames[:, ...]
FRAME = 0  # where its control line begins
SUBSCRIPTION = 1  # the number that the client gave it
BEGIN = 2  # of the payload, without headers
END = 3
FRAMES = 4

# out[...]
POSITION = 0  # of what is not split
COUNT = 1

MORE = 0  # the rest is the beginning of something
OTHER = 1  # at the position begins something that is no message
FULL = 2  # no room for more frames

_LONGEST_LINE = 4096


@kernel(int64, bytes1, int64, int64, int64_2, int64_1)
def split(
    text: NDArray[np.uint8],
    at: int,
    end: int,
    frames: NDArray[np.int64],
    out: NDArray[np.int64],
) -> int:
    """Splits text[at:end]; returns MORE, OTHER or FULL and fills `out`."""
    count = 0
    status = MORE
    while at < end:
        if count == frames.shape[0]:
            status = FULL
            break
        if end - at < 5:
            # Too short for a message; the client library knows the short ones (+OK).
            status = OTHER
            break
        head = 0
        if text[at] == 72:  # HMSG
            head = 1
        word = at + head
        if not (text[word] == 77 and text[word + 1] == 83 and text[word + 2] == 71 and text[word + 3] == 32):
            status = OTHER
            break
        # subject, number of the subscription, perhaps a subject for answers, sizes
        place = word + 4
        tokens = 1
        subscription = np.int64(-1)
        number = np.int64(0)
        before = np.int64(0)
        digits = 0
        regular = True
        while place < end and text[place] != 13 and place - at < _LONGEST_LINE:
            c = text[place]
            if c == 32:
                if digits == 0 and tokens != 1 and text[place - 1] == 32:
                    regular = False
                if tokens == 2:
                    subscription = number if digits > 0 else np.int64(-1)
                before = number if digits > 0 else np.int64(-1)
                tokens += 1
                number = np.int64(0)
                digits = 0
            elif 48 <= c <= 57 and (digits > 0 or text[place - 1] == 32) and 0 <= digits < 12:
                number = number * 10 + (np.int64(c) - 48)
                digits += 1
            else:
                digits = -100000  # not a number
            place += 1
        if place >= end or place + 1 >= end:
            if place - at >= _LONGEST_LINE:
                status = OTHER
            break
        if (
            not regular
            or text[place] != 13
            or text[place + 1] != 10
            or digits <= 0
            or subscription < 0
            or not 3 + head <= tokens <= 4 + head
            or (head == 1 and not 0 <= before <= number)
        ):
            status = OTHER
            break
        begin = place + 2
        if begin + number + 2 > end:
            break
        if text[begin + number] != 13 or text[begin + number + 1] != 10:
            status = OTHER
            break
        frame = frames[count]
        frame[FRAME] = at
        frame[SUBSCRIPTION] = subscription
        frame[BEGIN] = begin + (before if head == 1 else np.int64(0))
        frame[END] = begin + number
        count += 1
        at = begin + number + 2
    out[POSITION] = at
    out[COUNT] = count
    return status
