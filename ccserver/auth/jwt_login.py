"""Logging in with a token of another site: by shared secret, or in a cookie of an external issuer.

Source: spec/operations.md 2.7, 2.8. Each way has a verifier of its own with the algorithms of its own key, so
that a token of one kind can never be checked with a key of the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ccserver.auth.guards import bearer_token
from ccserver.auth.login import LoginAttempt, LoginRefused
from ccserver.auth.synchronising import StoredAccounts, synchronise_login
from ccserver.auth.tokens import BAD_TOKEN, DECODING
from ccserver.config.sections import Jwts
from ccserver.model.user import ROLES, SOURCE_TOKEN, Principal

_log = logging.getLogger(__name__)

_BAD_TOKEN = "the login token is not valid"  # noqa: S105


class SecretAuthenticator:
    """Tokens signed with HS256 or HS512 and a shared secret; `secret` must not be empty."""

    def __init__(self, secret: bytes, options: Jwts, accounts: StoredAccounts) -> None:
        self._secret = secret
        self._options = options
        self._accounts = accounts

    def claim(self, attempt: LoginAttempt, account: Principal | None) -> Callable[[], Principal] | None:
        token = bearer_token(attempt.authorization) or attempt.login_token
        return partial(self._prove, token, attempt.peer) if token else None

    def _prove(self, token: str, peer: str) -> Principal:
        if not self._secret:
            raise LoginRefused(_BAD_TOKEN)  # an empty key would verify what anybody signed with none
        claims = _decoded(token, self._secret, ["HS256", "HS512"], peer)
        return _admitted(claims, self._options, self._accounts)


class CookieAuthenticator:
    """Tokens in a cookie, signed with EdDSA by the trusted issuer or by this server itself."""

    def __init__(self, own_key: bytes, trusted_key: bytes, options: Jwts, accounts: StoredAccounts) -> None:
        self._own_key = Ed25519PublicKey.from_public_bytes(own_key)
        self._trusted_key = Ed25519PublicKey.from_public_bytes(trusted_key)
        self._options = options
        self._accounts = accounts

    def claim(self, attempt: LoginAttempt, account: Principal | None) -> Callable[[], Principal] | None:
        token = attempt.cookies.get(self._options.cookie_name, "")
        return partial(self._prove, token, attempt.peer) if token else None

    def _prove(self, token: str, peer: str) -> Principal:
        claims = _decoded(token, self._key_for(token, peer), ["EdDSA"], peer)
        return _admitted(claims, self._options, self._accounts)

    def _key_for(self, token: str, peer: str) -> Ed25519PublicKey:
        """The key of who the token says has issued it; whether that is true the signature tells."""
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except BAD_TOKEN:
            issuer = ...
        if issuer is None or issuer == "":
            return self._own_key
        if issuer == self._options.trusted_issuer:
            return self._trusted_key
        _log.warning("login by cookie from %s failed: the token is of an unknown issuer", peer)
        raise LoginRefused(_BAD_TOKEN)


def _decoded(token: str, key: Any, algorithms: Sequence[str], peer: str) -> Mapping[str, Any]:
    try:
        return jwt.decode(token, key, algorithms=algorithms, options=DECODING, leeway=0)
    except BAD_TOKEN as error:
        _log.warning("login by token from %s failed: %s", peer, error)
        raise LoginRefused(_BAD_TOKEN) from None


def _admitted(claims: Mapping[str, Any], options: Jwts, accounts: StoredAccounts) -> Principal:
    username = claims.get("sub")
    if not isinstance(username, str) or not username:
        raise LoginRefused("the login token names no user")
    if options.validate_user:
        account = accounts.get(username)
        if account is None:
            raise LoginRefused("the user of the login token has no account here")
        return account
    principal = Principal(
        username=username,
        roles=frozenset(role for role in _texts(claims.get("roles")) if role in ROLES),
        projects=tuple(dict.fromkeys(_texts(claims.get("projects")))),
        name=_name(claims.get("name")),
        source=SOURCE_TOKEN,
    )
    if not principal.roles:
        raise LoginRefused("the login token grants no role")
    synchronise_login(
        accounts, principal, create=options.sync_user_on_login, update=options.update_user_on_login
    )
    return principal


def _name(value: Any) -> str:
    """A text, or an object whose `values` are joined."""
    if isinstance(value, str):
        return value
    values = value.get("values") if isinstance(value, dict) else None
    return " ".join(map(str, values)) if isinstance(values, list) else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
