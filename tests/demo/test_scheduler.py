"""The demo's batch system: nothing is given out twice or lost, and it can be stopped and picked up."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest

from ccserver.demo.clusters import ACCELERATORS, THREADS
from ccserver.demo.jobs import Placement, start_request, stop_request, submitted_job
from ccserver.demo.scheduler import (
    DOWN,
    PARTITIONS,
    PERIOD,
    RESERVED,
    Ended,
    Event,
    Scheduler,
    Started,
    replay,
)
from ccserver.demo.simulation import wake_up

END = 1_800_000_000 // PERIOD * PERIOD
START = END - 6 * 3600


@pytest.fixture(scope="module")
def past() -> tuple[Scheduler, list[Event]]:
    return replay(3, START, END)


def placements(events: list[Event]) -> list[Placement]:
    return [event.placement for event in events if isinstance(event, Started)]


def test_no_hwthread_and_no_accelerator_is_given_out_twice(past: tuple[Scheduler, list[Event]]) -> None:
    used: dict[tuple[str, str, int], list[tuple[int, int]]] = {}
    for placement in placements(past[1]):
        for rank, host in enumerate(placement.hosts):
            for thread in placement.threads(rank):
                used.setdefault((host, "thread", thread), []).append((placement.start, placement.end))
            for index in placement.accelerators(rank):
                used.setdefault((host, "accelerator", index), []).append((placement.start, placement.end))
    for times in used.values():
        times.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test_a_job_gets_distinct_nodes_of_its_partition_and_no_broken_ones(
    past: tuple[Scheduler, list[Event]],
) -> None:
    for placement in placements(past[1]):
        assert len(set(placement.hosts)) == placement.job.nodes
        assert set(placement.hosts) <= set(PARTITIONS[placement.job.partition])
        assert not set(placement.hosts) & {*DOWN, *RESERVED}


def test_ids_stay_inside_the_node(past: tuple[Scheduler, list[Event]]) -> None:
    for placement in placements(past[1]):
        for rank in range(placement.job.nodes):
            assert placement.threads(rank)[-1] < THREADS
            assert all(index < len(ACCELERATORS) for index in placement.accelerators(rank))


def test_every_started_job_runs_or_has_ended_within_its_walltime(past: tuple[Scheduler, list[Event]]) -> None:
    scheduler, events = past
    ended = {event.placement.job.number: event for event in events if isinstance(event, Ended)}
    started = {placement.job.number: placement for placement in placements(events)}
    assert started.keys() == ended.keys() | scheduler.running.keys()
    for number, event in ended.items():
        assert started[number].start < event.time <= started[number].start + started[number].job.walltime


def test_the_machine_is_busy_and_the_jobs_are_of_all_sorts(past: tuple[Scheduler, list[Event]]) -> None:
    kinds = {placement.job.kind.name for placement in placements(past[1])}
    assert len(kinds) >= 9
    assert {"completed", "failed", "timeout"} <= {e.state for e in past[1] if isinstance(e, Ended)}
    assert len(past[0].running) > 20


def test_the_same_seed_has_the_same_past(past: tuple[Scheduler, list[Event]]) -> None:
    assert replay(3, START, END)[1] == past[1]
    assert replay(4, START, START + 3600)[1] != replay(3, START, START + 3600)[1]


def test_a_restored_scheduler_goes_on_as_if_nothing_had_been(past: tuple[Scheduler, list[Event]]) -> None:
    first = Scheduler.restore(json.loads(json.dumps(past[0].state())))
    second = Scheduler.restore(json.loads(json.dumps(past[0].state())))
    assert first.state() == past[0].state()
    later = [first.advance(END + PERIOD * n) for n in range(1, 200)]
    assert later == [second.advance(END + PERIOD * n) for n in range(1, 200)]
    assert any(later)


def test_a_job_overtakes_only_where_it_does_not_delay_the_head_of_the_queue() -> None:
    scheduler = Scheduler(11, START)
    batch = submitted_job(11, 1, "batch", START)
    assert batch.partition == "batch"
    everything = len(PARTITIONS["batch"])

    def queued(number: int, nodes: int, walltime: int) -> None:
        scheduler.queue.append(
            replace(batch, number=number, nodes=nodes, walltime=walltime, runtime=walltime)
        )

    queued(1, everything - 4, 3600)
    queued(2, everything - 2, 3600)  # the head, once 1 runs: starts after an hour on all but two nodes
    queued(3, 3, 7200)  # would take one of the head's nodes for two hours
    queued(4, 1, 7200)  # on a node the head does not need
    queued(5, 2, 1800)  # over before the head can start
    started = [placement.job.number for placement in scheduler._start("batch", START, mid_life=False)]
    assert started == [1, 4, 5]
    assert [job.number for job in scheduler.queue] == [2, 3]


def test_after_a_pause_jobs_end_where_the_lights_went_out_or_go_on(
    past: tuple[Scheduler, list[Event]],
) -> None:
    scheduler = Scheduler.restore(json.loads(json.dumps(past[0].state())))
    before = dict(scheduler.running)
    ended = wake_up(scheduler, END, END + 3600)
    assert {event.placement.job.number for event in ended} == {
        n for n, p in before.items() if p.end <= END + 3600
    }
    assert all(event.time == END for event in ended)
    assert {p.job.number for p in scheduler.running.values()} == {
        n for n, p in before.items() if p.end > END + 3600
    }
    assert END + 3600 - PERIOD < scheduler.now <= END + 3600


def test_a_start_request_satisfies_the_checks_of_the_contract(past: tuple[Scheduler, list[Event]]) -> None:
    for placement in placements(past[1]):
        request = start_request(placement)
        assert request["numNodes"] == len(request["resources"]) >= 1
        assert request["user"]
        assert request["walltime"] > 0
        assert request["numHwthreads"] == sum(len(each["hwthreads"]) for each in request["resources"])
        assert request["numAcc"] == sum(len(each.get("accelerators", [])) for each in request["resources"])
        assert request["metaData"]["jobScript"].startswith("#!/bin/bash")
        assert (
            json.loads(json.dumps(stop_request(placement, placement.end, "completed")))["jobId"]
            == placement.job.number
        )
