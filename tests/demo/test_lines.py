"""The demo's line protocol: shape of real collectors, three exact decimals, grammar of the contract."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ccserver.demo.collector import Collector
from ccserver.demo.lines import SeriesKey, format_block, head, head_matrix, line

# spec/metric-store.md 2.2, for lines without escapes: measurement, sorted tags, float, seconds
LINE = re.compile(
    rb"[a-z_]+,cluster=[a-z]+,hostname=[A-Za-z0-9-]+,type=(node|(?:socket|hwthread|accelerator),type-id=[0-9A-Fa-f:.]+)"
    rb" value=-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? \d{10}"
)


def block(values: list[list[float]], times: list[int]) -> list[bytes]:
    keys = [SeriesKey("cpu_load"), SeriesKey("cpu_user", "hwthread", "7")][: len(values)]
    heads = head_matrix([head(key, "c", "n1") for key in keys])
    return format_block(heads, np.array(values), np.array(times)).split(b"\n")


def test_a_block_is_written_time_step_by_time_step() -> None:
    assert block([[1.0, 2.0], [3.0, 4.0]], [1700000000, 1700000030]) == [
        b"cpu_load,cluster=c,hostname=n1,type=node value=1 1700000000",
        b"cpu_user,cluster=c,hostname=n1,type=hwthread,type-id=7 value=3 1700000000",
        b"cpu_load,cluster=c,hostname=n1,type=node value=2 1700000030",
        b"cpu_user,cluster=c,hostname=n1,type=hwthread,type-id=7 value=4 1700000030",
        b"",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (0.0004, b"0"),
        (0.001, b"0.001"),
        (0.05, b"0.05"),
        (0.5, b"0.5"),
        (7.0, b"7"),
        (10.0, b"10"),
        (100.01, b"100.01"),
        (1020.3, b"1020.3"),
        (999.9996, b"1000"),
        (4294967.0, b"4294967"),
        (1e12, b"4294967"),
        (-3.0, b"0"),
    ],
)
def test_a_number_has_its_shortest_form(value: float, text: bytes) -> None:
    assert block([[value]], [1700000000])[0].split(b"value=")[1] == text + b" 1700000000"


def test_random_numbers_read_back_to_three_decimals() -> None:
    values = np.random.default_rng(5).lognormal(2.0, 4.0, 5000).clip(0, 4e6)
    read = [
        float(each.split(b"value=")[1].split()[0])
        for each in block([values.tolist()], [1700000000] * 5000)[:-1]
    ]
    np.testing.assert_allclose(read, values, atol=0.00051, rtol=0)


def test_a_missing_sample_has_no_line() -> None:
    lines = block([[np.nan, 2.0], [3.0, np.nan]], [1700000000, 1700000030])
    assert [each.split(b",")[0] for each in lines] == [b"cpu_user", b"cpu_load", b""]


def test_a_single_line_is_formatted_like_a_block() -> None:
    key = SeriesKey("cpu_user", "hwthread", "7")
    assert line(key, "c", "n1", 12.25, 1700000000) == (
        b"cpu_user,cluster=c,hostname=n1,type=hwthread,type-id=7 value=12.25 1700000000"
    )


def test_the_collector_sends_every_metric_of_this_machine() -> None:
    lines = Collector("host", [0]).lines(1700000000).splitlines()
    assert all(LINE.fullmatch(each) for each in lines)
    names = [each.split(b",")[0].decode() for each in lines]
    assert names == ["cpu_load", "disk_read_bw", "disk_write_bw", "mem_used", "net_bw", "cpu_user"]
