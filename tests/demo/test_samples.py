"""The sample configurations pass the server's own check, and so does what the demo writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccserver.clusters import Clusters
from ccserver.config import load
from ccserver.demo.clusters import local_cluster, node_name, simulated_cluster, this_machine
from ccserver.demo.installation import _configure, _edit, _point_at

SAMPLES = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("name", ["config.json", "minimal.json"])
def test_a_sample_configuration_is_valid(name: str) -> None:
    assert load(SAMPLES / name, {}).metric_store is not None


def test_the_configuration_of_the_demo_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text((SAMPLES / "config.json").read_text())
    _edit(path, _configure)
    _point_at(tmp_path, "127.0.0.1", 8081, 4223)
    config = load(path, {})
    assert config.main.port == 8081
    assert config.metric_store is not None
    assert [each.subject for each in config.metric_store.subscriptions] == [
        "noether.metrics",
        "local.metrics",
    ]


def test_the_unit_starts_the_server_as_the_contract_says() -> None:
    unit = (SAMPLES / "ccserver.service").read_text().splitlines()
    for line in (
        "Type=notify",
        "NotifyAccess=all",
        "Restart=on-failure",
        "RestartSec=30",
        "TimeoutStopSec=100",
    ):
        assert line in unit
    assert any(
        line.startswith("ExecStart=") and line.endswith("--config ./config.json --server") for line in unit
    )


def test_the_clusters_of_the_demo_are_read_by_the_server() -> None:
    machine = this_machine("my_host.example.org", 16_000_000_000, 4)
    clusters = Clusters.from_documents(
        {"noether": simulated_cluster(), "local": local_cluster(machine)},
    )
    noether = clusters["noether"]
    assert [(name, len(each.nodes)) for name, each in noether.subclusters.items()] == [
        ("main", 48),
        ("gpu", 16),
    ]
    assert noether.subclusters["main"].energy_footprint == ["cpu_power", "mem_power"]
    assert "acc_utilization" in noether.subclusters["gpu"].footprint
    assert "acc_utilization" not in noether.subclusters["main"].metrics
    assert clusters.subcluster_of_host("local", machine.hostname) == "host"


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("node1", "node1"),
        ("my_host.example.org", "my-host"),
        ("-a-", "a"),
        ("", "localhost"),
        ("ü", "localhost"),
    ],
)
def test_a_host_name_becomes_one_that_node_lists_allow(hostname: str, name: str) -> None:
    assert node_name(hostname) == name
