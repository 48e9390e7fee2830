"""Reports of schedulers become node states; questions about nodes go to the latest of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.database.conditions import StringInput
from ccserver.model.strict import WireError
from ccserver.nodes import (
    Health,
    NodeFilter,
    NodeReport,
    NodeRepository,
    TimedCounts,
    decode_node_states,
    scheduler_state,
)
from ccserver.tasks import move_node_states

METRICS = ("cpu_load", "mem_used")
QUANTITY = {"unit": {"base": "F/s"}, "value": 1}
TOPOLOGY = {"node": [0, 1], "socket": [[0, 1]], "memoryDomain": [[0, 1]], "core": [[0], [1]]}


def subcluster(name: str, nodes: str) -> dict[str, Any]:
    return {
        "name": name, "nodes": nodes, "processorType": "test", "socketsPerNode": 1, "coresPerSocket": 2,
        "threadsPerCore": 1, "flopRateScalar": QUANTITY, "flopRateSimd": QUANTITY,
        "memoryBandwidth": QUANTITY, "topology": TOPOLOGY,
    }  # fmt: skip


CLUSTER = {
    "name": "alpha",
    "metricConfig": [
        {
            "name": name, "unit": {"base": ""}, "scope": "node", "aggregation": "sum", "timestep": 60,
            "peak": 1, "normal": 1, "caution": 1, "alert": 1,
        }
        for name in METRICS
    ],
    "subClusters": [subcluster("main", "a[01-04]"), subcluster("gpu", "g[1-2]")],
}  # fmt: skip


class Judged:
    """A store that knows the health of some nodes."""

    def __init__(self, health: Mapping[str, Health]) -> None:
        self.known = health
        self.asked: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []

    def health(self, cluster: str, nodes: Sequence[str], metrics: Sequence[str]) -> dict[str, Health]:
        self.asked.append((cluster, tuple(nodes), tuple(metrics)))
        return {node: self.known[node] for node in nodes if node in self.known}


class Clock:
    now = 1000

    def __call__(self) -> float:
        return self.now + 0.9


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nodes(database: Database, clock: Clock) -> NodeRepository:
    return NodeRepository(database, Clusters.from_documents({"alpha": CLUSTER}), clock=clock)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["ALLOCATED", "down"], "allocated"), (["reserved", "idle"], "reserved"), (["idle", "DOWN"], "down"),
        (["mixed", "idle"], "idle"), (["Down"], "down"), (["mixed", "drain"], "mixed"),
        (["DRAIN"], "unknown"), ([], "unknown"), (["down", "mixed"], "down"),
    ],
)  # fmt: skip
def test_the_words_of_a_scheduler_come_down_to_one_state(words: list[str], state: str) -> None:
    assert scheduler_state(words) == state


def test_a_report_is_stored_with_the_health_of_each_node(nodes: NodeRepository) -> None:
    store = Judged({"a01": Health("partial", ["cpu_load"], ["mem_used"]), "g1": Health("full")})
    reports = [
        NodeReport("a01", ("mixed",), 2, 1024, 1, 3),
        NodeReport("a02", ("idle",)),
        NodeReport("a03", ("down",)),
        NodeReport("g1", ("allocated",)),
        NodeReport("z99", ("idle",)),
    ]
    assert nodes.record_states("alpha", reports, store) == 4
    assert store.asked == [("alpha", ("a01", "a02"), METRICS), ("alpha", ("g1",), METRICS)]
    first, second, third, fourth = nodes.latest()
    assert (first.hostname, first.subcluster, first.time_stamp) == ("a01", "main", 1000)
    assert (first.cpus_allocated, first.memory_allocated, first.gpus_allocated, first.jobs_running) == (
        2,
        1024,
        1,
        3,
    )
    assert first.health_metrics == {"missing": ["mem_used"], "degraded": ["cpu_load"]}
    assert [(one.scheduler_state, one.health_state) for one in (first, second, third, fourth)] == [
        ("mixed", "partial"), ("idle", "failed"), ("down", "full"), ("allocated", "full")
    ]  # fmt: skip
    assert second.health_metrics == {}
    assert nodes.find(first.id) == first
    assert nodes.find(99) is None


def test_an_unknown_cluster_is_skipped_silently(nodes: NodeRepository) -> None:
    assert nodes.record_states("omega", [NodeReport("a01")], None) == 0
    assert nodes.latest() == []


def test_without_a_store_every_node_that_is_up_has_failed(nodes: NodeRepository) -> None:
    nodes.record_states("alpha", [NodeReport("a01", ("idle",)), NodeReport("a02", ("down",))], None)
    assert [one.health_state for one in nodes.latest()] == ["failed", "full"]


@pytest.fixture
def history(nodes: NodeRepository, clock: Clock) -> NodeRepository:
    """a01 idle, then allocated; a02 idle twice; g1 down once. Two reports fall into the same second."""
    store = Judged({"a01": Health("full"), "a02": Health("partial")})
    nodes.record_states("alpha", [NodeReport("a01", ("idle",)), NodeReport("a02", ("idle",))], store)
    clock.now = 1060
    nodes.record_states("alpha", [NodeReport("a01", ("mixed",)), NodeReport("g1", ("down",))], store)
    nodes.record_states("alpha", [NodeReport("a01", ("allocated",)), NodeReport("a02", ("idle",))], store)
    return nodes


def test_latest_states_and_their_counts(history: NodeRepository) -> None:
    assert history.current_states("alpha") == {"a01": "allocated", "a02": "idle", "g1": "down"}
    assert history.counts() == [("allocated", 1), ("idle", 1), ("down", 1), ("full", 2), ("partial", 1)]
    assert history.hostnames("alpha") == {"a01", "a02", "g1"}


@pytest.mark.parametrize(
    ("filters", "hosts"),
    [
        ([], ["a01", "a02", "g1"]),
        ([NodeFilter()], ["a01", "a02", "g1"]),
        ([NodeFilter(hostname=StringInput(contains="A0"))], ["a01", "a02"]),
        ([NodeFilter(sub_cluster=StringInput(eq="gpu"))], ["g1"]),
        ([NodeFilter(cluster=StringInput(eq="beta"))], []),
        ([NodeFilter(scheduler_state="idle")], ["a02"]),
        ([NodeFilter(scheduler_state="mixed")], []),  # a01 was, but is not any more
        ([NodeFilter(health_state="full"), NodeFilter(hostname=StringInput(starts_with="g"))], ["g1"]),
        ([NodeFilter(scheduler_state="nonsense")], []),
    ],
)
def test_filters(history: NodeRepository, filters: list[NodeFilter], hosts: list[str]) -> None:
    assert [one.hostname for one in history.latest(filters)] == hosts


def test_counts_over_time(history: NodeRepository) -> None:
    assert history.counts_over_time() == [
        TimedCounts("allocated", [1060], [1]),
        TimedCounts("idle", [1000, 1060], [2, 1]),
        TimedCounts("mixed", [1060], [1]),
        TimedCounts("down", [1060], [1]),
    ]
    assert history.counts_over_time([NodeFilter(time_start=1000)], health=True) == [
        TimedCounts("full", [1060], [2]),
        TimedCounts("partial", [1060], [1]),
    ]


def test_old_states_go_but_the_latest_of_each_node_stays(history: NodeRepository) -> None:
    assert history.delete_before(5000) == 3
    assert history.current_states("alpha") == {"a01": "allocated", "a02": "idle", "g1": "down"}


@pytest.mark.parametrize("most", [1, 0])
def test_old_states_move_to_parquet_files(history: NodeRepository, tmp_path: Path, most: int) -> None:
    section = {"policy": "move", "age": 1, "target-path": str(tmp_path / "old"), "max-file-size-mb": most}
    assert move_node_states(section, history, now=5000 + 3600) == 3
    files = sorted((tmp_path / "old").iterdir())
    assert [path.name[-11:] for path in files] == ["001.parquet", "002.parquet", "003.parquet"][
        : 3 - 2 * most
    ]
    rows = [row for path in files for row in pyarrow.parquet.read_table(path).to_pylist()]
    assert len(rows) == 3
    order = [(row["cluster"], row["subcluster"], row["hostname"], row["time_stamp"]) for row in rows]
    assert order == sorted(order)
    assert list(rows[0]) == [
        "time_stamp", "node_state", "health_state", "health_metrics", "cpus_allocated", "memory_allocated",
        "gpus_allocated", "jobs_running", "hostname", "cluster", "subcluster",
    ]  # fmt: skip
    assert history.current_states("alpha") == {"a01": "allocated", "a02": "idle", "g1": "down"}
    assert list(history.outdated(5000)) == []
    assert move_node_states(section, history, now=5000 + 3600) == 0


def test_reports_are_read_strictly() -> None:
    message = decode_node_states(
        '{"Cluster": "alpha", "nodes": [{"hostname": "a01", "states": ["IDLE"], "cpusallocated": 3}]}'
    )
    assert (message.cluster, message.nodes) == ("alpha", [NodeReport("a01", ("IDLE",), 3)])
    for text in (
        '{"nodes": [{"name": "a01"}]}',
        '{"nodes": [{"states": "idle"}]}',
        "[]",
        '{"cluster": 3}',
        "",
    ):
        with pytest.raises(WireError):
            decode_node_states(text)


def test_what_a_real_adapter_reports(fixtures: Path) -> None:
    message = decode_node_states((fixtures / "rest" / "adapter-nodestate.json").read_bytes())
    states = {one.hostname: scheduler_state(one.states) for one in message.nodes}
    assert (message.cluster, states) == (
        "testcluster",
        {"host123": "allocated", "host124": "idle", "host125": "down"},
    )
