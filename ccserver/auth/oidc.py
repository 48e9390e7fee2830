"""OpenID Connect: authorization code flow with PKCE. Source: spec/operations.md 2.9.

Everything here blocks: call it from a thread.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.client import OAuth2Client

from ccserver.auth.synchronising import StoredAccounts, synchronise_login
from ccserver.auth.tokens import BAD_TOKEN
from ccserver.config.sections import Oidc
from ccserver.model.user import SOURCE_OIDC, Principal

_log = logging.getLogger(__name__)

_SCOPES = "openid profile roles"
_TIMEOUT = 30.0  # seconds
_LARGEST_ANSWER = 1024 * 1024  # bytes
_KEYS_EVERY = 10.0  # seconds between two looks at the provider's keys when a token names an unknown one
_GRANTABLE = frozenset({"user", "manager", "support", "admin"})
# Symmetric ones are left out: the client secret must not pass for the provider's key.
_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"]


class OidcError(Exception):
    """The login cannot go on: `status` is 400 for what the browser brought, 500 for what the provider did."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DiscoveryError(Exception):
    """The provider does not answer, or not as OpenID Connect wants it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and what it must bring back."""

    url: str
    state: str
    verifier: str
    nonce: str


class OidcProvider:
    """One provider and our client there. Making one asks the provider where things are: DiscoveryError."""

    def __init__(self, options: Oidc, client: str, secret: str, accounts: StoredAccounts) -> None:
        self._options = options
        self._client = client
        self._secret = secret
        self._accounts = accounts
        self._http = httpx.Client(timeout=_TIMEOUT, follow_redirects=False)
        self._keys_lock = threading.Lock()
        self._keys: jwt.PyJWKSet | None = None
        self._keys_read = 0.0
        issuer = options.provider
        try:
            metadata = self._get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            self._issuer = _text(metadata, "issuer")
            self._authorization = _text(metadata, "authorization_endpoint")
            self._token = _text(metadata, "token_endpoint")
            self._userinfo = _text(metadata, "userinfo_endpoint")
            self._jwks = _text(metadata, "jwks_uri")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise DiscoveryError(f"{issuer}: {error}") from error
        if self._issuer.rstrip("/") != issuer.rstrip("/"):
            raise DiscoveryError(f"{issuer}: the provider calls itself {self._issuer!r}")
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        self._basic = bool(secret) and "client_secret_basic" in methods

    def close(self) -> None:
        self._http.close()

    def depart(self, callback: str) -> Departure:
        """Begin a login; `callback` is the address of `/oidc-callback` as the browser sees it."""
        state, nonce, verifier = secrets.token_hex(16), secrets.token_hex(16), secrets.token_urlsafe(48)
        url, _ = self._oauth(callback).create_authorization_url(
            self._authorization, state=state, code_verifier=verifier, nonce=nonce
        )
        return Departure(url, state, verifier, nonce)

    def arrive(self, callback: str, code: str, verifier: str, nonce: str) -> Principal:
        """Who came back with `code`; raises OidcError. Accounts are synchronised as configured."""
        answer = self._exchanged(callback, code, verifier)
        claims = self._verified(answer.get("id_token"))
        if not nonce:
            raise OidcError(400, "the cookie nonce is missing")
        shown = claims.get("nonce")
        if not isinstance(shown, str) or not secrets.compare_digest(shown.encode(), nonce.encode()):
            raise OidcError(400, "the nonce does not match")
        principal = self._principal(claims, self._asked(answer.get("access_token"), claims))
        options = self._options
        synchronise_login(
            self._accounts, principal, create=options.sync_user_on_login, update=options.update_user_on_login
        )
        return principal

    def _oauth(self, callback: str) -> OAuth2Client:
        return OAuth2Client(
            self._http,
            self._client,
            self._secret,
            scope=_SCOPES,
            redirect_uri=callback,
            code_challenge_method="S256",
        )

    def _exchanged(self, callback: str, code: str, verifier: str) -> Mapping[str, Any]:
        body = {"client_id": self._client} | ({"client_secret": self._secret} if self._secret else {})
        body = {} if self._basic else body
        auth = httpx.BasicAuth(self._client, self._secret) if self._basic else httpx.Auth()
        try:
            answer = self._oauth(callback).fetch_token(
                self._token,
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                auth=auth,
                **body,
            )
        except (AuthlibBaseError, httpx.HTTPError, ValueError) as error:
            _log.warning("OpenID Connect: exchanging the code failed: %s", error)
            raise OidcError(500, "the provider did not accept the login") from None
        assert isinstance(answer, Mapping)
        return answer

    def _verified(self, token: Any) -> Mapping[str, Any]:
        """Claims of an ID token of this provider for this client."""
        if not isinstance(token, str) or not token:
            raise OidcError(500, "the provider sent no ID token")
        try:
            return jwt.decode(
                token,
                self._key_of(token),
                algorithms=_ALGORITHMS,
                audience=self._client,
                issuer=self._issuer,
                options={"require": ["exp", "iat", "sub"]},
                leeway=10,
            )
        except (*BAD_TOKEN, httpx.HTTPError) as error:
            _log.warning("OpenID Connect: the ID token is not valid: %s", error)
            raise OidcError(500, "the ID token of the provider is not valid") from None

    def _key_of(self, token: str) -> Any:
        """The provider's key that the token names; keys change, so an unknown one is looked up again."""
        name = jwt.get_unverified_header(token).get("kid")
        with self._keys_lock:
            found = _chosen(self._keys, name)
            if found is None and (self._keys is None or time.monotonic() - self._keys_read > _KEYS_EVERY):
                self._keys_read = time.monotonic()
                self._keys = jwt.PyJWKSet.from_dict(self._get(self._jwks))
                found = _chosen(self._keys, name)
        if found is None:
            raise jwt.InvalidKeyError("the provider has no such key")
        return found

    def _asked(self, token: Any, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(token, str) or not token:
            raise OidcError(500, "the provider sent no access token")
        try:
            answer = self._get(self._userinfo, token)
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("OpenID Connect: asking for the user failed: %s", error)
            raise OidcError(500, "the provider did not say who the user is") from None
        if answer.get("sub") != claims["sub"]:
            raise OidcError(500, "the provider speaks of two different users")
        return answer

    def _principal(self, claims: Mapping[str, Any], user: Mapping[str, Any]) -> Principal:
        username = _named(user, claims, "preferred_username")
        if not username:
            raise OidcError(400, "the provider names no user")
        # Roles an unrelated application of the same provider gives out are none of ours.
        own = _inner(_inner(claims.get("resource_access")).get(self._client)).get("roles")
        granted = {*_texts(_inner(claims.get("realm_access")).get("roles")), *_texts(own)} & _GRANTABLE
        return Principal(
            username=username,
            roles=frozenset(granted or {"user"}),
            projects=tuple(dict.fromkeys(_texts(claims.get("projects")))),
            name=_named(user, claims, "name"),
            source=SOURCE_OIDC,
        )

    def _get(self, url: str, token: str = "") -> dict[str, Any]:
        """A JSON object; raises httpx.HTTPError and ValueError."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with self._http.stream("GET", url, headers=headers) as response:
            response.raise_for_status()
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _LARGEST_ANSWER:
                    raise ValueError("the provider's answer is too large")
        document = json.loads(bytes(body))
        if not isinstance(document, dict):
            raise ValueError("the provider's answer is no JSON object")
        return document


def _chosen(keys: jwt.PyJWKSet | None, name: Any) -> Any:
    """The key of that name; a token that names none may only mean the only one."""
    usable = [key for key in keys.keys if key.public_key_use in (None, "sig")] if keys else []
    if name is None:
        return usable[0] if len(usable) == 1 else None
    return next((key for key in usable if key.key_id == name), None)


def _named(user: Mapping[str, Any], claims: Mapping[str, Any], key: str) -> str:
    for source in (user, claims):
        value = source.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


def _inner(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"the provider's description has no {key}")
    return value
