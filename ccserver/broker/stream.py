"""Messages of a broker without a Python object for each: many of them go to the store in one call.

nats-py makes the connection, keeps it, authenticates and subscribes; it hands what it reads to its parser,
and that is replaced here. The parser copies what arrives into a block, lets a kernel find the messages in it,
and leaves everything that is not a message of one of our feeds to nats-py. Full blocks, and any block when
the worker has nothing else to do, go to a thread that stores them; its queue is bounded in bytes.

Of nats-py this needs what is not public: `Client._ps`, `Subscription._id`, `Parser.parse`, `reset`, `state`,
`buf`, `DEFAULT_BUFFER_SIZE`. Where one of them is missing, `usable` says so, and messages take nats-py's own
way.

Cost: some 30 us a read of up to 256 KiB, and 0.1 us a message.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import nats.aio.client
import numpy as np
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.protocol import parser
from numpy.typing import NDArray

from ccstore.kernels import frames

_log = logging.getLogger(__name__)

_BLOCK = 1 << 20  # bytes
_LARGEST = 1 << 27  # bytes of a block for one message; brokers allow 64 MB at most
_PADDING = 72  # bytes that kernels may read behind a message
_MESSAGES = 1 << 14  # of a block
_READ = 1 << 18  # bytes that are read at once
_SPARES = 8  # blocks kept for the next use
_STRANGE = -1  # a message that is none of our feeds'

Sink = Callable[[NDArray[np.uint8], NDArray[np.int64]], object]
"""Takes messages text[begin:end], one for each row (begin, end); it may change the byte behind each."""


class Block(NamedTuple):
    """Bytes as they came, and the messages in them (kernels/frames.py)."""

    text: NDArray[np.uint8]
    messages: NDArray[np.int64]


def usable(client: Client) -> bool:
    """Whether this nats-py lets its parser be replaced."""
    try:
        return (
            isinstance(client._ps, parser.Parser)
            and inspect.iscoroutinefunction(parser.Parser.parse)
            and list(inspect.signature(parser.Parser.parse).parameters)[:2] == ["self", "data"]
            and callable(parser.Parser.reset)
            and Subscription(client, id=7)._id == 7
            and client._ps.state == parser.AWAITING_CONTROL_LINE
            and not client._ps.buf
            and isinstance(nats.aio.client.DEFAULT_BUFFER_SIZE, int)
        )
    except (AttributeError, TypeError):
        return False


class Worker:
    """The thread that stores blocks. `limit` bounds what waits, in bytes."""

    def __init__(self, limit: int, lost: Callable[[int], None], failed: Callable[[int], None]) -> None:
        self._limit = limit
        self._lost = lost
        self._failed = failed
        self._sinks: dict[int, Sink] = {}
        self._queue: deque[Block] = deque()
        self._spares: list[Block] = []
        self._ready = threading.Condition()
        self._stopping = False
        self.idle: Callable[[], None] = lambda: None
        self.waiting = 0
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="nats-store", daemon=True)
        self._thread.start()

    def feed(self, subscription: int, sink: Sink) -> None:
        self._sinks[subscription] = sink

    def knows(self, subscription: int) -> bool:
        return subscription in self._sinks

    @property
    def hungry(self) -> bool:
        return not self._busy and not self._queue

    def take(self, block: Block, count: int) -> None:
        """Queues the first `count` messages of a block, or drops and counts them."""
        given = Block(block.text, block.messages[:count].copy())
        with self._ready:
            # A single block may be larger than the limit.
            full = self.waiting >= self._limit
            if not full:
                self._queue.append(given)
                self.waiting += len(block.text)
                self._ready.notify()
        if full:
            self._lost(count)

    def block(self, size: int) -> Block:
        """An empty one for so many bytes."""
        if size <= _BLOCK:
            with self._ready:
                if self._spares:
                    return self._spares.pop()
            size = _BLOCK
        return Block(np.zeros(size + _PADDING, np.uint8), np.zeros((_MESSAGES, frames.FRAMES), np.int64))

    def stop(self, patience: float) -> bool:
        """Stores what is queued; False when that takes longer."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._ready:
                self._busy = False
                while not self._queue and not self._stopping:
                    self.idle()
                    self._ready.wait()
                if not self._queue:
                    return
                block = self._queue.popleft()
                self._busy = True
            self._store(block)
            with self._ready:
                self.waiting -= len(block.text)
                if len(block.text) == _BLOCK + _PADDING and len(self._spares) < _SPARES:
                    messages = np.zeros((_MESSAGES, frames.FRAMES), np.int64)
                    self._spares.append(Block(block.text, messages))

    def _store(self, block: Block) -> None:
        """Messages of one subscription that follow each other go to its sink in one call."""
        numbers = block.messages[:, frames.SUBSCRIPTION]
        borders = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(numbers)]
        for begin, end in itertools.pairwise(borders):
            parts = np.ascontiguousarray(block.messages[begin:end, frames.BEGIN : frames.END + 1])
            try:
                self._sinks[int(numbers[begin])](block.text, parts)
            except Exception:
                self._failed(end - begin)
                _log.exception("%d messages could not be stored", end - begin)


class StreamParser(parser.Parser):
    """In place of a client's parser; `count` is told of messages and their bytes."""

    def __init__(self, client: Client, worker: Worker, count: Callable[[int, int], None]) -> None:
        self.worker = worker
        self._count = count
        self._out = np.zeros(2, np.int64)
        self._block = worker.block(_BLOCK)
        self._messages = 0  # found in the block
        self._begin = 0  # of what is not split yet
        self._end = 0  # of what has been read
        self._strange_end = 0
        super().__init__(client)

    @classmethod
    def install(cls, client: Client, worker: Worker, count: Callable[[int, int], None]) -> StreamParser:
        replaced = cls(client, worker, count)
        client._ps = replaced
        nats.aio.client.DEFAULT_BUFFER_SIZE = max(nats.aio.client.DEFAULT_BUFFER_SIZE, _READ)
        return replaced

    def reset(self) -> None:
        """A new connection: the beginning of a message is worth nothing, whole ones stay."""
        super().reset()
        self._end = self._begin

    @property
    def pending(self) -> bool:
        """Whether the worker could have something."""
        return self._messages > 0

    def hand_over(self) -> None:
        """Gives the messages found so far to the worker."""
        if not self._messages:
            return
        rest = self._end - self._begin
        following = self.worker.block(rest + _READ)
        following.text[:rest] = self._block.text[self._begin : self._end]
        self.worker.take(self._block, self._messages)
        self._block, self._messages, self._begin, self._end = following, 0, 0, rest

    async def parse(self, data: bytes = b"") -> None:
        if self.state != parser.AWAITING_CONTROL_LINE or self.buf:
            await super().parse(data)
            return
        self._append(data)
        while self._begin < self._end:
            status = self._split()
            if status == frames.MORE:
                break
            if status == frames.FULL:
                self.hand_over()
                continue
            if status == _STRANGE:
                message = self._block.text[self._begin : self._strange_end].tobytes()
                self._begin = self._strange_end
                await super().parse(message)
                continue
            text = self._block.text[self._begin : self._end].tobytes()
            line = text.find(b"\r\n") + 2
            if line < 2:
                if len(text) >= parser.MAX_CONTROL_LINE_SIZE:
                    self._begin = self._end
                    await super().parse(text)
                break
            self._begin += line
            await super().parse(text[:line])
            if self.state != parser.AWAITING_CONTROL_LINE or self.buf:
                # nats-py has understood it as a message, which goes on in what follows.
                self._begin = self._end
                await super().parse(text[line:])
        if self._messages and (self.worker.hungry or self._end >= _BLOCK):
            self.hand_over()

    def _append(self, data: bytes) -> None:
        size = len(data)
        if self._end + size > len(self._block.text) - _PADDING:
            self.hand_over()
        if self._end + size > len(self._block.text) - _PADDING:
            rest = self._end - self._begin
            if rest + size > _LARGEST:
                raise nats.errors.ProtocolError
            larger = self.worker.block(2 * (rest + size))
            larger.text[:rest] = self._block.text[self._begin : self._end]
            self._block, self._begin, self._end = larger, 0, rest
        self._block.text[self._end : self._end + size] = np.frombuffer(data, np.uint8)
        self._end += size

    def _split(self) -> int:
        text, messages = self._block
        room = messages[self._messages :]
        status = int(frames.split(text, self._begin, self._end, room, self._out))
        count = int(self._out[frames.COUNT])
        found = room[:count]
        self._begin = int(self._out[frames.POSITION])
        numbers = set(found[:, frames.SUBSCRIPTION].tolist())
        strangers = {one for one in numbers if not self.worker.knows(one)}
        if strangers:
            # The first of them is for nats-py itself.
            count = int(np.flatnonzero(np.isin(found[:, frames.SUBSCRIPTION], list(strangers)))[0])
            self._begin = int(found[count, frames.FRAME])
            self._strange_end = int(found[count, frames.END]) + 2
            status = _STRANGE
        self._messages += count
        if count:
            sizes = found[:count, frames.END] - found[:count, frames.BEGIN]
            self._count(count, int(sizes.sum()))
        return status
