"""Whole GraphQL requests, from body to body, against plain strawberry on the same site in the same run.

(a) `jobMetrics` of a job on 64 hosts, 10 metrics, one day at 60 s; (b) the status query, `nodeMetrics` of
1000 hosts, 3 metrics, five minutes; (c) the job list page: `jobs` with footprints for 10 jobs, and one
`jobMetrics` of 4 metrics for each; (d) a tiny query. Nothing is cached between rounds but query texts. Plain
strawberry runs the same resolvers in the library's own executor, with lists of floats where we have arrays,
and writes with `json`.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import strawberry
from strawberry.schema.config import StrawberryConfig

from ccserver.archive import FileArchive
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.config import Config, Main, Resampling
from ccserver.database import DatabaseOptions, migrate, open_database
from ccserver.graphql import outputs, scalars, view
from ccserver.graphql.node_texts import NodeTexts
from ccserver.graphql.request import Request
from ccserver.graphql.schema import Query
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.taggers import Taggers
from ccserver.jobs.tags import TagRepository
from ccserver.metricdata import MetricData
from ccserver.model.job import MONITORING_RUNNING, Job, Resource, Tag
from ccserver.model.metrics import JobMetric, Series, Statistics, StatisticsSeries
from ccserver.model.user import Principal
from ccserver.nodes.repository import NodeRepository
from ccserver.site import Site
from ccstore import MetricStore, StoreOptions

ROUNDS = 7
STEPS = 1440
NOW = 1_700_000_000 + 60 * STEPS
START = NOW - 60 * STEPS
METRICS = [f"metric{number}" for number in range(10)]
HOSTS = [f"n{number:04}" for number in range(1, 1001)]
ADMIN = Principal("admin", frozenset({"admin"}))

CLUSTER: dict[str, Any] = {
    "name": "c",
    "metricConfig": [
        {
            "name": name, "scope": "node", "unit": {"base": "F/s", "prefix": "G"}, "timestep": 60,
            "aggregation": "sum", "peak": 500, "normal": 100, "caution": 50, "alert": 10, "footprint": "avg",
        }
        for name in METRICS
    ],
    "subClusters": [
        {
            "name": "main", "nodes": "n[0001-1000]", "processorType": "any", "socketsPerNode": 1,
            "coresPerSocket": 1, "threadsPerCore": 1,
            **{
                key: {"unit": {"base": ""}, "value": 1}
                for key in ("flopRateScalar", "flopRateSimd", "memoryBandwidth")
            },
            "topology": {"node": [0], "socket": [[0]], "memoryDomain": [[0]], "core": [[0]]},
        }
    ],
}  # fmt: skip

CURVES = {"metric", "metrics", "series", "statistics_series", "data", "min", "median", "max", "mean"}

JOB = """query($id: ID!, $metrics: [String!]) {
           jobMetrics(id: $id, metrics: $metrics, scopes: ["node"], resolution: 0) {
           name scope metric { unit { prefix base } timestep
             series { hostname id statistics { min avg max } data }
             statisticsSeries { min median max mean } } } }"""
STATUS = """query($from: Time!, $to: Time!) {
             nodeMetrics(cluster: "c", metrics: ["metric0", "metric1", "metric2"], from: $from, to: $to) {
               host subCluster nodeState metrics { name scope
                 metric { timestep unit { base prefix } series { statistics { avg } data } } } } }"""
LIST = """{ jobs(page: {itemsPerPage: 10, page: 1}, order: {field: "startTime", type: "col", order: DESC}) {
           count hasNextPage items { id jobId user project cluster subCluster startTime duration walltime
             numNodes numHWThreads numAcc energy SMT shared partition state tags { id type name scope }
             userData { name } metaData resources { hostname } footprint { name stat value } } } }"""
PLOTS = JOB.replace("resolution: 0", "resolution: 600")
TINY = "{ clusters { name } }"


def build(folder: Path) -> Site:
    (folder / "archive" / "c").mkdir(parents=True)
    (folder / "archive" / "c" / "cluster.json").write_text(json.dumps(CLUSTER))
    (folder / "archive" / "version.txt").write_text("3\n")
    migrate(folder / "job.db")
    archive = FileArchive(folder / "archive")
    archive.open()
    clusters = Clusters.from_documents(archive.cluster_documents())
    database = open_database(folder / "job.db", DatabaseOptions(cache_size_mb=8))
    store = MetricStore(clusters.store_metrics(), StoreOptions(), clock=lambda: NOW)
    random = np.random.default_rng(7)
    for step in range(STEPS):
        at = START + 60 * step
        values = (random.integers(0, 5000, 640) / 10).tolist()
        lines = [
            f"{metric},hostname={host} value={values[10 * number + index]} {at}"
            for number, host in enumerate(HOSTS[:64])
            for index, metric in enumerate(METRICS)
        ]
        if step >= STEPS - 5:
            lines += [
                f"{m},hostname={host} value={values[0]} {at}" for host in HOSTS[64:] for m in METRICS[:3]
            ]
        store.write("\n".join(lines).encode(), "c")
    jobs = JobRepository(database, clock=lambda: NOW)
    tags = TagRepository(database, archive)
    footprint = {f"{metric}_avg": 1.5 for metric in METRICS}
    for number in range(11):
        hosts = HOSTS[:64] if number == 0 else HOSTS[4 * number : 4 * number + 4]
        job = Job(
            number + 1, "c", f"user{number}", START, [Resource(host) for host in hosts], len(hosts),
            project="p", subcluster="main", footprint=footprint, metadata={"jobName": "md"},
            monitoring_status=MONITORING_RUNNING, num_hwthreads=len(hosts),
        )  # fmt: skip
        job.id = jobs.insert_started(job)
        tags.attach(job, [Tag("app", "md", "global")], None)
    users = UserRepository(database)
    for number in range(11):
        users.add(f"user{number}", ("user",), name=f"User {number}")
    return Site(
        config=Config(main=Main(resampling=Resampling(resolutions=(600, 60)))),
        database=database,
        clusters=clusters,
        archive=archive,
        store=store,
        metric_data=MetricData(clusters, store, archive, clock=lambda: NOW, cache_bytes=0),
        jobs=jobs,
        tags=tags,
        users=users,
        nodes=NodeRepository(database, clusters, clock=lambda: NOW),
        life_cycle=None,  # type: ignore[arg-type]
        taggers=Taggers(JobRepository(database), []),
    )


def ours(site: Site, query: str, variables: dict[str, Any]) -> int:
    body = json.dumps({"query": query, "variables": variables}).encode()
    status, _headers, pieces = view.answer(body, Request(site, ADMIN))
    assert status == 200
    assert not pieces[0].startswith(b'{"errors"'), pieces[0][:300]
    return sum(map(len, pieces))


def with_lists(value: Any) -> Any:
    """A copy in which arrays are lists of numbers, and absent curves empty ones."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [with_lists(item) for item in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    known = CURVES.intersection(field.name for field in dataclasses.fields(value))
    changed = {name: with_lists(getattr(value, name)) for name in known}
    if isinstance(value, StatisticsSeries):
        changed = {name: curve or [] for name, curve in changed.items()}
    return dataclasses.replace(value, **changed)


def plain_schema() -> strawberry.Schema:
    """The published schema in the library's own executor; array resolvers give lists."""

    class PlainQuery(Query):
        pass

    plain = strawberry.Schema(
        strawberry.type(PlainQuery, name="Query"), config=StrawberryConfig(scalar_map=scalars.SCALARS)
    )
    for name in ("jobMetrics", "nodeMetrics"):
        field = plain._schema.query_type.fields[name]  # type: ignore[union-attr]
        resolve: Callable[..., Any] = field.resolve  # type: ignore[assignment]
        field.resolve = lambda *args, resolve=resolve, **kwargs: with_lists(objects(resolve(*args, **kwargs)))
    return plain


def objects(value: Any) -> Any:
    """An object per node and series, where our resolver gives blocks of numbers."""
    if not isinstance(value, NodeTexts):
        return value
    states, health = value.states()
    subclusters = value.subclusters()
    nodes = [
        outputs.NodeMetrics(
            host=host,
            node_state=states[row],
            metric_health=health[row],
            sub_cluster=subclusters[row],
            metrics=[],
        )
        for row, host in enumerate(value.block.hosts)
    ]
    for block in value.block.metrics:
        unit, timestep = block.metric.unit, block.metric.timestep
        for place, row in enumerate(block.rows.tolist()):
            statistics = Statistics(*block.statistics[:, place].tolist())
            series = Series(nodes[row].host, block.data[place], statistics)
            metric: Any = JobMetric(unit, timestep, [series])
            scope = scalars.MetricScope("node")
            nodes[row].metrics.append(
                outputs.JobMetricWithName(name=block.metric.name, scope=scope, metric=metric)
            )
    return nodes


def plain(site: Site, query: str, variables: dict[str, Any], served: strawberry.Schema) -> int:
    result = served.execute_sync(query, variables, context_value=Request(site, ADMIN))
    assert not result.errors, result.errors
    return len(json.dumps({"data": result.data}).encode())


def requests() -> Iterator[tuple[str, float, list[tuple[str, dict[str, Any]]]]]:
    """Name, target in milliseconds, queries with their variables."""
    window = {"from": scalars.rfc3339(NOW - 300), "to": scalars.rfc3339(NOW)}
    plots = [(PLOTS, {"id": str(id), "metrics": METRICS[:4]}) for id in range(2, 12)]
    yield "(a) job view, 64 hosts x 10 metrics x 1440", 60, [(JOB, {"id": "1", "metrics": METRICS})]
    yield "(b) status, 1000 hosts x 3 metrics", 15, [(STATUS, window)]
    yield "(c) job list, 10 jobs with 4 plots each", 60, [(LIST, {}), *plots]
    yield "(d) tiny", 1, [(TINY, {})]


def measured(work: Callable[[], int]) -> tuple[float, float, int]:
    wall, processor = time.perf_counter(), time.process_time()
    size = work()
    return time.perf_counter() - wall, time.process_time() - processor, size


def main() -> None:
    served = plain_schema()
    with tempfile.TemporaryDirectory() as folder:
        site = build(Path(folder))
        print(f"{'':44}{'wall':>9}{'processor':>11}{'size':>10}{'target':>9}{'plain':>10}{'ratio':>8}")
        for name, target, queries in requests():
            mine: list[tuple[float, float, int]] = []
            theirs: list[tuple[float, float, int]] = []
            for _ in range(ROUNDS):
                mine.append(measured(lambda q=queries: sum(ours(site, *one) for one in q)))
                theirs.append(measured(lambda q=queries: sum(plain(site, *one, served) for one in q)))
            wall, processor = (1e3 * statistics.median(row[column] for row in mine) for column in (0, 1))
            other = 1e3 * statistics.median(row[1] for row in theirs)
            print(
                f"{name:44}{wall:6.1f} ms{processor:8.1f} ms{mine[0][2] / 1e6:7.2f} MB{target:6.0f} ms"
                f"{other:7.0f} ms{other / processor:8.1f}"
            )
        site.database.close()


if __name__ == "__main__":
    main()
