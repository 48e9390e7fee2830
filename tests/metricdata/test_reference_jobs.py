"""Job data as the reference computes it from the same samples, save where we deviate on purpose."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccserver.archive import FileArchive
from ccserver.clusters import Clusters
from ccserver.metricdata import MetricData
from ccserver.model.job import Job, Resource
from ccserver.model.metrics import JobData, Statistics
from tests.metricdata.conftest import StoreOf

NOW = 1700000760
UNSUPPORTED_THERE = "memoryDomain scope asked of a hwthread metric"
# A thread misses samples: the reference drops the mean of its node, we take the threads that have a value.
GAPS = ("clock", "node", "n02")


@pytest.fixture
def golden(fixtures: Path) -> list[dict[str, Any]]:
    text = (fixtures / "metric-store/jobdata/loaddata-golden.json").read_text()
    return json.loads(text)  # type: ignore[no-any-return]


@pytest.fixture
def reference_data(fixtures: Path, make_store: StoreOf, archive: FileArchive) -> MetricData:
    document = json.loads((fixtures / "metric-store/jobdata/cluster-testc.json").read_text())
    clusters = Clusters.from_documents({"testc": document})
    store = make_store(clusters, NOW)
    store.write((fixtures / "metric-store/lineprotocol/stream-12-steps.lp").read_bytes(), "")
    return MetricData(clusters, store, archive, clock=lambda: NOW)


def job_of(case: dict[str, Any]) -> Job:
    return Job(
        job_id=zlib.crc32(case["name"].encode()),
        cluster="testc",
        subcluster="main",
        user="u",
        start_time=case["startTime"],
        duration=case["duration"],
        state="completed",
        num_nodes=len(case["resources"]),
        num_acc=case["numAcc"],
        resources=[
            Resource(r["hostname"], r.get("hwthreads"), r.get("accelerators")) for r in case["resources"]
        ],
    )


def test_job_data(golden: list[dict[str, Any]], reference_data: MetricData) -> None:
    compared = 0
    for case in golden:
        if case["name"] == UNSUPPORTED_THERE:
            continue
        data = reference_data.job_data(job_of(case), case["metrics"], case["scopes"])
        expected = case["jobData"]
        assert {m: sorted(s) for m, s in data.items()} == {m: sorted(s) for m, s in expected.items()}, case[
            "name"
        ]
        for name, scopes in expected.items():
            for scope, metric in scopes.items():
                compared += _compare(name, scope, metric, data)
    assert compared == 55


def _compare(name: str, scope: str, expected: dict[str, Any], data: JobData) -> int:
    found = data[name][scope]
    assert (found.timestep, found.unit.base) == (expected["timestep"], expected["unit"]["base"])
    assert [s.hostname for s in found.series] == [s["hostname"] for s in expected["series"]]
    for ours, theirs in zip(found.series, expected["series"], strict=True):
        if scope == "accelerator":
            assert ours.id == theirs["id"]
        if scope == "node":
            assert ours.id is None
        values = np.array(theirs["data"], dtype=np.float64)
        if (name, scope, ours.hostname) == GAPS:
            values = np.where(np.isnan(values), ours.data, values)
        else:
            statistics = theirs["statistics"]
            assert ours.statistics is not None
            for key in ("min", "avg", "max"):
                assert getattr(ours.statistics, key) == pytest.approx(statistics[key], abs=0.011)
        np.testing.assert_allclose(ours.data, values, atol=0.006, rtol=1e-6, err_msg=f"{name} {scope}")
    return len(found.series)


def test_a_scope_the_reference_cannot_do_costs_nothing(
    golden: list[dict[str, Any]], reference_data: MetricData
) -> None:
    (case,) = (case for case in golden if case["name"] == UNSUPPORTED_THERE)
    data = reference_data.job_data(job_of(case), case["metrics"], case["scopes"])
    assert [s.id for s in data["flops_any"]["memoryDomain"].series] == ["0"]


def test_node_statistics(golden: list[dict[str, Any]], reference_data: MetricData) -> None:
    for case in golden:
        expected = case.get("loadStats")
        if not expected:
            continue
        found = reference_data.node_statistics(job_of(case), case["metrics"])
        assert {m: set(h) for m, h in found.items()} == {m: set(h) for m, h in expected.items()}, case["name"]
        for name, hosts in expected.items():
            for host, statistics in hosts.items():
                if (name, "node", host) != GAPS:
                    _close(found[name][host], statistics)


def test_scoped_statistics(golden: list[dict[str, Any]], reference_data: MetricData) -> None:
    for case in golden:
        expected = case.get("loadScopedStats")
        if not expected:
            continue
        found = reference_data.scoped_statistics(job_of(case), case["metrics"], case["scopes"])
        assert {m: set(s) for m, s in found.items()} == {m: set(s) for m, s in expected.items()}, case["name"]
        for name, scopes in expected.items():
            for scope, entries in scopes.items():
                ours = found[name][scope]
                assert [one.hostname for one in ours] == [one["hostname"] for one in entries]
                for one, entry in zip(ours, entries, strict=True):
                    if (name, scope, one.hostname) != GAPS:
                        _close(one.statistics, entry["data"])


def _close(ours: Statistics, theirs: dict[str, float]) -> None:
    for key in ("min", "avg", "max"):
        assert getattr(ours, key) == pytest.approx(theirs[key], abs=0.011)
