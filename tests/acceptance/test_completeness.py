"""Every check of spec/metric-store.md 15 has a test that is named after its number."""

from __future__ import annotations

import re
from pathlib import Path

CHECKS = {
    "ingest": {1, 2, 3, 7, 15},
    "reads": {4, 6, 8, 9},
    "durability": {5, 10, 11, 12, 13, 14},
}


def test_every_check_has_a_test() -> None:
    assert set().union(*CHECKS.values()) == set(range(1, 16))
    found = {
        path.stem.removeprefix("test_metric_store_"): {
            int(number) for number in re.findall(r"^def test_check_(\d\d)_", path.read_text(), re.M)
        }
        for path in Path(__file__).parent.glob("test_metric_store_*.py")
    }
    assert found == {part: CHECKS[part] for part in found}
    assert {"reads", "durability"} <= set(found)
