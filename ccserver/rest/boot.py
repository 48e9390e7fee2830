"""The data every page starts with. Source: spec/web-ui.md 2.2."""

from __future__ import annotations

from typing import Any

import orjson

from ccserver.auth.displays import DISPLAY
from ccserver.model.user import Principal
from ccserver.pseudonyms import Kind, Names
from ccserver.rest.templates import web_build
from ccserver.rest.web import Web

_NAMING_SETTINGS = frozenset({"ui_savedViews", "statusView_ignoredAlerts", "ui_landing"})
"""Settings that hold names; one with a `=` may hold the filters of an address."""

FEATURES = [
    "events",
    "suggest",
    "views",
    "tagname",
    "health",
    "tagmode",
    "exactzero",
    "histfloat",
    "nodejobs",
    "sample",
    "display",
    "hints",
    "export",
    "similar",
    "heatmap",
    "bulk",
]


def boot_payload(web: Web, principal: Principal, page: str, params: dict[str, str]) -> dict[str, Any]:
    """Only what this principal may know; blocking, reads the database."""
    config = web.site.config
    names = web.site.names(principal)
    resampling = config.main.resampling
    return {
        "user": {
            "username": names.shown(Kind.USER, principal.username),
            "name": names.shown(Kind.NAME, principal.name),
            "email": names.shown(Kind.EMAIL, principal.email),
            "roles": sorted(principal.roles),
            "authLevel": principal.level,
            "projects": [names.shown(Kind.PROJECT, project) for project in principal.projects],
        },
        "authentication": web.login is not None,
        "clusters": [
            {
                "name": cluster.name,
                "subClusters": list(cluster.subclusters),
                "partitions": list(web.site.jobs.partitions(cluster.name)),
            }
            for cluster in web.site.clusters.by_name.values()
        ],
        "config": _shown_settings(
            {**config.ui.defaults, **_own_settings(web, principal), **_injected(web)}, names
        ),
        "defaults": _shown_settings(config.ui.defaults, names),
        "resampling": {
            "minimumPoints": resampling.minimum_points,
            "trigger": resampling.trigger,
            "resolutions": list(resampling.resolutions),
        }
        if resampling
        else None,
        "version": {"version": web.version, **web_build()},
        # A notice is a free text: somebody may be named in it.
        "notice": "" if principal is DISPLAY or names.hidden else web.notice.text,
        "emissionConstant": config.main.emission_constant,
        "shortRunningJobsDuration": config.main.short_running_jobs_duration,
        "shortJobStorm": config.main.hints.short_job_storm,
        "statusForSupport": config.ui.status_for_support,
        "features": _features(web, principal),
        "presentation": names.hidden,
        "page": {"name": page, "params": params},
    }


def _features(web: Web, principal: Principal) -> list[str]:
    if principal is DISPLAY:
        return []
    if principal.presentation:
        return [*(name for name in FEATURES if name != "display"), "scramble"]
    return [*FEATURES, *(["scramble"] if may_present(web, principal) else [])]


def may_present(web: Web, principal: Principal) -> bool:
    """Administrators; without authentication there are no sessions that could differ."""
    return web.gate.sessions is not None and "admin" in principal.roles


def _shown_settings(settings: dict[str, Any], names: Names) -> dict[str, Any]:
    """Without those that name somebody: in presentation mode the site's defaults stand in for them."""
    if not names.hidden:
        return settings
    return {key: value for key, value in settings.items() if not _names_somebody(key, value, names)}


def _names_somebody(key: str, value: Any, names: Names) -> bool:
    text = orjson.dumps(value).decode()
    return key in _NAMING_SETTINGS or "=" in text or names.scrubbed(text) != text


def _own_settings(web: Web, principal: Principal) -> dict[str, Any]:
    """Without what was set to null: there the default of the site holds."""
    own = web.site.users.configuration(principal.username) if web.login else {}
    return {key: value for key, value in own.items() if value is not None}


def _injected(web: Web) -> dict[str, Any]:
    return {"jobList_hideShortRunningJobs": web.site.config.main.short_running_jobs_duration}
