"""The expression language and the messages of job class rules. Contract: spec/job-archive.md 17.2."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ccserver.jobs.expression_values import text_of_float
from ccserver.jobs.expressions import EvaluationError, ExpressionError, compile_expression
from ccserver.jobs.hints import Hint, HintError

ENVIRONMENT: dict[str, Any] = {
    "a": 1,
    "b": 2.5,
    "l": [1, 2, 3],
    "job": {"shared": "none", "jobState": "completed", "numNodes": 3},
    "cpu_load": {"avg": 0.46, "limits": {"peak": 72.0}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x2A + 1_000 + .5 - 0.5", 1042.0),
        ("'it''s' == \"x\"", None),
        (r'"a\tb" == "a" + "\t" + "b"', True),
        ("-2 ** 2 == -4", True),
        ("2 ** 3 ^ 2", 512.0),
        ("a + b * 2", 6.0),
        ("7 / 2", 3.5),
        ("1 / 0", math.inf),
        ("-7 % 3", -1),
        ("2 ^ 3 // a comment", 8.0),
        ("/* one */ a", 1),
        ("job.shared == 'none' && a < b || false", True),
        ("not (a > b) and !false", True),
        ("true or nil", True),
        ("a == 1.0", True),
        ("true == a", False),
        ("[1, 2] == [1.0, 2]", True),
        ("a in l", True),
        ("'shared' in job", True),
        ("4 not in l", True),
        ("'abc' matches '^a.c$'", True),
        ("'abc' contains 'd'", False),
        ("'abc' startsWith 'a' and 'abc' not endsWith 'b'", True),
        ("1..4", [1, 2, 3, 4]),
        ("unknown ?? 5", 5),
        ("unknown?.member", None),
        ("job.unknown == nil", True),
        ("job['shared']", "none"),
        ("l[-1]", 3),
        ("{a: 1, 'b': 2}.b", 2),
        ("a > 0 ? 'yes' : 'no'", "yes"),
        ("if a > 1 {1} else {2}", 2),
        ("l | map(# * 2) | sum()", 12),
        ("l | filter(# > 1) | len()", 2),
        ("count(l, {# > 1})", 2),
        ("all(l, # > 0) and any(l, # == 2) and none(l, # > 5) and one(l, # == 1)", True),
        ("sum(l, # * b)", 15.0),
        ("min(l, 0) + max(4, l)", 4),
        ("[mean(l), median([4, 1, 3, 2])]", [2.0, 2.5]),
        ("[abs(-3), ceil(1.2), floor(-1.2), round(-2.5)]", [3, 2.0, -2.0, -3.0]),
        ("[int('12'), int(3.9), float('1.5'), string(256.0)]", [12, 3, 1.5, "256"]),
        ("first(l) + last(l)", 4),
        ("string(job.jobState) == 'completed' and job.jobState == 'completed'", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    if expected is None and "''" in text:
        with pytest.raises(ExpressionError):
            compile_expression(text)
        return
    value = compile_expression(text).value(ENVIRONMENT)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "text",
    ["", "a &&", "a b", "not a < b", "-true", "f(1)", "(a", "a ? b", "x = 1", "a.", "l |", "l | a", "any(l)",
     "'open", "{1: 2}", "a; b", "__import__('os')", "(" * 100 + "a" + ")" * 100, "a" * 20_000],
)  # fmt: skip
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


@pytest.mark.parametrize(
    "text",
    ["unknown.member", "nil < 1", "'a' < 1", "a and true", "7.0 % 2", "1 % 0", "l[3]", "a.b", "-'x'",
     "a + 'x'", "1..9999999", "min([])", "len(a)", "int('x')", "'a' matches '('", "#", "a in a",
     "filter(l, #)", "abs()", "+".join(["a"] * 4000), "l.__class__"],
)  # fmt: skip
def test_what_has_no_value(text: str) -> None:
    expression = compile_expression(text)
    with pytest.raises(EvaluationError):
        expression.value(ENVIRONMENT)


def test_a_condition_must_be_true_or_false() -> None:
    assert compile_expression("a < b").holds(ENVIRONMENT)
    with pytest.raises(EvaluationError):
        compile_expression("a").holds(ENVIRONMENT)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(250.5, "250.5"), (256.0, "256"), (123456.0, "123456"), (100000.0, "100000"), (1e7, "1e+07"), (0.0, "0"),
     (1234567.89, "1.23456789e+06"), (0.0001, "0.0001"), (0.00001234, "1.234e-05"), (-0.46, "-0.46"),
     (1e100, "1e+100"), (math.inf, "+Inf")],
)  # fmt: skip
def test_floats_as_text(value: float, expected: str) -> None:
    assert text_of_float(value) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Load {{.cpu_load.avg}} of {{ .cpu_load.limits.peak }}.", "Load 0.46 of 72."),
        ("{{.none}} {{.cpu_load.none}}", "<no value> <no value>"),
        ('{{printf "%.2f %5d|%-4s|%v %%" .b .a "x" .l}}', "2.50     1|x   |[1 2 3] %"),
        ('{{.b | printf "%d"}}', "%!d(float64=2.5)"),
        ('{{printf "%d"}}', "%!d(MISSING)"),
        ("{{if gt .b 2}}high{{else}}low{{end}}", "high"),
        ("{{if eq .a 2}}two{{else if eq .a 3 1}}one{{else}}other{{end}}", "one"),
        ("{{if and (lt .a 2) (not .none)}}x{{end}}{{if or .none 0}}y{{end}}", "x"),
        ("a {{- /* nothing */ -}} b {{- .a}}", "ab1"),
        ("{{len .l}} {{len .job.shared}} {{`raw`}}", "3 4 raw"),
        ('{{ne .job.shared "none"}} {{le .a 1}} {{ge .a 2}}', "false true false"),
    ],
)
def test_hints(template: str, expected: str) -> None:
    assert Hint(template).render(ENVIRONMENT) == expected


@pytest.mark.parametrize(
    "template",
    ["{{", "{{.a", "{{if .a}}", "{{end}}", "{{else}}", "{{range .l}}{{end}}", "{{}}", "{{.a .b}}",
     "{{eq .a}}", "{{(.a}}", "{{.a | .b}}", "{{$x}}", "{{if}}{{end}}"],
)  # fmt: skip
def test_what_is_no_hint(template: str) -> None:
    with pytest.raises(HintError):
        Hint(template)


def test_a_hint_that_cannot_be_rendered() -> None:
    with pytest.raises(EvaluationError):
        Hint("{{.a.b}}").render(ENVIRONMENT)
