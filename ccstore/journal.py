"""The journal: what has arrived since the last checkpoint, on disk within a second or so.

docs/format/journal.md draws the files. A message costs its writer one entry in a queue; compression,
checksums and the disk are left to the journal's own thread. The queue is bounded: when the disk cannot keep
up, messages stay out of the journal, are counted, and a checkpoint is due at once.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ccstore.checkpoint import compress, decompress, move_aside, sync_directory
from ccstore.steps import step

log = logging.getLogger(__name__)

MAGIC = b"CCJRNL\n\0"
VERSION = 1
RECORD_MAGIC = b"JREC"
HEADER = struct.Struct("<8sIQI")  # magic, version, number, CRC-32 of these
RECORD = struct.Struct("<4sIIII")  # magic, stored size, size, flags, CRC-32 of all else
GOES_ON = 1  # flags: messages go on in the next record
CONTINUED = 2  # they began in the one before
ENTRY = struct.Struct("<IqH")  # size of the message, time of receipt, size of the cluster's name
SUFFIX = ".journal"

_INTERVAL = 0.5  # seconds between two commits
_WAKE = 4 << 20  # bytes in the queue that are not left waiting for that
_BATCH = 1 << 16  # bytes of messages that share a record; lz4 is slower on more, its output is mapped anew
_ACCELERATION = 4  # of lz4: a fifth faster than 1, 6 % larger
_PIECE = 1 << 20  # bytes of a record before compression
_LARGEST = 1 << 21  # stored bytes of a record: guards against a size that is damage
_QUEUE = 64 << 20  # bytes
_ENTRY_COST = 200  # bytes of memory that an entry of the queue takes besides its message
_PATIENCE = 10.0  # seconds that closing waits for a write under way
_BETWEEN_COMPLAINTS = 60.0  # seconds


class Entry(NamedTuple):
    """A message as it arrived: bytes of line protocol, its default cluster, unix seconds."""

    message: bytes
    cluster: bytes
    time: int


_Waiting = tuple[int, Entry]  # number of the file it belongs to, message


class Journal:
    """Journal files of a directory; one of them grows. Any thread may call any method.

    Until `forget`, nothing is deleted. With `writing` off it only looks after the files of earlier runs.
    """

    def __init__(
        self, directory: Path, *, first: int, limit: int, writing: bool = True, queue: int = _QUEUE
    ) -> None:
        self._directory = directory
        self._limit = limit
        self._writing = writing
        self._queue_limit = queue
        self.first = first
        self._lock = threading.Lock()  # of the queue and the figures; never held while the disk works
        self._files = threading.Lock()  # of everything on disk
        self._advanced = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._queue: list[_Waiting] = []
        self._taken: list[_Waiting] = []  # from the queue, by the thread; not yet written
        self._waiting = 0  # bytes of both
        self._number = first  # of the file for the next message
        self._incomplete = 0  # the newest file in which messages are missing; 0: none
        self._damaged: set[int] = set()
        self._fd = -1
        self._open = 0  # number of the file behind the descriptor
        self._end = 0  # of what is written to it
        self._dirty = False
        self._older = sum(path.stat().st_size for _, path in journals(directory))
        self._appended = 0
        self._durable = 0
        self._behind_since: float | None = None
        self._written = 0
        self._records = 0
        self._syncs = 0
        self._failures = 0
        self._lost = 0
        self._complained = -_BETWEEN_COMPLAINTS

    # -- the writers' side -------------------------------------------------------------------------------

    def append(self, message: bytes, cluster: bytes, received: int) -> None:
        """Takes note of a message; returns at once, whatever the disk does."""
        if not self._writing:
            return
        cost = len(message) + _ENTRY_COST
        with self._lock:
            if self._stopping:
                return
            # A single message may be larger than the queue.
            if self._waiting >= self._queue_limit or self._older + self._end >= 2 * self._limit:
                self._lost += 1
                self._incomplete = self._number
                return
            self._queue.append((self._number, Entry(message, cluster, received)))
            self._waiting += cost
            self._appended += 1
            if self._behind_since is None:
                self._behind_since = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()
        if self._waiting > _WAKE:
            self._wake.set()

    def switch(self) -> int:
        """Messages from now on go to a new file; returns its number."""
        with self._lock:
            self._number += 1
            return self._number

    def sync(self, patience: float = _PATIENCE) -> bool:
        """Waits until everything appended so far is on disk; False when it is not, or not in time."""
        with self._lock:
            target = self._appended
            if self._durable < target:
                self._wake.set()
                self._advanced.wait_for(lambda: self._durable >= target, patience)
            return self._durable >= target and not self._incomplete

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._older + self._end

    @property
    def wants_checkpoint(self) -> bool:
        """Whether the journal has reached its limit, or lacks something."""
        return self._older + self._end >= self._limit or self._incomplete > 0

    def forget(self, before: int) -> None:
        """Files below this number are in a checkpoint that is on disk: removes them."""
        with self._files:
            with self._lock:
                self._queue = [one for one in self._queue if one[0] >= before]
                self._taken = [one for one in self._taken if one[0] >= before]
                self._waiting = sum(map(_cost, self._queue)) + sum(map(_cost, self._taken))
                if self._incomplete < before:
                    self._incomplete = 0
            if self._fd >= 0 and self._open < before:
                self._close_file()
            for number, path in journals(self._directory):
                if number >= before:
                    continue
                try:
                    if number in self._damaged:
                        move_aside(path)
                    else:
                        path.unlink()
                    step("journal: file removed")
                except OSError as error:
                    log.warning("%s: in a checkpoint, but could not be removed: %s", path, error)
            self._measure()

    def keep_damaged(self, number: int) -> None:
        """This file will be moved aside rather than removed."""
        self._damaged.add(number)

    def close(self) -> None:
        """Writes what is waiting; nothing is taken any more."""
        with self._lock:
            self._stopping = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(_PATIENCE)
            if thread.is_alive():
                log.error("journal: the disk does not answer; what has not been written is lost")
                return
        with self._files:
            if self._fd >= 0:
                self._close_file()

    def figures(self) -> dict[str, int | float]:
        """Counters since the start; bytes on disk, seconds since the oldest message that is not there."""
        with self._lock:
            behind = 0.0 if self._behind_since is None else time.monotonic() - self._behind_since
            return {
                "journal_bytes": self._older + self._end,
                "journal_written_bytes": self._written,
                "journal_records": self._records,
                "journal_syncs": self._syncs,
                "journal_lag_seconds": behind,
                "journal_failures": self._failures,
                "journal_lost_messages": self._lost,
            }

    # -- the thread's side -------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            self._commit()
        self._commit()

    def _commit(self) -> None:
        """Everything in the queue into its files, and these to disk."""
        with self._files:
            began = time.monotonic()
            with self._lock:
                self._taken += self._queue
                self._queue = []
                appended = self._appended
            try:
                self._write_taken()
                self._sync_file()
            except OSError as error:
                self._failed(error)
                return
            with self._lock:
                self._durable = appended
                self._behind_since = began if self._queue else None
                self._advanced.notify_all()
                lost = self._lost if self._incomplete else 0
        if lost:
            self._complain(f"{lost} messages so far are not in it: the disk is too slow, or checkpoints fail")

    def _write_taken(self) -> None:
        done = 0
        try:
            while done < len(self._taken):
                end, size = done, 0
                file = self._taken[done][0]
                while end < len(self._taken) and self._taken[end][0] == file and size < _BATCH:
                    size += _cost(self._taken[end])
                    end += 1
                self._write(file, [entry for _, entry in self._taken[done:end]])
                done = end
                with self._lock:
                    self._waiting -= size
        finally:
            del self._taken[:done]

    def _write(self, file: int, entries: list[Entry]) -> None:
        if self._fd < 0 or self._open != file:
            self._open_file(file)
        end = self._end
        try:
            for record in records(entries):
                end += self._put(record, end)
                self._records += 1
                step("journal: record written")
        except OSError:
            os.ftruncate(self._fd, self._end)
            raise
        self._written += end - self._end
        self._end = end
        self._dirty = True

    def _put(self, data: bytes, at: int) -> int:
        done = 0
        while done < len(data):
            done += os.pwrite(self._fd, memoryview(data)[done:], at + done)
        return done

    def _open_file(self, number: int) -> None:
        if self._fd >= 0:
            self._close_file()
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{number:012d}{SUFFIX}"
        # Not "exclusively": an attempt that failed half-way is repeated.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            header = HEADER.pack(MAGIC, VERSION, number, 0)[:-4]
            header += struct.pack("<I", zlib.crc32(header))
            if os.write(fd, header) < len(header):
                raise OSError(f"{path}: no room for its header")
            sync_directory(self._directory)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._open, self._end, self._dirty = fd, number, HEADER.size, True
        step("journal: file made")

    def _close_file(self) -> None:
        try:
            self._sync_file()
        except OSError as error:
            self._failed(error)
        os.close(self._fd)
        self._older += self._end
        self._fd, self._end, self._dirty = -1, 0, False

    def _sync_file(self) -> None:
        if self._dirty:
            # Tried once: what the kernel could not write then, it may have thrown away.
            self._dirty = False
            os.fdatasync(self._fd)
            self._syncs += 1
            step("journal: synced")

    def _measure(self) -> None:
        self._older = 0
        for number, path in journals(self._directory):
            if self._fd < 0 or number != self._open:
                try:
                    self._older += path.stat().st_size
                except OSError:
                    continue

    def _failed(self, error: OSError) -> None:
        with self._lock:
            self._failures += 1
            self._incomplete = max(self._incomplete, self._open, self._taken[0][0] if self._taken else 0)
        self._complain(str(error))

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _BETWEEN_COMPLAINTS:
            self._complained = now
            log.error("journal in %s: %s", self._directory, what)


def _cost(one: _Waiting) -> int:
    return len(one[1].message) + _ENTRY_COST


# -- the files -----------------------------------------------------------------------------------------------


def journals(directory: Path) -> list[tuple[int, Path]]:
    """Journal files of a directory with their numbers, oldest first."""
    found = []
    for path in directory.glob(f"*{SUFFIX}"):
        if path.stem.isdecimal() and path.is_file():
            found.append((int(path.stem), path))
    return sorted(found)


def last_number(directory: Path) -> int:
    """The highest number that a journal has had, files moved aside included; 0 when there is none."""
    names = [path.name.split(".")[0] for path in directory.glob(f"*{SUFFIX}*")]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def records(entries: list[Entry]) -> Iterator[bytes]:
    """These messages as they stand in a file: one record, or several when they are large."""
    flags = 0
    piece = bytearray()
    for message, cluster, received in entries:
        if len(piece) + ENTRY.size + len(cluster) > _PIECE:
            yield _record(piece, flags | GOES_ON)
            piece.clear()
            flags = CONTINUED
        piece += ENTRY.pack(len(message), received, len(cluster))
        piece += cluster
        if len(piece) + len(message) <= _PIECE:
            piece += message
            continue
        rest = memoryview(message)
        while len(rest):
            room = _PIECE - len(piece)
            piece += rest[:room]
            rest = rest[room:]
            if len(rest):
                yield _record(piece, flags | GOES_ON)
                piece.clear()
                flags = CONTINUED
    yield _record(piece, flags)


def _record(piece: bytearray, flags: int) -> bytes:
    stored = compress(piece, _ACCELERATION)
    head = RECORD.pack(RECORD_MAGIC, len(stored), len(piece), flags, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(stored, zlib.crc32(head))) + stored


class DamagedJournal(Exception):
    """A file that is not, or not completely, a journal."""


def entries_of(path: Path, advance: Callable[[int], None] = lambda size: None) -> Iterator[Entry]:
    """All messages of a file that are whole; what a crash has left at its end is ignored. `advance` is told
    how many bytes have been read since it was called last.

    Raises DamagedJournal: at once for a foreign file, after the last message when there was damage before it.
    """
    with open(path, "rb") as file:
        head = file.read(HEADER.size)
        if len(head) < HEADER.size and HEADER.pack(MAGIC, VERSION, 0, 0).startswith(head[:12]):
            return
        if len(head) < HEADER.size or head[:8] != MAGIC:
            raise DamagedJournal("not a journal")
        _, version, _, check = HEADER.unpack(head)
        if version != VERSION:
            raise DamagedJournal(f"a journal of version {version}; this program reads version {VERSION}")
        trouble = None if zlib.crc32(head[:-4]) == check else "wrong checksum of the header"
        at = HEADER.size
        end = os.fstat(file.fileno()).st_size
        parts: list[bytes] = []
        while at < end:
            found = _record_at(file, at)
            if found is None:
                following = _next_record(file, at + 1, end)
                if following < 0:
                    break
                trouble = trouble or f"bytes {at} to {following} are damaged"
                at, parts = following, []
                continue
            piece, flags, behind = found
            advance(behind - at)
            at = behind
            if not flags & CONTINUED:
                parts = [piece]
            elif parts:
                parts.append(piece)
            if parts and not flags & GOES_ON:
                yield from _entries(b"".join(parts))
                parts = []
        if trouble:
            raise DamagedJournal(trouble)


def _record_at(file: BinaryIO, at: int) -> tuple[bytes, int, int] | None:
    """Content of a record, its flags, position behind it; None when it is not whole."""
    file.seek(at)
    raw = file.read(RECORD.size)
    if len(raw) < RECORD.size:
        return None
    magic, stored, size, flags, check = RECORD.unpack(raw)
    if magic != RECORD_MAGIC or stored > _LARGEST or size > _PIECE:
        return None
    block = file.read(stored)
    if len(block) < stored or zlib.crc32(block, zlib.crc32(raw[:-4])) != check:
        return None
    try:
        return decompress(block, size), flags, at + RECORD.size + stored
    except ValueError:
        return None


def _next_record(file: BinaryIO, at: int, end: int) -> int:
    """Position of the next whole record; -1 when there is none."""
    while at < end:
        file.seek(at)
        window = file.read(_PIECE)
        candidate = window.find(RECORD_MAGIC)
        while candidate >= 0:
            if _record_at(file, at + candidate) is not None:
                return at + candidate
            candidate = window.find(RECORD_MAGIC, candidate + 1)
        at += max(len(window) - len(RECORD_MAGIC) + 1, 1)
    return -1


def _entries(whole: bytes) -> Iterator[Entry]:
    at = 0
    while at + ENTRY.size <= len(whole):
        size, received, cluster = ENTRY.unpack_from(whole, at)
        at += ENTRY.size
        yield Entry(whole[at + cluster : at + cluster + size], whole[at : at + cluster], received)
        at += cluster + size
