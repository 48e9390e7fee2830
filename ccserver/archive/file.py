"""The job archive as a tree of files. Contract: spec/job-archive.md 2.

<root>/version.txt
<root>/<cluster>/cluster.json
<root>/<cluster>/<jobId div 1000>/<jobId mod 1000>/<startTime>/{meta.json, data.json | data.json.gz}
"""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import re
import shutil
import tempfile
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from ccserver.archive.data import decode_data, encode_data
from ccserver.archive.errors import ArchiveError, ArchiveVersionError, JobNotArchivedError
from ccserver.archive.interface import VERSION, BrokenEntry
from ccserver.archive.meta import decode_meta, encode_meta
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

log = logging.getLogger(__name__)

COMPRESS_ABOVE = 2000  # bytes of the encoded data document
_READERS = 4
# Other programs descend into directories only and expect a start time on the third level: here, half-written
# jobs are invisible to them.
_INCOMING = ".incoming"


class FileArchive:
    """An archive under the directory `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._writing = threading.Lock()

    def open(self) -> None:
        path = self.root / "version.txt"
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            self._bootstrap()
            return
        except OSError as error:
            raise ArchiveVersionError(f"{path}: {error.strerror}") from error
        number = found.removesuffix(b"\n")
        if not re.fullmatch(rb"[0-9]+", number):
            raise ArchiveVersionError(
                f"{path}: {found[:40]!r} is not a version number; an archive has '{VERSION}'"
            )
        version = int(number)
        if version == VERSION:
            return
        advice = ""
        if version < VERSION:
            advice = "; convert the archive with cc-archive-migration"
        raise ArchiveVersionError(f"{path}: unsupported version {version}, need {VERSION}{advice}")

    def cluster_documents(self) -> dict[str, Any]:
        return {cluster: self._cluster_document(cluster) for cluster in self._clusters()}

    def exists(self, job: Job) -> bool:
        return self._directory(job).is_dir()

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job:
        return _read_meta(self._place(cluster, job_id, start_time))

    def load_data(self, job: Job) -> JobData:
        directory = self._directory(job)
        try:
            raw = _read_data(directory)
        except FileNotFoundError:
            raise JobNotArchivedError(f"{directory}: no data.json.gz and no data.json") from None
        except (OSError, EOFError, zlib.error) as error:
            raise ArchiveError(f"{directory}: {error}") from error
        try:
            return decode_data(raw)
        except ArchiveError as error:
            raise ArchiveError(f"{directory}: {error}") from None

    def store_meta(self, job: Job) -> None:
        with self._writing:
            self._write_meta(self._directory(job), job)

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        with self._writing:
            directory = self._place(cluster, job_id, start_time)
            job = _read_meta(directory)
            change(job)
            self._write_meta(directory, job)

    def import_job(self, job: Job, data: JobData) -> None:
        meta = encode_meta(job)
        encoded = encode_data(data)
        if len(encoded) > COMPRESS_ABOVE:
            name, other, body = "data.json.gz", "data.json", gzip.compress(encoded, 6, mtime=0)
        else:
            name, other, body = "data.json", "data.json.gz", encoded
        directory = self._directory(job)
        try:
            with self._writing:
                if not directory.exists():
                    self._import_new(job.cluster, directory, {"meta.json": meta, name: body})
                else:
                    _write(directory / name, body)
                    (directory / other).unlink(missing_ok=True)
                    _write(directory / "meta.json", meta)
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error

    def iterate(self) -> Iterator[Job | BrokenEntry]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="archive") as readers:
            pending: deque[Future[Job | BrokenEntry]] = deque()
            places = itertools.chain.from_iterable(self._job_directories(c) for c in self._clusters())
            for directory in places:
                pending.append(readers.submit(_read_meta_or_broken, directory))
                if len(pending) >= 16 * _READERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _bootstrap(self) -> None:
        if not self.root.is_dir():
            raise ArchiveVersionError(
                f"{self.root}: this directory does not exist; create it for a new archive"
            )
        if any(not entry.name.startswith(".") for entry in os.scandir(self.root)):
            raise ArchiveVersionError(
                f"{self.root}: version.txt is missing and the directory is not empty; this is no job archive"
            )
        path = self.root / "version.txt"
        path.write_bytes(b"%d\n" % VERSION)
        path.chmod(0o644)
        log.info("%s: new job archive, version %d", self.root, VERSION)

    def _clusters(self) -> list[str]:
        try:
            with os.scandir(self.root) as entries:
                names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
        except OSError as error:
            raise ArchiveError(f"{self.root}: {error.strerror}") from error
        return sorted(names, key=os.fsencode)

    def _cluster_document(self, cluster: str) -> Any:
        path = self.root / cluster / "cluster.json"
        try:
            return msgspec.json.decode(path.read_bytes())
        except OSError as error:
            raise ArchiveError(f"{path}: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{path}: {error}") from None

    def _directory(self, job: Job) -> Path:
        return self._place(job.cluster, job.job_id, job.start_time)

    def _place(self, cluster: str, job_id: int, start_time: int) -> Path:
        if not cluster or cluster.startswith(".") or "/" in cluster or "\0" in cluster:
            raise ArchiveError(f"{cluster!r} cannot be the name of a cluster in an archive")
        return self.root / cluster / str(job_id // 1000) / f"{job_id % 1000:03d}" / str(start_time)

    def _job_directories(self, cluster: str) -> Iterator[Path]:
        for thousands in _directories(self.root / cluster):
            for ones in _directories(thousands):
                yield from _directories(ones)

    def _write_meta(self, directory: Path, job: Job) -> None:
        if not directory.is_dir():
            raise JobNotArchivedError(f"{directory}: there is no such job in the archive")
        try:
            _write(directory / "meta.json", encode_meta(job))
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error

    def _import_new(self, cluster: str, directory: Path, files: dict[str, bytes]) -> None:
        incoming = self.root / cluster / _INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=incoming))
        try:
            # mkdtemp makes private directories; an archive is often read by other accounts.
            draft.chmod(0o777 & ~_umask())
            for name, body in files.items():
                _write_synced(draft / name, body)
            directory.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(directory)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        finally:
            _remove_if_empty(incoming)
        _sync_directory(directory.parent)


def _directories(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return [Path(e.path) for e in entries if e.is_dir() and not e.name.startswith(".")]


def _read_data(directory: Path) -> bytes:
    try:
        return gzip.decompress((directory / "data.json.gz").read_bytes())
    except FileNotFoundError:
        return (directory / "data.json").read_bytes()


def _read_meta(directory: Path) -> Job:
    try:
        return decode_meta((directory / "meta.json").read_bytes())
    except FileNotFoundError:
        raise JobNotArchivedError(f"{directory}: no meta.json") from None
    except OSError as error:
        raise ArchiveError(f"{directory}: {error.strerror}") from error
    except ArchiveError as error:
        raise ArchiveError(f"{directory}: {error}") from None


def _read_meta_or_broken(directory: Path) -> Job | BrokenEntry:
    try:
        return _read_meta(directory)
    except ArchiveError as error:
        return BrokenEntry(str(directory), str(error))


def _write(path: Path, body: bytes) -> None:
    """Replaces a file at once: readers and a crash see the old or the new content, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        os.close(handle)
        _write_synced(draft, body)
        draft.chmod(0o666 & ~_umask())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _write_synced(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        log.debug("%s is in use", path)


def _umask() -> int:
    # Reading the mask means setting it for a moment, for the whole process: ask only once.
    global _known_umask
    if _known_umask is None:
        _known_umask = os.umask(0o022)
        os.umask(_known_umask)
    return _known_umask


_known_umask: int | None = None
