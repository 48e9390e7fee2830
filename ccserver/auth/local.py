"""Accounts with a password of our own. Source: spec/operations.md 2.4."""

from __future__ import annotations

import logging
from functools import cache

import bcrypt

from ccserver.auth.login import WRONG_CREDENTIALS, Accounts, LoginAttempt, LoginRefused
from ccserver.model.user import Principal

_log = logging.getLogger(__name__)

LONGEST_PASSWORD = 72  # bytes; bcrypt ignores or refuses what follows
COST = 10
LOCAL = 0


class PasswordError(ValueError):
    """The password cannot be stored."""


def hash_password(password: str) -> str:
    """bcrypt hash; raises PasswordError when the password is longer than 72 bytes. Takes some 50 ms."""
    raw = password.encode()
    if len(raw) > LONGEST_PASSWORD:
        raise PasswordError(f"the password has {len(raw)} bytes, at most {LONGEST_PASSWORD} are possible")
    return bcrypt.hashpw(raw, bcrypt.gensalt(COST)).decode()


def check_password(password: str, hashed: str) -> bool:
    """False for a mismatch, an unusable hash, an empty hash and an over-long password alike."""
    raw = password.encode()
    if not hashed or len(raw) > LONGEST_PASSWORD or b"\0" in raw:
        return False
    if hashed.startswith("$2y$"):
        hashed = "$2b$" + hashed[4:]  # same algorithm, other spelling
    try:
        return bcrypt.checkpw(raw, hashed.encode())
    except ValueError:
        return False


@cache
def _nobodys_hash() -> str:
    return hash_password("nobody has this password")


def refuse_slowly(password: str) -> None:
    """Spend the time of a comparison, so that unknown names cannot be told from wrong passwords."""
    check_password(password, _nobodys_hash())


class LocalAuthenticator:
    """Decides for accounts whose source is the local password."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def claims(self, attempt: LoginAttempt, account: Principal | None) -> bool:
        return account is not None and account.source == LOCAL

    def authenticate(self, attempt: LoginAttempt, account: Principal | None) -> Principal:
        if account is None:
            raise LoginRefused(WRONG_CREDENTIALS)
        hashed = self._accounts.password_hash(account.username) or ""
        if not hashed:
            refuse_slowly(attempt.password)
        if not check_password(attempt.password, hashed):
            _log.warning("login of %r from %s failed: wrong password", attempt.username, attempt.peer)
            raise LoginRefused(WRONG_CREDENTIALS)
        return account
