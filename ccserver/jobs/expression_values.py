"""What operators and functions of `ccserver.jobs.expressions` do with values; all raise EvaluationError."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

MOST_ITEMS = 100_000
"""Of a list that an expression makes."""


class EvaluationError(ValueError):
    """An expression has no value for this job."""


def fail(why: str) -> NoReturn:
    raise EvaluationError(why)


def truth(value: Any) -> bool:
    return value if isinstance(value, bool) else fail(f"{shown(value)} is neither true nor false")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: Any) -> Any:
    return value if is_number(value) else fail(f"{shown(value)} is no number")


def shown(value: Any) -> str:
    return "nil" if value is None else repr(value)[:40]


def text_of_float(value: float) -> str:
    """Shortest digits that read back the same: `250.5`, `256`; exponents below -4 and from 6 on are shown."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits, exponent = _shortest(value)
    sign = "-" if value < 0 else ""
    if exponent < -4 or exponent >= 6:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{exponent:+03d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return sign + digits + "0" * (exponent + 1 - len(digits))
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _shortest(value: float) -> tuple[str, int]:
    """Digits without zeros at their end, and the decimal exponent of the first."""
    whole, _, power = repr(abs(value)).partition("e")
    exponent = int(power or 0)
    before, _, after = whole.partition(".")
    digits = (before + after).lstrip("0")
    leading = len(before + after) - len(digits)
    exponent += len(before) - 1 - leading
    return digits.rstrip("0"), exponent


def text(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return text_of_float(value)
    return str(value)


# ---- operators


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
            return compare(left, right)
        fail(f"{shown(left)} and {shown(right)} have no order")

    return apply


def _texts(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        fail(f"{shown(left)} and {shown(right)} are not both text")

    return apply


def matches(left: Any, right: Any) -> bool:
    if not isinstance(left, str) or not isinstance(right, str):
        fail(f"{shown(left)} and {shown(right)} are not both text")
    try:
        return re.search(right, left, re.ASCII) is not None
    except re.error as error:
        fail(f"{shown(right)} is no regular expression: {error}")


def _within(item: Any, whole: Any) -> bool:
    if isinstance(whole, list):
        return any(equal(item, one) for one in whole)
    if isinstance(whole, dict):
        return isinstance(item, str) and item in whole
    fail(f"nothing is in {shown(whole)}")


def _range(first: Any, last: Any) -> list[int]:
    if not isinstance(first, int) or not isinstance(last, int):
        fail(f"{shown(first)}..{shown(last)}: not whole numbers")
    if last - first >= MOST_ITEMS:
        fail(f"more than {MOST_ITEMS} numbers")
    return list(range(first, last + 1))


def _sum(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return number(left) + number(right)


def _quotient(left: Any, right: Any) -> float:
    dividend, divisor = float(number(left)), float(number(right))
    if divisor:
        return dividend / divisor
    if dividend == 0 or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def _remainder(left: Any, right: Any) -> int:
    if not (isinstance(left, int) and isinstance(right, int)) or isinstance(left, bool):
        fail("% takes whole numbers")
    if right == 0:
        fail("division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _power(left: Any, right: Any) -> float:
    base, exponent = float(number(left)), float(number(right))
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf
    except ValueError:
        return math.nan if base else math.inf


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "in": _within,
    "contains": _texts(lambda left, right: right in left),
    "startsWith": _texts(str.startswith),
    "endsWith": _texts(str.endswith),
    "..": _range,
    "+": _sum,
    "-": lambda left, right: number(left) - number(right),
    "*": lambda left, right: number(left) * number(right),
    "/": _quotient,
    "%": _remainder,
    "**": _power,
}


def member(whole: Any, index: Any) -> Any:
    """`whole.index`, `whole[index]`; an unknown key is nil."""
    if isinstance(whole, dict) and isinstance(index, str):
        return whole.get(index)
    if isinstance(whole, list) and isinstance(index, int) and not isinstance(index, bool):
        if -len(whole) <= index < len(whole):
            return whole[index]
        fail(f"there is no item {index}")
    fail(f"{shown(whole)} has no member {shown(index)}")


# ---- functions


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else fail(f"{shown(value)} is no list")


def _numbers(given: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for one in given:
        found += _numbers(one) if isinstance(one, list) else [number(one)]
    return found


def _some(given: Iterable[Any]) -> list[Any]:
    return _numbers(given) or fail("there is no number")


def _round(value: Any) -> float:
    whole = math.floor(abs(number(value)) + 0.5) if math.isfinite(value) else abs(value)
    return math.copysign(float(whole), value)


def _whole(rounded: Callable[[float], int]) -> Callable[[Any], float]:
    def apply(value: Any) -> float:
        return float(rounded(number(value))) if math.isfinite(number(value)) else float(value)

    return apply


def _int(value: Any) -> int:
    if isinstance(value, str):
        return (
            int(value, 10) if re.fullmatch(r"[+-]?[0-9]{1,18}", value, re.ASCII) else fail(f"int({value!r})")
        )
    return int(number(value)) if math.isfinite(number(value)) else fail(f"int({shown(value)})")


def _float(value: Any) -> float:
    return float(value) if isinstance(value, str) else float(number(value))


def _len(value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else fail(f"{shown(value)} has no length")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(number(value)),
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "round": _round,
    "min": lambda *given: min(_some(given)),
    "max": lambda *given: max(_some(given)),
    "mean": lambda *given: statistics.fmean(found) if (found := _numbers(given)) else 0.0,
    "median": lambda *given: float(statistics.median(found)) if (found := _numbers(given)) else 0.0,
    "len": _len,
    "int": _int,
    "float": _float,
    "string": text,
    "first": lambda value: next(iter(_items(value)), None),
    "last": lambda value: next(reversed(_items(value)), None),
}

Predicate = Callable[[Any], Any]

PREDICATES: dict[str, Callable[[Any, Predicate], Any]] = {
    "all": lambda value, holds: all(truth(holds(one)) for one in _items(value)),
    "any": lambda value, holds: any(truth(holds(one)) for one in _items(value)),
    "none": lambda value, holds: not any(truth(holds(one)) for one in _items(value)),
    "one": lambda value, holds: sum(truth(holds(one)) for one in _items(value)) == 1,
    "count": lambda value, holds: sum(truth(holds(one)) for one in _items(value)),
    "filter": lambda value, holds: [one for one in _items(value) if truth(holds(one))],
    "map": lambda value, of: [of(one) for one in _items(value)],
    "sum": lambda value, of: sum(_numbers(of(one) for one in _items(value))),
}
WITHOUT_PREDICATE = ("count", "sum")
