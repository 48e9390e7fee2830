"""All routes that programs call, from the tables of their modules. Pages and logins register themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccserver.config import Config
from ccserver.rest import (
    displays,
    downloads,
    export,
    frontend,
    health,
    job_changes,
    jobs,
    journal,
    machine,
    metricstore,
    presenting,
    settings,
    sites,
    suggest,
    taggers,
    tagging,
    views,
)
from ccserver.rest.table import Route
from ccserver.rest.web import Routes

TABLE: tuple[Route, ...] = (
    *jobs.ROUTES,
    *export.ROUTES,
    *job_changes.ROUTES,
    *sites.ROUTES,
    *metricstore.ROUTES,
    *settings.ROUTES,
    *frontend.ROUTES,
    *suggest.ROUTES,
    *downloads.ROUTES,
    *views.ROUTES,
    *displays.ROUTES,
    *presenting.ROUTES,
    *tagging.ROUTES,
    *health.ROUTES,
    *taggers.ROUTES,
    *machine.ROUTES,
    *journal.ROUTES,
)


def register(routes: Routes, config: Config, elsewhere: Iterable[str]) -> None:
    """Adds what the configuration offers; paths `elsewhere` are served by somebody else."""
    outside = set(elsewhere)
    rules = {route.rule for route in TABLE}
    for route in TABLE:
        if route.offered(config) and route.rule.rstrip("/") not in outside:
            # a fixed name is never taken for an id, whatever the method, whether it is offered or not
            taken = {_last(rule) for rule in rules if _captures(route.rule, rule)}
            routes.add(route.rule, route.methods, route.group, route.handler, taken, route.presentable)


def _captures(pattern: str, rule: str) -> bool:
    """Whether a rule that ends in a parameter would take the last name of `rule` for its value."""
    same_parent = pattern.rstrip("/").rpartition("/")[0] == rule.rstrip("/").rpartition("/")[0]
    return _last(pattern).startswith("<") and same_parent and not _last(rule).startswith("<")


def _last(rule: str) -> str:
    return rule.rstrip("/").rpartition("/")[2]


def described(config: Config | None = None) -> Mapping[str, list[Route]]:
    """The table by path, in its order; with a configuration only what that offers."""
    by_path: dict[str, list[Route]] = {}
    for route in TABLE:
        if config is None or route.offered(config):
            by_path.setdefault(route.rule, []).append(route)
    return by_path
