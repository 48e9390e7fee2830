"""Samples that leave the retention: Parquet files, one per cluster and run. spec/metric-store.md 11.4."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from ccstore import DirectoryInUse, Metric, MetricStore, Query, StoreOptions
from tests.abandon import abandon

START = 1700000000
HOUR = 3600
METRICS = [Metric("cpu_load", 60), Metric("flops_any", 60, "sum", "hwthread"), Metric("nv", 60)]

Clock = list[float]


def open_store(folder: Path, clock: Clock, target: Path | None = None, **options: Any) -> MetricStore:
    clusters = dict.fromkeys(("c", "d"), METRICS)
    chosen = StoreOptions(
        directory=folder / "checkpoints", retention=10 * HOUR, archive=target or folder / "archive", **options
    )
    store = MetricStore(clusters, chosen, clock=lambda: clock[0])
    store.restore()
    return store


def lines(i: int) -> bytes:
    at = START + 60 * i
    text = [f"cpu_load,cluster={c},hostname=h{h} value={i + h} {at}" for c in "cd" for h in range(2)]
    text += [f"flops_any,cluster=c,hostname=h0,type=hwthread,type-id={t} value={i} {at + 7}" for t in (10, 9)]
    text.append(
        "nv,cluster=c,hostname=h0,type=accelerator,type-id=00:3b.0,stype=nvlink,stype-id=1 "
        f"value={i + 0.25} {at}"
    )
    return "\n".join(text).encode()


def run(store: MetricStore, clock: Clock, first: int, last: int) -> None:
    """Writes and keeps house as time goes by, a checkpoint every two hours."""
    for i in range(first, last):
        clock[0] = START + 60 * i + 10
        assert store.write(lines(i), "c").stored == 7
        if i % 120 == 119:
            store.checkpoint()
            store.housekeeping()


def rows(folder: Path, cluster: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted((folder / "archive" / cluster).glob("*.parquet")):
        found += parquet.read_table(path).to_pylist()
    return found


def test_every_sample_is_archived_once(tmp_path: Path) -> None:
    """Over checkpoints, full ones among them, restarts and clean-ups."""
    clock: Clock = [START]
    store = open_store(tmp_path, clock)
    for part in range(6):
        run(store, clock, part * 480, part * 480 + 480)
        store.cleanup()
        if part % 2:
            store.close()
            store = open_store(tmp_path, clock)
    cutoff = int(clock[0]) - 10 * HOUR
    due = (cutoff - START - 1) // 60 + 1
    of_c = rows(tmp_path, "c")
    keys = [(r["hostname"], r["metric"], r["scope"], r["scope_id"], r["timestamp"]) for r in of_c]
    assert len(keys) == len(set(keys))
    loads = {r["timestamp"]: r["value"] for r in of_c if r["hostname"] == "h1" and r["metric"] == "cpu_load"}
    assert loads == {START + 60 * i: i + 1 for i in range(due)}
    assert len(rows(tmp_path, "d")) == 2 * due
    assert {(r["metric"], r["scope"], r["scope_id"]) for r in of_c} == {
        ("cpu_load", "node", ""),
        ("flops_any", "hwthread", "9"),
        ("flops_any", "hwthread", "10"),
        ("nv", "nvlink", "00:3b.0/1"),
    }
    assert len(list((tmp_path / "checkpoints").glob("*.checkpoint"))) <= 16
    store.close()


def test_the_file_is_what_readers_expect(tmp_path: Path) -> None:
    clock: Clock = [START]
    store = open_store(tmp_path, clock)
    run(store, clock, 0, 240)
    clock[0] = START + 12 * HOUR
    report = store.cleanup()
    cutoff = START + 2 * HOUR
    assert sorted(report.archived) == [tmp_path / f"archive/{c}/{cutoff}.parquet" for c in "cd"]
    assert report.samples == 7 * 120
    assert not report.failed
    file = parquet.ParquetFile(tmp_path / f"archive/c/{cutoff}.parquet")
    assert {f.name: str(f.type) for f in file.schema_arrow} == {
        **dict.fromkeys(("cluster", "hostname", "metric", "scope", "scope_id"), "string"),
        "timestamp": "int64",
        "frequency": "int64",
        "value": "float",
    }
    assert file.metadata.num_row_groups == 2, "one for each host"
    assert {file.metadata.row_group(0).column(i).compression for i in range(8)} == {"ZSTD"}
    for group in range(2):
        table = file.read_row_group(group).to_pylist()
        assert len({r["hostname"] for r in table}) == 1
        order = [(r["metric"], r["scope"], r["timestamp"]) for r in table]
        assert order == sorted(order)
        assert {r["frequency"] for r in table} == {60}
        assert all(r["timestamp"] < cutoff for r in table)
    assert not list((tmp_path / "archive").rglob("*.unfinished"))
    assert store.cleanup().archived == (), "and nothing is left for a second run"
    store.close()


def test_a_cluster_that_fails_stops_no_other_and_keeps_its_sources(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock: Clock = [START]
    store = open_store(tmp_path, clock)
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/c").write_text("a file in the way")
    run(store, clock, 0, 1440)
    clock[0] += 20 * HOUR
    with caplog.at_level(logging.ERROR):
        report = store.cleanup()
    assert report.failed == ("c",)
    assert len(report.archived) == 1
    assert "cluster c could not be archived" in caplog.text
    for _ in range(20):  # the chain becomes too long and is replaced by a full checkpoint
        store.checkpoint()
    (tmp_path / "archive/c").unlink()
    report = store.cleanup()
    assert not report.failed
    assert report.removed
    assert len([r for r in rows(tmp_path, "c") if r["metric"] == "cpu_load"]) == 2 * 1440
    assert len(rows(tmp_path, "d")) == 2 * 1440
    assert len(list((tmp_path / "checkpoints").glob("*.checkpoint"))) <= 16
    store.close()


def test_large_hosts_are_written_in_several_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccstore.archive._ROWS_OF_GROUP", 100)
    clock: Clock = [START]
    store = open_store(tmp_path, clock)
    run(store, clock, 0, 120)
    clock[0] += 20 * HOUR
    (path,) = [path for path in store.cleanup().archived if path.parent.name == "c"]
    assert parquet.ParquetFile(path).metadata.num_row_groups == 4
    assert len(rows(tmp_path, "c")) == 5 * 120
    store.close()


def test_deleting_removes_files_by_their_content(tmp_path: Path) -> None:
    clock: Clock = [START]
    chosen = StoreOptions(directory=tmp_path, retention=10 * HOUR, checkpoint_interval=10**7)
    store = MetricStore({"c": METRICS, "d": METRICS}, chosen, clock=lambda: clock[0])
    store.restore()
    jobs: dict[str, list[str]] = {"c": ["h0"]}
    store.in_use(lambda before: jobs)
    run(store, clock, 0, 8 * 120)
    assert len(list(tmp_path.glob("*.checkpoint"))) == 8
    clock[0] = START + 16 * HOUR
    store.housekeeping()
    assert store.cleanup().removed == 0, "h0 runs a job: what it had is kept"
    jobs.clear()
    clock[0] += 4 * HOUR
    store.housekeeping()
    removed = store.cleanup().removed
    assert 4 <= removed <= 6, "ten of sixteen hours are still inside the retention"
    store.close()
    again = MetricStore({"c": METRICS, "d": METRICS}, chosen, clock=lambda: clock[0])
    assert again.restore().damaged == 0
    ((result,),) = again.query("c", START + 11 * HOUR, START + 16 * HOUR, [Query("cpu_load", "h1")]).rows
    assert result.data is not None
    np.testing.assert_array_equal(result.data, np.arange(11 * 60, 16 * 60) + 1)
    again.close()


def test_one_directory_has_one_store(tmp_path: Path) -> None:
    clock: Clock = [START]
    store = open_store(tmp_path, clock)
    with pytest.raises(DirectoryInUse, match=r"in use by another metric store \(process \d+\)"):
        open_store(tmp_path, clock)
    abandon(store)
    open_store(tmp_path, clock).close()


def test_a_journal_beyond_its_size_per_host_asks_for_a_checkpoint(tmp_path: Path) -> None:
    clock: Clock = [START]
    store = open_store(tmp_path, clock, journal_limit_per_host=1000)

    def checkpoints_after(work: Callable[[], None]) -> int:
        work()
        assert store.sync()
        clock[0] += 70
        store.housekeeping()
        return len(list((tmp_path / "checkpoints").glob("*.checkpoint")))

    assert checkpoints_after(lambda: run(store, clock, 0, 3)) == 0
    assert checkpoints_after(lambda: run(store, clock, 3, 110)) == 1
    assert int(store.counters()["journal_bytes"]) == 0  # type: ignore[arg-type]
    store.close()
