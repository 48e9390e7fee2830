"""Compiled kernels: plain functions on arrays, without any knowledge of files, threads or transports.

Numba does not notice that a function called by a cached kernel has changed, and then goes on using the old
machine code. The cache therefore lives in a directory named by a hash of all sources of this package, and
that
has to be settled before numba is imported: importing `ccstore.kernels` first is what settles it.

`CCSTORE_KERNEL_CACHE` names another parent directory; `NUMBA_DISABLE_JIT=1` runs everything as plain Python.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path


def source_hash() -> str:
    """SHA-256 over the names and contents of all kernel sources, hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


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
    name = source_hash()
    for parent in _cache_parents():
        path = parent / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK):
            return path
    # Shared by all runs of this user, but never with another user: machine code is executed.
    path = Path(tempfile.gettempdir()) / f"ccstore-{os.getuid()}-{name}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        path = Path(tempfile.mkdtemp(prefix="ccstore-"))
    return path


CACHE_DIRECTORY = cache_directory()
os.environ["NUMBA_CACHE_DIR"] = str(CACHE_DIRECTORY)
if "numba" in sys.modules:
    sys.modules["numba"].config.CACHE_DIR = str(CACHE_DIRECTORY)
