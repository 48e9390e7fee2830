"""Accounts: passwords, roles, projects and settings."""

from __future__ import annotations

import bcrypt
import pytest
from sqlalchemy import update

from ccserver.auth.passing_settings import MOST_USERS
from ccserver.auth.users import UserError, UserExists, UserMissing, UserRepository
from ccserver.database import Database
from ccserver.database.tables import configuration, hpc_user
from ccserver.model.user import Principal


@pytest.fixture
def users(database: Database) -> UserRepository:
    return UserRepository(database)


def test_an_account_comes_back_as_it_was_added(users: UserRepository) -> None:
    added = users.add(
        "alice", ["Manager", "api", "manager"], "secret", "Alice A.", "a@example.org", ["physics"]
    )
    expected = Principal("alice", frozenset({"manager", "api"}), ("physics",), "Alice A.", "a@example.org", 0)
    assert added == users.get("alice") == expected
    assert users.get("bob") is None
    assert users.get_many(["alice", "bob", "alice"]) == {"alice": expected}


def test_names_are_unique(users: UserRepository) -> None:
    users.add("alice", ["user"], "secret")
    with pytest.raises(UserExists, match="adding user failed"):
        users.add("alice", ["admin"], "other")


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [("", "user", "x"), ("bob", "wizard", "x"), ("bob", "anonymous", "x"), ("bob", "user", "x" * 73),
     ("bob", "user", "ä" * 37), ("bob", "user", "a\0b")],
)  # fmt: skip
def test_what_cannot_be_an_account(users: UserRepository, name: str, role: str, password: str) -> None:
    with pytest.raises(UserError):
        users.add(name, [role], password)
    assert users.list() == []


def test_passwords(users: UserRepository) -> None:
    users.add("alice", ["user"], "sécret:with:colons")
    users.add("robot", ["api"])
    stored = users.password_hash("alice")
    assert stored is not None
    assert stored.startswith("$2b$10$")
    assert users.verify_password("alice", "sécret:with:colons") == users.get("alice")
    for name, password in [
        ("alice", "wrong"), ("alice", ""), ("alice", "x" * 100), ("alice", "a\0"), ("alice", "\ud800"),
        ("robot", ""), ("robot", "-"), ("nobody", "x"), ("nobody", "-"),
    ]:  # fmt: skip
        assert users.verify_password(name, password) is None, (name, password)


def test_only_the_first_72_bytes_never_decide(users: UserRepository) -> None:
    users.add("alice", ["user"], "x" * 72)
    assert users.verify_password("alice", "x" * 72) is not None
    assert users.verify_password("alice", "x" * 73) is None


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_hashes_of_other_programs_are_accepted(
    users: UserRepository, database: Database, prefix: bytes
) -> None:
    users.add("alice", ["user"], "other")
    foreign = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).replace(b"$2b$", b"$" + prefix + b"$").decode()
    change = update(hpc_user).values(password=foreign)
    database.write(lambda connection: connection.execute(change).close())
    assert users.verify_password("alice", "secret") is not None
    assert users.verify_password("alice", "other") is None


def test_a_broken_hash_opens_nothing(users: UserRepository, database: Database) -> None:
    users.add("alice", ["user"], "secret")
    database.write(lambda connection: connection.execute(update(hpc_user).values(password="secret")).close())
    assert users.verify_password("alice", "secret") is None


def test_a_password_opens_local_accounts_only(users: UserRepository) -> None:
    users.add("ldap", ["user"], "secret", source=1)
    assert users.verify_password("ldap", "secret") is None


def test_every_check_computes_one_hash(users: UserRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a login takes must not tell which accounts exist."""
    users.add("alice", ["user"], "secret")
    users.add("robot", ["api"])
    costs: list[str] = []
    check = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        costs.append(hashed[4:6].decode() if isinstance(hashed, bytes) else hashed[4:6])
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for name, password in (
        ("alice", "secret"),
        ("alice", "x"),
        ("alice", "x" * 99),
        ("robot", "x"),
        ("nobody", "x"),
    ):
        costs.clear()
        users.verify_password(name, password)
        assert costs == ["10"], (name, password)


def test_lists(users: UserRepository) -> None:
    for name, roles in (
        ("zoe", ["admin"]),
        ("bob", ["user"]),
        ("robot", ["api"]),
        ("eve", []),
        ("max", ["user", "api"]),
    ):
        users.add(name, roles, name=name.title())
    assert [one.username for one in users.list()] == ["bob", "eve", "max", "robot", "zoe"]
    assert [one.username for one in users.list(not_just_user=True)] == ["max", "robot", "zoe"]
    assert [one.username for one in users.search("o")] == ["bob", "robot", "zoe"]
    assert users.search("%") == []


def test_deleting_takes_the_settings_along(users: UserRepository, database: Database) -> None:
    users.add("alice", ["user"])
    users.set_configuration("alice", "plotsPerRow", "3")
    users.delete("alice")
    users.delete("alice")
    assert users.get("alice") is None
    with database.read() as connection:
        assert connection.execute(configuration.select()).all() == []


def test_roles(users: UserRepository) -> None:
    users.add("alice", ["user"])
    users.add_role("alice", "Manager")
    users.add_project("alice", "physics")
    account = users.get("alice")
    assert account is not None
    assert (account.roles, account.projects) == (frozenset({"user", "manager"}), ("physics",))
    for refused in (
        lambda: users.add_role("alice", "manager"),
        lambda: users.add_role("alice", "wizard"),
        lambda: users.remove_role("alice", "admin"),
        lambda: users.remove_role("alice", "manager"),  # still has a project
        lambda: users.add_project("alice", "physics"),
        lambda: users.remove_project("alice", "biology"),
    ):
        with pytest.raises(UserError):
            refused()
    users.remove_project("alice", "physics")
    users.remove_role("alice", "manager")
    with pytest.raises(UserError, match="not a manager"):
        users.add_project("alice", "physics")
    for missing in (lambda: users.add_role("bob", "user"), lambda: users.set_password("bob", "x")):
        with pytest.raises(UserMissing):
            missing()


def test_settings_are_json_text(users: UserRepository, database: Database) -> None:
    users.add("alice", ["user"])
    users.set_configuration("alice", "paging", "true")
    users.set_configuration("alice", "metrics", '["cpu_load", "mem_bw"]')
    users.set_configuration("alice", "paging", "false")
    assert users.configuration("alice") == {"paging": False, "metrics": ["cpu_load", "mem_bw"]}
    with pytest.raises(UserError, match="not JSON"):
        users.set_configuration("alice", "paging", "yes")
    database.write(
        lambda connection: connection.execute(update(configuration).values(value="broken")).close()
    )
    assert users.configuration("alice") == {}


@pytest.mark.parametrize("value", ["", "{", "NaN", "1e999", '"\\ud800"', "[" * 300 + "]" * 300, "[" * 2000])
def test_settings_that_no_page_could_carry_are_refused(users: UserRepository, value: str) -> None:
    users.add("alice", ["user"])
    with pytest.raises(UserError, match="not JSON"):
        users.set_configuration("alice", "a", value)
    users.set_configuration("alice", "a", "123456789012345678901234567890")
    assert users.configuration("alice") == {"a": 123456789012345678901234567890.0}


def test_settings_without_an_account_last_until_the_end(users: UserRepository, database: Database) -> None:
    """No row is made: the name stays free for a later login by LDAP or OpenID Connect."""
    users.set_configuration("token", "paging", "true")
    users.set_configuration("token", "paging", "false")
    assert users.configuration("token") == {"paging": False}
    assert users.configuration("other") == {}
    assert users.get("token") is None
    assert UserRepository(database).configuration("token") == {}
    with pytest.raises(UserError, match="not JSON"):
        users.set_configuration("token", "paging", "no")
    users.add("token", ["user"])
    assert users.configuration("token") == {"paging": False}
    users.set_configuration("token", "paging", "3")
    assert users.configuration("token") == UserRepository(database).configuration("token") == {"paging": 3}
    users.delete("token")
    assert users.configuration("token") == {}


def test_settings_without_an_account_are_bounded(users: UserRepository) -> None:
    large = '"' + "x" * 40000 + '"'
    users.set_configuration("token", "a", large)
    users.set_configuration("token", "a", large)
    with pytest.raises(UserError, match="65536 bytes"):
        users.set_configuration("token", "b", large)
    assert set(users.configuration("token")) == {"a"}
    for number in range(MOST_USERS):
        users.set_configuration(f"other{number}", "a", "1")
    assert users.configuration("token") == {}
    assert users.configuration("other0") == {"a": 1}
