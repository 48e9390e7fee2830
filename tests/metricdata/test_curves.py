from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ccserver.metricdata.curves import finish, points_of, statistics_series, with_node_sums
from ccserver.model.metrics import JobMetric, Series, Statistics, StatisticsSeries, Unit

NAN = float("nan")


def series(values: list[float], host: str = "h", id_: str | None = None) -> Series:
    return Series(host, np.array(values, dtype=np.float32), Statistics(1.005, 0.0, 2.0), id_)


def metric(*all_series: Series) -> JobMetric:
    return JobMetric(Unit(), 60, list(all_series))


def naive(columns: list[list[float]]) -> tuple[list[float], list[float], list[float]]:
    """Point by point, as the contract says it."""
    shortest, longest = min(map(len, columns)), max(map(len, columns))
    result: tuple[list[float], list[float], list[float]] = ([], [], [])
    for i in range(longest):
        present = [c[i] for c in columns if c[i] == c[i]] if i < shortest else []
        values = (min(present), float(np.median(present)), max(present)) if len(present) >= 3 else (NAN,) * 3
        for curve, value in zip(result, values, strict=True):
            curve.append(value)
    return result


def curves(found: StatisticsSeries) -> list[NDArray[np.float32]]:
    assert found.min is not None
    assert found.median is not None
    assert found.max is not None
    return [found.min, found.median, found.max]  # type: ignore[list-item]


def test_statistics_are_over_the_values_present() -> None:
    found = statistics_series([series([1, NAN]), series([2, 1]), series([NAN, 2]), series([10, NAN])])
    for curve, expected in zip(curves(found), ([1, NAN], [2, NAN], [10, NAN]), strict=True):
        np.testing.assert_array_equal(curve, expected)


def test_an_even_count_takes_the_mean_of_the_middle_two() -> None:
    found = statistics_series([series([v]) for v in (4, 1, 3, 2)])
    assert [curve[0] for curve in curves(found)] == [1, 2.5, 4]


def test_beyond_the_shortest_series_nothing_is_known() -> None:
    found = statistics_series([series([1, 2, 3]), series([1, 2, 3]), series([1])])
    for curve in curves(found):
        np.testing.assert_array_equal(curve, [1, NAN, NAN])


def test_series_without_points() -> None:
    assert [len(curve) for curve in curves(statistics_series([series([])] * 8))] == [0, 0, 0]


@given(
    st.integers(1, 10).flatmap(
        lambda n: st.lists(
            st.lists(
                st.integers(0, 5).map(lambda v: NAN if v == 0 else float(v)), min_size=n, max_size=n + 2
            ),
            min_size=1,
            max_size=12,
        )
    )
)
def test_statistics_equal_the_naive_ones(columns: list[list[float]]) -> None:
    found = statistics_series([series(column) for column in columns])
    for curve, expected in zip(curves(found), naive(columns), strict=True):
        np.testing.assert_array_equal(curve, expected)


def test_eight_series_get_statistics_and_seven_do_not() -> None:
    data = finish(
        {"eight": {"node": metric(*[series([1])] * 8)}, "seven": {"node": metric(*[series([1])] * 7)}}, False
    )
    assert data["eight"]["node"].statistics_series is not None
    assert data["seven"]["node"].statistics_series is None


def test_statistics_that_exist_are_kept() -> None:
    known = StatisticsSeries(mean=np.array([5.0]))
    data = finish({"m": {"node": JobMetric(Unit(), 60, [series([1])] * 9, known)}}, False)
    assert data["m"]["node"].statistics_series is known


def test_series_statistics_are_rounded_to_two_decimals() -> None:
    data = finish({"m": {"node": metric(series([1]))}}, False)
    assert data["m"]["node"].series[0].statistics == Statistics(1.0, 0.0, 2.0)


def test_empty_scopes_and_metrics_leave() -> None:
    assert finish({"m": {"node": metric()}, "n": {}}, False) == {}


def test_node_sums_come_from_the_coarsest_scope() -> None:
    scopes = {
        "hwthread": metric(series([100], "a", "0")),
        "socket": metric(
            Series("a", np.array([1, 2, 3], dtype=np.float32), Statistics(2, 1, 3), "0"),
            Series("a", np.array([10, NAN], dtype=np.float32), Statistics(11, 10, 12), "1"),
            Series("b", np.array([7], dtype=np.float32), Statistics(7, 7, 7), "0"),
        ),
    }
    node = with_node_sums(scopes)["node"]
    assert [(s.hostname, s.id, s.statistics) for s in node.series] == [
        ("a", None, Statistics(6.5, 1, 12)),
        ("b", None, Statistics(7, 7, 7)),
    ]
    np.testing.assert_array_equal(node.series[0].data, [11, NAN, NAN])


@pytest.mark.parametrize(
    ("name", "wanted", "summed"), [("mem_bw", True, True), ("mem_bw", False, False), ("clock", True, False)]
)
def test_only_two_metrics_are_summed_and_only_when_node_scope_is_wanted(
    name: str, wanted: bool, summed: bool
) -> None:
    data = finish({name: {"socket": metric(series([1]))}}, node_wanted=wanted)
    assert ("node" in data[name]) == summed


def test_points_count_curves_too() -> None:
    data = finish({"m": {"node": metric(*[series([1, 2])] * 8)}}, False)
    assert points_of(data) == 16 + 6
