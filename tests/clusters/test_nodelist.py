from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccserver.clusters import NodeList, NodeListError, expand_hosts


def test_literals_and_ranges_expand_in_written_order() -> None:
    nodes = NodeList("hallo,wel123t,emmy[01-99]")
    assert nodes.expand()[:4] == ["hallo", "wel123t", "emmy01", "emmy02"]
    assert nodes.expand()[-1] == "emmy99"
    assert len(nodes) == 101


@pytest.mark.parametrize("host", ["fritz005", "fritz500", "fritz499"])
def test_a_host_inside_a_range_is_contained(host: str) -> None:
    assert host in NodeList("fritz[005-500]")


@pytest.mark.parametrize(
    "host",
    [
        "fritz5",
        "fritz004",
        "fritz501",
        "fritz0005",
        "fritz05",
        "xfritz005",
        "fritz00a",
        "fritz\u0660\u0660\u0665",
    ],
)
def test_width_and_value_of_a_range_must_match(host: str) -> None:
    assert host not in NodeList("fritz[005-500]")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("w11[27-45,49-63,69-72]", 38),
        ("cn-00[13-18,22-24]", 9),
        ("a[1-9]", 9),
        ("", 0),
        ("a,", 1),
        ("a,,b", 2),
        ("a[03-01]", 0),
        ("a[1-2],a[2-3]", 4),
        ("r[1-2]n[01-03]", 6),
        ("a[8-9,10-11]", 4),
    ],
)
def test_count(text: str, count: int) -> None:
    assert len(NodeList(text)) == count == len(NodeList(text).expand())


def test_several_ranges_in_a_term_multiply() -> None:
    assert NodeList("r[1-2]n[01-02]x").expand() == ["r1n01x", "r1n02x", "r2n01x", "r2n02x"]


def test_ranges_of_different_width_share_a_bracket() -> None:
    nodes = NodeList("a[8-9,10-11]b")
    assert nodes.expand() == ["a8b", "a9b", "a10b", "a11b"]
    assert all(host in nodes for host in nodes.expand())
    assert "a1b" not in nodes


@pytest.mark.parametrize(
    "text",
    [
        "a[01-9]", "a[1]", "a[]", "a[01-02,]", "a[01-03", "a]", "a b", "a_b", "a.b", "-a", "*", "n[01-02]-ib",
        "a[1,2]", "a[x-y]", "a[1-2-3]", "\u00e4", "a[\u0660-\u0669]", "a[2147483648-2147483649]",
    ],
)  # fmt: skip
def test_what_the_grammar_forbids_is_an_error_that_shows_the_text(text: str) -> None:
    with pytest.raises(NodeListError, match=re.escape(repr(text))):
        NodeList(text)


def test_the_star_is_allowed_for_a_subcluster_and_lists_nobody() -> None:
    nodes = NodeList.of_subcluster("*")
    assert nodes.any_host
    assert len(nodes) == 0
    assert "a" not in nodes


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,3}", fullmatch=True),
            st.integers(1, 3),
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=4,
    )
)
def test_a_list_contains_exactly_what_it_expands_to(terms: list[tuple[str, int, int, int]]) -> None:
    nodes = NodeList(",".join(f"{p}[{a:0{w}d}-{b:0{w}d}]" for p, w, a, b in terms))
    expanded = set(nodes.expand())
    for prefix, width, _, _ in terms:
        for value in range(11):
            host = f"{prefix}{value:0{width}d}"
            assert (host in nodes) == (host in expanded)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("n[1-2]-p,n[1,2]-q", ["n1-p", "n1-q", "n2-p", "n2-q"]),
        ("n[9-11]", ["n10", "n11", "n9"]),
        ("n[09-11]", ["n09", "n10", "n11"]),
        ("n[007,8]", ["n007", "n8"]),
        ("b a,\ta  c\n", ["a", "b", "c"]),
        ("-x", ["-x"]),
        ("n[1-2,2-3]", ["n1", "n2", "n3"]),
        ("", []),
    ],
)
def test_host_lists_of_collectors(text: str, hosts: list[str]) -> None:
    assert expand_hosts(text) == hosts


@pytest.mark.parametrize(
    "text",
    [
        "n[1-002]",
        "n[0-10]",
        "n[2-1]",
        "n[]",
        "n[1,]",
        "n[a]",
        "n[1",
        "n]",
        "n[1][2]",
        "[1-2]",
        "a.b",
        "n[1-9999999]",
    ],
)
def test_host_lists_that_cannot_be_read(text: str) -> None:
    with pytest.raises(NodeListError):
        expand_hosts(text)
