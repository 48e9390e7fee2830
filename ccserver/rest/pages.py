"""Browser routes: the application shell, login and logout, search. Source: spec/rest-api.md 1.3, 4.8."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from quart import Response, redirect, request

from ccserver.auth.displays import DISPLAY
from ccserver.auth.guards import Credentials, Group, Refused
from ccserver.auth.sessions import clearing_cookie
from ccserver.jobs.filters import JobFilter, StringInput
from ccserver.model.user import ROLES, Principal
from ccserver.pseudonyms import Kind
from ccserver.rest.answers import html_answer, text_answer
from ccserver.rest.boot import boot_payload
from ccserver.rest.templates import inline_json, preloads
from ccserver.rest.violations import PATH
from ccserver.rest.web import Call, Routes, Web
from ccserver.site import Site

_log = logging.getLogger(__name__)

PRODUCT = "ccserver"
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; report-uri {PATH}"
)
_LEVEL = {role: level for level, role in enumerate(ROLES)}
_RECENT = "last30d"


@dataclass(frozen=True, slots=True)
class _Page:
    """`name` is what the frontend routes by, `title` may name path parts as {part}."""

    rule: str
    name: str
    title: str
    level: str
    exists: Callable[[Site, Principal, Mapping[str, str]], bool] = lambda *_: True
    group: Group = Group.PAGES


def _known_cluster(site: Site, _: Principal, parts: Mapping[str, str]) -> bool:
    cluster = site.clusters.by_name.get(parts["cluster"])
    subcluster = parts.get("subcluster")
    return cluster is not None and (subcluster is None or subcluster in cluster.subclusters)


def _visible_job(site: Site, principal: Principal, parts: Mapping[str, str]) -> bool:
    number = int(parts["id"])
    return number < 2**63 and site.jobs.find(number, principal) is not None


def _visible_user(site: Site, principal: Principal, parts: Mapping[str, str]) -> bool:
    """Oneself; whoever has jobs that the caller may see; for support and above every account."""
    username = parts["username"]
    if username == principal.username:
        return True
    if principal.level < _LEVEL["manager"]:
        return False
    if principal.level >= _LEVEL["support"] and site.users.get(username) is not None:
        return True
    return site.jobs.count([JobFilter(user=StringInput(eq=username))], principal) > 0


def _known_node(site: Site, _: Principal, parts: Mapping[str, str]) -> bool:
    cluster = site.clusters.by_name.get(parts["cluster"])
    return cluster is not None and cluster.subcluster_of_host(parts["hostname"]) is not None


_NAMED = {"username": Kind.USER, "hostname": Kind.HOST}
"""Parts of paths that are names."""

_PAGES = (
    _Page("/", "home", "", "anonymous"),
    _Page("/config", "config", "Settings", "anonymous"),
    _Page("/monitoring/jobs/", "jobs", "Jobs", "user"),
    _Page("/monitoring/job/<id>", "job", "Job {id}", "user", _visible_job),
    _Page("/monitoring/users/", "users", "Users", "manager"),
    _Page("/monitoring/user/<username>", "user", "User {username}", "user", _visible_user),
    _Page("/monitoring/projects/", "projects", "Projects", "manager"),
    _Page("/monitoring/tags/", "tags", "Tags", "user"),
    _Page(
        "/monitoring/systems/<cluster>",
        "systems",
        "Cluster {cluster} Node Overview",
        "support",
        _known_cluster,
    ),
    _Page(
        "/monitoring/systems/list/<cluster>",
        "systemsList",
        "Cluster {cluster} Node List",
        "support",
        _known_cluster,
    ),
    _Page(
        "/monitoring/systems/list/<cluster>/<subcluster>",
        "systemsList",
        "Cluster {cluster} {subcluster} Node List",
        "support",
        _known_cluster,
    ),
    _Page("/monitoring/node/<cluster>/<hostname>", "node", "Node {hostname}", "support", _known_node),
    _Page("/monitoring/analysis/<cluster>", "analysis", "Analysis", "support", _known_cluster),
    _Page("/monitoring/status/<cluster>", "status", "{cluster} Dashboard", "status", _known_cluster),
    _Page(
        "/monitoring/status/detail/<cluster>", "statusDetail", "Status of {cluster}", "status", _known_cluster
    ),
    _Page(
        "/monitoring/dashboard/<cluster>",
        "dashboard",
        "{cluster} Dashboard",
        "status",
        _known_cluster,
        Group.DISPLAY,
    ),
    _Page("/monitoring/compare", "compare", "Compare", "user"),
    _Page("/monitoring/logs", "logs", "Logs", "admin"),
)


def register(routes: Routes, web: Web) -> None:
    for page in _PAGES:
        routes.add(page.rule, "GET", page.group, _shell(page), presentable=True)
    routes.add("/search", "GET", Group.PAGES, search, presentable=True)
    for name, title, missing in (
        ("imprint", "Imprint", "This site has not published an imprint yet."),
        ("privacy", "Privacy Policy", "This site has not published a privacy policy yet."),
    ):
        text = web.overrides.texts.get(name, missing)
        routes.open(f"/{name}", "GET", _static_message(web, title, text))


def _shell(page: _Page) -> Callable[..., Any]:
    canonical_slash = page.rule.endswith("/")

    async def handler(call: Call, **parts: str) -> Response:
        if request.path.endswith("/") != canonical_slash:
            path = request.path.rstrip("/") + ("/" if canonical_slash else "")
            query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
            return redirection(path + query, 308)
        if "id" in parts and not (parts["id"].isascii() and parts["id"].isdigit()):
            return not_found(call.web)
        if not _may_see(call, page):
            return message(call.web, 403, "Access denied", "Your account may not see this page.")
        return await call.run(_render_shell, call.web, call.principal, page, parts)

    return handler


def _may_see(call: Call, page: _Page) -> bool:
    if call.principal is DISPLAY:  # admitted to this page alone
        return True
    return sees_status(call) if page.level == "status" else _level(call.principal) >= _LEVEL[page.level]


def sees_status(call: Call) -> bool:
    needed = "support" if call.site.config.ui.status_for_support else "admin"
    return _level(call.principal) >= _LEVEL[needed]


def _level(principal: Principal) -> int:
    """Like `Principal.level`, with no known role at the bottom instead of at the top."""
    return principal.level if principal.level < len(ROLES) else 0


def _render_shell(web: Web, principal: Principal, page: _Page, parts: Mapping[str, str]) -> Response:
    names = web.site.names(principal)
    real = {name: names.real(_NAMED[name], part) if name in _NAMED else part for name, part in parts.items()}
    if not page.exists(web.site, principal, real):
        return not_found(web)
    title = page.title.format(**parts)
    boot = boot_payload(web, principal, page.name, dict(parts))
    response = page_answer(
        web.templates.render(
            "index.html", title=f"{title} - {PRODUCT}" if title else PRODUCT, boot=inline_json(boot)
        )
    )
    if links := preloads(page.name):
        response.headers["Link"] = links
    return response


def page_answer(text: str, status: int = 200) -> Response:
    """HTML under a policy that runs scripts of this server only."""
    response = html_answer(text, status)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


def message(web: Web, status: int, title: str, text: str) -> Response:
    return page_answer(web.templates.render("message.html", title=title, message=text, status=status), status)


def not_found(web: Web) -> Response:
    return message(web, 404, "404 Page Not Found", "There is nothing at this address, or not for you.")


def login_page(web: Web, status: int, alert: str = "", kind: str = "", target: str = "") -> Response:
    text = web.templates.render(
        "login.html",
        product=PRODUCT,
        oidc="/oidc-login?" + urlencode({"redirect": target}) if web.oidc is not None else "",
        alert=alert,
        alert_class=kind,
        redirect=target,
        title=f"{'Login failed' if kind == 'alert-warning' else 'Login'} - {PRODUCT}",
    )
    return page_answer(text, status)


async def refuse_page(web: Web, refused: Refused, credentials: Credentials) -> Response:
    """401: the login page, which remembers where the visitor wanted to go; plain text for a broken token."""
    if refused.broken_token:
        return text_answer(refused.message, 401)
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    target = request.path + query if request.method == "GET" else ""
    alert = "Your session has ended, please log in again" if refused.stale_cookie else ""
    response = login_page(web, 401, alert, "alert-info", target)
    if refused.stale_cookie:
        response.headers.add("Set-Cookie", clearing_cookie(over_https(credentials)))
    return response


def over_https(credentials: Credentials) -> bool:
    """Whether the browser sees https: by our own TLS, or by a proxy's word."""
    return request.scheme == "https" or credentials.secure


def redirection(target: str, status: int) -> Response:
    response = redirect(target, status)
    assert isinstance(response, Response)
    return response


def _static_message(web: Web, title: str, text: str) -> Callable[..., Any]:
    async def view() -> Response:
        return message(web, 200, title, text)

    return view


_MALFORMED = "Write one type and one query, as type:query; put quotes around a query with a colon."
_SEARCH_TYPES = ("jobId", "jobName", "projectId", "arrayJobId", "username", "name")


async def search(call: Call) -> Response:
    """The search box: a redirect to where the thing is, or a page that says why not."""
    text = request.args.get("searchId", "").strip()
    found = await call.run(_search_target, call.site, call.principal, text)
    if isinstance(found, _Message):
        return _no_result(call.web, text, found)
    return redirection(found, 302)


class _Message(str):
    """Why a search leads nowhere."""

    __slots__ = ()


def _no_result(web: Web, text: str, why: str) -> Response:
    """Offers the search again, with what was typed."""
    page = web.templates.render(
        "message.html", title="Search", message=why, status="", search=True, typed=text
    )
    return page_answer(page)


def _search_target(site: Site, principal: Principal, text: str) -> str | _Message:
    if not text:
        return _Message("The search is empty.")
    parts = _split_search(text)
    if len(parts) == 1:
        return _search_anything(site, principal, parts[0])
    if len(parts) > 2 or not all(parts):
        return _Message(_MALFORMED)
    kind, value = parts
    if kind not in _SEARCH_TYPES:
        return _Message(f"There is no search for {kind!r}; there are {', '.join(_SEARCH_TYPES)}.")
    if kind in ("jobId", "arrayJobId") and not _is_number(value):
        return _Message(f"{kind} takes a number.")
    return _search_kind(site, principal, kind, value) or _Message(
        f"Nothing was found for {text!r}, or you may not see it."
    )


def _split_search(text: str) -> list[str]:
    """Parts between colons, without surrounding spaces and quotes; a quoted colon separates nothing."""
    hidden = re.sub(r'"[^"]*"', lambda quoted: quoted[0].replace(":", "\0"), text)
    parts = (part.strip().replace("\0", ":") for part in hidden.split(":"))
    return [part[1:-1].strip() if re.fullmatch(r'"[^"]*"', part) else part for part in parts]


def _search_kind(site: Site, principal: Principal, kind: str, value: str) -> str | None:
    """None: nothing is there, or the caller may not know whether there is something."""
    powerful = _level(principal) >= _LEVEL["manager"]
    match kind:
        case "jobId":
            return _jobs(jobId=value)
        case "jobName" | "arrayJobId":
            return _jobs(startTime=_RECENT, **{kind: value})
        case "projectId":
            return _jobs(projectMatch="eq", project=value)
        case "username" if powerful:
            return "/monitoring/users/?" + urlencode({"user": value, "startTime": _RECENT})
        case "name" if powerful:
            return _users(_people(site, principal, value))
        case _:
            return None


def _search_anything(site: Site, principal: Principal, text: str) -> str:
    if _is_number(text):
        return _jobs(jobId=text)
    names = site.names(principal)
    if _visible_user(site, principal, {"username": names.real(Kind.USER, text)}):
        return _user(text)
    if _level(principal) >= _LEVEL["manager"]:
        named = _people(site, principal, text)
        if len(named) == 1:
            return _user(named[0])
        if users := _users(named):
            return users
    project = names.real(Kind.PROJECT, text)
    if site.jobs.count([JobFilter(project=StringInput(eq=project))], principal):
        return _jobs(projectMatch="eq", project=text)
    return _jobs(startTime=_RECENT, jobName=text)


def _people(site: Site, principal: Principal, text: str) -> list[str]:
    """Usernames of those whose real name contains the text, all as they are shown."""
    names = site.names(principal)
    if not names.hidden:
        return [account.username for account in site.users.search(text)]
    return [
        names.shown(Kind.USER, account.username)
        for account in site.users.list()
        if account.name and text.lower() in names.shown(Kind.NAME, account.name).lower()
    ]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _user(username: str) -> str:
    return "/monitoring/user/" + quote(username, safe="")


def _users(usernames: list[str]) -> str | None:
    found = [("user", username) for username in usernames]
    return "/monitoring/users/?" + urlencode(found) if found else None


def _jobs(**query: str) -> str:
    return "/monitoring/jobs/?" + urlencode(query)
