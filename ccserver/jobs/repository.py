"""Jobs in the database: look-ups, lists, and the changes of a job's life. Contract: spec/rest-api.md 3, 5.

`viewer` is who asks: rows outside what the principal may see behave as if they were missing; None is the
server itself and sees everything. Every method blocks; all are safe to call from any thread.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Select,
    and_,
    bindparam,
    delete,
    distinct,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    union,
    union_all,
    update,
)

from ccserver.database import Database, Prepared
from ccserver.database.tables import job, job_cache, jobtag, tag
from ccserver.jobs import column_queries
from ccserver.jobs import statistics as stats
from ccserver.jobs.column_keeper import ColumnKeeper
from ccserver.jobs.column_queries import NotInColumns, Selection
from ccserver.jobs.filters import (
    Condition,
    JobFilter,
    Order,
    StringInput,
    has_host,
    in_state,
    job_name,
    matching,
    ordering,
    visibility,
)
from ccserver.jobs.rows import (
    JOB_COLUMNS,
    ROW_COLUMNS,
    JobRow,
    chunks,
    job_of_row,
    json_text,
    metadata_of,
    row_of_job,
    tag_of_row,
)
from ccserver.jobs.scopes import readable
from ccserver.model.job import MONITORING_FAILED, MONITORING_RUNNING, Job, Tag
from ccserver.model.user import Principal

ALL_ITEMS = -1
START_GAP = 86400  # seconds after which the scheduler may use a job number again

_MOST_ROWS = (1 << 63) - 1  # what a LIMIT or OFFSET can say
_NEWEST = Order("startTime", order="DESC")
_CONCURRENT_MARGIN = 200  # seconds two jobs must overlap to count as concurrent
_MOST_FEW = 50_000  # jobs that are looked at one by one rather than searching for them in order
_FEW_AT_ONCE = 500
_MOST_TERMS = 100  # of a UNION; SQLite takes 500
_CONCURRENT_MINIMUM = 600  # shorter jobs are not compared


Found = TypeVar("Found")


class _Totals(TypedDict):
    """What `totals` of `statistics` and `column_queries` take by name."""

    now: int
    short_running: int
    group_by: str | None
    sort_by: str | None
    offset: int
    limit: int | None
    wanted: Collection[str]


_DUPLICATE = Prepared(
    select(job.c.id)
    .where(
        job.c.job_id == bindparam("number"),
        job.c.cluster == bindparam("cluster_name"),
        job.c.start_time >= bindparam("earliest"),
    )
    .order_by(job.c.id.desc())
    .limit(literal_column("1"))
)
_INSERT = Prepared(insert(job).values({name: bindparam(name) for name in ROW_COLUMNS}))
_CACHED = Prepared(select(job_cache.c.id).limit(literal_column("1")))
_STOP = Prepared(
    update(job)
    .where(job.c.id == bindparam("stopped"), job.c.job_state == "running")
    .values(job_state=bindparam("state"), duration=bindparam("seconds"))
)


class InvalidPage(ValueError):
    """The requested page size is neither positive nor -1."""


class DuplicateJob(Exception):
    """A stored job with that number, cluster and a start less than a day before the new one's."""

    def __init__(self, stored_id: int, job_id: int) -> None:
        super().__init__(
            f"a job with that jobId, cluster and startTime already exists: dbid: {stored_id}, jobid: {job_id}"
        )
        self.stored_id = stored_id


@dataclass(frozen=True, slots=True)
class JobPage:
    items: list[Job]
    has_next_page: bool


@dataclass(frozen=True, slots=True)
class _Few:
    newest_first: NDArray[np.int64]
    """Ids."""
    complete: bool
    """Whether all of them matched, as of the last commit."""


@dataclass(frozen=True, slots=True)
class JobLink:
    id: int
    job_id: int


def older(start_time: int, omit_tagged: str = "none") -> ColumnElement[bool]:
    """Condition on jobs started before a time (unix seconds).

    `omit_tagged`: "all" spares every tagged job, "user" those with a tag that no automatic tagger set.
    """
    condition = job.c.start_time < start_time
    if omit_tagged == "none":
        return condition
    protected = select(jobtag.c.job_id)
    if omit_tagged == "user":
        protected = protected.join(tag, tag.c.id == jobtag.c.tag_id).where(
            tag.c.tag_type.not_in(("app", "jobClass"))
        )
    return and_(condition, job.c.id.not_in(protected))


class JobRepository:
    """Table `job`, and `job_cache` where another program left started jobs in it.

    `clock` gives unix seconds; `short_running` is the number of seconds below which a job counts as short.
    Statistics come from `columns` where there are any and they hold, else from SQL.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        short_running: int = 300,
        columns: ColumnKeeper | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.short_running = short_running
        self.columns = columns

    # ---- single jobs

    def find(self, id: int, viewer: Principal | None = None, *, with_metadata: bool = False) -> Job | None:
        """The job with that database id, or None when there is none or the viewer may not see it."""
        return self._one(select(*JOB_COLUMNS).where(job.c.id == id, visibility(viewer)), with_metadata)

    def find_by(
        self,
        job_id: int,
        cluster: str | None = None,
        start_time: int | None = None,
        viewer: Principal | None = None,
        *,
        with_metadata: bool = False,
    ) -> Job | None:
        """The newest job with that scheduler number, narrowed by cluster and start time where given."""
        query = select(*JOB_COLUMNS).where(_named(job_id, cluster, start_time), visibility(viewer))
        return self._one(query.order_by(job.c.id.desc()).limit(1), with_metadata)

    def _one(self, query: Any, with_metadata: bool) -> Job | None:
        with self.database.read() as connection:
            row = connection.execute(query).first()
            if row is None:
                return None
            found = job_of_row(row, self.clock())
            if with_metadata:
                found.metadata = _metadata(connection, [found.id])[found.id]
        return found

    # ---- lists

    def list(
        self,
        filters: Iterable[JobFilter] | None = None,
        viewer: Principal | None = None,
        order: Order | None = None,
        page: int = 1,
        items_per_page: int = 50,
        *,
        with_metadata: bool = False,
    ) -> list[Job]:
        return self.page(filters, viewer, order, page, items_per_page, with_metadata=with_metadata).items

    def page(
        self,
        filters: Iterable[JobFilter] | None = None,
        viewer: Principal | None = None,
        order: Order | None = None,
        page: int = 1,
        items_per_page: int = 50,
        *,
        with_metadata: bool = False,
    ) -> JobPage:
        """One page of matching jobs and whether another follows.

        Pages count from 1 (smaller numbers mean 1); `items_per_page` -1 means everything. Raises InvalidPage,
        InvalidOrder, InvisibleJobs.
        """
        if items_per_page < 1 and items_per_page != ALL_ITEMS:
            raise InvalidPage(f"invalid items-per-page value: {items_per_page}")
        filters = list(filters or ())
        if order == _NEWEST and items_per_page != ALL_ITEMS:
            offset, limit = _offset(page, items_per_page), min(items_per_page, _MOST_ROWS - 1) + 1
            few = self._few(filters, viewer, offset + limit)
            if few is not None:
                asked = few, offset, limit
                items = [one for part in self._of_few(filters, viewer, *asked, with_metadata) for one in part]
                return JobPage(items[:items_per_page], len(items) > items_per_page)
        most = None if items_per_page == ALL_ITEMS else min(items_per_page + 1, _MOST_ROWS)
        skipped = 0 if most is None else _offset(page, items_per_page)
        query = _ordered(matching(filters, viewer, self.clock()), ordering(order), skipped, most)
        now = self.clock()
        with self.database.read() as connection:
            items = [job_of_row(row, now) for row in connection.execute(query)]
            more = items_per_page != ALL_ITEMS and len(items) > items_per_page
            items = items[:items_per_page] if more else items
            if with_metadata:
                loaded = _metadata(connection, [one.id for one in items])
                for one in items:
                    one.metadata = loaded[one.id]
        return JobPage(items, more)

    def newest_first(
        self,
        filters: Iterable[JobFilter] | None = None,
        viewer: Principal | None = None,
        page: int = 1,
        items_per_page: int = 50,
        *,
        with_metadata: bool = False,
        batch: int = 500,
    ) -> Iterator[Sequence[Job]]:
        """One page by falling start time, in batches: pages have no upper bound, memory has.

        Holds no transaction between batches; each begins where the last one ended, not at an offset. Raises
        InvisibleJobs with the first batch.
        """
        filters = list(filters or ())
        wanted = matching(filters, viewer, self.clock())
        left, offset = min(items_per_page, _MOST_ROWS), _offset(page, items_per_page)
        if (few := self._few(filters, viewer, offset + left)) is not None:
            yield from self._of_few(filters, viewer, few, offset, left, with_metadata)
            return
        beyond: Condition = true()
        while left > 0:
            size = min(batch, left)
            query = _ordered(and_(wanted, beyond), ordering(_NEWEST), offset, size)
            now = self.clock()
            with self.database.read() as connection:
                rows = connection.execute(query).all()
                items = [job_of_row(row, now) for row in rows]
                if with_metadata:
                    loaded = _metadata(connection, [one.id for one in items])
                    for one in items:
                        one.metadata = loaded[one.id]
            if items:
                yield items
            if len(items) < size:
                return
            left, offset, last = left - size, 0, items[-1]
            beyond = and_(
                job.c.start_time <= last.start_time,
                or_(job.c.start_time < last.start_time, job.c.id < last.id),
            )

    def _few(self, filters: Sequence[JobFilter], viewer: Principal | None, first: int) -> _Few | None:
        """Jobs that may match, where they are few and no index leads to them; else None.

        Of jobs that do match, the `first` ones are enough.
        """
        if self.columns is None or (all(map(_indexed, filters)) and not _sees_projects(viewer)):
            return None
        with self.columns.current() as table:
            if table is None:
                return None
            try:
                selection = Selection(table, filters, viewer, self.clock(), partly=True)
            except NotInColumns:
                return None
            ids = column_queries.newest_first(selection, _MOST_FEW, first)
        return None if ids is None else _Few(ids, selection.complete)

    def _of_few(
        self,
        filters: Sequence[JobFilter],
        viewer: Principal | None,
        few: _Few,
        offset: int,
        limit: int,
        with_metadata: bool,
    ) -> Iterator[Sequence[Job]]:
        """Those that do match, in batches, by falling start time."""
        wanted = matching(filters, viewer, self.clock())
        ids = few.newest_first
        if few.complete:
            ids, offset = ids[offset : offset + limit], 0
        size = _FEW_AT_ONCE if few.complete else 8 * _FEW_AT_ONCE
        for start in range(0, len(ids), size):
            part = func.json_each(json_text(ids[start : start + size].tolist())).table_valued("value")
            query = (
                select(*JOB_COLUMNS)
                .where(job.c.id.in_(select(part.c.value)), wanted)
                .order_by(*ordering(_NEWEST))
            )
            now = self.clock()
            with self.database.read() as connection:
                rows = connection.execute(query).all()
                skipped = min(offset, len(rows))
                items = [job_of_row(row, now) for row in rows[skipped : skipped + limit]]
                if with_metadata:
                    loaded = _metadata(connection, [one.id for one in items])
                    for one in items:
                        one.metadata = loaded[one.id]
            offset, limit = offset - skipped, limit - len(items)
            if items:
                yield items
            if limit <= 0:
                return

    def count(self, filters: Iterable[JobFilter] | None = None, viewer: Principal | None = None) -> int:
        filters = list(filters or ())
        answer = self._from_columns(filters, viewer, lambda selection: selection.count)
        if answer is not None:
            return answer
        query = select(func.count()).select_from(job).where(matching(filters, viewer, self.clock()))
        with self.database.read() as connection:
            return connection.execute(query).scalar_one()

    def sample(self, filters: Iterable[JobFilter], viewer: Principal | None, most: int) -> Sequence[Job]:
        """The matching jobs by start time, or `most` of them at even distances where there are more."""
        place = func.row_number().over(order_by=(job.c.start_time, job.c.id)) - 1
        wanted = matching(filters, viewer, self.clock())
        numbered = select(job.c.id, place.label("place"), func.count().over().label("total")).where(wanted)
        one = numbered.subquery()
        # of `total` multiples of `most`, just `most` lie less than `most` above a multiple of `total`
        chosen = select(one.c.id).where(one.c.place * most % one.c.total < most)
        query = _ordered(job.c.id.in_(chosen), [job.c.start_time, job.c.id], 0, None)
        now = self.clock()
        with self.database.read() as connection:
            return [job_of_row(row, now) for row in connection.execute(query)]

    def iterate(
        self,
        filters: Iterable[JobFilter] | None = None,
        viewer: Principal | None = None,
        *,
        batch: int = 500,
        condition: Condition | None = None,
        after: int = -1,
        last: int | None = None,
    ) -> Iterator[Job]:
        """All matching jobs by rising id, in bounded memory; holds no transaction between batches.

        Only ids above `after` and, where given, up to `last`.
        """
        wanted = matching(filters, viewer, self.clock())
        if condition is not None:
            wanted = and_(wanted, condition)
        if last is not None:
            wanted = and_(wanted, job.c.id <= last)
        while True:
            query = select(*JOB_COLUMNS).where(wanted, job.c.id > after).order_by(job.c.id).limit(batch)
            with self.database.read() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield job_of_row(row, self.clock())
            if len(rows) < batch:
                return
            after = rows[-1].id

    def extent(
        self,
        filters: Iterable[JobFilter] | None,
        viewer: Principal | None,
        *,
        after: int = -1,
        limit: int | None = None,
    ) -> tuple[int, int | None]:
        """How many jobs match with ids above `after`, at most `limit`, and the largest id among them."""
        wanted = and_(matching(filters, viewer, self.clock()), job.c.id > after)
        found = select(job.c.id).where(wanted).order_by(job.c.id).limit(limit).subquery()
        with self.database.read() as connection:
            count, last = connection.execute(select(func.count(), func.max(found.c.id))).one()
        return count, last

    def running(self, cluster: str | None = None) -> Sequence[Job]:
        """Running jobs by id, of one cluster or all."""
        condition = in_state("running")
        if cluster is not None:
            condition = and_(condition, job.c.cluster == cluster)
        query = select(*JOB_COLUMNS).where(condition).order_by(job.c.id)
        now = self.clock()
        with self.database.read() as connection:
            return [job_of_row(row, now) for row in connection.execute(query)]

    # ---- what belongs to a list of jobs, loaded at once

    def tags_of(self, ids: Iterable[int], viewer: Principal | None = None) -> dict[int, Sequence[Tag]]:
        """For every id its tags that the viewer may read, by type and name."""
        found: dict[int, list[Tag]] = {id: [] for id in ids}
        with self.database.read() as connection:
            for part in chunks(found):
                query = (
                    select(jobtag.c.job_id, tag.c.id, tag.c.tag_type, tag.c.tag_name, tag.c.tag_scope)
                    .join(tag, tag.c.id == jobtag.c.tag_id)
                    .where(jobtag.c.job_id.in_(part))
                    .order_by(tag.c.tag_type, tag.c.tag_name)
                )
                for row in connection.execute(query):
                    if readable(row.tag_scope, viewer):
                        found[row.job_id].append(tag_of_row(row))
        return dict(found)

    def metadata_of(self, ids: Iterable[int]) -> dict[int, dict[str, str] | None]:
        """For every id of a stored job its metadata, None where it has none."""
        with self.database.read() as connection:
            return _metadata(connection, ids)

    # ---- what runs where

    def concurrent_jobs(self, jobs: Sequence[Job], viewer: Principal | None) -> dict[int, Sequence[JobLink]]:
        """By id of each job: those on the same first host meanwhile, itself among them, finished ones first.

        Exclusive and short jobs are left out. One statement for all. Contract: spec/graphql.md 7.
        """
        wanted = [
            one
            for one in jobs
            if one.shared != "none" and one.duration > _CONCURRENT_MINIMUM and one.resources
        ]
        found: dict[int, list[JobLink]] = {one.id: [] for one in wanted}
        with self.database.read() as connection:
            for start in range(0, len(wanted), _MOST_TERMS):
                terms = [self._concurrent(one, viewer) for one in wanted[start : start + _MOST_TERMS]]
                query = union_all(*terms)
                places = ("asked", "runs", "start_time", "id")
                query = query.order_by(*(query.selected_columns[name] for name in places))
                for row in connection.execute(query):
                    found[row.asked].append(JobLink(row.id, row.job_id))
        return dict(found)

    def _concurrent(self, one: Job, viewer: Principal | None) -> Select[Any]:
        end = int(self.clock()) if one.running else one.start_time + one.duration
        latest_start = end - _CONCURRENT_MARGIN
        running = in_state("running")
        return select(
            literal(one.id).label("asked"), running.label("runs"), job.c.start_time, job.c.id, job.c.job_id
        ).where(
            visibility(viewer),
            job.c.cluster == one.cluster,
            has_host(StringInput(eq=one.resources[0].hostname)),
            or_(
                and_(
                    not_(running),
                    job.c.start_time < latest_start,
                    job.c.start_time + job.c.duration > one.start_time + _CONCURRENT_MARGIN,
                ),
                and_(running, job.c.start_time <= latest_start),
            ),
        )

    def used_nodes(self, before: float | None = None) -> dict[str, Sequence[str]]:
        """Per cluster the hosts of running jobs that started before `before` (unix seconds), sorted."""
        condition = in_state("running")
        if before is not None:
            condition = and_(condition, job.c.start_time < int(before))
        used: dict[str, Sequence[str]] = {}
        for cluster, hostname in self._hosts(job.c.cluster, condition):
            used.setdefault(cluster, []).append(hostname)  # type: ignore[attr-defined]
        return used

    def allocated_nodes(self, cluster: str) -> dict[str, int]:
        """Per subcluster with running jobs the number of distinct hosts they use."""
        counts: dict[str, int] = {}
        for subcluster, _hostname in self._hosts(
            job.c.subcluster, and_(in_state("running"), job.c.cluster == cluster)
        ):
            counts[subcluster] = counts.get(subcluster, 0) + 1
        return counts

    def running_per_host(self, cluster: str) -> dict[str, int]:
        """Number of running jobs on each host that has any."""
        hostname, resource = _hostname()
        query = (
            select(hostname, func.count(distinct(job.c.id)))
            .select_from(job.join(resource, true()))
            .where(in_state("running"), job.c.cluster == cluster)
            .group_by(hostname)
        )
        with self.database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def on_hosts(
        self, cluster: str, hostname: str | None, start: int, end: int, viewer: Principal | None
    ) -> Sequence[Job]:
        """Jobs that ran on a host, or anywhere on the cluster, at some time from `start` to `end` (unix
        seconds), by start time. Of their metadata they have the name only: scripts are long.
        """
        now = self.clock()
        here = job.c.cluster == cluster
        # No job that started earlier than the longest one lasted can have seen the time: indexes answer both.
        longest = select(func.max(job.c.duration)).where(here).scalar_subquery()
        running = select(job.c.id).where(here, in_state("running"), job.c.start_time <= end)
        ended = select(job.c.id).where(
            here,
            job.c.start_time.between(start - longest, end),
            job.c.start_time + job.c.duration >= start,
        )
        query = (
            select(*JOB_COLUMNS, job_name().label("job_name"))
            .where(
                job.c.id.in_(union(running, ended)),
                true() if hostname is None else has_host(StringInput(eq=hostname)),
                visibility(viewer),
            )
            .order_by(job.c.start_time, job.c.id)
        )
        with self.database.read() as connection:
            return [
                replace(job_of_row(row, now), metadata={"jobName": row.job_name or ""})
                for row in connection.execute(query)
            ]

    def partitions(self, cluster: str) -> Sequence[str]:
        """Distinct non-empty partition names of the cluster's jobs."""
        query = select(job.c.cluster_partition).distinct().where(job.c.cluster == cluster)
        with self.database.read() as connection:
            return sorted(name for name in connection.execute(query).scalars() if name)

    def project_exists(self, project: str, viewer: Principal | None) -> bool:
        """Whether the viewer can see any job of that project."""
        query = select(job.c.id).where(job.c.project == project, visibility(viewer)).limit(1)
        with self.database.read() as connection:
            return connection.execute(query).first() is not None

    def projects_like(self, text: str, viewer: Principal | None, limit: int) -> Sequence[str]:
        """Projects whose name contains `text` and of which the viewer can see a job; at most `limit`."""
        query = (
            select(job.c.project)
            .distinct()
            .where(job.c.project.contains(text, autoescape=True), visibility(viewer))
            .order_by(job.c.project)
            .limit(limit)
        )
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def _hosts(self, group: ColumnElement[str], condition: Condition) -> Sequence[tuple[str, str]]:
        hostname, resource = _hostname()
        query = (
            select(group, hostname)
            .distinct()
            .select_from(job.join(resource, true()))
            .where(condition)
            .order_by(group, hostname)
        )
        with self.database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    # ---- statistics

    def statistics(
        self,
        filters: Iterable[JobFilter] | None = None,
        viewer: Principal | None = None,
        *,
        group_by: str | None = None,
        sort_by: str | None = None,
        page: int = 1,
        items_per_page: int = ALL_ITEMS,
        totals: Collection[str] = stats.TOTALS,
    ) -> Sequence[stats.JobsStatistics]:
        """Totals over the matching jobs, or per group; see `ccserver.jobs.statistics.totals`."""
        if items_per_page < 1 and items_per_page != ALL_ITEMS:
            raise InvalidPage(f"invalid items-per-page value: {items_per_page}")
        now, filters = int(self.clock()), list(filters or ())
        options = _Totals(
            now=now,
            short_running=self.short_running,
            group_by=group_by,
            sort_by=sort_by,
            offset=0 if items_per_page == ALL_ITEMS else _offset(page, items_per_page),
            limit=None if items_per_page == ALL_ITEMS else min(items_per_page, _MOST_ROWS),
            wanted=totals,
        )
        found = self._from_columns(
            filters, viewer, lambda selection: column_queries.totals(selection, **options)
        )
        with self.database.read() as connection:
            if found is None:
                return stats.totals(connection, matching(filters, viewer, now), **options)
            if group_by == "USER":
                stats.add_real_names(connection, found)
        return found

    def duration_histogram(
        self, filters: Iterable[JobFilter] | None, viewer: Principal | None, bins: str = "1h"
    ) -> Sequence[stats.HistogramPoint]:
        now, filters = int(self.clock()), list(filters or ())
        found = self._from_columns(
            filters, viewer, lambda selection: column_queries.duration_histogram(selection, now, bins)
        )
        if found is not None:
            return found
        with self.database.read() as connection:
            return stats.duration_histogram(connection, matching(filters, viewer, now), now, bins)

    def value_histogram(
        self, filters: Iterable[JobFilter] | None, viewer: Principal | None, column: str
    ) -> Sequence[stats.HistogramPoint]:
        """`column` is num_nodes, num_hwthreads or num_acc."""
        filters = list(filters or ())
        found = self._from_columns(
            filters, viewer, lambda selection: column_queries.value_histogram(selection, column)
        )
        if found is not None:
            return found
        with self.database.read() as connection:
            return stats.value_histogram(connection, matching(filters, viewer, self.clock()), column)

    def footprint_histogram(
        self,
        filters: Iterable[JobFilter] | None,
        viewer: Principal | None,
        key: str,
        peak: float,
        bins: int = 10,
    ) -> Sequence[int]:
        """Number of jobs per bin of a stored footprint value, bin 1 first, then of those above the peak."""
        filters = list(filters or ())
        found = self._from_columns(
            filters,
            viewer,
            lambda selection: column_queries.footprint_histogram(selection, key, peak, bins),
        )
        if found is not None:
            return found
        with self.database.read() as connection:
            return stats.footprint_histogram(
                connection, matching(filters, viewer, self.clock()), key, peak, bins
            )

    def footprint_trend(
        self,
        filters: Iterable[JobFilter] | None,
        viewer: Principal | None,
        keys: Sequence[str],
        edges: Sequence[int],
    ) -> Sequence[Sequence[tuple[float, int]]]:
        """Sum and number of stored footprint values per key and period between two `edges`."""
        with self.database.read() as connection:
            return stats.footprint_trend(connection, matching(filters, viewer, self.clock()), keys, edges)

    def _from_columns(
        self, filters: Sequence[JobFilter], viewer: Principal | None, ask: Callable[[Selection], Found]
    ) -> Found | None:
        """The answer of the columns in memory, None when they have none."""
        if self.columns is None:
            return None
        with self.columns.current() as table:
            if table is None:
                return None
            try:
                return ask(Selection(table, filters, viewer, self.clock()))
            except NotInColumns:
                return None

    # ---- changes

    def insert_started(
        self, one: Job, also: Callable[[Connection, int], None] = lambda connection, id: None
    ) -> int:
        """Store a started job and return its database id.

        The check for duplicates, the insertion and `also(connection, id)` are one transaction. Raises
        DuplicateJob.
        """

        def work(connection: Connection) -> int:
            id = insert_started(connection, one)
            also(connection, id)
            return id

        return self.database.write(work)

    def insert_all(self, jobs: Sequence[Job]) -> Sequence[int | Exception]:
        """Store jobs in one transaction; per job its new id, or why it was refused (the others stay)."""

        def work(connection: Connection) -> Sequence[int | Exception]:
            try:
                with connection.begin_nested():
                    return insert_jobs(connection, jobs)
            except Exception:  # one of them: find out which
                outcomes: list[int | Exception] = []
            for one in jobs:
                try:
                    with connection.begin_nested():
                        outcomes.append(insert_job(connection, one))
                except Exception as error:
                    outcomes.append(error)
            return outcomes

        return self.database.write(work)

    def mark_stopped(self, id: int, state: str, duration: int) -> bool:
        """Give a running job its final state; False when it is not running any more."""
        return self.database.write(lambda connection: mark_stopped(connection, id, state, duration))

    def mark_archived(self, one: Job) -> None:
        """Store footprint, energy and monitoring status of an archived job in one statement."""
        self._update(
            one.id,
            monitoring_status=one.monitoring_status,
            footprint=json_text(one.footprint),
            energy_footprint=json_text(one.energy_footprint),
            energy=one.energy,
        )

    def set_monitoring_status(self, id: int, status: int) -> None:
        self._update(id, monitoring_status=status)

    def update_footprints(self, jobs: Sequence[Job]) -> None:
        """Store footprint and energy of jobs that still run, in one transaction."""

        def work(connection: Connection) -> None:
            for one in jobs:
                connection.execute(
                    update(job)
                    .where(job.c.id == one.id, in_state("running"))
                    .values(
                        footprint=json_text(one.footprint),
                        energy_footprint=json_text(one.energy_footprint),
                        energy=one.energy,
                    )
                )

        self.database.write(work)

    def update_durations(self) -> int:
        """Store the present duration of all running jobs; returns how many there are."""
        now = int(self.clock())
        statement = update(job).where(in_state("running")).values(duration=now - job.c.start_time)
        return self.database.write(lambda connection: connection.execute(statement).rowcount)

    def set_metadata(self, id: int, key: str, value: str) -> dict[str, str] | None:
        """Add or overwrite one metadata key; returns the whole metadata, None for an unknown job."""

        def work(connection: Connection) -> dict[str, str] | None:
            row = connection.execute(select(job.c.meta_data).where(job.c.id == id)).first()
            if row is None:
                return None
            merged = {**(metadata_of(row.meta_data) or {}), key: value}
            connection.execute(update(job).where(job.c.id == id).values(meta_data=json_text(merged)))
            return merged

        return self.database.write(work)

    def delete(self, id: int) -> bool:
        statement = delete(job).where(job.c.id == id)
        return self.database.write(lambda connection: connection.execute(statement).rowcount) > 0

    def delete_before(self, start_time: int, *, omit_tagged: str = "none") -> int:
        """Delete jobs started before `start_time`; returns how many.

        `omit_tagged` as in `older`.
        """
        statement = delete(job).where(older(start_time, omit_tagged))
        return self.database.write(lambda connection: connection.execute(statement).rowcount)

    def stop_overdue(self, grace: int) -> Sequence[int]:
        """Fail running jobs that exceed their walltime by more than `grace` seconds; returns their ids."""
        condition = and_(
            in_state("running"),
            job.c.walltime > 0,
            job.c.start_time < int(self.clock()) - grace - job.c.walltime,
        )

        def work(connection: Connection) -> Sequence[int]:
            ids = list(connection.execute(select(job.c.id).where(condition)).scalars())
            connection.execute(
                update(job)
                .where(condition)
                .values(job_state="failed", duration=0, monitoring_status=MONITORING_FAILED)
            )
            return ids

        return self.database.write(work)

    def waiting_for_archive(self, after: int = 0, limit: int = 100) -> Sequence[int]:
        """Ids above `after` of jobs that were stopped but neither archived nor given up."""
        query = (
            select(job.c.id)
            .where(
                job.c.id > after,
                job.c.monitoring_status == MONITORING_RUNNING,
                not_(in_state("running")),
            )
            .order_by(job.c.id)
            .limit(limit)
        )
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def take_over_cache(self) -> Sequence[int]:
        """Move started jobs that another program left in `job_cache` into `job`; returns their new ids."""
        with self.database.read() as connection:
            if _CACHED(connection).fetchone() is None:
                return []
        return self.database.write(empty_cache)

    def clear(self) -> None:
        """Remove all jobs, tags and their links."""

        def work(connection: Connection) -> None:
            for table in (jobtag, tag, job, job_cache):
                connection.execute(delete(table))

        self.database.write(work)

    def _update(self, id: int, **values: Any) -> None:
        statement = update(job).where(job.c.id == id).values(**values)
        self.database.write(lambda connection: connection.execute(statement).close())


def _ordered(
    wanted: Condition, keys: Sequence[ColumnElement[Any]], offset: int, limit: int | None
) -> Select[Any]:
    """Rows of JOB_COLUMNS. What an offset skips is not read: an index has the keys and the ids."""
    if offset == 0:
        return select(*JOB_COLUMNS).where(wanted).order_by(*keys).limit(limit)
    ids = select(job.c.id).where(wanted).order_by(*keys).limit(limit).offset(offset)
    return select(*JOB_COLUMNS).where(job.c.id.in_(ids)).order_by(*keys)


def _indexed(one: JobFilter) -> bool:
    """Whether the database has an index for everything the filter asks for."""
    served = replace(
        one, cluster=None, state=None, project=None, start_time=None, db_id=None, job_id=None, user=None
    )
    texts = (one.cluster, one.project, one.user)
    return served == JobFilter() and all(text is None or text.eq is not None for text in texts)


def _sees_projects(viewer: Principal | None) -> bool:
    """Whether the viewer sees own jobs and those of projects, for which no index serves."""
    return (
        viewer is not None
        and not viewer.sees_all_jobs
        and "manager" in viewer.roles
        and bool(viewer.projects)
    )


def _offset(page: int, items_per_page: int) -> int:
    return min((max(page, 1) - 1) * items_per_page, _MOST_ROWS)


def _named(job_id: int, cluster: str | None, start_time: int | None) -> Condition:
    conditions = [job.c.job_id == job_id]
    if cluster is not None:
        conditions.append(job.c.cluster == cluster)
    if start_time is not None:
        conditions.append(job.c.start_time == start_time)
    return and_(*conditions)


def _hostname() -> tuple[ColumnElement[Any], Any]:
    resource = func.json_each(job.c.resources).table_valued("value").alias("resource")
    return func.json_extract(resource.c.value, literal_column("'$.hostname'")), resource


def _metadata(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, str] | None]:
    found: dict[int, dict[str, str] | None] = {}
    for part in chunks(ids):
        for row in connection.execute(select(job.c.id, job.c.meta_data).where(job.c.id.in_(part))):
            found[row.id] = metadata_of(row.meta_data)
    return found


# ---- parts of a transaction of the caller


def insert_started(connection: Connection, one: Job) -> int:
    """As `JobRepository.insert_started`."""
    earliest = max(one.start_time - START_GAP + 1, -_MOST_ROWS - 1)  # what a column can hold
    wanted = {"number": one.job_id, "cluster_name": one.cluster, "earliest": earliest}
    stored = _DUPLICATE(connection, wanted).fetchone()
    if stored is not None:
        raise DuplicateJob(stored[0], one.job_id)
    return insert_job(connection, one)


def newest(connection: Connection, job_id: int, cluster: str | None, start_time: int | None) -> Job | None:
    """As `JobRepository.find_by`, but with duration 0 while the job runs."""
    wanted = {"number": job_id, "cluster_name": cluster, "start": start_time}
    row = _newest(cluster is not None, start_time is not None)(connection, wanted).fetchone()
    return None if row is None else job_of_row(JobRow._make(row), 0)


@functools.cache
def _newest(with_cluster: bool, with_start_time: bool) -> Prepared:
    query = select(*JOB_COLUMNS).where(job.c.job_id == bindparam("number"))
    if with_cluster:
        query = query.where(job.c.cluster == bindparam("cluster_name"))
    if with_start_time:
        query = query.where(job.c.start_time == bindparam("start"))
    return Prepared(query.order_by(job.c.id.desc()).limit(literal_column("1")))


def mark_stopped(connection: Connection, id: int, state: str, duration: int) -> bool:
    """As `JobRepository.mark_stopped`."""
    return _STOP(connection, {"stopped": id, "state": state, "seconds": duration}).rowcount == 1


def empty_cache(connection: Connection) -> Sequence[int]:
    """As `JobRepository.take_over_cache`."""
    return [] if _CACHED(connection).fetchone() is None else _empty_cache(connection)


def insert_job(connection: Connection, one: Job) -> int:
    """Store a job; returns its new id."""
    id = _INSERT(connection, row_of_job(one)).lastrowid
    assert id is not None
    return id


def insert_jobs(connection: Connection, jobs: Sequence[Job]) -> Sequence[int]:
    """Store jobs inside a transaction of the caller, all or none; a fifth of the cost of one by one."""
    if not jobs:
        return []
    # only the writer thread inserts, so the next ids are known and need not be asked for row by row
    first = connection.execute(select(func.coalesce(func.max(job.c.id), 0))).scalar_one() + 1
    rows = [{"id": id, **row_of_job(one)} for id, one in enumerate(jobs, first)]
    connection.execute(insert(job), rows)
    return list(range(first, first + len(rows)))


def _new_id(result: CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    if key is None:
        raise RuntimeError("the database did not report the id of a new row")
    return int(key[0])


def _empty_cache(connection: Connection) -> Sequence[int]:
    columns = [column for column in job_cache.c if column.name != "id"]
    rows = connection.execute(select(*columns).order_by(job_cache.c.id)).mappings().all()
    if not rows:
        return []
    ids: list[int] = []
    for row in rows:
        values: Mapping[str, Any] = dict(row)
        result = connection.execute(insert(job).prefix_with("OR IGNORE").values(values))
        if result.rowcount == 1:
            ids.append(_new_id(result))
    connection.execute(delete(job_cache))
    return ids
