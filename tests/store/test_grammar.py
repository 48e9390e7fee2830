"""The grammar of the line protocol against the decoder corpus of its authors, and numbers against
Python's."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore.kernels import grammar
from ccstore.kernels.ingest import seconds
from ccstore.kernels.numbers import BAD, read_number
from ccstore.tables import padded
from tests import naive

_PRECISION = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}


def unescaped(raw: bytes, also: bytes) -> str:
    for c in b", " + also:
        raw = raw.replace(b"\\" + bytes([c]), bytes([c]))
    return raw.decode()


def string(raw: bytes) -> str:
    out = bytearray()
    escapes = {34: 34, 92: 92, 110: 10, 114: 13, 116: 9}
    i = 0
    while i < len(raw):
        if raw[i] == 92 and i + 1 < len(raw) and raw[i + 1] in escapes:
            out.append(escapes[raw[i + 1]])
            i += 1
        else:
            out.append(raw[i])
        i += 1
    return out.decode()


def field(kind: int, raw: bytes) -> dict[str, Any]:
    if kind == grammar.FIELD_FLOAT:
        return {"float": float(raw)}
    if kind == grammar.FIELD_INT:
        return {"int": int(raw[:-1])}
    if kind == grammar.FIELD_UINT:
        return {"uint": int(raw[:-1])}
    if kind == grammar.FIELD_BOOL:
        return {"bool": raw[:1] in (b"t", b"T")}
    return {"string": string(raw)}


def decode(payload: bytes, precision: str, default_time: int) -> list[dict[str, Any]] | None:
    """All points of a payload, or None if any line is bad."""
    text = padded(payload + b"\n")
    tokens = np.zeros((grammar.MAX_TOKENS + 8, 5), np.int64)
    head = np.zeros(grammar.HEAD_SIZE, np.int64)
    points = []
    at = 0
    while at < len(payload):
        outcome = grammar.split_point(text, at, len(payload), tokens, head)
        at = int(head[grammar.NEXT_LINE])
        if outcome == grammar.SKIPPED:
            continue
        if outcome:
            return None
        rows = tokens[: head[grammar.TOKENS]].tolist()
        unit = _PRECISION[precision]
        time = int(head[grammar.TIME_VALUE]) * unit if head[grammar.HAS_TIME] else default_time // unit * unit
        if not -(2**63) <= time < 2**63:
            return None
        tags = {
            unescaped(payload[a:b], b"="): unescaped(payload[c:d], b"=")
            for kind, a, b, c, d in rows
            if kind == grammar.TAG
        }
        points.append(
            {
                "time": time,
                "name": unescaped(payload[rows[0][1] : rows[0][2]], b""),
                "tags": [{"key": k, "value": tags[k]} for k in sorted(tags, key=str.encode)],
                "fields": [
                    {"key": unescaped(payload[a:b], b"="), "value": field(kind, payload[c:d])}
                    for kind, a, b, c, d in rows
                    if kind >= grammar.FIELD_FLOAT
                ],
            }
        )
    return points


def test_accepts_exactly_what_the_corpus_accepts(fixtures: Path) -> None:
    corpus = json.loads((fixtures / "metric-store/lineprotocol/influx-corpus-decode.json").read_text())
    wrong = []
    for case in corpus:
        payload = base64.b64decode(case["text_base64"]) if "text_base64" in case else case["text"].encode()
        got = decode(payload, case["precision"], case["default_time"])
        expected = None if case.get("error") else case["result"]
        if got != expected:
            wrong.append((payload, got, expected))
    assert not wrong[:10], f"{len(wrong)} of {len(corpus)}"


def parsed(text: str) -> float | None:
    buffer = padded(text.encode() + b"\n")
    kind, value, end = read_number(buffer, 0)
    return None if kind == BAD or end != len(text) else float(value)


_NUMBERS = st.one_of(
    st.from_regex(r"-?[0-9]{0,25}(\.[0-9]{0,25})?([eE][-+]?[0-9]{1,4})?[iu]?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**64), 2**65).map(lambda n: f"{n}i"),
    st.integers(0, 2**65).map(lambda n: f"{n}u"),
    st.text("0123456789.eE+-iunfa_x", max_size=8),
)


@given(_NUMBERS)
def test_numbers_are_within_one_ulp(text: str) -> None:
    expected = naive.number(text) if text else None
    got = parsed(text)
    if expected is None or got is None:
        # What rounds to infinity only just may go either way.
        assert got == expected or max(abs(got or 0.0), abs(expected or 0.0)) > 1.7976931348623e308
        return
    assert abs(got - expected) <= math.ulp(expected)
    if expected or text[-1] not in "iu":  # an integer has no negative zero
        assert math.copysign(1, got) == math.copysign(1, expected)


@pytest.mark.parametrize(
    "text", ["5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "-0", "0e9999"]
)
def test_numbers_at_the_edges(text: str) -> None:
    assert parsed(text) == float(text)


@given(st.integers(-(2**62), 2**62))
def test_time_stamps_by_magnitude(time: int) -> None:
    assert seconds(time) == naive.seconds(time)
