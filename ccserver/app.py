"""Composition root: builds the parts of a server and owns the tree of its tasks and threads.

serve
|-- signals                 SIGTERM, SIGINT set the shutdown event
|-- listener                connections, one task each; ends by the shutdown event
|-- hub                     live views
|-- workers                 durations, footprints, clean-up: one task each, work in a thread
|-- restore                 reads the checkpoints, once
`-- threads: store housekeeping, archiver, job columns, NATS, database writer
"""

from __future__ import annotations

import gc
import importlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from ccserver.archive import JobArchive
from ccserver.auth.guards import Gate
from ccserver.auth.local import LocalAuthenticator
from ccserver.auth.login import Authenticator, LoginDispatcher, LoginLimiter
from ccserver.auth.sessions import EndedSessions, Sessions
from ccserver.auth.tokens import TokenIssuer, TokenVerifier
from ccserver.auth.users import UserRepository
from ccserver.clusters import Clusters
from ccserver.config import Config, ConfigError, Keys, Resampling
from ccserver.database import Database
from ccserver.jobs.column_keeper import ColumnKeeper
from ccserver.jobs.lifecycle import JobLifeCycle
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagRepository
from ccserver.live import EventStream, Hub, StatusReader
from ccserver.metricdata import MetricData
from ccserver.nodes import NodeRepository
from ccserver.notify import feed_watchdog, notify
from ccserver.opening import build_directory, build_issuer, build_taggers, open_clusters
from ccserver.privileges import drop_privileges
from ccserver.process import (
    PATIENCE,
    STOPPING,
    Work,
    keep_house,
    note_signals,
    restore,
    shown,
    store_options,
    tls_context,
    watch_signals,
)
from ccserver.rest.application import create_application
from ccserver.rest.gateway import Redirection
from ccserver.rest.listener import Listener
from ccserver.rest.monitoring import Monitor
from ccserver.rest.overrides import read_overrides
from ccserver.rest.settings import read_notice
from ccserver.rest.templates import Templates
from ccserver.rest.web import ClusterNotice, GraphQLView, Web, in_thread
from ccserver.site import Site
from ccserver.tasks import (
    Retention,
    compress,
    daily,
    every,
    forget_node_states,
    move_node_states,
    retain,
    update_durations,
    update_footprints,
)
from ccserver.version import VERSION
from ccstore import MetricStore

if TYPE_CHECKING:
    from ccserver.auth.ldap import Directory
    from ccserver.auth.oidc import OidcProvider
    from ccserver.broker import Feed

_log = logging.getLogger(__name__)

_VARIABLE = Path("./var")
_ENDED_SESSIONS = _VARIABLE / "ended-sessions"
_EVENT_BYTES = 64 * 1024 * 1024  # may wait per subject when only events are received


def build_site(config: Config, database: Database, archive: JobArchive) -> Site:
    """All services of a server; nothing runs yet except the database's writer."""
    clusters = open_clusters(config, archive)
    if not len(clusters):
        _log.warning("the archive %s has no cluster: no job can be started", config.archive.path)
    resampling = config.main.resampling or Resampling()
    store = _store(config, clusters, resampling.minimum_points)
    metric_data = MetricData(clusters, store, archive, minimum_points=resampling.minimum_points)
    short_running = config.main.short_running_jobs_duration
    jobs = JobRepository(database, short_running=short_running, columns=ColumnKeeper(database))
    tags = TagRepository(database, archive)
    ready = (lambda: store.ready) if store is not None else (lambda: True)
    life_cycle = JobLifeCycle(jobs, tags, clusters, metric_data, archive, ready=ready)
    taggers = build_taggers(jobs, tags, clusters, archive, life_cycle.set_metadata)
    if config.main.enable_job_taggers:
        life_cycle.start_hooks += taggers.hooks("start")
        life_cycle.stop_hooks += taggers.hooks("stop")
    if store is not None:
        store.in_use(jobs.used_nodes)
    return Site(
        config=config,
        database=database,
        clusters=clusters,
        archive=archive,
        store=store,
        metric_data=metric_data,
        jobs=jobs,
        tags=tags,
        users=UserRepository(database),
        nodes=NodeRepository(database, clusters),
        life_cycle=life_cycle,
        taggers=taggers,
    )


def _store(config: Config, clusters: Clusters, minimum_points: int) -> MetricStore | None:
    section = config.metric_store
    if section is None:
        _log.warning("no section metric-store: metric data of running jobs is not available")
        return None
    return MetricStore(clusters.store_metrics(), store_options(section, minimum_points))


@dataclass(frozen=True, slots=True)
class Access:
    """Who may enter: the gate for requests, the dispatcher for logins (None: authentication is off)."""

    gate: Gate
    login: LoginDispatcher | None
    limiter: LoginLimiter
    issuer: TokenIssuer | None
    oidc: OidcProvider | None = None
    directory: Directory | None = None


def build_access(config: Config, keys: Keys, users: UserRepository) -> Access:
    """Raises ConfigError without a session key, or when the OpenID Connect provider does not answer."""
    jwts = config.auth.jwts
    if jwts is None and not config.main.disable_authentication:
        _log.warning("no section auth.jwts: tokens are refused")
    elif keys.jwt_public is None:
        _log.warning("JWT_PUBLIC_KEY is not set: all tokens are refused")
    verifier = TokenVerifier(keys.jwt_public if jwts else None, bool(jwts and jwts.validate_user), users.get)
    limiter = LoginLimiter()
    if config.main.disable_authentication:
        _log.warning("authentication is switched off: everybody has the rights of an admin")
        return Access(Gate(verifier, None, ()), None, limiter, build_issuer(config, keys))
    if keys.session is None:
        raise ConfigError("environment: SESSION_KEY is not set; put 32 random bytes as base64 into .env")
    if jwts is not None and keys.jwt_seed is None:
        _log.warning("JWT_PRIVATE_KEY is not set: tokens cannot be issued")

    def projects_of(username: str) -> tuple[str, ...]:
        account = users.get(username)
        return account.projects if account else ()

    sessions = Sessions(
        keys.session, config.main.session_max_age, projects_of, EndedSessions(_ENDED_SESSIONS)
    )
    directory = build_directory(config.auth.ldap, keys) if config.auth.ldap else None
    return Access(
        gate=Gate(verifier, sessions, config.main.api_allowed_ips, config.main.trusted_proxies),
        login=LoginDispatcher(users, _authenticators(config, keys, users, directory), limiter),
        limiter=limiter,
        issuer=build_issuer(config, keys),
        oidc=_oidc_provider(config, keys, users),
        directory=directory,
    )


def _authenticators(
    config: Config, keys: Keys, users: UserRepository, directory: Directory | None
) -> list[Authenticator]:
    """Those that are configured, in the order in which they are asked."""
    found: list[Authenticator] = []
    jwts = config.auth.jwts
    if config.auth.ldap is not None and directory is not None:
        from ccserver.auth.ldap import LdapAuthenticator

        found.append(LdapAuthenticator(directory, config.auth.ldap, users))
    if jwts is not None and (keys.cross_login_secret or keys.cross_login_public):
        from ccserver.auth.jwt_login import CookieAuthenticator, SecretAuthenticator

        if keys.cross_login_secret:
            found.append(SecretAuthenticator(keys.cross_login_secret, jwts, users))
        if keys.cross_login_public and not (jwts.cookie_name and jwts.trusted_issuer):
            _log.warning(
                "login by cookie needs auth.jwts.cookie-name and auth.jwts.trusted-issuer: it is off"
            )
        elif keys.cross_login_public and not (keys.jwt_public and keys.jwt_seed):
            _log.warning("login by cookie needs JWT_PUBLIC_KEY and JWT_PRIVATE_KEY: it is off")
        elif keys.cross_login_public and keys.jwt_public:
            found.append(CookieAuthenticator(keys.jwt_public, keys.cross_login_public, jwts, users))
    found.append(LocalAuthenticator(users))
    return found


def _oidc_provider(config: Config, keys: Keys, users: UserRepository) -> OidcProvider | None:
    if config.auth.oidc is None:
        return None
    from ccserver.auth.oidc import DiscoveryError, OidcProvider

    for name, value in (("OID_CLIENT_ID", keys.oidc_client), ("OID_CLIENT_SECRET", keys.oidc_secret)):
        if not value:
            _log.warning("%s is not set: the provider will not know this server", name)
    try:
        return OidcProvider(config.auth.oidc, keys.oidc_client or "", keys.oidc_secret or "", users)
    except DiscoveryError as error:
        raise ConfigError(f"/auth/oidc/provider: {error}") from None


# With `main.user`, an account that may not be able to read the program runs it: these are loaded before.
_LOADED_LATE = ("ccserver.broker.stream", "ccserver.graphql.view", "ccserver.jobs.jobclasses")


def run_server(
    config: Config,
    keys: Keys,
    database: Database,
    archive: JobArchive,
    sockets: list[socket.socket],
    redirecting: list[socket.socket],
    *,
    development: bool,
) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT; raises ConfigError and what building a site raises.

    Whoever connects to a socket of `redirecting` is sent to `main.redirect-http-to`.
    """
    tls = tls_context(config.main.https_cert_file, config.main.https_key_file)
    if config.main.user:
        for module in _LOADED_LATE:
            importlib.import_module(module)
    drop_privileges(config.main.user, config.main.group)
    site = build_site(config, database, archive)
    try:
        access = build_access(config, keys, site.users)
        early = note_signals()
        # What start-up made lives as long as the process: spare every full collection the walk through it.
        gc.collect()
        gc.freeze()
        trio.run(_serve, site, access, sockets, redirecting, tls, development, early)
    finally:
        for number in STOPPING:  # the interpreter's own end restores every other kind of handler
            signal.signal(number, signal.SIG_IGN)
        if site.store is not None:
            site.store.close()


async def _serve(
    site: Site,
    access: Access,
    sockets: list[socket.socket],
    redirecting: list[socket.socket],
    tls: ssl.SSLContext | None,
    development: bool,
    early_signals: list[int],
) -> None:

    hub = Hub(StatusReader(site.clusters, site.store, site.jobs, site.nodes), site.clusters.names())
    site.life_cycle.on_event.append(hub.publish_job)
    monitor = Monitor(site.store)
    graphql = LateGraphQL()
    overrides = read_overrides(_VARIABLE)
    web = Web(
        site=site,
        gate=access.gate,
        login=access.login,
        issuer=access.issuer,
        templates=Templates(overrides.templates),
        graphql=graphql,
        development=development,
        version=VERSION,
        notice=ClusterNotice(read_notice()),
        oidc=access.oidc,
        monitor=monitor,
        overrides=overrides,
    )
    application = create_application(web, {"/frontend/events": EventStream(hub, access.gate, site.names)})
    with ExitStack() as threads:
        # Left in reverse order: first no more samples, then no more jobs to archive, then the last tidying.
        if site.store is not None:
            threads.enter_context(Work("housekeeping", partial(keep_house, site.store)))
        threads.enter_context(_archiving(site))
        threads.enter_context(_job_columns(site))
        threads.enter_context(_bridge(site, monitor))
        async with trio.open_nursery() as nursery:
            await nursery.start(watch_signals, hub.shutdown)
            if early_signals:
                hub.shutdown.set()
            nursery.start_soon(hub.run)
            for seconds, work in _periodic_work(site, access):
                nursery.start_soon(every, seconds, work)
            for hour, minute, work in _daily_work(site):
                nursery.start_soon(daily, hour, minute, work)
            if site.store is not None:
                nursery.start_soon(restore, site.store)
            nursery.start_soon(feed_watchdog)
            nursery.start_soon(_announce_end, hub.shutdown)
            if redirecting:
                elsewhere = Listener(Redirection(site.config.main.redirect_http_to))
                nursery.start_soon(elsewhere.serve, redirecting, hub.shutdown)
            _log.info("listening on %s", ", ".join(shown(one) for one in sockets))
            notify(READY=1, STATUS="running")
            nursery.start_soon(in_thread, graphql.load)
            await Listener(application, tls).serve(sockets, hub.shutdown)
            nursery.cancel_scope.cancel()


class LateGraphQL:
    """The GraphQL view, whose schema is a sixth of all a server loads: it is loaded when the server listens,
    or by the first query."""

    def __init__(self) -> None:
        self._view: GraphQLView | None = None

    def load(self) -> GraphQLView:
        if self._view is None:
            from ccserver.graphql.view import handle

            self._view = handle
            gc.freeze()  # as the rest of what start-up made
        return self._view

    async def __call__(self, *parts: Any, **options: Any) -> tuple[int, dict[str, str], list[bytes]]:
        view = await in_thread(self.load) if self._view is None else self._view
        return await view(*parts, **options)


async def _announce_end(shutdown: trio.Event) -> None:
    await shutdown.wait()
    notify(STOPPING=1, STATUS="shutting down")


def _periodic_work(site: Site, access: Access) -> list[tuple[float, Callable[[], object]]]:
    """Seconds between two runs, and what to run."""

    cron, ldap = site.config.cron, site.config.auth.ldap
    work: list[tuple[float, Callable[[], object]]] = [
        (cron.commit_job_worker, site.life_cycle.take_over_cache),
        (cron.duration_worker, partial(update_durations, site.jobs)),
        (cron.footprint_worker, partial(update_footprints, site.jobs, site.clusters, site.metric_data)),
        (3600.0, access.limiter.forget_unused),
    ]
    if ldap is not None and access.directory is not None and ldap.sync_interval:
        from ccserver.auth.ldap import synchronise_directory

        work.append((ldap.sync_interval, partial(synchronise_directory, access.directory, ldap, site.users)))
    return work


def _daily_work(site: Site) -> list[tuple[int, int, Callable[[], object]]]:
    """Hour and minute of the local clock, and what to run then. Source: spec/operations.md 10."""
    main, archive = site.config.main, site.archive
    work: list[tuple[int, int, Callable[[], object]]] = []
    if states := main.nodestate_retention:
        if states["policy"] == "move":
            work.append((2, 30, partial(move_node_states, states, site.nodes)))
        else:
            work.append((2, 0, partial(forget_node_states, states.get("age", 24), site.nodes)))
    if main.stop_jobs_exceeding_walltime > 0:
        work.append((3, 0, partial(site.life_cycle.stop_overdue, main.stop_jobs_exceeding_walltime)))
    work.append((5, 0, partial(compress, site.config.archive.compression, site.jobs, archive)))
    section = site.config.archive.retention or {"policy": "none"}
    hours = {"delete": 3, "copy": 4, "move": 5}
    if section["policy"] not in hours:
        return work
    keep = partial(retain, Retention.of(section), site.jobs, archive)
    work.append((hours[section["policy"]], 0, keep))
    return work


@contextmanager
def _archiving(site: Site) -> Iterator[None]:
    thread = threading.Thread(target=site.life_cycle.run_archiver, name="archiver", daemon=True)
    thread.start()
    try:
        yield
    finally:
        site.taggers.close(PATIENCE)
        site.life_cycle.drain(PATIENCE, give_up=False)  # the next start archives them


@contextmanager
def _job_columns(site: Site) -> Iterator[None]:
    columns = site.jobs.columns
    if columns is None:
        yield
        return
    thread = threading.Thread(target=columns.run, name="job-columns", daemon=True)
    thread.start()
    try:
        yield
    finally:
        columns.stop()
        thread.join(PATIENCE)


@contextmanager
def _bridge(site: Site, monitor: Monitor) -> Iterator[None]:
    """The connection to the broker, where one is configured and something listens to it."""

    config = site.config
    subscriptions = config.metric_store.subscriptions if config.metric_store is not None else ()
    if not (subscriptions or config.main.api_subjects):
        yield
        return
    if config.nats is None:
        _log.warning("NATS subjects are configured, but there is no section nats: nothing is received")
        yield
        return
    from ccserver.broker import Bridge, EventReceiver, metric_feeds  # brings the NATS client along

    feeds: list[Feed] = []
    pending_bytes = _EVENT_BYTES
    if site.store is not None and config.metric_store is not None and subscriptions:
        feeds += metric_feeds(subscriptions, site.store.write, site.store.write_parts)
        pending_bytes = config.metric_store.ingest_queue
        subjects = ", ".join(feed.subject for feed in feeds)
        _log.warning("samples on NATS subjects %s are not authenticated: protect them there", subjects)
    events = EventReceiver(site, config.main.api_subjects) if config.main.api_subjects else None
    if events is not None:
        feeds += events.feeds()
    bridge = Bridge(config.nats, feeds, pending_bytes)
    bridge.start()
    monitor.broker = bridge
    if events is not None:
        events.start()
    try:
        yield
    finally:
        bridge.stop()
        if events is not None:
            events.stop(PATIENCE)
