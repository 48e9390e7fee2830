from __future__ import annotations

import pytest

from ccserver.clusters.units import conversion, convert, normalize, parse_unit
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GB/s", ("B/s", "G")),
        ("kevents/s", ("events/s", "K")),
        ("packets", ("packets", "")),
        ("Pkts/s", ("packets/s", "")),
        ("events", ("events", "")),
        ("EB", ("B", "E")),
        ("KiB", ("B", "Ki")),
        ("gibyte", ("B", "Gi")),
        ("mb", ("B", "M")),
        ("mFlops/s", ("Flops/s", "M")),
        ("ms", ("s", "m")),
        ("mW", ("W", "m")),
        ("MHertz", ("Hz", "M")),
        ("%", ("%", "")),
        ("k%", ("%", "")),
        ("Percent", ("%", "")),
        ("degC", ("degC", "")),
        ("°F", ("degF", "")),
        ("RPM", ("RPM", "")),
        ("Cycles", ("cyc", "")),
        ("Joules", ("J", "")),
        ("req/second", ("requests/s", "")),
        ("Tflops", ("Flops", "T")),
    ],
)
def test_unit_texts(text: str, expected: tuple[str, str]) -> None:
    assert parse_unit(text) == Unit(*expected)


@pytest.mark.parametrize(
    "text", ["", "us", "ns", "G", "load", "/s", "B/", "B/x", "PERCENT", "DegC", "e", "ev", "x%"]
)
def test_texts_that_are_no_units(text: str) -> None:
    with pytest.raises(ValueError, match="is no unit"):
        parse_unit(text)


def test_values_are_converted_between_equal_measures() -> None:
    assert convert(2, parse_unit("GB/s"), parse_unit("MB/s")) == 2000
    assert convert(1, parse_unit("MiB"), parse_unit("KB")) == pytest.approx(1048.576)
    assert convert(1500, parse_unit("ms"), parse_unit("s")) == pytest.approx(1.5)
    assert convert(100, parse_unit("degC"), parse_unit("degF")) == 212
    assert convert(212, parse_unit("degF"), parse_unit("degC")) == pytest.approx(100)
    for other in ("B", "Flops/s", "degC"):
        with pytest.raises(ValueError, match="cannot be converted"):
            convert(1, parse_unit("B/s"), parse_unit(other))
