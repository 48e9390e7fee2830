"""Packing of old pages: bytes and ns a sample, by kind of metric, against lz4 over shuffled bytes in the same
run.

`python -m benchmarks.store_packing`. Kinds are those of benchmarks/_values.py; the last row has the values of
benchmarks/_collectors.py, each drawn without regard to the one before: no code could take less than 2.6 bytes
for these.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import lz4.block
import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks._collectors import _value
from benchmarks._values import KINDS, Values
from ccstore.kernels import snapshot
from ccstore.kernels.codec import pack, plan, unpack, words_of

SERIES = 2400
SLOTS = 64
NAMES = ["integers"] * 3 + ["large unsigned"] + [f"{d} decimals" for d in (1, 2, 3)] + ["rates"] * 3
NAMES += ["quotients"] * 2


@numba.njit(nogil=True)
def pack_rows(values: NDArray[np.float32], out: NDArray[np.uint32], ends: NDArray[np.int64]) -> int:
    bits = values.view(np.uint32)
    at = 0
    for row in range(len(ends)):
        begin = row * SLOTS
        part, part_bits = values[begin : begin + SLOTS], bits[begin : begin + SLOTS]
        header, base = plan(part, part_bits)
        size = words_of(header, SLOTS)
        out[at] = header
        pack(part, part_bits, header, base, out[at + 1 : at + 1 + size])
        ends[row] = at
        at += 1 + size
    return at


@numba.njit(nogil=True)
def unpack_rows(words: NDArray[np.uint32], ends: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    for row in range(len(ends)):
        at = ends[row]
        unpack(words, at + 1, np.int64(words[at]), 0, out[row * SLOTS : (row + 1) * SLOTS])


def nanoseconds(call: Callable[[], object], samples: int) -> float:
    times = []
    for _ in range(7):
        begin = time.thread_time()
        call()
        times.append(time.thread_time() - begin)
    return 1e9 * statistics.median(times) / samples


def show(name: str, values: NDArray[np.float32]) -> None:
    count = len(values)
    words = np.zeros(2 * count + 1, np.uint32)
    ends = np.zeros(count // SLOTS, np.int64)
    out = np.empty_like(values)
    size = pack_rows(values, words, ends)
    unpack_rows(words, ends, out)
    assert np.array_equal(out.view(np.uint32), values.view(np.uint32))
    shuffled = np.empty(4 * count, np.uint8)
    # As in a checkpoint: a page of four rows of 64 slots would be too small for lz4, so it gets all at once.
    snapshot.shuffle(values, shuffled)
    compressed = lz4.block.compress(shuffled.data, store_size=False)

    def plain() -> None:
        snapshot.shuffle(values, shuffled)
        lz4.block.compress(shuffled.data, store_size=False)

    print(
        f"{name:24}{4 * size / count:8.2f}{nanoseconds(lambda: pack_rows(values, words, ends), count):8.1f}"
        f"{nanoseconds(lambda: unpack_rows(words, ends, out), count):8.2f}{len(compressed) / count:12.2f}"
        f"{nanoseconds(plain, count):8.1f}"
        f"{nanoseconds(lambda: np.copyto(out, values), count):10.2f}",
        flush=True,
    )


def main() -> None:
    print(f"{'':24}{'bytes':>8}{'pack':>8}{'unpack':>8}{'lz4 bytes':>12}{'ns':>8}{'copy ns':>10}")
    source = Values(SERIES)
    texts = [source.step() for _ in range(SLOTS * 4)]
    over_time = np.array([[float(text.rstrip("iu")) for text in row] for row in texts], np.float32).T.copy()
    everything = []
    for name in dict.fromkeys(NAMES):
        kinds = [kind for kind in range(KINDS) if NAMES[kind] == name]
        part = over_time[np.isin(np.arange(SERIES) % KINDS, kinds)].reshape(-1)
        show(name, part)
        everything.append(part)
    show("all of them", np.concatenate(everything))
    chance = random.Random(1)
    drawn = [float(_value(kind % KINDS, chance).rstrip("iu")) for kind in range(SERIES) for _ in range(SLOTS)]
    show("drawn by chance", np.array(drawn, np.float32))


if __name__ == "__main__":
    main()
