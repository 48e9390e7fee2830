"""What operators and embedders rely on: documented figures, sizes, the example of the documentation."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ccserver.broker.bridge import BridgeCounters
from ccserver.clusters import Cluster
from ccserver.rest.monitoring import Monitor
from ccserver.standalone import size
from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.conftest import ROOT
from tests.server.running import CLUSTER

START = 1700000000


@dataclass
class Connection:
    """What a bridge shows of itself."""

    counters: BridgeCounters


def monitored(folder: Path) -> tuple[MetricStore, Monitor]:
    store = MetricStore({"c": [Metric("m", 60)]}, StoreOptions(directory=folder), lambda: START + 60.0)
    store.restore()
    monitor = Monitor(store)
    monitor.broker = Connection(BridgeCounters(connected=True, waiting=7, cut_off=2))
    return store, monitor


def test_every_figure_of_monitoring_is_documented(tmp_path: Path) -> None:
    store, monitor = monitored(tmp_path)
    store.checkpoint()
    documented = set(re.findall(r"^\| `(cc\w+)`", (ROOT / "docs/metrics.md").read_text(), re.M))
    served = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(monitor.text().decode())
    }
    assert documented == served
    store.close()


def test_figures_follow_what_happens(tmp_path: Path) -> None:
    store, monitor = monitored(tmp_path)
    lines = [
        "m,hostname=a value=1",
        "m,hostname=b value=1",
        "m,hostname=a value=x",
        'q"\\n,hostname=a value=1',
    ]
    lines.append(f"m,hostname=a value=1 {START + 6000}")
    store.write("\n".join(lines).encode(), "c")
    store.query("c", START, START + 60, [Query("m", "a")])
    store.checkpoint()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(monitor.text().decode())
        for sample in family.samples
    }
    assert found["ccstore_lines_total",] == 5
    assert found["ccstore_stored_samples_total",] == 2
    assert found["ccstore_rejected_lines_total", "value"] == 1
    assert found["ccstore_dropped_lines_total", "future"] == 1
    assert found["ccstore_dropped_lines_total", "unknown-metric"] == 1
    assert found["ccstore_unknown_metric_lines_total", 'q"\\n'] == 1
    assert found["ccstore_cluster_hosts", "c"] == found["ccstore_cluster_series", "c"] == 2
    assert 0 < found["ccstore_cluster_memory_bytes", "c"] < found["ccstore_memory_bytes",]
    assert found["ccstore_query_duration_seconds_count",] == 1
    assert found["ccstore_checkpoints_total",] == found["ccstore_ready",] == 1
    assert found["ccserver_broker_connected",] == 1
    assert found["ccserver_broker_waiting_bytes",] == 7
    assert found["ccserver_broker_cut_off_total",] == 2
    store.close()


def test_usage_adds_up(tmp_path: Path) -> None:
    store = MetricStore(
        {name: [Metric("m", 60, "sum", "core")] for name in "abc"}, StoreOptions(), lambda: START + 6000.0
    )
    for step in range(100):
        lines = [
            f"m,hostname=h{h},type=core,type-id={t} value=1 {START + 60 * step}"
            for h in range(3)
            for t in range(5)
        ]
        store.write("\n".join(lines).encode(), "a")
        store.write(f"m,hostname=x value=1 {START + 60 * step}".encode(), "b")
    usage, counters = store.usage(), store.counters()
    assert set(usage) == {"a", "b", "c"}
    assert (usage["a"].hosts, usage["a"].series) == (3, 15)
    assert (usage["b"].hosts, usage["b"].series) == (1, 1)
    assert (usage["c"].hosts, usage["c"].series, usage["c"].pages) == (0, 0, 0)
    assert sum(one.pages for one in usage.values()) == counters["pages"]
    assert usage["a"].page_bytes >= 4 * 100 * 15


def test_sizes_are_those_of_a_filled_store(tmp_path: Path) -> None:
    document = {**CLUSTER, "subClusters": [{**CLUSTER["subClusters"][0], "nodes": "n[001-120]"}]}  # type: ignore[index]
    cluster = Cluster.from_document(document, "small")
    steps, retention = 720, 7200
    metrics = [Metric("cpu_load", 10, "avg", "node"), Metric("flops_any", 10, "sum", "hwthread")]
    options = StoreOptions(directory=tmp_path, retention=retention, journal=False)
    clock = [0.0]
    store = MetricStore({"small": metrics}, options, lambda: clock[0])
    store.restore()
    numbers = np.random.default_rng(1)
    for step in range(2 * steps):
        clock[0] = START + 10 * step
        lines = [
            f"{name},hostname=n{n:03},{tags} value={value:.5f} {START + 10 * step}"
            for n in range(1, 121)
            for name, tags, value in zip(
                ("cpu_load", "flops_any", "flops_any"),
                ("type=node", "type=hwthread,type-id=0", "type=hwthread,type-id=1"),
                numbers.random(3),
                strict=True,
            )
        ]
        assert store.write("\n".join(lines).encode(), "small").stored == 360
        store.housekeeping()
    expected = size.size_of(cluster, retention)
    assert (expected.nodes, expected.series) == (120, 360)
    used = store.counters()["memory_bytes"]
    assert isinstance(used, int)
    assert expected.packed == pytest.approx(used, rel=0.2)
    saved = store.counters()["packing_saves_bytes"]
    assert isinstance(saved, int)
    assert expected.memory == pytest.approx(used + saved, rel=0.2)
    store.checkpoint()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.checkpoint")) <= expected.disk
    store.close()


def test_the_size_command_prints_each_cluster_and_the_total(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.json").write_text(json.dumps(CLUSTER))
    size.main(["--cluster-config", str(tmp_path / "cluster.json"), "-retention", "24h"])
    printed = capsys.readouterr().out
    row = next(line.split() for line in printed.splitlines() if line.startswith("small"))
    assert row[1:3] == ["3", "9"]
    assert any(line.startswith("total") for line in printed.splitlines())
    assert size.FORMULA in printed


def test_the_example_of_the_documentation_runs() -> None:
    text = (ROOT / "docs/embedding.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.S)[0]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "docs/embedding.md", "exec"), {})
    plot = output.getvalue().splitlines()
    assert len(plot) == 60
    assert plot[-1].endswith("#" * 60)
    assert len(plot[0]) < len(plot[30]) < len(plot[-1])
