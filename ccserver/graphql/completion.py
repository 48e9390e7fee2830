"""Functions that turn whole objects into answer values, put together once per operation.

They cover what needs no arguments: attributes, lists and objects of them, per-item resolvers. They raise
anything at all when a value does not fit; the caller then lets the library do that field again, which finds
the place and words the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np
from graphql import (
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
)

from ccserver.graphql.encoding import held_array, held_list
from ccserver.graphql.fields import is_per_item

Complete = Callable[[Any], Any]

_PASSING_TYPES: dict[str, type] = {"String": str, "Boolean": bool, "MetricScope": str, "JobState": str}
"""Values of exactly this Python type are what JSON gets, without a look at the scalar."""


class PlainField(NamedTuple):
    """`complete` is skipped for values of exactly the type `passing`."""

    read: Complete
    passing: type | None
    complete: Complete


class CollectSubfields(Protocol):
    """As `Executor.collect_subfields`: which fields a selection asks of an object type, by result name."""

    def __call__(self, return_type: GraphQLObjectType, field_details_list: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Completion:
    """`item_info` is handed to per-item resolvers. Nodes are the library's lists of field details."""

    schema: GraphQLSchema
    collect_subfields: CollectSubfields
    item_info: object

    def plain_field(self, parent_type: GraphQLObjectType, nodes: Any) -> Complete | None:
        """How to complete a field from its parent object; None if it takes more than that."""
        field = self._plain(parent_type, nodes)
        if field is None:
            return None
        read, complete = field.read, field.complete
        return lambda source: complete(read(source))

    def _plain(self, parent_type: GraphQLObjectType, nodes: Any) -> PlainField | None:
        name = nodes[0].node.name.value
        if name == "__typename":
            return PlainField(lambda _source: parent_type.name, str, _as_it_is)
        field = self.schema.get_field(parent_type, name)
        read = None if field is None else self._reader(field)
        if field is None or read is None:
            return None
        complete = self.completer(field.type, nodes)
        return None if complete is None else PlainField(read, _passing(field.type), complete)

    def _reader(self, field: GraphQLField) -> Complete | None:
        definition = field.extensions.get("strawberry-definition")
        if field.args or definition is None:
            return None
        if definition.base_resolver is None:
            return attrgetter(definition.python_name)
        resolver, info = definition.base_resolver.wrapped_func, self.item_info
        return (lambda source: resolver(source, info)) if is_per_item(resolver) else None

    def completer(self, type_: Any, nodes: Any) -> Complete | None:
        """How to complete values of `type_` with the selection of `nodes`; None if it takes a resolver."""
        if isinstance(type_, GraphQLNonNull):
            return self._present_completer(type_.of_type, nodes)
        complete = self._present_completer(type_, nodes)
        return None if complete is None else lambda value: None if value is None else complete(value)

    def _present_completer(self, type_: Any, nodes: Any) -> Complete | None:
        """A completer that fails on None."""
        if isinstance(type_, GraphQLScalarType):
            return _leaf_completer(type_)
        if isinstance(type_, GraphQLList):
            complete = self.completer(type_.of_type, nodes)
            return None if complete is None else _list_completer(complete)
        if isinstance(type_, GraphQLObjectType):
            return self._object_completer(type_, nodes)
        return None

    def _object_completer(self, type_: GraphQLObjectType, nodes: Any) -> Complete | None:
        selected: Mapping[str, Any] = self.collect_subfields(type_, nodes).grouped_field_set
        fields: list[tuple[str, Complete, type | None, Complete]] = []
        for name, inner in selected.items():
            field = self._plain(type_, inner)
            if field is None:
                return None
            fields.append((name, *field))

        def complete_object(source: Any) -> dict[str, Any]:
            if source is None:
                raise TypeError("no object")
            return {
                name: value if type(value := read(source)) is passing else complete(value)
                for name, read, passing, complete in fields
            }

        return complete_object


def _passing(type_: Any) -> type | None:
    named = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return _PASSING_TYPES.get(named.name) if isinstance(named, GraphQLScalarType) else None


def _as_it_is(value: Any) -> Any:
    return value


def _list_completer(complete: Complete) -> Complete:
    def complete_list(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return held_array(value)
        if isinstance(value, str):
            raise TypeError("a text is no list")
        return held_list([complete(item) for item in value])

    return complete_list


def _leaf_completer(scalar: GraphQLScalarType) -> Complete:
    coerce, finite = scalar.coerce_output_value, math.isfinite

    def complete(value: Any) -> Any:
        result = None if value is None else coerce(value)
        if result is None or result is Undefined:
            raise TypeError("no value")
        return result

    if scalar.name == "Float":
        return lambda value: value if type(value) is float and finite(value) else complete(value)
    if scalar.name == "Int":
        return lambda value: value if type(value) is int and -(2**63) <= value < 2**63 else complete(value)
    return complete
