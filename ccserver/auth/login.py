"""Logging in: who is asked, how often one may try. Source: spec/operations.md 2.2, 2.3."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from ccserver.model.user import Principal

_log = logging.getLogger(__name__)

WRONG_CREDENTIALS = "Wrong user name or password"
TOO_MANY_ATTEMPTS = "Too many login attempts, try again in a few minutes"


class LoginRefused(Exception):
    """The message is shown on the login page."""


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What a login request brought along; `peer` is the address of the TCP connection without port."""

    username: str
    password: str = field(repr=False)
    peer: str = ""
    authorization: str = field(default="", repr=False)
    login_token: str = field(default="", repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


class Authenticator(Protocol):
    """One way to log in. The first that claims an attempt decides; its refusal is final."""

    def claim(self, attempt: LoginAttempt, account: Principal | None) -> Callable[[], Principal] | None:
        """None: somebody else's. Otherwise what to call: it proves the attempt or raises LoginRefused."""
        ...


class Accounts(Protocol):
    """What logging in needs to know about stored users."""

    def get(self, username: str) -> Principal | None: ...

    def verify_password(self, username: str, password: str) -> Principal | None: ...


class LoginLimiter:
    """Token buckets per (peer, username): 5 attempts, one more every 3 minutes; bounded in number."""

    CAPACITY = 5.0
    SECONDS_PER_ATTEMPT = 180.0
    FORGET_AFTER = 86400.0
    MOST_BUCKETS = 100_000

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, peer: str, username: str) -> bool:
        """Take one attempt from the bucket; False when it is empty."""
        now, key = self._clock(), (peer, username)
        with self._lock:
            level, last = self._buckets.pop(key, (self.CAPACITY, now))
            level = min(self.CAPACITY, level + (now - last) / self.SECONDS_PER_ATTEMPT)
            admitted = level >= 1.0
            self._buckets[key] = (level - 1.0 if admitted else level, now)
            while len(self._buckets) > self.MOST_BUCKETS:
                self._buckets.popitem(last=False)
        return admitted

    def forget_unused(self) -> None:
        """Drop buckets that nobody used for a day; they stand in the order of their last use."""
        limit = self._clock() - self.FORGET_AFTER
        with self._lock:
            while self._buckets and next(iter(self._buckets.values()))[1] < limit:
                self._buckets.popitem(last=False)


class LoginDispatcher:
    """Asks the authenticators in order. Blocking: call it from a worker thread."""

    def __init__(
        self,
        accounts: Accounts,
        authenticators: Sequence[Authenticator],
        limiter: LoginLimiter,
    ) -> None:
        self._accounts = accounts
        self._authenticators = authenticators
        self._limiter = limiter

    def log_in(self, attempt: LoginAttempt) -> Principal:
        """Raises LoginRefused; unknown user and wrong password look and cost the same."""
        if not self._limiter.admit(attempt.peer, attempt.username):
            _log.warning("login of %r from %s refused: too many attempts", attempt.username, attempt.peer)
            raise LoginRefused(TOO_MANY_ATTEMPTS)
        account = self._accounts.get(attempt.username) if attempt.username else None
        for authenticator in self._authenticators:
            if (prove := authenticator.claim(attempt, account)) is not None:
                principal = prove()
                break
        else:
            # Costs what a wrong password costs, so that unknown names cannot be told apart.
            self._accounts.verify_password(attempt.username, attempt.password)
            _log.warning(
                "login of %r from %s failed: no authenticator applied", attempt.username, attempt.peer
            )
            raise LoginRefused(WRONG_CREDENTIALS)
        if not principal.roles:
            raise LoginRefused("This account has no role")
        _log.info(
            "login of %r, roles %s, projects %s",
            principal.username,
            sorted(principal.roles),
            list(principal.projects),
        )
        return principal


def acceptable_redirect(target: str) -> bool:
    """Whether a login may continue at `target`: a local path, read as such by every browser."""
    if not target.startswith("/") or target[1:2] in ("/", "\\") or "\\" in target:
        return False
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in target):
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc
