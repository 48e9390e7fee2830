"""What can be wrong with a job archive."""

from __future__ import annotations


class ArchiveError(Exception):
    """An archive or one of its files cannot be read or written; the message names the place."""


class ArchiveVersionError(ArchiveError):
    """The archive was written in a format this program does not read, or the folder is no archive."""


class JobNotArchivedError(ArchiveError):
    """There is no such job in the archive."""
