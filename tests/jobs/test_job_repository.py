"""Look-ups, what runs where, and bulk changes of jobs."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from ccserver.database import Database
from ccserver.database.tables import job as job_table
from ccserver.jobs.filters import JobFilter
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.user import Principal
from tests.jobs.records import NOW, make_job, stored

ALICE = Principal("alice", frozenset({"user"}))


def hosts(*names: str) -> list[Resource]:
    return [Resource(name) for name in names]


def test_a_job_comes_back_as_it_was_stored(jobs: JobRepository) -> None:
    sent = make_job(
        5, state="completed", duration=77, walltime=3600, submit_time=NOW - 9, array_job_id=4, num_acc=2,
        smt=1, shared="single_user", monitoring_status=3, energy=1.25, footprint={"cpu_load_avg": 0.5},
        energy_footprint={"cpu_power": 0.1}, metadata={"jobScript": "#!/bin/sh\n\u00e4\"'"},
        resources=[Resource("a01", [0, 1], ["00000000:01:00.0"], "x"), Resource("a02")],
    )  # fmt: skip
    (sent.id,) = stored(jobs, sent)
    assert jobs.find(sent.id, with_metadata=True) == sent
    plain = jobs.find(sent.id)
    assert plain is not None
    assert plain.metadata is None
    assert jobs.metadata_of([sent.id, 99]) == {sent.id: sent.metadata}


def test_find_by_takes_the_newest(jobs: JobRepository) -> None:
    first, second, other = stored(
        jobs,
        make_job(1, start_time=NOW - 10),
        make_job(1, start_time=NOW - 500_000),
        make_job(1, cluster="beta", start_time=NOW - 20),
    )
    found = [jobs.find_by(1), jobs.find_by(1, "alpha"), jobs.find_by(1, "alpha", NOW - 10), jobs.find_by(2)]
    assert [job and job.id for job in found] == [other, second, first, None]


def test_a_running_job_lasts_until_now(jobs: JobRepository) -> None:
    stored(jobs, make_job(1, start_time=NOW - 90, duration=5), make_job(2, start_time=NOW + 60))
    assert [job.duration for job in jobs.list()] == [90, 0]
    assert jobs.update_durations() == 2
    with jobs.database.read() as connection:
        assert connection.execute(select(job_table.c.duration).order_by(job_table.c.id)).scalars().all() == [
            90,
            -60,
        ]


def test_rows_of_other_programs_with_nothing_in_them(jobs: JobRepository, database: Database) -> None:
    (id,) = stored(jobs, make_job(1))
    nothing = dict.fromkeys(
        [
            "cluster_partition",
            "array_job_id",
            "meta_data",
            "num_hwthreads",
            "num_acc",
            "energy_footprint",
            "footprint",
        ]
    )
    database.write(lambda connection: connection.execute(update(job_table).values(nothing)).close())
    job = jobs.find(id, with_metadata=True)
    assert job is not None
    assert (job.partition, job.array_job_id, job.num_acc, job.footprint, job.metadata) == (
        "",
        0,
        0,
        None,
        None,
    )
    assert jobs.count([JobFilter(array_job_id=0)]) == 1
    assert jobs.statistics()[0].total_cores == 0


def test_jobs_of_a_time_are_found_however_long_they_run(jobs: JobRepository) -> None:
    day = 86400
    stored(
        jobs,
        make_job(1, start_time=NOW - 90 * day, resources=hosts("a01")),
        make_job(2, start_time=NOW - 40 * day, duration=39 * day, state="completed", resources=hosts("a01")),
        make_job(3, start_time=NOW - 40 * day, duration=30 * day, state="completed", resources=hosts("a01")),
        make_job(4, start_time=NOW - 3600, resources=hosts("a02"), metadata={"jobName": "wave"}),
        make_job(5, start_time=NOW + 60, resources=hosts("a01")),
        make_job(6, start_time=NOW - 90 * day, cluster="beta", resources=hosts("a01")),
    )
    window = (NOW - 2 * day, NOW)
    assert [one.job_id for one in jobs.on_hosts("alpha", "a01", *window, None)] == [1, 2]
    assert [one.job_id for one in jobs.on_hosts("alpha", None, *window, None)] == [1, 2, 4]
    assert jobs.on_hosts("alpha", "a02", *window, None)[0].metadata == {"jobName": "wave"}
    assert jobs.on_hosts("omega", None, *window, None) == []


def test_hosts_in_use(jobs: JobRepository) -> None:
    stored(
        jobs,
        make_job(1, resources=hosts("a02", "a01"), start_time=NOW - 50),
        make_job(2, resources=hosts("a02"), start_time=NOW - 20, shared="multi_user"),
        make_job(3, resources=hosts("g1"), subcluster="gpu"),
        make_job(4, resources=hosts("a07"), state="completed"),
        make_job(5, resources=hosts("b1"), cluster="beta", subcluster="main"),
    )
    assert jobs.used_nodes() == {"alpha": ["a01", "a02", "g1"], "beta": ["b1"]}
    assert jobs.used_nodes(NOW - 50) == {"alpha": ["g1"], "beta": ["b1"]}
    assert jobs.allocated_nodes("alpha") == {"main": 2, "gpu": 1}
    assert jobs.allocated_nodes("omega") == {}
    assert jobs.running_per_host("alpha") == {"a01": 1, "a02": 2, "g1": 1}
    assert [job.job_id for job in jobs.running("alpha")] == [1, 2, 3]
    assert len(jobs.running()) == 4


def test_partitions_and_projects(jobs: JobRepository) -> None:
    stored(
        jobs,
        make_job(1, partition="long"),
        make_job(2, partition=""),
        make_job(3, partition="batch", user="bob", project="bio"),
    )
    assert jobs.partitions("alpha") == ["batch", "long"]
    assert jobs.partitions("beta") == []
    assert jobs.project_exists("bio", None)
    assert not jobs.project_exists("bio", ALICE)


def test_jobs_on_the_same_host_meanwhile(jobs: JobRepository) -> None:
    """The job runs from -5000 to -2000; 200 s of overlap count."""

    def shared(number: int, start: int, end: int | None = None, host: str = "a01", **more: Any) -> Job:
        state, duration = ("running", 0) if end is None else ("completed", end - start)
        return make_job(
            number, start_time=NOW + start, duration=duration, state=state, resources=hosts(host),
            shared="multi_user", **more,
        )  # fmt: skip

    ids = stored(
        jobs,
        shared(1, -5000, -2000),
        shared(2, -9000, -4800),  # ends just too early
        shared(3, -9000, -4799),
        shared(4, -2200, -1000),  # starts just too late
        shared(5, -2201, -1000),
        shared(6, -2200),
        shared(7, -2199),
        shared(8, -5000, -2000, host="a02"),
        shared(9, -4000, -3000, cluster="beta"),
        shared(10, -4500, -2500, user="bob"),
    )
    job = jobs.find(ids[0])
    assert job is not None
    running = jobs.find(ids[5])
    assert running is not None
    exclusive = make_job(1, duration=5000)
    short = make_job(1, shared="multi_user", duration=600, state="completed")
    found = jobs.concurrent_jobs([job, running, exclusive, short], None)
    assert {id: [link.job_id for link in links] for id, links in found.items()} == {
        job.id: [3, 1, 10, 5, 6],
        running.id: [5, 4, 6, 7],
    }
    assert [link.job_id for link in jobs.concurrent_jobs([job], ALICE)[job.id]] == [3, 1, 5, 6]
    assert jobs.concurrent_jobs([], None) == {}


def test_iterating_walks_over_everything_in_batches(jobs: JobRepository) -> None:
    stored(
        jobs, *(make_job(number, state="completed" if number % 2 else "running") for number in range(1, 30))
    )
    walked = [job.job_id for job in jobs.iterate([JobFilter(state=["completed"])], batch=4)]
    assert walked == list(range(1, 30, 2))


def test_deleting_old_jobs(jobs: JobRepository, tags: TagRepository) -> None:
    def fill() -> None:
        jobs.clear()
        ids = stored(jobs, *(make_job(number, start_time=NOW - 100 + number) for number in range(1, 5)))
        tags.attach(make_job(1, id=ids[0]), [Tag("app", "md")], None)
        tags.attach(make_job(2, id=ids[1]), [Tag("app", "md"), Tag("mine", "x", "alice")], None)

    for omit, left in (("none", [4]), ("all", [1, 2, 4]), ("user", [2, 4])):
        fill()
        assert jobs.delete_before(NOW - 96, omit_tagged=omit) == 4 - len(left)
        assert [job.job_id for job in jobs.list()] == left


def test_overdue_jobs_are_failed(jobs: JobRepository) -> None:
    ids = stored(
        jobs,
        make_job(1, start_time=NOW - 1000, walltime=800),
        make_job(2, start_time=NOW - 1000, walltime=900),
        make_job(3, start_time=NOW - 1000, walltime=0),
        make_job(4, start_time=NOW - 1000, walltime=10, state="completed"),
    )
    assert jobs.stop_overdue(100) == [ids[0]]
    job = jobs.find(ids[0])
    assert job is not None
    assert (job.state, job.duration, job.monitoring_status) == ("failed", 0, 2)
    assert len(jobs.running()) == 2


def test_groups_are_sorted_and_paged(jobs: JobRepository) -> None:
    stored(
        jobs,
        *(make_job(number, user="alice", state="completed", duration=60) for number in (1, 2, 3)),
        make_job(4, user="bob", state="completed", duration=7200, num_hwthreads=64),
        make_job(5, user="carol", state="completed", duration=7199),
        make_job(6, user="carol", state="completed", duration=1),
    )

    def order(sort_by: str | None, **page: int) -> list[str]:
        return [one.id for one in jobs.statistics(group_by="USER", sort_by=sort_by, totals=(), **page)]

    assert order("TOTALJOBS") == ["alice", "carol", "bob"]
    assert order("TOTALCOREHOURS") == ["bob", "carol", "alice"]
    assert order(None) == ["alice", "bob", "carol"]
    assert order("TOTALJOBS", page=2, items_per_page=2) == ["bob"]
    assert order("TOTALJOBS", page=3, items_per_page=2) == []
    assert {one.id: one.total_walltime for one in jobs.statistics(group_by="USER")} == {
        "alice": 0,
        "bob": 2,
        "carol": 2,
    }
    with pytest.raises(KeyError):
        order("TOTALNONSENSE")


def test_groups_of_users_carry_real_names(jobs: JobRepository, database: Database) -> None:
    from ccserver.auth.users import UserRepository

    UserRepository(database).add("alice", ["user"], name="Alice A.")
    stored(jobs, make_job(1, user="alice"), make_job(2, user="bob"))
    assert [(one.id, one.name) for one in jobs.statistics(group_by="USER")] == [
        ("alice", "Alice A."),
        ("bob", ""),
    ]
    assert [one.name for one in jobs.statistics(group_by="PROJECT")] == [""]


def test_only_what_is_asked_for_is_computed(jobs: JobRepository) -> None:
    stored(jobs, make_job(1, duration=10))
    (found,) = jobs.statistics(totals=("short_jobs",))
    assert (found.short_jobs, found.total_jobs, found.total_users) == (1, 0, 0)
