"""The session cookie: a signed snapshot of who logged in. Source: spec/operations.md 2.11."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

from itsdangerous import BadData, TimedSerializer
from itsdangerous.url_safe import URLSafeTimedSerializer

from ccserver.model.user import Principal

COOKIE = "session"
LONGEST_AGE = 30 * 86400.0
_ROOM_FOR_PROJECTS = 2000  # characters; a cookie holds 4096 including name, signature and attributes


class Sessions:
    """Makes and reads cookie values; `max_age` in seconds. Values stay valid over restarts and replicas.

    Projects that do not fit into a cookie are left out and read from the account again.
    """

    def __init__(
        self, key: bytes, max_age: float, projects_of: Callable[[str], tuple[str, ...]] = lambda _: ()
    ) -> None:
        self._serializer: TimedSerializer[str] = URLSafeTimedSerializer(
            key, salt="session", signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        )
        self.max_age = int(min(max_age, LONGEST_AGE))
        self._projects_of = projects_of

    def issue(self, principal: Principal) -> str:
        """A fresh cookie value for somebody who just proved who they are."""
        content: dict[str, Any] = {
            "u": principal.username,
            "r": sorted(principal.roles),
            "s": principal.source,
            "n": principal.name,
        }
        if sum(map(len, principal.projects)) <= _ROOM_FOR_PROJECTS:
            content["p"] = list(principal.projects)
        return str(self._serializer.dumps(content))

    def read(self, value: str) -> Principal | None:
        """None for anything that is no valid session: tampered, foreign key, too old, wrong content."""
        try:
            content, issued = self._serializer.loads(value, max_age=self.max_age, return_timestamp=True)
        except BadData:
            return None
        if issued.timestamp() > time.time() + 60:
            return None
        return self._principal(content)

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
        return Principal(username, frozenset(roles), tuple(projects), name, source=source)

    def cookie(self, value: str, secure: bool) -> str:
        """`Set-Cookie` header that hands out `value`."""
        return _header(value, self.max_age, secure)


def clearing_cookie(secure: bool) -> str:
    """`Set-Cookie` header that removes the session from the browser."""
    return _header("", 0, secure)


def _header(value: str, max_age: int, secure: bool) -> str:
    flags = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{flags}"


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
