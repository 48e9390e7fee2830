"""Lines to samples: spec/metric-store.md 2.3 to 2.5."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccstore import Metric, MetricStore, Query, StoreOptions, WriteReport
from tests.store.conftest import NOW, StoreMaker


def cases(fixtures: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((fixtures / "metric-store/lineprotocol/cases.json").read_text())
    return document


def store_for(setup: dict[str, Any]) -> MetricStore:
    table = [Metric(name, m["frequency"], m["aggregation"] or "") for name, m in setup["metrics"].items()]
    options = StoreOptions(retention=setup["retention_seconds"], max_future=setup["max_future_seconds"])
    return MetricStore(
        dict.fromkeys(setup["known_clusters"], table), options, clock=lambda: float(setup["now"])
    )


def payload_of(case: dict[str, Any]) -> bytes:
    if "payload_base64" in case:
        return base64.b64decode(case["payload_base64"])
    return case["payload"].encode()  # type: ignore[no-any-return]


def value_at(store: MetricStore, sample: dict[str, Any]) -> float:
    query = Query(sample["metric"], sample["host"])
    if sample["type"] != "node":
        subtypes = (sample["stype_id"],) if sample["stype"] else ()
        query = Query(
            sample["metric"], sample["host"], sample["type"], (sample["type_id"],), sample["stype"], subtypes
        )
    (row,) = store.query(sample["cluster"], sample["ts"], sample["ts"] + 1, [query]).rows
    assert row[0].data is not None
    return float(row[0].data[0])


def check(setup: dict[str, Any], case: dict[str, Any], payload: bytes) -> None:
    store = store_for(setup)
    report = store.write(payload, setup["cluster_default"])
    required = case["required"]
    assert [{"line": r.line, "reason": r.reason} for r in report.rejected] == required["rejected"]
    dropped: dict[str, int] = {}
    for one in required["dropped"]:
        dropped[one["reason"]] = dropped.get(one["reason"], 0) + 1
    assert report.dropped == dropped
    assert report.stored == len(required["accepted"])
    balanced(report)
    last = {(s["cluster"], s["host"], s["metric"], s["type_id"], s["ts"]): s for s in required["accepted"]}
    for sample in last.values():
        assert value_at(store, sample) == pytest.approx(sample["value"], rel=1e-6)
    assert sum(1 for _ in store.tree()) == len({key[:4] for key in last})


def balanced(report: WriteReport) -> None:
    assert report.lines == report.stored + sum(report.dropped.values()) + report.rejected_total


def test_required_outcomes(fixtures: Path) -> None:
    document = cases(fixtures)
    for case in document["cases"]:
        check(document["setup"], case, payload_of(case))


def test_required_outcomes_with_crlf(fixtures: Path) -> None:
    document = cases(fixtures)
    for case in document["cases"]:
        if case["id"] != "newline-inside-string":
            check(document["setup"], case, payload_of(case).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def test_required_outcomes_the_second_time(fixtures: Path) -> None:
    """Keys that have been seen take another path."""
    document = cases(fixtures)
    for case in document["cases"]:
        store = store_for(document["setup"])
        first = store.write(payload_of(case), document["setup"]["cluster_default"])
        second = store.write(payload_of(case), document["setup"]["cluster_default"])
        assert first == second, case["id"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"cpu_load,hostname=h value= 1700000000", "value"),
        (b"cpu_load,hostname=h value=-i 1700000000", "value"),
        (b"cpu_load,hostname=h foo=bar 1700000000", "syntax"),
        (b"cpu_load,hostname=h value=1 99999999999999999999", "timestamp"),
        (b"cpu_load,hostname=h value=1 1700000000\rx", "timestamp"),
        (b"cpu_load,hostname=h,=x value=1", "syntax"),
        (b"cpu_load,hostname=h,a=b=c value=1", "syntax"),
        (b"cpu_load,hostname=h", "syntax"),
        (b'cpu_load,hostname=h foo="open', "syntax"),
        (b",hostname=h value=1", "syntax"),
        (b"cpu_load,hostname=" + b"h" * 256 + b" value=1", "bad-name"),
        (b"cpu_load,hostname=../../x value=1", "bad-name"),
        (b"cpu_load,cluster=../x,hostname=h value=1", "bad-name"),
        (b"cpu_load,hostname=a/b value=1", "bad-name"),
        (b"cpu_load,hostname=a\\\\b value=1", "bad-name"),
        (b"cpu_load,hostname=a\0b value=1", "syntax"),
        (b"cpu_load,hostname=. value=1", "bad-name"),
        (b"cpu_load,hostname=h,type=a.b,type-id=1 value=1", "bad-name"),
        (b"cpu_load,hostname=h,type=socket,type-id=a..b value=1", "bad-name"),
        (b"cpu_load,hostname=h,type=" + b"t" * 65 + b" value=1", "bad-name"),
        (b"cpu_load,hostname=h,x=" + b"y" * 70000 + b" value=1", "line-too-long"),
        (b"cpu_load,hostname=h,x=\xed\xa0\x80 value=1", "utf8"),
        (b"cpu_load,hostname=h,x=\xc0\xaf value=1", "utf8"),
    ],
)
def test_a_bad_line_costs_itself_only(make_store: StoreMaker, line: bytes, reason: str) -> None:
    store = make_store()
    good = b"cpu_load,hostname=g value=%d 1700000000"
    report = store.write(good % 1 + b"\n" + line + b"\n\n" + good % 2, "c")
    assert [(r.line, r.reason) for r in report.rejected] == [(2, reason)]
    assert report.stored == 2
    assert store.hosts("c") == ["g"]
    assert len(report.rejected[0].text) <= 120
    balanced(report)


def test_a_key_with_escapes_is_another_spelling_of_the_same_series(make_store: StoreMaker) -> None:
    store = make_store()
    store.write(
        b"cpu_load,hostname=a\\ b value=1 1700000000\ncpu_load,hostname=a\\ b value=2 1700000060", "c"
    )
    store.write(b"cpu_load,x=y,hostname=a\\ b value=3 1700000120", "c")
    (row,) = store.query("c", 1700000000, 1700000180, [Query("cpu_load", "a b")]).rows
    assert row[0].data is not None
    assert row[0].data.tolist() == [1.0, 2.0, 3.0]


def test_default_clusters_do_not_mix(make_store: StoreMaker) -> None:
    store = make_store(clusters=("a", "b"))
    line = b"cpu_load,hostname=h value=%d 1700000000"
    for _ in range(3):
        store.write(line % 1, "a")
        store.write(line % 2, "b")
        assert store.write(line % 3, "nosuch").dropped == {"unknown-cluster": 1}
        assert store.write(line % 3).rejected[0].reason == "no-cluster"
    assert store.last_values("a", ["cpu_load"]).values.tolist() == [[1.0]]
    assert store.last_values("b", ["cpu_load"]).values.tolist() == [[2.0]]


def test_devices_at_node_level_are_counted(make_store: StoreMaker) -> None:
    store = make_store()
    for _ in range(3):
        store.write(b"cpu_load,hostname=h,stype=network,stype-id=eth0,type=node value=2 1700000000", "c")
    assert store.counters()["node_subtype_ignored"] == {"cpu_load": 3}


def test_unknown_metrics_are_counted_by_name_up_to_a_limit(make_store: StoreMaker) -> None:
    store = make_store()
    for _ in range(2):
        report = store.write(b"\n".join(b"m%d,hostname=h value=1" % i for i in range(1200)), "c")
        assert report.dropped == {"unknown-metric": 1200}
    unknown = store.counters()["unknown_metrics"]
    assert isinstance(unknown, dict)
    assert unknown["m5"] == 2
    assert unknown[""] == 400
    assert len(unknown) == 1001


def test_any_cluster_is_taken_when_none_is_configured() -> None:
    store = MetricStore({"*": [Metric("m", 60)]}, StoreOptions(), clock=lambda: float(NOW))
    report = store.write(b"m,cluster=x,hostname=h value=1 1700000000\nm,cluster=..,hostname=h value=1", "y")
    assert (report.stored, report.rejected[0].reason) == (1, "bad-name")
    assert store.hosts("x") == ["h"]
    assert store.hosts("y") == []


def test_numbers_beyond_float32_stay_finite(make_store: StoreMaker) -> None:
    store = make_store()
    store.write(
        b"cpu_load,hostname=h value=1e300 1700000000\ncpu_load,hostname=g value=-1e300 1700000000", "c"
    )
    assert store.last_values("c", ["cpu_load"]).values.tolist() == [
        [-3.4028234663852886e38],
        [3.4028234663852886e38],
    ]


_GOOD = "cpu_load,hostname=good value=42 1700000000"
_PIECES = st.sampled_from(
    ["cpu_load", ",", "hostname=h", "type=", "hwthread", " ", "value", "=", "1", '"', "\\", "\n", "\r", "#",
     "i", "-", "e", ".", "1700000000", "\x00", "\t", "é", "true", "cluster=c", "type-id=1"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.lists(_PIECES, max_size=40).map(lambda p: "".join(p).encode())))
def test_rubbish_neither_crashes_nor_takes_a_good_line_with_it(rubbish: bytes) -> None:
    store = MetricStore({"c": [Metric("cpu_load", 60)]}, StoreOptions(), clock=lambda: float(NOW))
    report = store.write(rubbish + b"\n" + _GOOD.encode(), "c")
    balanced(report)
    assert "good" in store.hosts("c")
    again = store.write(rubbish + b"\n" + _GOOD.encode(), "c")
    assert again == report
