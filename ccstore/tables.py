"""The tables of a store as arrays, how they grow, and the way from their numbers back to names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ccstore.kernels import layout, lookup
from ccstore.kernels.layout import (
    COMPONENT_COUNT,
    DIRECTORY_COUNT,
    ENTRIES,
    ENTRY_LIMIT,
    HOST_CLUSTER,
    HOST_COUNT,
    HOST_NAME,
    HOST_SERIES,
    KEY,
    NAME,
    SPACE_CLUSTER,
    SPACE_COMPONENT,
    SPACE_METRIC,
    SPACE_TYPE,
    SPACE_UNKNOWN,
    START,
    TEXT_END,
    TEXT_LIMIT,
    UNKNOWN_LIMIT,
    VALUE,
    ByteTable,
    Flat,
)
from ccstore.memory import physical_memory, reserve
from ccstore.types import Metric

ANY = "*"
"""In place of a cluster's name: the metric table of every cluster that is not named."""

MOST_SERIES = 1 << 24
_MOST_PAGES = (1 << 31) - 1
_MOST_HOSTS = 1 << 20
_MOST_COMPONENTS = 1 << 22
_MOST_CLUSTERS = 4096
_MOST_METRICS = 0xFFFE
_MOST_STEP = (1 << 24) - 2

Component = tuple[str, str, str, str]
"""type, id, sub type, sub id; all empty: the host itself."""


def padded(text: bytes) -> NDArray[np.uint8]:
    """The text with the padding that kernels want behind it."""
    return np.frombuffer(bytearray(text + bytes(72)), np.uint8)


class StoreTables:
    """All arrays; `flat` is what kernels take.

    Everything that changes something (and `sync`, which reads what writers append) needs the writers' lock.
    """

    def __init__(self, clusters: Mapping[str, Sequence[Metric]], memory_cap: int) -> None:
        room = memory_cap or physical_memory()
        units = min(max(room // layout.UNIT_BYTES, 1 << 15), (1 << 32) - 1)
        self.counts = np.zeros(layout.COUNTS, np.int64)
        self.counts[layout.FREE_SEGMENTS] = -1
        self.counts[layout.FREE_GROUPS : layout.REPLACED + 1] = -1
        self.counts[layout.EPOCH] = 1
        self.counts[[layout.LAST_ALIAS, layout.ANY_CLUSTER]] = -1
        self.alias = _byte_table(1 << 24, 1 << 31, 1 << 12)
        self.names = _byte_table(1 << 23, 1 << 30, 1 << 12)
        self.directory = np.zeros(1 << 12, np.int32)
        self.series = reserve(MOST_SERIES, 16, np.int32)
        self.segments = reserve(4 * MOST_SERIES, 3, np.int32)
        self.groups = reserve(MOST_SERIES, 8, np.int32)
        self.pages = reserve(min(units, _MOST_PAGES), 5, np.int32)
        self.slots = reserve(units, layout.UNIT, np.float32, huge=True).reshape(-1)
        self.counts[layout.PAGE_LIMIT] = len(self.pages)
        # A packed page is read one word beyond its end.
        self.counts[layout.UNIT_LIMIT] = len(self.slots) // layout.UNIT - 1
        self.hosts = reserve(_MOST_HOSTS, 8, np.int32)
        self.components = reserve(_MOST_COMPONENTS, 4, np.int32)
        self.clusters = np.zeros(_MOST_CLUSTERS, np.int64)
        self.metrics = np.zeros((max(sum(len(m) for m in clusters.values()), 1), 4), np.int64)
        self.unknown = np.zeros(UNKNOWN_LIMIT + 1, np.int64)
        self.flat: Flat = ()
        self._flatten()

        self.table_metrics: list[dict[str, tuple[int, Metric]]] = []
        self.metric_rows: list[Metric] = []
        self.cluster_numbers: dict[str, int] = {}
        self.host_numbers: list[dict[str, int]] = []
        self.host_names: list[str] = []
        self.component_numbers: dict[Component, int] = {}
        self.component_names: list[Component] = []
        self.type_names: list[str] = []
        self._synced = (0, 0, 0, 0)
        self._new_component(("", "", "", ""))
        for name, metrics in clusters.items():
            self._new_table(name, metrics)

    def _flatten(self) -> None:
        self.flat = (
            *self.alias,
            *self.names,
            self.directory,
            self.series,
            self.segments,
            self.groups,
            self.pages,
            self.slots,
            self.hosts,
            self.components,
            self.clusters,
            self.metrics,
            self.unknown,
            self.counts,
        )

    # -- names -------------------------------------------------------------------------------------------

    def _add_name(self, text: bytes, space: int, number: int) -> int:
        """Only for the names a store begins with: the table is large enough for them or grows here."""
        if 3 * (self.names.used[ENTRIES] + 8) >= 2 * len(self.names.slots):
            self.names = self._larger(self.names)
            self._flatten()
        key = padded(text)
        h = int(lookup.hash_name(key, len(text), space))
        return int(lookup.add_name(*self.names, key, len(text), space, h, number))

    def _new_component(self, component: Component) -> None:
        """Number 0 is the host itself, type number 0 is no type."""
        assert component == ("", "", "", "")
        self.counts[layout.TYPE_COUNT] = 1
        self._add_name(b"", SPACE_TYPE, 0)
        self.components[0] = (0, 0, 0, self._add_name(b"", SPACE_COMPONENT, 0))
        self.counts[COMPONENT_COUNT] = 1

    def _new_table(self, cluster: str, metrics: Sequence[Metric]) -> None:
        table = len(self.table_metrics)
        rows: dict[str, tuple[int, Metric]] = {}
        for metric in metrics:
            if metric.name in rows:
                raise ValueError(f"cluster {cluster!r}: metric {metric.name!r} twice")
            if metric.frequency > _MOST_STEP:
                raise ValueError(f"cluster {cluster!r}: metric {metric.name!r}: step above {_MOST_STEP} s")
            row = len(self.metric_rows)
            if row >= _MOST_METRICS:
                raise ValueError(f"more than {_MOST_METRICS} metrics")
            self.metrics[row] = (table, metric.frequency, 0, 0)
            self.metric_rows.append(metric)
            rows[metric.name] = (row, metric)
            self._add_name(metric.name.encode(), SPACE_METRIC | (table << 8), row)
        self.table_metrics.append(rows)
        self.counts[layout.TABLE_COUNT] = table + 1
        if cluster == ANY:
            self.counts[layout.ANY_CLUSTER] = table
            return
        number = int(self.counts[layout.CLUSTER_COUNT])
        self.clusters[number] = table
        self._add_name(cluster.encode(), SPACE_CLUSTER, number)
        self.counts[layout.CLUSTER_COUNT] = number + 1

    def text_of(self, entry: int) -> str:
        start = int(self.names.entries[entry, START])
        length = int(self.names.entries[entry, KEY]) & 0xFFFF
        return self.names.text[start : start + length].tobytes().decode("utf-8", "replace")

    def is_synced(self) -> bool:
        """Whether the names below know all clusters, hosts, components and types."""
        return self._synced == self._name_counts()

    def _name_counts(self) -> tuple[int, int, int, int]:
        c = self.counts
        return (
            int(c[layout.CLUSTER_COUNT]),
            int(c[HOST_COUNT]),
            int(c[COMPONENT_COUNT]),
            int(c[layout.TYPE_COUNT]),
        )

    def sync(self) -> None:
        """Decodes the names that writers have added since."""
        now = self._name_counts()
        if now == self._synced:
            return
        clusters, hosts, components, types = self._synced
        if now[0] > clusters or now[3] > types:
            for entry in range(int(self.names.used[ENTRIES])):
                space = int(self.names.entries[entry, KEY]) >> 32
                number = int(self.names.entries[entry, VALUE])
                if space == SPACE_CLUSTER and number >= clusters:
                    self.cluster_numbers[self.text_of(entry)] = number
                    self.host_numbers.append({})
                elif space == SPACE_TYPE and number >= types:
                    self.type_names.append(self.text_of(entry))
        for host in range(hosts, now[1]):
            name = self.text_of(int(self.hosts[host, HOST_NAME]))
            self.host_names.append(name)
            self.host_numbers[int(self.hosts[host, HOST_CLUSTER])][name] = host
        for component in range(components, now[2]):
            parts = (*self.text_of(int(self.components[component, NAME])).split("\0"), "", "", "")[:4]
            spelled: Component = (parts[0], parts[1], parts[2], parts[3])
            self.component_names.append(spelled)
            self.component_numbers[spelled] = component
        self._synced = now

    def living_hosts(self, cluster: int) -> list[tuple[str, int]]:
        """Names and numbers of the hosts of a cluster that have series, by name."""
        count = len(self.host_names)
        rows = self.hosts[:count]
        alive = np.flatnonzero((rows[:, HOST_CLUSTER] == cluster) & (rows[:, HOST_SERIES] > 0))
        return sorted((self.host_names[i], i) for i in alive.tolist())

    def unknown_metrics(self) -> dict[str, int]:
        """How often each metric that is not configured came; the empty name stands for all beyond the
        limit."""
        found: dict[str, int] = {}
        for entry in range(int(self.names.used[ENTRIES])):
            if int(self.names.entries[entry, KEY]) >> 32 == SPACE_UNKNOWN:
                # Lines that are bad in other ways, too, are counted here: their names may be any bytes.
                name = self.text_of(entry)
                found[name] = found.get(name, 0) + int(self.unknown[int(self.names.entries[entry, VALUE])])
        if self.unknown[UNKNOWN_LIMIT]:
            found[""] = int(self.unknown[UNKNOWN_LIMIT])
        return found

    # -- growth ------------------------------------------------------------------------------------------

    @staticmethod
    def _larger(table: ByteTable) -> ByteTable:
        slots = np.zeros(2 * len(table.slots), np.int64)
        lookup.replace_slots(slots, table.entries, int(table.used[ENTRIES]))
        return table._replace(slots=slots)

    def grow(self) -> None:
        """Makes room for more aliases, names and directory entries; old aliases go when theirs is used up."""
        if not lookup.room(*self.alias, 1024):
            used = self.alias.used
            if used[ENTRIES] + 8 >= used[ENTRY_LIMIT] or used[TEXT_END] + 2048 >= used[TEXT_LIMIT]:
                self.forget_aliases()
            else:
                self.alias = self._larger(self.alias)
        if 3 * (self.names.used[ENTRIES] + 8) >= 2 * len(self.names.slots):
            self.names = self._larger(self.names)
        if 3 * (self.counts[DIRECTORY_COUNT] + 8) >= 2 * len(self.directory):
            # Keys that were taken out leave their places: often there is room enough without them.
            living = np.count_nonzero((self.directory != 0) & (self.directory != lookup.TAKEN_OUT))
            directory = np.zeros(
                len(self.directory) * (2 if 3 * living > len(self.directory) else 1), np.int32
            )
            self.counts[DIRECTORY_COUNT] = lookup.move_directory(self.flat, directory)
            self.directory = directory
        self._flatten()

    def forget_aliases(self) -> None:
        """Every key is looked at carefully again the next time it comes."""
        self.alias = self.alias._replace(slots=np.zeros(len(self.alias.slots), np.int64))
        self.alias.used[[ENTRIES, TEXT_END]] = 0
        self.counts[layout.LAST_ALIAS] = -1
        self._flatten()

    def resident_bytes(self) -> int:
        """Memory in use, without what the interpreter needs."""
        c = self.counts
        return int(
            int(c[layout.UNITS_IN_USE]) * layout.UNIT_BYTES
            + int(c[layout.PAGES_IN_USE]) * layout.PAGE_BYTES
            + int(c[layout.SERIES_COUNT]) * 64
            + int(c[layout.GROUP_COUNT]) * 32
            + int(c[layout.SEGMENT_COUNT]) * 12
            + self.directory.nbytes
            + sum(
                t.slots.nbytes + int(t.used[ENTRIES]) * 32 + int(t.used[TEXT_END])
                for t in (self.alias, self.names)
            )
        )


def _byte_table(entries: int, text: int, slots: int) -> ByteTable:
    table = ByteTable(
        np.zeros(slots, np.int64),
        reserve(entries, 4, np.int64),
        reserve(text, 0, np.uint8),
        np.zeros(4, np.int64),
    )
    table.used[ENTRY_LIMIT] = len(table.entries)
    table.used[TEXT_LIMIT] = len(table.text)
    return table
