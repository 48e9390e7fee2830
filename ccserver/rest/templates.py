"""Page templates: those of the built frontend, else plain ones that say what is missing."""

from __future__ import annotations

from collections.abc import Mapping
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
