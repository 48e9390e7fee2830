"""Checkpoints: what is written comes back, and damage costs itself only. spec/metric-store.md 11.1."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import lz4.block
import msgpack
import numpy as np
import pytest

from ccstore import Metric, MetricStore, Query, StoreOptions
from tests.abandon import reopened

START = 1700000000
METRICS = [Metric("cpu_load", 60), Metric("flops_any", 60, "sum", "hwthread")]
PAGE = Path(__file__).resolve().parents[2] / "docs/format/checkpoint.md"


def open_store(directory: Path, now: float = START + 12000.0, metrics: list[Metric] = METRICS) -> MetricStore:
    return reopened(
        directory,
        lambda: MetricStore({"c": metrics}, StoreOptions(directory=directory), clock=lambda: now),
    )


def fill(store: MetricStore, samples: int = 200) -> None:
    """Three hosts with their own phases; the phase of all changes in the middle."""
    for i in range(samples):
        at = START + 60 * i + (20 if i > samples // 2 else 0)
        lines = [f"cpu_load,hostname=h{h} value={i + h / 8} {at + h}" for h in range(3)]
        lines += [
            f"flops_any,hostname=h{h},type=hwthread,type-id={t} value={i} {at}"
            for h in range(3)
            for t in (0, 1)
        ]
        assert store.write("\n".join(lines).encode(), "c").stored == 9


def contents(store: MetricStore) -> list[Any]:
    queries = [Query(m, f"h{h}") for h in range(3) for m in ("cpu_load", "flops_any")]
    answer = store.query("c", START - 120, START + 12300, queries)
    found: list[Any] = [
        [(r.start, r.avg, None if r.data is None else r.data.tobytes()) for r in row] for row in answer.rows
    ]
    return [*found, sorted(map(str, store.tree()))]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, list[Any]]:
    store = open_store(tmp_path)
    store.restore()
    fill(store)
    before = contents(store)
    store.close()
    return tmp_path, before


def checkpoint_in(directory: Path) -> Path:
    (path,) = directory.glob("*.checkpoint")
    return path


def test_everything_comes_back(saved: tuple[Path, list[Any]]) -> None:
    directory, before = saved
    for _ in range(3):
        store = open_store(directory)
        report = store.restore()
        assert (report.damaged, report.series, report.samples) == (0, 9, 1800)
        assert contents(store) == before
        store.close()


def test_samples_go_on_where_they_stopped(saved: tuple[Path, list[Any]], tmp_path: Path) -> None:
    directory, _ = saved
    store = open_store(directory)
    store.restore()
    store.write(b"cpu_load,hostname=h0 value=9 %d" % (START + 12020), "c")
    ((result,),) = store.query("c", START + 11900, START + 12080, [Query("cpu_load", "h0")]).rows
    assert result.data is not None
    assert result.data.tolist() == [198.0, 199.0, 9.0]


def test_what_is_written_before_the_restore_is_kept(saved: tuple[Path, list[Any]]) -> None:
    directory, _ = saved
    store = open_store(directory)
    store.write(b"cpu_load,hostname=h0 value=7 %d" % (START + 12037), "c")
    store.restore()
    ((result,),) = store.query("c", START, START + 12080, [Query("cpu_load", "h0")]).rows
    assert result.data is not None
    assert result.data[-1] == 7.0
    assert np.count_nonzero(~np.isnan(result.data)) >= 200


def test_a_cut_file_costs_what_is_missing_only(saved: tuple[Path, list[Any]]) -> None:
    directory, _ = saved
    path = checkpoint_in(directory)
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        store = open_store(directory)
        report = store.restore()
        assert report.damaged == 1
        assert store.ready
        for aside in directory.glob("*.damaged*"):
            aside.unlink()


def test_no_flipped_byte_goes_unnoticed(saved: tuple[Path, list[Any]]) -> None:
    directory, before = saved
    path = checkpoint_in(directory)
    whole = path.read_bytes()
    for at in range(0, len(whole), 53):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        store = open_store(directory)
        assert store.restore().damaged == 1
        assert contents(store) != before or at > len(whole) - 60
        for aside in directory.glob("*.damaged*"):
            aside.unlink()


def test_foreign_and_empty_files_are_no_reason_not_to_start(saved: tuple[Path, list[Any]]) -> None:
    directory, before = saved
    (directory / "000000000099.checkpoint").write_bytes(b"")
    (directory / "000000000098.checkpoint").write_bytes(b"something else entirely" * 10)
    (directory / "notes.txt").write_text("hello")
    (directory / "sub").mkdir()
    (directory / "000000000097.unfinished").write_bytes(b"half")
    store = open_store(directory)
    report = store.restore()
    assert report.damaged == 2
    assert contents(store) == before
    store.close()


def test_dropped_metrics_are_skipped_and_other_steps_are_fitted_in(saved: tuple[Path, list[Any]]) -> None:
    directory, _ = saved
    store = open_store(directory, metrics=[Metric("cpu_load", 30)])
    assert store.restore().series == 3
    ((result,),) = store.query("c", START, START + 120, [Query("cpu_load", "h0")]).rows
    assert result.data is not None
    np.testing.assert_array_equal(result.data, [0.0, np.nan, 1.0, np.nan])


def test_data_older_than_the_retention_stays_away(saved: tuple[Path, list[Any]]) -> None:
    directory, _ = saved
    store = open_store(directory, now=START + 172800 + 20000.0)
    assert store.restore().samples == 0
    assert store.hosts("c") == []


def test_the_page_on_the_format_tells_the_truth(saved: tuple[Path, list[Any]]) -> None:
    """Decodes a file with nothing but what docs/format/checkpoint.md says."""
    directory, _ = saved
    raw = checkpoint_in(directory).read_bytes()
    magic, version, size, check = struct.unpack_from("<8sIII", raw, 0)
    assert (magic, version) == (b"CCSTORE\n", 2)
    assert zlib.crc32(raw[20 : 20 + size]) == check
    header = msgpack.unpackb(raw[20 : 20 + size])
    page = PAGE.read_text()
    assert set(header) == set(re.findall(r"^\| `(\w+)` \|", page.split("## Block")[0], re.M))
    at = 20 + size
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    while True:
        magic, a, b, meta_size, rows_size, check = struct.unpack_from("<4sIIIII", raw, at)
        body = raw[at + 24 : at + 24 + a + b]
        assert zlib.crc32(raw[at : at + 20] + body) == check
        meta = msgpack.unpackb(lz4.block.decompress(body[:a], uncompressed_size=meta_size))
        if magic == b"CEND":
            break
        for key in meta:
            assert f"`{key}`" in page, key
        shuffled = np.frombuffer(lz4.block.decompress(body[a:], uncompressed_size=rows_size), np.uint8)
        numbers = shuffled.reshape(4, -1).T.copy().view("<f4").ravel()
        column = {k: np.frombuffer(v, "<i4").tolist() for k, v in meta.items() if isinstance(v, bytes)}
        m = 0
        series_at: dict[tuple[int, int], tuple[Any, int, list[tuple[int, int]]]] = {}
        for s in range(meta["series"]):
            kind = meta["components"][column["component"][s]]
            key3 = (
                meta["hosts"][column["host"][s]][1],
                meta["metrics"][column["metric"][s]],
                kind[0] + kind[1],
            )
            behind = m + column["segment_count"][s]
            segments = [(column["segment_first"][i], column["segment_offset"][i]) for i in range(m, behind)]
            m = behind
            series_at[column["group"][s], column["row"][s]] = (key3, column["step"][s], segments)
        place = 0
        for p in range(meta["pages"]):
            for row in range(column["page_rows"][p]):
                for j in range(column["page_slots"][p]):
                    value = float(numbers[place])
                    place += 1
                    if value != value:
                        continue
                    key3, step, segments = series_at[column["page_group"][p], row]
                    slot = column["page_first"][p] + j
                    offset = [o for first, o in segments if first <= slot or first == segments[0][0]][-1]
                    values.setdefault(key3, {})[header["base"] + slot * step + offset] = value
        assert place == len(numbers)
        at += 24 + a + b
    assert meta["series"] == 9
    assert len(values) == 9
    assert values["h1", "cpu_load", ""][START + 1] == 0.125
    assert values["h2", "flops_any", "hwthread1"][START + 60] == 1.0
    assert all(len(one) == 200 for one in values.values())
