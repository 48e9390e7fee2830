"""The kinds of job archive by the section that names one. Contract: spec/job-archive.md 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ccserver.archive.file import FileArchive
from ccserver.archive.interface import JobArchive


class BackendError(ValueError):
    """A section names no archive; the message begins with the key."""


def archive_of(section: Mapping[str, Any], *, validate: bool = False) -> JobArchive:
    """The archive of a section like `archive` of the configuration, not opened. Raises BackendError."""
    kind = section.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise BackendError(f"kind: {kind!r} is not supported, only {', '.join(sorted(KINDS))} are")
    return KINDS[kind](section, validate)


def _file(section: Mapping[str, Any], validate: bool) -> JobArchive:
    return FileArchive(Path(_text(section, "path")), validate=validate)


def _sqlite(section: Mapping[str, Any], validate: bool) -> JobArchive:
    from ccserver.archive.sqlite import SqliteArchive

    return SqliteArchive(Path(_text(section, "db-path", "dbPath")), validate=validate)


def _s3(section: Mapping[str, Any], validate: bool) -> JobArchive:
    from ccserver.archive.places import Bucket, PlaceError
    from ccserver.archive.s3 import S3Archive

    try:
        return S3Archive(Bucket(section), validate=validate)
    except PlaceError as error:
        raise BackendError(str(error)) from None


def _text(section: Mapping[str, Any], *names: str) -> str:
    for name in names:
        if isinstance(value := section.get(name), str) and value:
            return value
    raise BackendError(f"{names[0]}: a text is needed")


KINDS: dict[str, Callable[[Mapping[str, Any], bool], JobArchive]] = {
    "file": _file,
    "s3": _s3,
    "sqlite": _sqlite,
}
