"""Samples and jobs as tables: Parquet and CSV say the same, whatever the size of row groups."""

from __future__ import annotations

import csv
import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from ccserver.archive import tables
from ccserver.archive.tables import Kind
from tests.archive.jobs import data, full_job, job


def written(kind: Kind) -> bytes:
    return b"".join(tables.samples([(full_job(), data()), (job(5), data())], kind))


def test_csv_has_the_rows_of_parquet() -> None:
    rows = pq.read_table(io.BytesIO(written("parquet"))).to_pylist()
    texts = list(csv.DictReader(io.StringIO(written("csv").decode())))
    assert len(rows) == len(texts) == 2 * 14
    for row, text in zip(rows, texts, strict=True):
        assert text["time"] == f"{row['time']:%Y-%m-%d %H:%M:%S}Z"
        assert text["value"] == ("" if row["value"] is None else text["value"])
        assert np.float64(text["value"] or "nan") == pytest.approx(row["value"] or np.nan, nan_ok=True)
        assert (text["hostname"], text["component"]) == (row["hostname"], row["component"] or "")
    assert [row["value"] for row in rows].count(None) == 2


def test_the_size_of_row_groups_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pq.read_table(io.BytesIO(written("parquet")))
    monkeypatch.setattr(tables, "ROWS", 5)
    file = pq.ParquetFile(io.BytesIO(written("parquet")))
    assert file.num_row_groups > 5
    assert file.read().to_pylist() == whole.to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_no_jobs_are_a_table_without_rows(kind: Kind) -> None:
    raw = b"".join(tables.samples([], kind)), b"".join(tables.job_rows([], kind))
    names = [tables.SAMPLES.names, tables.JOBS.names]
    if kind == "parquet":
        assert [pq.read_table(io.BytesIO(one)).column_names for one in raw] == names
    else:
        assert [next(csv.reader(io.StringIO(one.decode()))) for one in raw] == names


def test_a_job_is_a_row() -> None:
    (row,) = pq.read_table(io.BytesIO(b"".join(tables.job_rows([full_job()], "parquet")))).to_pylist()
    assert (row["id"], row["user"], row["energy"], row["walltime"]) == (99, "alice", 0.84, 86400)
    assert row["footprint"] == '{"mem_used_max":30.25,"cpu_load_avg":7.85}'
