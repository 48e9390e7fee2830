"""Messages of job class rules: the subset of Go's text/template they use. Contract: spec/job-archive.md 17.2.

`{{.a.b}}`, pipelines, `printf`, `len`, comparisons, `if`, `else if`, `else`, `end`, comments, `{{-`, `-}}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ccserver.jobs.expression_values import BINARY, EvaluationError, equal, fail, shown, text

__all__ = ["EvaluationError", "Hint", "HintError"]

Values = Mapping[str, Any]
_Value = Callable[[Values], Any]

_LONGEST = 20_000  # characters
_DEEPEST = 20
_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?(?P<inside>(?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|.)*?)(?P<right>(?<=\s)-)?\}\}", re.S
)
_TOKEN = re.compile(
    r'\s+|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)'
    r"|(?P<field>(?:\.[A-Za-z_]\w*)+|\.)|(?P<name>[A-Za-z_]\w*)|(?P<sign>[()|])",
    re.ASCII,
)
_VERB = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])")
_NO_VALUE = "<no value>"


class HintError(ValueError):
    """A text is no template."""


class Hint:
    """A parsed message. Raises HintError."""

    def __init__(self, template: str) -> None:
        if len(template) > _LONGEST:
            raise HintError(f"longer than {_LONGEST} characters")
        self._parts = _Template(template).parts

    def render(self, environment: Values) -> str:
        """Raises EvaluationError."""
        try:
            return "".join(part(environment) for part in self._parts)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise EvaluationError(str(error)) from error


@dataclass(slots=True)
class _Token:
    kind: str
    text: str


class _Template:
    def __init__(self, template: str) -> None:
        self._items = _items(template)
        self._at = 0
        self.parts, ended = self._until(0)
        if ended:
            raise HintError(f"unexpected {{{{{ended}}}}}")

    def _until(self, depth: int) -> tuple[list[Callable[[Values], str]], str]:
        """Parts up to `end` or `else`, and which of them it was; "" at the end of the text."""
        if depth > _DEEPEST:
            raise HintError(f"nested more than {_DEEPEST} deep")
        parts: list[Callable[[Values], str]] = []
        while self._at < len(self._items):
            item = self._items[self._at]
            self._at += 1
            if isinstance(item, str):
                parts.append(lambda values, item=item: item)  # type: ignore[misc]
                continue
            word = item[0].text if item and item[0].kind == "name" else ""
            if word in ("end", "else"):
                return parts, " ".join(token.text for token in item)
            if word == "if":
                parts.append(self._branch(_pipeline(item[1:]), depth))
            else:
                value = _pipeline(item)
                parts.append(lambda values, value=value: _printed(value(values)))  # type: ignore[misc]
        return parts, ""

    def _branch(self, condition: _Value, depth: int) -> Callable[[Values], str]:
        yes, ended = self._until(depth + 1)
        no: list[Callable[[Values], str]] = []
        if ended == "else":
            no, ended = self._until(depth + 1)
        elif ended.startswith("else if "):
            no, ended = [self._branch(_pipeline(self._items[self._at - 1][2:]), depth + 1)], "end"  # type: ignore[arg-type]
        if ended != "end":
            raise HintError("an {{if}} has no {{end}}")

        def branch(values: Values) -> str:
            return "".join(part(values) for part in (yes if _true(condition(values)) else no))

        return branch


def _items(template: str) -> list[str | list[_Token]]:
    items: list[str | list[_Token]] = []
    place, trimmed = 0, False
    for match in _ACTION.finditer(template):
        before = template[place : match.start()]
        before = before.lstrip() if trimmed else before
        items.append(before.rstrip() if match["left"] else before)
        place, trimmed = match.end(), bool(match["right"])
        inside = match["inside"].strip()
        if not (inside.startswith("/*") and inside.endswith("*/")):
            items.append(_tokens(inside))
    rest = template[place:]
    items.append(rest.lstrip() if trimmed else rest)
    if any(isinstance(item, str) and "{{" in item for item in items):
        raise HintError("an action has no }}")
    return items


def _tokens(inside: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(inside):
        match = _TOKEN.match(inside, place)
        if match is None:
            raise HintError(f"unexpected {inside[place:][:20]!r}")
        if match.lastgroup is not None:
            tokens.append(_Token(match.lastgroup, match.group()))
        place = match.end()
    return tokens


def _pipeline(tokens: list[_Token]) -> _Value:
    commands: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        if token.kind == "sign" and token.text == "|" and depth == 0:
            commands.append([])
        else:
            commands[-1].append(token)
    value: _Value | None = None
    for command in commands:
        value = _command(command, value)
    assert value is not None
    return value


def _command(tokens: list[_Token], last: _Value | None) -> _Value:
    if not tokens:
        raise HintError("an action is empty")
    operands = list(_operands(tokens))
    name = tokens[0].text if tokens[0].kind == "name" else ""
    if name in _FUNCTIONS:
        function, given = _FUNCTIONS[name], operands[1:] + ([last] if last else [])
        least = 2 if name in _COMPARISONS else 1
        if len(given) < least:
            raise HintError(f"{name} needs {least} values")
        return lambda values: function([one(values) for one in given])
    if len(operands) != 1 or last is not None:
        raise HintError(f"{tokens[0].text} is no function")
    return operands[0]


def _operands(tokens: list[_Token]) -> list[_Value]:
    operands: list[_Value] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.text == "(" and token.kind == "sign":
            end, depth = place, 0
            while True:
                depth += (tokens[end].text == "(") - (tokens[end].text == ")")
                if depth == 0:
                    break
                end += 1
                if end == len(tokens):
                    raise HintError("a ( has no )")
            if end - place > 200:
                raise HintError("too long in ( )")
            operands.append(_pipeline(tokens[place + 1 : end]))
            place = end
        else:
            operands.append(_operand(token, first=place == 0))
        place += 1
    return operands


def _operand(token: _Token, *, first: bool) -> _Value:
    if token.kind == "field":
        names = [name for name in token.text.split(".") if name]
        return lambda values: _field(values, names)
    if token.kind == "string":
        constant: Any = token.text[1:-1]
        if token.text[0] == '"':
            constant = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), constant)
    elif token.kind == "number":
        constant = float(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
    elif token.text in ("true", "false", "nil"):
        constant = {"true": True, "false": False, "nil": None}[token.text]
    elif first and token.text in _FUNCTIONS:
        constant = None
    else:
        raise HintError(f"unexpected {token.text!r}")
    return lambda values: constant


def _field(values: Any, names: list[str]) -> Any:
    for name in names:
        if values is None:
            return None
        if not isinstance(values, Mapping):
            fail(f"{shown(values)} has no field {name}")
        values = values.get(name)
    return values


def _printed(value: Any) -> str:
    return _NO_VALUE if value is None else _formatted(value)


def _formatted(value: Any) -> str:
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_printed, value)) + "]"
    return text(value)


def _true(value: Any) -> bool:
    return bool(value)


def _printf(given: list[Any]) -> str:
    if not isinstance(given[0], str):
        fail("printf needs a format")
    rest = iter(given[1:])

    def one(match: re.Match[str]) -> str:
        flags, verb = match.groups()
        if verb == "%":
            return "%"
        try:
            value = next(rest)
        except StopIteration:
            return f"%!{verb}(MISSING)"
        return _verb(flags, verb, value)

    return _VERB.sub(one, given[0])


def _verb(flags: str, verb: str, value: Any) -> str:
    if len(flags) > 8:
        fail("printf: a width of more than 8 characters")
    if verb in "fFeEgG" and isinstance(value, float):
        return f"%{flags}{verb}" % value if "." in flags or verb not in "gG" else f"%{flags}s" % text(value)
    if verb in "dxXo" and isinstance(value, int) and not isinstance(value, bool):
        return f"%{flags}{verb}" % value
    if verb in "sv" and (verb == "v" or isinstance(value, str)):
        return f"%{flags}s" % _formatted(value)
    if verb == "q" and isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if verb == "t" and isinstance(value, bool):
        return _formatted(value)
    kinds = {bool: "bool", int: "int", float: "float64", str: "string"}
    return (
        f"%!{verb}({kinds.get(type(value), '?')}={_formatted(value)})"
        if value is not None
        else f"%!{verb}(<nil>)"
    )


def _len(given: list[Any]) -> int:
    return len(given[0]) if isinstance(given[0], str | list | Mapping) else fail(f"len of {shown(given[0])}")


def _first(given: list[Any], wanted: bool) -> Any:
    """The first value that is true or false as wanted, else the last."""
    return next((one for one in given[:-1] if _true(one) == wanted), given[-1])


_COMPARISONS: dict[str, Callable[[list[Any]], Any]] = {
    "eq": lambda given: any(equal(given[0], one) for one in given[1:]),
    "ne": lambda given: not equal(given[0], given[1]),
    "lt": lambda given: BINARY["<"](*given[:2]),
    "le": lambda given: BINARY["<="](*given[:2]),
    "gt": lambda given: BINARY[">"](*given[:2]),
    "ge": lambda given: BINARY[">="](*given[:2]),
}
_FUNCTIONS: dict[str, Callable[[list[Any]], Any]] = {
    **_COMPARISONS,
    "and": lambda given: _first(given, False),
    "or": lambda given: _first(given, True),
    "not": lambda given: not _true(given[0]),
    "len": _len,
    "printf": _printf,
    "print": lambda given: "".join(map(_formatted, given)),
}
