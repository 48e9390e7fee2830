"""The data every page starts with. Source: spec/web-ui.md 2.2."""

from __future__ import annotations

from typing import Any

from ccserver.auth.displays import DISPLAY
from ccserver.model.user import Principal
from ccserver.rest.templates import web_build
from ccserver.rest.web import Web

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
    resampling = config.main.resampling
    return {
        "user": {
            "username": principal.username,
            "name": principal.name,
            "email": principal.email,
            "roles": sorted(principal.roles),
            "authLevel": principal.level,
            "projects": list(principal.projects),
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
        "config": {**config.ui.defaults, **_own_settings(web, principal), **_injected(web)},
        "defaults": config.ui.defaults,
        "resampling": {
            "minimumPoints": resampling.minimum_points,
            "trigger": resampling.trigger,
            "resolutions": list(resampling.resolutions),
        }
        if resampling
        else None,
        "version": {"version": web.version, **web_build()},
        "notice": "" if principal is DISPLAY else web.notice.text,
        "emissionConstant": config.main.emission_constant,
        "shortRunningJobsDuration": config.main.short_running_jobs_duration,
        "shortJobStorm": config.main.hints.short_job_storm,
        "statusForSupport": config.ui.status_for_support,
        "features": [] if principal is DISPLAY else FEATURES,
        "page": {"name": page, "params": params},
    }


def _own_settings(web: Web, principal: Principal) -> dict[str, Any]:
    """Without what was set to null: there the default of the site holds."""
    own = web.site.users.configuration(principal.username) if web.login else {}
    return {key: value for key, value in own.items() if value is not None}


def _injected(web: Web) -> dict[str, Any]:
    return {"jobList_hideShortRunningJobs": web.site.config.main.short_running_jobs_duration}
