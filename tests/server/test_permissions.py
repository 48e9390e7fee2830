"""Every route, every role, by token and by session.

Contract: spec/operations.md 2.1, 3; spec/rest-api.md 1.1.

The tables are the contract once more, in words of their own; the last test compares them with the routes the
application really has, so that a new route cannot be forgotten.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ccserver.auth.sessions import Sessions
from ccserver.auth.tokens import TokenIssuer
from ccserver.model.user import Principal
from tests.server.running import Server
from tests.server.site_routes import application, routes

Roles = frozenset[str]
ROLE_SETS: tuple[Roles, ...] = tuple(
    frozenset(words.split())
    for words in (
        "", "anonymous", "wizard", "api", "user", "manager", "support", "admin", "user api", "manager api",
        "support api", "admin api", "user manager", "admin user", "user support api",
        "admin user manager support",
    )
)  # fmt: skip

PUBLIC = "public"
GRAPHQL = {"POST /query", "GET /query"}


def pages(kind: str, roles: Roles) -> bool:
    return kind == "token" or (kind == "session" and bool(roles))


def api(kind: str, roles: Roles) -> bool:
    return kind == "token" and (roles == {"api"} or {"admin", "api"} <= roles)


def metric_store(kind: str, roles: Roles) -> bool:
    return kind == "token" and (
        roles == {"api"} or ("api" in roles and bool(roles & {"user", "manager", "admin"}))
    )


def user_api(kind: str, roles: Roles) -> bool:
    powers = {"user", "manager", "support", "admin"}
    return kind == "token" and (roles == {"api"} or ("api" in roles and bool(roles & powers)))


def config_api(kind: str, roles: Roles) -> bool:
    return kind == "session" and "admin" in roles


def frontend(kind: str, roles: Roles) -> bool:
    return kind == "session" and bool(roles)


def display(kind: str, roles: Roles) -> bool:
    return pages(kind, roles)


def anybody(roles: Roles) -> bool:
    return True


def admin(roles: Roles) -> bool:
    return "admin" in roles


def level(least: str) -> Callable[[Roles], bool]:
    order = ("anonymous", "api", "user", "manager", "support", "admin")
    return lambda roles: (
        max((order.index(one) for one in roles if one in order), default=0) >= order.index(least)
    )


Guard = Callable[[str, Roles], bool]
Inner = Callable[[Roles], bool]

# path: methods, guard (401 when it says no), rule of the handler (403 when it says no)
TABLE: dict[str, tuple[str, Guard, Inner]] = {
    "/": ("GET", pages, anybody),
    "/config": ("GET", pages, anybody),
    "/search": ("GET", pages, anybody),
    "/query": ("POST GET", pages, anybody),
    "/monitoring/jobs/": ("GET", pages, level("user")),
    "/monitoring/job/<id>": ("GET", pages, level("user")),
    "/monitoring/compare": ("GET", pages, level("user")),
    "/monitoring/tags/": ("GET", pages, level("user")),
    "/monitoring/user/<username>": ("GET", pages, level("user")),
    "/monitoring/users/": ("GET", pages, level("manager")),
    "/monitoring/projects/": ("GET", pages, level("manager")),
    "/monitoring/systems/<cluster>": ("GET", pages, level("support")),
    "/monitoring/systems/list/<cluster>": ("GET", pages, level("support")),
    "/monitoring/systems/list/<cluster>/<subcluster>": ("GET", pages, level("support")),
    "/monitoring/node/<cluster>/<hostname>": ("GET", pages, level("support")),
    "/monitoring/analysis/<cluster>": ("GET", pages, level("support")),
    "/monitoring/status/<cluster>": ("GET", pages, level("admin")),
    "/monitoring/status/detail/<cluster>": ("GET", pages, level("admin")),
    "/monitoring/dashboard/<cluster>": ("GET", pages, level("admin")),
    "/monitoring/logs": ("GET", pages, level("admin")),
    "/frontend/display/<cluster>": ("GET", display, level("admin")),
    "/frontend/presentation/": ("POST", frontend, admin),
    "/config/displays/": ("GET POST DELETE", config_api, admin),
    "/api/clusters/": ("GET", api, anybody),
    "/api/jobs/": ("GET", api, anybody),
    "/api/jobs/<id>": ("GET POST", api, anybody),
    "/api/jobs/<id>/export": ("GET", api, anybody),
    "/api/jobs/export": ("GET", api, anybody),
    "/api/jobs/metrics/<id>": ("GET", api, anybody),
    "/api/jobs/used_nodes": ("GET", api, anybody),
    "/api/jobs/start_job/": ("POST PUT", api, anybody),
    "/api/jobs/stop_job/": ("POST PUT", api, anybody),
    "/api/jobs/stop_job/<id>": ("POST PUT", api, anybody),
    "/api/jobs/tag_job/<id>": ("POST PATCH DELETE", api, anybody),
    "/api/tags/": ("DELETE", api, anybody),
    "/api/jobs/edit_meta/<id>": ("POST PATCH", api, anybody),
    "/api/jobs/edit_meta/": ("POST PATCH", api, anybody),
    "/api/jobs/delete_job/<id>": ("DELETE", api, anybody),
    "/api/jobs/delete_job/": ("DELETE", api, anybody),
    "/api/jobs/delete_job_before/<ts>": ("DELETE", api, anybody),
    "/api/nodestate/": ("POST PUT", api, anybody),
    "/api/nodestats/": ("POST PUT", api, anybody),
    "/api/machine_state/<path:place>": ("GET POST PUT", api, anybody),
    "/api/users/": ("GET POST PUT DELETE", api, admin),
    "/api/user/<username>": ("POST", api, admin),
    "/api/roles/": ("GET", api, admin),
    "/api/jwt/": ("GET", api, admin),
    "/api/configuration/": ("POST", api, admin),
    "/api/archiver/": ("GET", api, anybody),
    "/api/archiver/<id>": ("POST", api, anybody),
    "/metrics": ("GET", metric_store, anybody),
    "/api/query": ("GET POST", metric_store, anybody),
    "/api/write": ("MOUNT", metric_store, anybody),
    "/api/free": ("POST", metric_store, anybody),
    "/api/debug": ("GET", metric_store, anybody),
    "/api/healthcheck": ("GET POST", metric_store, anybody),
    "/metricstore/api/query": ("GET POST", metric_store, anybody),
    "/metricstore/api/write": ("MOUNT", metric_store, anybody),
    "/metricstore/api/free": ("POST", metric_store, anybody),
    "/metricstore/api/debug": ("GET", metric_store, anybody),
    "/metricstore/api/healthcheck": ("GET POST", metric_store, anybody),
    "/userapi/jobs/": ("GET", user_api, anybody),
    "/userapi/jobs/<id>": ("GET POST", user_api, anybody),
    "/userapi/jobs/<id>/export": ("GET", user_api, anybody),
    "/userapi/jobs/export": ("GET", user_api, anybody),
    "/userapi/jobs/metrics/<id>": ("GET", user_api, anybody),
    "/config/users/": ("GET POST PUT DELETE", config_api, admin),
    "/config/user/<username>": ("POST", config_api, admin),
    "/config/roles/": ("GET", config_api, admin),
    "/config/notice/": ("POST", config_api, admin),
    "/config/taggers/": ("GET", config_api, admin),
    "/config/taggers/run/": ("POST", config_api, admin),
    "/frontend/jwt/": ("GET", frontend, anybody),
    "/frontend/configuration/": ("POST", frontend, anybody),
    "/frontend/logs/": ("GET", frontend, admin),
    "/frontend/export/jobs.csv": ("GET", frontend, anybody),
    "/frontend/export/jobs.json": ("GET", frontend, anybody),
    "/frontend/export/job/<id>/metrics.csv": ("GET", frontend, anybody),
    "/frontend/export/job/<id>/metrics.json": ("GET", frontend, anybody),
    "/frontend/export/job/<id>/job.json": ("GET", frontend, anybody),
    "/frontend/suggest": ("GET", frontend, anybody),
    "/frontend/views/": ("GET POST DELETE", frontend, anybody),
    "/frontend/tags/<id>": ("POST", frontend, anybody),
    "/frontend/health/": ("GET", frontend, admin),
    "/frontend/events": ("MOUNT", frontend, anybody),
}
OPEN = {
    "/login", "/jwt-login", "/logout", "/imprint", "/privacy", "/assets/<path:name>", "/img/<path:name>",
    "/favicon.ico", "/healthz", "/readyz", "/playground", "/swagger/", "/swagger/index.html",
    "/frontend/csp", "/swagger/start.js", "/swagger/doc.json", "/swagger/<name>",
}  # fmt: skip
"""Open to everybody; what they do is tested elsewhere."""


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("permissions") / "site"
    shutil.copytree(template, folder)
    server = Server(folder)
    server.configure(lambda config: config["main"].update({"machine-state-dir": "./var/machines"}))
    server.start()
    yield server
    assert server.stop() == 0
    assert "Traceback" not in server.log, server.log


def credentials(server: Server, kind: str, roles: Roles) -> dict[str, str]:
    """Headers of somebody who proves these roles."""
    keys, somebody = server.keys(), Principal("ute", roles)
    assert keys.jwt_seed is not None
    assert keys.session is not None
    if kind == "token":
        return {"X-Auth-Token": TokenIssuer(keys.jwt_seed, 3600).issue(somebody)}
    if kind == "session":
        return {"Cookie": f"session={Sessions(keys.session, 3600).issue(somebody)}"}
    return {}


def concrete(path: str) -> str:
    values = {
        "<id>": "4711", "<ts>": "1", "<cluster>": "small", "<subcluster>": "main", "<hostname>": "n01",
        "<username>": "ute", "<path:place>": "small/n01",
    }  # fmt: skip
    for name, value in values.items():
        path = path.replace(name, value)
    return path


def status(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    if path.endswith("/jwt/"):
        path += "?username=ute"
    if path.endswith("/events"):  # never ends by itself
        with client.stream("GET", path, headers=headers) as answer:
            return answer.status_code
    verb = "POST" if method == "MOUNT" else method
    return client.request(verb, path, headers=headers).status_code


@pytest.mark.parametrize("path", TABLE)
def test_who_gets_in(site: Server, path: str) -> None:
    methods, guard, inner = TABLE[path]
    wrong = []
    with httpx.Client(base_url=site.url, timeout=30) as client:
        for kind in ("nobody", "token", "session"):
            for roles in ROLE_SETS if kind != "nobody" else ROLE_SETS[:1]:
                headers = credentials(site, kind, roles)
                expected = 401 if not guard(kind, roles) else 403 if not inner(roles) else 0
                for method in methods.split():
                    found = status(client, method, concrete(path), headers)
                    # An empty body may be refused, an unknown job be missing; but not for lack of rights.
                    right = found == expected if expected else found not in (401, 403) and found < 500
                    if path == "/frontend/logs/" and not expected:
                        right = right or found == 500  # no system journal on this machine
                    if not right:
                        wrong.append(f"{method} {kind} {sorted(roles)}: {found}, not {expected or 'let in'}")
    assert not wrong, "\n".join(wrong)


def test_the_table_knows_every_route(template: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    shutil.copytree(template, folder)
    server = Server(folder)
    server.configure(lambda config: config["main"].update({"machine-state-dir": "./var/machines"}))
    with application(folder) as gateway:
        found = {(method, rule) for method, rule in routes(gateway) if rule not in OPEN}
    listed = {(method, path) for path, (methods, _, _) in TABLE.items() for method in methods.split()}
    assert found == listed


def test_refusals_are_json_on_interfaces_and_pages_elsewhere(site: Server) -> None:
    with httpx.Client(base_url=site.url) as client:
        for path, (methods, guard, _) in TABLE.items():
            if methods == "MOUNT" and path.endswith("/events"):
                continue
            verb = "POST" if methods == "MOUNT" else methods.split()[0]
            answer = client.request(verb, concrete(path))
            assert answer.status_code == 401, path
            if guard is pages:
                assert "<form" in answer.text, path
            else:
                assert answer.json()["status"] == "Unauthorized", path
                assert answer.headers["content-type"] == "application/json", path


def test_events_of_one_cluster_are_for_the_staff(site: Server) -> None:
    with httpx.Client(base_url=site.url) as client:
        for roles in ROLE_SETS:
            if not roles:
                continue
            headers = credentials(site, "session", roles)
            with client.stream("GET", "/frontend/events?topics=status.small", headers=headers) as answer:
                assert answer.status_code == (200 if roles & {"admin", "support"} else 403), roles


# GraphQL operations: query, and who gets an answer. Source: spec/operations.md 3.2.
STAFF: Inner = lambda roles: bool(roles & {"admin", "support"})  # noqa: E731
SEES_JOBS: Inner = lambda roles: roles == {"api"} or bool(roles & {"user", "manager", "support", "admin"})  # noqa: E731
ANYBODY_OF_OTHERS: Inner = lambda roles: bool(roles & {"manager", "support", "admin"})  # noqa: E731
OPERATIONS: dict[str, tuple[str, Inner]] = {
    "clusters": ("{ clusters { name } }", anybody),
    "allocatedNodes": ('{ allocatedNodes(cluster: "small") { name } }', anybody),
    "tags": ("{ tags { id } }", anybody),
    "globalMetrics": ("{ globalMetrics { name } }", anybody),
    "user, self": ('{ user(username: "ute") { username } }', anybody),
    "user, another": ('{ user(username: "max") { username } }', ANYBODY_OF_OTHERS),
    "jobs": ("{ jobs { count } }", SEES_JOBS),
    "jobsStatistics": ("{ jobsStatistics { totalJobs } }", SEES_JOBS),
    "jobsMetricStats": ("{ jobsMetricStats { jobId } }", SEES_JOBS),
    "jobsFootprints": ("{ jobsFootprints(metrics: []) { timeWeights { nodeHours } } }", SEES_JOBS),
    "nodes": ("{ nodes { count } }", STAFF),
    "node": ('{ node(id: "1") { hostname } }', STAFF),
    "nodesWithMeta": ("{ nodesWithMeta { count } }", STAFF),
    "nodeStates": ('{ nodeStates(filter: [{cluster: {eq: "small"}}]) { state } }', STAFF),
    "nodeMetrics": (
        '{ nodeMetrics(cluster: "small", from: "2024-01-01T00:00:00Z", to: "2024-01-01T01:00:00Z")'
        " { host } }",
        STAFF,
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_graphql_operations(site: Server, name: str) -> None:
    query, admits = OPERATIONS[name]
    wrong = []
    with httpx.Client(base_url=site.url, timeout=30) as client:
        for kind in ("token", "session"):
            for roles in ROLE_SETS:
                if not pages(kind, roles):
                    continue
                answer = client.post("/query", json={"query": query}, headers=credentials(site, kind, roles))
                assert answer.status_code == 200
                refused = _refused(answer.json(), name)
                if refused == admits(roles):
                    wrong.append(f"{kind} {sorted(roles)}: {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


def _refused(answer: dict[str, Any], name: str) -> bool:
    errors = [error["message"] for error in answer.get("errors", [])]
    if name == "node" and errors and "no rows" in errors[0]:
        return False  # let in, but there is no such node
    return bool(errors)
