"""A short numpy workload on one core: `python -m ccserver.demo.load --seconds 60`.

Phases of matrix products and of array sums take turns, so that a plot of it shows something.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--thread", type=int, default=None, help="hwthread to run on")
    arguments = parser.parse_args()
    os.nice(19)
    if arguments.thread is not None and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a container may forbid this processor
            os.sched_setaffinity(0, {arguments.thread})
    _work(arguments.seconds)
    return 0


def _work(seconds: float) -> None:
    import numpy as np

    generator = np.random.default_rng(1)
    matrix = generator.random((256, 256))
    vector = generator.random(4_000_000)
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        if passed % 20.0 < 15.0:
            product = matrix @ matrix
            matrix = product / product.max()
        else:
            vector = vector * 0.5 + vector[::-1] * 0.5
            time.sleep(0.02)


if __name__ == "__main__":
    raise SystemExit(main())
