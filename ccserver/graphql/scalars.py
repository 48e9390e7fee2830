"""The scalars of the schema, and how the built-in ones differ from the GraphQL library's.

Contract: spec/graphql.md 2. Values of the custom scalars reach a resolver as they were sent: a job state or a
scope that does not exist is an error of the field, not of the request, so resolvers check them with
`ccserver.graphql.arguments`.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, NewType

import strawberry
from graphql import (
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLString,
    IntValueNode,
    ValueNode,
    print_ast,
    value_from_ast_untyped,
)
from strawberry.types.scalar import ScalarDefinition

Time = NewType("Time", int)
"""Unix seconds; RFC 3339 on the wire."""
SentTime = NewType("SentTime", object)
"""A `Time` argument as it was sent; `arguments.timestamp` reads it."""
From = Annotated[SentTime, strawberry.argument(name="from")]
"""The argument `from`, a word that Python keeps for itself."""
AnyValue = NewType("AnyValue", object)
NullableFloat = NewType("NullableFloat", float)
"""A number, NaN standing for null. Lists of it are ndarrays and never completed item by item."""
MetricScope = NewType("MetricScope", str)
JobState = NewType("JobState", str)
SchedulerState = NewType("SchedulerState", str)
MonitoringState = NewType("MonitoringState", str)

_INTEGER = re.compile(r"[+-]?[0-9]+")
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def rfc3339(seconds: float) -> str:
    """Unix seconds as `2023-11-14T22:13:20Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_sent(value: object) -> object:
    return value


def _literal_as_sent(node: ValueNode, variables: dict[str, Any] | None = None) -> object:
    return value_from_ast_untyped(node, variables)


def _text(value: object) -> str:
    return str(value)


def _number_or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _definition(name: str, serialize: Any) -> ScalarDefinition:
    return strawberry.scalar(
        name=name, serialize=serialize, parse_value=_as_sent, parse_literal=_literal_as_sent
    )


_TIME = _definition("Time", rfc3339)
SCALARS: dict[object, ScalarDefinition] = {
    Time: _TIME,
    SentTime: _TIME,
    AnyValue: _definition("Any", _as_sent),
    NullableFloat: _definition("NullableFloat", _number_or_null),
    MetricScope: _definition("MetricScope", _text),
    JobState: _definition("JobState", _text),
    SchedulerState: _definition("SchedulerState", _text),
    MonitoringState: _definition("MonitoringState", _text),
}


def _integer(value: object, kind: str) -> int:
    """A 64-bit integer from a number; texts are the caller's affair."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise GraphQLError(f"{kind} cannot represent non-integer value: {value!r}")
    number = value.__index__()
    if not INT64_MIN <= number <= INT64_MAX:
        raise GraphQLError(f"{kind} cannot represent non 64-bit signed integer value: {value!r}")
    return int(number)


def integer_of_text(text: str) -> int:
    """ASCII digits with an optional sign; Python's own reading also takes `1_0`, blanks and other digits.

    Raises ValueError.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"not an integer: {text!r}")
    return int(text)


def _int_from_variable(value: object) -> int:
    if isinstance(value, str):
        try:
            value = integer_of_text(value)
        except ValueError:
            raise GraphQLError(f"Int cannot represent non-integer value: {value!r}") from None
    return _integer(value, "Int")


def _int_from_literal(node: ValueNode, _variables: object = None) -> int:
    if not isinstance(node, IntValueNode):
        raise GraphQLError(f"Int cannot represent non-integer value: {print_ast(node)}", node)
    return _integer(int(node.value), "Int")


def _int_to_json(value: object) -> int:
    return int(value) if isinstance(value, bool) else _integer(value, "Int")


def _float_from_variable(value: object) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        if isinstance(value, str) and "_" in value:  # Python takes `1_0`
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError):
        raise GraphQLError(f"Float cannot represent non numeric value: {value!r}") from None
    if not math.isfinite(number):
        raise GraphQLError(f"Float cannot represent non numeric value: {value!r}")
    return number


def _string_from_variable(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise GraphQLError(f"String cannot represent a non string value: {value!r}")
    return str(value)


def _id_to_json(value: object) -> str | int:
    return value if isinstance(value, str) else _integer(value, "ID")


def _replace(scalar: GraphQLScalarType, **functions: Any) -> None:
    for name, function in functions.items():
        setattr(scalar, name, function)


def loosen_built_in_scalars() -> None:
    """Give `ID`, `Int`, `Float` and `String` the contract's ranges and leniency.

    The library has exactly one object per built-in scalar and refuses a second one of the same name, so
    these are changed for the whole process. Literals stay as strict as GraphQL wants them.
    """
    _replace(GraphQLID, coerce_output_value=_id_to_json)
    _replace(
        GraphQLInt,
        coerce_output_value=_int_to_json,
        coerce_input_value=_int_from_variable,
        coerce_input_literal=_int_from_literal,
    )
    _replace(GraphQLFloat, coerce_input_value=_float_from_variable)
    _replace(GraphQLString, coerce_input_value=_string_from_variable)
