"""Line protocol as events use it: one string field `event`, a time stamp on every line.

Source: spec/rest-api.md 6. Job scripts make lines of megabytes, so patterns do the scanning, not a loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_SKIPPED = re.compile(r"(?:[ \t\r]*(?:\n|#[^\n]*))*[ \t\r]*")
_MEASUREMENT = re.compile(r"(?:\\.|[^\\, \n])+")
_KEY = re.compile(r"(?:\\.|[^\\,= \n])+=")
_TAG_VALUE = re.compile(r"(?:\\.|[^\\,= \n])*")
_TEXT = re.compile(r'"([^"\\]*(?:\\[\s\S][^"\\]*)*)"')
_SCALAR = re.compile(
    r"[-+]?[0-9]+[iu]|[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|t|T|true|True|TRUE|f|F|false|False|FALSE"
)
_END = re.compile(r" +-?[0-9]+[ \r]*(?:\n|\Z)")
_ESCAPE = re.compile(r'\\(["\\nrt])')
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}
_NAME_ESCAPE = re.compile(r"\\([,= ])")


class EventError(ValueError):
    """A line that is no line protocol; the rest of its message is dropped."""


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line: `event` is the string field of that name, None when the line has none."""

    measurement: str
    tags: dict[str, str]
    event: str | None


def event_lines(payload: bytes) -> Iterator[EventLine]:
    """The lines of a message; raises EventError at the first bad one, after those before it."""
    text = payload.decode("utf-8", "replace")
    position = _after(_SKIPPED, text, 0)
    number = 0
    while position < len(text):
        number += 1
        try:
            line, position = _line(text, position)
        except EventError as error:
            raise EventError(f"line {number}: {error}") from None
        yield line
        position = _after(_SKIPPED, text, position)


def _line(text: str, position: int) -> tuple[EventLine, int]:
    measurement, position = _take(_MEASUREMENT, text, position, "a measurement")
    tags: dict[str, str] = {}
    while text.startswith(",", position):
        key, position = _take(_KEY, text, position + 1, "the key of a tag")
        tags[_name(key[:-1])], position = _take(_TAG_VALUE, text, position, "the value of a tag")
    event: str | None = None
    if not text.startswith(" ", position):
        raise EventError(f"no fields at {text[position : position + 20]!r}")
    while True:
        key, position = _take(_KEY, text, position + 1, "the key of a field")
        quoted = _TEXT.match(text, position)
        if quoted is None:
            _, position = _take(_SCALAR, text, position, "the value of a field")
        else:
            position = quoted.end()
            if key == "event=":
                event = _ESCAPE.sub(lambda found: _ESCAPED[found[1]], quoted[1])
        if not text.startswith(",", position):
            break
    _, position = _take(_END, text, position, "a time stamp")
    plain = {key: _name(value) for key, value in tags.items()}
    return EventLine(_name(measurement), plain, event), position


def _take(pattern: re.Pattern[str], text: str, position: int, what: str) -> tuple[str, int]:
    found = pattern.match(text, position)
    if found is None:
        raise EventError(f"{what} is expected at {text[position : position + 20]!r}")
    return found[0], found.end()


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _name(text: str) -> str:
    return _NAME_ESCAPE.sub(r"\1", text) if "\\" in text else text
