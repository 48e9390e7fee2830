"""Logging in with a password of our own accounts. Source: spec/operations.md 2.4."""

from __future__ import annotations

import logging

from ccserver.auth.login import WRONG_CREDENTIALS, Accounts, LoginAttempt, LoginRefused
from ccserver.model.user import Principal

_log = logging.getLogger(__name__)

LOCAL = 0


class LocalAuthenticator:
    """Decides for accounts whose source is the local password."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def claims(self, attempt: LoginAttempt, account: Principal | None) -> bool:
        return account is not None and account.source == LOCAL

    def authenticate(self, attempt: LoginAttempt, account: Principal | None) -> Principal:
        proven = self._accounts.verify_password(attempt.username, attempt.password)
        if proven is None:
            _log.warning("login of %r from %s failed: wrong password", attempt.username, attempt.peer)
            raise LoginRefused(WRONG_CREDENTIALS)
        return proven
