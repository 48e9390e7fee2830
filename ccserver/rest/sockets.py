"""Listening sockets. Imports nothing heavy: a port in use is found before anything expensive begins."""

from __future__ import annotations

import errno
import socket

BACKLOG = 1024


class AddressInUse(OSError):
    """Nothing can listen there; the message says so for a person."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets of all addresses of `host` (empty: every address); raises AddressInUse.

    They accept connections only once they are served; clients wait in the backlog until then.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise AddressInUse(f"cannot listen on {host}:{port}: {error.strerror}") from None
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if family == socket.AF_INET6 and sockets:
                continue  # a host without IPv6 still has its IPv4 address
            for other in sockets:
                other.close()
            raise AddressInUse(f"cannot listen on {host}:{port}: {_reason(error)}") from None
        listener.setblocking(False)
        sockets.append(listener)
    return sockets


def _reason(error: OSError) -> str | None:
    if error.errno != errno.EACCES:
        return error.strerror
    return f"{error.strerror}; docs/install.md says how to use ports below 1024"
