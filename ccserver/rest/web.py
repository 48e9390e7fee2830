"""What handlers of HTTP routes receive, and how routes are registered.

A handler is `async def handler(call: Call, ...path parts) -> Response`; it runs only after the guard of its
group let the request in.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec
import trio
from quart import Request, Response, request
from quart_trio import QuartTrio
from werkzeug.routing import BaseConverter, Map

from ccserver.auth.displays import DisplayTokens
from ccserver.auth.guards import Credentials, Gate, Group, Refused
from ccserver.auth.login import LoginDispatcher
from ccserver.auth.tokens import TokenIssuer
from ccserver.model.user import Principal
from ccserver.pseudonyms import Names
from ccserver.rest.answers import HttpError
from ccserver.rest.job_writes import JobWrites
from ccserver.rest.monitoring import Monitor
from ccserver.rest.overrides import Overrides
from ccserver.rest.templates import Templates
from ccserver.site import Site

if TYPE_CHECKING:
    from ccserver.auth.oidc import OidcProvider

_log = logging.getLogger(__name__)

LARGEST_FORM = 10_000_000  # bytes

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
GraphQLView = Callable[..., Awaitable[tuple[int, dict[str, str], list[bytes]]]]


@dataclass(slots=True)
class ClusterNotice:
    """The text on the home page, as an admin wrote it."""

    text: str = ""


@dataclass(slots=True)
class Slots:
    """Exports under way. Touched by the event loop alone."""

    used: int = 0


@dataclass(frozen=True, slots=True)
class Web:
    """Everything the routes share. `login` is None when authentication is switched off."""

    site: Site
    gate: Gate
    login: LoginDispatcher | None
    issuer: TokenIssuer | None
    templates: Templates
    graphql: GraphQLView | None
    development: bool
    version: str
    notice: ClusterNotice = field(default_factory=ClusterNotice)
    monitor: Monitor = field(default_factory=Monitor)
    oidc: OidcProvider | None = None
    overrides: Overrides = field(default_factory=Overrides)
    displays: DisplayTokens = field(default_factory=DisplayTokens)
    exports: Slots = field(default_factory=Slots)
    job_writes: JobWrites = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "job_writes", JobWrites(self.site))


@dataclass(frozen=True, slots=True)
class Admitted:
    """One admitted request."""

    principal: Principal
    request: Request

    async def run(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run blocking work in a thread."""
        return await in_thread(work, *args, **kwargs)

    async def body(self) -> bytes:
        data = await self.request.get_data(cache=False)
        assert isinstance(data, bytes)
        return data


@dataclass(frozen=True, slots=True)
class Call(Admitted):
    """One admitted request with all services of the site."""

    web: Web

    @property
    def site(self) -> Site:
        return self.web.site

    @property
    def names(self) -> Names:
        """How names are shown to the caller."""
        return self.site.names(self.principal)

    async def form(self) -> dict[str, str]:
        """Fields of the body over fields of the URL; the first of a repeated one counts."""
        if (self.request.content_length or 0) > LARGEST_FORM:
            raise HttpError(413, f"the form is larger than {LARGEST_FORM} bytes")
        fields = self.request.args.to_dict()
        fields.update((await self.request.form).to_dict())
        return fields


async def in_thread(
    work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Run blocking work in a worker thread; a caller that is cancelled does not wait for its end.

    So neither a client that left nor a server that stops is held up by a long query.
    """
    return await trio.to_thread.run_sync(functools.partial(work, *args, **kwargs), abandon_on_cancel=True)


Handler = Callable[Concatenate[Call, ...], Awaitable[Response]]
RefusalAnswer = Callable[[Refused, Credentials], Awaitable[Response]]


class NameConverter(BaseConverter):
    """`<name('a','b'):id>` in a rule: one part of a path, but not a or b."""

    def __init__(self, map: Map, *taken: str) -> None:
        super().__init__(map)
        self.regex = rf"(?!(?:{'|'.join(re.escape(name) for name in taken)})\Z)[^/]+"


class Routes:
    """Adds guarded handlers to the application."""

    def __init__(self, app: QuartTrio, web: Web, refuse: Mapping[Group, RefusalAnswer]) -> None:
        self._app = app
        self.web = web
        self._refuse = refuse

    def add(
        self,
        rule: str,
        methods: str,
        group: Group,
        handler: Handler,
        taken: Collection[str] = (),
        presentable: bool = False,
    ) -> None:
        """`methods` as in "POST PUT"; the rule matches with and without a trailing slash.

        `taken` are names that its last part, a parameter, never stands for. Sessions in presentation mode get
        no further than here unless the handler is `presentable`: it tells no name but by `Call.names`.
        """

        async def guarded(**parts: Any) -> Response:
            credentials = Credentials.of_scope(request.scope)
            try:
                principal = await self._admit(group, credentials)
            except Refused as refused:
                _log.info(
                    "%s %s from %s refused: %s",
                    request.method,
                    request.path,
                    credentials.peer,
                    refused.message,
                )
                return await self._refuse[group](refused, credentials)
            if principal.presentation and not presentable:
                raise HttpError(403, "this is not shown in presentation mode")
            return await handler(Call(principal, request._get_current_object(), self.web), **parts)  # type: ignore[attr-defined]

        if taken:
            parent, _, parameter = rule.rstrip("/").rpartition("/")
            names = ",".join(f"'{name}'" for name in sorted(taken))
            rule = f"{parent}/<name({names}):{parameter.strip('<>')}>"
        self.open(rule, methods, guarded)

    def open(self, rule: str, methods: str, view: Callable[..., Awaitable[Response]]) -> None:
        """A route without guard."""
        endpoint = f"{methods} {rule}".replace(".", "_")
        self._app.add_url_rule(
            rule,
            endpoint,
            view,
            methods=methods.split(),
            provide_automatic_options=False,
            strict_slashes=False,
        )

    async def _admit(self, group: Group, credentials: Credentials) -> Principal:
        gate = self.web.gate
        if group is Group.DISPLAY and "token" in request.args:
            return self.web.displays.admit(request.args["token"])
        if gate.tokens.reads_database:
            return await in_thread(gate.admit, group, credentials)
        return gate.admit(group, credentials)


Struct = TypeVar("Struct")


def decode(body: bytes, kind: type[Struct]) -> Struct:
    """Raises HttpError 400 naming the place."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpError(400, f"parsing request body failed: {error}") from None
