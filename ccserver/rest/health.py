"""How the parts of the service are, for administrators. Source: spec/web-ui.md 6.17."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from quart import Response

from ccserver.auth.guards import Group
from ccserver.model.strict import TEXT
from ccserver.rest.answers import HttpError, json_answer
from ccserver.rest.table import Operation, Route, described, listed
from ccserver.rest.web import Call, Web

_OLD_CHECKPOINT = 26 * 3600  # seconds; one is written at least once a day
_SILENT = 600  # seconds
_MOST_WAITING = 100  # jobs counted
_MEGABYTE = 1e6

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Component:
    """One part: how it is, in a word and in a sentence."""

    name: str
    state: State
    text: str


async def health(call: Call) -> Response:
    if "admin" not in call.principal.roles:
        raise HttpError(403, "only admins are allowed to see the health of the service")
    components = await call.run(lambda: [asdict(one) for one in _components(call.web)])
    return json_answer(components)


def _components(web: Web) -> Iterator[Component]:
    yield Component("Server", "ok", f"version {web.version}")
    yield _database(web)
    yield from _store(web)
    yield _archive(web)
    if web.monitor.broker is not None:
        broker = web.monitor.broker.counters
        lost = f", {broker.lost} messages lost" if broker.lost else ""
        state: State = "failed" if not broker.connected else "warning" if broker.lost else "ok"
        words = "connected" if broker.connected else "not connected"
        yield Component("Message broker", state, f"{words}, {broker.messages} messages received{lost}")
    yield from _collectors(web)


def _database(web: Web) -> Component:
    begin = time.monotonic()
    jobs = web.site.jobs.count()
    return Component("Database", "ok", f"{jobs} jobs, counted in {time.monotonic() - begin:.2f} s")


def _store(web: Web) -> Iterator[Component]:
    store = web.site.store
    if store is None:
        yield Component("Metric store", "ok", "another server keeps the samples")
        return
    counters = store.counters()
    megabytes = _figure(counters["memory_bytes"]) / _MEGABYTE
    text = f"{_figure(counters['series']):.0f} series in {megabytes:.0f} MB of memory"
    if store.ready:
        yield Component("Metric store", "ok", text)
    else:
        yield Component("Metric store", "warning", f"being restored, {store.progress.fraction:.0%} done")
    last = _figure(counters["checkpoint_time"])
    failures = _figure(counters["checkpoint_failures"])
    if failures:
        yield Component("Checkpoints", "failed", f"{failures:.0f} could not be written")
    elif last:
        age = time.time() - last
        state: State = "warning" if age > _OLD_CHECKPOINT else "ok"
        yield Component("Checkpoints", state, f"the last one was written {age / 3600:.1f} hours ago")
    lost = _figure(counters.get("journal_lost_samples", 0))
    if "journal_bytes" in counters:
        size = _figure(counters["journal_bytes"]) / _MEGABYTE
        yield Component("Journal", "failed" if lost else "ok", f"{size:.0f} MB, {lost:.0f} samples not in it")


def _figure(value: int | float | dict[str, int]) -> float:
    assert not isinstance(value, dict)
    return value


def _archive(web: Web) -> Component:
    waiting = len(web.site.jobs.waiting_for_archive(limit=_MOST_WAITING))
    if waiting >= _MOST_WAITING:
        return Component("Job archive", "warning", f"{waiting} or more finished jobs wait for it")
    return Component("Job archive", "ok", f"{waiting} finished jobs wait for it")


def _collectors(web: Web) -> Iterator[Component]:
    store = web.site.store
    if store is None:
        return
    for cluster in web.site.clusters.by_name.values():
        hosts = store.hosts(cluster.name)
        metrics = [name for name in cluster.metrics if name in store.metrics(cluster.name)]
        if not hosts or not metrics:
            yield Component(f"Collectors of {cluster.name}", "failed", "never sent anything")
            continue
        times = np.asarray(store.last_values(cluster.name, metrics, hosts).times, dtype=np.int64)
        newest = times if times.ndim == 1 else times.max(axis=1)
        ages = time.time() - newest
        silent = int((ages > _SILENT).sum())
        state: State = "failed" if silent == len(hosts) else "warning" if silent else "ok"
        text = f"{len(hosts) - silent} of {len(hosts)} nodes send, newest sample {ages.min():.0f} s old"
        yield Component(f"Collectors of {cluster.name}", state, text)


_COMPONENT = described(
    "Component", {"name": TEXT, "state": {"enum": ["ok", "warning", "failed"]}, "text": TEXT}
)
_HEALTH = Operation(
    "How the parts of the service are", {200: listed(_COMPONENT)}, {403: "the caller is no admin"}
)

ROUTES = (Route("/frontend/health/", "GET", Group.FRONTEND, health, _HEALTH, presentable=True),)
