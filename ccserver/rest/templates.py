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
