"""Compiles entry points of the kernels, or takes them from the cache, and remembers what that cost."""

from __future__ import annotations

import functools
import gc
import hashlib
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba

from ccstore.kernels import CACHE_DIRECTORY

# Parsing the sources would take a tenth of a start. A word too many is no module and does no harm.
_IMPORT = re.compile(r"^from ccstore\.kernels(?:\.(\w+))? import (?:\(([^)]*)\)|(.*))", re.MULTILINE)


class Compiled(NamedTuple):
    """What one entry point cost."""

    module: str
    name: str
    from_cache: bool
    seconds: float


COMPILED: list[Compiled] = []

# A package is imported before its __main__ runs: whoever watches sees the work only if it is shown here.
_WATCHED = sys.orig_argv[1:3] == ["-m", "ccstore.kernels"]


def imports(source: bytes) -> list[str]:
    """Names of the kernel modules that a source imports."""
    found = []
    for module, lines, line in _IMPORT.findall(source.decode()):
        found += [module] if module else re.findall(r"\w+", lines or line)
    return found


def sources(module: str) -> dict[str, bytes]:
    """Source of a kernel module and of every one it imports, directly or not, by name."""
    found: dict[str, bytes] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = Path(__file__).with_name(f"{name}.py")
        if name in found or not path.exists():
            continue
        found[name] = path.read_bytes()
        waiting += imports(found[name])
    return found


@functools.cache
def cache_of(module: str) -> Path:
    """Directory for the machine code of a module: another one as soon as a source changes that is in it."""
    digest = hashlib.sha256()
    for name, source in sorted(sources(module).items()):
        digest.update(name.encode() + b"\0" + source + b"\0")
    return CACHE_DIRECTORY / f"{module}-{digest.hexdigest()}"


def entry_point(signature: Any, function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compiles for one signature, or takes machine code from the cache."""
    module = function.__module__.rpartition(".")[2]
    numba.config.CACHE_DIR = str(cache_of(module))  # type: ignore[attr-defined]
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
