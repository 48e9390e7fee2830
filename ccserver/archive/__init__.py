"""The job archive: finished jobs and their metric data, one small back end per place they can live in."""

from ccserver.archive.data import decode_data, encode_data
from ccserver.archive.errors import ArchiveError, ArchiveVersionError, JobNotArchivedError
from ccserver.archive.file import FileArchive, pack_data
from ccserver.archive.interface import VERSION, BrokenEntry, JobArchive, JobFiles
from ccserver.archive.meta import decode_meta, encode_meta

__all__ = [
    "VERSION",
    "ArchiveError",
    "ArchiveVersionError",
    "BrokenEntry",
    "FileArchive",
    "JobArchive",
    "JobFiles",
    "JobNotArchivedError",
    "decode_data",
    "decode_meta",
    "encode_data",
    "encode_meta",
    "pack_data",
]
