"""A job archive as a tar stream: entries one by one, nothing is ever held but the one being written."""

from __future__ import annotations

import tarfile

END = bytes(2 * tarfile.BLOCKSIZE)


def entry(name: str, body: bytes, modified: int, comment: str = "") -> bytes:
    """One file of a POSIX (pax) tar stream; `comment` goes into its extended header.

    `modified` in unix seconds. A complete stream ends with `END`.
    """
    info = tarfile.TarInfo(name)
    info.size = len(body)
    info.mode = 0o644
    info.mtime = modified
    if comment:
        info.pax_headers = {"comment": comment}
    padding = -len(body) % tarfile.BLOCKSIZE
    return info.tobuf(tarfile.PAX_FORMAT) + body + bytes(padding)
