"""Accounts from a directory. Source: spec/operations.md 2.5.

Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from ccserver.auth.login import WRONG_CREDENTIALS, LoginAttempt, LoginRefused
from ccserver.config.sections import Ldap
from ccserver.model.user import SOURCE_LDAP, Principal

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 10  # seconds
_OPERATION_TIMEOUT = 30  # seconds
_PAGE = 500  # entries per answer of a synchronisation; many servers refuse to send more than 1000 at once
_UNAVAILABLE = "The directory cannot be reached, try again later"


class DirectoryError(Exception):
    """The directory is out of reach or says something unusable; nothing was changed."""


class DirectoryAccounts(Protocol):
    """What the directory needs to know and change of our own accounts."""

    def get(self, username: str) -> Principal | None: ...

    def take_over(self, principal: Principal) -> bool: ...

    def synchronise(self, principal: Principal) -> None: ...

    def names_of_source(self, source: int) -> set[str]: ...

    def delete(self, username: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SyncReport:
    """How many accounts a synchronisation created and deleted."""

    created: int = 0
    deleted: int = 0


class Directory:
    """An LDAP server; every operation uses a connection of its own."""

    def __init__(self, options: Ldap, password: str | None) -> None:
        self._options = options
        self._password = password or ""
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED) if options.url.startswith("ldaps:") else None
        self._server = ldap3.Server(
            options.url, get_info=ldap3.NONE, connect_timeout=_CONNECT_TIMEOUT, tls=tls
        )

    def opens(self, username: str, password: str) -> bool:
        """Whether the directory accepts this password; raises DirectoryError.

        An empty one is never asked about: servers take a bind without password for an anonymous one.
        """
        if not password or not _plain(username):
            return False
        name = self._options.user_bind.replace("{username}", escape_rdn(username))
        try:
            with self._connection(name, password):
                return True
        except LDAPInvalidCredentialsResult:
            return False
        except LDAPException as error:
            raise DirectoryError(f"{self._options.url}: {_reason(error)}") from error

    def find(self, username: str) -> Principal | None:
        """The one entry with this login name; None also when there are several. Raises DirectoryError."""
        if not _plain(username):
            return None
        options = self._options
        wanted = f"(&{options.user_filter}({options.uid_attr}={escape_filter_chars(username)}))"
        try:
            with self._connection(options.search_dn, self._password) as connection:
                entries = list(_entries(connection.search(**self._search(wanted), size_limit=2)))
        except LDAPException as error:
            raise DirectoryError(f"{options.url}: {_reason(error)}") from error
        if len(entries) != 1:
            return None
        # The server compares without regard to case: "ANN" must not become an account beside "ann".
        known = _values(entries[0], options.uid_attr)
        return self._principal(username, entries[0]) if username in known else None

    def list(self) -> dict[str, Principal]:
        """Everybody the user filter finds; raises DirectoryError, also for an entry without login name."""
        options = self._options
        found: dict[str, Principal] = {}
        try:
            with self._connection(options.search_dn, self._password) as connection:
                pages = connection.extend.standard.paged_search(
                    **self._search(options.user_filter), paged_size=_PAGE, generator=True
                )
                for entry in _entries((True, None, pages, None)):
                    names = _values(entry, options.uid_attr)
                    if not names or not names[0]:
                        raise DirectoryError(f"{entry['dn']}: has no attribute {options.uid_attr}")
                    found[names[0]] = self._principal(names[0], entry)
        except LDAPException as error:
            raise DirectoryError(f"{options.url}: {_reason(error)}") from error
        return found

    def _search(self, search_filter: str) -> dict[str, Any]:
        return {
            "search_base": self._options.user_base,
            "search_filter": search_filter,
            "search_scope": ldap3.SUBTREE,
            "dereference_aliases": ldap3.DEREF_NEVER,
            "attributes": [self._options.uid_attr, self._options.username_attr],
            "time_limit": _OPERATION_TIMEOUT,
        }

    def _principal(self, username: str, entry: dict[str, Any]) -> Principal:
        name = next(iter(_values(entry, self._options.username_attr)), "")
        return Principal(username, frozenset({"user"}), name=name, source=SOURCE_LDAP)

    @contextmanager
    def _connection(self, name: str, password: str) -> Iterator[ldap3.Connection]:
        """Bound as `name`; raises LDAPException."""
        connection = ldap3.Connection(
            self._server,
            name,
            password,
            client_strategy=ldap3.SAFE_SYNC,
            receive_timeout=_OPERATION_TIMEOUT,
            auto_referrals=False,
            check_names=False,
            raise_exceptions=True,
        )
        try:
            connection.bind()
            yield connection
        finally:
            try:
                connection.unbind()
            except (LDAPException, OSError):
                _log.debug("a connection to the directory broke while it was closed", exc_info=True)


class LdapAuthenticator:
    """Decides for accounts that came from the directory, and for unknown names it is asked about."""

    def __init__(self, directory: Directory, options: Ldap, accounts: DirectoryAccounts) -> None:
        self._directory = directory
        self._options = options
        self._accounts = accounts

    def claim(self, attempt: LoginAttempt, account: Principal | None) -> Callable[[], Principal] | None:
        if account is not None:
            return partial(self._prove, attempt, account, None) if account.source == SOURCE_LDAP else None
        # Without a password there is nothing to prove, so nobody needs to be looked up.
        if not attempt.username or not attempt.password or not self._options.sync_user_on_login:
            return None
        try:
            found = self._directory.find(attempt.username)
        except DirectoryError as error:
            _log.error("login of %r: %s", attempt.username, error)
            return None
        return partial(self._prove, attempt, None, found) if found is not None else None

    def _prove(self, attempt: LoginAttempt, account: Principal | None, found: Principal | None) -> Principal:
        try:
            proven = self._directory.opens(attempt.username, attempt.password)
        except DirectoryError as error:
            _log.error("login of %r: %s", attempt.username, error)
            raise LoginRefused(_UNAVAILABLE) from None
        if not proven:
            _log.warning("login of %r from %s failed: wrong password", attempt.username, attempt.peer)
            raise LoginRefused(WRONG_CREDENTIALS)
        if found is not None:  # only now: a failed login leaves nothing behind
            self._accounts.take_over(found)
            return self._accounts.get(found.username) or found
        assert account is not None
        return self._refreshed(account) if self._options.update_user_on_login else account

    def _refreshed(self, account: Principal) -> Principal:
        """With the name of today. Roles and projects are kept here, the directory knows nothing of them."""
        try:
            found = self._directory.find(account.username)
        except DirectoryError as error:
            _log.warning("name of %r not refreshed: %s", account.username, error)
            return account
        if found is None or found.name == account.name:
            return account
        renamed = replace(account, name=found.name)
        self._accounts.synchronise(renamed)
        return renamed


def synchronise_directory(directory: Directory, options: Ldap, accounts: DirectoryAccounts) -> SyncReport:
    """Create accounts that only the directory has, delete those it lost if so configured.

    Raises DirectoryError. A directory that is empty all at once is a broken one: nobody is deleted then.
    """
    there, here = directory.list(), accounts.names_of_source(SOURCE_LDAP)
    created = sum(accounts.take_over(there[name]) for name in sorted(there.keys() - here))
    gone = sorted(here - there.keys()) if options.sync_del_old_users else []
    if gone and not there:
        _log.error("the directory has no user at all: none of %d accounts is deleted", len(gone))
        gone = []
    for name in gone:
        accounts.delete(name)
    if created or gone:
        _log.info("directory: %d accounts created, %d deleted", created, len(gone))
    return SyncReport(created, len(gone))


def _plain(username: str) -> bool:
    """Directories know no login name with control characters; the escape rules of a DN differ about them."""
    return bool(username) and username.isprintable()


def _entries(answer: Any) -> Iterator[dict[str, Any]]:
    """Entries of an answer of the strategy SAFE_SYNC: status, result, response, request."""
    for entry in answer[2] or ():
        if entry.get("type") == "searchResEntry":
            yield entry


def _values(entry: dict[str, Any], attribute: str) -> list[str]:
    """Values of an attribute as text; the server may spell its name differently."""
    for name, value in entry["attributes"].items():
        if name.lower() == attribute.lower():
            values = value if isinstance(value, list) else [value]
            return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in values]
    return []


def _reason(error: LDAPException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
