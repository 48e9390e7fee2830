"""The flat layout of config.json up to version 1.4, turned into today's sections.

Source: spec/operations.md 8.10. Values are passed on as they are; the schemas of the sections judge them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

_MAIN = (
    "addr", "user", "group", "disable-authentication", "embed-static-files", "static-files", "db",
    "db-driver", "validate", "session-max-age", "https-cert-file", "https-key-file", "redirect-http-to",
    "machine-state-dir", "stop-jobs-exceeding-walltime", "short-running-jobs-duration", "emission-constant",
    "enable-job-taggers", "systemd-unit",
)  # fmt: skip
_RENAMED_IN_MAIN = {"apiAllowedIPs": "api-allowed-ips", "enable-resampling": "resampling"}
_SECTIONS = {"job-archive": "archive", "archive": "archive", "cron-frequency": "cron", "ui-defaults": "ui"}
_RETENTION = {"includeDB": "include-db", "location": "target-path"}
_UI = {
    "plot_list_selectedMetrics": ("metric-config", "job-list-metrics"),
    "job_view_selectedMetrics": ("metric-config", "job-view-plot-metrics"),
    "job_view_nodestats_selectedMetrics": ("metric-config", "job-view-table-metrics"),
    "plot_general_colorBackground": ("plot-configuration", "color-background"),
    "plot_general_colorscheme": ("plot-configuration", "color-scheme"),
    "plot_general_lineWidth": ("plot-configuration", "line-width"),
    "plot_view_plotsPerRow": ("plot-configuration", "plots-per-row"),
    "plot_view_showPolarplot": ("job-view", "show-polar-plot"),
    "plot_view_showRoofline": ("job-view", "show-roofline"),
    "plot_view_showStatTable": ("job-view", "show-stat-table"),
    "job_view_showFootprint": ("job-view", "show-footprint"),
    "job_list_usePaging": ("job-list", "use-paging"),
    "plot_list_showFootprint": ("job-list", "show-footprint"),
}
KEYS = frozenset(
    (*_MAIN, *_RENAMED_IN_MAIN, *_SECTIONS, "jwts", "ldap", "oidc", "clusters", "disable-archive")
)
_TELLING = KEYS - {"archive"}  # a section of this name exists today as well


def is_flat(document: Mapping[str, Any]) -> bool:
    """Whether the document has no section main, but keys that once stood at the top level."""
    return "main" not in document and "main-file" not in document and not _TELLING.isdisjoint(document)


def sectioned(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration in sections. Keys nobody knows stay at the top level."""
    _log.warning(
        "%s: has the layout of versions before 1.5, which is read as it was meant; "
        "see docs/configuration.md for today's sections",
        path,
    )
    main = {key: document[key] for key in _MAIN if key in document}
    for old, new in _RENAMED_IN_MAIN.items():
        if old in document:
            main[new] = _kebab(document[old])
    result: dict[str, Any] = {"main": main}
    if auth := {key: _kebab(document[key]) for key in ("jwts", "ldap", "oidc") if key in document}:
        jwts = auth.setdefault("jwts", {})
        if isinstance(jwts, dict):
            jwts.setdefault("max-age", "")
        result["auth"] = auth
    for old, new in _SECTIONS.items():
        if old in document:
            result[new] = document[old]
    if isinstance(result.get("archive"), dict):
        result["archive"] = _archive(result["archive"])
    if isinstance(result.get("ui"), dict):
        result["ui"] = _ui(result["ui"])
    if isinstance(document.get("clusters"), list):
        result["metric-store-external"] = [_external(entry) for entry in document["clusters"]]
    if document.get("disable-archive"):
        _log.warning("%s: /disable-archive: is not supported any more, stopped jobs are archived", path)
    return result | {key: value for key, value in document.items() if key not in KEYS and key not in result}


def _archive(section: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(section)
    if isinstance(changed.get("retention"), dict):
        changed["retention"] = {
            _RETENTION.get(key, key): value for key, value in changed["retention"].items()
        }
    return changed


def _ui(section: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings that have no place in today's section are left out: they have their defaults."""
    groups: dict[str, dict[str, Any]] = {}
    for old, value in section.items():
        if old in _UI:
            group, key = _UI[old]
            groups.setdefault(group, {})[key] = value
    return groups


def _external(entry: Any) -> Any:
    """The metric store of one cluster; an entry that is none of the sort is left for the schema to refuse."""
    store = entry.get("metricDataRepository") if isinstance(entry, dict) else None
    if not isinstance(store, dict):
        return {"scope": entry.get("name"), "kind": "test", "url": ""} if isinstance(entry, dict) else entry
    return {"url": "", **store, "scope": entry.get("name")}


def _kebab(value: Any) -> Any:
    """`syncUserOnLogin` and `sync_user_on_login` as `sync-user-on-login`."""
    if not isinstance(value, dict):
        return value
    return {re.sub(r"(?<=[a-z])(?=[A-Z])|_", "-", key).lower(): inner for key, inner in value.items()}
