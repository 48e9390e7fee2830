"""SI prefixes of units and how values move between them. Contract: spec/job-archive.md 18."""

from __future__ import annotations

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
