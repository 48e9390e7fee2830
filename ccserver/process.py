"""What every server process needs: signals, threads, TLS, and care for its metric store."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import trio

from ccserver.config import ConfigError
from ccserver.config.sections import MetricStoreSection
from ccstore import MetricStore, StoreOptions

_log = logging.getLogger(__name__)

_HOUSEKEEPING = 1.0  # seconds
STOPPING = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 1.5  # seconds that a stopping server gives each of its threads


def store_options(section: MetricStoreSection, minimum_points: int = 1000) -> StoreOptions:
    """What the section `metric-store` says, as the store takes it; series with fewer points than the minimum
    are not resampled."""
    return StoreOptions(
        directory=section.directory,
        retention=section.retention,
        memory_cap=section.memory_cap,
        checkpoint_interval=section.checkpoint_interval,
        max_future=section.max_future,
        pack_after=section.pack_after,
        journal=section.journal,
        journal_limit_per_host=section.max_wal_size,
        num_workers=section.num_workers,
        minimum_points=minimum_points,
        archive=Path(section.cleanup_directory) if section.cleanup_mode == "archive" else None,
    )


class Work:
    """Runs blocking work for the time of a block; `work` must return soon after its event."""

    def __init__(self, name: str, work: Callable[[threading.Event], None]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=work, args=(self._stop,), name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            _log.error("the thread %s did not end within %.0f s", self._thread.name, PATIENCE)


def note_signals() -> list[int]:
    """From now on SIGTERM and SIGINT end nothing by themselves; returns the list they are noted in.

    The task that listens to them lives shorter than the server: one that comes during the final checkpoint
    must not kill it.
    """
    noted: list[int] = []
    for number in STOPPING:
        signal.signal(number, lambda received, _: noted.append(received))
    return noted


def tls_context(certificate: str, key: str) -> ssl.SSLContext | None:
    """None without a certificate; raises ConfigError."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name, path in (("https-cert-file", certificate), ("https-key-file", key)):
        try:
            Path(path).read_bytes()  # ssl does not say which of the two it cannot read
        except OSError as error:
            raise ConfigError(f"/main/{name}: {path}: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError(f"/main/https-cert-file: {certificate} with {key}: {error}") from None
    return context


async def watch_signals(
    shutdown: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(*STOPPING) as received:
        task_status.started()
        async for number in received:
            _log.info("%s: shutting down", signal.Signals(number).name)
            shutdown.set()


async def restore(store: MetricStore) -> None:
    """Reads the checkpoints while the server answers already; a failure leaves it empty."""
    began = time.monotonic()
    try:
        report = await trio.to_thread.run_sync(store.restore)
    except Exception:
        _log.exception("the metric store could not be restored")
    else:
        _log.info("metric store restored in %.1f s: %s", time.monotonic() - began, report)


def keep_house(store: MetricStore, stop: threading.Event) -> None:
    while not stop.wait(_HOUSEKEEPING):
        try:
            store.housekeeping()
        except Exception:
            _log.exception("housekeeping of the metric store failed")


def shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def clean_up(store: MetricStore, directory: Path) -> str:
    """Archives or deletes what is older than the retention in the checkpoints of a store that nobody uses
    yet; closes it and returns what to tell. Raises OSError."""
    try:
        store.restore()
        report = store.cleanup()
    finally:
        store.close()
    if report.failed:
        raise OSError(f"{directory}: could not be archived, see the log: {', '.join(report.failed)}")
    archived = "".join(f"\n{path}" for path in report.archived)
    return (
        f"{directory}: {report.removed} files older than the retention removed, "
        f"{report.samples} samples archived{archived}"
    )
