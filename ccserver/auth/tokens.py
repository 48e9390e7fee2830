"""API tokens: JWT signed with EdDSA over Ed25519. Source: spec/operations.md 2.6."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ccserver.model.user import Principal

_CACHED_TOKENS = 1024
# Upstream's verifier knows neither audiences nor issuers, and takes a token whose `iat` lies ahead.
DECODING: Any = {
    "verify_signature": True, "verify_exp": True, "verify_nbf": True,
    "verify_aud": False, "verify_iat": False, "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip

# What decoding raises: besides its own errors those of claims with impossible values or of endless nesting.
BAD_TOKEN = (jwt.PyJWTError, ArithmeticError, TypeError, ValueError, RecursionError)


class TokenError(Exception):
    """The token proves nothing; the message is told to the client."""


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    expires: float
    valid_from: float


class TokenVerifier:
    """Turns a token into a principal; verified tokens are remembered, their times are checked every time.

    With `validate_user` roles and projects come from `account_of(username)` and unknown users are refused;
    without it the token's own roles count and projects stay empty. Safe to call from any thread.
    """

    def __init__(
        self,
        public_key: bytes | None,
        validate_user: bool,
        account_of: Callable[[str], Principal | None],
        clock: Callable[[], float] = time.time,
        *,
        needs_subject: bool = True,
    ) -> None:
        self._needs_subject = needs_subject
        self._key = Ed25519PublicKey.from_public_bytes(public_key) if public_key else None
        self._validate_user = validate_user
        self._account_of = account_of
        self._clock = clock
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def reads_database(self) -> bool:
        return self._validate_user

    def verify(self, token: str) -> Principal:
        """Raises TokenError."""
        verified = self._remembered(token) or self._check(token)
        if not self._validate_user:
            return verified.principal
        account = self._account_of(verified.principal.username)
        if account is None:
            raise TokenError("unknown user")
        return account

    def _remembered(self, token: str) -> _Verified | None:
        with self._lock:
            verified = self._verified.get(token)
            if verified is not None:
                self._verified.move_to_end(token)
        if verified is None or not verified.valid_from <= self._clock() < verified.expires:
            return None
        return verified

    def _check(self, token: str) -> _Verified:
        if self._key is None:
            raise TokenError("tokens are not accepted: the server has no public key")
        try:
            claims = jwt.decode(token, self._key, algorithms=["EdDSA"], options=DECODING, leeway=0)
        except jwt.ExpiredSignatureError:
            raise TokenError("token is expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenError("token is not valid yet") from None
        except BAD_TOKEN as error:
            raise TokenError(f"token is invalid: {error}") from None
        verified = _Verified(
            _principal(claims, self._needs_subject),
            float(claims.get("exp", "inf")),
            float(claims.get("nbf", "-inf")),
        )
        with self._lock:
            self._verified[token] = verified
            while len(self._verified) > _CACHED_TOKENS:
                self._verified.popitem(last=False)
        return verified


def _principal(claims: Mapping[str, Any], needs_subject: bool) -> Principal:
    username = claims.get("sub")
    if not isinstance(username, str) or not username:
        if needs_subject:
            raise TokenError("token has no subject")
        username = ""
    name, roles = claims.get("name"), claims.get("roles")
    return Principal(
        username=username,
        roles=frozenset(role for role in roles if isinstance(role, str))
        if isinstance(roles, list)
        else frozenset(),
        name=name if isinstance(name, str) else "",
        source=2,
    )


class TokenIssuer:
    """`max_age` in seconds, None: the token never expires."""

    def __init__(self, seed: bytes, max_age: float | None, clock: Callable[[], float] = time.time) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._max_age = max_age
        self._clock = clock

    def issue(self, account: Principal) -> str:
        now = int(self._clock())
        claims: dict[str, Any] = {"sub": account.username, "roles": sorted(account.roles), "iat": now}
        if self._max_age is not None:
            claims["exp"] = now + int(self._max_age)
        return jwt.encode(claims, self._key, algorithm="EdDSA")
