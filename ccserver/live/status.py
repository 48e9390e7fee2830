"""The state of a whole cluster at one moment, read from the newest samples."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccserver.clusters import Clusters
from ccserver.jobs.filters import JobFilter, StringInput
from ccserver.jobs.repository import JobRepository
from ccserver.nodes import NodeRepository
from ccstore import MetricStore

STEP = 5.0  # seconds between two readings
_STEPS_UNTIL_DOWN = 5  # a node whose newest sample is older than this many steps counts as down
_METRICS = ("cpu_load", "cpu_user", "flops_any", "mem_bw", "mem_used", "acc_utilization", "net_bw")


class StatusReader:
    """Reads store, jobs and node states; blocking, for worker threads."""

    def __init__(
        self, clusters: Clusters, store: MetricStore | None, jobs: JobRepository, nodes: NodeRepository
    ) -> None:
        self._clusters = clusters
        self._store = store
        self._jobs = jobs
        self._nodes = nodes
        self._hosts: dict[str, tuple[list[str], list[str]]] = {}

    def read(self, name: str) -> dict[str, Any]:
        """The data of a `status` event: parallel arrays per host, hosts in the order of the node lists."""
        cluster = self._clusters[name]
        hosts, subclusters = self._listed(name)
        metrics = [cluster.metrics[metric] for metric in _METRICS if metric in cluster.metrics]
        values, ages, up = self._newest(name, hosts, [metric.name for metric in metrics])
        per_host = self._jobs.running_per_host(name)
        states = self._states(name)
        return {
            "cluster": name,
            "time": int(time.time()),
            "interval": int(STEP),
            "nodesUp": int(up.sum()),
            "nodesTotal": len(hosts),
            "runningJobs": self._jobs.count([JobFilter(cluster=StringInput(eq=name), state=["running"])]),
            "metrics": [
                {"name": metric.name, "unit": f"{metric.unit.prefix}{metric.unit.base}", "peak": metric.peak}
                for metric in metrics
            ],
            "hosts": hosts,
            "subClusters": subclusters,
            "states": [states.get(host, "") for host in hosts],
            "jobs": [per_host.get(host, 0) for host in hosts],
            "ages": ages,
            "values": values,
        }

    def _listed(self, name: str) -> tuple[list[str], list[str]]:
        if name not in self._hosts:
            pairs = [
                (host, subcluster.name)
                for subcluster in self._clusters[name].subclusters.values()
                for host in subcluster.nodes.expand()
            ]
            self._hosts[name] = ([host for host, _ in pairs], [subcluster for _, subcluster in pairs])
        hosts, subclusters = self._hosts[name]
        if self._store is None:
            return hosts, subclusters
        # Node lists may be `*` or incomplete: who sends is there.
        unlisted = sorted(set(self._store.hosts(name)).difference(hosts))
        homes = [self._clusters.subcluster_of_host(name, host) or "" for host in unlisted]
        return [*hosts, *unlisted], [*subclusters, *homes]

    def _newest(
        self, cluster: str, hosts: list[str], metrics: list[str]
    ) -> tuple[dict[str, Any], list[int | None], NDArray[np.bool_]]:
        absent = np.zeros(len(hosts), dtype=bool)
        if self._store is None or not metrics or not hosts:
            return {}, [None] * len(hosts), absent
        newest = self._store.last_values(cluster, metrics, hosts)
        now = int(time.time())
        steps = self._store.metrics(cluster)
        table = np.asarray(newest.values, dtype=np.float32)
        times = np.asarray(newest.times, dtype=np.int64)
        if times.ndim == 1:
            times = np.repeat(times[:, None], len(metrics), axis=1)
        limits = np.array([_STEPS_UNTIL_DOWN * steps[metric].frequency for metric in metrics], dtype=np.int64)
        known = times > 0
        up = np.asarray((known & (now - times <= limits[None, :])).any(axis=1))
        youngest = np.where(known, times, 0).max(axis=1)
        ages = [max(0, now - int(seconds)) if seconds > 0 else None for seconds in youngest]
        values = {metric: np.ascontiguousarray(table[:, column]) for column, metric in enumerate(metrics)}
        return values, ages, up

    def _states(self, cluster: str) -> dict[str, str]:
        return self._nodes.current_states(cluster)
