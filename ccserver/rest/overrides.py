"""A site's own pages and pictures in place of ours, read at start. Source: spec/operations.md 6.1.

`login.tmpl` is a Jinja template with the variables of our own login page; `imprint.tmpl` and `privacy.tmpl`
are HTML that stands inside our frame. Files of older installations are Go templates: of an imprint the
content is taken over, a login page in that language cannot be.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup

_log = logging.getLogger(__name__)

_GO_BLOCK = re.compile(r"\{\{-?\s*define\s+\"content\"\s*-?\}\}(.*)\{\{-?\s*end\s*-?\}\}", re.DOTALL)
_GO_ACTION = re.compile(r"\{\{-?\s*(?:define|template|block|with|range|end|\.|if\s+\.)")


@dataclass(frozen=True, slots=True)
class Overrides:
    """`templates` replace ours by name, `texts` are trusted HTML by page, `images` is a folder or None."""

    templates: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Markup] = field(default_factory=dict)
    images: Path | None = None


def read_overrides(folder: Path) -> Overrides:
    """What lies in `folder`; a file that cannot be used is named in the log and left out."""
    templates = {}
    if (login := _read(folder / "login.tmpl")) is not None and _is_jinja(folder / "login.tmpl", login):
        templates["login.html"] = login
    texts = {}
    for name in ("imprint", "privacy"):
        if (text := _read(folder / f"{name}.tmpl")) is not None:
            block = _GO_BLOCK.search(text)
            texts[name] = Markup(block[1] if block else text)  # noqa: S704  # the operator's own
    images = folder / "img"
    return Overrides(templates, texts, images if images.is_dir() else None)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        _log.error("%s: cannot be read: %s", path, error)
        return None


def _is_jinja(path: Path, text: str) -> bool:
    if _GO_ACTION.search(text):
        _log.error("%s: is a Go template; write it as a Jinja template, see docs/configuration.md", path)
        return False
    try:
        jinja2.Environment(autoescape=True).parse(text)
    except jinja2.TemplateSyntaxError as error:
        _log.error("%s: line %d: %s", path, error.lineno, error.message)
        return False
    return True
