"""Filters, visibility, order and statistics in SQL give what plain Python gives, on random jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, func, select

from ccserver.database import migrate, open_database
from ccserver.database.tables import job as job_table
from ccserver.jobs import statistics as stats
from ccserver.jobs.column_keeper import ColumnKeeper
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

NAMES = ["", "a", "A", "\u00e4", "%", "_", "a_b", "aXb", "it's", '"', "\\"]
AGES = [0, 60, 21600, 21601, 86400, 604800, 604801, 2592000, 2592001]  # seconds before NOW
SECONDS = [0, 1, 299, 300, 301, 3599, 3600, 7200, 43200, 86400, 172799, 172800, 200000]
VALUES = [-1.0, 0.0, 0.5, 1.0, 2.5, 9.99, 10.0, 99.5, 100.0, 123.25]
names = st.sampled_from(NAMES) | st.text("aAb%_", max_size=2)


def random_job(number: int, random: Random) -> Job:
    """Few distinct values of everything, so that bounds are met exactly and texts do match."""
    pick = random.choice
    name = pick(["interactive", "Interactive", "md_run", ""])
    keys = random.sample(["cpu_load_avg", "mem_used_max"], random.randrange(3))
    return make_job(
        pick([1, 10, 11, 101, 999]),
        cluster=pick(["alpha", "beta"]),
        subcluster=pick(["main", "gpu"]),
        user=pick(["alice", "bob", "Al_ce"]),
        project=pick(NAMES),
        partition=pick(["", "batch", "BATCH"]),
        state=pick(["running", "running", *JOB_STATES]),
        shared=pick(["none", "single_user", "multi_user"]),
        start_time=NOW - pick(AGES) - 10_000_000 * (number % 7 == 6),
        duration=pick(SECONDS),
        resources=[
            Resource(host) for host in random.sample(["a01", "a02", "A03", "b_1"], random.randint(1, 3))
        ],
        num_hwthreads=pick([0, 1, 2, 8, 64]),
        num_acc=pick([0, 1, 2, 8]),
        array_job_id=pick([0, 5]),
        energy=pick(VALUES[1:]),
        metadata=pick([None, {"jobName": name}, {"other": name}, {"jobName": name, "other": "x"}]),
        footprint=pick([None, {key: pick(VALUES) for key in keys}]),
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
    IntRange, from_=st.sampled_from([-1, 0, 1, 2, 3, 300, 7200]), to=st.sampled_from([-5, 0, 1, 2, 8, 3600])
) | st.builds(IntRange, exact=st.sampled_from([0, 1, 300]))
float_ranges = st.builds(
    FloatRange,
    from_=st.sampled_from([-1.0, 0.0, 1.0, 2.5]),
    to=st.sampled_from([-1.0, 0.0, 9.99, 10.0, 50.0]),
) | st.builds(FloatRange, exact=st.sampled_from([0.0, 0.5, 100.0]))
moments = st.none() | st.sampled_from(AGES).map(lambda age: NOW - age + 0.75)
time_ranges = st.builds(
    TimeRange,
    from_=moments,
    to=moments,
    range=st.none() | st.sampled_from(["last6h", "last24h", "last7d", "last30d", ""]),
)
members = {
    "tags": st.lists(st.integers(1, 4), max_size=3),
    "tags_not": st.lists(st.integers(1, 4), max_size=3),
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
) | st.builds(JobFilter, tags=members["tags"], every_tag=st.just(True))
filter_lists = st.lists(one_member, min_size=1, max_size=2) | st.sampled_from([[], [JobFilter()]])


class Sample:
    """Jobs in a database, and the same jobs in memory."""

    def __init__(self, repository: JobRepository, tags: TagRepository, seed: int) -> None:
        self.repository = repository
        random = Random(seed)
        known = [tags.create(Tag("t", str(number)), None) for number in (1, 2, 3)]
        records = [random_job(number, random) for number in range(80)]
        self.jobs: list[Job] = []
        self.tags: dict[int, set[int]] = {}
        for record, outcome in zip(records, repository.insert_all(records), strict=True):
            if not isinstance(outcome, int):
                continue  # the same number, cluster and start twice
            record.id = outcome
            chosen = random.sample(known, random.randrange(3))
            tags.attach(record, chosen, None)
            self.jobs.append(record)
            self.tags[record.id] = {tag.id for tag in chosen}
        if repository.columns is not None:
            repository.database.follow(repository.columns)
            assert repository.columns.fill()

    def matching(self, filters: list[JobFilter]) -> list[Job]:
        return [
            job
            for job in self.jobs
            if all(naive.matches(job, self.tags[job.id], one, NOW, job.duration) for one in filters)
        ]


@pytest.fixture(scope="module", params=[(0, "sql"), (1, "sql"), (2, "sql"), (0, "columns"), (1, "columns")])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """Statistics computed by SQL, and from columns in memory."""
    seed, way = request.param
    path: Path = tmp_path_factory.mktemp("jobs") / "job.db"
    migrate(path)
    database = open_database(path)
    columns = ColumnKeeper(database) if way == "columns" else None
    yield Sample(JobRepository(database, clock=lambda: NOW, columns=columns), TagRepository(database), seed)
    if columns is not None:
        columns.stop()
    database.close()


def examples(number: int) -> settings:
    return settings(
        max_examples=number, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


def effective(job: Job) -> int:
    return NOW - job.start_time if job.state == "running" else job.duration


@pytest.mark.parametrize("member", sorted(members))
def test_a_filter_selects_what_plain_python_selects(sample: Sample, member: str) -> None:
    @examples(40)
    @given(value=members[member])
    def check(value: Any) -> None:
        chosen = [JobFilter(**{member: value})]
        found = sample.repository.list(chosen, None, None, 1, -1)
        assert [job.id for job in found] == [job.id for job in sample.matching(chosen)]

    check()


@examples(60)
@given(filters=filter_lists)
def test_filters_together_must_all_hold(sample: Sample, filters: list[JobFilter]) -> None:
    expected = [job.id for job in sample.matching(filters)]
    assert [job.id for job in sample.repository.list(filters, None, None, 1, -1)] == expected
    assert sample.repository.count(filters, None) == len(expected)


@examples(60)
@given(
    filters=filter_lists, number=st.integers(1, 4), size=st.integers(1, 30), asks=st.sampled_from((0, 1, 2))
)
def test_pages_by_falling_start_time(
    sample: Sample, filters: list[JobFilter], number: int, size: int, asks: int
) -> None:
    first, second = sample.jobs[:2]
    own, projects = {first.user}, {second.project}
    who = (
        None,
        Principal(first.user, frozenset({"user"})),
        Principal(first.user, frozenset({"manager"}), (second.project,)),
    )[asks]
    wanted = [
        job
        for job in sample.matching(filters)
        if asks == 0 or job.user in own or (asks == 2 and job.project in projects)
    ]
    wanted.sort(key=lambda job: (job.start_time, job.id), reverse=True)
    expected = [job.id for job in wanted][(number - 1) * size : number * size]
    parts = sample.repository.newest_first(filters, who, number, size, batch=5)
    assert [job.id for part in parts for job in part] == expected
    page = sample.repository.page(filters, who, Order("startTime", order="DESC"), number, size)
    assert [job.id for job in page.items] == expected
    assert page.has_next_page == (len(wanted) > number * size)


@pytest.mark.parametrize("group", [None, "USER", "PROJECT", "CLUSTER", "SUBCLUSTER"])
def test_totals_are_what_plain_python_sums_up(sample: Sample, group: str | None) -> None:
    key = {"USER": "user", "PROJECT": "project", "CLUSTER": "cluster", "SUBCLUSTER": "subcluster"}.get(
        group or ""
    )

    @examples(25)
    @given(filters=filter_lists)
    def check(filters: list[JobFilter]) -> None:
        groups: dict[str, list[Job]] = {} if key else {"": []}
        for job in sample.matching(filters):
            groups.setdefault(getattr(job, key) if key else "", []).append(job)
        expected = {
            name: naive.totals(members, effective, lambda job: job.duration)
            for name, members in groups.items()
        }
        found = sample.repository.statistics(filters, None, group_by=group)
        assert {one.id: {name: getattr(one, name) for name in stats.TOTALS} for one in found} == expected

    check()


@pytest.mark.parametrize(
    ("bins", "width", "number"),
    [("1m", 60, 60), ("10m", 600, 72), ("1h", 3600, 48), ("6h", 21600, 12), ("12h", 43200, 14),
     ("24h", 3600, 24), ("", 3600, 24)],
)  # fmt: skip
def test_duration_histograms(sample: Sample, bins: str, width: int, number: int) -> None:
    points = sample.repository.duration_histogram(None, None, bins)
    expected = naive.duration_bins(map(effective, sample.jobs), width, number)
    assert [(point.value, point.count) for point in points] == expected


@examples(60)
@given(
    key=st.sampled_from(["cpu_load_avg", "mem_used_max", "absent_avg"]),
    peak=st.sampled_from([0.0, 1.0, 10.0, 99.5, 100.0]),
    bins=st.integers(1, 12),
    filters=filter_lists,
)
def test_footprint_histograms(
    sample: Sample, key: str, peak: float, bins: int, filters: list[JobFilter]
) -> None:
    found = sample.repository.footprint_histogram(filters, None, key, peak, bins)
    expected = naive.footprint_bins(sample.matching(filters), key, peak, bins) if peak else [0] * (bins + 1)
    assert found == expected


@pytest.mark.parametrize("most", [1, 3, 7, 79, 80, 500])
def test_a_sample_is_spread_evenly(sample: Sample, most: int) -> None:
    everything = [job.id for job in sorted(sample.jobs, key=lambda job: (job.start_time, job.id))]
    found = [job.id for job in sample.repository.sample([], None, most)]
    assert len(found) == min(most, len(everything))
    places = [everything.index(id) for id in found]
    steps = {after - before for before, after in pairwise(places)}
    assert places[0] == 0
    assert not steps or max(steps) - min(steps) <= 1


@pytest.mark.parametrize("column", ["num_nodes", "num_hwthreads", "num_acc"])
def test_histograms_of_counts(sample: Sample, column: str) -> None:
    points = sample.repository.value_histogram(None, None, column)
    counted = Counter(getattr(job, column) for job in sample.jobs)
    assert [(point.value, point.count) for point in points] == sorted(counted.items())


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(
    ("field", "attribute"),
    [("startTime", "start_time"), ("duration", "duration"), ("numNodes", "num_nodes"), ("id", "id"),
     ("numHwthreads", "num_hwthreads"), ("energy", "energy"), ("hpcUser", "user"), ("project", "project")],
)  # fmt: skip
def test_pages_follow_each_other_without_overlap(
    sample: Sample, field: str, attribute: str, direction: str
) -> None:
    def stored(job: Job) -> Any:
        return getattr(job, attribute)

    expected = [
        job.id for job in sorted(sample.jobs, key=naive.sort_key(stored), reverse=direction == "DESC")
    ]
    for size in (7, len(expected) // 2, len(expected)):
        seen: list[int] = []
        for page in range(1, len(expected) // size + 2):
            found = sample.repository.page(None, None, Order(field, "col", direction), page, size)
            seen += [job.id for job in found.items]
            assert found.has_next_page == (page * size < len(expected))
        assert seen == expected


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
