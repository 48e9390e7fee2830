from __future__ import annotations

import pytest

from ccserver.clusters.units import conversion, normalize
from ccserver.model.metrics import Unit
from ccserver.model.rounding import round2


@pytest.mark.parametrize(
    ("average", "prefix", "expected"),
    [
        (2048, "M", (0.001, "G")),
        (0.5, "G", (1000, "M")),
        (1000, "M", (1, "M")),
        (2.89e9, "", (1e-9, "G")),
        (0, "G", (1, "G")),
        (-5, "G", (1, "G")),
        (0.002, "", (1000, "m")),
        (5000, "k", (0.001, "M")),
        (2e30, "Y", (1, "Y")),
    ],
)
def test_normalize(average: float, prefix: str, expected: tuple[float, str]) -> None:
    factor, new = normalize(average, prefix)
    assert (pytest.approx(factor), new) == expected


def test_conversion_to_tera() -> None:
    assert conversion(Unit("B/s", "G"), "T") == (pytest.approx(1e-3), Unit("B/s", "T"))
    assert conversion(Unit("F/s"), "T") == (pytest.approx(1e-12), Unit("F/s", "T"))


def test_a_prefix_nobody_knows_is_left_alone() -> None:
    assert conversion(Unit("B", "Q"), "T") == (1.0, Unit("B", "Q"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2.675, 2.68), (1.005, 1.0), (0.125, 0.13), (-0.125, -0.13), (-2.675, -2.68), (0.0, 0.0), (1e15, 1e15)],
)
def test_two_decimals_round_halves_away_from_zero(value: float, expected: float) -> None:
    assert round2(value) == expected
