"""Background work: repeating, durations and footprints of running jobs."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import trio
from sqlalchemy import select

from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.database.tables import job as job_table
from ccserver.jobs.lifecycle import JobLifeCycle, LifeCycleError
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.jobs.wire import StopRequest
from ccserver.metricdata import footprint as formulas
from ccserver.model.job import Job
from ccserver.model.metrics import Statistics
from ccserver.tasks import daily, every, update_durations, update_footprints
from ccserver.tasks.periodic import next_time
from tests.jobs.records import NOW, make_job, stored


async def test_work_is_repeated_and_never_overlaps_itself() -> None:
    running, most, runs = 0, 0, 0
    enough = trio.Event()
    pause = threading.Event()

    def work() -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        pause.wait(0.02)  # longer than the interval
        running -= 1
        runs += 1
        if runs == 5:
            trio.from_thread.run_sync(enough.set)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(every, 0.001, work)
        await enough.wait()
        nursery.cancel_scope.cancel()
    assert (most, running) == (1, 0)


async def test_the_first_run_comes_after_the_interval(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(9):
        await every(10, lambda: pytest.fail("too early"))


async def test_an_error_is_logged_and_the_next_run_happens(caplog: pytest.LogCaptureFixture) -> None:
    again = trio.Event()
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        if len(runs) > 1:
            trio.from_thread.run_sync(again.set)
        raise RuntimeError("out of luck")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(every, 0.001, fail, name="gamble"))
        await again.wait()
        nursery.cancel_scope.cancel()
    assert "background task gamble failed" in caplog.text
    assert "out of luck" in caplog.text


async def test_an_interval_of_0_switches_the_work_off() -> None:
    await every(0, lambda: pytest.fail("must not run"))


class Statistical:
    """Statistics of running jobs, by job number."""

    def __init__(self, clusters: Clusters, known: Mapping[int, dict[str, Statistics]]) -> None:
        self.clusters, self.known = clusters, known

    def job_statistics(self, job: Job, metrics: Sequence[str]) -> dict[str, Statistics]:
        if job.job_id not in self.known:
            raise RuntimeError("everything failed")
        return {name: self.known[job.job_id].get(name, Statistics(0, 0, 0)) for name in metrics}

    def footprint(self, job: Job, statistics: Any) -> dict[str, float]:
        return formulas.footprint(self.clusters[job.cluster].subclusters[job.subcluster], statistics)

    def energy(self, job: Job, statistics: Any) -> tuple[dict[str, float], float]:
        return formulas.energy(self.clusters[job.cluster].subclusters[job.subcluster], job, statistics)


def test_durations_of_running_jobs_are_stored(jobs: JobRepository) -> None:
    stored(jobs, make_job(1, start_time=NOW - 77), make_job(2, state="failed", duration=3))
    assert update_durations(jobs) == 1
    with jobs.database.read() as connection:
        assert connection.execute(select(job_table.c.duration).order_by(job_table.c.id)).scalars().all() == [
            77,
            3,
        ]


def test_footprints_of_running_jobs(
    jobs: JobRepository, clusters: Clusters, caplog: pytest.LogCaptureFixture
) -> None:
    stored(
        jobs,
        make_job(1, duration=601, start_time=NOW - 3600),
        make_job(2, duration=600),  # too young
        make_job(3, duration=900, state="completed"),
        make_job(4, duration=900),  # no data
        make_job(5, duration=900),  # data cannot be loaded
        make_job(6, duration=900, monitoring_status=0),
        make_job(7, duration=900, start_time=NOW - 7200),
    )
    one = {
        "cpu_load": Statistics(2.5, 1, 4),
        "mem_used": Statistics(8, 7, 9),
        "cpu_power": Statistics(500, 1, 1),
    }
    source = Statistical(clusters, {1: one, 2: one, 3: one, 4: {}, 6: one, 7: one})
    with caplog.at_level(logging.WARNING):
        run = update_footprints(jobs, clusters, source)
    assert (run.updated, run.skipped) == (2, 2)
    assert "footprints of 2 running jobs could not be updated" in caplog.text
    found = {job.job_id: job for job in jobs.list()}
    assert found[1].footprint == {"cpu_load_avg": 2.5, "mem_used_max": 9}
    assert (found[1].energy_footprint, found[1].energy) == ({"cpu_power": 0.5}, 0.5)
    assert found[7].energy == 1.0
    assert [found[number].footprint for number in (2, 3, 4, 5, 6)] == 5 * [None]


async def test_a_shutdown_does_not_wait_for_all_footprints(jobs: JobRepository, clusters: Clusters) -> None:
    stored(jobs, *(make_job(number, duration=900) for number in range(1, 10)))
    asked: list[int] = []
    scope = trio.CancelScope()

    class Slow(Statistical):
        def job_statistics(self, job: Job, metrics: Sequence[str]) -> dict[str, Statistics]:
            asked.append(job.job_id)
            trio.from_thread.run_sync(scope.cancel)
            return super().job_statistics(job, metrics)

    with scope:
        await trio.to_thread.run_sync(update_footprints, jobs, clusters, Slow(clusters, {}))
    assert asked == [1]


def test_a_job_that_stops_meanwhile_keeps_its_final_footprint(jobs: JobRepository) -> None:
    (id,) = stored(jobs, make_job(1, footprint={"cpu_load_avg": 9.0}))
    late = jobs.find(id)
    assert late is not None
    jobs.mark_stopped(id, "completed", 10)
    late.footprint = {"cpu_load_avg": 1.0}
    jobs.update_footprints([late])
    final = jobs.find(id)
    assert final is not None
    assert final.footprint == {"cpu_load_avg": 9.0}


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-01 02:59:59", "2026-03-01 03:00:00"),
        ("2026-03-01 03:00:00", "2026-03-02 03:00:00"),
        ("2026-12-31 23:00:00", "2027-01-01 03:00:00"),
    ],
)
def test_when_daily_work_is_due(now: str, due: str) -> None:
    moment = datetime.datetime.fromisoformat
    assert next_time(moment(now), 3, 0) == moment(due)


async def test_daily_work_runs_once_a_day_and_survives_an_error(
    mock_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    midnight = datetime.datetime(2026, 3, 1)
    begin = trio.current_time()
    clock = lambda: midnight + datetime.timedelta(seconds=trio.current_time() - begin)  # noqa: E731
    runs: list[datetime.datetime] = []

    def work() -> None:
        runs.append(trio.from_thread.run_sync(clock))
        raise RuntimeError("not today")

    patience = time.monotonic() + 30
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(daily, 3, 0, work, name="sweep", clock=clock))
        for hour in range(72):
            for _ in range(60):  # the clock stands still until what is due has run
                await trio.testing.wait_all_tasks_blocked()
                while len(runs) < (hour + 21) // 24 and time.monotonic() < patience:
                    await trio.lowlevel.checkpoint()  # no event could say that nothing runs
                mock_clock.jump(60)
        nursery.cancel_scope.cancel()
    assert [(run.day, run.hour, run.minute) for run in runs] == [(1, 3, 0), (2, 3, 0), (3, 3, 0)]
    assert "background task sweep failed" in caplog.text


def test_jobs_beyond_their_walltime_fail_without_being_archived(
    jobs: JobRepository, database: Database, clusters: Clusters
) -> None:
    over, within, endless, ended = stored(
        jobs,
        make_job(1, start_time=NOW - 700, walltime=600),
        make_job(2, start_time=NOW - 699, walltime=600),
        make_job(3, start_time=NOW - 700),
        make_job(4, start_time=NOW - 700, walltime=600, state="completed", duration=5),
    )
    events: list[tuple[str, int]] = []
    source = Statistical(clusters, {})
    life_cycle = JobLifeCycle(jobs, TagRepository(database), clusters, source, source)  # type: ignore[arg-type]
    life_cycle.on_event.append(lambda event: events.append((event.kind, event.job.id)))
    assert life_cycle.stop_overdue(99) == 1
    found = {job.id: (job.state, job.duration, job.monitoring_status) for job in jobs.list()}
    assert found[over] == ("failed", 0, 2)
    assert [found[id][0] for id in (within, endless, ended)] == ["running", "running", "completed"]
    assert events == [("stopped", over)]
    with pytest.raises(LifeCycleError) as caught:
        life_cycle.stop(StopRequest(1, NOW))
    assert caught.value.status == 422
