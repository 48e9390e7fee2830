"""The simulated nodes' samples: history and live data are one curve, and a store takes every line."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ccserver.demo.clusters import CPU_NODES, GPU_NODES, SIMULATED_STEP, simulated_cluster
from ccserver.demo.curves import REPORTING, NodeCurves, sample_times
from ccserver.demo.jobs import KINDS, Placement
from ccserver.demo.scheduler import DEGRADED, PERIOD, Started, replay

from .test_lines import LINE

END = 1_800_000_000 // PERIOD * PERIOD
START = END - 4 * 3600


@pytest.fixture(scope="module")
def placements() -> list[Placement]:
    return [event.placement for event in replay(3, START, END)[1] if isinstance(event, Started)]


def on(node: str, placements: list[Placement]) -> list[Placement]:
    return [placement for placement in placements if node in placement.hosts]


@pytest.mark.parametrize("node", [CPU_NODES[0], CPU_NODES[-1], GPU_NODES[0]])
def test_samples_sent_one_by_one_are_those_sent_as_a_block(node: str, placements: list[Placement]) -> None:
    curves = NodeCurves(node)
    times = sample_times(node, END - 3600, END)
    whole = curves.values(times, on(node, placements))
    single = [curves.values(times[at : at + 1], on(node, placements)) for at in range(len(times))]
    np.testing.assert_allclose(np.hstack(single), whole, rtol=1e-9)


def test_blocks_that_touch_leave_no_gap_and_repeat_no_sample() -> None:
    for node in REPORTING:
        times = np.concatenate(
            [sample_times(node, END - 100, END - 47), sample_times(node, END - 47, END + 100)]
        )
        assert np.all(np.diff(times) == SIMULATED_STEP)


def test_every_line_obeys_the_grammar_and_belongs_to_the_node(placements: list[Placement]) -> None:
    for node in (CPU_NODES[0], GPU_NODES[0]):
        for line in (
            NodeCurves(node).text(sample_times(node, END - 120, END), on(node, placements)).splitlines()
        ):
            assert LINE.fullmatch(line), line
            assert b"hostname=%s," % node.encode() in line


def test_a_node_sends_exactly_the_metrics_of_its_subcluster() -> None:
    metrics = simulated_cluster()["metricConfig"]
    everywhere = {metric["name"] for metric in metrics if "subClusters" not in metric}
    assert {key.metric for key in NodeCurves(CPU_NODES[0]).series} == everywhere
    assert {key.metric for key in NodeCurves(GPU_NODES[0]).series} == {metric["name"] for metric in metrics}


def test_a_node_sends_a_metric_at_its_configured_scope_only() -> None:
    scopes = {metric["name"]: metric["scope"] for metric in simulated_cluster()["metricConfig"]}
    assert all(key.type == scopes[key.metric] for key in NodeCurves(GPU_NODES[0]).series)


def test_values_stay_between_nothing_and_the_peak_of_the_node(placements: list[Placement]) -> None:
    metrics = {metric["name"]: metric for metric in simulated_cluster()["metricConfig"]}
    for node in REPORTING:
        curves = NodeCurves(node)
        values = curves.values(sample_times(node, START, END), on(node, placements))
        for name, metric in metrics.items():
            rows = values[[key.metric == name for key in curves.series]]
            if not rows.size:
                continue
            level = np.nansum(rows, axis=0) if metric["aggregation"] == "sum" else rows
            assert np.nanmin(level) >= 0, (node, name)
            room = (
                1.0 if metric["unit"]["base"] == "%" else 1.03
            )  # counters jitter, shares do not exceed 100 %
            assert np.nanmax(level) <= metric["peak"] * room, (node, name, np.nanmax(level))


def test_the_degraded_node_lacks_its_power_counters() -> None:
    text = NodeCurves(DEGRADED).text(sample_times(DEGRADED, END - 60, END), [])
    assert b"cpu_power" not in text
    assert b"cpu_load" in text


def test_every_kind_of_job_leaves_its_mark(placements: list[Placement]) -> None:
    seen = {}
    for placement in placements:
        node = placement.hosts[0]
        middle = (placement.start + placement.end) // 2
        times = sample_times(node, middle, middle + 60)
        curves = NodeCurves(node)
        change = curves.values(times, [placement]) - curves.values(times, [])
        seen[placement.job.kind.name] = bool(np.nanmax(np.abs(change)) > 0.1)
    assert set(seen) == {kind.name for kind in KINDS}
    assert all(seen.values()), seen


def test_a_store_takes_every_line(placements: list[Placement]) -> None:
    ccstore = pytest.importorskip("ccstore")
    if not hasattr(ccstore, "MetricStore"):
        pytest.skip("ccstore has no MetricStore")
    metrics = [
        ccstore.Metric(each["name"], each["timestep"], each["aggregation"], each["scope"])
        for each in simulated_cluster()["metricConfig"]
    ]
    options = ccstore.StoreOptions(directory=None)
    store = ccstore.MetricStore({"noether": metrics}, options, clock=lambda: float(END))
    for node in (CPU_NODES[0], GPU_NODES[0]):
        text = NodeCurves(node).text(sample_times(node, END - 600, END), on(node, placements))
        report = store.write(text)
        assert report.stored == len(re.findall(rb"\n", text))
        assert report.rejected_total == 0
        assert not report.dropped
    store.close()
