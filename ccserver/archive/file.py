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
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from ccserver.archive.data import decode_data, encode_data
from ccserver.archive.errors import ArchiveError, ArchiveVersionError, JobNotArchivedError
from ccserver.archive.interface import VERSION, BrokenEntry, Entry, JobFiles
from ccserver.archive.meta import decode_meta, encode_meta
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

try:
    from isal import isal_zlib as inflate  # two to three times as fast
except ImportError:  # there is none for every processor
    import zlib as inflate  # type: ignore[no-redef]

if TYPE_CHECKING:
    from ccserver.archive.schemas import Kind

log = logging.getLogger(__name__)

COMPRESS_ABOVE = 2000  # bytes of the encoded data document
LARGEST_DATA = 1 << 31  # bytes of a data document unpacked: 400 million samples; more is no job
_READERS = 4
PLAIN, PACKED = "data.json", "data.json.gz"
# Other programs descend into directories only and expect a start time on the third level: here, half-written
# jobs are invisible to them.
_INCOMING = ".incoming"


class FileArchive:
    """An archive under the directory `root`.

    With `validate` every document that is read is held against its schema; what differs is logged.
    """

    def __init__(self, root: Path, *, validate: bool = False) -> None:
        self.root = root
        self._validate = validate
        self._writing = threading.Lock()

    def __str__(self) -> str:
        return str(self.root.resolve())

    def open(self) -> None:
        path = self.root / "version.txt"
        try:
            found = path.read_bytes()
        except FileNotFoundError:
            self._bootstrap()
            return
        except OSError as error:
            raise ArchiveVersionError(f"{path}: {error.strerror}") from error
        check_version(found, str(path))

    def cluster_documents(self) -> dict[str, Any]:
        return {cluster: self._cluster_document(cluster) for cluster in self.clusters()}

    def cluster_file(self, cluster: str) -> bytes:
        path = self.root / cluster / "cluster.json"
        try:
            return path.read_bytes()
        except OSError as error:
            raise ArchiveError(f"{path}: {error.strerror}") from error

    def store_cluster(self, cluster: str, document: bytes) -> None:
        try:
            folder = self._folder(cluster)
            folder.mkdir(exist_ok=True)
            replace_file(folder / "cluster.json", document)
        except OSError as error:
            raise ArchiveError(f"{self.root / cluster}: {error}") from error

    def delete_cluster(self, cluster: str) -> None:
        folder = self._folder(cluster)
        try:
            with self._writing:
                shutil.rmtree(folder)
        except OSError as error:
            raise ArchiveError(f"{folder}: {error}") from error

    def exists(self, job: Job) -> bool:
        return self._directory(job).is_dir()

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job:
        return self._read_meta(self._place(cluster, job_id, start_time))

    def load_data(self, job: Job) -> JobData:
        directory = self._directory(job)
        try:
            raw = _read_data(directory)
            self._check("data", raw, directory)
            return decode_data(raw)
        except ArchiveError as error:
            raise ArchiveError(f"{directory}: {error}") from None
        except FileNotFoundError:
            raise JobNotArchivedError(f"{directory}: no data.json.gz and no data.json") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error

    def load_files(self, cluster: str, job_id: int, start_time: int) -> JobFiles:
        directory = self._place(cluster, job_id, start_time)
        try:
            meta = (directory / "meta.json").read_bytes()
            try:
                return JobFiles(meta, PACKED, (directory / PACKED).read_bytes())
            except FileNotFoundError:
                return JobFiles(meta, PLAIN, (directory / PLAIN).read_bytes())
        except FileNotFoundError as error:
            raise JobNotArchivedError(f"{error.filename}: there is no such file") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: {error.strerror}") from error

    def store_meta(self, job: Job) -> None:
        with self._writing:
            self._write_meta(self._directory(job), job)

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        with self._writing:
            directory = self._place(cluster, job_id, start_time)
            job = self._read_meta(directory)
            change(job)
            self._write_meta(directory, job)

    def import_job(self, job: Job, data: JobData) -> None:
        meta = encode_meta(job)
        name, body = pack_data(data)
        other = PLAIN if name == PACKED else PACKED
        directory = self._directory(job)
        try:
            with self._writing:
                if not directory.exists():
                    self._import_new(job.cluster, directory, {"meta.json": meta, name: body})
                else:
                    replace_file(directory / name, body)
                    (directory / other).unlink(missing_ok=True)
                    replace_file(directory / "meta.json", meta)
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error

    def count(self) -> int:
        places = itertools.chain.from_iterable(self.places(c) for c in self.clusters())
        return sum(not isinstance(place, BrokenEntry) for place in places)

    def delete_job(self, cluster: str, job_id: int, start_time: int) -> None:
        directory = self._place(cluster, job_id, start_time)
        try:
            with self._writing:
                shutil.rmtree(directory)
                _remove_if_empty(directory.parent)
        except FileNotFoundError:
            raise JobNotArchivedError(f"{directory}: there is no such job in the archive") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error

    def compress_job(self, cluster: str, job_id: int, start_time: int) -> bool:
        directory = self._place(cluster, job_id, start_time)
        try:
            with self._writing:
                if (directory / PACKED).exists() or not (directory / PLAIN).exists():
                    return False
                packed = pack((directory / PLAIN).read_bytes())
                replace_file(directory / PACKED, packed)
                (directory / PLAIN).unlink()
        except OSError as error:
            raise ArchiveError(f"{directory}: {error}") from error
        return True

    def compress_marker(self) -> int | None:
        path = self.root / "compress.txt"
        try:
            last = path.read_bytes().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"{path}: {error}") from error
        return int(last) if last.isdigit() else None

    def store_compress_marker(self, until: int) -> None:
        path = self.root / "compress.txt"
        try:
            replace_file(path, str(until).encode())
        except OSError as error:
            raise ArchiveError(f"{path}: {error}") from error

    def entries(self, cluster: str) -> Iterator[Entry | BrokenEntry]:
        for place in self.places(cluster):
            if isinstance(place, BrokenEntry):
                yield place
            elif (key := _key_of(place)) is None:
                yield BrokenEntry(str(place), "the name is no start time")
            else:
                size = sum(entry.stat().st_size for entry in os.scandir(place))
                yield Entry(*key, size, str(place))

    def iterate(
        self, known: Callable[[str, int, int], bool] = lambda cluster, job_id, start_time: False
    ) -> Iterator[Job | BrokenEntry]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="archive") as readers:
            pending: deque[Future[Job | BrokenEntry]] = deque()
            places = itertools.chain.from_iterable(self.places(c) for c in self.clusters())
            for place in places:
                if isinstance(place, BrokenEntry):
                    yield place
                    continue
                key = _key_of(place)
                if key is not None and known(*key):
                    continue
                pending.append(readers.submit(self._read_meta_or_broken, place))
                if len(pending) >= 16 * _READERS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _read_meta(self, directory: Path) -> Job:
        try:
            raw = (directory / "meta.json").read_bytes()
            self._check("meta", raw, directory)
            return decode_meta(raw)
        except FileNotFoundError:
            raise JobNotArchivedError(f"{directory}: no meta.json") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: {error.strerror}") from error
        except ArchiveError as error:
            raise ArchiveError(f"{directory}: {error}") from None

    def _read_meta_or_broken(self, directory: Path) -> Job | BrokenEntry:
        try:
            return self._read_meta(directory)
        except ArchiveError as error:
            return BrokenEntry(str(directory), str(error))

    def _check(self, kind: Kind, raw: bytes, directory: Path) -> None:
        if self._validate:
            from ccserver.archive.schemas import problems  # jsonschema takes its time to load

            for problem in problems(kind, raw):
                log.warning("%s: %s.json breaks its schema: %s", directory, kind, problem)

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

    def clusters(self) -> list[str]:
        """Names of the directories that are clusters, byte-wise sorted."""
        try:
            with os.scandir(self.root) as entries:
                names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
        except OSError as error:
            raise ArchiveError(f"{self.root}: {error.strerror}") from error
        return sorted(names, key=os.fsencode)

    def _cluster_document(self, cluster: str) -> Any:
        try:
            return msgspec.json.decode(self.cluster_file(cluster))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"{self.root / cluster / 'cluster.json'}: {error}") from None

    def _directory(self, job: Job) -> Path:
        return self._place(job.cluster, job.job_id, job.start_time)

    def _place(self, cluster: str, job_id: int, start_time: int) -> Path:
        return self._folder(cluster) / str(job_id // 1000) / f"{job_id % 1000:03d}" / str(start_time)

    def _folder(self, cluster: str) -> Path:
        check_cluster_name(cluster)
        return self.root / cluster

    def places(self, cluster: str) -> Iterator[Path | BrokenEntry]:
        """The directories of all jobs of a cluster."""
        return _descend(self.root / cluster, 3)

    def _write_meta(self, directory: Path, job: Job) -> None:
        if not directory.is_dir():
            raise JobNotArchivedError(f"{directory}: there is no such job in the archive")
        try:
            replace_file(directory / "meta.json", encode_meta(job))
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


def check_version(found: bytes, place: str) -> None:
    """Raises ArchiveVersionError unless `found` is a `version.txt` of archives that are read here."""
    number = found.removesuffix(b"\n")
    if not re.fullmatch(rb"[0-9]+", number):
        raise ArchiveVersionError(
            f"{place}: {found[:40]!r} is not a version number; an archive has '{VERSION}'"
        )
    version = int(number)
    if version == VERSION:
        return
    advice = "; convert the archive with cc-archive-migration" if version < VERSION else ""
    raise ArchiveVersionError(f"{place}: unsupported version {version}, need {VERSION}{advice}")


def check_cluster_name(cluster: str) -> None:
    """Raises ArchiveError for names that mean something else in a path."""
    if not cluster or cluster.startswith(".") or "/" in cluster or "\0" in cluster:
        raise ArchiveError(f"{cluster!r} cannot be the name of a cluster in an archive")


def _descend(path: Path, levels: int) -> Iterator[Path | BrokenEntry]:
    """The directories `levels` below `path`; one that cannot be listed costs what lies in it."""
    if levels == 0:
        yield path
        return
    try:
        with os.scandir(path) as entries:
            names = [entry.path for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        yield BrokenEntry(str(path), f"cannot be listed: {error.strerror}")
        return
    for name in names:
        yield from _descend(Path(name), levels - 1)


def _key_of(directory: Path) -> tuple[str, int, int] | None:
    """Cluster, job id and start time that the place of a job stands for."""
    cluster, thousands, ones, start = directory.parts[-4:]
    if not (thousands.isdecimal() and ones.isdecimal() and start.isdecimal()):
        return None
    return cluster, int(thousands) * 1000 + int(ones), int(start)


def pack_data(data: JobData) -> tuple[str, bytes]:
    """Name and content of the file that holds `data`: compressed above 2000 bytes."""
    encoded = encode_data(data)
    if len(encoded) > COMPRESS_ABOVE:
        return PACKED, pack(encoded)
    return PLAIN, encoded


def pack(document: bytes) -> bytes:
    """As gzip; equal documents give equal bytes."""
    return gzip.compress(document, 6, mtime=0)


def unpack_data(packed: bytes) -> bytes:
    """Undoes gzip, also of several members; raises ArchiveError."""
    unpacked: list[bytes] = []
    room = LARGEST_DATA
    while packed:
        member = inflate.decompressobj(wbits=31)
        try:
            unpacked.append(member.decompress(packed, room))
        except inflate.error as error:  # type: ignore[misc]
            raise ArchiveError(f"not a gzip file: {error}") from None
        room -= len(unpacked[-1])
        if member.unconsumed_tail or room <= 0:
            raise ArchiveError(f"more than {LARGEST_DATA} bytes unpacked")
        if not member.eof:
            raise ArchiveError("the gzip file ends early")
        packed = member.unused_data.lstrip(b"\0")  # gzip itself ignores such padding
    return b"".join(unpacked)


def _read_data(directory: Path) -> bytes:
    try:
        packed = (directory / PACKED).read_bytes()
    except FileNotFoundError:
        return (directory / PLAIN).read_bytes()
    return unpack_data(packed)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at once when the context ends well: readers and a crash
    see the old or the new content, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o666 & ~_umask())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def replace_file(path: Path, body: bytes) -> None:
    """As `replacing`, with all of the new content."""
    with replacing(path) as file:
        file.write(body)


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
