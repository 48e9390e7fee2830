"""Node lists of `cluster.json`: which hosts belong to a sub-cluster. Contract: spec/job-archive.md 7.1.

nodelist = [ term *( "," term ) [ "," ] ]
term     = 1*( literal / ranges )
literal  = ( LETTER / DIGIT ) *( LETTER / DIGIT / "-" )
ranges   = "[" range *( "," range ) "]"
range    = start "-" end            ; as many digits on both sides
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

ANY_HOST = "*"

_LITERAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_HOST_ITEM = re.compile(r"([A-Za-z0-9-]+)(?:\[([^\[\]]*)\])?([A-Za-z0-9-]*)(?=[,\s]|$)")
_LARGEST = 2**31
_MOST_HOSTS = 1_000_000  # of one range


class NodeListError(ValueError):
    """A node list that the grammar does not allow; the message shows where."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Exactly `width` decimal digits whose value lies between `first` and `last`, both included."""

    width: int
    first: int
    last: int

    def matches(self, digits: str) -> bool:
        return (
            len(digits) == self.width
            and digits.isascii()
            and digits.isdigit()
            and self.first <= int(digits) <= self.last
        )

    def __len__(self) -> int:
        return max(0, self.last - self.first + 1)

    def expand(self) -> Iterator[str]:
        for value in range(self.first, self.last + 1):
            yield f"{value:0{self.width}d}"


_Part = str | tuple[_Range, ...]
_Term = tuple[_Part, ...]


class NodeList:
    """A parsed node list. `text` is what the file says.

    `*` is not part of the grammar: `NodeList("*")` raises, `NodeList.of_subcluster("*")` gives a list without
    hosts, because what the star means depends on where it stands (spec/job-archive.md 8.3).
    """

    __slots__ = ("_terms", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._terms = _parse(text)

    @classmethod
    def of_subcluster(cls, text: str) -> NodeList:
        """As the constructor, with `*` allowed."""
        if text != ANY_HOST:
            return cls(text)
        any_host = cls("")
        any_host.text = ANY_HOST
        return any_host

    @property
    def any_host(self) -> bool:
        return self.text == ANY_HOST

    def contains(self, host: str) -> bool:
        return any(_term_matches(term, host) for term in self._terms)

    def expand(self) -> list[str]:
        """All hosts in written order, ascending within ranges; what overlapping terms share comes twice."""
        return [
            "".join(pieces) for term in self._terms for pieces in itertools.product(*map(_part_names, term))
        ]

    def __len__(self) -> int:
        return sum(
            math.prod(1 if isinstance(part, str) else sum(map(len, part)) for part in term)
            for term in self._terms
        )

    def __bool__(self) -> bool:
        return bool(self._terms)

    def __contains__(self, host: str) -> bool:
        return self.contains(host)

    def __repr__(self) -> str:
        return f"NodeList({self.text!r})"


def expand_hosts(text: str) -> list[str]:
    """The hosts of a list like `n[1-2]-p, n[1,2]-q`, sorted and each once. Raises NodeListError.

    This is the grammar of collectors (spec/job-archive.md 7.2), not that of `cluster.json`: white space
    separates, too, an item has at most one bracket, and a bracket may hold single numbers.
    """
    hosts: set[str] = set()
    position = 0
    while position < len(text):
        if text[position] in ", \t\r\n":
            position += 1
            continue
        item = _HOST_ITEM.match(text, position)
        if item is None:
            raise NodeListError(f"host list {text!r}: cannot be read at {position}")
        prefix, bracket, suffix = item.groups()
        numbers = [""] if bracket is None else [n for part in bracket.split(",") for n in _numbers(part)]
        hosts.update(f"{prefix}{number}{suffix}" for number in numbers)
        position = item.end()
    return sorted(hosts)


def _numbers(part: str) -> list[str]:
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
    if match is None:
        raise NodeListError(f"{part!r} is neither a number nor a range; write '5' or '01-05'")
    first, last = match.groups()
    if last is None:
        return [first]
    width = len(first) if len(first) == len(last) else 0
    if not width and (first[0] == "0" or last[0] == "0"):
        raise NodeListError(f"both ends of {part!r} need the same number of digits")
    if int(first) > int(last):
        raise NodeListError(f"the first number of {part!r} is the larger one")
    if int(last) - int(first) >= _MOST_HOSTS:
        raise NodeListError(f"{part!r} is more than {_MOST_HOSTS} hosts")
    return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1)]


def _part_names(part: _Part) -> list[str]:
    if isinstance(part, str):
        return [part]
    return [digits for numbers in part for digits in numbers.expand()]


def _term_matches(term: _Term, host: str) -> bool:
    # Ranges of different widths may share a bracket, hence several places where the next part may begin.
    ends = {0}
    for part in term:
        if isinstance(part, str):
            ends = {end + len(part) for end in ends if host.startswith(part, end)}
        else:
            ends = {
                end + numbers.width
                for end in ends
                for numbers in part
                if numbers.matches(host[end : end + numbers.width])
            }
        if not ends:
            return False
    return len(host) in ends


def _parse(text: str) -> tuple[_Term, ...]:
    terms: list[_Term] = []
    parts: list[_Part] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character == ",":
            # An empty term (`a,,b`) is in nobody's grammar and in real files: it matches nothing.
            if parts:
                terms.append(tuple(parts))
                parts = []
            position += 1
        elif character == "[":
            end = text.find("]", position)
            if end < 0:
                raise NodeListError(f"node list {text!r}: '[' at {position} is not closed")
            parts.append(_parse_ranges(text, position + 1, end))
            position = end + 1
        elif character in _NAME_CHARACTERS:
            literal = _LITERAL.match(text, position)
            assert literal is not None
            parts.append(literal[0])
            position = literal.end()
        else:
            raise NodeListError(f"node list {text!r}: unexpected character {character!r} at {position}")
    if parts:
        terms.append(tuple(parts))
    return tuple(terms)


def _parse_ranges(text: str, begin: int, end: int) -> tuple[_Range, ...]:
    ranges: list[_Range] = []
    for item in text[begin:end].split(","):
        match = _RANGE.fullmatch(item)
        if match is None:
            raise NodeListError(f"node list {text!r}: {item!r} is not a range; write '[01-05]'")
        first, last = match[1], match[2]
        if len(first) != len(last):
            raise NodeListError(f"node list {text!r}: both ends of {item!r} need the same number of digits")
        if int(first) >= _LARGEST or int(last) >= _LARGEST:
            raise NodeListError(f"node list {text!r}: {item!r} is too large")
        ranges.append(_Range(len(first), int(first), int(last)))
    return tuple(ranges)
