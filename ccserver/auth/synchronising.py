"""What a login by somebody else's word changes in our accounts. Source: spec/operations.md 2.10."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Protocol

from ccserver.model.user import Principal

_log = logging.getLogger(__name__)


class StoredAccounts(Protocol):
    """The part of the user repository that is needed here."""

    def get(self, username: str) -> Principal | None: ...

    def take_over(self, principal: Principal) -> bool: ...

    def synchronise(self, principal: Principal) -> None: ...


def synchronise_login(accounts: StoredAccounts, principal: Principal, *, create: bool, update: bool) -> None:
    """Store an unknown user, bring a known one up to date; a failure is logged, the login goes on."""
    try:
        account = accounts.get(principal.username)
        if account is None:
            if create and accounts.take_over(principal):
                _log.info("account of %r created at login", principal.username)
        elif update and (changed := updated(account, principal)) != account:
            accounts.synchronise(changed)
            _log.info("account of %r updated at login", principal.username)
    except Exception:
        _log.exception("the account of %r could not be synchronised", principal.username)


def updated(account: Principal, principal: Principal) -> Principal:
    """The stored account with what the login says: name, roles, and projects where managing is concerned."""
    changed = replace(account, name=principal.name, roles=principal.roles)
    before, after = account.roles, principal.roles
    becomes_manager = "user" in before and "manager" in after and "admin" not in after
    if "manager" in after and ("manager" in before or becomes_manager):
        return replace(changed, projects=principal.projects)
    if "manager" in before and not after & {"manager", "admin"}:
        return replace(changed, projects=())
    return changed
