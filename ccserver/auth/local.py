"""Logging in with a password of our own accounts. Source: spec/operations.md 2.4."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from ccserver.auth.login import WRONG_CREDENTIALS, Accounts, LoginAttempt, LoginRefused
from ccserver.model.user import SOURCE_LOCAL, Principal

_log = logging.getLogger(__name__)


class LocalAuthenticator:
    """Decides for accounts whose source is the local password."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def claim(self, attempt: LoginAttempt, account: Principal | None) -> Callable[[], Principal] | None:
        if account is None or account.source != SOURCE_LOCAL:
            return None
        return partial(self._prove, attempt)

    def _prove(self, attempt: LoginAttempt) -> Principal:
        proven = self._accounts.verify_password(attempt.username, attempt.password)
        if proven is None:
            _log.warning("login of %r from %s failed: wrong password", attempt.username, attempt.peer)
            raise LoginRefused(WRONG_CREDENTIALS)
        return proven
