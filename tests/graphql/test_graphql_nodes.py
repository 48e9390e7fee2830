"""Node states and live node data. Contract: spec/graphql.md 12."""

from __future__ import annotations

from typing import Any

import pytest

from ccserver.graphql.scalars import rfc3339
from ccserver.nodes.repository import NodeReport
from tests.graphql.graphql_world import GPU, NOW, STEPS, World

WINDOW = {"from": rfc3339(NOW - 3600), "to": rfc3339(NOW)}

NODE_METRICS = """query($from: Time!, $to: Time!, $metrics: [String!], $nodes: [String!]) {
  nodeMetrics(cluster: "tc", metrics: $metrics, nodes: $nodes, from: $from, to: $to) {
    host subCluster nodeState metricHealth
    metrics { name scope metric { timestep unit { base prefix } series { statistics { avg min max }
      data } } } } }"""

LIST = """query($from: Time!, $to: Time!, $sub: String!, $state: String!, $node: String!, $metrics: [String!],
                $scopes: [MetricScope!], $page: PageRequest) {
  nodeMetricsList(cluster: "tc", subCluster: $sub, stateFilter: $state, nodeFilter: $node, scopes: $scopes,
                  metrics: $metrics, from: $from, to: $to, page: $page, resolution: 0) {
    totalNodes hasNextPage items { host nodeState metricHealth subCluster
      metrics { name scope metric { timestep series { id hostname data } } } } } }"""


def listed(world: World, **variables: Any) -> dict[str, Any]:
    defaults = {"sub": "", "state": "all", "node": "", "metrics": ["cpu_load"], "scopes": ["node"]}
    found = world.data("sue", LIST, **WINDOW, **{**defaults, **variables})
    return dict(found["nodeMetricsList"])


def hosts(found: dict[str, Any]) -> list[str]:
    return [item["host"] for item in found["items"]]


def test_node_metrics_as_the_contract_shows_them(world: World) -> None:
    found = world.data("sue", NODE_METRICS, **WINDOW, metrics=["flops_any", "nope"])["nodeMetrics"]
    by_host = {entry["host"]: entry for entry in found}
    assert set(by_host) == {"c01", "c02", "g1"}
    first = by_host["c01"]
    assert (first["subCluster"], first["nodeState"], first["metricHealth"]) == ("cpu", "allocated", "full")
    [entry] = first["metrics"]
    assert (entry["name"], entry["scope"]) == ("flops_any", "node")
    assert entry["metric"]["unit"] == {"base": "F/s", "prefix": "G"}
    [series] = entry["metric"]["series"]
    assert series["data"] == [28.0] * STEPS
    assert series["statistics"] == {"avg": 28, "min": 28, "max": 28}
    [gaps] = by_host["c02"]["metrics"][0]["metric"]["series"]
    assert gaps["data"] == [28.0] * 20 + [None] * 10 + [28.0] * 30


def test_every_field_of_node_metrics(world: World) -> None:
    """All that can be selected, by other names, through fragments and twice."""
    query = """query($from: Time!, $to: Time!) {
      a: nodeMetrics(cluster: "tc", nodes: ["c02"], metrics: ["mem_used"], from: $from, to: $to) {
        __typename h: host ...rest metrics { name ... on JobMetricWithName { n: name scope } }
      }
    }
    fragment rest on NodeMetrics {
      nodeState metricHealth subCluster
      metrics { __typename metric { __typename timestep unit { __typename base prefix }
        statisticsSeries { mean } series { __typename hostname id data
          s: statistics { __typename min max a: avg } } } }
    }"""
    window = {"from": rfc3339(NOW - 120), "to": rfc3339(NOW)}
    series = {
        "__typename": "Series", "hostname": "c02", "id": None, "data": [9.123456, 9.123456],
        "s": {"__typename": "MetricStatistics", "min": 9.12, "max": 9.12, "a": 9.12},
    }  # fmt: skip
    metric = {
        "__typename": "JobMetric", "timestep": 60, "statisticsSeries": None, "series": [series],
        "unit": {"__typename": "Unit", "base": "B", "prefix": "G"},
    }  # fmt: skip
    assert world.data("sue", query, **window)["a"] == [
        {
            "__typename": "NodeMetrics", "h": "c02", "nodeState": "idle", "metricHealth": "partial",
            "subCluster": "cpu", "metrics": [{"__typename": "JobMetricWithName", "name": "mem_used",
            "n": "mem_used", "scope": "node", "metric": metric}],
        }
    ]  # fmt: skip


def test_a_host_that_is_known_but_has_no_data(world: World) -> None:
    query = """query($from: Time!, $to: Time!) {
      nodeMetrics(cluster: "tc", metrics: ["acc_power"], from: $from, to: $to) { host metrics { name } } }"""
    found = world.data("sue", query, **WINDOW)["nodeMetrics"]
    assert {item["host"]: item["metrics"] for item in found} == {
        "c01": [], "c02": [], "g1": [{"name": "acc_power"}],
    }  # fmt: skip


def test_named_nodes_only(world: World) -> None:
    found = world.data("sue", NODE_METRICS, **WINDOW, metrics=["cpu_load"], nodes=["c02"])["nodeMetrics"]
    assert [entry["host"] for entry in found] == ["c02"]
    assert world.data("sue", NODE_METRICS, **WINDOW, nodes=[])["nodeMetrics"] == []


def test_a_window_that_ends_before_it_begins(world: World) -> None:
    assert "errors" in world.ask("sue", NODE_METRICS, **{"from": WINDOW["to"], "to": WINDOW["from"]})


def test_an_unknown_cluster_is_an_error(world: World) -> None:
    query = NODE_METRICS.replace('"tc"', '"other"')
    assert "other" in world.error("sue", query, **WINDOW)


def test_node_list_by_state_and_name(world: World) -> None:
    everything = listed(world)
    assert (hosts(everything), everything["totalNodes"]) == (["c01", "c02", "g1"], 3)
    assert hosts(listed(world, state="idle")) == ["c02"]
    assert hosts(listed(world, sub="gpu")) == ["g1"]
    assert hosts(listed(world, node="C0")) == ["c01", "c02"]
    assert hosts(listed(world, state="notindb")) == ["c03", "c04", "g2"]
    assert hosts(listed(world, state="notindb", sub="cpu", node="4")) == ["c04"]


def test_node_list_pages(world: World) -> None:
    first = listed(world, page={"itemsPerPage": 2, "page": 1})
    assert (hosts(first), first["totalNodes"], first["hasNextPage"]) == (["c01", "c02"], 3, True)
    second = listed(world, page={"itemsPerPage": 2, "page": 2})
    assert (hosts(second), second["hasNextPage"]) == (["g1"], False)
    assert listed(world, state="notindb", page={"itemsPerPage": 3, "page": 1})["hasNextPage"] is False


def test_node_list_scopes(world: World) -> None:
    found = listed(
        world, sub="gpu", metrics=["flops_any", "acc_power"], scopes=["core", "socket", "accelerator"]
    )
    [host] = found["items"]
    assert (host["nodeState"], host["metricHealth"], host["subCluster"]) == ("allocated", "full", "gpu")
    scopes = [(entry["name"], entry["scope"]) for entry in host["metrics"]]
    assert scopes == [
        ("flops_any", "socket"),
        ("flops_any", "core"),
        ("flops_any", "hwthread"),
        ("acc_power", "accelerator"),
    ]
    assert [series["id"] for series in host["metrics"][0]["metric"]["series"]] == ["0", "1"]


def test_a_listed_host_without_data_has_empty_plots(world: World) -> None:
    [host] = listed(world, state="notindb", node="c03", metrics=["mem_bw", "acc_power"], sub="cpu")["items"]
    assert host["metrics"] == [{"name": "mem_bw", "scope": "node", "metric": {"timestep": 60, "series": []}}]


def test_a_site_without_node_states_lists_what_is_configured(world: World) -> None:
    everything = listed(world, node="zzz")
    assert hosts(everything) == []
    assert world.site.nodes.delete_before(0) == 0
    assert hosts(listed(world, sub="gpu", node="2")) == ["g2"]


def test_cluster_totals(world: World) -> None:
    query = """query($from: Time!, $to: Time!) {
                 clusterMetrics(cluster: "tc", metrics: ["mem_bw", "cpu_load"], from: $from, to: $to) {
                   nodeCount metrics { name unit { prefix base } timestep data } } }"""
    found = world.data("sue", query, **WINDOW)["clusterMetrics"]
    assert found["nodeCount"] == 3
    [bandwidth] = [metric for metric in found["metrics"] if metric["name"] == "mem_bw"]
    assert (bandwidth["unit"], bandwidth["timestep"]) == ({"prefix": "T", "base": "B/s"}, 60)
    assert bandwidth["data"] == [0.06] * 20 + [0.04] * 10 + [0.06] * 30


def test_latest_states(world: World) -> None:
    query = """query($f: [NodeFilter!]) { nodes(filter: $f) { count items { id hostname cluster subCluster
                 schedulerState healthState jobsRunning cpusAllocated metaData healthData } }
               nodesWithMeta(filter: $f) { items { healthData metaData } } }"""
    found = world.data("sue", query, f={"cluster": {"eq": "tc"}})
    assert found["nodes"]["count"] == 3
    first, second, _third = found["nodes"]["items"]
    assert first == {
        "id": "1",
        "hostname": "c01",
        "cluster": "tc",
        "subCluster": "cpu",
        "schedulerState": "allocated",
        "healthState": "full",
        "jobsRunning": 2,
        "cpusAllocated": 8,
        "metaData": {},
        "healthData": {},
    }
    assert (second["healthState"], second["healthData"]) == ("partial", {})
    assert found["nodesWithMeta"]["items"][1] == {"healthData": {"missing": ["mem_bw"]}, "metaData": {}}
    idle = world.data("sue", query, f=[{"schedulerState": "idle"}, {"healthState": "partial"}])
    assert [item["hostname"] for item in idle["nodes"]["items"]] == ["c02"]
    assert world.data("sue", query, f={"schedulerState": "sleeping"})["nodes"]["count"] == 0


def test_one_node(world: World) -> None:
    query = "query($id: ID!) { node(id: $id) { id hostname healthData } }"
    assert world.data("sue", query, id=2)["node"] == {
        "id": "2",
        "hostname": "c02",
        "healthData": {"missing": ["mem_bw"]},
    }
    assert world.ask("sue", query, id=99)["data"] == {"node": None}


def test_states_are_counted(world: World) -> None:
    query = '{ nodeStates(filter: {cluster: {eq: "tc"}}) { state count } }'
    assert world.data("sue", query)["nodeStates"] == [
        {"state": "allocated", "count": 2},
        {"state": "idle", "count": 1},
        {"state": "full", "count": 2},
        {"state": "partial", "count": 1},
    ]


def test_states_over_time(world: World) -> None:
    query = """query($t: String!, $s: Int) { nodeStatesTimed(filter: {timeStart: $s}, type: $t) {
                 state times counts } }"""
    assert world.data("sue", query, t="node", s=NOW - 1)["nodeStatesTimed"] == [
        {"state": "allocated", "times": [NOW], "counts": [2]},
        {"state": "idle", "times": [NOW], "counts": [1]},
    ]
    assert world.data("sue", query, t="health", s=NOW)["nodeStatesTimed"] == []
    assert world.error("sue", query, t="x") == "unknown Node State Query Type"


def test_changes_of_a_node_and_its_jobs(world: World) -> None:
    nodes = world.site.nodes
    for later, states in ((60, ("allocated",)), (120, ("down",)), (180, ("down",)), (240, ("idle",))):
        nodes._clock = lambda later=later: NOW + later
        nodes.record_states("tc", [NodeReport("c01", states)], None)
    query = """query($from: Time!, $to: Time!) {
                 nodeEvents(cluster: "tc", host: "c01", from: $from, to: $to) { time state health }
                 nodeJobs(cluster: "tc", host: "g1", from: $from, to: $to) {
                   jobId jobName user state shared start stop hostname hwthreads accelerators }
                 everywhere: nodeJobs(cluster: "tc", from: $from, to: $to) { jobId hostname } }"""
    window = {"from": rfc3339(NOW + 60), "to": rfc3339(NOW + 3600)}
    found = world.data("sue", query, **window)
    assert found["nodeEvents"] == [
        {"time": NOW + 120, "state": "down", "health": "full"},
        {"time": NOW + 240, "state": "idle", "health": "failed"},
    ]
    [job] = found["nodeJobs"]
    assert (job["jobId"], job["stop"], job["accelerators"]) == (1004, None, [GPU])
    assert (job["state"], job["hostname"]) == ("running", "g1")
    assert {"jobId": 1004, "hostname": "g1"} in found["everywhere"]


def test_free_parts_of_shared_nodes(world: World) -> None:
    query = "query($c: String!) { freeResources(cluster: $c) { subCluster nodes cores accelerators memory } }"
    found = {one["subCluster"]: one for one in world.data("alice", query, c="tc")["freeResources"]}
    assert (found["gpu"]["nodes"], found["gpu"]["cores"], found["gpu"]["accelerators"]) == (1, 4, 0)
    assert found["cpu"]["nodes"] == 0
    assert world.data("alice", query, c="other")["freeResources"] == []


def test_allocated_nodes(world: World) -> None:
    query = "query($c: String!) { allocatedNodes(cluster: $c) { name count } }"
    assert world.data("alice", query, c="tc")["allocatedNodes"] == [{"name": "gpu", "count": 1}]
    assert world.data("alice", query, c="other")["allocatedNodes"] == []


@pytest.mark.parametrize("user", ["alice", "mona", "script"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ nodes { count } }", "user has no or unknown roles"),
        ("{ nodesWithMeta { count } }", "user has no or unknown roles"),
        ("{ nodeStates { count } }", "user has no or unknown roles"),
        ('{ nodeStatesTimed(type: "node") { state } }', "user has no or unknown roles"),
        ("{ node(id: 1) { id } }", "user has no or unknown roles"),
        (NODE_METRICS, "you need to be administrator or support staff for this query"),
        (
            'query($from: Time!, $to: Time!) { clusterMetrics(cluster: "tc", from: $from, to: $to)'
            " { nodeCount } }",
            "you need to be administrator or support staff for this query",
        ),
    ],
)
def test_node_data_is_for_staff(world: World, user: str, query: str, message: str) -> None:
    assert world.error(user, query, **WINDOW) == message
