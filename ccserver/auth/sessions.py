"""The session cookie: a signed snapshot of who logged in. Source: spec/operations.md 2.11."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from itsdangerous import BadData, TimedSerializer
from itsdangerous.url_safe import URLSafeTimedSerializer

from ccserver.model.user import Principal

_log = logging.getLogger(__name__)

COOKIE = "session"
LONGEST_AGE = 30 * 86400.0
_ROOM_FOR_PROJECTS = 2000  # characters; a cookie holds 4096 including name, signature and attributes


class EndedSessions:
    """Cookie values somebody logged out of, until they would have expired anyway.

    What a cookie says is all there is to a session, so a stolen one would outlive the logout. With `path` the
    list survives a restart: lines of digest and expiry, in a file that tells nothing about the values.
    """

    MOST = 100_000

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._until: OrderedDict[str, float] = OrderedDict()
        if path is not None:
            self._load(path)

    def add(self, value: str, until: float) -> None:
        """Remember `value` until then; a file that cannot be written is reported, not fatal."""
        digest = _digest(value)
        with self._lock:
            self._until[digest] = until
            while len(self._until) > self.MOST:
                self._until.popitem(last=False)
            if self._path is None:
                return
            try:
                with self._path.open("a", encoding="ascii") as file:
                    file.write(f"{digest} {until:.0f}\n")
            except OSError as error:
                _log.warning("%s: the end of a session is not kept over a restart: %s", self._path, error)

    def __contains__(self, value: str) -> bool:
        return bool(self._until) and _digest(value) in self._until

    def _load(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("%s: cannot be read: %s", path, error)
            return
        now = time.time()
        for line in lines[-self.MOST :]:
            digest, _, until = line.partition(" ")
            if until.isascii() and until.isdigit() and int(until) > now:
                self._until[digest] = int(until)
        if len(self._until) < len(lines):
            kept = "".join(f"{digest} {until:.0f}\n" for digest, until in self._until.items())
            draft = path.with_name(path.name + ".new")
            try:
                draft.write_text(kept, encoding="ascii")
                draft.replace(path)
            except OSError as error:
                _log.warning("%s: cannot be tidied: %s", path, error)


class Sessions:
    """Makes and reads cookie values; `max_age` in seconds. Values stay valid over restarts and replicas.

    Projects that do not fit into a cookie are left out and read from the account again.
    """

    def __init__(
        self,
        key: bytes,
        max_age: float,
        projects_of: Callable[[str], tuple[str, ...]] = lambda _: (),
        ended: EndedSessions | None = None,
    ) -> None:
        self._serializer: TimedSerializer[str] = URLSafeTimedSerializer(
            key, salt="session", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )
        self._key = key
        self.max_age = int(min(max_age, LONGEST_AGE))
        self._projects_of = projects_of
        self._ended = EndedSessions() if ended is None else ended

    def issue(self, principal: Principal, *, presentation: bool = False) -> str:
        """A fresh cookie value for somebody who just proved who they are."""
        content: dict[str, Any] = {
            "u": principal.username,
            "r": sorted(principal.roles),
            "s": principal.source,
            "n": principal.name,
            # Two logins within a second must not share their value: ending one would end the other.
            "i": secrets.token_urlsafe(9),
        }
        if presentation:
            content["x"] = secrets.token_urlsafe(9)
        if sum(map(len, principal.projects)) <= _ROOM_FOR_PROJECTS:
            content["p"] = list(principal.projects)
        return str(self._serializer.dumps(content))

    def read(self, value: str) -> Principal | None:
        """None for anything that is no valid session: tampered, foreign key, too old, wrong content."""
        try:
            content, issued = self._serializer.loads(value, max_age=self.max_age, return_timestamp=True)
        except BadData:
            return None
        if issued.timestamp() > time.time() + 60 or value in self._ended:
            return None
        return self._principal(content)

    def end(self, value: str) -> None:
        """From now on `value` opens nothing; one that never did is not remembered."""
        if value and self.read(value) is not None:
            self._ended.add(value, time.time() + self.max_age)

    def _principal(self, content: Any) -> Principal | None:
        if not isinstance(content, dict):
            return None
        username, roles, source = content.get("u"), content.get("r"), content.get("s")
        name, projects = content.get("n", ""), content.get("p")
        if not isinstance(username, str) or not username or not _texts(roles) or not roles:
            return None
        if not isinstance(source, int) or not isinstance(name, str):
            return None
        if projects is None:
            projects = self._projects_of(username)
        elif not _texts(projects):
            return None
        return Principal(
            username,
            frozenset(roles),
            tuple(projects),
            name,
            source=source,
            presentation=self._secret(content.get("x")),
        )

    def _secret(self, drawn: Any) -> str:
        """Of a session in presentation mode; known to the server alone, and the same on all replicas."""
        if not isinstance(drawn, str) or not drawn:
            return ""
        return hmac.digest(self._key, f"presentation {drawn}".encode(), "sha256").hex()

    def cookie(self, value: str, secure: bool) -> str:
        """`Set-Cookie` header that hands out `value`."""
        return cookie_header(COOKIE, value, self.max_age, secure)


def clearing_cookie(secure: bool) -> str:
    """`Set-Cookie` header that removes the session from the browser."""
    return cookie_header(COOKIE, "", 0, secure)


def cookie_header(name: str, value: str, max_age: int, secure: bool) -> str:
    """A `Set-Cookie` header that scripts cannot read; `max_age` 0 removes the cookie."""
    flags = "; Secure" if secure else ""
    return f"{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{flags}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
