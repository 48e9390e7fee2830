"""Names that mean nothing outside of one session: presentation mode. Source: spec/web-ui.md 9.20.

A pseudonym is the start of a keyed hash of the name, so it is the same wherever it appears in a session,
and another one in every other session. Back to the name leads a table of what was shown and of what the site
knows.

Cost model: a hash takes 2 us and is kept; the table of a site with 10,000 hosts is made in 30 ms, once a
session.
"""

from __future__ import annotations

import base64
import hmac
import re
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal_column, select

from ccserver.database.conditions import StringInput
from ccserver.database.tables import hpc_user as user_table
from ccserver.database.tables import job as job_table
from ccserver.database.tables import node as node_table

if TYPE_CHECKING:
    from ccserver.clusters import Clusters
    from ccserver.database import Database
    from ccserver.jobs.filters import JobFilter
    from ccserver.model.job import Job, Tag
    from ccserver.model.metrics import JobData

_MOST_SESSIONS = 16  # whose tables are kept
_MOST_NAMES = 500_000  # of one kind, in the table of a session
_MOST_JOB_NAMES = 100_000
_FRESH = 10.0  # seconds until the site is asked again for a pseudonym that nobody knows
_LETTERS = 8  # of a pseudonym: 40 bit
_NOBODY = "\ufffe"  # the name of nothing
_WORD = re.compile(r"[^\s\"',;:/?&=<>()\[\]{}|]+")


class Kind(Enum):
    USER = "user-{}"
    PROJECT = "project-{}"
    NAME = "Person {}"
    EMAIL = "{}@hidden.invalid"
    HOST = "node-{}"
    JOB_NAME = "job-{}"


_OF_TEXTS = (Kind.USER, Kind.PROJECT, Kind.HOST)


class Names:
    """Names as they are: what a session without presentation mode sees."""

    hidden = False

    def shown(self, kind: Kind, real: str) -> str:
        return real

    def real(self, kind: Kind, shown: str) -> str:
        """The name behind a pseudonym; the name of nothing for what is none."""
        return shown

    def condition(self, kind: Kind, wanted: StringInput | None) -> StringInput | None:
        """A condition on what is shown as one on what is stored."""
        return wanted

    def filters(self, filters: Sequence[JobFilter]) -> list[JobFilter]:
        return list(filters)

    def scrubbed(self, text: str) -> str:
        """A text with every name of a user, project or host in it as it is shown."""
        return text

    def scope(self, scope: str) -> str:
        """The scope of a tag, which may be the name of a user."""
        return scope

    def job(self, job: Job) -> Job:
        return job

    def data(self, data: JobData) -> JobData:
        return data


PLAIN = Names()


class Pseudonyms(Names):
    """What one session in presentation mode sees. Safe to use from any thread."""

    hidden = True

    def __init__(self, secret: str, known: Callable[[Kind], Iterable[str]]) -> None:
        self._key = secret.encode()
        self._known = known
        self._shown: dict[Kind, dict[str, str]] = defaultdict(dict)
        self._real: dict[Kind, dict[str, str]] = defaultdict(dict)
        self._loaded: dict[Kind, float] = {}
        self._lock = threading.Lock()

    def shown(self, kind: Kind, real: str) -> str:
        if not real:
            return real
        known = self._shown[kind].get(real)
        if known is not None:
            return known
        digest = hmac.digest(self._key, f"{kind.name} {real}".encode("utf-8", "surrogatepass"), "sha256")
        shown = kind.value.format(base64.b32encode(digest)[:_LETTERS].decode().lower())
        with self._lock:
            if len(self._shown[kind]) >= _MOST_NAMES:
                self._shown[kind].clear()
                self._real[kind].clear()
                self._loaded.pop(kind, None)
            self._shown[kind][real] = shown
            self._real[kind][shown] = real
        return shown

    def real(self, kind: Kind, shown: str) -> str:
        if not shown:
            return shown
        if shown not in self._real[kind]:
            self._load(kind)
        return self._real[kind].get(shown, _NOBODY)

    def like(self, kind: Kind, fits: Callable[[str], bool]) -> list[str]:
        """The names whose pseudonyms fit."""
        self._load(kind)
        with self._lock:
            return [real for shown, real in self._real[kind].items() if fits(shown)]

    def condition(self, kind: Kind, wanted: StringInput | None) -> StringInput | None:
        if wanted is None or wanted == StringInput():
            return wanted
        if wanted.eq is not None:
            return StringInput(eq=self.real(kind, wanted.eq))
        if wanted.neq is not None:
            return StringInput(neq=self.real(kind, wanted.neq))
        if wanted.starts_with is not None:
            start = wanted.starts_with.lower()
            return StringInput(in_=self.like(kind, lambda shown: shown.lower().startswith(start)))
        if wanted.ends_with is not None:
            end = wanted.ends_with.lower()
            return StringInput(in_=self.like(kind, lambda shown: shown.lower().endswith(end)))
        if wanted.contains is not None:
            part = wanted.contains.lower()
            return StringInput(in_=self.like(kind, lambda shown: part in shown.lower()))
        return StringInput(in_=[self.real(kind, one) for one in wanted.in_ or ()])

    def filters(self, filters: Sequence[JobFilter]) -> list[JobFilter]:
        return [
            replace(
                one,
                user=self.condition(Kind.USER, one.user),
                project=self.condition(Kind.PROJECT, one.project),
                job_name=self.condition(Kind.JOB_NAME, one.job_name),
                node=self.condition(Kind.HOST, one.node),
            )
            for one in filters
        ]

    def scrubbed(self, text: str) -> str:
        for kind in _OF_TEXTS:
            self._load(kind)
        return _WORD.sub(lambda word: self._scrubbed_word(word[0]), text)

    def _scrubbed_word(self, word: str) -> str:
        bare = word.rstrip(".!")
        for kind in _OF_TEXTS:
            if bare in self._shown[kind]:
                return self._shown[kind][bare] + word[len(bare) :]
        return word

    def scope(self, scope: str) -> str:
        return scope if scope in ("global", "admin") else self.shown(Kind.USER, scope)

    def metadata(self, metadata: Mapping[str, str] | None) -> dict[str, str] | None:
        """The name of the job and nothing else: scripts, notes and what sites add are free texts."""
        if metadata is None or "jobName" not in metadata:
            return None if metadata is None else {}
        return {"jobName": self.shown(Kind.JOB_NAME, metadata["jobName"])}

    def job(self, job: Job) -> Job:
        return replace(
            job,
            user=self.shown(Kind.USER, job.user),
            project=self.shown(Kind.PROJECT, job.project),
            metadata=self.metadata(job.metadata),
            tags=None if job.tags is None else [self._tag(tag) for tag in job.tags],
            resources=[
                replace(one, hostname=self.shown(Kind.HOST, one.hostname), configuration="")
                for one in job.resources
            ],
        )

    def _tag(self, tag: Tag) -> Tag:
        return replace(tag, scope=self.scope(tag.scope))

    def data(self, data: JobData) -> JobData:
        return {
            name: {
                scope: replace(
                    metric,
                    series=[
                        replace(one, hostname=self.shown(Kind.HOST, one.hostname)) for one in metric.series
                    ],
                )
                for scope, metric in scopes.items()
            }
            for name, scopes in data.items()
        }

    def _load(self, kind: Kind) -> None:
        """Puts what the site knows now into the table, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._loaded.get(kind, -_FRESH) < _FRESH:
            return
        for real in self._known(kind):
            self.shown(kind, real)
        self._loaded[kind] = now


class PseudonymBook:
    """The pseudonyms of the sessions that asked last."""

    def __init__(self, database: Database, clusters: Clusters) -> None:
        self._database = database
        self._clusters = clusters
        self._sessions: OrderedDict[str, Pseudonyms] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, secret: str) -> Names:
        """`secret` is of the session; empty: it shows names as they are."""
        if not secret:
            return PLAIN
        with self._lock:
            if secret not in self._sessions:
                self._sessions[secret] = Pseudonyms(secret, self._known)
                while len(self._sessions) > _MOST_SESSIONS:
                    self._sessions.popitem(last=False)
            self._sessions.move_to_end(secret)
            return self._sessions[secret]

    def _known(self, kind: Kind) -> Iterable[str]:
        match kind:
            case Kind.USER:
                return {*self._column(job_table.c.hpc_user), *self._column(user_table.c.username)}
            case Kind.PROJECT:
                return self._column(job_table.c.project)
            case Kind.NAME:
                return self._column(user_table.c.name)
            case Kind.HOST:
                return {*self._hosts(), *self._column(node_table.c.hostname)}
            case Kind.JOB_NAME:
                name = func.json_extract(job_table.c.meta_data, literal_column("'$.jobName'"))
                return self._column(name, _MOST_JOB_NAMES)
            case Kind.EMAIL:
                return ()

    def _column(self, column: Any, most: int = _MOST_NAMES) -> list[str]:
        with self._database.read() as connection:
            found = connection.execute(select(column).distinct().limit(most)).scalars()
            return [one for one in found if isinstance(one, str)]

    def _hosts(self) -> Iterable[str]:
        for cluster in self._clusters.by_name.values():
            for subcluster in cluster.subclusters.values():
                yield from subcluster.nodes.expand()
