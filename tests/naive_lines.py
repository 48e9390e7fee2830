"""The slow, obvious twin of ingest: lines of the line protocol to samples, with regular expressions.

Lines of more than 64 KiB are not its business.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from tests import naive

_MEASUREMENT = re.compile(rb"(?:\\[, ]|[^\0-\x20\x7f,])++")
_NAME = re.compile(rb"(?:\\[,= ]|[^\0-\x20\x7f,=])++")
_STRING = re.compile(rb'"(?:\\[\s\S]|[^"\\])*+"')
_BOOL = re.compile(rb"(?:t|T|true|True|TRUE|f|F|false|False|FALSE)(?=[, \r\n])")
_NUMBER = re.compile(rb"[-0-9.eE+iu]+")
_TIME = re.compile(rb"-?[0-9]+")
_BLANKS = re.compile(rb" *")
_END = re.compile(rb"\r?\n")

_KINDS = {"event", "log", "control", "query"}
_KEYS = {"cluster": "cluster", "hostname": "host", "host": "host"} | {
    key: key for key in ("type", "type-id", "stype", "stype-id")
}

Address = tuple[str, str, str, str, str, str]  # cluster, host, type, id, subtype, id


class Bad(Exception):
    """A line is bad for a reason; nothing behind `at` has been read."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


@dataclass
class Point:
    measurement: str
    tags: list[tuple[str, str]]
    fields: list[tuple[str, float | None]]  # None: bool or string
    time: int | None


@dataclass
class Outcome:
    """What one message did, as a report of the store says it, and its samples in their order."""

    lines: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    rejected: list[tuple[int, str]] = field(default_factory=list)  # number of the line, reason
    samples: list[tuple[str, Address, int, float]] = field(default_factory=list)


def _unescaped(raw: bytes, ends: bytes) -> str:
    return re.sub(rb"\\([%b])" % ends, rb"\1", raw).decode(errors="surrogateescape")


def _name(name: re.Pattern[bytes], text: bytes, at: int) -> tuple[bytes, int]:
    found = name.match(text, at)
    if found is None:
        raise Bad("syntax", at)
    return found[0], found.end()


def _assigned(text: bytes, at: int) -> tuple[bytes, int]:
    """A key and the place behind its equals sign."""
    key, at = _name(_NAME, text, at)
    if text[at] != ord("="):
        raise Bad("syntax", at)
    return key, at + 1


def _field(text: bytes, at: int) -> tuple[tuple[str, float | None], int]:
    raw, at = _assigned(text, at)
    key = _unescaped(raw, b",= ")
    wrong = Bad("value" if raw == b"value" else "syntax", at)
    if text[at] == ord('"'):
        string = _STRING.match(text, at)
        if string is None:
            raise Bad("syntax", at)
        return (key, None), string.end()
    if found := _BOOL.match(text, at):
        return (key, None), found.end()
    if not (found := _NUMBER.match(text, at)):
        raise wrong
    value = naive.number(found[0].decode())
    if value is None or text[found.end()] not in b", \r\n":
        raise wrong
    return (key, value), found.end()


def _point(text: bytes, at: int, seen: list[str]) -> tuple[Point, int]:
    """The point at `at` and where its line ends; `seen` gets its measurement as soon as that is known."""
    begin = at
    raw, at = _name(_MEASUREMENT, text, at)
    seen.append(raw.decode(errors="surrogateescape"))
    tags = []
    while text[at] == ord(","):
        key, at = _assigned(text, at + 1)
        value, at = _name(_NAME, text, at)
        if text[at] == ord("="):
            raise Bad("syntax", at)
        tags.append((key, value))
    if text[at] != ord(" "):
        raise Bad("syntax", at)
    fields = []
    separator = ord(",")
    at = _behind_blanks(text, at) - 1
    while separator == ord(","):
        one, at = _field(text, at + 1)
        fields.append(one)
        separator = text[at]
    ended = _END.match(text, at)
    if not ended and separator != ord(" "):
        raise Bad("value" if fields[-1][0] == "value" and text[at - 1] != ord('"') else "syntax", at)
    at = _behind_blanks(text, at)
    time = None
    if not _END.match(text, at):
        found = _TIME.match(text, at)
        if found is None or not -(2**63) <= int(found[0]) < 2**63:
            raise Bad("timestamp", at)
        time = int(found[0])
        at = _behind_blanks(text, found.end())
        if not _END.match(text, at):
            raise Bad("timestamp", at)
    try:
        text[begin:at].decode()
    except UnicodeDecodeError:
        raise Bad("utf8", at) from None
    names = [(_unescaped(key, b",= "), _unescaped(value, b",= ")) for key, value in tags]
    return Point(_unescaped(raw, b", "), names, fields, time), at


def _behind_blanks(text: bytes, at: int) -> int:
    found = _BLANKS.match(text, at)
    assert found
    return found.end()


def lines(text: bytes) -> Iterator[tuple[int, int, Point | Bad | None, str]]:
    """Where each line begins and the next one begins, what it is (None: blank or comment), and its
    measurement as it is spelled. The text ends with LF."""
    at = 0
    while at < len(text):
        begin = at
        at = _behind_blanks(text, at)
        what: Point | Bad | None = None
        seen: list[str] = []
        if text[at] != ord("#") and not _END.match(text, at):
            try:
                what, at = _point(text, at, seen)
            except Bad as bad:
                what, at = bad, bad.at
        at = text.index(b"\n", at) + 1
        yield begin, at, what, seen[0] if seen else ""


def whole_lines(text: bytes) -> int:
    """How many bytes of a text that goes on later are whole lines."""
    for begin, following, what, _ in lines(text + b"\n"):
        unfinished = isinstance(what, Bad) and what.reason == "syntax" and text[what.at : what.at + 1] == b'"'
        if following > len(text) or unfinished:
            return begin
    return len(text)


def _good_name(name: str) -> bool:
    return 1 <= len(name.encode(errors="surrogateescape")) <= 255 and not re.search(
        r"[/\\\0-\x1f\x7f]|\.\.|^\.$", name
    )


def _good_type(name: str) -> bool:
    return re.fullmatch("[A-Za-z0-9_-]{0,64}", name) is not None


def _good_id(name: str) -> bool:
    return len(name.encode(errors="surrogateescape")) <= 255 and not re.search(r"[\0-\x1f\x7f]|\.\.", name)


def _sample(
    point: Point,
    default: str,
    metrics: Mapping[str, Collection[str]],
    now: int,
    oldest: int,
    newest: int,
) -> str | tuple[str, Address, int, float]:
    """The sample of a point of a known metric, or the reason why there is none."""
    values = [value for key, value in point.fields if key == "value"]
    if not values:
        other = len(point.fields) == 1 and point.fields[0][0] in _KINDS
        return "not-a-metric" if other else "no-value"
    if values[-1] is None:
        return "value-type"
    tags = {_KEYS[key]: value for key, value in point.tags if key in _KEYS}
    cluster = tags.get("cluster", default)
    if not cluster:
        return "no-cluster"
    if not _good_name(cluster):
        return "bad-name"
    if cluster not in metrics:
        return "unknown-cluster"
    if point.measurement not in metrics[cluster]:
        return "unknown-metric"
    if "host" not in tags:
        return "no-hostname"
    below = ["", "", "", ""]
    if tags.get("type", "node") != "node":
        below[0] = "hwthread" if tags["type"] == "cpu" else tags["type"]
        below[1] = tags.get("type-id", "")
        if "stype" in tags:
            below[2] = tags["stype"]
            below[3] = tags.get("stype-id", "")
    kind, id, subtype, subid = below
    good = _good_name(tags["host"]) and _good_type(tags.get("type", "")) and _good_type(subtype)
    if not (good and _good_id(id) and _good_id(subid)):
        return "bad-name"
    time = now if point.time is None else naive.seconds(point.time)
    if time > newest:
        return "future"
    if time < oldest:
        return "too-old"
    return point.measurement, (cluster, tags["host"], kind, id, subtype, subid), time, values[-1]


def written(
    message: bytes, default: str, metrics: Mapping[str, Collection[str]], now: int, oldest: int, newest: int
) -> Outcome:
    """What a message does to a store that knows `metrics` of each cluster, at a time."""
    known = {metric for names in metrics.values() for metric in names}
    outcome = Outcome()
    text = message + b"\n"
    for begin, _, what, measurement in lines(text):
        if what is None:
            continue
        outcome.lines += 1
        unknown = measurement and re.sub(r"\\([, ])", r"\1", measurement) not in known
        if unknown and not (isinstance(what, Bad) and what.reason == "utf8"):
            outcome.dropped["unknown-metric"] += 1
            continue
        found = what.reason if isinstance(what, Bad) else _sample(what, default, metrics, now, oldest, newest)
        if not isinstance(found, str):
            outcome.samples.append(found)
        elif found in ("unknown-metric", "unknown-cluster", "not-a-metric", "future", "too-old"):
            outcome.dropped[found] += 1
        else:
            outcome.rejected.append((text.count(b"\n", 0, begin) + 1, found))
    return outcome
