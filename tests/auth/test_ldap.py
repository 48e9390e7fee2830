"""Accounts from a real directory server. Contract: spec/operations.md 2.5, S17."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ccserver.auth import ldap
from ccserver.auth.ldap import (
    Directory,
    DirectoryError,
    LdapAuthenticator,
    synchronise_directory,
)
from ccserver.auth.local import LocalAuthenticator
from ccserver.auth.login import LoginAttempt, LoginDispatcher, LoginLimiter, LoginRefused
from ccserver.auth.users import UserRepository
from ccserver.config.sections import Ldap
from ccserver.model.user import SOURCE_LDAP
from tests.auth.slapd import ADMIN, ADMIN_PASSWORD, SUFFIX, directory, person
from tests.server.running import free_port

CROWD = [f"u{number:03}" for number in range(120)]  # more than the server sends at once
PEOPLE = (
    person("ann", "Ann Example", "secret")
    + person("bob", "Bob Example", "geheim")
    + person("a*b", "Star", "secret")
    + person("a\\,ou\\3dx", "Comma", "secret").replace("uid: a\\,ou\\3dx", "uid: a,ou=x")
    + "".join(person(name, name.upper(), "secret") for name in CROWD)
)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, Path]]:
    folder = tmp_path_factory.mktemp("ldap") / "slapd"
    with directory(folder, PEOPLE) as (plain, secure):
        yield plain, secure, folder


@pytest.fixture
def options(ports: tuple[int, int, Path]) -> Ldap:
    return Ldap(
        url=f"ldap://127.0.0.1:{ports[0]}",
        user_base=f"ou=people,{SUFFIX}",
        search_dn=ADMIN,
        user_bind=f"uid={{username}},ou=people,{SUFFIX}",
        user_filter="(&(objectclass=posixAccount))",
        sync_user_on_login=True,
    )


def dispatcher(options: Ldap, users: UserRepository, password: str = ADMIN_PASSWORD) -> LoginDispatcher:
    entrance = LdapAuthenticator(Directory(options, password), options, users)
    return LoginDispatcher(users, [entrance, LocalAuthenticator(users)], LoginLimiter())


def attempt(username: str, password: str) -> LoginAttempt:
    return LoginAttempt(username, password, "127.0.0.1")


def test_an_unknown_user_becomes_an_account(options: Ldap, users: UserRepository) -> None:
    principal = dispatcher(options, users).log_in(attempt("ann", "secret"))
    assert (principal.name, principal.roles, principal.source) == ("Ann Example", {"user"}, SOURCE_LDAP)
    assert users.get("ann") == principal
    assert users.password_hash("ann") is None


def test_a_wrong_password_leaves_no_account_behind(options: Ldap, users: UserRepository) -> None:
    with pytest.raises(LoginRefused, match="Wrong user name or password"):
        dispatcher(options, users).log_in(attempt("ann", "wrong"))
    assert users.get("ann") is None


def test_roles_and_projects_are_ours(options: Ldap, users: UserRepository) -> None:
    users.add("ann", ["manager", "admin"], name="Old", projects=["lab"], source=SOURCE_LDAP)
    renaming = replace(options, update_user_on_login=True)
    principal = dispatcher(renaming, users).log_in(attempt("ann", "secret"))
    assert (principal.name, principal.roles) == ("Ann Example", {"manager", "admin"})
    assert users.get("ann") == principal
    users.synchronise(replace(principal, name="Old"))
    assert dispatcher(options, users).log_in(attempt("ann", "secret")).name == "Old"


def test_only_configured_unknown_users_are_looked_up(options: Ldap, users: UserRepository) -> None:
    with pytest.raises(LoginRefused):
        dispatcher(replace(options, sync_user_on_login=False), users).log_in(attempt("ann", "secret"))
    assert users.get("ann") is None


def test_a_local_account_is_never_asked_about(options: Ldap, users: UserRepository) -> None:
    users.add("ann", ["user"], "local password")
    with pytest.raises(LoginRefused):
        dispatcher(options, users).log_in(attempt("ann", "secret"))
    assert dispatcher(options, users).log_in(attempt("ann", "local password")).source == 0


@pytest.mark.parametrize("known", [True, False])
def test_an_empty_password_opens_nothing(options: Ldap, users: UserRepository, known: bool) -> None:
    if known:
        users.add("ann", ["user"], source=SOURCE_LDAP)
    assert not Directory(options, ADMIN_PASSWORD).opens("ann", "")
    with pytest.raises(LoginRefused, match="Wrong user name or password"):
        dispatcher(options, users).log_in(attempt("ann", ""))


@pytest.mark.parametrize("name", ["*", "a*", "a)(uid=*", "*)(uid=ann", "ann)(|(uid=*", "\\2a", "ann\0", ""])
def test_names_are_no_patterns(options: Ldap, name: str) -> None:
    assert Directory(options, ADMIN_PASSWORD).find(name) is None


@pytest.mark.parametrize("name", ["a*b", "a,ou=x"])
def test_odd_names_are_taken_literally(options: Ldap, users: UserRepository, name: str) -> None:
    assert dispatcher(options, users).log_in(attempt(name, "secret")).username == name


def test_a_name_cannot_reach_another_entry(options: Ldap) -> None:
    # Unescaped this would bind as somebody else: "uid=x,..." with the rest of the template behind it.
    elsewhere = replace(options, user_bind="uid={username}")
    assert not Directory(elsewhere, ADMIN_PASSWORD).opens(f"ann,ou=people,{SUFFIX}", "secret")
    assert Directory(options, ADMIN_PASSWORD).opens("ann", "secret")


def test_the_case_of_a_name_makes_no_second_account(options: Ldap, users: UserRepository) -> None:
    with pytest.raises(LoginRefused):
        dispatcher(options, users).log_in(attempt("ANN", "secret"))
    assert users.get("ANN") is None


def test_synchronising_creates_and_deletes(
    options: Ldap, users: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "_PAGE", 50)
    users.add("gone", ["user"], source=SOURCE_LDAP)
    users.add("local", ["user"], "secret")
    users.add("bob", ["admin"], name="Robert", source=SOURCE_LDAP)
    reader = Directory(options, ADMIN_PASSWORD)
    report = synchronise_directory(reader, options, users)
    assert (report.created, report.deleted) == (len(CROWD) + 3, 0)
    assert users.get("u119") is not None
    bob = users.get("bob")
    assert bob is not None
    assert (bob.name, bob.roles) == ("Robert", {"admin"})
    thorough = replace(options, sync_del_old_users=True)
    assert synchronise_directory(reader, thorough, users).deleted == 1
    assert users.get("gone") is None
    assert users.get("local") is not None


def test_an_empty_directory_deletes_nobody(
    options: Ldap, users: UserRepository, caplog: pytest.LogCaptureFixture
) -> None:
    users.add("ann", ["user"], source=SOURCE_LDAP)
    nobody = replace(options, user_filter="(uid=nobody)", sync_del_old_users=True)
    assert synchronise_directory(Directory(nobody, ADMIN_PASSWORD), nobody, users).deleted == 0
    assert users.get("ann") is not None
    assert "none of 1 accounts is deleted" in caplog.text


def test_an_entry_without_login_name_ends_the_synchronisation(options: Ldap, users: UserRepository) -> None:
    wide = replace(options, user_base=SUFFIX, user_filter="(objectclass=*)", sync_del_old_users=True)
    users.add("gone", ["user"], source=SOURCE_LDAP)
    with pytest.raises(DirectoryError, match="has no attribute uid"):
        synchronise_directory(Directory(wide, ADMIN_PASSWORD), wide, users)
    assert users.names_of_source(SOURCE_LDAP) == {"gone"}


def test_a_directory_out_of_reach_says_so(options: Ldap, users: UserRepository) -> None:
    users.add("ann", ["user"], source=SOURCE_LDAP)
    nowhere = replace(options, url=f"ldap://127.0.0.1:{free_port()}")
    with pytest.raises(LoginRefused, match="cannot be reached"):
        dispatcher(nowhere, users).log_in(attempt("ann", "secret"))
    with pytest.raises(DirectoryError):
        synchronise_directory(Directory(nowhere, ADMIN_PASSWORD), nowhere, users)


def test_a_wrong_search_password_is_an_error_of_the_synchronisation(options: Ldap) -> None:
    with pytest.raises(DirectoryError, match="LDAPInvalidCredentials"):
        Directory(options, "wrong").list()


def test_certificates_are_verified(
    options: Ldap, ports: tuple[int, int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = replace(options, url=f"ldaps://127.0.0.1:{ports[1]}")
    with pytest.raises(DirectoryError, match=r"(?i)certificate"):
        Directory(secure, ADMIN_PASSWORD).opens("ann", "secret")
    monkeypatch.setenv("SSL_CERT_FILE", str(ports[2] / "server.crt"))
    assert Directory(secure, ADMIN_PASSWORD).opens("ann", "secret")


def test_a_silent_directory_is_given_up(
    options: Ldap, users: UserRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "_OPERATION_TIMEOUT", 1)
    monkeypatch.setattr(ldap, "_CONNECT_TIMEOUT", 1000)
    users.add("ann", ["user"], source=SOURCE_LDAP)
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as pool:
        silent = replace(options, url=f"ldap://127.0.0.1:{listening.getsockname()[1]}")
        login = pool.submit(dispatcher(silent, users).log_in, attempt("ann", "secret"))
        accepted, _ = listening.accept()
        try:
            assert "cannot be reached" in str(login.exception(20))
        finally:
            accepted.close()
