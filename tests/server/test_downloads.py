"""Files that the pages offer. Contract: spec/web-ui.md 3.6, 4.2, 6.5, 9.3."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import httpx
import pytest

from tests.server.running import Server, eventually

NOW = int(time.time())


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """Jobs of two users; the first has samples, and a name that a spreadsheet would run."""
    lines = "\n".join(
        f"cpu_load,cluster=small,hostname=n01,type=node value={number} {(NOW - 600 + 60 * number)}"
        for number in range(8)
    )
    with server.client() as client:
        assert client.post("/api/write/?cluster=small", content=lines).is_success
        for number, user, project, name in (
            (8801, "ute", "sheetlab", '=HYPERLINK("x")'),
            (8802, "max", "sheetother", "plain"),
            (8803, "ute", "sheetlab", "two, parts"),
        ):
            job = {
                "jobId": number, "cluster": "small", "subCluster": "main", "user": user, "project": project,
                "numNodes": 1, "walltime": 3600 + number, "shared": "none", "startTime": NOW - 600,
                "resources": [{"hostname": "n01"}], "metaData": {"jobName": name},
            }  # fmt: skip
            assert client.post("/api/jobs/start_job/", json=job).status_code == 201
    eventually(lambda: len(table(server, "boss", project="sheet")) == 3)
    return server


def get(server: Server, who: str, path: str, **query: Any) -> httpx.Response:
    with server.browser(who) as client:
        return client.get(f"/frontend/export/{path}", params=query)


def table(server: Server, who: str, **query: Any) -> list[dict[str, str]]:
    answer = get(server, who, "jobs.csv", **query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="jobs.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def numbers(server: Server, who: str, **query: Any) -> list[str]:
    return [row["jobId"] for row in table(server, who, **query)]


def test_everybody_gets_what_the_lists_show(filled: Server) -> None:
    assert numbers(filled, "boss", project="sheet") == ["8801", "8802", "8803"]
    assert numbers(filled, "ute", project="sheet") == ["8801", "8803"]
    assert numbers(filled, "ute", user="max", userMatch="eq") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"user": "ut"}, ["8801", "8803"]),
        ({"user": "ut", "userMatch": "eq"}, []),
        ({"user": ["ute", "max"]}, ["8801", "8802", "8803"]),
        ({"jobName": "plai"}, ["8802"]),
        ({"jobId": ["8801", "8802"]}, ["8801", "8802"]),
        ({"jobId": "880", "jobIdMatch": "contains"}, ["8801", "8802", "8803"]),
        ({"state": ["running", "failed"], "shared": "none"}, ["8801", "8802", "8803"]),
        ({"state": "failed"}, []),
        ({"startTime": f"{NOW - 700}-0"}, ["8801", "8802", "8803"]),
        ({"startTime": f"0-{NOW - 700}"}, []),
        ({"startTime": "last6h", "numNodes": "1-1"}, ["8801", "8802", "8803"]),
        ({"numAccelerators": "exactly-0"}, ["8801", "8802", "8803"]),
        ({"numNodes": "morethan-2"}, []),
        ({"node": "n0", "nodeMatch": "contains"}, ["8801", "8802", "8803"]),
        ({"node": "n0"}, []),
        ({"stat": "cpu_load_avg-morethan-1e9"}, []),
        ({"sort": "duration:asc", "page": "7"}, ["8801", "8802", "8803"]),  # no filters
    ],
)
def test_filters_are_those_of_the_address(filled: Server, query: dict[str, Any], expected: list[str]) -> None:
    assert numbers(filled, "boss", **{"project": "sheet", **query}) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"duration": "soon"}, {"duration": "9-3"}, {"numNodes": "exactlythan-1"}, {"state": "happy"},
        {"jobId": "x"}, {"startTime": "yesterday"}, {"stat": "cpu_load-1-2"}, {"tag": "md"},
        {"shared": "all"}, {"columns": "secret"}, {"user": "x" * 2000},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(filled: Server, query: dict[str, str]) -> None:
    answer = get(filled, "boss", "jobs.csv", **query)
    assert answer.status_code == 400
    assert next(iter(query)).rstrip("s") in answer.json()["error"]


def test_cells_are_quoted_and_no_formula(filled: Server) -> None:
    text = get(filled, "ute", "jobs.csv", project="sheet", columns="jobId,jobName,walltime").text
    assert text.splitlines() == [
        "jobId,jobName,walltime [s]",
        '8801,"\'=HYPERLINK(""x"")",12401',
        '8803,"two, parts",12403',
    ]


def test_json_has_the_same_table_with_texts_as_they_are(filled: Server) -> None:
    answer = get(filled, "ute", "jobs.json", project="sheet", columns="jobId,jobName,walltime")
    assert answer.json() == {
        "columns": [{"name": "jobId"}, {"name": "jobName"}, {"name": "walltime", "unit": "s"}],
        "rows": [[8801, '=HYPERLINK("x")', 12401], [8803, "two, parts", 12403]],
    }


def test_what_was_measured_of_a_job(filled: Server) -> None:
    id = table(filled, "boss", jobId="8801")[0]["id"]
    answer = get(filled, "ute", f"job/{id}/metrics.csv", metrics="cpu_load")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="small-8801-metrics.csv"'
    rows = [row for row in csv.DictReader(io.StringIO(answer.text, newline="")) if row["value"]]
    assert [float(row["value"]) for row in rows] == [float(number) for number in range(8)]
    assert {(row["metric"], row["scope"], row["host"], row["id"]) for row in rows} == {
        ("cpu_load", "node", "n01", "")
    }
    assert int(rows[0]["time [s]"]) == pytest.approx(NOW - 600, abs=60)
    series = get(filled, "ute", f"job/{id}/metrics.json", metrics="cpu_load").json()["cpu_load"]["node"][
        "series"
    ]
    assert [value for value in series[0]["data"] if value is not None] == list(range(8))
    whole = get(filled, "ute", f"job/{id}/job.json")
    assert whole.headers["Content-Disposition"] == 'attachment; filename="small-8801-job.json"'
    assert whole.json()["Meta"]["jobId"] == 8801
    assert whole.json()["Data"]["cpu_load"]["node"]["series"][0]["hostname"] == "n01"


@pytest.mark.parametrize("file", ["metrics.csv", "metrics.json", "job.json"])
def test_the_job_of_somebody_else_is_one_that_does_not_exist(filled: Server, file: str) -> None:
    id = table(filled, "boss", jobId="8801")[0]["id"]
    refused = get(filled, "max", f"job/{id}/{file}")
    unknown = get(filled, "max", f"job/999999/{file}")
    assert refused.status_code == unknown.status_code == 422
    assert refused.json()["error"] == unknown.json()["error"].replace("999999", id)
    bad = get(filled, "ute", f"job/{id}/metrics.csv", scopes="rack")
    assert bad.status_code == 400
