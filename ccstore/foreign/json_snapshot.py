"""JSON checkpoints: `<from>.json`. Source: spec/metric-store.md 11.2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ccstore.foreign.samples import Piece, Unreadable, raster_piece


def read(path: Path) -> list[Piece]:
    """Everything in the file; raises Unreadable and OSError."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None
    return list(_pieces(document, ()))


def _pieces(level: Any, levels: tuple[str, ...]) -> Iterator[Piece]:
    place = "/".join(levels) or "the host"
    try:
        for name, metric in (level.get("metrics") or {}).items():
            with np.errstate(over="ignore"):
                values = np.array(metric["data"] or (), np.float64).astype(np.float32)
            if values.ndim != 1:
                raise ValueError("data is no list of numbers")
            yield raster_piece(levels, name, int(metric["frequency"]), int(metric["start"]), values)
        children = dict(level.get("children") or {})
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"{place}: not a level of a checkpoint: {error!r}") from None
    for name, child in children.items():
        yield from _pieces(child, (*levels, name))
