"""Compiles all kernels into the cache: `python -m ccstore.kernels`.

The work itself is done, and shown, when the package is imported (compiling.py); this adds up what it took.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import ccstore.kernels
from ccstore.kernels import CACHE_DIRECTORY
from ccstore.kernels.compiling import COMPILED


def main() -> int:
    for module in pkgutil.iter_modules(ccstore.kernels.__path__, "ccstore.kernels."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    print(f"kernel cache: {CACHE_DIRECTORY}")
    for name in dict.fromkeys(one.module for one in COMPILED):
        kernels = [one for one in COMPILED if one.module == name]
        cached = sum(one.from_cache for one in kernels)
        seconds = sum(one.seconds for one in kernels)
        print(f"  {name:12} {cached} from cache, {len(kernels) - cached} compiled, {seconds:.1f} s")
    print(f"kernels ready after {sum(one.seconds for one in COMPILED):.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
