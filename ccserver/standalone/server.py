"""Composition root of the stand-alone store.

serve
|-- signals      SIGTERM, SIGINT set the shutdown event
|-- listener     connections, one task each; ends by the shutdown event
|-- watchdog     signs of life for systemd
|-- restore      reads the checkpoints, once
`-- threads: housekeeping, NATS
"""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import trio

from ccserver.broker.bridge import Bridge, metric_feeds
from ccserver.notify import feed_watchdog, notify
from ccserver.privileges import drop_privileges
from ccserver.process import (
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
from ccserver.rest.gateway import Application
from ccserver.rest.listener import Listener
from ccserver.rest.monitoring import Monitor
from ccserver.rest.store_application import TokenDoor, create_store_application
from ccserver.standalone.backend import Backend
from ccserver.standalone.config import StandaloneConfig
from ccstore import MetricStore

_log = logging.getLogger(__name__)


def open_store(config: StandaloneConfig) -> MetricStore:
    """The store of a configuration, not restored yet; its metrics hold for every cluster."""
    return MetricStore({"*": config.metrics}, store_options(config.store, config.minimum_points))


def run_server(config: StandaloneConfig, sockets: list[socket.socket]) -> None:
    """Serve on bound sockets until SIGTERM or SIGINT; raises ConfigError. Ends with a checkpoint."""
    tls = tls_context(config.https_cert_file, config.https_key_file)
    drop_privileges(config.user, config.group)
    store = open_store(config)
    try:
        if config.backend_url:
            store.in_use(Backend(config.backend_url, config.backend_token).used_nodes)
        early = note_signals()
        trio.run(_serve, config, store, sockets, tls, early)
    finally:
        for number in STOPPING:  # the interpreter's own end restores every other kind of handler
            signal.signal(number, signal.SIG_IGN)
        store.close()


def _application(config: StandaloneConfig, store: MetricStore, monitor: Monitor) -> Application:
    door = TokenDoor(config.public_key)
    if door.open:
        _log.warning("no main.jwt-public-key: everybody may read and write")
    return create_store_application(
        store, door, monitor, anonymous_free=config.anonymous_free or _is_loopback(config.host)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(
    config: StandaloneConfig,
    store: MetricStore,
    sockets: list[socket.socket],
    tls: ssl.SSLContext | None,
    early_signals: list[int],
) -> None:
    shutdown = trio.Event()
    monitor = Monitor(store)
    application = _application(config, store, monitor)
    with ExitStack() as threads:
        # Left in reverse order: first no more samples, then the last tidying.
        threads.enter_context(Work("housekeeping", partial(keep_house, store)))
        threads.enter_context(_bridge(config, store, monitor))
        async with trio.open_nursery() as nursery:
            await nursery.start(watch_signals, shutdown)
            if early_signals:
                shutdown.set()
            nursery.start_soon(restore, store)
            nursery.start_soon(feed_watchdog)
            nursery.start_soon(_announce_end, shutdown)
            _log.info("listening on %s", ", ".join(shown(one) for one in sockets))
            notify(READY=1, STATUS="running")
            await Listener(application, tls).serve(sockets, shutdown)
            nursery.cancel_scope.cancel()


async def _announce_end(shutdown: trio.Event) -> None:
    await shutdown.wait()
    notify(STOPPING=1, STATUS="shutting down")


@contextmanager
def _bridge(config: StandaloneConfig, store: MetricStore, monitor: Monitor) -> Iterator[None]:
    """The connection to the broker, where one is configured."""
    subscriptions = config.store.subscriptions
    if config.nats is None or not subscriptions:
        if subscriptions:
            _log.warning("NATS subjects are configured, but there is no section nats: nothing is received")
        yield
        return
    subjects = ", ".join(dict.fromkeys(entry.subject for entry in subscriptions))
    _log.warning("samples on NATS subjects %s are not authenticated: protect them there", subjects)
    bridge = Bridge(
        config.nats, metric_feeds(subscriptions, store.write, store.write_parts), config.store.ingest_queue
    )
    bridge.start()
    monitor.broker = bridge
    try:
        yield
    finally:
        bridge.stop()
