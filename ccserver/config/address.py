"""Listen addresses."""

from __future__ import annotations


def split_address(text: str) -> tuple[str, int] | None:
    """Host and port of `host:port`, `[v6]:port` or `:port` (all addresses); None when it is none of them."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return None
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    return host, int(port)
