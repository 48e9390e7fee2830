"""Files of the built frontend: `/assets/*` (named by content), `/img/*` and the favicon."""

from __future__ import annotations

import gzip
import mimetypes
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from quart import Response, abort, request
from werkzeug.security import safe_join

from ccserver.rest.templates import WEB
from ccserver.rest.web import Routes, in_thread

_MOST_FILES = 256
_LARGEST_KEPT = 4 * 1024 * 1024  # bytes; larger files are read for each request
_COMPRESSIBLE = (
    "text/",
    "application/javascript",
    "application/json",
    "image/svg+xml",
    "application/manifest",
)
_FOREVER = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    packed: bytes | None
    kind: str
    etag: str


class StaticFiles:
    """Reads files once and keeps them, compressed as well; a changed file is read again."""

    def __init__(self, *roots: Path, images: Path | None = None) -> None:
        self._roots = roots or (WEB,)
        self._images = [images] if images is not None else []
        self._files: OrderedDict[tuple[str, int, int], _File] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, folder: str, name: str) -> _File | None:
        """None for what is not there, is no plain file, or lies outside of the folder."""
        for place in [*(self._images if folder == "img" else []), *(root / folder for root in self._roots)]:
            joined = safe_join(str(place), name)
            path = Path(joined) if joined else None
            if path is not None and path.is_file() and path.resolve().is_relative_to(place.resolve()):
                return self._kept(path)
        return None

    def _kept(self, path: Path) -> _File:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return self._files[key]
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        content = path.read_bytes()
        packed = gzip.compress(content, 6, mtime=0) if kind.startswith(_COMPRESSIBLE) else None
        file = _File(content, packed, kind, f'"{status.st_mtime_ns:x}-{status.st_size:x}"')
        if status.st_size <= _LARGEST_KEPT:
            with self._lock:
                self._files[key] = file
                while len(self._files) > _MOST_FILES:
                    self._files.popitem(last=False)
        return file


def register(routes: Routes, files: StaticFiles) -> None:
    async def assets(name: str) -> Response:
        return await _answer(files, "assets", name, _FOREVER)

    async def images(name: str) -> Response:
        return await _answer(files, "img", name, "public, max-age=3600")

    async def favicon() -> Response:
        return await _answer(files, "img", "logo.svg", "public, max-age=3600")

    routes.open("/assets/<path:name>", "GET", assets)
    routes.open("/img/<path:name>", "GET", images)
    routes.open("/favicon.ico", "GET", favicon)


async def _answer(files: StaticFiles, folder: str, name: str, caching: str) -> Response:
    file = await in_thread(files.read, folder, name)
    if file is None:
        abort(404)
    if file.etag in request.headers.get("If-None-Match", ""):
        response = Response(b"", 304)
    elif file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        response = Response(file.packed, content_type=file.kind)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = Response(file.content, content_type=file.kind)
    if file.packed is not None:
        response.headers.add("Vary", "Accept-Encoding")
    response.headers["ETag"] = file.etag
    response.headers["Cache-Control"] = caching
    return response
