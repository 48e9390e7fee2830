"""The configuration as the program uses it: durations in seconds, sizes in bytes, defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """`cache_size` per connection and `soft_heap_limit` per process in bytes, times in seconds."""

    cache_size: int = 2048 * MEBIBYTE
    soft_heap_limit: int = 16384 * MEBIBYTE
    max_open_connections: int = 4
    max_idle_connections: int = 4
    max_idle_time: float = 600.0
    busy_timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Resampling:
    """`resolutions` in seconds as configured, `trigger` is the zoom threshold in points."""

    trigger: int = 0
    resolutions: tuple[int, ...] = ()
    minimum_points: int = 1000
    default_policy: str = "medium"
    default_algorithm: str = "lttb"


@dataclass(frozen=True, slots=True)
class ApiSubjects:
    """NATS subjects of events, and how many workers handle each."""

    job_event: str
    node_state: str
    job_concurrency: int = 8
    node_concurrency: int = 2


@dataclass(frozen=True, slots=True)
class HintRules:
    """Where the hints of jobs draw the line. Source: spec/web-ui.md 9.4.

    Accelerators in percent, loads per allocated core, times in seconds; `off` holds ids of hints not wanted.
    """

    minimum_runtime: float = 600
    idle_accelerator: float = 1
    low_accelerator_warning: float = 25
    low_accelerator_critical: float = 15
    low_cpu_warning: float = 0.8
    low_cpu_critical: float = 0.5
    idle_node_load: float = 0.05
    idle_node_part: float = 0.9
    oversubscription: float = 1.2
    imbalance: float = 0.3
    memory_over_asked: float = 5
    memory_near_limit: float = 0.95
    walltime_used: float = 0.4
    walltime_unused: float = 3600
    short_job_storm: int = 50
    off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Main:
    host: str = "127.0.0.1"
    port: int = 8080
    api_allowed_ips: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    user: str = ""
    group: str = ""
    disable_authentication: bool = False
    embed_static_files: bool = True
    static_files: str = ""
    db: str = "./var/job.db"
    db_driver: str = "sqlite3"
    db_options: DatabaseOptions = field(default_factory=DatabaseOptions)
    enable_job_taggers: bool = False
    validate: bool = False
    session_max_age: float = 604800.0
    https_cert_file: str = ""
    https_key_file: str = ""
    redirect_http_to: str = ""
    machine_state_dir: str = ""
    stop_jobs_exceeding_walltime: int = 0
    short_running_jobs_duration: int = 300
    emission_constant: int = 0
    systemd_unit: str = "clustercockpit.service"
    hints: HintRules = field(default_factory=HintRules)
    resampling: Resampling | None = None
    api_subjects: ApiSubjects | None = None
    nodestate_retention: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Jwts:
    """`max_age` of issued tokens in seconds, None: they never expire."""

    max_age: float | None = None
    cookie_name: str = ""
    validate_user: bool = False
    trusted_issuer: str = ""
    sync_user_on_login: bool = False
    update_user_on_login: bool = False


@dataclass(frozen=True, slots=True)
class Ldap:
    """`sync_interval` in seconds, 0: no periodic synchronisation. Source: spec/operations.md 2.5."""

    url: str
    user_base: str
    search_dn: str
    user_bind: str
    user_filter: str
    username_attr: str = "gecos"
    uid_attr: str = "uid"
    sync_interval: float = 0.0
    sync_del_old_users: bool = False
    sync_user_on_login: bool = False
    update_user_on_login: bool = False


@dataclass(frozen=True, slots=True)
class Oidc:
    """`provider` is the address of the issuer. Source: spec/operations.md 2.9."""

    provider: str
    sync_user_on_login: bool = False
    update_user_on_login: bool = False


@dataclass(frozen=True, slots=True)
class Auth:
    jwts: Jwts | None = None
    ldap: Ldap | None = None
    oidc: Oidc | None = None


@dataclass(frozen=True, slots=True)
class Cron:
    """Seconds between two runs, 0: the worker is off."""

    commit_job_worker: float = 120.0
    duration_worker: float = 300.0
    footprint_worker: float = 600.0


@dataclass(frozen=True, slots=True)
class Archive:
    """`compression` in days; `settings` is the section as written, for the drivers."""

    kind: str = "file"
    path: str = "./var/job-archive"
    compression: int = 7
    retention: dict[str, Any] | None = field(default=None, repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    subject: str
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class MetricStoreSection:
    """Times in seconds, `memory_cap` and `ingest_queue` in bytes (cap 0: none)."""

    retention: float
    memory_cap: int = 0
    num_workers: int = 0
    checkpoint_interval: float = 43200.0
    directory: Path = Path("./var/checkpoints")
    max_wal_size: int = 0
    cleanup_mode: str = "delete"
    cleanup_directory: str = ""
    subscriptions: tuple[Subscription, ...] = ()
    max_future: float = 600.0
    pack_after: float = 600.0
    journal: bool = True
    ingest_queue: int = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class ExternalStore:
    scope: str
    url: str
    kind: str = "cc-metric-store"
    token: str = field(default="", repr=False)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Nats:
    address: str
    username: str = ""
    password: str = field(default="", repr=False)
    creds_file_path: str = ""


@dataclass(frozen=True, slots=True)
class Ui:
    """`defaults` holds every key of the flat user configuration. Source: spec/operations.md 6.2."""

    defaults: dict[str, Any] = field(default_factory=dict)
    status_for_support: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    main: Main = field(default_factory=Main)
    auth: Auth = field(default_factory=Auth)
    cron: Cron = field(default_factory=Cron)
    archive: Archive = field(default_factory=Archive)
    metric_store: MetricStoreSection | None = None
    metric_store_external: tuple[ExternalStore, ...] = ()
    nats: Nats | None = None
    ui: Ui = field(default_factory=Ui)
