from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ccserver.archive import ArchiveError, decode_meta, encode_meta
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobStatistic, Unit
from tests.archive.jobs import full_job, job

MINIMAL = {
    "jobId": 1, "cluster": "demo", "subCluster": "", "user": "u", "project": "p", "numNodes": 1,
    "shared": "none", "jobState": "done", "startTime": 5, "duration": 6, "resources": [{"hostname": "h"}],
    "statistics": {},
}  # fmt: skip


def decode(**change: object) -> Job:
    return decode_meta(json.dumps({**MINIMAL, **change}).encode())


def test_every_field_survives_writing_and_reading() -> None:
    written = full_job()
    read = decode_meta(encode_meta(written))
    # The id of the job and of its tags belong to one database.
    tags = [dataclasses.replace(tag, id=0) for tag in written.tags or ()]
    assert read == dataclasses.replace(written, id=0, tags=tags)


def test_empty_values_are_left_out() -> None:
    raw = encode_meta(job(statistics=None))
    assert raw == (
        b'{"cluster":"demo","subCluster":"small","project":"phys1","user":"alice","shared":"none",'
        b'"jobState":"completed","resources":[{"hostname":"d03"},{"hostname":"d04","hwthreads":[0,1]}],'
        b'"energyFootprint":null,"footprint":null,"metaData":null,"concurrentJobs":{"items":null,"count":0},'
        b'"energy":0,"jobId":4711042,"duration":7200,"monitoringStatus":3,"numNodes":2,"statistics":{},'
        b'"startTime":1700000400}\n'
    )


def test_keys_of_maps_are_sorted_and_markup_is_escaped() -> None:
    raw = encode_meta(full_job()).decode()
    assert '"footprint":{"cpu_load_avg":7.85,"mem_used_max":30.25}' in raw
    assert '"jobName":"relax \\u003cb\\u003e\\u0026"' in raw
    assert "\\u2028" in raw
    assert '"tags":[{"type":"app","name":"vasp","scope":"alice","id":0}]' in raw
    assert '"statistics":{"cpu_load":{"unit":{"base":""},"avg":7.85,"min":0.1,"max":8}}' in raw


def test_nothing_is_assumed_about_what_the_file_lacks() -> None:
    read = decode_meta(b'{"jobId":1,"cluster":"demo","startTime":5}')
    assert (read.shared, read.state, read.user, read.num_nodes, read.monitoring_status) == ("", "", "", 0, 0)
    assert read.tags == []
    assert read.statistics == {}
    assert read.metadata is None


def test_readers_take_null_unknown_keys_and_integers_for_floats() -> None:
    read = decode(
        stopTime=11,
        metaData=None,
        tags=None,
        footprint={"a_avg": 1, "b_avg": None},
        energy=3,
        concurrentJobs={"items": None, "count": 0},
        statistics={"m": {"unit": {"base": "W"}, "avg": 1, "min": None}},
        id=77,
    )
    assert read.footprint == {"a_avg": 1.0, "b_avg": 0.0}
    assert read.energy == 3.0
    assert read.statistics == {"m": JobStatistic(Unit("W"), 1.0, 0.0, 0.0)}
    assert read.id == 0


def test_metadata_that_is_no_text_survives_as_text() -> None:
    assert decode(metaData={"a": "x", "b": 5, "c": {"d": 1}}).metadata == {"a": "x", "b": "5", "c": '{"d":1}'}


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"jobId":"1","cluster":"c","startTime":5}', b'{"cluster":"c","startTime":5}',
     b'{"jobId":1.0,"cluster":"c","startTime":5}', b'{"jobId":1,"cluster":"\xff","startTime":5}'],
)  # fmt: skip
def test_a_broken_file_is_an_archive_error(raw: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"meta\.json"):
        decode_meta(raw)


def test_resources_and_tags() -> None:
    read = decode(
        resources=[{"hostname": "a", "hwthreads": [1], "accelerators": ["x"], "configuration": "c"}],
        tags=[{"type": "t", "name": "n"}],
    )
    assert read.resources == [Resource("a", [1], ["x"], "c")]
    assert read.tags == [Tag("t", "n", "")]


def test_the_reference_s_own_file_is_reproduced_byte_for_byte(fixtures: Path) -> None:
    path = fixtures / "importer/written-by-reference/fritz/398/764/1675954353/meta.json"
    assert encode_meta(decode_meta(path.read_bytes())) == path.read_bytes()


def test_a_minimal_import_document_reads(fixtures: Path) -> None:
    golden = json.loads((fixtures / "importer/fritzMinimal-golden.json").read_text())
    read = decode_meta((fixtures / "importer/meta-fritzMinimal.input").read_bytes())
    found = {
        "jobId": read.job_id,
        "cluster": read.cluster,
        "startTime": read.start_time,
        "duration": read.duration,
    }
    assert found == golden
