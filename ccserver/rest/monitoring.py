"""GET /metrics: figures of the running server for Prometheus. docs/metrics.md lists them all.

The tree of pages is walked for memory per cluster: some 10 ns a page, at most once in USAGE_AGE seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ccserver.version import VERSION
from ccstore import ClusterUsage, MetricStore
from ccstore.latencies import BOUNDS

USAGE_AGE = 30.0  # seconds
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class BrokerFigures(Protocol):
    """What the connection to the broker counts."""

    messages: int
    bytes: int
    failed: int
    lost: int
    cut_off: int
    waiting: int
    reconnects: int
    connected: bool


class Broker(Protocol):
    """The connection to the broker."""

    @property
    def counters(self) -> BrokerFigures: ...


class Monitor(Collector):
    """Gathers the figures when somebody asks. `broker` is set while there is a connection to keep."""

    def __init__(self, store: MetricStore | None = None) -> None:
        self._store = store
        self.broker: Broker | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._lock = threading.Lock()
        self._usage: dict[str, ClusterUsage] = {}
        self._usage_time = -USAGE_AGE

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("ccserver_info", "Always 1; the version of the program", labels=["version"])
        info.add_metric([VERSION], 1)
        yield info
        if self.broker is not None:
            yield from _broker(self.broker.counters)
        if self._store is not None:
            yield from _ingest(self._store.counters())
            yield from _state(self._store)
            yield from _clusters(self._usage_of(self._store))

    def _usage_of(self, store: MetricStore) -> dict[str, ClusterUsage]:
        with self._lock:
            now = time.monotonic()
            if now - self._usage_time >= USAGE_AGE:
                self._usage, self._usage_time = store.usage(), now
            return self._usage


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _broker(figures: BrokerFigures) -> Iterator[Metric]:
    yield _gauge("ccserver_broker_connected", "1 while the NATS broker is connected", figures.connected)
    yield _counter("ccserver_broker_messages", "Messages received from NATS", figures.messages)
    yield _counter("ccserver_broker_bytes", "Bytes received from NATS", figures.bytes)
    yield _counter("ccserver_broker_lost_messages", "Messages dropped: the queue was full", figures.lost)
    yield _counter("ccserver_broker_cut_off", "Times the broker gave us up as too slow", figures.cut_off)
    yield _gauge("ccserver_broker_waiting_bytes", "Bytes received that are not handled yet", figures.waiting)
    yield _counter("ccserver_broker_failed_messages", "Messages whose handling failed", figures.failed)
    yield _counter("ccserver_broker_reconnects", "Connections made again after a loss", figures.reconnects)


_COUNTED = (
    ("messages", "messages", "Messages of line protocol, over NATS and HTTP"),
    ("message_bytes", "message_bytes", "Bytes of these messages"),
    ("lines", "lines", "Lines of line protocol"),
    ("stored", "stored_samples", "Samples stored"),
    ("removed_pages", "removed_pages", "Pages dropped by retention, memory cap and free"),
    ("removed_series", "removed_series", "Series dropped because they had no data left"),
    ("checkpoints", "checkpoints", "Checkpoints written"),
    ("checkpoint_failures", "checkpoint_failures", "Checkpoints that failed"),
    ("journal_written_bytes", "journal_written_bytes", "Bytes written to the journal"),
    ("journal_records", "journal_records", "Records written to the journal"),
    ("journal_syncs", "journal_syncs", "Times the journal was flushed to disk"),
    ("journal_failures", "journal_failures", "Writes to the journal that failed"),
    ("journal_lost_samples", "journal_lost_samples", "Samples stored that are not in the journal"),
)
_MEASURED = (
    ("series", "series", "Series with data"),
    ("pages", "pages", "Pages of slots in use"),
    ("packed_pages", "packed_pages", "Pages that are packed"),
    ("packing_saves_bytes", "packing_saves_bytes", "Memory that these would take more if they were not"),
    ("segments", "segments", "Runs of slots with one phase"),
    ("aliases", "aliases", "Spellings of series that are remembered"),
    ("memory_bytes", "memory_bytes", "Resident data of the store"),
    ("checkpoint_seconds", "checkpoint_duration_seconds", "What the last checkpoint took"),
    ("checkpoint_bytes", "checkpoint_size_bytes", "Size of the last checkpoint file"),
    ("journal_bytes", "journal_size_bytes", "Journal on disk"),
    ("journal_lag_seconds", "journal_lag_seconds", "Age of the oldest sample that is not on disk yet"),
    ("journal_queue_bytes", "journal_queue_bytes", "Samples that wait for the journal"),
)


def _ingest(counters: Mapping[str, int | float | dict[str, int]]) -> Iterator[Metric]:
    for key, name, text in _COUNTED:
        if key in counters:
            yield _counter(f"ccstore_{name}", text, _number(counters[key]))
    for key, name, text in _MEASURED:
        if key in counters:
            yield _gauge(f"ccstore_{name}", text, _number(counters[key]))
    for key, name, text, label in (
        ("rejected", "rejected_lines", "Bad lines", "reason"),
        ("dropped", "dropped_lines", "Good lines that were not stored", "reason"),
        (
            "unknown_metrics",
            "unknown_metric_lines",
            "Lines of metrics not configured; '' for others",
            "metric",
        ),
        ("node_subtype_ignored", "node_subtype_ignored", "Samples of devices at node level", "metric"),
    ):
        values = counters[key]
        assert isinstance(values, dict)
        yield _by(f"ccstore_{name}", text, label, values)


def _number(value: int | float | dict[str, int]) -> float:
    assert not isinstance(value, dict)
    return value


def _state(store: MetricStore) -> Iterator[Metric]:
    progress = store.progress
    last = store.counters()["checkpoint_time"]
    assert isinstance(last, float)
    yield _gauge("ccstore_ready", "1 when the checkpoints have been read", store.ready)
    done = 1.0 if store.ready else progress.fraction
    yield _gauge("ccstore_restore_progress", "Part of the checkpoints that has been read", done)
    yield _gauge("ccstore_restore_duration_seconds", "What the restore has taken so far", progress.seconds)
    if last:
        yield _gauge("ccstore_checkpoint_age_seconds", "Time since the last checkpoint", time.time() - last)
    counts, total = store.latencies.histogram()
    bounds = [*map(str, BOUNDS), "+Inf"]
    yield HistogramMetricFamily(
        "ccstore_query_duration_seconds",
        "Queries of samples, from anywhere in the server",
        buckets=list(zip(bounds, counts, strict=True)),
        sum_value=total,
    )


def _clusters(usage: Mapping[str, ClusterUsage]) -> Iterator[Metric]:
    for field, name, text in (
        ("hosts", "cluster_hosts", "Hosts with data"),
        ("series", "cluster_series", "Series of a cluster"),
        ("pages", "cluster_pages", "Pages of a cluster"),
        ("page_bytes", "cluster_memory_bytes", "Memory of a cluster's pages"),
    ):
        family = GaugeMetricFamily(f"ccstore_{name}", text, labels=["cluster"])
        for cluster, held in usage.items():
            family.add_metric([cluster], getattr(held, field))
        yield family
