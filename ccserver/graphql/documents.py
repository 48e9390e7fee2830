"""Query texts made ready to run: parsed, measured against the limits, validated; the last few are kept.

Cost model: parsing and validating an operation of the web UI takes about 1 ms, running it from here 0.1 ms,
so texts that come again and again (the UI has some forty) are worth keeping. A kept text of 8 KB holds about
1 MB of syntax tree, hence the limit on the length of what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    validate,
)

from ccserver.graphql.schema import core_schema

COST_LIMIT = 5000
DEPTH_LIMIT = 20  # the schema itself is nine levels deep, an introspection query fourteen
TOKEN_LIMIT = 100_000
KEPT_TEXTS = 256
KEPT_LENGTH = 8192

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
COST_EXCEEDED = "COMPLEXITY_LIMIT_EXCEEDED"
DEPTH_EXCEEDED = "DEPTH_LIMIT_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Measure:
    """`cost` counts fields as spec/graphql.md 1 does, `depth` is the number of nested selections."""

    cost: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query text's document with its operations by name, or why it cannot run.

    `errors` are about the text as a whole (it does not parse or does not fit the schema).
    """

    document: DocumentNode | None
    operations: dict[str, OperationDefinitionNode] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    errors: tuple[GraphQLError, ...] = ()

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to run. GraphQLError when the name does not decide it."""
        if not name and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        if name and name in self.operations:
            return self.operations[name]
        raise GraphQLError(f"operation {name or ''} not found", extensions={"code": VALIDATION_FAILED})

    def check_limits(self, operation: OperationDefinitionNode) -> None:
        """Raise the GraphQLError of the limit that `operation` exceeds, if any."""
        measure = self.measures[_name(operation)]
        if measure.cost > COST_LIMIT:
            raise GraphQLError(
                f"operation has complexity {measure.cost}, which exceeds the limit of {COST_LIMIT}",
                extensions={"code": COST_EXCEEDED},
            )
        if measure.depth > DEPTH_LIMIT:
            raise GraphQLError(
                f"operation is {measure.depth} levels deep, which exceeds the limit of {DEPTH_LIMIT}",
                extensions={"code": DEPTH_EXCEEDED},
            )


def prepare(text: str) -> Prepared:
    """Parse, measure and validate `text`, or recall the result. Never raises."""
    return _prepare_and_keep(text) if len(text) <= KEPT_LENGTH else _prepare(text)


def _prepare(text: str) -> Prepared:
    try:
        return _read(text)
    except GraphQLError as error:
        return Prepared(None, errors=(_coded(error, PARSE_FAILED),))
    except RecursionError:  # of the parser, or from fragment to fragment
        return Prepared(None, errors=(_coded(GraphQLError("query is nested too deeply"), PARSE_FAILED),))


def _read(text: str) -> Prepared:
    document = parse(text, max_lexical_tokens=TOKEN_LIMIT)
    operations = {
        _name(node): node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    }
    measures = _measure(document, operations)
    if not _worth_validating(measures):
        return Prepared(document, operations, measures)
    errors = tuple(_coded(error, VALIDATION_FAILED) for error in validate(core_schema, document))
    return Prepared(document, operations, measures, errors)


_prepare_and_keep = lru_cache(maxsize=KEPT_TEXTS)(_prepare)


def _worth_validating(measures: dict[str, Measure]) -> bool:
    """False when no operation may run anyway: validation takes much longer than measuring."""
    return not measures or any(
        measure.cost <= COST_LIMIT and measure.depth <= DEPTH_LIMIT for measure in measures.values()
    )


def _name(operation: OperationDefinitionNode) -> str:
    return operation.name.value if operation.name else ""


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {"code": code}
    return error


def _measure(document: DocumentNode, operations: dict[str, OperationDefinitionNode]) -> dict[str, Measure]:
    """Measure every operation; each fragment is walked once, however often it is spread."""
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    known: dict[str, Measure] = {}

    def of_fragment(name: str) -> Measure:
        if name not in known:
            known[name] = Measure()  # for a fragment that contains itself; validation refuses it
            if name in fragments:
                known[name] = of_selection(fragments[name].selection_set)
        return known[name]

    def of_selection(selection: SelectionSetNode | None) -> Measure:
        cost = depth = 0
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                inner = of_selection(node.selection_set)
                if node.name.value != "__schema":
                    cost += 1 + inner.cost
                depth = max(depth, 1 + inner.depth)
            elif isinstance(node, FragmentSpreadNode):
                inner = of_fragment(node.name.value)
                cost += inner.cost
                depth = max(depth, inner.depth)
            else:
                inner = of_selection(getattr(node, "selection_set", None))
                cost += inner.cost
                depth = max(depth, inner.depth)
        return Measure(cost, depth)

    return {name: of_selection(operation.selection_set) for name, operation in operations.items()}
