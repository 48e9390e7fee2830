"""A connection on which bytes are sent as they are, and what comes back."""

from __future__ import annotations

import socket
from typing import NamedTuple

from tests.server.running import Server

WRITE = "POST /api/write?cluster=small HTTP/1.1"
HANDED_OVER = "X-Anything: 1\r\n"  # with a header that is not well-known, hypercorn answers


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def told(self) -> tuple[int, dict[str, str], bytes]:
        """Without what differs from answer to answer."""
        return self.status, {k: v for k, v in self.headers.items() if k != "date"}, self.body


class Wire:
    """A connection to a server on which bytes are sent as they are."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), 15)
        self._received = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> Answer:
        head = self._until(b"\r\n\r\n")
        first, *lines = head[:-4].decode().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            before = headers.get(name.lower())
            headers[name.lower()] = (f"{before}, " if before else "") + value.strip()
        assert first.startswith("HTTP/1.1 "), head
        size = int(headers.get("content-length", "0"))
        while len(self._received) < size:
            self._receive()
        body, self._received = self._received[:size], self._received[size:]
        return Answer(int(first.split()[1]), headers, body)

    def _until(self, mark: bytes) -> bytes:
        """What comes up to and with a mark."""
        while mark not in self._received:
            self._receive()
        found, mark, self._received = self._received.partition(mark)
        return found + mark

    def _receive(self) -> None:
        more = self._socket.recv(65536)
        assert more, f"the server closed the connection after {self._received!r}"
        self._received += more

    def ended(self) -> bool:
        """Waits for the server to close."""
        try:
            return not self._received and not self._socket.recv(65536)
        except ConnectionResetError:
            return True


def request(token: str, body: bytes, more: str = "", first: str = WRITE, length: str | None = None) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if length is None else length
    return f"{first}\r\nHost: x\r\nX-Auth-Token: {token}\r\n{more}{length}\r\n".encode() + body
