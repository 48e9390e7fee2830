"""Jobs start, stop and get archived; every refusal has its status and text."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, insert

from ccserver.archive import ArchiveError, FileArchive
from ccserver.clusters import Clusters
from ccserver.database import Database
from ccserver.database.tables import job as job_table
from ccserver.database.tables import job_cache
from ccserver.jobs.filters import JobFilter, StringInput
from ccserver.jobs.lifecycle import JobEvent, JobLifeCycle, LifeCycleError
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.rows import row_of_job
from ccserver.jobs.tags import TagMissing, TagRepository
from ccserver.jobs.wire import StopRequest, decode_job, decode_stop
from ccserver.metricdata import footprint as formulas
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from ccserver.model.user import Principal
from tests.jobs.records import NOW, make_job, stored

WAIT = 20  # seconds after which a test gives up; nothing here takes that long


class Measured:
    """Metric data of any job: two samples of each metric per host. `gate` holds up whoever asks for data."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[int] = []
        self.broken = False

    def archive_job_data(self, job: Job) -> JobData:
        self.asked.append(job.id)
        assert self.gate.wait(WAIT)
        if self.broken:
            raise RuntimeError("no data for any metric")
        return {
            name: {
                "node": JobMetric(
                    Unit(),
                    60,
                    [
                        Series(host, np.array([value, value + 1]), Statistics(value + 0.5, value, value + 1))
                        for host in job.hostnames
                    ],
                )
            }
            for name, value in (("cpu_load", 3.0), ("mem_used", 10.0), ("cpu_power", 1000.0))
        }

    def statistics_for_archive(self, job: Job, data: JobData) -> dict[str, JobStatistic]:
        return formulas.statistics_for_archive(job, data, self.clusters[job.cluster].metrics)

    def footprint(self, job: Job, statistics: Any) -> dict[str, float]:
        return formulas.footprint(self.clusters[job.cluster].subclusters[job.subcluster], statistics)

    def energy(self, job: Job, statistics: Any) -> tuple[dict[str, float], float]:
        return formulas.energy(self.clusters[job.cluster].subclusters[job.subcluster], job, statistics)


class Running:
    """A life cycle whose archiver thread the test starts."""

    def __init__(self, life_cycle: JobLifeCycle) -> None:
        self.life_cycle = life_cycle
        self.thread = threading.Thread(target=life_cycle.run_archiver, daemon=True)

    def __enter__(self) -> JobLifeCycle:
        self.thread.start()
        return self.life_cycle

    def __exit__(self, *reason: object) -> None:
        self.life_cycle.drain(WAIT)
        self.thread.join(WAIT)
        assert not self.thread.is_alive()


@pytest.fixture
def measured(clusters: Clusters) -> Measured:
    return Measured(clusters)


@pytest.fixture
def archive(tmp_path: Path) -> FileArchive:
    root = tmp_path / "archive"
    root.mkdir()
    archive = FileArchive(root)
    archive.open()
    return archive


@pytest.fixture
def events() -> list[JobEvent]:
    return []


Make = Callable[..., JobLifeCycle]


@pytest.fixture
def make(
    jobs: JobRepository, database: Database, clusters: Clusters, measured: Measured, archive: FileArchive,
    events: list[JobEvent],
) -> Make:  # fmt: skip
    def make(**options: Any) -> JobLifeCycle:
        life_cycle = JobLifeCycle(
            jobs, TagRepository(database, archive), clusters, measured, archive, **options
        )
        life_cycle.on_event.append(events.append)
        return life_cycle

    return make


@pytest.fixture
def life_cycle(make: Make) -> JobLifeCycle:
    return make()


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(LifeCycleError) as caught:
        call()
    return caught.value.status, str(caught.value)


def test_a_started_job_is_visible_at_once(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    started = life_cycle.start(make_job(7, state="completed", subcluster="", metadata={"jobName": "x"}))
    found = jobs.find(started.id, with_metadata=True)
    assert found is not None
    assert (found.state, found.subcluster, found.metadata) == ("running", "main", {"jobName": "x"})
    assert [job.id for job in jobs.list([JobFilter(state=["running"])])] == [started.id]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cluster": "omega"}, "no such cluster: omega"),
        ({"cluster": "omega", "resources": [], "num_nodes": 0}, "no such cluster: omega"),
        ({"subcluster": "other"}, "already assigned subcluster other unkown"),
        ({"subcluster": "", "resources": [Resource("z99")]}, "no subcluster found for cluster alpha"),
        ({"subcluster": "", "resources": []}, "job without any resources/hosts"),
        ({"resources": []}, "'resources' and 'user' should not be empty"),
        ({"user": ""}, "'resources' and 'user' should not be empty"),
        ({"num_nodes": 0}, "'numNodes', 'numAcc' or 'numHWThreads' invalid"),
        ({"num_acc": -1}, "'numNodes', 'numAcc' or 'numHWThreads' invalid"),
        ({"num_hwthreads": -1}, "'numNodes', 'numAcc' or 'numHWThreads' invalid"),
        ({"num_nodes": 2}, "len(resources) does not equal numNodes (1 vs 2)"),
        ({"shared": "all"}, "'shared' invalid"),
        ({"monitoring_status": 9}, "'monitoringStatus' invalid"),
        ({"smt": -1}, "'smt' invalid"),
    ],
)
def test_start_checks(
    life_cycle: JobLifeCycle, jobs: JobRepository, changes: dict[str, Any], text: str
) -> None:
    status, message = refusal(lambda: life_cycle.start(make_job(1, **changes)))
    assert status == 400
    assert message.startswith(text)
    assert jobs.count() == 0


@pytest.mark.parametrize(
    ("later", "accepted"),
    [(0, False), (1, False), (86399, False), (86400, True), (-1, False), (-500_000, False)],
)
def test_a_job_number_is_free_again_after_a_day(life_cycle: JobLifeCycle, later: int, accepted: bool) -> None:
    first = life_cycle.start(make_job(1))
    again = make_job(1, start_time=first.start_time + later)
    if accepted:
        assert life_cycle.start(again).id != first.id
    else:
        text = f"a job with that jobId, cluster and startTime already exists: dbid: {first.id}, jobid: 1"
        assert refusal(lambda: life_cycle.start(again)) == (422, text)
    assert life_cycle.start(make_job(2, start_time=again.start_time)).id


def test_of_parallel_equal_starts_one_wins(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    barrier = threading.Barrier(8)

    def start(_: int) -> int:
        barrier.wait()
        try:
            life_cycle.start(make_job(1))
        except LifeCycleError as error:
            return error.status
        return 201

    for _ in range(5):
        jobs.clear()
        with ThreadPoolExecutor(8) as threads:
            assert sorted(threads.map(start, range(8))) == [201] + 7 * [422]
        assert jobs.count() == 1


def test_tags_come_with_the_rights_of_the_caller(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    wanted = [Tag("app", "md", ""), Tag("watch", "me", "alice")]
    alice = Principal("alice", frozenset({"user"}))
    status, message = refusal(lambda: life_cycle.start(make_job(1, tags=wanted), alice))
    stored_job = jobs.list()[0]
    assert status == 500
    assert message.startswith(f"adding tag to new job {stored_job.id} failed: ")
    started = life_cycle.start(make_job(2, tags=wanted))
    assert [(tag.type, tag.scope) for tag in started.tags or ()] == [("app", "global"), ("watch", "alice")]


def test_stop_checks_in_order(life_cycle: JobLifeCycle) -> None:
    started = life_cycle.start(make_job(1))
    begin = started.start_time
    assert refusal(lambda: life_cycle.stop(StopRequest(2, begin)))[0] == 404
    assert refusal(lambda: life_cycle.stop(StopRequest(1, begin, cluster="beta")))[0] == 404
    assert refusal(lambda: life_cycle.stop(StopRequest(1, begin, start_time=begin + 1)))[0] == 404
    status, message = refusal(lambda: life_cycle.stop(StopRequest(1, begin - 1, "nonsense")))
    assert status == 400
    assert "must be larger/equal than startTime" in message
    for state in ("nonsense", "running", "pending", "suspended", "stopped"):
        status, message = refusal(lambda state=state: life_cycle.stop(StopRequest(1, begin, state)))  # type: ignore[misc]
        assert (status, message) == (400, f"invalid requested job state: {state}")
    assert life_cycle.stop(StopRequest(1, begin, "failed")).duration == 0
    text = "job has already been stopped (state is: failed)"
    assert refusal(lambda: life_cycle.stop(StopRequest(1, begin - 1, "nonsense"))) == (422, text)
    assert refusal(lambda: life_cycle.stop_by_id(99, StopRequest(None, begin)))[0] == 404


def test_any_time_of_64_bits_can_start_a_job_but_no_job_lasts_so_long(life_cycle: JobLifeCycle) -> None:
    longest = (1 << 63) - 1
    first = life_cycle.start(make_job(1, start_time=-longest - 1))
    assert refusal(lambda: life_cycle.start(make_job(1, start_time=-longest - 1)))[0] == 422
    life_cycle.start(make_job(2, start_time=longest))
    status, message = refusal(lambda: life_cycle.stop(StopRequest(1, longest)))
    assert (status, "more than 68 years" in message) == (400, True)
    assert life_cycle.stop(StopRequest(1, first.start_time + 5)).duration == 5


def test_of_parallel_stops_one_wins(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    begin = life_cycle.start(make_job(1)).start_time
    barrier = threading.Barrier(6)

    def stop(_: int) -> int:
        barrier.wait()
        try:
            life_cycle.stop(StopRequest(1, begin + 9))
        except LifeCycleError as error:
            return error.status
        return 200

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(stop, range(6))) == [200] + 5 * [422]
    assert life_cycle.waiting == 1


def test_stop_takes_the_newest_job_of_that_number(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    old = life_cycle.start(make_job(1, start_time=NOW - 100_000))
    new = life_cycle.start(make_job(1, start_time=NOW - 10))
    assert life_cycle.stop(StopRequest(1, NOW, cluster="alpha")).id == new.id
    assert life_cycle.stop_by_id(old.id, StopRequest(None, NOW)).duration == 100_000


def test_what_another_program_left_in_the_cache_counts(
    life_cycle: JobLifeCycle, jobs: JobRepository, database: Database, events: list[JobEvent]
) -> None:
    def leave(job: Job) -> None:
        database.write(
            lambda connection: connection.execute(insert(job_cache).values(row_of_job(job))).close()
        )

    leave(make_job(1))
    assert refusal(lambda: life_cycle.start(make_job(1)))[0] == 422
    leave(make_job(2))
    assert life_cycle.stop(StopRequest(2, NOW)).state == "completed"
    leave(make_job(2))  # known already
    leave(make_job(3))
    assert life_cycle.take_over_cache() == 1
    assert [job.job_id for job in jobs.list()] == [1, 2, 3]
    assert [event.job.job_id for event in events if event.kind == "started"] == [1, 2, 3]


def test_a_stopped_job_is_archived(
    make: Make, jobs: JobRepository, archive: FileArchive, events: list[JobEvent]
) -> None:
    hooked: list[int] = []
    hosts = [Resource("a01"), Resource("a02")]
    with Running(make(stop_hooks=[lambda job: hooked.append(job.id)])) as life_cycle:
        begin = life_cycle.start(
            make_job(1, resources=hosts, metadata={"jobName": "x"}, tags=[Tag("app", "md", "global")])
        ).start_time
        stopped = life_cycle.stop(StopRequest(1, begin + 1800))
        assert stopped.monitoring_status == 1
    found = jobs.find(stopped.id)
    assert found is not None
    assert (found.state, found.duration, found.monitoring_status) == ("completed", 1800, 3)
    assert found.footprint == {"cpu_load_avg": 3.5, "mem_used_max": 11.0}
    assert (found.energy_footprint, found.energy) == ({"cpu_power": 1.0}, 1.0)
    meta = archive.load_meta("alpha", 1, begin)
    assert (meta.metadata, meta.tags) == ({"jobName": "x"}, [Tag("app", "md", "global")])
    assert meta.statistics is not None
    assert meta.statistics["mem_used"] == JobStatistic(Unit("B", "G"), 10.5, 10.0, 11.0)
    assert archive.load_data(meta)["cpu_load"]["node"].series[1].data.tolist() == [3.0, 4.0]
    assert [(event.kind, event.job.id) for event in events] == [
        (kind, stopped.id) for kind in ("started", "stopped", "archived")
    ]
    assert hooked == [stopped.id]


def test_a_job_without_monitoring_is_not_archived(
    make: Make, jobs: JobRepository, measured: Measured
) -> None:
    with Running(make()) as life_cycle:
        begin = life_cycle.start(make_job(1, monitoring_status=0)).start_time
        stopped = life_cycle.stop(StopRequest(1, begin + 60))
    assert measured.asked == []
    assert [job.monitoring_status for job in jobs.list()] == [0]
    assert stopped.monitoring_status == 0


def test_a_failed_archiving_is_noted_and_the_next_job_still_archived(
    make: Make, jobs: JobRepository, measured: Measured, events: list[JobEvent]
) -> None:
    measured.broken = True
    life_cycle = make()
    for number in (1, 2):
        life_cycle.start(make_job(number))
        life_cycle.stop(StopRequest(number, NOW))
    with Running(life_cycle):
        pass
    assert [job.monitoring_status for job in jobs.list()] == [2, 2]
    assert len(measured.asked) == 2
    assert "archived" not in [event.kind for event in events]


def test_a_refusing_archive_is_tried_again_before_the_job_counts_as_failed(
    make: Make, jobs: JobRepository, archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [OSError(28, "no space left"), ArchiveError("somebody moved it")]
    store = archive.import_job

    def refuse(job: Job, data: JobData) -> None:
        if refusals:
            raise refusals.pop(0)
        store(job, data)

    monkeypatch.setattr(archive, "import_job", refuse)
    done = threading.Semaphore(0)
    with Running(make(retries=(0.01, 0.02), stop_hooks=[lambda job: done.release()])) as life_cycle:
        life_cycle.start(make_job(1))
        life_cycle.stop(StopRequest(1, NOW))
        assert done.acquire(timeout=WAIT)
        state = life_cycle.archiving
    assert (state.archived, state.failed, state.retrying, state.waiting) == (1, 0, 0, 0)
    assert "somebody moved it" in state.last_error
    assert [job.monitoring_status for job in jobs.list()] == [3]


def test_after_the_last_attempt_a_job_has_failed_until_somebody_asks_again(
    make: Make, jobs: JobRepository, archive: FileArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def refuse(job: Job, data: JobData) -> None:
        attempts.append(job.id)
        raise OSError(28, "no space left")

    done = threading.Semaphore(0)
    with Running(make(retries=(0.01,), stop_hooks=[lambda job: done.release()])) as life_cycle:
        with monkeypatch.context() as patched:
            patched.setattr(archive, "import_job", refuse)
            life_cycle.start(make_job(1))
            stopped = life_cycle.stop(StopRequest(1, NOW))
            while life_cycle.archiving.failed == 0:
                threading.Event().wait(0.005)
        assert len(attempts) == 2
        while (found := jobs.find(stopped.id)) is None or found.monitoring_status != 2:
            threading.Event().wait(0.005)
        assert life_cycle.archive_again(stopped.id).monitoring_status == 1
        assert done.acquire(timeout=WAIT)
        assert refusal(lambda: life_cycle.archive_again(stopped.id))[0] == 422
        assert refusal(lambda: life_cycle.archive_again(99))[0] == 404


def test_a_job_and_its_tags_are_stored_together(
    life_cycle: JobLifeCycle, jobs: JobRepository, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[str] = []
    event.listen(database._writer, "commit", lambda connection: commits.append("commit"))
    started = life_cycle.start(make_job(1, tags=[Tag("app", "md", ""), Tag("app", "qm", "")]))
    assert len(commits) == 1
    assert [tag.name for tag in jobs.tags_of([started.id])[started.id]] == ["md", "qm"]


def test_the_queue_is_bounded_and_a_full_one_delays_the_next_stop(make: Make, measured: Measured) -> None:
    measured.gate.clear()
    life_cycle = make(queue_length=1)
    for number in (1, 2, 3):
        life_cycle.start(make_job(number))
    third = threading.Thread(target=lambda: life_cycle.stop(StopRequest(3, NOW)), daemon=True)
    life_cycle.stop(
        StopRequest(1, NOW)
    )  # before the archiver looks for what is left behind, and finds it twice
    with Running(life_cycle):
        while not measured.asked:  # the first is being archived and has left the queue
            threading.Event().wait(0.005)
        life_cycle.stop(StopRequest(2, NOW))
        third.start()
        third.join(0.2)
        assert third.is_alive()
        assert life_cycle.waiting == 1
        measured.gate.set()
        third.join(WAIT)
        assert not third.is_alive()
    assert len(measured.asked) == 3


def test_what_a_shutdown_leaves_in_the_queue_is_marked_failed(
    make: Make, jobs: JobRepository, measured: Measured
) -> None:
    measured.gate.clear()
    life_cycle = make()
    running = Running(life_cycle)
    running.thread.start()
    for number in (1, 2, 3):
        life_cycle.start(make_job(number))
        life_cycle.stop(StopRequest(number, NOW))
    while not measured.asked:
        threading.Event().wait(0.005)
    assert life_cycle.drain(0.05) == 2
    assert [job.monitoring_status for job in jobs.list()] == [1, 2, 2]
    measured.gate.set()
    running.thread.join(WAIT)
    assert [job.monitoring_status for job in jobs.list()] == [3, 2, 2]


def test_what_a_short_shutdown_leaves_is_archived_after_the_next_start(
    make: Make, jobs: JobRepository
) -> None:
    life_cycle = make()
    for number in (1, 2):
        life_cycle.start(make_job(number))
        life_cycle.stop(StopRequest(number, NOW))
    assert life_cycle.drain(0, give_up=False) == 2
    assert [job.monitoring_status for job in jobs.list()] == [1, 1]
    done = threading.Semaphore(0)
    with Running(make(stop_hooks=[lambda job: done.release()])):
        assert done.acquire(timeout=WAIT)
        assert done.acquire(timeout=WAIT)
    assert [job.monitoring_status for job in jobs.list()] == [3, 3]


def test_jobs_a_killed_process_left_behind_are_archived_at_the_next_start(
    make: Make, jobs: JobRepository, measured: Measured
) -> None:
    stored(
        jobs,
        make_job(1, state="completed", duration=60),
        make_job(2, state="running"),
        make_job(3, state="failed", duration=60, monitoring_status=2),
        make_job(4, state="timeout", duration=60),
        make_job(5, state="completed", duration=60, monitoring_status=0),
    )
    done = threading.Semaphore(0)
    life_cycle = make(stop_hooks=[lambda job: done.release()])
    with Running(life_cycle):
        assert done.acquire(timeout=WAIT)
        assert done.acquire(timeout=WAIT)
    assert [job.monitoring_status for job in jobs.list()] == [3, 1, 2, 3, 0]


def test_archiving_waits_until_metric_data_can_be_read(make: Make, measured: Measured) -> None:
    ready = threading.Event()
    life_cycle = make(ready=ready.is_set)
    life_cycle.start(make_job(1))
    life_cycle.stop(StopRequest(1, NOW))
    with Running(life_cycle):
        threading.Event().wait(0.3)
        assert measured.asked == []
        ready.set()
    assert len(measured.asked) == 1


def test_tags_and_metadata_that_change_while_archiving_reach_the_archive(
    make: Make, jobs: JobRepository, measured: Measured, archive: FileArchive, database: Database
) -> None:
    measured.gate.clear()
    with Running(make()) as life_cycle:
        life_cycle.start(make_job(1))
        stopped = life_cycle.stop(StopRequest(1, NOW))
        while not measured.asked:
            threading.Event().wait(0.005)
        TagRepository(database, archive).attach(stopped, [Tag("app", "late", "global")], None)
        life_cycle.set_metadata(stopped.id, "note", "late")
        measured.gate.set()
    meta = archive.load_meta("alpha", 1, stopped.start_time)
    assert [tag.name for tag in meta.tags or ()] == ["late"]
    assert meta.metadata == {"note": "late"}


def test_archive_entries_lose_a_deleted_tag_in_the_background(
    make: Make, jobs: JobRepository, tags: TagRepository, archive: FileArchive, measured: Measured
) -> None:
    life_cycle = make(queue_length=2)
    finished = [make_job(number, state="completed", monitoring_status=3) for number in range(10, 15)]
    for job, job.id in zip(finished, stored(jobs, *finished), strict=True):
        archive.import_job(job, {})
        life_cycle._tags.attach(job, [Tag("a", "b"), Tag("c", "d")], None)

    def archived() -> set[str]:
        found = [archive.load_meta(job.cluster, job.job_id, job.start_time).tags or () for job in finished]
        return {tag.name for tags in found for tag in tags}

    life_cycle.start(make_job(1))
    measured.gate.clear()  # the archiver is held up over a stopped job
    with Running(life_cycle):
        life_cycle.stop(StopRequest(1, NOW))
        while not measured.asked:
            threading.Event().wait(0.005)
        with pytest.raises(TagMissing):
            life_cycle.delete_tags([Tag("a", "b", "global"), Tag("x", "y", "global")], None)
        assert life_cycle.archiving.untagging == 5
        assert life_cycle.delete_tags([Tag("c", "d", "global")], None) == 1
        assert tags.list() == []
        assert archived() == {"b", "d"}
        life_cycle._tags.attach(make_job(1, id=finished[0].id), [Tag("e", "f")], None)
        with ThreadPoolExecutor(1) as pool:
            third = pool.submit(life_cycle.delete_tags, [Tag("e", "f", "global")], None)
            with pytest.raises(TimeoutError):
                third.result(0.2)  # the entries of two tags wait: no third
            measured.gate.set()
            assert third.result(WAIT) == 1
    assert archived() == set()
    assert life_cycle.archiving.untagging == 0


def test_entries_that_a_dying_process_did_not_reach_lose_a_deleted_tag_later(
    make: Make, jobs: JobRepository, tags: TagRepository, archive: FileArchive, database: Database
) -> None:
    finished = [make_job(number, state="completed", monitoring_status=3) for number in range(10, 13)]
    for job, job.id in zip(finished, stored(jobs, *finished), strict=True):
        archive.import_job(job, {})
        TagRepository(database, archive).attach(job, [Tag("a", "b")], None)
    assert tags.delete([Tag("a", "b", "global")], None, lambda lost: None) == 1
    assert list(tags.left_tagged())
    with Running(make()):
        deadline = time.monotonic() + WAIT
        while list(tags.left_tagged()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    for job in finished:
        assert not archive.load_meta(job.cluster, job.job_id, job.start_time).tags


def test_where_no_archiver_runs_entries_lose_a_deleted_tag_at_once(
    life_cycle: JobLifeCycle, jobs: JobRepository, archive: FileArchive
) -> None:
    job = make_job(1, state="completed", monitoring_status=3)
    (job.id,) = stored(jobs, job)
    archive.import_job(job, {})
    life_cycle._tags.attach(job, [Tag("a", "b")], None)
    assert archive.load_meta(job.cluster, job.job_id, job.start_time).tags
    life_cycle.delete_tags([Tag("a", "b", "global")], None)
    assert not archive.load_meta(job.cluster, job.job_id, job.start_time).tags


def test_metadata_of_a_finished_job_changes_in_the_archive_too(
    make: Make, jobs: JobRepository, archive: FileArchive
) -> None:
    with Running(make()) as life_cycle:
        life_cycle.start(make_job(1))
        job = life_cycle.set_metadata(life_cycle.stop(StopRequest(1, NOW)).id, "a", "1")
    assert job.metadata == {"a": "1"}
    assert life_cycle.set_metadata(job.id, "b", "2").metadata == {"a": "1", "b": "2"}
    assert archive.load_meta("alpha", 1, job.start_time).metadata == {"a": "1", "b": "2"}
    assert refusal(lambda: life_cycle.set_metadata(99, "a", "1"))[0] == 404


def test_a_failing_listener_or_hook_disturbs_nothing(make: Make, jobs: JobRepository) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("not my day")

    life_cycle = make(start_hooks=[fail], stop_hooks=[fail])
    life_cycle.on_event.insert(0, fail)
    with Running(life_cycle):
        life_cycle.start(make_job(1))
        life_cycle.stop(StopRequest(1, NOW))
    assert jobs.list()[0].monitoring_status == 3


@pytest.fixture
def site_clusters(fixtures: Path) -> Clusters:
    folder = fixtures / "rest"
    return Clusters.from_documents(
        {name: json.loads((folder / f"cluster-{name}.json").read_text()) for name in ("fritz", "testcluster")}
    )


def test_what_real_adapters_send(
    jobs: JobRepository, tags: TagRepository, site_clusters: Clusters, archive: FileArchive, fixtures: Path
) -> None:
    life_cycle = JobLifeCycle(jobs, tags, site_clusters, Measured(site_clusters), archive)
    read: Callable[[str], bytes] = lambda name: (fixtures / "rest" / name).read_bytes()  # noqa: E731
    adapter = life_cycle.start(decode_job(read("adapter-start_job.json")))
    assert (adapter.subcluster, adapter.monitoring_status, adapter.smt) == ("sc1", 1, 0)
    assert refusal(lambda: life_cycle.start(decode_job(read("adapter-start_job.json"))))[0] == 422
    assert life_cycle.stop(decode_stop(read("adapter-stop_job.json"))).duration == 600
    assert refusal(lambda: life_cycle.stop(decode_stop(read("adapter-stop_job.json"))))[0] == 422
    life_cycle.start(decode_job(read("startJobPayload.json")))
    assert life_cycle.stop(decode_stop(read("stopJobPayload.json"))).duration == 40027
    legacy = life_cycle.start(decode_job(read("legacy-start_job-v1.2.json")))
    assert legacy.shared == "none"
    request = decode_stop(read("legacy-stop_job-by-id.json"), job_id_required=False)
    assert life_cycle.stop_by_id(legacy.id, request).duration == 3600


def test_the_newest_row_is_what_was_sent(life_cycle: JobLifeCycle, database: Database) -> None:
    """Other programs read this row: absent counts are 0, absent objects the JSON text null."""
    life_cycle.start(make_job(1, partition="", num_hwthreads=0))
    with database.read() as connection:
        row = connection.execute(job_table.select()).one()
    assert (row.meta_data, row.footprint, row.energy_footprint) == ("null", "null", "null")
    assert (row.cluster_partition, row.array_job_id, row.num_acc, row.num_hwthreads) == ("", 0, 0, 0)
    assert row.resources == '[{"hostname":"a01"}]'


def test_jobs_can_be_found_by_a_host_that_was_sent(life_cycle: JobLifeCycle, jobs: JobRepository) -> None:
    life_cycle.start(make_job(1, resources=[Resource("a01", [0, 1]), Resource("a02")]))
    assert jobs.count([JobFilter(node=StringInput(eq="a02"))]) == 1
    assert jobs.count([JobFilter(node=StringInput(eq="a03"))]) == 0
