"""What the resolvers of one request share: the services, who asks, what was loaded for many jobs at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from graphql import GraphQLError
from strawberry import Info

if TYPE_CHECKING:
    from ccserver.jobs.repository import JobLink
    from ccserver.model.job import Job, Tag
    from ccserver.model.user import Principal
    from ccserver.pseudonyms import Names
    from ccserver.site import Site

Key = TypeVar("Key")
Value = TypeVar("Value")

JOB_ROLES = frozenset({"admin", "support", "manager", "user"})
STAFF_ROLES = frozenset({"admin", "support"})


class Batch(Generic[Key, Value]):
    """Values by key, loaded for all keys announced so far when the first of them is asked for.

    Resolvers run one after another in one thread, so there is nothing to wait for: whoever returns a list
    announces its keys, and the first item that asks pays for all of them.
    """

    def __init__(self, load: Callable[[list[Key]], Mapping[Key, Value]]) -> None:
        self._load = load
        self._announced: dict[Key, None] = {}
        self._loaded: dict[Key, Value | None] = {}

    def announce(self, keys: Iterable[Key]) -> None:
        self._announced.update(dict.fromkeys(keys))

    def get(self, key: Key) -> Value | None:
        """The value of `key`; None where there is none."""
        if key not in self._loaded:
            self._announced[key] = None
            wanted = [key for key in self._announced if key not in self._loaded]
            found = self._load(wanted)
            self._loaded.update((key, found.get(key)) for key in wanted)
            self._announced.clear()
        return self._loaded[key]


@dataclass(slots=True)
class Request:
    """One request. `introspection` tells whether clients may read the schema."""

    site: Site
    principal: Principal | None
    introspection: bool = False
    abandoned: bool = False
    _known: dict[Hashable, Any] = field(default_factory=dict)
    tags: Batch[int, Sequence[Tag]] = field(init=False)
    metadata: Batch[int, dict[str, str] | None] = field(init=False)
    accounts: Batch[str, Principal] = field(init=False)
    concurrent: Batch[int, Sequence[JobLink]] = field(init=False)
    _jobs: dict[int, Job] = field(default_factory=dict)
    _judged: int = 0

    def __post_init__(self) -> None:
        self.tags = Batch(partial(_tags, self))
        self.metadata = Batch(partial(_metadata, self))
        self.accounts = Batch(partial(_accounts, self))
        self.concurrent = Batch(partial(_concurrent, self))

    @property
    def user(self) -> Principal:
        """Who asks. GraphQLError without one: an absent principal means the server itself to the services."""
        if self.principal is None:
            raise GraphQLError("user context is nil")
        return self.principal

    @property
    def names(self) -> Names:
        """How names are shown to whoever asks."""
        return self.site.names(self.principal)

    @property
    def job_viewer(self) -> Principal:
        """Who asks, for operations that read jobs (contract section 4)."""
        if not (self.user.roles & JOB_ROLES or self.user.api_only):
            raise GraphQLError("user has no or unknown roles")
        return self.user

    @property
    def staff(self) -> bool:
        return bool(self.user.roles & STAFF_ROLES)

    def announce(self, jobs: Iterable[Job]) -> None:
        """Tell the loaders which jobs are about to be asked for more."""
        known = list(jobs)
        ids = [job.id for job in known]
        self.accounts.announce({job.user for job in known})
        self.tags.announce(ids)
        self.metadata.announce(ids)
        self.concurrent.announce(ids)
        self._jobs.update(zip(ids, known, strict=True))

    def once(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """The result of `work`, which runs once per request and key: aliases often ask the same thing."""
        if key not in self._known:
            self._known[key] = work()
        return cast(Value, self._known[key])

    def may_judge(self, most: int) -> bool:
        """Whether one more job may be read for its hints."""
        self.check_wanted()
        self._judged += 1
        return self._judged <= most

    def check_wanted(self) -> None:
        """Stop resolving when the client has left."""
        if self.abandoned:
            raise GraphQLError("request abandoned")


def _tags(request: Request, ids: list[int]) -> Mapping[int, Sequence[Tag]]:
    return request.site.jobs.tags_of(ids, request.user)


def _metadata(request: Request, ids: list[int]) -> Mapping[int, dict[str, str] | None]:
    return request.site.jobs.metadata_of(ids)


def _accounts(request: Request, usernames: list[str]) -> Mapping[str, Principal]:
    return request.site.users.get_many(usernames)


def _concurrent(request: Request, ids: list[int]) -> Mapping[int, Sequence[JobLink]]:
    return request.site.jobs.concurrent_jobs([request._jobs[id] for id in ids], request.job_viewer)


def request_of(info: Info[Any, Any]) -> Request:
    return cast(Request, info.context)
