"""Compiles entry points of the kernels, or takes them from the cache, and remembers what that cost."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numba


class Compiled(NamedTuple):
    """What one entry point cost."""

    module: str
    name: str
    from_cache: bool
    seconds: float


COMPILED: list[Compiled] = []

# A package is imported before its __main__ runs: whoever watches sees the work only if it is shown here.
_WATCHED = sys.orig_argv[1:3] == ["-m", "ccstore.kernels"]


def entry_point(signature: Any, function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compiles for one signature, or takes machine code from the cache."""
    module = function.__module__.rpartition(".")[2]
    collecting = gc.isenabled()
    begin = time.perf_counter()
    gc.disable()  # compiling makes millions of objects, and few of them are garbage: a fifth of the time
    try:
        dispatcher: Any = numba.njit(signature, cache=True, **options)(function)
    finally:
        if collecting:
            gc.enable()
    from_cache = bool(getattr(dispatcher, "stats", None) and dispatcher.stats.cache_hits)
    done = Compiled(module, function.__name__, from_cache, time.perf_counter() - begin)
    COMPILED.append(done)
    if _WATCHED and not from_cache:
        print(f"  compiled {module}.{done.name}: {done.seconds:.1f} s", flush=True)
    return dispatcher
