"""From checked sections to dataclasses: defaults, units, the flat keys of the web interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccserver.config.address import split_address
from ccserver.config.durations import parse_duration
from ccserver.config.errors import ConfigError
from ccserver.config.sections import (
    MEBIBYTE,
    ApiSubjects,
    Archive,
    Auth,
    Config,
    Cron,
    DatabaseOptions,
    ExternalStore,
    HintRules,
    Jwts,
    Ldap,
    Main,
    MetricStoreSection,
    Nats,
    Oidc,
    Resampling,
    Subscription,
    Ui,
)

_LONGEST_SESSION = 30 * 86400.0
_MOST_WORKERS = 64  # threads per NATS subject
_METRIC_LISTS = {
    "job-list-metrics": "metricConfig_jobListMetrics",
    "job-view-plot-metrics": "metricConfig_jobViewPlotMetrics",
    "job-view-table-metrics": "metricConfig_jobViewTableMetrics",
}
_UI_KEYS = {
    ("job-list", "use-paging"): "jobList_usePaging",
    ("job-list", "show-footprint"): "jobList_showFootprint",
    ("node-list", "use-paging"): "nodeList_usePaging",
    ("job-view", "show-polar-plot"): "jobView_showPolarPlot",
    ("job-view", "show-footprint"): "jobView_showFootprint",
    ("job-view", "show-roofline"): "jobView_showRoofline",
    ("job-view", "show-stat-table"): "jobView_showStatTable",
    ("plot-configuration", "color-background"): "plotConfiguration_colorBackground",
    ("plot-configuration", "plots-per-row"): "plotConfiguration_plotsPerRow",
    ("plot-configuration", "line-width"): "plotConfiguration_lineWidth",
    ("plot-configuration", "color-scheme"): "plotConfiguration_colorScheme",
}
_UI_PLAIN = ("theme", "timezone", "density", "hotkeys", "landing", "documentation")


def build_config(sections: Mapping[str, Any], environment: Mapping[str, str]) -> Config:
    """Raises ConfigError (pointer and reason, without the file) for what a schema cannot say."""
    main = _main(sections["main"], environment)
    return Config(
        main=main,
        auth=_auth(sections.get("auth", {})),
        cron=_cron(sections.get("cron", {})),
        archive=_archive(sections.get("archive", {"kind": "file"})),
        metric_store=build_metric_store(sections["metric-store"]) if "metric-store" in sections else None,
        metric_store_external=tuple(map(_external, sections.get("metric-store-external", ()))),
        nats=build_nats(sections["nats"]) if "nats" in sections else None,
        ui=_ui(sections.get("ui", {}), main),
    )


def _main(section: Mapping[str, Any], environment: Mapping[str, str]) -> Main:
    host, port = split_address(section.get("addr", "127.0.0.1:8080")) or ("127.0.0.1", 8080)
    if bool(section.get("https-cert-file")) != bool(section.get("https-key-file")):
        raise ConfigError("/main/https-key-file: https-cert-file and https-key-file only work together")
    plain = {
        key.replace("-", "_"): section[key]
        for key in (
            "user", "group", "disable-authentication", "embed-static-files", "static-files", "db-driver",
            "enable-job-taggers", "validate", "https-cert-file", "https-key-file", "redirect-http-to",
            "machine-state-dir", "stop-jobs-exceeding-walltime", "short-running-jobs-duration",
            "emission-constant", "systemd-unit", "nodestate-retention",
        )
        if key in section
    }  # fmt: skip
    _check_target(section.get("nodestate-retention"), "/main/nodestate-retention")
    subjects = section.get("api-subjects")
    return Main(
        host=host,
        port=port,
        api_allowed_ips=tuple(section.get("api-allowed-ips", ())),
        trusted_proxies=tuple(section.get("trusted-proxies", ())),
        db=_database(section.get("db", "./var/job.db"), environment),
        db_options=_database_options(section.get("db-config", {})),
        session_max_age=_session_age(section.get("session-max-age", "168h")),
        hints=_hints(section.get("hints", {})),
        resampling=_resampling(section.get("resampling")),
        api_subjects=ApiSubjects(
            subjects["subject-job-event"],
            subjects["subject-node-state"],
            min(subjects.get("job-concurrency", 8), _MOST_WORKERS),
            min(subjects.get("node-concurrency", 2), _MOST_WORKERS),
        )
        if subjects
        else None,
        **plain,
    )


def _database(value: str, environment: Mapping[str, str]) -> str:
    if not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if not environment.get(name):
        raise ConfigError(f"/main/db: the environment variable {name} it refers to is not set")
    return environment[name]


def _session_age(text: str) -> float:
    return (parse_duration(text) if text else 0.0) or _LONGEST_SESSION


def _database_options(section: Mapping[str, int]) -> DatabaseOptions:
    default = DatabaseOptions()

    def positive(key: str, unit: int, otherwise: Any) -> Any:
        return section[key] * unit if section.get(key, 0) > 0 else otherwise

    return DatabaseOptions(
        cache_size=positive("cache-size-mb", MEBIBYTE, default.cache_size),
        soft_heap_limit=positive("soft-heap-limit-mb", MEBIBYTE, default.soft_heap_limit),
        max_open_connections=positive("max-open-connections", 1, default.max_open_connections),
        max_idle_connections=positive("max-idle-connections", 1, default.max_idle_connections),
        max_idle_time=positive("max-idle-time-minutes", 60, default.max_idle_time),
        busy_timeout=positive("busy-timeout-ms", 1, default.busy_timeout * 1000) / 1000,
    )


def _resampling(section: Mapping[str, Any] | None) -> Resampling | None:
    if section is None:
        return None
    default = Resampling()
    return Resampling(
        trigger=section.get("trigger", default.trigger),
        resolutions=tuple(section.get("resolutions", ())),
        minimum_points=section.get("minimum-points", default.minimum_points),
        default_policy=section.get("default-policy", default.default_policy),
        default_algorithm=section.get("default-algo", default.default_algorithm),
    )


def _hints(section: Mapping[str, Any]) -> HintRules:
    rules = _snake(section)
    return HintRules(**{**rules, "off": tuple(rules.get("off", ()))})


def _auth(section: Mapping[str, Any]) -> Auth:
    jwts = section.get("jwts")
    return Auth(
        jwts=Jwts(
            max_age=parse_duration(jwts["max-age"]) if jwts["max-age"] else None,
            cookie_name=jwts.get("cookie-name", ""),
            validate_user=jwts.get("validate-user", False),
            trusted_issuer=jwts.get("trusted-issuer", ""),
            sync_user_on_login=jwts.get("sync-user-on-login", False),
            update_user_on_login=jwts.get("update-user-on-login", False),
        )
        if jwts is not None
        else None,
        ldap=_ldap(section["ldap"]) if "ldap" in section else None,
        oidc=Oidc(**_snake(section["oidc"])) if "oidc" in section else None,
    )


def _ldap(section: Mapping[str, Any]) -> Ldap:
    options = _snake(section)
    interval = options.pop("sync_interval", "")
    scheme, _, host = options["url"].partition("://")
    if scheme not in ("ldap", "ldaps") or not host:
        raise ConfigError("/auth/ldap/url: expected ldap://host or ldaps://host")
    if "{username}" not in options["user_bind"]:
        raise ConfigError("/auth/ldap/user-bind: expected a DN with {username} in it")
    return Ldap(sync_interval=parse_duration(interval) if interval else 0.0, **options)


def _snake(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in section.items()}


def _cron(section: Mapping[str, str]) -> Cron:
    return Cron(**{key.replace("-", "_"): parse_duration(value) for key, value in section.items()})


def _check_target(retention: Mapping[str, Any] | None, pointer: str) -> None:
    if retention is None or retention["policy"] not in ("copy", "move"):
        return
    key = "target-bucket" if retention.get("target-kind") == "s3" else "target-path"
    if not retention.get(key):
        raise ConfigError(f"{pointer}/{key}: {retention['policy']} needs to know where to")


def _archive(section: Mapping[str, Any]) -> Archive:
    _check_target(section.get("retention"), "/archive/retention")
    return Archive(
        kind=section["kind"],
        path=section.get("path", "./var/job-archive"),
        compression=section.get("compression", 7),
        retention=section.get("retention"),
        settings=dict(section),
    )


def build_metric_store(section: Mapping[str, Any]) -> MetricStoreSection:
    checkpoints, cleanup = section.get("checkpoints", {}), section.get("cleanup", {})
    retention = parse_duration(section["retention-in-memory"])
    if retention <= 0:
        raise ConfigError("/metric-store/retention-in-memory: must be longer than 0")
    if cleanup.get("mode") == "archive" and not cleanup.get("directory"):
        raise ConfigError("/metric-store/cleanup/directory: is missing, the mode archive needs it")
    return MetricStoreSection(
        retention=retention,
        memory_cap=section["memory-cap"] * 10**9,
        num_workers=section.get("num-workers", 0),
        checkpoint_interval=parse_duration(section.get("checkpoint-interval", "12h")),
        directory=Path(checkpoints.get("directory", "./var/checkpoints")),
        max_wal_size=checkpoints.get("max-wal-size", 0),
        cleanup_mode=cleanup.get("mode", "delete"),
        cleanup_directory=cleanup.get("directory", ""),
        subscriptions=tuple(
            Subscription(entry["subscribe-to"], entry.get("cluster-tag", ""))
            for entry in section.get("nats-subscriptions", ())
        ),
        max_future=parse_duration(section.get("max-future", "10m")),
        pack_after=parse_duration(section.get("pack-after", "10m")),
        journal=section.get("journal", True),
        ingest_queue=section.get("ingest-queue-mb", 256) * MEBIBYTE,
    )


def _external(entry: Mapping[str, Any]) -> ExternalStore:
    kind = entry.get("kind", "cc-metric-store")
    return ExternalStore(entry["scope"], entry["url"], kind, entry.get("token", ""), dict(entry))


def build_nats(section: Mapping[str, str]) -> Nats:
    known = ("address", "username", "password", "creds-file-path")
    return Nats(**{key.replace("-", "_"): section[key] for key in known if key in section})


def _ui(section: Mapping[str, Any], main: Main) -> Ui:
    defaults: dict[str, Any] = {
        "jobList_usePaging": False,
        "jobList_showFootprint": False,
        "nodeList_usePaging": False,
        "jobView_showPolarPlot": True,
        "jobView_showFootprint": False,
        "jobView_showRoofline": True,
        "jobView_showStatTable": True,
        "metricConfig_jobListMetrics": ["cpu_load", "flops_any", "mem_bw", "mem_used"],
        "metricConfig_jobViewPlotMetrics": ["cpu_load", "flops_any", "mem_bw", "mem_used"],
        "metricConfig_jobViewTableMetrics": ["flops_any", "mem_bw", "mem_used"],
        "plotConfiguration_colorBackground": True,
        "plotConfiguration_plotsPerRow": 3,
        "plotConfiguration_lineWidth": 3,
        "plotConfiguration_colorScheme": [
            "#00bfff", "#0000ff", "#ff00ff", "#ff0000", "#ff8000", "#ffff00", "#80ff00",
        ],
    }  # fmt: skip
    for (group, key), name in _UI_KEYS.items():
        if key in section.get(group, {}):
            defaults[name] = section[group][key]
    defaults.update({f"ui_{key}": section[key] for key in _UI_PLAIN if key in section})
    metrics = section.get("metric-config", {})
    _metric_lists(defaults, metrics, "")
    for cluster in metrics.get("clusters", ()):
        _metric_lists(defaults, cluster, f":{cluster['name']}")
        for subcluster in cluster.get("sub-clusters", ()):
            _metric_lists(defaults, subcluster, f":{cluster['name']}:{subcluster['name']}")
    defaults["jobList_hideShortRunningJobs"] = main.short_running_jobs_duration
    return Ui(defaults, section.get("status-for-support", False))


def _metric_lists(defaults: dict[str, Any], source: Mapping[str, Any], suffix: str) -> None:
    for key, name in _METRIC_LISTS.items():
        if key in source:
            defaults[name + suffix] = source[key]
