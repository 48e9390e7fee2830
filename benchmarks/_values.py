"""Values of metrics over a day: texts as collectors send them, in the mix of `_collectors`.

A node works through jobs of an hour or two, a fifth of the time none: then most of its metrics stand still.
In a job a metric keeps a level and wanders by 3 % of it a step. Of twelve metrics three are integers, one is
large and unsigned, three have one to three decimals, three are rates of seven digits with an exponent, two
are quotients with all the digits of a double.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KINDS = 12
IDLE = 0.2
JOB = 90  # steps, on the average
WANDER = 0.03


class Values:
    """One value a step of each of many series; series n is of kind n % KINDS."""

    def __init__(self, series: int, seed: int = 1) -> None:
        self._source = np.random.default_rng(seed)
        self._kinds = np.arange(series) % KINDS
        self._levels = np.zeros(series)
        self._idle = np.zeros(series, bool)
        self._begin(np.ones(series, bool))

    def _begin(self, which: NDArray[np.bool_]) -> None:
        count = int(which.sum())
        low = np.array([0, 0, 0, 8, 0, 0, 0, 5, 5, 5, -1, -1])[self._kinds[which]]
        high = np.array([5, 5, 5, 11, 3, 3, 3, 9, 9, 9, 2, 2])[self._kinds[which]]
        self._levels[which] = 10.0 ** self._source.uniform(low, high, count)
        self._idle[which] = self._source.random(count) < IDLE

    def step(self) -> list[str]:
        """The next value of every series."""
        source, count = self._source, len(self._kinds)
        self._begin(source.random(count) < 1 / JOB)
        numbers = np.where(self._idle, 0.0, self._levels * (1 + WANDER * source.normal(size=count)))
        return [
            text(kind, number) for kind, number in zip(self._kinds.tolist(), numbers.tolist(), strict=True)
        ]


def text(kind: int, number: float) -> str:
    """A number as a metric of that kind is written."""
    if kind < 3:
        return f"{number:.0f}i"
    if kind < 4:
        return f"{max(number, 0):.0f}u"
    if kind < 7:
        return f"{number:.{kind - 3}f}"
    if kind < 10:
        return f"{number:.6e}"
    return repr(number)
