"""Stores that tests leave behind as a crash would: nothing is saved, and their directory is free again."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

from ccstore import MetricStore

_stores: dict[Path, weakref.ref[MetricStore]] = {}


def abandon(store: MetricStore) -> None:
    """As if its process had been killed, only that its journal still reaches the disk."""
    if store._claim is not None:
        store._claim.close()


def reopened(directory: Path | None, make: Callable[[], MetricStore]) -> MetricStore:
    """A store in the place of the one made before for the same directory."""
    if directory is None:
        return make()
    if directory in _stores and (former := _stores[directory]()) is not None:
        abandon(former)
    store = make()
    _stores[directory] = weakref.ref(store)
    return store
