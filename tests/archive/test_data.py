from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccserver.archive import ArchiveError, decode_data, encode_data
from ccserver.model.metrics import JobData, JobMetric, Series, Statistics, StatisticsSeries, Unit
from tests.archive import jobs


def node(**more: Any) -> dict[str, Any]:
    return {
        "unit": {"base": "W"},
        "timestep": 60,
        "series": [{"hostname": "h", "data": [1, None, 2.5]}],
        **more,
    }


def decode(document: object) -> JobData:
    return decode_data(json.dumps(document).encode())


def test_the_written_form() -> None:
    assert encode_data(jobs.data()) == (
        b'{"cpu_load":{"node":{"unit":{"base":""},"series":['
        b'{"hostname":"d03","statistics":{"min":0.10,"avg":5.43,"max":8.20},"data":[0.10,8.00,8.20,null]},'
        b'{"hostname":"d04","statistics":{"min":0.10,"avg":5.43,"max":8.20},"data":[8.00,8.10,8.10,8.00]}],'
        b'"timestep":60}},'
        b'"mem_bw":{"node":{"unit":{"base":"B/s","prefix":"G"},"series":['
        b'{"hostname":"d03","statistics":{"min":0.10,"avg":5.43,"max":8.20},"data":[0.50,29.80,60.00]}],'
        b'"timestep":60},"socket":{"unit":{"base":"B/s","prefix":"G"},"series":['
        b'{"hostname":"d03","id":"0","statistics":{"min":0.10,"avg":5.43,"max":8.20},"data":[0.20,14.80,30.00]}],'
        b'"timestep":60}}}\n'
    )


def test_nothing_is_a_document_too() -> None:
    assert encode_data({}) == b"{}\n"
    assert decode_data(b"{}\n") == {}


def test_statistics_of_many_series_keep_their_gaps() -> None:
    curve = np.array([1.005, np.nan])
    metric = JobMetric(
        Unit(), 60, [], StatisticsSeries(min=curve, max=curve, median=curve, percentiles={"10": curve})
    )
    raw = encode_data({"m": {"node": metric}})
    assert b'"mean":null,"median":[1.00,null]' in raw
    read = decode_data(raw)["m"]["node"].statistics_series
    assert read is not None
    assert read.mean is None
    assert read.median is not None
    np.testing.assert_array_equal(read.median, [1.0, np.nan])
    np.testing.assert_array_equal(read.percentiles["10"], [1.0, np.nan])


def test_gaps_are_nan_and_arrays_read_only() -> None:
    values = decode({"m": {"node": node()}})["m"]["node"].series[0].data
    np.testing.assert_array_equal(values, [1, np.nan, 2.5])
    assert values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 3


def test_missing_statistics_are_zero() -> None:
    assert decode({"m": {"node": node()}})["m"]["node"].series[0].statistics == Statistics(0, 0, 0)


def test_unknown_keys_scopes_and_entries_that_are_no_objects_are_left_out() -> None:
    document = {
        "filesystems": [{"name": "lustre"}],
        "m": {"node": node(thresholds={"peak": 5}), "galaxy": node()},
    }
    read = decode(document)
    assert list(read) == ["m"]
    assert list(read["m"]) == ["node"]


def test_older_files_have_a_mean_only() -> None:
    read = decode({"m": {"node": node(statisticsSeries={"mean": [1, None], "min": [0], "max": [2]})}})
    found = read["m"]["node"].statistics_series
    assert found is not None
    assert found.median is None
    assert found.mean is not None
    np.testing.assert_array_equal(found.mean, [1, np.nan])


@pytest.mark.parametrize(
    "document",
    [
        {"m": {"node": node(unit="W")}},
        {"m": {"node": node(series=[{"hostname": "h", "id": 3, "data": []}])}},
        {"m": {"node": node(series=[{"hostname": "h", "data": ["x"]}])}},
        {"m": {"node": 5}},
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_metric(document: object) -> None:
    with pytest.raises(ArchiveError, match=r"data\.json: metric m"):
        decode(document)


@pytest.mark.parametrize("raw", [b"", b"[1]", b'{"m":', b'{"m":{"node":{"timestep":NaN}}}'])
def test_a_broken_document_is_an_error(raw: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"data\.json"):
        decode_data(raw)


def test_node_scope_may_carry_a_meaningless_id() -> None:
    read = decode({"m": {"node": node(series=[{"hostname": "h", "id": "0", "data": [1]}])}})
    assert read["m"]["node"].series[0].id == "0"


def test_single_precision_input_is_written_as_it_is() -> None:
    series = Series("h", np.array([0.1, 16777217], dtype=np.float64), Statistics(0.1, 0.1, 0.1))
    assert b'"data":[0.10,16777216.00]' in encode_data({"m": {"node": JobMetric(Unit(), 1, [series])}})


def test_the_reference_s_own_file_is_reproduced_byte_for_byte(fixtures: Path) -> None:
    written = fixtures / "importer/written-by-reference/fritz/398/764/1675954353/data.json.gz"
    expected = gzip.decompress(written.read_bytes())
    assert encode_data(decode_data(expected)) == expected
    source = (fixtures / "importer/data-fritzMinimal.json").read_bytes()
    assert encode_data(decode_data(source)) == expected
