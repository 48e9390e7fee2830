"""Number arrays taken out of JSON: together with the rest they say what the document said."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccstore.jsonarrays import split_arrays


def put_back(value: Any, arrays: list[Any]) -> Any:
    """The obvious reading of what was split."""
    if isinstance(value, dict):
        return {key: put_back(member, arrays) for key, member in value.items()}
    if isinstance(value, list):
        if value and all(
            one is None or (isinstance(one, int | float) and one is not True and one is not False)
            for one in value
        ):
            return [None if math.isnan(number) else float(number) for number in arrays[int(value[0])]]
        return [put_back(member, arrays) for member in value]
    return value


def as_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_floats(member) for key, member in value.items()}
    if isinstance(value, list):
        numeric = all(one is None or type(one) in (int, float) for one in value)
        return [None if one is None else float(one) for one in value] if numeric else [*map(as_floats, value)]
    return value


short = st.integers(-(10**14), 10**14) | st.integers(-(10**9), 10**9).map(lambda n: n / 100) | st.none()
documents = st.recursive(
    st.text(max_size=6) | st.booleans() | st.lists(short, max_size=5) | short,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(documents, st.sampled_from([None, 2]), st.booleans())
def test_nothing_is_lost(document: Any, indent: int | None, ascii_only: bool) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    split = split_arrays(raw)
    assert split is not None
    assert put_back(json.loads(split[0]), split[1]) == as_floats(document)


@given(st.binary(max_size=40))
def test_any_bytes_are_survived(raw: bytes) -> None:
    split_arrays(raw)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_exactly_or_not_at_all(values: list[float]) -> None:
    split = split_arrays(json.dumps(values).encode())
    if split is not None:
        assert split[1][0].tolist() == values


@pytest.mark.parametrize(
    "text",
    ["[01]", "[1.]", "[.5]", "[+1]", "[1e]", "[nul]", "[1 2]", "[1,]", "[,1]", "[--1]", "[", "[1", "[1,",
     '["', '"[1]', '"\\"[1]', '"\\', "[-]", "[1]]x"],
)  # fmt: skip
def test_what_is_no_json_is_left_to_its_reader(text: str) -> None:
    split = split_arrays(text.encode())
    assert split is not None
    with pytest.raises(json.JSONDecodeError):
        json.loads(split[0])


def test_empty_arrays_and_strings_stay() -> None:
    assert split_arrays(b'{"a": [], "b": "[1, 2]", "c": [ 1.50 , null ]}') is not None
    rest, arrays = split_arrays(b'{"a": [], "b": "[1, 2]", "c": [ 1.50 , null ]}') or (b"", [])
    assert rest == b'{"a": [], "b": "[1, 2]", "c": [0]}'
    np.testing.assert_array_equal(arrays[0], [1.5, np.nan])
    assert not arrays[0].flags.writeable


def test_more_digits_than_can_be_exact() -> None:
    assert split_arrays(b"[0.1234567890123456]") is None
    assert split_arrays(b"[1e30]") is None
