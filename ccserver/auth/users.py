"""Accounts and their settings in the database. Contract: spec/operations.md 2.4, 6.1, 6.3."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import bcrypt
import orjson
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from ccserver.auth.passing_settings import LARGEST, PassingSettings
from ccserver.database import Database
from ccserver.database.tables import configuration, hpc_user
from ccserver.model.user import ASSIGNABLE_ROLES, Principal

log = logging.getLogger(__name__)

BCRYPT_COST = 10
MAX_PASSWORD_BYTES = 72  # bcrypt ignores what follows, or raises, depending on the library


class UserError(ValueError):
    """A change to an account is refused; the message says why."""


class UserExists(UserError):
    """An account of that name exists already."""


class UserMissing(UserError):
    """There is no account of that name."""


def decoded_setting(key: str, text: str) -> Any:
    """The value behind the JSON text of a setting. Raises UserError for what is not JSON.

    Pages carry all settings of their user: one that cannot be written as JSON again would break them all.
    """
    try:
        value = orjson.loads(text)
        orjson.dumps({"config": {key: value}})
    except (ValueError, TypeError) as error:
        raise UserError(f"setting {key!r}: the value is not JSON: {error}") from error
    return value


# Compared against when the account is unknown or has no password, so that both take as long as a real check.
# Of random bytes nobody kept, at BCRYPT_COST; written down because computing one costs every start 100 ms.
_DUMMY_HASH = b"$2b$10$JZ7uFq9yQsKDs8r8fu9RE.PvNiIXy2W3iZdQd69xF1F7VuHKCjFRm"

_COLUMNS = (hpc_user.c.username, hpc_user.c.ldap, hpc_user.c.name, hpc_user.c.roles, hpc_user.c.email,
            hpc_user.c.projects)  # fmt: skip


class UserRepository:
    """Reads and writes table `hpc_user` and each user's rows of `configuration`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._passing = PassingSettings()

    def get(self, username: str) -> Principal | None:
        return self.get_many([username]).get(username)

    def get_many(self, usernames: Iterable[str]) -> dict[str, Principal]:
        """The accounts that exist among `usernames`."""
        wanted = sorted(set(usernames))
        with self._database.read() as connection:
            rows = connection.execute(select(*_COLUMNS).where(hpc_user.c.username.in_(wanted)))
            return {row.username: _principal(row) for row in rows}

    def list(self, *, not_just_user: bool = False) -> Sequence[Principal]:
        """All accounts by name; `not_just_user` leaves out those with no role or only the role user."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(hpc_user.c.username))
            accounts = [_principal(row) for row in rows]
        if not_just_user:
            return [
                account for account in accounts if account.roles not in (frozenset(), frozenset({"user"}))
            ]
        return accounts

    def search(self, text: str) -> Sequence[Principal]:
        """Accounts whose real name contains `text`, case-insensitively for ASCII letters."""
        condition = hpc_user.c.name.contains(text, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(select(*_COLUMNS).where(condition).order_by(hpc_user.c.username))
            return [_principal(row) for row in rows]

    def find_like(self, text: str, limit: int) -> Sequence[Principal]:
        """Accounts whose user name or real name contains `text`, by user name; at most `limit`."""
        query = (
            select(*_COLUMNS)
            .where(
                or_(
                    hpc_user.c.username.contains(text, autoescape=True),
                    hpc_user.c.name.contains(text, autoescape=True),
                )
            )
            .order_by(hpc_user.c.username)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_principal(row) for row in connection.execute(query)]

    def password_hash(self, username: str) -> str | None:
        """The stored bcrypt hash; None when the account is unknown or has no password."""
        with self._database.read() as connection:
            stored = connection.execute(
                select(hpc_user.c.password).where(hpc_user.c.username == username)
            ).scalar()
        return stored or None

    def verify_password(self, username: str, password: str) -> Principal | None:
        """The local account that this password opens, or None.

        Always computes one bcrypt hash, whether or not the account exists, has a password or the password is
        too long to be one: how long it takes tells nothing about which accounts exist. Tens of ms.
        """
        account = self.get(username)
        local = account is not None and account.source == 0
        stored = self.password_hash(username) if local else None
        secret = password.encode("utf-8", "surrogatepass")
        usable = stored is not None and 0 < len(secret) <= MAX_PASSWORD_BYTES and b"\0" not in secret
        try:
            matches = bcrypt.checkpw(
                secret if usable else b"-", stored.encode() if usable and stored else _DUMMY_HASH
            )
        except ValueError:  # not a bcrypt hash
            log.warning("user %s: the stored password hash cannot be read", username)
            bcrypt.checkpw(b"-", _DUMMY_HASH)
            matches = False
        return account if usable and matches else None

    def add(
        self,
        username: str,
        roles: Iterable[str],
        password: str = "",
        name: str = "",
        email: str = "",
        projects: Iterable[str] = (),
        source: int = 0,
    ) -> Principal:
        """Create an account; an empty password makes one that cannot log in by password.

        Raises UserExists, or UserError for an empty name, an unknown role or a password bcrypt would cut off.
        """
        if not username:
            raise UserError("the username must not be empty")
        ordered = list(dict.fromkeys(role.lower() for role in roles))
        for role in ordered:
            _check_role(role)
        stored = hash_password(password) if password else None
        owned = [project for project in dict.fromkeys(projects) if project]
        row = {
            "username": username,
            "password": stored,
            "ldap": source,
            "name": name,
            "roles": json.dumps(ordered),
            "email": email,
            "projects": json.dumps(owned),
        }
        try:
            self._database.write(lambda connection: connection.execute(insert(hpc_user).values(row)).close())
        except IntegrityError as error:
            raise UserExists(f"adding user failed: user {username!r} exists already") from error
        return Principal(username, frozenset(ordered), tuple(owned), name, email, source)

    def take_over(self, principal: Principal) -> bool:
        """Store somebody another authority vouches for, without password; False when the name exists already.

        Logins and a directory synchronisation may do so at the same time.
        """
        statement = upsert(hpc_user).values(
            username=principal.username,
            password=None,
            ldap=principal.source,
            name=principal.name,
            roles=json.dumps(sorted(principal.roles)),
            email=principal.email,
            projects=json.dumps(list(principal.projects)),
        )
        statement = statement.on_conflict_do_nothing(index_elements=["username"])
        return self._database.write(lambda connection: connection.execute(statement).rowcount) > 0

    def names_of_source(self, source: int) -> set[str]:
        """Names of all accounts that came from there."""
        with self._database.read() as connection:
            rows = connection.execute(select(hpc_user.c.username).where(hpc_user.c.ldap == source))
            return set(rows.scalars())

    def delete(self, username: str) -> None:
        """Remove an account and its settings; an unknown name is no error."""
        self._database.write(
            lambda connection: connection.execute(
                delete(hpc_user).where(hpc_user.c.username == username)
            ).close()
        )
        self._passing.forget(username)

    def set_password(self, username: str, password: str) -> None:
        self._change(username, password=hash_password(password))

    def synchronise(self, principal: Principal) -> None:
        """Store name, roles and projects of an existing account as given; the rest stays."""
        self._change(
            principal.username,
            name=principal.name,
            roles=json.dumps(sorted(principal.roles)),
            projects=json.dumps(list(principal.projects)),
        )

    def add_role(self, username: str, role: str) -> None:
        role = role.lower()
        _check_role(role)
        account = self._existing(username)
        if role in account.roles:
            raise UserError(f"user {username!r} already has role: {role}")
        self.synchronise(replace(account, roles=account.roles | {role}))

    def remove_role(self, username: str, role: str) -> None:
        role = role.lower()
        _check_role(role)
        account = self._existing(username)
        if role not in account.roles:
            raise UserError(f"user {username!r} does not have role: {role}")
        if role == "manager" and account.projects:
            raise UserError(
                f"cannot remove role manager while user {username!r} still manages projects: "
                f"{', '.join(account.projects)}"
            )
        self.synchronise(replace(account, roles=account.roles - {role}))

    def add_project(self, username: str, project: str) -> None:
        account = self._manager(username)
        if project in account.projects:
            raise UserError(f"user {username!r} already manages project: {project}")
        self.synchronise(replace(account, projects=(*account.projects, project)))

    def remove_project(self, username: str, project: str) -> None:
        account = self._manager(username)
        if project not in account.projects:
            raise UserError(f"user {username!r} does not manage project: {project}")
        left = tuple(other for other in account.projects if other != project)
        self.synchronise(replace(account, projects=left))

    def configuration(self, username: str) -> dict[str, Any]:
        """The user's own settings, decoded; rows whose value is not JSON are skipped with a warning."""
        query = select(configuration.c.confkey, configuration.c.value).where(
            configuration.c.username == username
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        settings = self._passing.of(username)
        for key, value in rows:
            try:
                settings[key] = decoded_setting(key, value or "")
            except UserError:
                log.warning("user %s: setting %s is not JSON and is ignored", username, key)
        return settings

    def settings_of_all(self, key: str) -> Sequence[tuple[str, Any]]:
        """One setting of every account that has it, decoded, by user name; what is no JSON is left out."""
        query = (
            select(configuration.c.username, configuration.c.value)
            .where(configuration.c.confkey == key)
            .order_by(configuration.c.username)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        found: list[tuple[str, Any]] = []
        for username, value in rows:
            with suppress(UserError):
                found.append((username, decoded_setting(key, value or "")))
        return found

    def set_configuration(self, username: str, key: str, value: str) -> None:
        """Store one setting; `value` is JSON text. Raises UserError when it is not.

        Of somebody without an account it is kept until the process ends; UserError when that grows too large.
        """
        decoded = decoded_setting(key, value)
        statement = upsert(configuration).values(username=username, confkey=key, value=value)
        statement = statement.on_conflict_do_update(
            index_elements=["username", "confkey"], set_={"value": statement.excluded.value}
        )
        try:
            self._database.write(lambda connection: connection.execute(statement).close())
        except IntegrityError:  # the row refers to the account
            if not self._passing.put(username, key, value, decoded):
                raise UserError(
                    f"setting {key!r}: without an account, all settings may take {LARGEST} bytes"
                ) from None

    def _existing(self, username: str) -> Principal:
        account = self.get(username)
        if account is None:
            raise UserMissing(f"unknown user: {username!r}")
        return account

    def _manager(self, username: str) -> Principal:
        account = self._existing(username)
        if "manager" not in account.roles:
            raise UserError(f"user {username!r} is not a manager, projects belong to managers only")
        return account

    def _change(self, username: str, **values: str) -> None:
        statement = update(hpc_user).where(hpc_user.c.username == username).values(**values)
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise UserMissing(f"unknown user: {username!r}")


def hash_password(password: str) -> str:
    """A bcrypt hash of cost 10; raises UserError for what bcrypt cannot hold in full."""
    secret = password.encode("utf-8", "surrogatepass")
    if len(secret) > MAX_PASSWORD_BYTES:
        raise UserError(f"the password has {len(secret)} bytes, at most {MAX_PASSWORD_BYTES} are possible")
    if b"\0" in secret:
        raise UserError("the password must not contain a NUL character")
    return bcrypt.hashpw(secret, bcrypt.gensalt(BCRYPT_COST)).decode("ascii")


def _check_role(role: str) -> None:
    if role not in ASSIGNABLE_ROLES:
        raise UserError(f"supplied role is no valid option : {role}")


def _principal(row: Any) -> Principal:
    return Principal(
        username=row.username,
        roles=frozenset(_texts(row.roles)),
        projects=tuple(project for project in _texts(row.projects) if project),
        name=row.name or "",
        email=row.email or "",
        source=row.ldap,
    )


def _texts(stored: str | None) -> list[str]:
    try:
        values = json.loads(stored or "[]")
    except ValueError:
        return []
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
