"""Page templates: those of the built frontend, else plain ones that say what is missing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import orjson

WEB = Path(__file__).resolve().parent.parent / "web"
_FALLBACK = Path(__file__).resolve().parent / "fallback"

_ESCAPES = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


@functools.cache
def web_build() -> dict[str, str]:
    """`hash` of the sources the interface was built from and `buildTime` (UTC); empty before a build."""
    stamp = WEB / ".hash"
    if not stamp.is_file():
        return {"hash": "", "buildTime": ""}
    built = datetime.fromtimestamp(stamp.stat().st_mtime, UTC)
    return {"hash": stamp.read_text().strip(), "buildTime": f"{built:%Y-%m-%d %H:%M} UTC"}


@functools.cache
def preloads(view: str) -> str:
    """
    Value of a `Link` header (RFC 8288) that names the scripts and styles of a view, so that a browser asks
    for them while the first script is still on its way; empty before a build. `view` is the name of a page.
    """
    manifest = WEB / ".vite" / "manifest.json"
    if not manifest.is_file():
        return ""
    chunks = orjson.loads(manifest.read_bytes())
    route = _ROUTES.get(view, view[:1].upper() + view[1:])
    first = _with_imports(chunks, "index.html")
    wanted = [chunk for chunk in _with_imports(chunks, f"src/routes/{route}.svelte") if chunk not in first]
    styles = [style for chunk in wanted for style in chunks[chunk].get("css", [])]
    links = [f"</{chunks[chunk]['file']}>; rel=modulepreload; crossorigin" for chunk in wanted]
    return ", ".join([*links, *(f"</{style}>; rel=preload; as=style; crossorigin" for style in styles)])


_ROUTES = {"config": "Settings"}  # pages whose view has another name


def _with_imports(chunks: Mapping[str, Any], name: str) -> list[str]:
    """Keys of a chunk and of everything it imports at once; none for a chunk that does not exist."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        key = waiting.pop()
        if key in chunks and key not in found:
            found.append(key)
            waiting += chunks[key].get("imports", [])
    return found


class Templates:
    """Renders index.html, login.html and message.html; `overrides` are texts of templates by name."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        files = jinja2.FileSystemLoader([WEB, _FALLBACK])
        loader = jinja2.ChoiceLoader([jinja2.DictLoader(overrides or {}), files])
        self._environment = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.ChainableUndefined, auto_reload=True
        )

    def render(self, name: str, **values: Any) -> str:
        return self._environment.get_template(name).render(values)


def inline_json(value: Any) -> str:
    """JSON that can stand inside a script element whatever the texts in it contain."""
    return orjson.dumps(value).decode().translate(_ESCAPES)
