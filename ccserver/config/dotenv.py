"""The `.env` file: keys and passwords that do not belong into config.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_ESCAPES = {"n": "\n", "r": "\r"}


class DotenvError(ValueError):
    """A line of the file cannot be read; the message names file and line, never the content."""


def read_dotenv(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables of the file, without those that `environment` already has; an absent file is empty.

    Raises DotenvError on a syntax error. Source: spec/operations.md 5.2.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DotenvError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _NAME.match(stripped)
        if match is None:
            raise DotenvError(f"{path}:{number}: expected NAME=value")
        value = _value(stripped[match.end() :], {**found, **environment})
        if value is None:
            raise DotenvError(f"{path}:{number}: the quote of {match[1]} is not closed, or text follows it")
        found[match[1]] = value
    return {name: value for name, value in found.items() if name not in environment}


def _value(text: str, variables: Mapping[str, str]) -> str | None:
    if text[:1] == "'":
        end = text.find("'", 1)
        return text[1:end] if end > 0 and _only_comment(text[end + 1 :]) else None
    if text[:1] == '"':
        return _double_quoted(text, variables)
    comment = re.search(r"(?:^|\s)#", text)
    return _expand(text[: comment.start()].rstrip() if comment else text.rstrip(), variables)


def _double_quoted(text: str, variables: Mapping[str, str]) -> str | None:
    parts: list[str] = []
    run_start, position = 1, 1
    while position < len(text) and text[position] != '"':
        if text[position] == "\\" and position + 1 < len(text):
            parts.append(_expand(text[run_start:position], variables))
            parts.append(_ESCAPES.get(text[position + 1], text[position + 1]))
            position += 2
            run_start = position
        else:
            position += 1
    if position >= len(text) or not _only_comment(text[position + 1 :]):
        return None
    return "".join(parts) + _expand(text[run_start:position], variables)


def _expand(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)


def _only_comment(rest: str) -> bool:
    return not rest.strip() or rest.lstrip().startswith("#")
