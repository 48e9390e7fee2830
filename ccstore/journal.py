"""The journal: what has been stored since the last checkpoint, on disk within a second or so.

docs/format/journal.md draws the files. Samples are logged by the very kernel that stores them, into a block
of memory; full blocks, and twice a second the one in use, go to the journal's own thread, which adds
checksums, writes, and twice a second sees to it that all of it is on disk. The queue of blocks is bounded:
when the disk cannot keep up, samples stay out of the journal, are counted, and a checkpoint is due at once.

Cost: 1 to 2 ns a sample for its writer, and 4 bytes to the disk in the order that senders keep (up to 16 in
another one), which is another 2 ns of the thread (benchmarks/store_ingest.py).
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

import msgpack
import numpy as np
from numpy.typing import NDArray

from ccstore.checkpoint import move_aside, sync_directory
from ccstore.kernels import layout
from ccstore.kernels.log import CHAPTER, MARKS, RUN, USED, checksum
from ccstore.steps import step
from ccstore.tables import StoreTables

log = logging.getLogger(__name__)

MAGIC = b"CCJRNL\n\0"
VERSION = 2
RECORD_MAGIC = b"JREC"
HEADER = struct.Struct("<8sIQI")  # magic, version, number, CRC-32 of these
RECORD = struct.Struct("<4sIIIQQ")  # magic, kind, size, 0, check of the content, check of the 24 bytes before
NAMES = 1  # kinds of records
SAMPLES = 2
SUFFIX = ".journal"

_INTERVAL = 0.5  # seconds between two commits
_BLOCK = 1 << 20  # bytes of samples that share a record
_PAD = 32  # records are multiples of that many bytes
_LARGEST = 1 << 28  # bytes of a record: guards against a size that is damage
_CHAPTER = 1 << 28  # bytes after which everything is explained anew, so that damage has an end
_QUEUE = 64 << 20  # bytes
_SPARES = 4  # blocks that are kept for the next use
_LEAST_AHEAD = 1 << 20  # bytes of a file that are reserved at once: at least, at most
_MOST_AHEAD = 1 << 24
_PATIENCE = 10.0  # seconds that closing waits for a write under way
_TURN = 0.02  # seconds that the thread waits for its turn before it leaves the hand-over to the writers
_BETWEEN_COMPLAINTS = 60.0  # seconds


class Block(NamedTuple):
    """Samples as kernels log them: words, and how far they go (kernels/log.py)."""

    words: NDArray[np.int32]
    mark: NDArray[np.int64]


class Record(NamedTuple):
    """Bytes for a file, complete; `samples` of them are lost when the record is."""

    file: int
    content: NDArray[np.int32]
    size: int  # bytes
    kind: int
    samples: int
    block: Block | None


def _new_block() -> Block:
    return Block(np.zeros(_BLOCK // 4, np.int32), np.zeros(MARKS, np.int64))


class Journal:
    """Journal files of a directory; one of them grows. Any thread may call any method.

    Until `forget`, nothing is deleted. With `writing` off it only looks after the files of earlier runs.
    `turn` is the lock under which `block` is used; whoever holds it calls `hand_over` when the block is full,
    and when `wanted` is set.
    """

    def __init__(
        self,
        directory: Path,
        tables: StoreTables,
        names: threading.Lock,
        *,
        first: int,
        limit: int,
        writing: bool = True,
        queue: int = _QUEUE,
    ) -> None:
        self._directory = directory
        self._tables = tables
        self._names_lock = names  # the store's
        self._limit = limit
        self._writing = writing
        self._queue_limit = queue
        self.first = first
        self.turn = threading.Lock()
        self.block = _new_block()
        self.wanted = False
        self._spares: list[Block] = []
        self._known = (0, 0)  # hosts and components that the chapter has named; (0, 0): begin it
        self._chapter_bytes = 0
        self._samples = int(tables.counts[layout.SAMPLES])  # when the block began
        self._number = first  # of the file for the block
        self._lock = threading.Lock()  # of the queue and the figures; never held while the disk works
        self._files = threading.Lock()  # of everything on disk
        self._advanced = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._sync_asked = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._queue: list[Record] = []
        self._taken: list[Record] = []  # from the queue, by the thread; not yet written
        self._waiting = 0  # bytes of both
        self._incomplete = 0  # the newest file in which samples are missing; 0: none
        self._damaged: set[int] = set()
        self._fd = -1
        self._open = 0  # number of the file behind the descriptor
        self._end = 0  # of what is written to it
        self._reserved = 0  # bytes of it
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
        if writing:
            self.block.mark[[RUN, CHAPTER]] = (-1, 1)

    # -- the writers' side -------------------------------------------------------------------------------

    def begin(self) -> None:
        """From the first sample on somebody looks after the block."""
        with self._lock:
            if self._thread is None and not self._stopping and self._writing:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()

    def hand_over(self) -> None:
        """Gives the block to the thread and provides another one; needs `turn`. Returns at once, whatever the
        disk does."""
        self.wanted = False
        block = self.block
        used = int(block.mark[USED])
        if not used:
            return
        counted = int(self._tables.counts[layout.SAMPLES])
        samples, self._samples = counted - self._samples, counted
        chapter = int(block.mark[CHAPTER])
        records = [*self._names(), self._record(SAMPLES, block.words, 4 * used, samples, block)]
        size = sum(record.size for record in records)
        with self._lock:
            # A single record may be larger than the queue.
            if self._waiting >= self._queue_limit or self._older + self._end >= 2 * self._limit:
                self._lost += samples
                self._incomplete = self._number
                self._known = (0, 0)  # what the block explained is explained again
                following = block
            else:
                self._queue += records
                self._waiting += size
                self._chapter_bytes += size
                self._appended += len(records)
                if self._behind_since is None:
                    self._behind_since = time.monotonic()
                following = self._spares.pop() if self._spares else _new_block()
                # What the thread has written can be used again: new memory costs more than a write.
                self._wake.set()
        if self._chapter_bytes >= _CHAPTER:
            self._known = (0, 0)
        following.mark[[USED, RUN, CHAPTER]] = (0, -1, chapter + (self._known == (0, 0)))
        self.block = following

    def _record(
        self, kind: int, content: NDArray[np.int32], size: int, samples: int = 0, block: Block | None = None
    ) -> Record:
        return Record(self._number, content, size, kind, samples, block)

    def _names(self) -> list[Record]:
        """What numbers of hosts, components and metrics in the block mean, as far as that has not been
        said."""
        hosts, components = self._known
        counts = self._tables.counts
        now = (int(counts[layout.HOST_COUNT]), int(counts[layout.COMPONENT_COUNT]))
        if self._known == now:
            return []
        with self._names_lock:
            self._tables.sync()
            clusters = {number: name for name, number in self._tables.cluster_numbers.items()}
            said = {
                "from": [hosts, components],
                "hosts": [
                    [clusters[int(self._tables.hosts[i, layout.HOST_CLUSTER])], self._tables.host_names[i]]
                    for i in range(hosts, now[0])
                ],
                "components": self._tables.component_names[components : now[1]],
                "metrics": [metric.name for metric in self._tables.metric_rows],
            }
        if self._known == (0, 0):
            self._chapter_bytes = 0
        self._known = now
        packed: bytes = msgpack.packb(said)  # type: ignore[no-untyped-call]
        content = np.zeros(_padded(len(packed)) // 4, np.int32)
        content.view(np.uint8)[: len(packed)] = np.frombuffer(packed, np.uint8)
        return [self._record(NAMES, content, len(packed))]

    def switch(self) -> int:
        """Samples from now on go to a new file, which explains everything anew; returns its number. Needs
        `turn`."""
        self.hand_over()
        self._number += 1
        self._known = (0, 0)
        self.block.mark[[RUN, CHAPTER]] = (-1, self.block.mark[CHAPTER] + 1 if self._writing else 0)
        return self._number

    def sync(self, patience: float = _PATIENCE) -> bool:
        """Waits until everything stored so far is on disk; False when it is not, or not in time."""
        with self.turn:
            self.hand_over()
        with self._lock:
            target = self._appended
            if self._durable < target:
                self._sync_asked = True
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
                self._queue = [one for one in self._queue if one.file >= before]
                self._taken = [one for one in self._taken if one.file >= before]
                self._waiting = sum(one.size for one in (*self._queue, *self._taken))
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
        with self.turn:
            self.hand_over()
            self.block.mark[CHAPTER] = 0
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
        """Counters since the start; bytes on disk and waiting, seconds since the oldest sample that is not
        there."""
        with self._lock:
            behind = 0.0 if self._behind_since is None else time.monotonic() - self._behind_since
            return {
                "journal_bytes": self._older + self._end,
                "journal_queue_bytes": self._waiting + 4 * int(self.block.mark[USED]),
                "journal_written_bytes": self._written,
                "journal_records": self._records,
                "journal_syncs": self._syncs,
                "journal_lag_seconds": behind,
                "journal_failures": self._failures,
                "journal_lost_samples": self._lost,
            }

    # -- the thread's side -------------------------------------------------------------------------------

    def _run(self) -> None:
        due = time.monotonic() + _INTERVAL
        while not self._stopping:
            self._wake.wait(max(due - time.monotonic(), 0.0))
            self._wake.clear()
            durable = self._sync_asked or time.monotonic() >= due
            if durable:
                self._sync_asked = False
                self._ask_for_block()
                due = time.monotonic() + _INTERVAL
            self._commit(durable)
        self._commit(True)

    def _ask_for_block(self) -> None:
        """The block in use; from writers that are too busy to let anybody else in, at their next message."""
        self.wanted = True
        if self.turn.acquire(timeout=_TURN):
            try:
                if self.wanted:
                    self.hand_over()
            finally:
                self.turn.release()

    def _commit(self, durable: bool) -> None:
        """Everything in the queue into its files, and these to disk if it shall be `durable`."""
        with self._files:
            began = time.monotonic()
            with self._lock:
                self._taken += self._queue
                self._queue = []
                appended = self._appended
            try:
                self._write_taken()
                if durable:
                    self._sync_file()
            except OSError as error:
                self._failed(error)
                return
            if not durable:
                return
            with self._lock:
                self._durable = appended
                self._behind_since = began if self._queue else None
                self._advanced.notify_all()
                lost = self._lost if self._incomplete else 0
        if lost:
            self._complain(f"{lost} samples so far are not in it: the disk is too slow, or checkpoints fail")

    def _write_taken(self) -> None:
        done = 0
        try:
            for record in self._taken:
                self._write(record)
                done += 1
                with self._lock:
                    self._waiting -= record.size
                    if record.block is not None and len(self._spares) < _SPARES:
                        self._spares.append(record.block)
        finally:
            del self._taken[:done]

    def _write(self, record: Record) -> None:
        if self._fd < 0 or self._open != record.file:
            self._open_file(record.file)
        size = _padded(record.size)
        record.content[-(-record.size // 4) : size // 4] = 0
        head = RECORD.pack(
            RECORD_MAGIC, record.kind, record.size, 0, int(checksum(record.content, size // 4)), 0
        )[:-8]
        head += struct.pack("<Q", _check_of_head(head))
        self._reserve(self._end + RECORD.size + size)
        try:
            self._put([memoryview(head), record.content[: size // 4].view(np.uint8).data], self._end)
        except OSError:
            os.ftruncate(self._fd, self._end)
            self._reserved = self._end
            raise
        self._records += 1
        step("journal: record written")
        self._written += RECORD.size + size
        self._end += RECORD.size + size
        self._dirty = True

    def _reserve(self, end: int) -> None:
        """Room for bytes up to there: on some file systems growing with every page that is written costs more
        than ten times the write."""
        if end <= self._reserved:
            return
        ahead = min(max(self._end, _LEAST_AHEAD), _MOST_AHEAD)
        try:
            os.posix_fallocate(self._fd, self._end, end - self._end + ahead)
            self._reserved = end + ahead
        except OSError:
            self._reserved = end + ahead  # it will do without; whether there is room the write itself tells

    def _put(self, parts: list[memoryview], at: int) -> None:
        while parts:
            done = os.pwritev(self._fd, parts, at)
            at += done
            while parts and done >= len(parts[0]):
                done -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][done:]

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
        self._reserved = HEADER.size
        step("journal: file made")

    def _close_file(self) -> None:
        try:
            os.ftruncate(self._fd, self._end)
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
            self._incomplete = max(self._incomplete, self._open, self._taken[0].file if self._taken else 0)
        self._complain(str(error))

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _BETWEEN_COMPLAINTS:
            self._complained = now
            log.error("journal in %s: %s", self._directory, what)


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


def _padded(size: int) -> int:
    return -(-size // _PAD) * _PAD


def _check_of_head(head: bytes) -> int:
    return int(checksum(np.frombuffer(bytearray(head + bytes(_PAD - len(head))), np.int32), _PAD // 4))


class DamagedJournal(Exception):
    """A file that is not, or not completely, a journal."""


def records_of(
    path: Path, advance: Callable[[int], None] = lambda size: None
) -> Iterator[tuple[int, bytearray]]:
    """Kind and content of all records of a file that are whole; what a crash has left at its end is ignored.
    `advance` is told how many bytes have been read since it was called last.

    Raises DamagedJournal: at once for a foreign file, after the last record when there was damage before it.
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
        while at < end:
            found = _record_at(file, at)
            if found is None:
                following = _next_record(file, at + 1, end)
                if following < 0:
                    break
                trouble = trouble or f"bytes {at} to {following} are damaged"
                at = following
                continue
            kind, content, behind = found
            advance(behind - at)
            at = behind
            yield kind, content
        if trouble:
            raise DamagedJournal(trouble)


def _record_at(file: BinaryIO, at: int) -> tuple[int, bytearray, int] | None:
    """Kind and content of a record, position behind it; None when it is not whole."""
    file.seek(at)
    head = file.read(RECORD.size)
    if len(head) < RECORD.size:
        return None
    magic, kind, size, _, check, own = RECORD.unpack(head)
    if magic != RECORD_MAGIC or size > _LARGEST or _check_of_head(head[:-8]) != own:
        return None
    content = bytearray(file.read(_padded(size)))
    if len(content) < _padded(size):
        return None
    if int(checksum(np.frombuffer(content, np.int32), len(content) // 4)) != check:
        return None
    behind = at + RECORD.size + len(content)
    del content[size:]
    return kind, content, behind


def _next_record(file: BinaryIO, at: int, end: int) -> int:
    """Position of the next whole record; -1 when there is none."""
    while at < end:
        file.seek(at)
        window = file.read(_BLOCK)
        candidate = window.find(RECORD_MAGIC)
        while candidate >= 0:
            if _record_at(file, at + candidate) is not None:
                return at + candidate
            candidate = window.find(RECORD_MAGIC, candidate + 1)
        at += max(len(window) - len(RECORD_MAGIC) + 1, 1)
    return -1
