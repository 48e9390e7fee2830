"""The expression language of job class rules. Contract: spec/job-archive.md 17.2.

A text is parsed by operator precedence into closures over an environment of plain values (None, bool, int,
float, str, list, dict); nothing of Python can be reached from it. Text, nesting and lists are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ccserver.jobs import expression_values as values
from ccserver.jobs.expression_values import EvaluationError

__all__ = ["EvaluationError", "Expression", "ExpressionError", "compile_expression"]

Environment = Mapping[str, Any]

_LONGEST = 10_000  # characters
_DEEPEST = 60
_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<number>0[xX][0-9a-fA-F_]+|(?:\d[\d_]*)?\.\d[\d_]*(?:[eE][+-]?\d+)?|\d[\d_]*(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>\|\||&&|==|!=|<=|>=|\*\*|\.\.|\?\.|\?\?|[-+*/%^<>!?:.,()\[\]{}|\#])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}

_PIPE, _COMPARED = 0, 20
_BINARY = {
    "|": _PIPE, "or": 10, "||": 10, "and": 15, "&&": 15,
    **dict.fromkeys(
        ("==", "!=", "<", "<=", ">", ">=", "in", "matches", "contains", "startsWith", "endsWith"), _COMPARED
    ),
    "..": 25, "+": 30, "-": 30, "*": 60, "/": 60, "%": 60, "**": 100, "^": 100, "??": 500,
}  # fmt: skip
_NEGATABLE = ("in", "matches", "contains", "startsWith", "endsWith")
_NOT, _SIGN = 65, 90
_SAME = {"||": "or", "&&": "and", "^": "**", "!": "not"}


class ExpressionError(ValueError):
    """A text is no expression; the message says where."""


@dataclass(frozen=True, slots=True)
class _Node:
    """`boolean`: it yields true or false whatever the environment."""

    value: Callable[[Environment], Any]
    boolean: bool = False


class Expression:
    """A compiled text."""

    def __init__(self, node: _Node) -> None:
        self._node = node

    def value(self, environment: Environment) -> Any:
        """Raises EvaluationError."""
        try:
            return self._node.value(environment)
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise EvaluationError(str(error)) from error

    def holds(self, environment: Environment) -> bool:
        """The value of a condition. Raises EvaluationError where it is neither true nor false."""
        return values.truth(self.value(environment))


def compile_expression(text: str) -> Expression:
    """Raises ExpressionError."""
    if len(text) > _LONGEST:
        raise ExpressionError(f"longer than {_LONGEST} characters")
    parser = _Parser(text)
    node = parser.expression(0)
    parser.end()
    return Expression(node)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ExpressionError(f"unexpected {text[place]!r} at {place}")
            if match.lastgroup is not None:
                self._tokens.append((match.lastgroup, match.group(), place))
            place = match.end()
        self._tokens.append(("end", "end of text", len(text)))
        self._at = 0
        self._depth = 0

    # ---- tokens

    @property
    def _text(self) -> str:
        kind, text, _ = self._tokens[self._at]
        return text if kind in ("sign", "name") else ""

    def _take(self) -> tuple[str, str]:
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        return kind, text

    def _accept(self, text: str) -> bool:
        if self._text != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(f"expected {text!r}")

    def _fail(self, why: str) -> NoReturn:
        _, text, place = self._tokens[self._at]
        raise ExpressionError(f"{why}, found {text!r} at {place}")

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            self._fail("expected the end")

    # ---- grammar

    def expression(self, least: int) -> _Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail(f"nested more than {_DEEPEST} deep")
        left = self._prefixed()
        while True:
            negated = self._text == "not" and self._tokens[self._at + 1][1] in _NEGATABLE
            operator = self._tokens[self._at + 1][1] if negated else self._text
            binds = _BINARY.get(operator)
            if binds is None or binds < least:
                break
            self._at += 2 if negated else 1
            left = self._binary(_SAME.get(operator, operator), left, binds)
            if negated:
                left = _negation(left)
        if least == 0 and self._accept("?"):
            left = self._choice(left, ":")
        self._depth -= 1
        return left

    def _prefixed(self) -> _Node:
        text = self._text
        if text in ("not", "!"):
            self._at += 1
            return _negation(self.expression(_NOT))
        if text in ("-", "+"):
            self._at += 1
            operand = self.expression(_SIGN)
            if operand.boolean:
                self._fail(f"{text} needs a number")
            sign = -1 if text == "-" else 1
            return _Node(lambda env: sign * values.number(operand.value(env)))
        return self._accessed(self._primary())

    def _choice(self, condition: _Node, between: str) -> _Node:
        yes = self.expression(0)
        self._expect(between)
        no = self.expression(0)
        return _chosen(condition, yes, no)

    def _binary(self, operator: str, left: _Node, binds: int) -> _Node:
        if operator == "|":
            name = self._tokens[self._at][1]
            self._at += 1
            if name not in values.FUNCTIONS and name not in values.PREDICATES:
                self._at -= 1
                self._fail("expected a function")
            return self._accessed(self._call(name, [left]))
        right = self.expression(binds if operator == "**" else binds + 1)
        if operator in ("or", "and"):
            return _joined(operator, left, right)
        if operator == "??":
            return _Node(lambda env: right.value(env) if (one := left.value(env)) is None else one)
        if operator in ("<", "<=", ">", ">=", "+", "-", "*", "/", "%", "**", "..") and (
            left.boolean or right.boolean
        ):
            self._fail(f"{operator} cannot take true or false")
        if operator == "matches":
            return _Node(lambda env: values.matches(left.value(env), right.value(env)), True)
        apply = values.BINARY[operator]
        boolean = _BINARY[operator] == _COMPARED
        return _Node(lambda env: apply(left.value(env), right.value(env)), boolean)

    def _primary(self) -> _Node:
        kind, text = self._take()
        if kind == "number":
            number = _number(text)
            return _Node(lambda env: number)
        if kind == "string":
            string = _ESCAPE.sub(_unescaped, text[1:-1])
            return _Node(lambda env: string)
        if kind == "name":
            return self._named(text)
        if text == "(":
            inner = self.expression(0)
            self._expect(")")
            return inner
        if text == "[":
            items = self._listed("]")
            return _Node(lambda env: [item.value(env) for item in items])
        if text == "{":
            return self._map()
        if text == "#":
            return _Node(lambda env: env["#"] if "#" in env else values.fail("# outside of a predicate"))
        self._at -= 1
        self._fail("expected a value")

    def _named(self, name: str) -> _Node:
        if name in ("true", "false"):
            truth = name == "true"
            return _Node(lambda env: truth, True)
        if name == "nil":
            return _Node(lambda env: None)
        if name == "if":
            condition = self.expression(0)
            self._expect("{")
            yes = self.expression(0)
            self._expect("}")
            self._expect("else")
            self._expect("{")
            no = self.expression(0)
            self._expect("}")
            return _chosen(condition, yes, no)
        if self._text == "(":
            if name in values.FUNCTIONS or name in values.PREDICATES:
                return self._call(name, [])
            self._fail(f"there is no function {name}")
        if name in _BINARY or name in ("not", "else"):
            self._at -= 1
            self._fail("expected a value")
        return _Node(lambda env: env.get(name))

    def _map(self) -> _Node:
        members: list[tuple[str, _Node]] = []
        while not self._accept("}"):
            kind, text = self._take()
            if kind not in ("name", "string"):
                self._at -= 1
                self._fail("expected a key")
            key = text if kind == "name" else _ESCAPE.sub(_unescaped, text[1:-1])
            self._expect(":")
            members.append((key, self.expression(0)))
            if not self._accept(","):
                self._expect("}")
                break
        return _Node(lambda env: {key: member.value(env) for key, member in members})

    def _listed(self, end: str) -> list[_Node]:
        items: list[_Node] = []
        while not self._accept(end):
            items.append(self.expression(0))
            if not self._accept(","):
                self._expect(end)
                break
        return items

    def _call(self, name: str, given: list[_Node]) -> _Node:
        self._expect("(")
        if name not in values.PREDICATES:
            arguments = given + self._listed(")")
            function = values.FUNCTIONS[name]
            return _Node(lambda env: function(*[one.value(env) for one in arguments]))
        if not given:
            given = [self.expression(0)]
            if self._text != ")":
                self._expect(",")
        items = given[0]
        if self._accept(")"):
            if name not in values.WITHOUT_PREDICATE:
                self._fail(f"{name} needs a predicate")
            return _Node(lambda env: values.PREDICATES[name](items.value(env), lambda item: item))
        braces = self._accept("{")
        predicate = self.expression(0)
        if braces:
            self._expect("}")
        self._accept(",")
        self._expect(")")

        def value(env: Environment) -> Any:
            return values.PREDICATES[name](items.value(env), lambda item: predicate.value({**env, "#": item}))

        return _Node(value, name in ("all", "any", "none", "one"))

    def _accessed(self, node: _Node) -> _Node:
        while True:
            if self._text in (".", "?."):
                optional = self._take()[1] == "?."
                kind, name = self._take()
                if kind != "name":
                    self._at -= 1
                    self._fail("expected a name")
                node = _member(node, _Node(lambda env, name=name: name), optional)  # type: ignore[misc]
            elif self._accept("["):
                index = self.expression(0)
                self._expect("]")
                node = _member(node, index, False)
            else:
                return node


def _member(node: _Node, index: _Node, optional: bool) -> _Node:
    def value(env: Environment) -> Any:
        whole = node.value(env)
        return None if optional and whole is None else values.member(whole, index.value(env))

    return _Node(value)


def _negation(operand: _Node) -> _Node:
    return _Node(lambda env: not values.truth(operand.value(env)), True)


def _joined(operator: str, left: _Node, right: _Node) -> _Node:
    if operator == "and":
        return _Node(lambda env: values.truth(left.value(env)) and values.truth(right.value(env)), True)
    return _Node(lambda env: values.truth(left.value(env)) or values.truth(right.value(env)), True)


def _chosen(condition: _Node, yes: _Node, no: _Node) -> _Node:
    return _Node(
        lambda env: yes.value(env) if values.truth(condition.value(env)) else no.value(env),
        yes.boolean and no.boolean,
    )


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    if plain[:2] in ("0x", "0X"):
        return int(plain, 16)
    if plain.isdigit():
        return int(plain)
    number = float(plain)
    if not math.isfinite(number):
        raise ExpressionError(f"{text} is too large")
    return number


def _unescaped(match: re.Match[str]) -> str:
    code = match.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)
