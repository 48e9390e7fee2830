"""The table of removed defences fits the sources and leaves out no row of spec/operations.md 14."""

from __future__ import annotations

import re

from tests.removals import REMOVALS, ROOT


def test_every_row_has_a_removal() -> None:
    rows = {one.row for one in REMOVALS}
    assert {f"S{number}" for number in range(1, 35)} <= rows


def test_every_removal_finds_its_defence_once() -> None:
    for one in REMOVALS:
        for path, text, _ in one.edits:
            assert (ROOT / path).read_text().count(text) == 1, f"{one.row}, {one.defence}: {path}: {text}"


def test_every_removal_names_a_test() -> None:
    for one in REMOVALS:
        path, _, name = one.tests.split()[0].partition("::")
        source = (ROOT / path).read_text()
        assert not name or re.search(rf"def {name}\(", source), one.tests
