"""Accounts and their settings. Contract: spec/graphql.md 4, 13, 14."""

from __future__ import annotations

from graphql import GraphQLError
from strawberry import Info

from ccserver.graphql.request import Request, request_of

KNOWS_EVERYONE = frozenset({"admin", "support", "manager"})


def user(info: Info, username: str) -> object:
    request = request_of(info)
    check_may_see_account(request, username)
    return request.accounts.get(username)


def update_configuration(info: Info, name: str, value: str) -> object:
    request = request_of(info)
    if request.principal is None:
        raise GraphQLError("no user in context")
    request.site.store_setting(request.principal.username, name, value)
    return None


def check_may_see_account(request: Request, username: str) -> None:
    """GraphQLError `forbidden` unless it is the caller's own account or the caller has to do with others."""
    if username != request.user.username and not request.user.roles & KNOWS_EVERYONE:
        raise GraphQLError("forbidden")
