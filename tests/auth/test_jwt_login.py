"""Login with a token of another site. Contract: spec/operations.md 2.7, 2.8, 2.10; S1, S15, S16."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ccserver.auth.jwt_login import CookieAuthenticator, SecretAuthenticator
from ccserver.auth.local import LocalAuthenticator
from ccserver.auth.login import LoginAttempt, LoginDispatcher, LoginLimiter, LoginRefused
from ccserver.auth.synchronising import updated
from ccserver.auth.users import UserRepository
from ccserver.config.sections import Jwts
from ccserver.model.user import SOURCE_TOKEN, Principal

SECRET = b"s" * 64
OWN, TRUSTED, FOREIGN = (Ed25519PrivateKey.generate() for _ in range(3))
ISSUER = "https://portal.example.org"
OPTIONS = Jwts(cookie_name="portal", trusted_issuer=ISSUER)
CLAIMS = {"sub": "ann", "roles": ["user"]}


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def by_secret(
    users: UserRepository, token: str, options: Jwts = OPTIONS, secret: bytes = SECRET
) -> Principal:
    login = LoginDispatcher(users, [SecretAuthenticator(secret, options, users)], LoginLimiter())
    return login.log_in(LoginAttempt("", "", "127.0.0.1", login_token=token))


def by_cookie(users: UserRepository, token: str, options: Jwts = OPTIONS) -> Principal:
    cookie = CookieAuthenticator(public(OWN), public(TRUSTED), options, users)
    login = LoginDispatcher(users, [cookie, LocalAuthenticator(users)], LoginLimiter())
    return login.log_in(LoginAttempt("", "", "127.0.0.1", cookies={"portal": token}))


def signed(claims: dict[str, Any], key: Any = SECRET, algorithm: str = "HS512") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def signed_with_nothing(claims: dict[str, Any]) -> str:
    """HS256 with an empty key; libraries refuse to make one."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(b"", message, "sha256")
    return (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_the_claims_are_the_principal(users: UserRepository, algorithm: str) -> None:
    claims = {
        "sub": "ann", "name": {"values": ["Ann", "M.", 7]}, "roles": ["admin", "wizard", 3, "api"],
        "projects": ["lab", None, "lab", "x"], "exp": int(time.time()) + 60,
    }  # fmt: skip
    principal = by_secret(users, signed(claims, algorithm=algorithm))
    assert principal == Principal(
        "ann", frozenset({"admin", "api"}), ("lab", "x"), "Ann M. 7", source=SOURCE_TOKEN
    )
    assert users.get("ann") is None


@pytest.mark.parametrize(("name", "shown"), [("Ann", "Ann"), (7, ""), ({"values": "x"}, ""), (None, "")])
def test_shapes_of_a_name(users: UserRepository, name: Any, shown: str) -> None:
    assert by_secret(users, signed(CLAIMS | {"name": name})).name == shown


def test_the_token_may_come_in_the_header(users: UserRepository) -> None:
    login = LoginDispatcher(users, [SecretAuthenticator(SECRET, OPTIONS, users)], LoginLimiter())
    for header in (f"Bearer {signed(CLAIMS)}", signed(CLAIMS)):
        attempt = LoginAttempt("", "", "127.0.0.1", authorization=header, login_token="ignored")
        assert login.log_in(attempt).username == "ann"


def test_a_proxy_with_basic_login_does_not_shadow_the_form(users: UserRepository) -> None:
    users.add("ute", ["user"], "secret")
    ways = [SecretAuthenticator(SECRET, OPTIONS, users), LocalAuthenticator(users)]
    attempt = LoginAttempt("ute", "secret", "127.0.0.1", authorization="Basic dXRlOng=")
    assert LoginDispatcher(users, ways, LoginLimiter()).log_in(attempt).username == "ute"


now = int(time.time())
BAD_BY_SECRET = {
    "another algorithm of the family": signed(CLAIMS, algorithm="HS384"),
    "no signature": signed(CLAIMS, None, "none"),
    "empty key": signed_with_nothing(CLAIMS | {"roles": ["admin"]}),
    "another key": signed(CLAIMS, b"t" * 64),
    "EdDSA": signed(CLAIMS, OWN, "EdDSA"),
    "expired": signed(CLAIMS | {"exp": now - 1}),
    "not valid yet": signed(CLAIMS | {"nbf": now + 86400}),
    "impossible time": signed(CLAIMS | {"exp": float("inf")}),
    "no subject": signed({"roles": ["admin"]}),
    "subject is a number": signed({"sub": 7, "roles": ["admin"]}),
    "empty subject": signed(CLAIMS | {"sub": ""}),
    "no role": signed({"sub": "ann"}),
    "only unknown roles": signed(CLAIMS | {"roles": ["wizard"]}),
    "roles are a text": signed(CLAIMS | {"roles": "admin"}),
    "endless nesting": base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".e30.x",
    "garbage": "a.b.c",
    "not ascii": "\u00e4\u00f6.\u00fc.\u00df",
}


@pytest.mark.parametrize("token", BAD_BY_SECRET.values(), ids=BAD_BY_SECRET)
def test_refused_by_secret(users: UserRepository, token: str) -> None:
    with pytest.raises(LoginRefused):
        by_secret(users, token)


def test_an_empty_secret_verifies_nothing(users: UserRepository) -> None:
    for token in (signed_with_nothing(CLAIMS), signed(CLAIMS)):
        with pytest.raises(LoginRefused):
            by_secret(users, token, secret=b"")


@pytest.mark.parametrize(
    ("key", "issuer"), [(OWN, None), (OWN, ""), (TRUSTED, ISSUER)], ids=["own", "own, empty", "trusted"]
)
def test_a_cookie_of_a_known_issuer(
    users: UserRepository, key: Ed25519PrivateKey, issuer: str | None
) -> None:
    claims = CLAIMS if issuer is None else CLAIMS | {"iss": issuer}
    assert by_cookie(users, signed(claims, key, "EdDSA")).username == "ann"


TRUSTED_PEM = TRUSTED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BAD_COOKIES = {
    "own key, trusted issuer": signed(CLAIMS | {"iss": ISSUER}, OWN, "EdDSA"),
    "trusted key, no issuer": signed(CLAIMS, TRUSTED, "EdDSA"),
    "trusted key, unknown issuer": signed(CLAIMS | {"iss": "https://else"}, TRUSTED, "EdDSA"),
    "own key, unknown issuer": signed(CLAIMS | {"iss": "https://else"}, OWN, "EdDSA"),
    "foreign key": signed(CLAIMS | {"iss": ISSUER}, FOREIGN, "EdDSA"),
    "HMAC with the public key": signed(CLAIMS | {"iss": ISSUER}, public(TRUSTED), "HS256"),
    "HMAC with the shared secret": signed(CLAIMS | {"iss": ISSUER}),
    "no signature": signed(CLAIMS | {"iss": ISSUER}, None, "none"),
    "garbage": "garbage",
}


@pytest.mark.parametrize("token", BAD_COOKIES.values(), ids=BAD_COOKIES)
def test_refused_cookies(users: UserRepository, token: str) -> None:
    with pytest.raises(LoginRefused):
        by_cookie(users, token)


def test_a_bad_cookie_is_final(users: UserRepository) -> None:
    users.add("ute", ["user"], "secret")
    cookie = CookieAuthenticator(public(OWN), public(TRUSTED), OPTIONS, users)
    login = LoginDispatcher(users, [cookie, LocalAuthenticator(users)], LoginLimiter())
    with pytest.raises(LoginRefused):
        login.log_in(LoginAttempt("ute", "secret", "127.0.0.1", cookies={"portal": "garbage"}))
    assert login.log_in(LoginAttempt("ute", "secret", "127.0.0.1", cookies={"portal": ""})).username == "ute"


def test_validated_users_are_those_of_the_database(users: UserRepository) -> None:
    options = Jwts(validate_user=True, sync_user_on_login=True, update_user_on_login=True)
    token = signed({"sub": "ann", "roles": ["admin"], "projects": ["x"]})
    with pytest.raises(LoginRefused, match="no account"):
        by_secret(users, token, options)
    assert users.get("ann") is None
    users.add("ann", ["manager"], projects=["lab"])
    principal = by_secret(users, token, options)
    assert (principal.roles, principal.projects) == ({"manager"}, ("lab",))


def test_accounts_follow_the_login_when_configured(users: UserRepository) -> None:
    claims = CLAIMS | {"name": "Ann", "projects": ["lab"], "roles": ["manager"]}
    by_secret(users, signed(claims), Jwts(sync_user_on_login=True))
    stored = users.get("ann")
    assert stored == Principal("ann", frozenset({"manager"}), ("lab",), "Ann", source=SOURCE_TOKEN)
    changed = signed(claims | {"name": "Anna", "projects": ["lab", "new"]})
    by_secret(users, changed, Jwts(sync_user_on_login=True))
    assert users.get("ann") == stored
    by_secret(users, changed, Jwts(update_user_on_login=True))
    renewed = users.get("ann")
    assert renewed is not None
    assert (renewed.name, renewed.projects) == ("Anna", ("lab", "new"))


@pytest.mark.parametrize(
    ("before", "after", "projects"),
    [
        (["manager"], ["manager"], ("new",)),
        (["user"], ["manager"], ("new",)),
        (["user"], ["manager", "admin"], ("old",)),
        (["manager"], ["user"], ()),
        (["manager"], ["admin"], ("old",)),
        (["user"], ["support"], ("old",)),
        (["api"], ["manager"], ("old",)),
    ],
)
def test_projects_follow_where_managing_is_concerned(
    before: list[str], after: list[str], projects: tuple[str, ...]
) -> None:
    account = Principal("ann", frozenset(before), ("old",), "Ann", "ann@example.org")
    login = Principal("ann", frozenset(after), ("new",), "Anna", source=SOURCE_TOKEN)
    changed = updated(account, login)
    assert (changed.roles, changed.projects) == (frozenset(after), projects)
    assert (changed.name, changed.email, changed.source) == ("Anna", "ann@example.org", 0)


def test_a_database_in_trouble_does_not_stop_the_login(
    users: UserRepository, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(UserRepository):
        def __init__(self) -> None:
            pass

        def get(self, username: str) -> Principal | None:
            raise OSError("disk full")

    way = SecretAuthenticator(SECRET, Jwts(sync_user_on_login=True), Broken())
    attempt = LoginAttempt("", "", "127.0.0.1", login_token=signed(CLAIMS))
    assert LoginDispatcher(users, [way], LoginLimiter()).log_in(attempt).username == "ann"
    assert "could not be synchronised" in caplog.text
