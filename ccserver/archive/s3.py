"""The job archive as objects in a bucket. Contract: spec/job-archive.md 21.1.

Keys are the paths of an archive of files. Cost: a job is read by one or two requests and written by three;
listing takes one request per thousand job ids.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from ccserver.archive.data import decode_data
from ccserver.archive.errors import ArchiveError, ArchiveVersionError, JobNotArchivedError
from ccserver.archive.file import (
    COMPRESS_ABOVE,
    PACKED,
    PLAIN,
    check_cluster_name,
    check_version,
    pack,
    pack_data,
    unpack_data,
)
from ccserver.archive.interface import VERSION, BrokenEntry, Entry, JobFiles
from ccserver.archive.meta import decode_meta, encode_meta
from ccserver.archive.places import Bucket, read, write
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

if TYPE_CHECKING:
    from ccserver.archive.schemas import Kind

log = logging.getLogger(__name__)

_READERS = 16  # a request mostly waits
_META, _VERSION, _MARKER = "meta.json", "version.txt", "compress.txt"


class S3Archive:
    """An archive in a bucket that exists. With `validate` as `FileArchive`."""

    def __init__(self, bucket: Bucket, *, validate: bool = False) -> None:
        self._bucket = bucket
        self._validate = validate
        self._writing = threading.Lock()

    def __str__(self) -> str:
        return str(self._bucket)

    def open(self) -> None:
        try:
            with self._failing(_VERSION):
                if not self._bucket.accessible():
                    raise ArchiveVersionError(f"{self._bucket}: there is no such bucket, or no access to it")
                if self._bucket.has(_VERSION):
                    check_version(read(self._bucket, _VERSION), f"{self._bucket}/{_VERSION}")
                else:
                    write(self._bucket, _VERSION, b"%d\n" % VERSION)
        except ArchiveError as error:
            raise ArchiveVersionError(str(error)) from error

    def clusters(self) -> list[str]:
        with self._failing(""):
            return self._bucket.folders()

    def cluster_documents(self) -> dict[str, Any]:
        documents = {}
        for cluster in self.clusters():
            try:
                documents[cluster] = msgspec.json.decode(self.cluster_file(cluster))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ArchiveError(f"{self._bucket}/{cluster}/cluster.json: {error}") from None
        return documents

    def cluster_file(self, cluster: str) -> bytes:
        return self._read(f"{cluster}/cluster.json")

    def store_cluster(self, cluster: str, document: bytes) -> None:
        check_cluster_name(cluster)
        self._write(f"{cluster}/cluster.json", document)

    def delete_cluster(self, cluster: str) -> None:
        with self._failing(cluster):
            self._bucket.remove_folder(cluster)

    def exists(self, job: Job) -> bool:
        key = f"{_folder_of(job)}/{_META}"
        with self._failing(key):
            return self._bucket.has(key)

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job:
        key = f"{_folder(cluster, job_id, start_time)}/{_META}"
        return self._decoded_meta(self._read(key), key)

    def load_data(self, job: Job) -> JobData:
        folder = _folder_of(job)
        name, raw = self._read_data(folder)
        place = f"{self._bucket}/{folder}/{name}"
        try:
            document = unpack_data(raw) if name == PACKED else raw
            self._check("data", document, place)
            return decode_data(document)
        except ArchiveError as error:
            raise ArchiveError(f"{place}: {error}") from None

    def load_files(self, cluster: str, job_id: int, start_time: int) -> JobFiles:
        folder = _folder(cluster, job_id, start_time)
        return JobFiles(self._read(f"{folder}/{_META}"), *self._read_data(folder))

    def store_meta(self, job: Job) -> None:
        with self._writing:
            self._store_meta(job)

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        with self._writing:
            job = self.load_meta(cluster, job_id, start_time)
            change(job)
            self._store_meta(job)

    def import_job(self, job: Job, data: JobData) -> None:
        check_cluster_name(job.cluster)
        folder = _folder_of(job)
        name, body = pack_data(data)
        other = f"{folder}/{PLAIN if name == PACKED else PACKED}"
        self._write(f"{folder}/{name}", body)
        with self._failing(other):
            if self._bucket.has(other):
                self._bucket.remove(other)
        # Last: what has a record exists.
        self._write(f"{folder}/{_META}", encode_meta(job))

    def delete_job(self, cluster: str, job_id: int, start_time: int) -> None:
        folder = _folder(cluster, job_id, start_time)
        with self._writing, self._failing(folder):
            self._bucket.remove_folder(folder)

    def compress_job(self, cluster: str, job_id: int, start_time: int) -> bool:
        folder = _folder(cluster, job_id, start_time)
        plain = f"{folder}/{PLAIN}"
        with self._writing, self._failing(plain):
            if self._bucket.files(folder).get(plain, 0) < COMPRESS_ABOVE:
                return False
            write(self._bucket, f"{folder}/{PACKED}", pack(read(self._bucket, plain)), "application/gzip")
            self._bucket.remove(plain)
        return True

    def compress_marker(self) -> int | None:
        with self._failing(_MARKER):
            last = read(self._bucket, _MARKER).strip() if self._bucket.has(_MARKER) else b""
        return int(last) if last.isdigit() else None

    def store_compress_marker(self, until: int) -> None:
        self._write(_MARKER, str(until).encode())

    def count(self) -> int:
        entries = (entry for cluster in self.clusters() for entry in self.entries(cluster))
        return sum(isinstance(entry, Entry) for entry in entries)

    def entries(self, cluster: str) -> Iterator[Entry | BrokenEntry]:
        with self._failing(cluster):
            for thousands in self._bucket.folders(cluster):
                files = self._bucket.files(f"{cluster}/{thousands}")
                sizes: dict[str, int] = {}
                for key, size in files.items():
                    folder = key.rpartition("/")[0]
                    sizes[folder] = sizes.get(folder, 0) + size
                for folder, size in sizes.items():
                    if f"{folder}/{_META}" in files:
                        yield self._entry(folder, size)

    def iterate(
        self, known: Callable[[str, int, int], bool] = lambda cluster, job_id, start_time: False
    ) -> Iterator[Job | BrokenEntry]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="archive") as readers:
            pending: deque[Future[Job | BrokenEntry]] = deque()
            for entry in (entry for cluster in self.clusters() for entry in self.entries(cluster)):
                if isinstance(entry, BrokenEntry):
                    yield entry
                elif not known(entry.cluster, entry.job_id, entry.start_time):
                    pending.append(readers.submit(self._load_or_broken, entry))
                    if len(pending) >= 4 * _READERS:
                        yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _entry(self, folder: str, size: int) -> Entry | BrokenEntry:
        place = f"{self._bucket}/{folder}"
        try:
            cluster, thousands, ones, start = folder.split("/")
            return Entry(cluster, int(thousands) * 1000 + int(ones), int(start), size, place)
        except ValueError:
            return BrokenEntry(place, "the key names no job")

    def _load_or_broken(self, entry: Entry) -> Job | BrokenEntry:
        try:
            return self.load_meta(entry.cluster, entry.job_id, entry.start_time)
        except ArchiveError as error:
            return BrokenEntry(entry.place, str(error))

    def _store_meta(self, job: Job) -> None:
        if not self.exists(job):
            raise JobNotArchivedError(
                f"{self._bucket}/{_folder_of(job)}: there is no such job in the archive"
            )
        self._write(f"{_folder_of(job)}/{_META}", encode_meta(job))

    def _decoded_meta(self, raw: bytes, key: str) -> Job:
        place = f"{self._bucket}/{key}"
        try:
            self._check("meta", raw, place)
            return decode_meta(raw)
        except ArchiveError as error:
            raise ArchiveError(f"{place}: {error}") from None

    def _check(self, kind: Kind, raw: bytes, place: str) -> None:
        if self._validate:
            from ccserver.archive.schemas import problems  # jsonschema takes its time to load

            for problem in problems(kind, raw):
                log.warning("%s: breaks its schema: %s", place, problem)

    def _read_data(self, folder: str) -> tuple[str, bytes]:
        try:
            return PACKED, self._read(f"{folder}/{PACKED}")
        except JobNotArchivedError:
            return PLAIN, self._read(f"{folder}/{PLAIN}")

    def _read(self, key: str) -> bytes:
        with self._failing(key):
            return read(self._bucket, key)

    def _write(self, key: str, body: bytes) -> None:
        content_type = "application/gzip" if key.endswith(".gz") else "application/json"
        with self._failing(key):
            write(self._bucket, key, body, content_type)

    @contextmanager
    def _failing(self, key: str) -> Iterator[None]:
        """Raises ArchiveError for what the bucket says."""
        try:
            yield
        except FileNotFoundError:
            raise JobNotArchivedError(f"{self._bucket}/{key}: there is no such object") from None
        except OSError as error:
            raise ArchiveError(f"{self._bucket}/{key}: {error}") from error


def _folder(cluster: str, job_id: int, start_time: int) -> str:
    return f"{cluster}/{job_id // 1000}/{job_id % 1000:03d}/{start_time}"


def _folder_of(job: Job) -> str:
    return _folder(job.cluster, job.job_id, job.start_time)
