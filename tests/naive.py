"""Slow, obvious twins of the compiled kernels: plain Python that can be checked by eye."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal


def number(text: str) -> float | None:
    """A float, int or uint of the line protocol; None when it is none of them or does not fit."""
    body = text.removeprefix("-")
    if body[-1:] in ("i", "u"):
        digits = body[:-1]
        if not digits or not set(digits) <= set("0123456789"):
            return None
        value = int(digits)
        if body[-1] == "u":
            return float(value) if body == text and value < 2**64 else None
        value = -value if body != text else value
        return float(value) if -(2**63) <= value < 2**63 else None
    mantissa, e, exponent = body.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    if not whole + fraction or not set(whole + fraction) <= set("0123456789"):
        return None
    digits = exponent[1:] if exponent[:1] in ("+", "-") else exponent
    if e and (not digits or not set(digits) <= set("0123456789")):
        return None
    result = float(text)
    return result if math.isfinite(result) else None


def seconds(time: int) -> int:
    """Unix seconds of a time stamp by its magnitude."""
    for limit, unit in ((10**11, 1), (10**14, 10**3), (10**17, 10**6)):
        if abs(time) < limit:
            return time // unit
    return time // 10**9


def checksum(content: bytes) -> int:
    """Of a journal's record, as docs/format/journal.md draws it; a multiple of 32 bytes."""
    full = 2**64 - 1
    prime = 0x9E3779B97F4A7C15
    sums = [1, 2, 3, 4]
    for place in range(0, len(content), 8):
        mixed = (sums[place // 8 % 4] ^ int.from_bytes(content[place : place + 8], "little")) * prime & full
        sums[place // 8 % 4] = (mixed << 29 | mixed >> 35) & full
    total = len(content) // 4
    for one in sums:
        total = ((total ^ total >> 32) ^ one) * prime & full
    return total ^ total >> 32


def average(values: Sequence[float], every: int) -> list[float]:
    """Mean of what is there in each group of `every` points; a rest is left out."""
    points = []
    for i in range(len(values) // every):
        group = [v for v in values[i * every : (i + 1) * every] if not math.isnan(v)]
        points.append(sum(group) / len(group) if group else math.nan)
    return points


def largest_triangles(values: Sequence[float], points: int) -> list[float]:
    """LTTB, written as spec/metric-store.md 5 words it."""
    n = len(values)
    if points <= 2:
        return [values[0], values[-1]]
    width = (n - 2) / (points - 2)
    chosen = 0
    low, middle = 1, math.floor(width) + 1
    out = [values[0]]
    for i in range(points - 2):
        high = math.floor((i + 2) * width) + 1
        if high >= n - 1:
            high = n - 2
        bucket = range(middle, high + 1)
        x = sum(bucket) / len(bucket) if bucket else math.nan
        y = sum(values[j] for j in bucket) / len(bucket) if bucket else math.nan
        best, at = -1.0, low
        for j in range(low, middle):
            area = abs((chosen - j) * (y - values[chosen]) - (chosen - x) * (values[j] - values[chosen])) / 2
            if math.isnan(area) or area > best:
                best, at = area, j
        out.append(values[at])
        chosen, low, middle = at, middle, high
    return [*out, values[-1]]


def combine(children: Sequence[Sequence[float]], aggregation: str) -> list[float]:
    """Children on one raster to one series; those without any value do not take part."""
    present = [child for child in children if not all(map(math.isnan, child))]
    if not present:
        return [math.nan] * len(children[0])
    if aggregation == "sum":
        return [math.fsum(column) for column in zip(*present, strict=True)]
    means = []
    for column in zip(*present, strict=True):
        there = [v for v in column if not math.isnan(v)]
        means.append(sum(there) / len(there) if there else math.nan)
    return means


class Series:
    """A series whose sender keeps its phase: every sample in the slot nearest to the first one's raster."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.phase: int | None = None
        self.slots: dict[int, float] = {}

    def write(self, time: int, value: float) -> None:
        if self.phase is None:
            self.phase = time
        self.slots[(time - self.phase + self.step // 2) // self.step] = value

    def read(self, start: int, to: int) -> list[float]:
        assert self.phase is not None
        return [
            self.slots.get((time - self.phase + self.step // 2) // self.step, math.nan)
            for time in range(start, to, self.step)
        ]


def json_number(value: float) -> str:
    """A float32 between 1e-10 and 2**26 (or the negative of one) with as many decimals as its precision
    2**-23 gives, two at least, without trailing zeros."""
    exponent = math.frexp(value)[1] - 1
    places = max(math.floor(math.log10(2.0 ** (23 - exponent))), 2) if exponent < 24 else 1
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    text = f"{rounded:f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def units(pieces: Iterable[tuple[int, int]]) -> list[int]:
    """Every unit of memory of pieces given by their first unit and their size."""
    return sorted(unit for place, size in pieces for unit in range(place, place + size))


EMPTY = 0x7FC00000
"""Bits of a float32 that stand for no sample."""


def fewest_bits(words: Sequence[int]) -> int:
    """Bits a slot that a row of float32, given by their bits, is packed with (ccstore/kernels/codec.py)."""
    there = [word for word in words if word != EMPTY]
    if not there:
        return 0
    holes = len(there) < len(words)
    distances = [word - min(there) for word in there]
    while any(distances) and all(distance % 2 == 0 for distance in distances):
        distances = [distance // 2 for distance in distances]
    fewest = (max(distances) + holes).bit_length()
    for exponent in range(-9, 8):
        numbers = [as_decimal(word, exponent) for word in there]
        known = [number for number in numbers if number is not None]
        if len(known) == len(numbers):
            return min(fewest, (max(known) - min(known) + holes).bit_length())
    return fewest


def as_decimal(word: int, exponent: int) -> int | None:
    """n, if the float32 with these bits is the one next to n x 10^-exponent; None if there is no such n below
    2^29, or for -0."""
    (value,) = struct.unpack("<f", struct.pack("<I", word))
    if math.isnan(value) or abs(value) * 10.0**exponent >= 2**29 or word == 1 << 31:
        return None
    number = round(value * 10.0**exponent)
    return number if word_of(number * 10.0**-exponent) == word else None


def word_of(value: float) -> int:
    """Bits of the nearest float32."""
    (word,) = struct.unpack("<I", struct.pack("<f", value))
    return int(word)


def unpacked(words: Sequence[int], slots: int) -> list[int]:
    """Bits of the float32 of a packed row: header, base, codes (ccstore/kernels/codec.py)."""
    header, base, *rest = words
    width, zeros, exponent = header % 64, header // 64 % 32, header // 2**11 % 32 - 10
    holes, nothing = header // 2**16 % 2, header // 2**17 % 2
    codes = sum(word << 32 * i for i, word in enumerate(rest))
    values = []
    for slot in range(slots):
        code = codes >> slot * width & 2**width - 1
        if nothing or (holes and code == 2**width - 1):
            values.append(EMPTY)
        elif exponent == -10:
            values.append(base + (code << zeros))
        else:
            low = base - 2**32 if base >= 2**31 else base
            values.append(word_of((low + code) * 10.0**-exponent))
    return values


def frames(stream: bytes, room: int) -> tuple[str, int, list[tuple[int, int, int]]]:
    """Messages a NATS broker sent: why no more were found, where the rest begins, and of each message its
    subscription and where its payload begins and ends."""
    found: list[tuple[int, int, int]] = []
    at = 0
    while at < len(stream):
        if len(found) == room:
            return "full", at, found
        rest = stream[at:]
        control, arrived, behind = rest.partition(b"\r")
        word, *tokens = control.split(b" ")
        if len(rest) < 5 or not rest.startswith((b"MSG ", b"HMSG ")):
            return "other", at, found
        if not arrived or not behind:
            return "more", at, found
        if word == b"MSG" and len(tokens) in (3, 4):
            sizes = [b"0", tokens[-1]]
        elif word == b"HMSG" and len(tokens) in (4, 5):
            sizes = tokens[-2:]
        else:
            return "other", at, found
        numbers = [tokens[1], *sizes]
        regular = behind[0] == 10 and b"" not in tokens[1:]
        if not regular or not all(one.isdigit() and len(one) <= 12 for one in numbers):
            return "other", at, found
        subscription, head, size = map(int, numbers)
        begin = at + len(control) + 2
        if head > size:
            return "other", at, found
        if begin + size + 2 > len(stream):
            return "more", at, found
        if stream[begin + size : begin + size + 2] != b"\r\n":
            return "other", at, found
        found.append((subscription, begin + head, begin + size))
        at = begin + size + 2
    return "more", at, found
