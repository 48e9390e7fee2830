"""Turns an archive of version 2 into version 3, in place. Contract: spec/job-archive.md 20.

Interrupted or failed in part, it leaves version 2 behind and can be run again: what is done stays as it is.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ccserver.archive.errors import ArchiveError, ArchiveVersionError
from ccserver.archive.file import replace_file
from ccserver.archive.numbers import shortest, text

log = logging.getLogger(__name__)

FROM_VERSION, TO_VERSION = "2", "3"
_SHARED = {0: "multi_user", 1: "none", 2: "single_user"}
_GONE = (
    "mem_used_max", "flops_any_avg", "mem_bw_avg", "load_avg", "net_bw_avg", "net_data_vol_total",
    "file_bw_avg", "file_data_vol_total",
)  # fmt: skip
_BATCH = 1000  # files per hand-over to the workers


@dataclass(slots=True)
class Migrated:
    files: int = 0
    failed: int = 0


def check_version(root: Path) -> None:
    """Raises ArchiveVersionError unless `root` is an archive of version 2."""
    try:
        found = (root / "version.txt").read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise ArchiveVersionError(f"{root / 'version.txt'}: {error.strerror}") from None
    if found != FROM_VERSION:
        raise ArchiveVersionError(f"{root}: archive version is {found}, expected {FROM_VERSION}")


def meta_files(root: Path) -> Iterator[Path]:
    """Every `meta.json` below `root`."""
    for folder, _, files in os.walk(root):
        if "meta.json" in files:
            yield Path(folder, "meta.json")


def migrate_archive(root: Path, workers: int) -> Migrated:
    """Rewrites every `meta.json`; the version becomes 3 only if none of them failed."""
    check_version(root)
    result = Migrated()
    paths = meta_files(root)
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(itertools.islice(paths, _BATCH)):
            for good in pool.map(_migrate_file, batch):
                result.files += 1
                result.failed += not good
            log.info("%d files, %d failed", result.files, result.failed)
    if not result.failed:
        replace_file(root / "version.txt", f"{TO_VERSION}\n".encode())
    return result


def migrated_meta(raw: bytes) -> bytes:
    """The record in version 3: keys sorted, two blanks of indentation. Raises ArchiveError."""
    try:
        meta = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(str(error)) from None
    if not isinstance(meta, dict):
        raise ArchiveError("not a JSON object")
    if "exclusive" in meta:
        exclusive = meta.pop("exclusive")
        if isinstance(exclusive, bool) or exclusive not in (0, 1, 2):
            raise ArchiveError(f"/exclusive: {exclusive!r} is none of 0, 1, 2")
        meta["shared"] = _SHARED[int(exclusive)]
    meta.setdefault("submitTime", meta.get("startTime", 0))
    meta.setdefault("energy", 0)
    meta.setdefault("requestedMemory", 0)
    meta.setdefault("shared", "none")
    for key in _GONE:
        meta.pop(key, None)
    return _indented(meta, "\n").encode("utf-8", "replace")


def _migrate_file(path: Path) -> bool:
    try:
        old = path.read_bytes()
        new = migrated_meta(old)
        if new != old:
            replace_file(path, new)
    except (OSError, ArchiveError) as error:
        log.error("%s: %s", path, error)
        return False
    return True


def _indented(value: Any, line: str) -> str:
    """JSON with the numbers and escapes of the archive; `line` is a line break with the indentation."""
    inner = line + "  "
    if isinstance(value, dict) and value:
        members = (f"{text(key)}: {_indented(value[key], inner)}" for key in sorted(value))
        return "{" + inner + ("," + inner).join(members) + line + "}"
    if isinstance(value, list) and value:
        return "[" + inner + ("," + inner).join(_indented(one, inner) for one in value) + line + "]"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return shortest(value)
    return msgspec.json.encode(value).decode()
