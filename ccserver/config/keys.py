"""Keys and secrets from the environment. Source: spec/operations.md 5.1."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ccserver.config.errors import ConfigError

_log = logging.getLogger(__name__)

_PUBLISHED_PUBLIC_KEY = "kzfYrYy+TzpanWZHJ5qSdMj5uKUWgq74BWhQG6copP0="
_PUBLISHED_SESSION_KEY = "67d829bf61dc5f87a73fd814e2c9f629"
_SHORTEST_SESSION_KEY = 16


@dataclass(frozen=True, slots=True)
class Keys:
    """Raw key bytes, None where the variable is not set; nothing of it shows up in a repr."""

    jwt_public: bytes | None = field(default=None, repr=False)
    jwt_seed: bytes | None = field(default=None, repr=False)
    session: bytes | None = field(default=None, repr=False)
    cross_login_public: bytes | None = field(default=None, repr=False)
    cross_login_secret: bytes | None = field(default=None, repr=False)
    ldap_password: str | None = field(default=None, repr=False)
    oidc_client: str | None = field(default=None, repr=False)
    oidc_secret: str | None = field(default=None, repr=False)
    prometheus_password: str | None = field(default=None, repr=False)


def read_keys(environment: Mapping[str, str]) -> Keys:
    """Decode all keys; raises ConfigError when JWT or session key are set but unusable.

    A private key is the 32-byte seed followed by the public key; both halves must belong together.
    """
    public = _fatal(environment, "JWT_PUBLIC_KEY", {32})
    private = _fatal(environment, "JWT_PRIVATE_KEY", {64})
    session = _fatal(environment, "SESSION_KEY", None)
    if session is not None and len(session) < _SHORTEST_SESSION_KEY:
        raise ConfigError("environment: SESSION_KEY: needs at least 16 bytes; generate 32 random ones")
    if private is not None:
        derived = Ed25519PrivateKey.from_private_bytes(private[:32]).public_key().public_bytes_raw()
        if derived != private[32:]:
            raise ConfigError(
                "environment: JWT_PRIVATE_KEY: its second half is not the public key of its first half"
            )
    if environment.get("JWT_PUBLIC_KEY") == _PUBLISHED_PUBLIC_KEY:
        _log.warning("JWT_PUBLIC_KEY is a publicly known template key: everybody can forge tokens")
    if environment.get("SESSION_KEY") == _PUBLISHED_SESSION_KEY:
        _log.warning("SESSION_KEY is a publicly known template key: everybody can forge sessions")
    return Keys(
        jwt_public=public,
        jwt_seed=private[:32] if private else None,
        session=session,
        cross_login_public=_optional(environment, "CROSS_LOGIN_JWT_PUBLIC_KEY", {32}),
        cross_login_secret=_optional(environment, "CROSS_LOGIN_JWT_HS512_KEY", None),
        ldap_password=environment.get("LDAP_ADMIN_PASSWORD"),
        oidc_client=environment.get("OID_CLIENT_ID"),
        oidc_secret=environment.get("OID_CLIENT_SECRET"),
        prometheus_password=environment.get("PROMETHEUS_PASSWORD"),
    )


def new_key_lines() -> list[str]:
    """Lines for a fresh `.env`: an Ed25519 pair and a session key."""
    import secrets

    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    encode = base64.b64encode
    return [
        f'JWT_PUBLIC_KEY="{encode(public).decode()}"',
        f'JWT_PRIVATE_KEY="{encode(private.private_bytes_raw() + public).decode()}"',
        f'SESSION_KEY="{encode(secrets.token_bytes(32)).decode()}"',
    ]


def _fatal(environment: Mapping[str, str], name: str, lengths: set[int] | None) -> bytes | None:
    try:
        return _decode(environment, name, lengths)
    except ValueError as error:
        raise ConfigError(f"environment: {name}: {error}") from None


def _optional(environment: Mapping[str, str], name: str, lengths: set[int] | None) -> bytes | None:
    try:
        return _decode(environment, name, lengths)
    except ValueError as error:
        _log.error("%s: %s; the login it belongs to is off", name, error)
        return None


def _decode(environment: Mapping[str, str], name: str, lengths: set[int] | None) -> bytes | None:
    text = environment.get(name, "")
    if not text:
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not base64 (standard alphabet, with padding)") from None
    if lengths is not None and len(raw) not in lengths:
        raise ValueError(f"has {len(raw)} bytes, expected {' or '.join(map(str, sorted(lengths)))}")
    return raw
