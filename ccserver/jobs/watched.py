"""A folder of configuration files that is read again when it changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

_LOOK_AGAIN = 2.0  # seconds between two looks at the folder

Content = TypeVar("Content")


class WatchedFolder(Generic[Content]):
    """`read` makes the content of the files, by name; OSError leaves `empty` and is logged as `trouble`."""

    def __init__(
        self, folder: Path, read: Callable[[Sequence[Path]], Content], empty: Content, trouble: str
    ) -> None:
        self._folder = folder
        self._read = read
        self._empty = self._content = empty
        self._trouble = trouble
        self._lock = threading.Lock()
        self._seen: object = None
        self._looked = float("-inf")

    def current(self) -> Content:
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= _LOOK_AGAIN:
                self._looked = now
                self._read_changes()
            return self._content

    def _read_changes(self) -> None:
        try:
            files = sorted(path for path in self._folder.iterdir() if path.is_file())
            seen = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
            if seen == self._seen:
                return
            self._content = self._read(files)
        except OSError as error:
            if self._seen != str(error):
                log.error("%s: %s", self._trouble, error)
            self._content, self._seen = self._empty, str(error)
        else:
            self._seen = seen
