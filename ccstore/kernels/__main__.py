"""Compiles all kernels into the cache: `python -m ccstore.kernels`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time

import ccstore.kernels
from ccstore.kernels import CACHE_DIRECTORY


def main() -> int:
    print(f"kernel cache: {CACHE_DIRECTORY}")
    started = time.perf_counter()
    for module in pkgutil.iter_modules(ccstore.kernels.__path__, "ccstore.kernels."):
        if module.name.endswith("__main__"):
            continue
        before = time.perf_counter()
        loaded = importlib.import_module(module.name)
        compiled = [
            v for v in vars(loaded).values() if getattr(v, "stats", None) and v.__module__ == module.name
        ]
        cached = sum(1 for kernel in compiled if kernel.stats.cache_hits)
        fresh = sum(1 for kernel in compiled if kernel.stats.cache_misses)
        if cached or fresh:
            name = module.name.removeprefix("ccstore.kernels.")
            print(f"  {name:12} {cached} from cache, {fresh} compiled, {time.perf_counter() - before:.1f} s")
    print(f"kernels ready after {time.perf_counter() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
