"""Who may enter which group of routes. Source: spec/operations.md 2.1, 2.13, 2.14."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccserver.auth.sessions import COOKIE, Sessions
from ccserver.auth.tokens import TokenError, TokenVerifier
from ccserver.model.user import Principal

EVERYBODY = Principal("anonymous", frozenset({"admin", "api"}))
"""Who acts when authentication is switched off."""


def bearer_token(authorization: str) -> str:
    """The token of an `Authorization` header, with or without the word Bearer; "" for any other scheme."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    # A reverse proxy's own `Basic` login must not shadow the session.
    return "" if rest or scheme.lower() in ("basic", "digest", "negotiate") else scheme


class Group(enum.Enum):
    """Groups of routes; each has one rule."""

    PAGES = enum.auto()
    DISPLAY = enum.auto()
    """As PAGES; the token of a wall display in the URL takes the place of a session."""
    API = enum.auto()
    METRIC_STORE = enum.auto()
    USER_API = enum.auto()
    CONFIG_API = enum.auto()
    FRONTEND = enum.auto()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows; `peer` is the TCP peer. Header names are lower-case."""

    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    peer: str

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> Credentials:
        """From an ASGI scope; of repeated headers the first counts, cookies are gathered from all."""
        headers: dict[str, str] = {}
        cookies: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name == "cookie":
                for part in value.split(";"):
                    key, equals, text = part.strip().partition("=")
                    if equals:
                        cookies.setdefault(key, text)
            headers.setdefault(name, value)
        client = scope.get("client")
        return cls(headers, cookies, client[0] if client else "")

    @property
    def secure(self) -> bool:
        """Whether the browser itself sees https, judging by a proxy's `X-Forwarded-Proto`."""
        return self.headers.get("x-forwarded-proto", "").lower() == "https"

    @property
    def token(self) -> str:
        if token := self.headers.get("x-auth-token", "").strip():
            return token
        return bearer_token(self.headers.get("authorization", ""))

    @property
    def client_address(self) -> str:
        """As the allow list sees it; a `:port` suffix is cut off."""
        address = self.headers.get("x-real-ip") or self.headers.get("x-forwarded-for") or self.peer
        if address.startswith("["):
            return address[1:].partition("]")[0]
        host, colon, _ = address.rpartition(":")
        return host if colon and ":" not in host else address


class Refused(Exception):
    """No entry; the message is told to the client.

    `broken_token`: a token was shown but proves nothing. `stale_cookie`: the session cookie is worthless.
    """

    def __init__(self, message: str, *, broken_token: bool = False, stale_cookie: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.broken_token = broken_token
        self.stale_cookie = stale_cookie


@dataclass(frozen=True, slots=True)
class _Rule:
    token: bool
    session: bool
    admits: Callable[[frozenset[str]], bool]
    checks_address: bool = False


def _api(roles: frozenset[str]) -> bool:
    return roles == {"api"} or roles >= {"admin", "api"}


def _api_and(others: frozenset[str]) -> Callable[[frozenset[str]], bool]:
    return lambda roles: roles == {"api"} or ("api" in roles and bool(roles & others))


_RULES = {
    Group.PAGES: _Rule(token=True, session=True, admits=lambda roles: True),
    Group.DISPLAY: _Rule(token=True, session=True, admits=lambda roles: True),
    Group.API: _Rule(token=True, session=False, admits=_api, checks_address=True),
    Group.METRIC_STORE: _Rule(
        token=True, session=False, admits=_api_and(frozenset({"user", "manager", "admin"}))
    ),
    Group.USER_API: _Rule(
        token=True, session=False, admits=_api_and(frozenset({"user", "manager", "support", "admin"}))
    ),
    Group.CONFIG_API: _Rule(token=False, session=True, admits=lambda roles: "admin" in roles),
    Group.FRONTEND: _Rule(token=False, session=True, admits=lambda roles: True),
}


class Gate:
    """Finds the principal of a request. Without `sessions` authentication is switched off."""

    def __init__(
        self,
        tokens: TokenVerifier,
        sessions: Sessions | None,
        allowed_addresses: Sequence[str],
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self.tokens = tokens
        self.sessions = sessions
        restricted = bool(allowed_addresses) and allowed_addresses[0] != "*"
        self._allowed = frozenset(allowed_addresses) if restricted else None
        self._proxies = frozenset(trusted_proxies)

    def admit(self, group: Group, credentials: Credentials) -> Principal:
        """Raises Refused. Reads the database only when tokens are validated against it."""
        if self.sessions is None:
            return EVERYBODY
        rule = _RULES[group]
        if rule.token and (token := credentials.token):
            principal = self._by_token(token)
        elif rule.session:
            principal = self._by_session(credentials, self.sessions)
        else:
            missing = "no user for secured check" if group is Group.API else "unauthorized"
            raise Refused(missing)
        if not rule.admits(principal.roles):
            raise Refused("unauthorized")
        if rule.checks_address and self._allowed is not None:
            address = self._address(credentials)
            if address not in self._allowed:
                raise Refused(f"unknown ip: {address}")
        return principal

    def _address(self, credentials: Credentials) -> str:
        """Where the request comes from; with known proxies, in nobody else's words."""
        believed = not self._proxies or credentials.peer in self._proxies
        return credentials.client_address if believed else credentials.peer

    def _by_token(self, token: str) -> Principal:
        try:
            return self.tokens.verify(token)
        except TokenError as error:
            raise Refused(str(error), broken_token=True) from None

    @staticmethod
    def _by_session(credentials: Credentials, sessions: Sessions) -> Principal:
        value = credentials.cookies.get(COOKIE)
        if not value:
            raise Refused("unauthorized")
        principal = sessions.read(value)
        if principal is None:
            raise Refused("your session is no longer valid", stale_cookie=True)
        return principal
