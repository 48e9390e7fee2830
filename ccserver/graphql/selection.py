"""Which fields of its result a resolver was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    InlineFragmentNode,
    SelectionNode,
    get_directive_values,
)
from strawberry import Info


def selected_fields(info: Info) -> set[str]:
    """Names of the fields selected on the result, through fragments, without what `@skip` leaves out."""
    raw = info._raw_info
    return {
        name
        for node in raw.field_nodes
        for name in _names(node.selection_set.selections if node.selection_set else (), raw)
    }


def selects(info: Info, *path: str) -> bool:
    """Whether a field below the result is selected, such as "histMetrics", "data", "maxF"."""
    raw = info._raw_info
    nodes = list(raw.field_nodes)
    for name in path:
        below = [_fields(node.selection_set.selections, raw) for node in nodes if node.selection_set]
        nodes = [node for fields in below for node in fields if node.name.value == name]
    return bool(nodes)


def selected_by_aliases(info: Info) -> set[str]:
    """As `selected_fields`, for all root fields of the operation that have the same name together."""
    raw = info._raw_info
    return {
        name
        for node in _fields(raw.operation.selection_set.selections, raw)
        if node.name.value == raw.field_name and node.selection_set
        for name in _names(node.selection_set.selections, raw)
    }


def _names(selections: Any, raw: GraphQLResolveInfo[Any]) -> Iterator[str]:
    return (node.name.value for node in _fields(selections, raw))


def _fields(selections: Any, raw: GraphQLResolveInfo[Any]) -> Iterator[FieldNode]:
    for node in selections:
        if not _included(node, raw):
            continue
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set.selections, raw)
        elif isinstance(node, FragmentSpreadNode):
            yield from _fields(raw.fragments[node.name.value].selection_set.selections, raw)


def _included(node: SelectionNode, raw: GraphQLResolveInfo[Any]) -> bool:
    skip = get_directive_values(GraphQLSkipDirective, node, raw.variable_values)
    include = get_directive_values(GraphQLIncludeDirective, node, raw.variable_values)
    return not (skip and skip["if"]) and not (include and not include["if"])
