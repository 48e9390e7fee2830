"""Tags and which jobs carry them. Contract: spec/operations.md 3.5, spec/rest-api.md 3.10-3.12.

`viewer` None is the server itself: it reads and writes every scope.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    Select,
    and_,
    delete,
    false,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from ccserver.database import Database
from ccserver.database.tables import job, jobtag, tag
from ccserver.jobs.filters import JobFilter, matching
from ccserver.jobs.rows import tag_of_row
from ccserver.jobs.scopes import GLOBAL, readable, writable
from ccserver.jobs.untagging import Untagging, UntaggingNotes
from ccserver.model.job import Job, Tag
from ccserver.model.user import Principal

log = logging.getLogger(__name__)

_BATCH = 200  # jobs per transaction

_COLUMNS = (tag.c.id, tag.c.tag_type, tag.c.tag_name, tag.c.tag_scope)


class TagError(Exception):
    """A tag cannot be created, attached or removed; the message says why."""


class TagForbidden(TagError):
    """The viewer may not write tags of that scope."""


class TagMissing(TagError):
    """There is no such tag."""


class TagExists(TagError):
    """A tag of that type and name exists, in this scope or another one."""


class MetaArchive(Protocol):
    """The part of a job archive that a change of tags touches."""

    def exists(self, job: Job) -> bool: ...

    def update_meta(
        self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class ManyTagged:
    """Of `matching` jobs `affected` lacked a tag to attach, or had one to detach; `changed` do so no more."""

    matching: int
    affected: int
    changed: int


class TagRepository:
    """Tables `tag` and `jobtag`; the tag list in the archived record of a finished job follows changes."""

    def __init__(self, database: Database, archive: MetaArchive | None = None) -> None:
        self._database = database
        self._archive = archive
        self._notes = UntaggingNotes(database.path)
        self.on_change: Callable[[Job], None] = lambda _: None  # after the tags of one job have changed

    def list(self, viewer: Principal | None = None) -> list[Tag]:
        """All tags the viewer may read, by type and name."""
        query = select(*_COLUMNS).order_by(tag.c.tag_type, tag.c.tag_name)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [tag_of_row(row) for row in rows if readable(row.tag_scope, viewer)]

    def counts(self, viewer: Principal | None = None) -> Sequence[tuple[Tag, int]]:
        """As `list`, each with the number of jobs that carry it."""
        query = (
            select(*_COLUMNS, func.count(jobtag.c.job_id).label("jobs"))
            .outerjoin(jobtag, jobtag.c.tag_id == tag.c.id)
            .group_by(tag.c.id)
            .order_by(tag.c.tag_type, tag.c.tag_name)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [(tag_of_row(row), row.jobs) for row in rows if readable(row.tag_scope, viewer)]

    def get(self, id: int) -> Tag | None:
        with self._database.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(tag.c.id == id)).first()
        return tag_of_row(row) if row else None

    def of_job(self, job_id: int, viewer: Principal | None = None) -> Sequence[Tag]:
        """The job's tags that the viewer may read, by type and name."""
        with self._database.read() as connection:
            return [one for one in _tags_of(connection, job_id) if readable(one.scope, viewer)]

    def create(self, wanted: Tag, viewer: Principal | None) -> Tag:
        """Store a new tag of scope global, admin or the viewer's name. Raises TagForbidden, TagExists."""
        if not writable(wanted.scope, viewer):
            raise TagForbidden(f"not authorized to create tag with scope: {wanted.scope}")
        return self._database.write(lambda connection: _create(connection, wanted))

    def attach(self, one: Job, wanted: Iterable[Tag], viewer: Principal | None) -> Sequence[Tag]:
        """Attach tags by type, name and scope (empty: global), creating unknown ones; returns them with ids.

        Attaching a tag the job has is no error. Stops at the first failure; earlier tags stay attached.
        Raises TagForbidden, TagExists (same type and name in another scope).
        """
        attached: list[Tag] = []
        try:
            for asked in wanted:
                asked = Tag(asked.type, asked.name, asked.scope or GLOBAL)
                if not writable(asked.scope, viewer):
                    raise TagForbidden(f"not authorized to add tag with scope: {asked.scope}")
                attached.append(self._database.write(partial(_attach, job_id=one.id, wanted=asked)))
        finally:
            if attached:
                self._changed(one)
        return attached

    def attach_started(
        self, connection: Connection, job_id: int, wanted: Iterable[Tag], viewer: Principal | None
    ) -> tuple[Sequence[Tag], TagError | None]:
        """As `attach`, inside the transaction that stores a started job; returns the failure, if any."""
        attached: list[Tag] = []
        for asked in wanted:
            asked = Tag(asked.type, asked.name, asked.scope or GLOBAL)
            if not writable(asked.scope, viewer):
                return attached, TagForbidden(f"not authorized to add tag with scope: {asked.scope}")
            try:
                attached.append(_attach(connection, job_id, asked))
            except TagError as error:
                return attached, error
        return attached, None

    def attach_ids(self, one: Job, ids: Iterable[int], viewer: Principal | None) -> None:
        """Attach existing tags; attaching one twice is an error. Stops at the first failure.

        Raises TagMissing, TagForbidden, TagExists.
        """
        changed = False
        try:
            for id in ids:
                self._writable(id, viewer, "add")
                if not self._database.write(partial(_link, job_id=one.id, tag_id=id)):
                    raise TagExists(f"the job has this tag already: {id}")
                changed = True
        finally:
            if changed:
                self._changed(one)

    def detach_ids(self, one: Job, ids: Iterable[int], viewer: Principal | None) -> None:
        """Detach tags; one that is not attached is no error. Raises TagMissing, TagForbidden."""
        changed = False
        try:
            for id in ids:
                self._writable(id, viewer, "remove")
                self._unlink(one.id, id)
                changed = True
        finally:
            if changed:
                self._changed(one)

    def change_many(
        self,
        filters: Iterable[JobFilter],
        ids: Sequence[int],
        viewer: Principal | None,
        *,
        attach: bool,
        most: int,
    ) -> ManyTagged:
        """Attach tags to all matching jobs that the viewer sees, or detach them: from `most` jobs at most.

        A call that changed fewer than are affected can be repeated: it goes on with the rest.
        Raises TagMissing, TagForbidden, before anything is changed.
        """
        for id in ids:
            self._writable(id, viewer, "add" if attach else "remove")
        wanted = matching(filters, viewer)
        carried = [
            job.c.id.in_(select(jobtag.c.job_id).where(jobtag.c.tag_id == id)) for id in dict.fromkeys(ids)
        ]
        concerned = and_(wanted, or_(false(), *(map(not_, carried) if attach else carried)))
        with self._database.read() as connection:
            number = connection.execute(select(func.count()).select_from(job).where(wanted)).scalar_one()
            affected = connection.execute(select(func.count()).select_from(job).where(concerned)).scalar_one()
        changed = 0
        while changed < min(most, affected):
            some = select(job.c.id).where(concerned).order_by(job.c.id).limit(min(_BATCH, most - changed))
            jobs = self._database.write(partial(_change_some, some=some, tags=ids, attach=attach))
            for job_id in jobs:
                self.update_archived(job_id)
            changed += len(jobs)
            if not jobs:
                break
        return ManyTagged(number, affected, changed)

    def detach(self, one: Job, unwanted: Iterable[Tag], viewer: Principal | None) -> None:
        """Detach tags by type, name and scope; private ones and an empty scope are skipped silently.

        Raises TagMissing for a tag the system does not know.
        """
        try:
            for asked in _public(unwanted):
                self._unlink(one.id, self._known(asked, viewer))
        finally:
            self._changed(one)

    def delete(
        self,
        unwanted: Iterable[Tag],
        viewer: Principal | None,
        untagged: Callable[[Untagging], None],
    ) -> int:
        """Delete tags everywhere, by type, name and scope, rules as in `detach`; returns how many.

        `untagged` gets the jobs that carried each, to call `update_archived` for them.
        """
        deleted = 0
        for asked in _public(unwanted):
            lost = self._delete(self._known(asked, viewer))
            if lost is not None:
                untagged(lost)
            deleted += 1
        return deleted

    def delete_ids(self, ids: Iterable[int], viewer: Principal | None) -> Sequence[int]:
        """Delete tags altogether; returns the ids removed. Stops at the first failure.

        Global and admin tags fall to admins, private ones to their owner. Raises TagMissing, TagForbidden.
        """
        deleted: list[int] = []
        for id in ids:
            self._removable(id, viewer, "remove")
            lost = self._delete(id)
            if lost is not None:
                self.update_all_archived(lost)
            deleted.append(id)
        return deleted

    def rename(self, id: int, type: str, name: str, viewer: Principal | None) -> Tag:
        """Another type and name; jobs keep the tag. Rights as in `delete_ids`.

        Raises TagMissing, TagForbidden, TagExists.
        """
        known = self._removable(id, viewer, "rename")

        def work(connection: Connection) -> Sequence[int]:
            same = select(tag.c.id).where(tag.c.tag_type == type, tag.c.tag_name == name, tag.c.id != id)
            if connection.execute(same).first() is not None:
                raise TagExists(f"tag exists already: {type}: {name}")
            connection.execute(update(tag).where(tag.c.id == id).values(tag_type=type, tag_name=name))
            return list(connection.execute(select(jobtag.c.job_id).where(jobtag.c.tag_id == id)).scalars())

        for job_id in self._database.write(work):
            self.update_archived(job_id)
        return Tag(type, name, known.scope, id)

    def _removable(self, id: int, viewer: Principal | None, what: str) -> Tag:
        known = self._writable(id, viewer, what)
        public = known.scope in (GLOBAL, "admin")
        if public and viewer is not None and "admin" not in viewer.roles:
            raise TagForbidden(f"not authorized to {what} tag: {id}")
        return known

    def left_tagged(self) -> Iterator[Untagging]:
        """Jobs whose archive entries an earlier process did not bring up to date after deleting a tag."""
        return self._notes.left()

    def update_all_archived(self, lost: Untagging) -> None:
        for job_id in lost.ids:
            self.update_archived(job_id)
        lost.done()

    def _writable(self, id: int, viewer: Principal | None, what: str) -> Tag:
        known = self.get(id)
        if known is None:
            raise TagMissing(f"tag does not exist (ID): {id}")
        if not writable(known.scope, viewer):
            raise TagForbidden(f"not authorized to {what} tag: {id}")
        return known

    def _known(self, asked: Tag, viewer: Principal | None) -> int:
        query = select(tag.c.id).where(
            tag.c.tag_type == asked.type, tag.c.tag_name == asked.name, tag.c.tag_scope == asked.scope
        )
        with self._database.read() as connection:
            id = connection.execute(query).scalar()
        if id is None:
            raise TagMissing(
                f"tag does not exist (name, type, scope): {asked.name}, {asked.type}, {asked.scope}"
            )
        if not writable(asked.scope, viewer):
            raise TagForbidden(f"not authorized to remove tag with scope: {asked.scope}")
        return int(id)

    def _unlink(self, job_id: int, tag_id: int) -> None:
        statement = delete(jobtag).where(jobtag.c.job_id == job_id, jobtag.c.tag_id == tag_id)
        self._database.write(lambda connection: connection.execute(statement).close())

    def _delete(self, id: int) -> Untagging | None:
        """Returns the jobs that carried the tag, None where there are none."""

        def work(connection: Connection) -> Untagging | None:
            jobs = list(connection.execute(select(jobtag.c.job_id).where(jobtag.c.tag_id == id)).scalars())
            connection.execute(delete(tag).where(tag.c.id == id))  # its links follow by foreign key
            return self._notes.add(id, jobs) if jobs else None

        return self._database.write(work)

    def _changed(self, one: Job) -> None:
        try:
            self.update_archived(one.id)
        finally:
            self.on_change(one)

    def update_archived(self, job_id: int) -> None:
        """Bring the tag list in the archived record of a finished job up to date; a failure is logged."""
        if self._archive is None:
            return
        with self._database.read() as connection:
            row = connection.execute(
                select(job.c.cluster, job.c.job_id, job.c.start_time, job.c.job_state).where(
                    job.c.id == job_id
                )
            ).first()
            tags = _tags_of(connection, job_id)
        if row is None or row.job_state == "running":
            return
        key = Job(row.job_id, row.cluster, "", row.start_time, [], 0)

        def change(archived: Job) -> None:
            archived.tags = tags

        try:
            if self._archive.exists(key):
                self._archive.update_meta(row.cluster, row.job_id, row.start_time, change)
        except Exception:
            log.exception("job %d: its tags could not be written to the archive", job_id)


def attach_new(connection: Connection, job_id: int, wanted: Iterable[Tag]) -> None:
    """Attach tags inside a transaction of the caller, who has checked the rights; empty scope: global."""
    for asked in wanted:
        _attach(connection, job_id, Tag(asked.type, asked.name, asked.scope or GLOBAL))


def _change_some(
    connection: Connection, some: Select[Any], tags: Sequence[int], attach: bool
) -> Sequence[int]:
    """The jobs of `some`, which afterwards have the tags or lack them."""
    jobs = list(connection.execute(some).scalars())
    if attach and jobs:
        links = [{"job_id": job_id, "tag_id": tag_id} for job_id in jobs for tag_id in tags]
        connection.execute(insert(jobtag).prefix_with("OR IGNORE"), links)
    elif jobs:
        gone = delete(jobtag).where(jobtag.c.job_id.in_(jobs), jobtag.c.tag_id.in_(tags))
        connection.execute(gone)
    return jobs


def _public(tags: Iterable[Tag]) -> Iterable[Tag]:
    return (one for one in tags if one.scope in (GLOBAL, "admin"))


def _tags_of(connection: Connection, job_id: int) -> list[Tag]:
    query = (
        select(*_COLUMNS)
        .join(jobtag, jobtag.c.tag_id == tag.c.id)
        .where(jobtag.c.job_id == job_id)
        .order_by(tag.c.tag_type, tag.c.tag_name)
    )
    return [tag_of_row(row) for row in connection.execute(query)]


def _attach(connection: Connection, job_id: int, wanted: Tag) -> Tag:
    known = _find(connection, wanted)
    if known is None:
        known = _create(connection, wanted)
    elif known.scope != wanted.scope:
        raise TagExists(f"tag {wanted.type}:{wanted.name} exists in another scope")
    _link(connection, job_id, known.id)
    return known


def _find(connection: Connection, wanted: Tag) -> Tag | None:
    query = select(*_COLUMNS).where(tag.c.tag_type == wanted.type, tag.c.tag_name == wanted.name)
    row = connection.execute(query).first()
    return tag_of_row(row) if row else None


def _create(connection: Connection, wanted: Tag) -> Tag:
    known = _find(connection, wanted)
    if known is not None:
        # type and name are unique over all scopes; whose private tag it is stays untold
        where = "" if known.scope == wanted.scope else " in another scope"
        raise TagExists(f"tag {wanted.type}:{wanted.name} exists already{where}")
    values = {"tag_type": wanted.type, "tag_name": wanted.name, "tag_scope": wanted.scope}
    key = connection.execute(insert(tag).values(values)).inserted_primary_key
    if key is None:
        raise RuntimeError("the database did not report the id of a new tag")
    return Tag(wanted.type, wanted.name, wanted.scope, int(key[0]))


def _link(connection: Connection, job_id: int, tag_id: int) -> bool:
    statement = insert(jobtag).prefix_with("OR IGNORE").values(job_id=job_id, tag_id=tag_id)
    return connection.execute(statement).rowcount == 1
