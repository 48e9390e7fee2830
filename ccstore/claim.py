"""One process at a time may use a checkpoint directory: two would remove each other's files."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

NAME = "lock"


class DirectoryInUse(OSError):
    """Another process, or another store of this one, has the directory."""


def claim(directory: Path) -> BinaryIO | None:
    """Takes the directory for as long as the file returned is open; made when it is missing.

    Raises DirectoryInUse. None where the directory cannot be written to: saving will fail, and say so.
    """
    path = directory / NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115  (whoever asks keeps it open)
    except OSError as error:
        log.error("%s cannot be written to, nothing will be saved there: %s", directory, error)
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read(32).decode("ascii", "replace").strip() or "unknown"
        file.close()
        raise DirectoryInUse(
            f"{directory} is in use by another metric store (process {owner}): stop it, or give this one "
            "a checkpoints.directory of its own"
        ) from None
    except OSError as error:
        # File systems without locks: nothing tells who else is there.
        log.warning("%s cannot be locked: make sure that no other process uses it: %s", path, error)
        return file
    file.truncate(0)
    file.write(b"%d\n" % os.getpid())
    file.flush()
    return file
