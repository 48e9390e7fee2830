"""Bodies clients send are read by the strict rules, and jobs are written with exactly the agreed keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccserver.jobs.wire import (
    JobReference,
    StopRequest,
    WireError,
    decode_job,
    decode_reference,
    decode_stop,
    decode_tags,
    encode_job,
)
from ccserver.model.job import Resource, Tag
from ccserver.model.metrics import JobStatistic, Unit
from tests.jobs.records import NOW, make_job


def body(**members: Any) -> str:
    return json.dumps({"jobId": 1, "cluster": "alpha", "user": "alice"} | members)


def test_defaults_of_what_is_absent() -> None:
    job = decode_job(body())
    assert (job.shared, job.monitoring_status, job.smt, job.num_hwthreads) == ("none", 1, 0, 0)
    assert (job.metadata, job.tags, job.footprint, job.statistics) == (None, None, None, None)


def test_null_is_the_same_as_absent() -> None:
    members = json.loads(body())
    names = "subCluster shared jobState startTime monitoringStatus resources metaData tags exclusive smt"
    assert decode_job(members | dict.fromkeys(names.split())) == decode_job(members)


def test_keys_match_without_case_and_the_last_one_wins() -> None:
    job = decode_job(
        '{"JOBID": 7, "numHWThreads": 4, "NumHwthreads": 8, "numhwthreads": 6, "metaData": {"A":"1","a":"2"}}'
    )
    assert (job.job_id, job.num_hwthreads) == (7, 6)
    assert decode_job('{"jobId": 1, "JOBID": 2, "jobId": 3}').job_id == 3
    assert job.metadata == {"A": "1", "a": "2"}


def test_an_explicit_monitoring_status_0_is_kept() -> None:
    assert decode_job(body(monitoringStatus=0)).monitoring_status == 0


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"stopTime": 3}, 'unknown field "stopTime"'),
        ({"resources": [{"hostname": "a01", "cpus": 3}]}, 'unknown field "cpus" in /resources/0'),
        ({"tags": [{"type": "t", "colour": "red"}]}, 'unknown field "colour" in /tags/0'),
        ({"statistics": {"m": {"unit": {"suffix": "x"}}}}, 'unknown field "suffix" in /statistics/m/unit'),
        ({"numNodes": "1"}, "/numNodes: expected an integer"),
        ({"numNodes": 1.0}, "/numNodes: expected an integer"),
        ({"numNodes": True}, "/numNodes: expected an integer"),
        ({"numNodes": 1 << 31}, "/numNodes: 2147483648 does not fit into 32 bits"),
        ({"walltime": 1 << 63}, "/walltime: 9223372036854775808 does not fit into 64 bits"),
        ({"user": 3}, "/user: expected a string"),
        ({"resources": {}}, "/resources: expected an array"),
        ({"resources": ["a01"]}, "/resources/0: expected an object"),
        (
            {"resources": [{"hostname": "a01", "hwthreads": ["0"]}]},
            "/resources/0/hwthreads/0: expected an integer",
        ),
        ({"metaData": {"jobName": 7}}, "/metaData/jobName: expected a string"),
        ({"metaData": []}, "/metaData: expected an object"),
        ({"energy": "much"}, "/energy: expected a number"),
        ({"footprint": {"cpu_load_avg": None, "x": False}}, "/footprint/x: expected a number"),
        ({"exclusive": 3}, "/exclusive: expected 0, 1 or 2"),
        ({"shared": "everybody"}, "/shared: 'everybody' is none of"),
        ({"monitoringStatus": 4}, "/monitoringStatus: 4 is not between 0 and 3"),
        ({"jobId": None}, "the field 'jobId' is required"),
    ],
)
def test_what_is_refused_and_where(members: dict[str, Any], place: str) -> None:
    with pytest.raises(WireError) as refusal:
        decode_job(body(**members))
    assert str(refusal.value).startswith(place)


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "[]", "3", '"x"', "null", "{", '{"jobId": 1e3}', '{"jobId": NaN}',
        '{"energy": Infinity, "jobId":1}',
        '{"jobId": 1,}', '{"jobId": 1, "energy": 1e999}', "[" * 100_000, '{"jobId": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_bodies_that_are_no_job(text: str) -> None:
    with pytest.raises(WireError):
        decode_job(text)


def test_bytes_after_the_first_value_are_ignored() -> None:
    assert decode_job(body() + ' {"what": ') == decode_job(body())


def test_text_that_cannot_be_stored_is_replaced() -> None:
    job = decode_job(b'{"jobId": 1, "metaData": {"jobScript": "caf\xe9", "jobName": "\\ud800x"}}')
    assert job.metadata == {"jobScript": "caf\ufffd", "jobName": "\ufffdx"}


@pytest.mark.parametrize(("number", "shared"), [(0, "multi_user"), (1, "none"), (2, "single_user")])
def test_the_old_spelling_of_sharing(number: int, shared: str) -> None:
    assert decode_job(body(exclusive=number)).shared == shared
    assert decode_job(body(exclusive=number, shared="none")).shared == "none"


def test_stop_requests() -> None:
    assert decode_stop('{"jobId": 5, "stopTime": 9}') == StopRequest(5, 9)
    assert decode_stop('{"jobId": 5, "cluster": "", "startTime": 0, "jobState": ""}') == StopRequest(5)
    full = '{"jobId": 5, "cluster": "c", "startTime": 3, "jobState": "failed", "stopTime": 9}'
    assert decode_stop(full) == StopRequest(5, 9, "failed", "c", 3)
    assert decode_stop('{"stopTime": 9}', job_id_required=False) == StopRequest(None, 9)
    for text in ('{"stopTime": 9}', '{"jobId": 5, "stoptime": "9"}', '{"jobId": 5, "user": "x"}'):
        with pytest.raises(WireError):
            decode_stop(text)


def test_references_and_tags() -> None:
    assert decode_reference('{"jobId": 5, "cluster": "c"}') == JobReference(5, "c")
    assert decode_tags('[{"type": "t", "name": "n"}]') == [Tag("t", "n", "")]
    with pytest.raises(WireError, match="expected an array"):
        decode_tags('{"type": "t", "name": "n"}')


def test_the_answer_to_a_stop_has_these_keys_and_no_others() -> None:
    job = make_job(
        777001, id=1, start_time=1700000060, cluster="testcluster", subcluster="sc1", partition="main",
        project="projA", state="completed", duration=600, walltime=3600,
        resources=[Resource("host123", [0, 1, 2, 3])],
    )  # fmt: skip
    assert encode_job(job) == {
        "cluster": "testcluster", "subCluster": "sc1", "partition": "main", "project": "projA",
        "user": "alice",
        "shared": "none", "jobState": "completed",
        "resources": [{"hostname": "host123", "hwthreads": [0, 1, 2, 3]}],
        "energyFootprint": None, "footprint": None, "metaData": None,
        "concurrentJobs": {"items": None, "count": 0}, "energy": 0, "walltime": 3600, "jobId": 777001,
        "duration": 600, "monitoringStatus": 1, "numHwthreads": 4,
        "numNodes": 1, "statistics": None, "id": 1, "startTime": 1700000060,
    }  # fmt: skip


def test_what_is_set_is_written() -> None:
    job = make_job(
        1, id=4, num_acc=2, smt=1, array_job_id=3, submit_time=NOW, requested_memory=5, energy=1.5,
        resources=[Resource("a01", None, ["00000000:01:00.0"], "fast")], metadata={"jobName": "x"},
        tags=[Tag("t", "n", "global", 3)], footprint={"cpu_load_avg": 2.0},
        energy_footprint={"cpu_power": 0.25},
        statistics={"cpu_load": JobStatistic(Unit("B", "G"), 1.0, 0.5, 2.0)},
    )  # fmt: skip
    written = encode_job(job)
    assert written["resources"] == [
        {"hostname": "a01", "accelerators": ["00000000:01:00.0"], "configuration": "fast"}
    ]
    assert written["tags"] == [{"type": "t", "name": "n", "scope": "global", "id": 3}]
    assert written["statistics"] == {
        "cpu_load": {"unit": {"base": "B", "prefix": "G"}, "avg": 1, "min": 0.5, "max": 2}
    }
    assert (written["numAcc"], written["smt"], written["arrayJobId"]) == (2, 1, 3)
    assert (written["submitTime"], written["requestedMemory"], written["energy"]) == (NOW, 5, 1.5)
    assert json.dumps(written["footprint"]) == '{"cpu_load_avg": 2}'
    assert decode_job(written).resources == job.resources


@pytest.mark.parametrize(
    "name", ["adapter-start_job.json", "startJobPayload.json", "legacy-start_job-v1.2.json"]
)
def test_bodies_of_real_adapters_are_read(fixtures: Path, name: str) -> None:
    text = (fixtures / "rest" / name).read_bytes()
    job = decode_job(text)
    sent = json.loads(text)
    assert (job.job_id, job.cluster, job.metadata) == (sent["jobId"], sent["cluster"], sent["metaData"])
    assert job.monitoring_status == 1
    assert job.shared == "none"


def test_stop_bodies_of_real_adapters_are_read(fixtures: Path) -> None:
    for name in ("adapter-stop_job.json", "stopJobPayload.json"):
        assert decode_stop((fixtures / "rest" / name).read_bytes()).state == "completed"
    legacy = (fixtures / "rest" / "legacy-stop_job-by-id.json").read_bytes()
    assert decode_stop(legacy, job_id_required=False).stop_time == 1700103600
