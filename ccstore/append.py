"""The way of samples into the store: messages of line protocol, one after the other, in short holds of the
lock."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from ccstore.journal import Block, Journal
from ccstore.kernels import grammar, ingest
from ccstore.kernels.log import MARKS
from ccstore.tables import StoreTables
from ccstore.types import Rejection, WriteReport

REASONS = {
    grammar.SYNTAX: "syntax",
    grammar.UTF8: "utf8",
    grammar.VALUE_BAD: "value",
    grammar.VALUE_TYPE: "value-type",
    grammar.NO_VALUE: "no-value",
    grammar.TIMESTAMP: "timestamp",
    grammar.NO_HOSTNAME: "no-hostname",
    grammar.NO_CLUSTER: "no-cluster",
    grammar.BAD_NAME: "bad-name",
    grammar.TOO_LONG: "line-too-long",
    grammar.UNKNOWN_METRIC: "unknown-metric",
    grammar.UNKNOWN_CLUSTER: "unknown-cluster",
    grammar.NOT_A_METRIC: "not-a-metric",
    grammar.TOO_OLD: "too-old",
    grammar.FUTURE: "future",
    grammar.NO_MEMORY: "no-memory",
}

_LINES_PER_HOLD = 8192  # of the lock: about a millisecond
_SMALL = 1 << 21  # bytes of a message for which the writer keeps a buffer
_PADDING = 72
_TEXT_LIMIT = 120  # characters of a bad line in a report
_MOST_SCOPES = 1024  # different default clusters whose aliases are remembered


class Writer:
    """Takes messages; any number of threads may call `write`."""

    def __init__(
        self,
        tables: StoreTables,
        lock: threading.Lock,
        retention: float,
        max_future: float,
        journal: Journal | None,
    ) -> None:
        self._tables = tables
        self._lock = lock
        self._journal = journal
        self._turn = threading.Lock() if journal is None else journal.turn
        self._buffer: NDArray[np.uint8] = np.zeros(_SMALL + _PADDING, np.uint8)
        self._request = np.zeros(ingest.REQUEST_SIZE, np.int64)
        self._request[ingest.RETENTION] = int(retention)
        self._request[ingest.MAX_FUTURE] = int(max_future)
        self._request[ingest.LINE_LIMIT] = _LINES_PER_HOLD
        self._result = np.zeros(ingest.RESULT_SIZE, np.int64)
        # A line of 64 KiB, unescaped: its measurement, then the names in it.
        self._scratch: NDArray[np.uint8] = np.zeros(3 * grammar.LONGEST_LINE, np.uint8)
        self._tokens = np.zeros((grammar.MAX_TOKENS + 8, 5), np.int64)
        self._head = np.zeros(grammar.HEAD_SIZE, np.int64)
        self._spans = np.zeros(8, np.int64)
        self._lanes = np.zeros((ingest.BATCH, ingest.LANES), np.int64)
        self._values = np.zeros(ingest.BATCH, np.float64)
        self._one_part = np.zeros((1, 2), np.int64)
        self._no_log = Block(np.zeros(1, np.int32), np.zeros(MARKS, np.int64))
        self._rejections = np.zeros((ingest.NOTED_LIMIT, 4), np.int64)
        self._scopes: dict[tuple[str, bool], tuple[int, NDArray[np.uint8], int]] = {}
        self.totals = np.zeros(grammar.OUTCOMES, np.int64)
        self.messages = 0
        self.lines = 0
        self.message_bytes = 0

    def write(
        self,
        payload: bytes | bytearray | memoryview,
        default_cluster: str,
        now: int,
        repeated: bool = False,
    ) -> WriteReport:
        """Stores the good lines of a message. One message is taken at a time, in short holds of the store's
        lock. `repeated`: it has been stored with another default cluster; then only what is different this
        time is stored and counted."""
        with self._turn:
            source = np.frombuffer(payload, np.uint8)
            size = len(source)
            text = self._buffer if size <= _SMALL else np.empty(size + _PADDING, np.uint8)
            text[:size] = source
            text[size] = 10
            text[size + 1 : size + _PADDING] = 0
            self._one_part[0, 1] = size
            self._ingest(text, self._one_part, default_cluster, now, repeated)
            if not repeated:
                self.messages += 1
                self.message_bytes += size
            return self._report(text)

    def write_parts(
        self,
        text: NDArray[np.uint8],
        parts: NDArray[np.int64],
        default_cluster: str,
        now: int,
        repeated: bool = False,
    ) -> WriteReport:
        """Many messages at once, text[begin:end] for each row of `parts`, without copying them.

        text[end] is overwritten with LF; 64 bytes behind it may be read. Line numbers of rejections count
        within their message.
        """
        with self._turn:
            text[parts[:, 1]] = 10
            self._ingest(text, parts, default_cluster, now, repeated)
            if not repeated:
                self.messages += len(parts)
                self.message_bytes += int((parts[:, 1] - parts[:, 0]).sum())
            return self._report(text)

    def switch_journal(self) -> int:
        """Samples are either in the store already, or go to the journal file of this number or a later
        one."""
        assert self._journal is not None
        with self._turn:
            return self._journal.switch()

    def _ingest(
        self,
        text: NDArray[np.uint8],
        parts: NDArray[np.int64],
        default_cluster: str,
        now: int,
        repeated: bool,
    ) -> None:
        journal = self._journal
        if journal is not None and not self.messages:
            journal.begin()
        scope, default, default_length = self._scope(default_cluster, repeated)
        request = self._request
        request[ingest.PART] = 0
        request[ingest.AT] = -1
        request[ingest.NOW] = now
        request[ingest.SCOPE] = scope
        request[ingest.DEFAULT_LENGTH] = default_length
        request[ingest.REPEATED] = repeated
        self._result[:] = 0
        status = ingest.PAUSE
        while status != ingest.DONE:
            with self._lock:
                status = ingest.ingest(
                    self._tables.flat,
                    text,
                    parts,
                    request,
                    self._result,
                    default,
                    self._scratch,
                    self._tokens,
                    self._head,
                    self._spans,
                    self._rejections,
                    self._lanes,
                    self._values,
                    *(self._no_log if journal is None else journal.block),
                )
                if status == ingest.GROW:
                    self._tables.grow()
            if journal is not None and (status == ingest.LOG_FULL or journal.wanted):
                journal.hand_over()

    def _scope(self, cluster: str, repeated: bool) -> tuple[int, NDArray[np.uint8], int]:
        known = self._scopes.get((cluster, repeated))
        if known is None:
            name = encoded(cluster)
            number = len(self._scopes) + 1
            known = (number, np.frombuffer(name + bytes(_PADDING), np.uint8).copy(), len(name))
            if number > _MOST_SCOPES:
                return -1, known[1], known[2]
            self._scopes[cluster, repeated] = known
        return known

    def _report(self, text: NDArray[np.uint8]) -> WriteReport:
        result = self._result.tolist()
        outcomes = result[ingest.OUTCOME :]
        lines = result[ingest.LINES]
        self.lines += lines
        stored = outcomes[grammar.STORED]
        if stored == lines:
            self.totals[grammar.STORED] += stored
            return WriteReport(lines, stored)
        self.totals += self._result[ingest.OUTCOME :]
        dropped = {
            REASONS[outcome]: outcomes[outcome]
            for outcome in range(grammar.FIRST_DROPPED, grammar.SKIPPED)
            if outcomes[outcome]
        }
        rejected = [
            Rejection(line + 1, REASONS[outcome], _excerpt(text, start, end))
            for line, outcome, start, end in self._rejections[: result[ingest.NOTED]].tolist()
        ]
        return WriteReport(lines, stored, dropped, rejected, result[ingest.REJECTED])


def encoded(cluster: str) -> bytes:
    """A default cluster as kernels take it; longer names than 255 bytes are bad anyway."""
    return cluster.encode("utf-8", "surrogateescape")[:256]


def _excerpt(text: NDArray[np.uint8], start: int, end: int) -> str:
    line = text[start : min(end, start + 4 * _TEXT_LIMIT)].tobytes()
    return line.removesuffix(b"\r").decode("utf-8", "replace")[:_TEXT_LIMIT]
