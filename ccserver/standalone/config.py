"""config.json of the stand-alone store. Source: spec/metric-store.md 12."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ccserver.config import ConfigError, MetricStoreSection, Nats
from ccserver.config.address import split_address
from ccserver.config.build import build_metric_store, build_nats
from ccserver.config.loading import check, nearest, read_document, sections_of
from ccstore import Metric
from ccstore.types import Aggregation

_log = logging.getLogger(__name__)

SECTIONS = ("main", "metrics", "metric-store", "nats")
_SCHEMAS = {"main": "store-main"}
_PUBLISHED_KEY = "kzfYrYy+TzpanWZHJ5qSdMj5uKUWgq74BWhQG6copP0="
_OLD_SECTIONS = {
    "http-api": "its keys are now in the section main: address is addr, the others keep their names",
    "archive": "is now metric-store/cleanup: mode (delete or archive) and directory",
    "checkpoints": "is now in the section metric-store: directory as checkpoints/directory, "
    "interval as checkpoint-interval; restore follows retention-in-memory",
    "retention-in-memory": "is now in the section metric-store",
    "jwt-public-key": "is now in the section main",
}
_OLD_KEYS = {
    ("checkpoints", "interval"): "is now metric-store/checkpoint-interval",
    ("checkpoints", "restore"): "is gone: everything within retention-in-memory is restored",
    ("cleanup", "interval"): "is gone: clean-up follows retention-in-memory",
}


@dataclass(frozen=True, slots=True)
class StandaloneConfig:
    """Frozen after loading. `public_key` None: everybody may do everything that `anonymous_free` allows."""

    store: MetricStoreSection
    metrics: tuple[Metric, ...]
    nats: Nats | None = None
    host: str = "0.0.0.0"  # noqa: S104
    port: int = 8082
    https_cert_file: str = ""
    https_key_file: str = ""
    user: str = ""
    group: str = ""
    public_key: bytes | None = None
    backend_url: str = ""
    backend_token: str = field(default="", repr=False)
    anonymous_free: bool = False
    minimum_points: int = 1000


def load(path: Path) -> StandaloneConfig:
    """Read and check; unknown keys are warnings. Raises ConfigError with one line per fault."""
    document = read_document(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected one object of sections")
    old = list(_old_layout(document))
    if old:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in old))
    sections, unknown = sections_of(path, document, SECTIONS)
    for name in unknown:
        _log.warning("%s: /%s: unknown section%s", path, name, nearest(name, SECTIONS))
    faults = [f"{path}: /{name}: the section is missing" for name in SECTIONS[1:3] if name not in sections]
    for name, section in sections.items():
        schema = _SCHEMAS.get(name, name)
        faults += check(schema, section, unknown_keys=False)
        for warning in check(schema, section, unknown_keys=True):
            _log.warning("%s", warning)
    if faults:
        raise ConfigError("\n".join(faults))
    values = {name: section.value for name, section in sections.items()}
    for text in _old_keys(values["metric-store"]):
        _log.warning("%s: %s", path, text)
    try:
        return _build(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _old_layout(document: Mapping[str, Any]) -> Iterator[str]:
    for name, text in _OLD_SECTIONS.items():
        if name in document:
            yield f"/{name}: belongs to the layout before version 1.5; {text}"
    if isinstance(document.get("nats"), list):
        yield (
            "/nats: the list belongs to the layout before version 1.5; it is now one object with address, "
            "and its subscriptions are metric-store/nats-subscriptions"
        )


def _old_keys(section: Mapping[str, Any]) -> Iterator[str]:
    for (group, key), text in _OLD_KEYS.items():
        if key in section.get(group, {}):
            yield f"/metric-store/{group}/{key}: {text}"


def _build(sections: Mapping[str, Any]) -> StandaloneConfig:
    main = sections.get("main", {})
    store = build_metric_store(sections["metric-store"])
    host, port = split_address(main.get("addr", "0.0.0.0:8082")) or ("", 8082)
    certificate, key = main.get("https-cert-file") or "", main.get("https-key-file") or ""
    if bool(certificate) != bool(key):
        raise ConfigError("/main/https-key-file: https-cert-file and https-key-file only work together")
    return StandaloneConfig(
        store=store,
        metrics=tuple(_metric(name, row) for name, row in sections["metrics"].items()),
        nats=build_nats(sections["nats"]) if "nats" in sections else None,
        host=host,
        port=port,
        https_cert_file=certificate,
        https_key_file=key,
        user=main.get("user", ""),
        group=main.get("group", ""),
        public_key=_public_key(main.get("jwt-public-key", "")),
        backend_url=main.get("backend-url", ""),
        backend_token=main.get("backend-token", ""),
        anonymous_free=main.get("anonymous-free", False),
        minimum_points=main.get("minimum-points", 1000),
    )


def _metric(name: str, row: Mapping[str, Any]) -> Metric:
    aggregation = row.get("aggregation") or ""
    if aggregation not in ("sum", "avg", ""):
        _log.warning("/metrics/%s/aggregation: %r is none of sum, avg, null: none", name, aggregation)
        aggregation = ""
    try:
        return Metric(name, row["frequency"], cast(Aggregation, aggregation))
    except ValueError as error:
        raise ConfigError(f"/metrics/{name}: {error}") from None


def _public_key(text: str) -> bytes | None:
    if not text:
        return None
    if text == _PUBLISHED_KEY:
        _log.warning("/main/jwt-public-key is a publicly known template key: everybody can forge tokens")
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ConfigError("/main/jwt-public-key: is not base64 (standard alphabet, with padding)") from None
    if len(raw) != 32:
        raise ConfigError(f"/main/jwt-public-key: has {len(raw)} bytes, expected 32")
    return raw
