"""Hints of a job: each rule speaks when it should, and only then. Contract: spec/web-ui.md 9.4."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ccserver.clusters import Clusters, SubCluster
from ccserver.config.sections import HintRules
from ccserver.jobs.verdict import EfficiencyHint, judge, slope
from ccserver.model.job import Job, Resource
from ccserver.model.metrics import JobData, JobMetric, Series, Unit
from tests.graphql.graphql_world import CLUSTER

START = 1_700_000_000
HOUR = 60  # samples
SUB: SubCluster = Clusters.from_documents({"tc": CLUSTER})["tc"].subclusters["cpu"]  # 8 cores, 64 GB


def job(hosts: int = 2, **more: Any) -> Job:
    given: dict[str, Any] = {
        "num_nodes": hosts, "num_hwthreads": 8 * hosts, "state": "completed",
        "duration": 3600, "walltime": 3600,
        "resources": [Resource(f"c{number}") for number in range(hosts)], **more,
    }  # fmt: skip
    return Job(1, "tc", "alice", START, **given)


def curve(unit: Unit, *values: float | list[float]) -> JobMetric:
    """One series per value; a number is the whole hour."""
    rows = [np.array(value if isinstance(value, list) else [value] * HOUR, np.float32) for value in values]
    return JobMetric(unit, 60, [Series(f"c{number}", row) for number, row in enumerate(rows)])


def load(*values: float | list[float]) -> JobData:
    return {"cpu_load": {"node": curve(Unit(), *values)}}


def work(*values: float | list[float]) -> JobData:
    return {"flops_any": {"node": curve(Unit("F/s", "G"), *values)}}


def memory(*values: float | list[float]) -> JobData:
    return {"mem_used": {"node": curve(Unit("B", "G"), *values)}}


def accelerators(*values: float | list[float]) -> JobData:
    return {"acc_utilization": {"accelerator": curve(Unit("%"), *values)}}


def found(job: Job, data: JobData, now: float = START + 3600, **rules: Any) -> dict[str, EfficiencyHint]:
    hints = judge(job, SUB, data, now, HintRules(**rules))
    assert hints is not None
    return {hint.id: hint for hint in hints}


NAN = float("nan")
GPUS = {"hosts": 1, "num_acc": 2}
RUNNING = {"state": "running", "duration": 0, "walltime": 7200}
GROWING = [8.0 + minute * 0.7 for minute in range(HOUR)]  # 49.3 GB after an hour, full in 21 minutes


@pytest.mark.parametrize(
    ("about", "data", "expected"),
    [
        (GPUS, accelerators(90, 0.5), {"idle-gpu": "critical"}),
        (GPUS, accelerators(90, 1.5), {}),
        (GPUS, accelerators(20, 25), {"low-gpu": "warning"}),
        (GPUS, accelerators(10, 12), {"low-gpu": "critical"}),
        (GPUS, accelerators(24, 28), {}),
        (GPUS, accelerators(90), {}),  # the other GPU has no data
        (GPUS, accelerators(90, [NAN] * HOUR), {}),
        ({}, load(7.5, 7.5), {}),
        ({}, load(6, 6), {"low-cpu": "warning"}),
        ({}, load(3, 3), {"low-cpu": "critical"}),
        ({"num_acc": 1}, load(3, 3), {}),
        ({"shared": "multi_user"}, load(3, 3), {}),
        ({"num_hwthreads": 8}, load(3.5, 3.5), {}),  # four cores a node were asked for
        ({}, load(3), {}),  # the other node has no data
        ({}, load(8, 0.1), {"idle-node": "critical", "imbalance": "warning"}),
        ({"hosts": 1}, load([0.1] * 50 + [8.0] * 10), {"low-cpu": "critical"}),  # idle for 83 % of it
        ({}, load(11, 11), {"oversubscribed": "warning"}),
        ({}, load(9, 9), {}),
        ({}, work(100, 20), {"imbalance": "warning"}),
        ({}, work(100, 60), {}),
        ({}, work(0, 0), {}),
        ({}, work(100, 100) | load(11, 1), {"imbalance": "warning", "low-cpu": "warning"}),
        ({}, memory(20, 62), {"memory-full": "warning"}),
        ({}, memory(20, 60), {}),
        ({"shared": "single_user"}, memory(20, 62), {}),
        ({"requested_memory": 60_000}, memory(5, 5), {"memory-request": "info"}),
        ({"requested_memory": 40_000}, memory(5, 5), {}),
        ({"hosts": 1, **RUNNING}, memory(GROWING), {"memory-growth": "warning"}),
        ({"hosts": 1, **RUNNING, "walltime": 4200}, memory(GROWING), {}),  # it ends before
        ({"hosts": 1}, memory(GROWING), {}),  # it has ended
        ({"walltime": 86400}, {}, {"walltime": "info"}),
        ({"walltime": 8000}, {}, {}),
        ({"walltime": 86400, "state": "running"}, {}, {}),
    ],
)  # fmt: skip
def test_a_rule_speaks_when_it_should(about: dict[str, Any], data: JobData, expected: dict[str, str]) -> None:
    assert {id: hint.severity for id, hint in found(job(**about), data).items()} == expected


def test_a_young_job_is_not_judged() -> None:
    assert judge(job(duration=599), SUB, load(0.1, 0.1), START + 599, HintRules()) is None
    young = job(**RUNNING)
    assert judge(young, SUB, load(0.1, 0.1), START + 599, HintRules()) is None
    assert judge(young, SUB, load(0.1, 0.1), START + 601, HintRules())


def test_limits_and_hints_can_be_chosen() -> None:
    assert "low-cpu" not in found(job(), load(6, 6), low_cpu_warning=0.7)
    assert "low-cpu" not in found(job(), load(6, 6), off=("low-cpu",))
    assert found(job(duration=20), load(6, 6), minimum_runtime=10)


def test_the_gravest_comes_first_with_its_evidence() -> None:
    hints = judge(job(walltime=86400), SUB, work(100, 20) | load(3, 3), START, HintRules())
    assert hints is not None
    assert [hint.id for hint in hints] == ["low-cpu", "imbalance", "walltime"]
    assert hints[0].detail == "Load is 3 on 8 cores per node (38 %)."
    assert (hints[0].metric, hints[0].evidence.value, hints[0].evidence.threshold) == ("cpu_load", 3, 4)
    assert hints[1].detail == "Uneven work: c1 does 20 % of what c0 does (flops_any)."
    assert hints[2].detail == "Used 1 h of the 24 h requested."


def test_hyperthreads_need_not_be_busy() -> None:
    """16 threads on 8 cores: a load of 8 is full, 20 is too much."""
    both = replace(SUB, threads_per_core=2)
    for value, expected in ((8, []), (6, ["low-cpu"]), (20, ["oversubscribed"])):
        hints = judge(job(num_hwthreads=32), both, load(value, value), START, HintRules())
        assert [hint.id for hint in hints or ()] == expected


def test_slope_is_that_of_most_points_of_the_second_half() -> None:
    values = np.array([50.0] * 30 + [10.0 + minute for minute in range(30)])
    values[40], values[41] = 500, np.nan
    assert slope(values, 60) == pytest.approx(1 / 60)
    assert slope(np.array([np.nan, 3.0]), 60) == 0
