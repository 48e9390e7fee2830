"""The job archive as one SQLite file. Contract: spec/job-archive.md 21.2.

Cost: a job of 64 nodes is a blob of some MB, read whole. What is packed and how is as in the file archive.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ccserver.archive.data import decode_data
from ccserver.archive.errors import ArchiveError, ArchiveVersionError, JobNotArchivedError
from ccserver.archive.file import COMPRESS_ABOVE, PACKED, PLAIN, pack, pack_data, unpack_data
from ccserver.archive.interface import VERSION, BrokenEntry, Entry, JobFiles
from ccserver.archive.meta import decode_meta, encode_meta
from ccserver.model.job import Job
from ccserver.model.metrics import JobData

if TYPE_CHECKING:
    from ccserver.archive.schemas import Kind

log = logging.getLogger(__name__)

_BUSY = 60.0  # seconds
_AT_ONCE = 1000  # rows
_PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -65536", "foreign_keys = ON")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS jobs ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, job_id INTEGER NOT NULL, cluster TEXT NOT NULL,"
    " start_time INTEGER NOT NULL, meta_json BLOB NOT NULL, data_json BLOB,"
    " data_compressed BOOLEAN DEFAULT 0, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
    " UNIQUE(job_id, cluster, start_time))",
    "CREATE TABLE IF NOT EXISTS clusters ("
    " name TEXT PRIMARY KEY, config_json BLOB NOT NULL, updated_at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS idx_jobs_cluster ON jobs(cluster)",
    "CREATE INDEX IF NOT EXISTS idx_jobs_start_time ON jobs(start_time)",
    "CREATE INDEX IF NOT EXISTS idx_jobs_order ON jobs(cluster, start_time)",
    "CREATE INDEX IF NOT EXISTS idx_jobs_lookup ON jobs(cluster, job_id, start_time)",
)
_JOB = "cluster = ? AND job_id = ? AND start_time = ?"
_STORE = (
    "INSERT INTO jobs"
    " (meta_json, data_json, data_compressed, created_at, updated_at, cluster, job_id, start_time)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, cluster, start_time) DO UPDATE SET"
    " meta_json = excluded.meta_json, data_json = excluded.data_json,"
    " data_compressed = excluded.data_compressed, updated_at = excluded.updated_at"
)


class SqliteArchive:
    """An archive in the file `path`. With `validate` as `FileArchive`."""

    def __init__(self, path: Path, *, validate: bool = False) -> None:
        self.path = path
        self._validate = validate
        self._connections = threading.local()

    def __str__(self) -> str:
        return str(self.path.resolve())

    def open(self) -> None:
        try:
            with self._writing() as connection:
                for statement in _TABLES:
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO metadata VALUES ('version', ?)", (str(VERSION),))
                found = self._setting(connection, "version")
        except ArchiveError as error:
            raise ArchiveVersionError(str(error)) from error
        if found != str(VERSION):
            raise ArchiveVersionError(f"{self.path}: unsupported version {found}, need {VERSION}")

    def clusters(self) -> list[str]:
        with self._reading() as connection:
            rows = connection.execute("SELECT name FROM clusters UNION SELECT DISTINCT cluster FROM jobs")
            return sorted(row[0] for row in rows)

    def cluster_documents(self) -> dict[str, Any]:
        return {cluster: self._cluster_document(cluster) for cluster in self.clusters()}

    def cluster_file(self, cluster: str) -> bytes:
        with self._reading() as connection:
            row = connection.execute("SELECT config_json FROM clusters WHERE name = ?", (cluster,)).fetchone()
        if row is None:
            raise ArchiveError(f"{self.path}: cluster {cluster} has no configuration")
        return _bytes(row[0])

    def store_cluster(self, cluster: str, document: bytes) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO clusters VALUES (?, ?, ?)", (cluster, document, int(time.time()))
            )

    def delete_cluster(self, cluster: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM jobs WHERE cluster = ?", (cluster,))
            connection.execute("DELETE FROM clusters WHERE name = ?", (cluster,))

    def exists(self, job: Job) -> bool:
        with self._reading() as connection:
            query = f"SELECT 1 FROM jobs WHERE {_JOB}"
            return connection.execute(query, _key(job)).fetchone() is not None

    def load_meta(self, cluster: str, job_id: int, start_time: int) -> Job:
        (raw,) = self._row("meta_json", (cluster, job_id, start_time))
        return self._decoded_meta(_bytes(raw), (cluster, job_id, start_time))

    def load_data(self, job: Job) -> JobData:
        raw, packed = self._row("data_json, data_compressed", _key(job))
        place = self._place(_key(job))
        if raw is None:
            raise JobNotArchivedError(f"{place}: no metric data")
        try:
            document = unpack_data(_bytes(raw)) if packed else _bytes(raw)
            self._check("data", document, place)
            return decode_data(document)
        except ArchiveError as error:
            raise ArchiveError(f"{place}: {error}") from None

    def load_files(self, cluster: str, job_id: int, start_time: int) -> JobFiles:
        key = (cluster, job_id, start_time)
        meta, data, packed = self._row("meta_json, data_json, data_compressed", key)
        if data is None:
            raise JobNotArchivedError(f"{self._place(key)}: no metric data")
        return JobFiles(_bytes(meta), PACKED if packed else PLAIN, _bytes(data))

    def store_meta(self, job: Job) -> None:
        with self._writing() as connection:
            self._update_meta(connection, _key(job), encode_meta(job))

    def update_meta(self, cluster: str, job_id: int, start_time: int, change: Callable[[Job], None]) -> None:
        key = (cluster, job_id, start_time)
        with self._writing() as connection:
            row = connection.execute(f"SELECT meta_json FROM jobs WHERE {_JOB}", key).fetchone()
            if row is None:
                raise self._missing(key)
            job = self._decoded_meta(_bytes(row[0]), key)
            change(job)
            self._update_meta(connection, key, encode_meta(job))

    def import_job(self, job: Job, data: JobData) -> None:
        meta = encode_meta(job)
        name, body = pack_data(data)
        now = int(time.time())
        with self._writing() as connection:
            connection.execute(_STORE, (meta, body, name == PACKED, now, now, *_key(job)))

    def delete_job(self, cluster: str, job_id: int, start_time: int) -> None:
        key = (cluster, job_id, start_time)
        with self._writing() as connection:
            if connection.execute(f"DELETE FROM jobs WHERE {_JOB}", key).rowcount == 0:
                raise self._missing(key)

    def compress_job(self, cluster: str, job_id: int, start_time: int) -> bool:
        key = (cluster, job_id, start_time)
        with self._writing() as connection:
            row = connection.execute(
                f"SELECT data_json FROM jobs WHERE {_JOB} AND NOT data_compressed AND length(data_json) >= ?",
                (*key, COMPRESS_ABOVE),
            ).fetchone()
            if row is None:
                return False
            connection.execute(
                f"UPDATE jobs SET data_json = ?, data_compressed = 1, updated_at = ? WHERE {_JOB}",
                (pack(_bytes(row[0])), int(time.time()), *key),
            )
        return True

    def compress_marker(self) -> int | None:
        with self._reading() as connection:
            last = self._setting(connection, "compress_last")
        return int(last) if last is not None and last.isdigit() else None

    def store_compress_marker(self, until: int) -> None:
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO metadata VALUES ('compress_last', ?)", (str(until),))

    def count(self) -> int:
        with self._reading() as connection:
            return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def entries(self, cluster: str) -> Iterator[Entry | BrokenEntry]:
        query = (
            "SELECT id, job_id, start_time, length(meta_json) + coalesce(length(data_json), 0) FROM jobs"
            f" WHERE cluster = ? AND id > ? ORDER BY id LIMIT {_AT_ONCE}"
        )
        last = -1
        while True:
            with self._reading() as connection:
                rows = connection.execute(query, (cluster, last)).fetchall()
            for _id, job_id, start_time, size in rows:
                place = self._place((cluster, job_id, start_time))
                yield Entry(cluster, job_id, start_time, size, place)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][0]

    def iterate(
        self, known: Callable[[str, int, int], bool] = lambda cluster, job_id, start_time: False
    ) -> Iterator[Job | BrokenEntry]:
        last = ("", -(1 << 63), -1)
        query = (
            "SELECT cluster, start_time, id, job_id FROM jobs WHERE (cluster, start_time, id) > (?, ?, ?)"
            f" ORDER BY cluster, start_time, id LIMIT {_AT_ONCE}"
        )
        while True:
            with self._reading() as connection:
                rows = connection.execute(query, last).fetchall()
            for cluster, start_time, _id, job_id in rows:
                if known(cluster, job_id, start_time):
                    continue
                try:
                    yield self.load_meta(cluster, job_id, start_time)
                except ArchiveError as error:
                    yield BrokenEntry(self._place((cluster, job_id, start_time)), str(error))
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1][:3]

    def _row(self, columns: str, key: tuple[str, int, int]) -> tuple[Any, ...]:
        with self._reading() as connection:
            row = connection.execute(f"SELECT {columns} FROM jobs WHERE {_JOB}", key).fetchone()
        if row is None:
            raise self._missing(key)
        return tuple(row)

    def _update_meta(self, connection: sqlite3.Connection, key: tuple[str, int, int], meta: bytes) -> None:
        changed = connection.execute(
            f"UPDATE jobs SET meta_json = ?, updated_at = ? WHERE {_JOB}", (meta, int(time.time()), *key)
        )
        if changed.rowcount == 0:
            raise self._missing(key)

    def _decoded_meta(self, raw: bytes, key: tuple[str, int, int]) -> Job:
        place = self._place(key)
        try:
            self._check("meta", raw, place)
            return decode_meta(raw)
        except ArchiveError as error:
            raise ArchiveError(f"{place}: {error}") from None

    def _cluster_document(self, cluster: str) -> Any:
        try:
            return msgspec.json.decode(self.cluster_file(cluster))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ArchiveError(f"{self.path}: configuration of cluster {cluster}: {error}") from None

    def _check(self, kind: Kind, raw: bytes, place: str) -> None:
        if self._validate:
            from ccserver.archive.schemas import problems  # jsonschema takes its time to load

            for problem in problems(kind, raw):
                log.warning("%s: %s breaks its schema: %s", place, kind, problem)

    def _place(self, key: tuple[str, int, int]) -> str:
        return f"{self.path}: job {key[1]} on {key[0]} started at {key[2]}"

    def _missing(self, key: tuple[str, int, int]) -> JobNotArchivedError:
        return JobNotArchivedError(f"{self._place(key)}: there is no such job in the archive")

    @staticmethod
    def _setting(connection: sqlite3.Connection, key: str) -> str | None:
        row = connection.execute("SELECT value FROM metadata WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread. Raises ArchiveError for what SQLite says."""
        try:
            connection: sqlite3.Connection | None = getattr(self._connections, "one", None)
            if connection is None:
                connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
                for pragma in _PRAGMAS:
                    connection.execute(f"PRAGMA {pragma}").close()
                self._connections.one = connection
            yield connection
        except sqlite3.Error as error:
            raise ArchiveError(f"{self.path}: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _key(job: Job) -> tuple[str, int, int]:
    return job.cluster, job.job_id, job.start_time


def _bytes(stored: bytes | str) -> bytes:
    return stored.encode() if isinstance(stored, str) else stored
