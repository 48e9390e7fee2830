"""Bulk completion gives what the library's completion gives, faster; arrays pass untouched."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import strawberry
from graphql import ExecutionResult, Executor, GraphQLSchema, parse
from strawberry.schema.config import StrawberryConfig

from ccserver.graphql import outputs, scalars
from ccserver.graphql.encoding import encode
from ccserver.graphql.execution import BulkExecutor
from ccserver.graphql.fields import per_item
from ccserver.model.metrics import StatisticsSeries


@dataclass
class Thing:
    """Carries any value in every field, right or wrong."""

    name: Any = "n"
    number: Any = 1
    ratio: Any = 0.5
    flag: Any = True
    maybe: Any = None
    inner: Any = None
    items: Any = field(default_factory=list)
    loaded_from: Any = "here"


def loaded(parent: strawberry.Parent[Any], info: strawberry.Info) -> object:
    if parent.loaded_from == "nowhere":
        raise LookupError("secret place")
    return f"{parent.loaded_from}/{info.context}"


@strawberry.type(name="Thing")
class ThingType:
    name: str
    number: int
    ratio: float
    flag: bool
    maybe: str | None
    inner: ThingType | None
    items: list[ThingType]
    loaded: str | None = strawberry.field(resolver=per_item(loaded))

    @strawberry.field
    def doubled(self, times: int = 2) -> int:
        return int(self.number) * times


THINGS: list[Any] = []


@strawberry.type
class Query:
    @strawberry.field(graphql_type=list[ThingType | None])
    def things(self) -> Any:
        return THINGS

    @strawberry.field(graphql_type=outputs.StatsSeries)
    def curves(self) -> Any:
        return StatisticsSeries(min=np.array([1, np.nan], np.float32), max=np.array([2.0]))


def build() -> GraphQLSchema:
    return strawberry.Schema(Query, config=StrawberryConfig(scalar_map=scalars.SCALARS))._schema


class Context(str):
    """Stands where a request stands."""

    introspection = False

    def check_wanted(self) -> None:
        pass


def run(kind: type[Executor], query: str) -> ExecutionResult:
    executor = kind.build(build(), parse(query), context_value=Context("context"))
    assert isinstance(executor, Executor)
    result = executor.execute_operation()
    assert isinstance(result, ExecutionResult)
    return result


QUERY = """
{ things { n: name number ratio flag maybe loaded __typename
           inner { name ratio } items { name flag inner { number } } } }
"""
CASES = {
    "whole": [Thing(inner=Thing(), items=[Thing(), Thing(name="m")]), None],
    "converted": [Thing(number=np.int64(7), ratio=2, flag=1, name=5)],
    "null where none may be": [Thing(), Thing(name=None)],
    "null inside": [Thing(items=[Thing(), Thing(flag=None)]), Thing()],
    "null of a nullable object": [Thing(inner=Thing(name=None)), Thing()],
    "null item": [Thing(items=[None]), Thing()],
    "not a list": [Thing(items=3)],
    "infinite": [Thing(ratio=float("inf"))],
    "a failing resolver": [Thing(loaded_from="nowhere"), Thing()],
    "long": [Thing(number=n) for n in range(2000)],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "query",
    [QUERY, QUERY.replace("name number", "name doubled number"), "{ things { items { __typename } } }"],
)
def test_bulk_completion_equals_the_librarys(case: str, query: str) -> None:
    THINGS[:] = CASES[case]
    expected, result = run(Executor, query), run(BulkExecutor, query)
    assert result.data == expected.data
    assert [error.formatted for error in result.errors or ()] == [
        error.formatted for error in expected.errors or ()
    ]


def test_null_numbers_in_a_non_null_list_are_no_error() -> None:
    result = run(BulkExecutor, "{ curves { min max mean median } }")
    assert result.errors is None
    assert json.loads(b"".join(encode(result.data))) == {
        "curves": {"min": [1.0, None], "max": [2.0], "mean": [], "median": []}
    }


def test_an_array_is_handed_on_itself() -> None:
    data = run(BulkExecutor, "{ curves { min } }").data
    assert data is not None
    assert isinstance(data["curves"]["min"], np.ndarray)
