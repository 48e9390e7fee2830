"""Filters, visibility, order and statistics in SQL give what plain Python gives, on random jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, func, select

from ccserver.database import migrate, open_database
from ccserver.database.tables import job as job_table
from ccserver.jobs.filters import (
    FloatRange,
    IntRange,
    InvalidOrder,
    InvisibleJobs,
    JobFilter,
    MetricStatItem,
    Order,
    StringInput,
    TimeRange,
    matching,
    ordering,
    visibility,
)
from ccserver.jobs.repository import InvalidPage, JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.model.job import JOB_STATES, Job, Resource, Tag
from ccserver.model.user import Principal
from tests.jobs import naive
from tests.jobs.records import NOW, make_job, stored

names = st.text("aAbÄ%_1'\"\\", max_size=4)
counts = st.sampled_from([0, 1, 2, 3, 7, 8, 64])
seconds = st.sampled_from([0, 1, 299, 300, 3599, 3600, 7200, 86400, 200000])
values = st.sampled_from([0.0, 0.5, 1.0, 2.5, 9.99, 10.0, 99.5, 100.0, 123.25])


@st.composite
def job_records(draw: st.DrawFn) -> Job:
    state = draw(st.sampled_from(["running", *JOB_STATES]))
    hosts = draw(st.lists(st.sampled_from(["a01", "a02", "A03", "b_1"]), min_size=1, max_size=3, unique=True))
    name = draw(st.none() | st.sampled_from(["interactive", "Interactive", "md_run", ""]))
    return make_job(
        draw(st.sampled_from([1, 10, 11, 101, 999])),
        cluster=draw(st.sampled_from(["alpha", "beta"])),
        subcluster=draw(st.sampled_from(["main", "gpu"])),
        user=draw(st.sampled_from(["alice", "bob", "Al_ce"])),
        project=draw(names),
        partition=draw(st.sampled_from(["", "batch", "BATCH"])),
        state=state,
        shared=draw(st.sampled_from(["none", "single_user", "multi_user"])),
        start_time=NOW - draw(st.integers(0, 3_000_000)),
        duration=draw(seconds),
        resources=[Resource(host) for host in hosts],
        num_hwthreads=draw(counts),
        num_acc=draw(counts),
        array_job_id=draw(st.sampled_from([0, 5])),
        energy=draw(values),
        metadata=None if name is None else draw(st.sampled_from([{"jobName": name}, {"x": name}])),
        footprint=draw(
            st.none() | st.dictionaries(st.sampled_from(["cpu_load_avg", "mem_used_max"]), values)
        ),
    )


string_inputs = st.builds(
    StringInput,
    eq=st.none() | names | st.sampled_from(["alice", "alpha", "10", "010", "a01", "batch", ""]),
    neq=st.none() | names | st.sampled_from(["alice", "10", "a01"]),
    contains=st.none() | names,
    starts_with=st.none() | names | st.sampled_from(["a0", "1"]),
    ends_with=st.none() | names,
    in_=st.none() | st.lists(names | st.sampled_from(["bob", "11", "a02", "interactive"]), max_size=3),
)
sparse_strings = st.one_of(
    st.builds(StringInput, eq=st.sampled_from(["alice", "alpha", "10", "010", "a01", "batch", ""]) | names),
    st.builds(StringInput, neq=st.sampled_from(["alice", "alpha", "10", "a01", "batch"])),
    st.builds(StringInput, contains=names),
    st.builds(StringInput, starts_with=names | st.sampled_from(["a0", "1", "B"])),
    st.builds(StringInput, ends_with=names | st.sampled_from(["1", "ch"])),
    st.builds(StringInput, in_=st.lists(st.sampled_from(["bob", "11", "a02", "md_run"]), max_size=3)),
    string_inputs,
)
int_ranges = st.builds(
    IntRange, from_=st.sampled_from([-1, 0, 1, 2, 300]), to=st.sampled_from([-5, 0, 1, 8, 4000])
)
float_ranges = st.builds(
    FloatRange, from_=st.sampled_from([-1.0, 0.0, 1.0]), to=st.sampled_from([0.0, 9.99, 50.0])
)
moments = st.none() | st.integers(NOW - 3_000_000, NOW).map(lambda t: t + 0.75)
time_ranges = st.builds(
    TimeRange,
    from_=moments,
    to=moments,
    range=st.none() | st.sampled_from(["last6h", "last24h", "last7d", "last30d", ""]),
)
members = {
    "tags": st.lists(st.integers(1, 4), max_size=3),
    "db_id": st.lists(st.integers(1, 10).map(str) | st.just("x"), max_size=5),
    "job_id": sparse_strings,
    "array_job_id": st.sampled_from([0, 5, 6]),
    **{
        name: sparse_strings
        for name in ("user", "project", "job_name", "cluster", "sub_cluster", "partition", "node")
    },
    **{name: int_ranges for name in ("duration", "num_nodes", "num_accelerators", "num_hw_threads")},
    "energy": float_ranges,
    "start_time": time_ranges,
    "state": st.lists(st.sampled_from(["running", "completed", "failed", "nonsense"]), max_size=3),
    "metric_stats": st.lists(
        st.builds(
            MetricStatItem,
            st.sampled_from(["cpu_load_avg", "mem_used_max", "absent_avg", "bad name"]),
            float_ranges,
        ),
        max_size=2,
    ),
    "shared": st.sampled_from(["none", "multi_user", "nobody"]),
    "schedule": st.sampled_from(["interactive", "batch", "other"]),
}
one_member = st.sampled_from(sorted(members)).flatmap(
    lambda name: members[name].map(lambda value: JobFilter(**{name: value}))
)
filter_lists = st.lists(one_member, max_size=2) | st.just([JobFilter()])


class Sample:
    """One database that every example fills anew, and the same jobs in memory."""

    def __init__(self, repository: JobRepository, tags: TagRepository) -> None:
        self.repository = repository
        self.tag_repository = tags

    def fill(self, records: list[Job], tagged: list[set[int]]) -> None:
        self.repository.clear()
        tags = [self.tag_repository.create(Tag("t", str(number)), None) for number in (1, 2, 3)]
        outcomes = self.repository.insert_all(records)
        self.jobs: list[Job] = []
        self.tags: dict[int, set[int]] = {}
        for record, numbers, outcome in zip(records, tagged, outcomes, strict=True):
            if not isinstance(outcome, int):
                continue  # the same number, cluster and start twice
            record.id = outcome
            chosen = [tag for tag in tags if tag.id in numbers]
            self.tag_repository.attach(record, chosen, None)
            self.jobs.append(record)
            self.tags[record.id] = {tag.id for tag in chosen}

    def matching(self, filters: list[JobFilter]) -> list[Job]:
        return [
            job
            for job in self.jobs
            if all(naive.matches(job, self.tags[job.id], one, NOW, job.duration) for one in filters)
        ]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    path: Path = tmp_path_factory.mktemp("jobs") / "job.db"
    migrate(path)
    database = open_database(path)
    yield Sample(JobRepository(database, clock=lambda: NOW), TagRepository(database))
    database.close()


fillings = st.lists(st.tuples(job_records(), st.sets(st.integers(1, 3), max_size=2)), max_size=9)
many = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def effective(job: Job) -> int:
    return NOW - job.start_time if job.state == "running" else job.duration


@many
@given(filling=fillings, filters=st.lists(filter_lists, min_size=1, max_size=12))
def test_filters_select_what_plain_python_selects(
    sample: Sample, filling: list[tuple[Job, set[int]]], filters: list[list[JobFilter]]
) -> None:
    sample.fill([job for job, _ in filling], [tags for _, tags in filling])
    for chosen in filters:
        expected = [job.id for job in sample.matching(chosen)]
        found = sample.repository.list(chosen, None, None, 1, -1)
        assert [job.id for job in found] == expected, chosen
        assert sample.repository.count(chosen, None) == len(expected)


@many
@given(
    filling=fillings,
    filters=filter_lists,
    group=st.sampled_from([None, "USER", "PROJECT", "CLUSTER", "SUBCLUSTER"]),
)
def test_totals_are_what_plain_python_sums_up(
    sample: Sample, filling: list[tuple[Job, set[int]]], filters: list[JobFilter], group: str | None
) -> None:
    sample.fill([job for job, _ in filling], [tags for _, tags in filling])
    chosen = sample.matching(filters)
    key = {"USER": "user", "PROJECT": "project", "CLUSTER": "cluster", "SUBCLUSTER": "subcluster"}.get(
        group or ""
    )
    groups = {""} if key is None else {getattr(job, key) for job in chosen}
    expected = {
        name: naive.totals(
            (job for job in chosen if key is None or getattr(job, key) == name),
            effective,
            lambda job: job.duration,
        )
        for name in groups
    }
    found = sample.repository.statistics(filters, None, group_by=group)
    assert {one.id: {name: getattr(one, name) for name in expected[one.id]} for one in found} == expected


@many
@given(
    filling=fillings,
    width=st.sampled_from(
        [
            ("1m", 60, 60),
            ("10m", 600, 72),
            ("1h", 3600, 48),
            ("6h", 21600, 12),
            ("12h", 43200, 14),
            ("24h", 3600, 24),
        ]
    ),
    bins=st.integers(1, 12),
    peak=st.sampled_from([1.0, 10.0, 99.5, 100.0]),
)
def test_histograms_count_what_plain_python_counts(
    sample: Sample, filling: list[tuple[Job, set[int]]], width: tuple[str, int, int], bins: int, peak: float
) -> None:
    sample.fill([job for job, _ in filling], [tags for _, tags in filling])
    name, step, number = width
    durations = sample.repository.duration_histogram(None, None, name)
    assert [(point.value, point.count) for point in durations] == naive.duration_bins(
        map(effective, sample.jobs), step, number
    )
    assert sample.repository.footprint_histogram(
        None, None, "cpu_load_avg", peak, bins
    ) == naive.footprint_bins(sample.jobs, "cpu_load_avg", peak, bins)
    nodes = sample.repository.value_histogram(None, None, "num_nodes")
    assert {point.value: point.count for point in nodes} == {
        n: sum(job.num_nodes == n for job in sample.jobs) for n in {job.num_nodes for job in sample.jobs}
    }


@many
@given(
    filling=fillings,
    field=st.sampled_from(["startTime", "duration", "numNodes", "numHwthreads", "energy", "hpcUser", "id"]),
    direction=st.sampled_from(["ASC", "DESC"]),
    size=st.integers(1, 5),
)
def test_pages_follow_each_other_without_overlap(
    sample: Sample, filling: list[tuple[Job, set[int]]], field: str, direction: str, size: int
) -> None:
    sample.fill([job for job, _ in filling], [tags for _, tags in filling])
    attribute = {
        "startTime": "start_time", "numNodes": "num_nodes", "numHwthreads": "num_hwthreads", "hpcUser": "user"
    }.get(field, field)  # fmt: skip
    expected = sorted(
        sample.jobs, key=naive.sort_key(lambda job: getattr(job, attribute)), reverse=direction == "DESC"
    )
    seen: list[int] = []
    for page in range(1, len(expected) // size + 2):
        found = sample.repository.page(None, None, Order(field, "col", direction), page, size)
        seen += [job.id for job in found.items]
        assert found.has_next_page == (page * size < len(expected))
    assert seen == [job.id for job in expected]


def test_an_unknown_footprint_sorts_as_smallest(jobs: JobRepository) -> None:
    low, none, high = stored(
        jobs,
        make_job(1, footprint={"flops_any_avg": 1.5}),
        make_job(2),
        make_job(3, footprint={"flops_any_avg": 20.0}),
    )
    assert [job.id for job in jobs.list(order=Order("flopsAnyAvg", "foot", "ASC"))] == [none, low, high]
    assert [job.id for job in jobs.list(order=Order("flops_any_avg", "foot", "DESC"))] == [high, low, none]
    assert len(jobs.list(order=Order("no_such_key", "foot", "DESC"))) == 3


@pytest.mark.parametrize(
    "order",
    [
        Order("numHWThreads"), Order("meta_data"), Order("resources"), Order("nothing"), Order("start time"),
        Order("a'b", "foot"), Order("a;b", "foot"), Order("a-b", "foot"), Order('a"b', "foot"),
        Order("", "col"), Order("startTime", "col", "SIDEWAYS"),
    ],
)  # fmt: skip
def test_other_sort_fields_are_refused(order: Order) -> None:
    with pytest.raises(InvalidOrder):
        ordering(order)


def test_page_sizes(jobs: JobRepository) -> None:
    stored(jobs, *(make_job(number) for number in range(1, 4)))
    assert len(jobs.list(items_per_page=-1)) == 3
    assert not jobs.page(items_per_page=-1).has_next_page
    assert [job.job_id for job in jobs.list(page=-3, items_per_page=2)] == [1, 2]
    assert jobs.list(page=9, items_per_page=2) == []
    assert jobs.list(page=1 << 40, items_per_page=1 << 62) == []
    assert len(jobs.list(items_per_page=1 << 80)) == 3
    for size in (0, -2):
        with pytest.raises(InvalidPage, match=f"invalid items-per-page value: {size}"):
            jobs.list(items_per_page=size)


def viewer(*roles: str, projects: tuple[str, ...] = ()) -> Principal:
    return Principal("alice", frozenset(roles), projects)


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        (None, {1, 2, 3, 4}),
        (viewer("api"), {1, 2, 3, 4}),
        (viewer("admin"), {1, 2, 3, 4}),
        (viewer("support", "user"), {1, 2, 3, 4}),
        (viewer("user"), {1, 2}),
        (viewer("user", "api"), {1, 2}),
        (viewer("manager"), {1, 2}),
        (viewer("manager", projects=("chemistry",)), {1, 2, 3}),
        (viewer("manager", "user", projects=("chemistry", "none")), {1, 2, 3}),
        (viewer("user", projects=("chemistry",)), {1, 2}),
    ],
)
def test_who_sees_which_jobs(jobs: JobRepository, who: Principal | None, seen: set[int]) -> None:
    ids = stored(
        jobs,
        make_job(1, user="alice", project="physics"),
        make_job(2, user="alice", project="chemistry"),
        make_job(3, user="bob", project="chemistry"),
        make_job(4, user="carol", project="biology"),
    )
    assert {job.job_id for job in jobs.list(viewer=who)} == seen
    assert {number for number, id in enumerate(ids, 1) if jobs.find(id, who)} == seen
    assert {number for number in range(1, 5) if jobs.find_by(number, viewer=who)} == seen
    assert jobs.count(viewer=who) == jobs.statistics(viewer=who)[0].total_jobs == len(seen)


@pytest.mark.parametrize("roles", [(), ("anonymous",), ("api", "wizard"), ("anonymous", "api")])
def test_without_a_known_role_there_is_nothing_to_see(roles: tuple[str, ...]) -> None:
    with pytest.raises(InvisibleJobs, match="user has no or unknown roles"):
        visibility(viewer(*roles))


@pytest.mark.parametrize(
    ("group", "index"),
    [
        (job_table.c.hpc_user, "jobs_running_user_stats"),
        (job_table.c.project, "jobs_running_project_stats"),
        (job_table.c.subcluster, "jobs_running_subcluster_stats"),
    ],
)
def test_the_index_of_running_jobs_can_answer(
    jobs: JobRepository, group: ColumnElement[str], index: str
) -> None:
    """With the state as a bound parameter SQLite finds no way to use the partial index and refuses."""
    chosen = matching([JobFilter(cluster=StringInput(eq="alpha"), state=["running"])], None, NOW)
    query = select(group, func.sum(job_table.c.num_nodes)).where(chosen).group_by(group)
    with jobs.database.read() as connection:
        statement = query.compile(connection.engine)
        text = str(statement).replace("FROM job", f"FROM job INDEXED BY {index}")
        values = tuple(statement.params.values())
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
    assert f"USING INDEX {index} " in plan[0][-1].replace("COVERING ", "")


def test_hostile_text_is_data(jobs: JobRepository) -> None:
    stored(jobs, make_job(1))
    evil = "x' OR '1'='1"
    for one in (
        JobFilter(shared=evil),
        JobFilter(state=[evil]),
        JobFilter(user=StringInput(eq=evil)),
        JobFilter(node=StringInput(eq=evil)),
        JobFilter(db_id=[evil]),
        JobFilter(metric_stats=[MetricStatItem(evil, FloatRange(0, 0))]),
        JobFilter(job_id=StringInput(eq=evil)),
    ):
        assert jobs.list([one]) == []
