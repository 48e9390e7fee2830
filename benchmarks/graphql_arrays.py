"""GraphQL answers full of numbers: our execution and encoding against plain strawberry in the same run.

Two shapes: (a) `jobMetrics` of 64 hosts, 10 metrics, one day at 60 s; (b) `nodeMetrics` of 1000 hosts,
3 metrics, five minutes. Measured is processor time of everything but the resolver; plain strawberry gets
lists without gaps, since it refuses null in them, and orjson to write its result.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import strawberry
from graphql import ExecutionResult, parse
from strawberry.schema.config import StrawberryConfig

from ccserver.graphql import outputs, scalars
from ccserver.graphql.encoding import encode
from ccserver.graphql.execution import BulkExecutor
from ccserver.graphql.fields import resolved_by
from ccserver.model.metrics import JobMetric, Series, Statistics, Unit

ROUNDS = 7
Side = Callable[[strawberry.Schema, str], list[bytes]]

UNIT = Unit("F/s", "G")
JOB = """{ jobMetrics { name scope metric { unit { prefix base } timestep
           series { hostname id statistics { min avg max } data }
           statisticsSeries { min median max mean } } } }"""
NODES = """{ nodeMetrics { host subCluster nodeState metrics { name scope
             metric { timestep unit { base prefix } series { statistics { avg } data } } } } }"""


class Context:
    """Stands where a request stands; the resolvers below ask it nothing."""

    introspection = False

    def check_wanted(self) -> None:
        pass


def metric(hosts: list[str], points: int, *, lists: bool) -> JobMetric:
    """Values with one decimal, as float32; `lists` gives them as Python lists instead of arrays."""
    random = np.random.default_rng(7)
    series = []
    for host in hosts:
        data: Any = (random.integers(0, 5000, points) / 10).astype(np.float32)
        series.append(Series(host, data.tolist() if lists else data, Statistics(1.5, 0.5, 2.5)))
    return JobMetric(UNIT, 60, series)


def job_metrics(*, lists: bool) -> list[Any]:
    hosts = [f"node{number:04}" for number in range(64)]
    return [
        outputs.JobMetricWithName(
            name=f"metric{number}",
            scope=scalars.MetricScope("node"),
            metric=metric(hosts, 1440, lists=lists),  # type: ignore[arg-type]
        )
        for number in range(10)
    ]


def node_metrics(*, lists: bool) -> list[Any]:
    return [
        outputs.NodeMetrics(
            host=host,
            node_state="allocated",
            metric_health="full",
            sub_cluster="main",
            metrics=[
                outputs.JobMetricWithName(
                    name=f"metric{number}",
                    scope=scalars.MetricScope("node"),
                    metric=metric([host], 5, lists=lists),  # type: ignore[arg-type]
                )
                for number in range(3)
            ],
        )
        for host in (f"node{number:04}" for number in range(1000))
    ]


def schema(jobs: list[Any], nodes: list[Any]) -> strawberry.Schema:
    def resolve_jobs() -> object:
        return jobs

    def resolve_nodes() -> object:
        return nodes

    @strawberry.type
    class Query:
        job_metrics: list[outputs.JobMetricWithName] = resolved_by(resolve_jobs)
        node_metrics: list[outputs.NodeMetrics] = resolved_by(resolve_nodes)

    return strawberry.Schema(Query, config=StrawberryConfig(scalar_map=scalars.SCALARS))


def ours(served: strawberry.Schema, query: str) -> list[bytes]:
    executor = BulkExecutor.build(served._schema, parse(query), context_value=Context())
    assert isinstance(executor, BulkExecutor)
    result = executor.execute_operation()
    assert isinstance(result, ExecutionResult)
    assert not result.errors
    return encode({"data": result.data})


def plain(served: strawberry.Schema, query: str) -> list[bytes]:
    result = served.execute_sync(query)
    assert not result.errors
    return [orjson.dumps({"data": result.data})]


def seconds(work: Side, served: strawberry.Schema, query: str) -> tuple[float, int]:
    begin = time.process_time()
    pieces = work(served, query)
    return time.process_time() - begin, sum(map(len, pieces))


def main() -> None:
    arrays = schema(job_metrics(lists=False), node_metrics(lists=False))
    lists = schema(job_metrics(lists=True), node_metrics(lists=True))
    print(f"{'answer':34} {'ours':>16} {'plain strawberry':>18} {'ratio':>7}   (medians of {ROUNDS})")
    for name, query in (
        ("(a) 64 hosts x 10 metrics x 1440", JOB),
        ("(b) 1000 hosts x 3 metrics x 5", NODES),
    ):
        times: dict[str, list[float]] = {"ours": [], "plain": []}
        sizes: dict[str, int] = {}
        for _ in range(ROUNDS):
            for side, work, served in (("ours", ours, arrays), ("plain", plain, lists)):
                took, sizes[side] = seconds(work, served, query)
                times[side].append(took)
        fast, slow = statistics.median(times["ours"]), statistics.median(times["plain"])
        print(
            f"{name:34} {fast * 1e3:6.1f} ms {sizes['ours'] / 1e6:4.1f} MB {slow * 1e3:8.1f} ms"
            f" {sizes['plain'] / 1e6:4.1f} MB {slow / fast:6.1f}x"
        )


if __name__ == "__main__":
    main()
