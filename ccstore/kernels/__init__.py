"""Compiled kernels: plain functions on arrays, without any knowledge of files, threads or transports.

Numba does not notice that a function called by a cached kernel has changed, and then goes on using the old
machine code. Machine code therefore lives in one directory for each module, named by a hash of its source and
of all it imports of this package (compiling.py).

`CCSTORE_KERNEL_CACHE` names another parent directory; `NUMBA_DISABLE_JIT=1` runs everything as plain Python.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def _cache_parents() -> list[Path]:
    parents = []
    if chosen := os.environ.get("CCSTORE_KERNEL_CACHE"):
        parents.append(Path(chosen))
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        parents.append(Path(xdg) / "ccstore")
    elif (home := Path(os.path.expanduser("~"))).is_absolute():
        parents.append(home / ".cache" / "ccstore")
    return parents


def cache_directory() -> Path:
    """The first place for machine code that can be written to; a temporary directory as the last resort."""
    for path in _cache_parents():
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK):
            return path
    # Shared by all runs of this user, but never with another user: machine code is executed.
    path = Path(tempfile.gettempdir()) / f"ccstore-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        path = Path(tempfile.mkdtemp(prefix="ccstore-"))
    return path


CACHE_DIRECTORY = cache_directory()
