"""From names in a file to the numbers of a store's tables; names that are new get one."""

from __future__ import annotations

import numpy as np

from ccstore.kernels import ingest
from ccstore.tables import Component, StoreTables, padded


class Numbering:
    """Needs the writers' lock for every call. -1: not configured, a bad name, or no room."""

    def __init__(self, tables: StoreTables) -> None:
        self._tables = tables
        self._components: dict[Component, int] = {}  # those asked for before: blocks repeat them

    def cluster(self, name: str) -> int:
        encoded = name.encode()
        return self._intern(ingest.CLUSTER_NAME, encoded, len(encoded), 0, 0, 0)

    def host(self, cluster: int, name: str) -> int:
        encoded = name.encode()
        return self._intern(ingest.HOST_NAME_OF, encoded, len(encoded), cluster, 0, 0) if cluster >= 0 else -1

    def component(self, component: Component) -> int:
        known = self._components.get(component)
        if known is None:
            known = self._component(component)
            if known >= 0:
                self._components[component] = known
        return known

    def _component(self, component: Component) -> int:
        kind, one, subtype, sub = map(str.encode, component)
        if not kind:
            return 0
        text = kind + b"\0" + one
        parent = len(text)
        end = parent
        if subtype or sub:
            text += b"\0" + subtype
            end = len(text)
            text += b"\0" + sub
        return self._intern(ingest.COMPONENT_NAME, text, len(kind), parent, end, len(text))

    def _intern(self, what: int, text: bytes, *ends: int) -> int:
        self._tables.grow()
        return int(ingest.intern(self._tables.flat, what, padded(text), np.array(ends, np.int64)))
