"""Units as texts, their SI prefixes, and how values move between them. Contract: spec/job-archive.md 18."""

from __future__ import annotations

import re

from ccserver.model.metrics import Unit

_DECIMAL = ("", "K", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n")
_SMALLEST = -len(_SMALL)
_FACTORS = {
    **{symbol: 1000.0**step for step, symbol in enumerate(_DECIMAL)},
    **{symbol.lower(): 1000.0**step for step, symbol in enumerate(_DECIMAL)},
    **{symbol: 1024.0**step for step, symbol in enumerate(_BINARY)},
    "m": 1e-3,
    "u": 1e-6,
    "n": 1e-9,
}


# Short form and what is recognised: a text that begins so, in this order. Small letters match capitals, too.
_MEASURES = tuple(
    (short, re.compile(pattern, re.IGNORECASE if fold else 0))
    for short, pattern, fold in (
        ("%", r"%|[pP]ercent", False),
        ("degC", r"deg[cC]|°[cC]", False),
        ("degF", r"deg[fF]|°[fF]", False),
        ("B", r"by?t?e?s?", True),
        ("Flops", r"fl?o?p?s?", True),
        ("RPM", r"rpm", True),
        ("Hz", r"he?r?t?z", True),
        ("s", r"se?c?o?n?d?s?", True),
        ("cyc", r"cyc?l?e?s?", True),
        ("W", r"wa?t?t?s?", True),
        ("J", r"jo?u?l?e?s?", True),
        ("requests", r"requ?e?s?t?s?", True),
        ("packets", r"pa?c?ke?ts?", True),
        ("events", r"ev?e?nts?", True),
    )
)
_SPLIT = re.compile(r"([kmgtpezy]i?)?(.*)", re.IGNORECASE | re.DOTALL)
# Nobody means a thousandth of these: m is mega.
_COUNTED = frozenset(("B", "Flops", "packets", "events", "cyc", "requests"))


def parse_unit(text: str) -> Unit:
    """A unit like `GB/s` or `kevents/s`, with the short forms of its measures. ValueError for any other text.

    `m` before what is counted means mega; a percentage has no prefix.
    """
    numerator, slash, denominator = text.partition("/")
    prefix, rest = _SPLIT.fullmatch(numerator).groups()  # type: ignore[union-attr]
    measure = _measure(rest)
    if measure is None and prefix and prefix in "pPeE":  # packets, events
        prefix, measure = "", _measure(numerator)
    per = _measure(denominator) if slash else ""
    if measure is None or per is None:
        raise ValueError(f"{text!r} is no unit")
    if measure == "%":
        prefix = ""
    elif prefix and not (prefix == "m" and measure not in _COUNTED):
        prefix = prefix[0].upper() + prefix[1:].lower()
    return Unit(measure + slash + per, prefix or "")


def convert(value: float, source: Unit, target: Unit) -> float:
    """A value of one unit in another one of the same measures. ValueError where they differ."""
    temperatures = (source.base, target.base)
    if temperatures == ("degC", "degF"):
        return value * 1.8 + 32
    if temperatures == ("degF", "degC"):
        return (value - 32) / 1.8
    if source.base != target.base:
        raise ValueError(f"{source.base!r} cannot be converted to {target.base!r}")
    return value * factor(source.prefix) / factor(target.prefix)


def _measure(text: str) -> str | None:
    return next((short for short, pattern in _MEASURES if pattern.match(text)), None)


def factor(prefix: str) -> float:
    """What one unit with `prefix` is worth in units without: 1e9 for G. ValueError for an unknown prefix."""
    try:
        return _FACTORS[prefix]
    except KeyError:
        raise ValueError(f"unknown unit prefix {prefix!r}") from None


def conversion(unit: Unit, prefix: str) -> tuple[float, Unit]:
    """Factor that turns values in `unit` into the same unit with `prefix`, and that unit.

    A unit whose prefix nobody knows stays as it is with factor 1: a foreign prefix must not hide the data.
    """
    if unit.prefix not in _FACTORS:
        return 1.0, unit
    return factor(unit.prefix) / factor(prefix), Unit(unit.base, prefix)


def normalize(average: float, prefix: str) -> tuple[float, str]:
    """Factor and new prefix that bring a value of about `average` between 1 and 1000.

    (2048, "M") -> (0.001, "G"). Binary prefixes count as the next larger decimal step, prefixes below 1 as
    none.
    """
    if average <= 0:
        return 1.0, prefix
    steps = 0
    while average > 1000:
        average /= 1000
        steps += 1
    while steps <= 0 and average < 1:
        average *= 1000
        steps -= 1
    if steps == 0:
        return 1.0, prefix
    old = _exponent(prefix)
    new = min(max(old + steps, _SMALLEST), len(_DECIMAL) - 1)
    return 1000.0 ** (old - new), _SMALL[-new - 1] if new < 0 else _DECIMAL[new]


def _exponent(prefix: str) -> int:
    """Powers of 1000."""
    if prefix in _BINARY[1:]:
        return min(_BINARY.index(prefix) + 1, len(_DECIMAL) - 1)
    if prefix in _SMALL or prefix.upper() not in _DECIMAL:
        return 0
    return _DECIMAL.index(prefix.upper())
