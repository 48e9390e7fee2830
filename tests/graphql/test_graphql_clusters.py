"""Clusters, the metric list, accounts and settings. Contract: spec/graphql.md 13, 14."""

from __future__ import annotations

import pytest

from tests.graphql.graphql_world import World

UNITS = "unit { base prefix }"


def test_clusters_as_the_contract_shows_them(world: World) -> None:
    query = """{ clusters { name partitions subClusters { name nodes numberOfNodes footprint processorType
        flopRateSimd { name value unit { base prefix } }
        topology { node socket die core accelerators { id type model } }
        metricConfig { name scope timestep peak normal lowerIsBetter aggregation
                       subClusters { name } } } } }"""
    [cluster] = world.data("alice", query)["clusters"]
    assert (cluster["name"], cluster["partitions"]) == ("tc", ["gpu", "main"])
    cpu, gpu = cluster["subClusters"]
    assert (cpu["name"], cpu["nodes"], cpu["numberOfNodes"]) == ("cpu", "c[01-04]", 4)
    assert cpu["footprint"] == ["cpu_load", "mem_used", "flops_any"]
    assert cpu["flopRateSimd"] == {"name": None, "value": 512.0, "unit": {"base": "F/s", "prefix": "G"}}
    assert cpu["topology"]["accelerators"] is None
    assert cpu["topology"]["die"] is None
    assert cpu["topology"]["socket"] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert gpu["topology"]["accelerators"] == [{"id": "00000000:01:00.0", "type": "GPU", "model": "T1"}]
    names = [metric["name"] for metric in cpu["metricConfig"]]
    assert names == ["cpu_load", "mem_used", "flops_any", "mem_bw", "secret"]
    memory = next(metric for metric in gpu["metricConfig"] if metric["name"] == "mem_used")
    assert memory == {
        "name": "mem_used",
        "scope": "node",
        "timestep": 60,
        "peak": 512.0,
        "normal": 0.0,
        "lowerIsBetter": False,
        "aggregation": "sum",
        "subClusters": [],
    }


def test_global_metrics(world: World) -> None:
    query = """{ globalMetrics { name scope footprint unit { prefix base }
                 availability { cluster subClusters } } }"""
    metrics = {metric["name"]: metric for metric in world.data("root", query)["globalMetrics"]}
    assert metrics["mem_used"] == {
        "name": "mem_used",
        "scope": "node",
        "footprint": "max",
        "unit": {"prefix": "G", "base": "B"},
        "availability": [{"cluster": "tc", "subClusters": ["cpu", "gpu"]}],
    }
    assert metrics["mem_bw"]["footprint"] == ""
    assert metrics["cpu_load"]["unit"] == {"prefix": "", "base": ""}
    assert metrics["acc_power"]["availability"] == [{"cluster": "tc", "subClusters": ["gpu"]}]


@pytest.mark.parametrize(
    ("user", "restricted"),
    [("alice", True), ("mona", True), ("sue", False), ("root", False), ("script", False)],
)
def test_restricted_metrics_are_for_some(world: World, user: str, restricted: bool) -> None:
    query = "{ globalMetrics { name availability { subClusters } } }"
    metrics = {metric["name"]: metric["availability"] for metric in world.data(user, query)["globalMetrics"]}
    assert ("secret" in metrics) is not restricted
    assert metrics["mem_used"] == [{"subClusters": ["cpu"] if restricted else ["cpu", "gpu"]}]


@pytest.mark.parametrize("user", ["root", "sue", "mona", "alice"])
def test_an_account_is_shown_to_its_owner_and_to_staff(world: World, user: str) -> None:
    query = '{ user(username: "alice") { username name email } }'
    assert world.data(user, query)["user"] == {
        "username": "alice",
        "name": "Alice A.",
        "email": "alice@example.org",
    }


@pytest.mark.parametrize("user", ["bob", "script"])
def test_an_account_is_hidden_from_others(world: World, user: str) -> None:
    document = world.ask(user, '{ user(username: "alice") { name } }')
    assert (document["data"], document["errors"][0]["message"]) == ({"user": None}, "forbidden")


def test_an_unknown_account_is_null(world: World) -> None:
    assert world.data("root", '{ user(username: "carol") { name } }') == {"user": None}


def test_settings_are_stored_for_the_caller(world: World) -> None:
    mutation = 'mutation($v: String!) { updateConfiguration(name: "jobList_usePaging", value: $v) }'
    assert world.data("alice", mutation, v="true") == {"updateConfiguration": None}
    assert world.data("alice", mutation, v="false") == {"updateConfiguration": None}
    assert world.site.users.configuration("alice") == {"jobList_usePaging": False}
    assert world.site.users.configuration("bob") == {}


def test_a_setting_that_is_not_json_is_refused(world: World) -> None:
    mutation = 'mutation { updateConfiguration(name: "a", value: "{") }'
    assert "not JSON" in world.error("alice", mutation)
    assert world.site.users.configuration("alice") == {}


def test_settings_are_stored_for_callers_without_an_account(world: World) -> None:
    mutation = 'mutation { updateConfiguration(name: "a", value: "[1]") }'
    assert world.data("carol", mutation) == {"updateConfiguration": None}
    assert world.site.users.configuration("carol") == {"a": [1]}
    assert world.data("root", '{ user(username: "carol") { name } }') == {"user": None}
    assert "not JSON" in world.error("carol", mutation.replace("[1]", "["))
