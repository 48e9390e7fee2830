"""Tokens of wall displays: who shows one sees the public dashboard and nothing else.

Contract: spec/web-ui.md 6.14, 9.21. A file keeps their digests, so that nobody can read a token from it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ccserver.auth.guards import Refused
from ccserver.model.user import Principal

DISPLAY = Principal("", frozenset({"anonymous"}), name="wall display")
"""Who acts with a token: a role that sees no data of its own."""

PATH = Path("./var/displays.json")
MOST = 100
_LONGEST_NAME = 100


class DisplayError(Exception):
    """The token cannot be made; the message says why."""


class Display(msgspec.Struct, frozen=True):
    """A token that was given out; `created` in unix seconds."""

    id: str
    name: str
    created: int
    digest: str


class DisplayTokens:
    """The tokens in one file; thread-safe. A file that is missing holds none."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._displays = self._read()

    def _read(self) -> list[Display]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Display])
        except FileNotFoundError:
            return []

    def list(self) -> Sequence[Display]:
        return list(self._displays)

    def create(self, name: str) -> str:
        """A new token, told this once. Raises DisplayError."""
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise DisplayError(f"the name must have 1 to {_LONGEST_NAME} characters")
        token = secrets.token_urlsafe(32)
        with self._lock:
            if len(self._displays) >= MOST:
                raise DisplayError(f"there are {MOST} tokens already; revoke one")
            new = Display(secrets.token_hex(8), name, int(time.time()), _digest(token))
            self._store([*self._displays, new])
        return token

    def revoke(self, id: str) -> None:
        """From now on the token is worth nothing; one that does not exist is no error."""
        with self._lock:
            self._store([one for one in self._displays if one.id != id])

    def admit(self, token: str) -> Principal:
        """Raises Refused for a token that was never given out or is revoked."""
        digest = _digest(token)
        if not any(secrets.compare_digest(one.digest, digest) for one in self._displays):
            raise Refused("this display token is not valid (any more)")
        return DISPLAY

    def _store(self, displays: Sequence[Display]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(displays)))
        draft.replace(self._path)
        self._displays = [*displays]


def _digest(token: str) -> str:
    """Tokens are long and random: a plain hash does."""
    return hashlib.sha256(token.encode()).hexdigest()
