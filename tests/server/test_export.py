"""Jobs as files over REST, up to a second site that is built from them. Described in docs/export.md."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from ccserver.archive import FileArchive
from ccserver.model.job import Job, Resource, Tag
from ccserver.model.metrics import JobData, JobMetric, JobStatistic, Series, Statistics, Unit
from tests.server.running import Server, ccserver, eventually

START = 1_700_000_000
JOBS = 30
LIST = {"items-per-page": 100}
PRIVATE = 100  # number of one more job, whose tag only its owner may see


def archived_job(number: int, **more: Any) -> Job:
    fields: dict[str, Any] = {
        "cluster": "small",
        "user": "ute" if number % 2 else "max",
        "resources": [Resource("n01"), Resource("n02", [0, 1])],
        "num_nodes": 2,
        "project": "lab" if number % 3 else "physics",
        "subcluster": "main",
        "state": "completed",
        "duration": 600,
        "submit_time": START - 5,
        "requested_memory": 512,
        "monitoring_status": 3,
        "metadata": {"jobName": f"<job> & {number}", "jobScript": "#!/bin/sh\nä"},
        "statistics": {"cpu_load": JobStatistic(Unit(), 2.5, 0.25, 7.125)},
        "tags": [Tag("app", f"code{number % 2}")],
        **more,
    }
    return Job(job_id=1000 + number, start_time=START + number, **fields)


def job_data(points: int) -> JobData:
    def series(host: str, of: int, id: str | None = None) -> Series:
        data = np.array([np.nan if i % 7 == 6 else of + i / 8 for i in range(points)], dtype=np.float32)
        return Series(host, data, Statistics(2.5, 0.25, 7.12), id)

    node = JobMetric(Unit(), 10, [series("n01", 1), series("n02", 2)])
    core = JobMetric(Unit("F/s", "G"), 10, [series("n01", 3, "0"), series("n01", 4, "1")])
    return {"cpu_load": {"node": node}, "flops_any": {"core": core, "node": node}}


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over 30 archived jobs, another with a private tag, and a running one."""
    folder = tmp_path_factory.mktemp("first") / "site"
    shutil.copytree(template, folder)
    archive = FileArchive(folder / "var" / "job-archive")
    for number in range(JOBS):
        archive.import_job(archived_job(number), job_data(4 if number % 4 else 60))
    tagged = archived_job(PRIVATE, user="both", project="own", tags=[Tag("mine", "secret", "both")])
    archive.import_job(tagged, job_data(60_000))
    server = Server(folder)
    server.configure()
    done = ccserver(folder, "-init-db")
    assert done.returncode == 0, done.stderr
    server.start()
    with server.client() as client:
        running = {
            "jobId": 5000, "user": "ute", "project": "lab", "cluster": "small", "numNodes": 1,
            "startTime": int(time.time()) - 300, "resources": [{"hostname": "n01"}],
        }  # fmt: skip
        assert client.post("/api/jobs/start_job/", json=running).status_code == 201
    yield server
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log, server.log


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with site.client() as client:
        yield client


def exported(client: httpx.Client, path: str = "/api/jobs/export", **query: Any) -> httpx.Response:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer


def files_of(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive)
        return {name: file.read() for name, file in files if file}


def ids(client: httpx.Client, **query: Any) -> list[int]:
    table = pq.read_table(io.BytesIO(exported(client, format="parquet", table="jobs", **query).content))
    return list(table["id"].to_pylist())


def test_a_second_site_is_built_from_the_export_with_the_same_bytes(
    site: Server, template: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    shutil.copytree(template, folder)
    root = folder / "var" / "job-archive"
    shutil.rmtree(root)
    with site.client("both") as owner, site.client() as client:
        answer = exported(client, format="tar", cluster="small")
        own = exported(owner, "/userapi/jobs/export", tag="mine:secret")
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(root, filter="data")
    first, second = site.folder / "var" / "job-archive", root
    written = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert (root / "export.json").exists()
    report = json.loads((root / "export.json").read_text())
    assert report["jobs"] == JOBS + 1
    assert [one["reason"] for one in report["skippedJobs"]] == ["the job is running"]
    names = sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [name for name in names if name.name != "export.json"] == written
    private = Path("small/1/100") / str(START + PRIVATE) / "meta.json"
    for name in written:
        assert ((first / name).read_bytes() == (second / name).read_bytes()) is (name != private), name
    assert b"secret" not in (second / private).read_bytes()
    assert files_of(own.content)[str(private)] == (first / private).read_bytes()

    server = Server(folder)
    server.configure()
    done = ccserver(folder, "-init-db")
    assert done.returncode == 0, done.stderr
    server.start()
    try:
        with site.client() as one, server.client() as other:
            query = {"state": "completed", "items-per-page": 100, "with-metadata": "true"}
            jobs = [client.get("/api/jobs/", params=query).json()["jobs"] for client in (one, other)]
            assert len(jobs[0]) == JOBS + 1
            for job in (*jobs[0], *jobs[1]):
                job.pop("id")
                job["tags"] = [tag["name"] for tag in job.get("tags", [])]
            assert jobs[0] == jobs[1]
            again = files_of(exported(other, format="tar").content)
        for name in written:
            if name != private:
                assert again[str(name)] == (first / name).read_bytes()
    finally:
        assert server.stop() == 0, server.log


def test_a_broken_off_export_goes_on_after_the_last_job(client: httpx.Client) -> None:
    everything = ids(client)
    assert everything == sorted(everything)
    assert len(everything) == JOBS + 2
    parts: list[int] = []
    after = -1
    while True:
        answer = exported(client, format="json", after=after, limit=7)
        jobs = answer.json()
        if not jobs:
            break
        assert answer.headers["X-Export-Jobs"] == str(len(jobs))
        assert answer.headers["X-Export-Last"] == str(jobs[-1]["Meta"]["id"])
        parts += [job["Meta"]["id"] for job in jobs]
        after = int(answer.headers["X-Export-Last"])
    assert parts == everything


def test_the_entries_of_a_tar_tell_their_database_ids(client: httpx.Client) -> None:
    answer = exported(client, format="tar", after=ids(client)[4], limit=3)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        comments = [member.pax_headers.get("comment") for member in archive]
    found = [comment for comment in comments if comment]
    assert found == [f"id {id}" for id in ids(client)[5:8]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"user": "ute"}, lambda n: n % 2 == 1),
        ({"project": "physics"}, lambda n: n % 3 == 0),
        ({"tag": "app:code1"}, lambda n: n % 2 == 1),
        ({"tag": "code0"}, lambda n: n % 2 == 0),
        ({"tag": ["code0", "code1"]}, lambda n: True),
        ({"start-time": f"{START + 3}-{START + 5}"}, lambda n: 3 <= n <= 5),
        ({"state": "completed", "user": "ute", "project": "physics"}, lambda n: n % 6 == 3),
    ],
)
def test_filters(client: httpx.Client, query: dict[str, Any], expected: Any) -> None:
    jobs = exported(client, format="json", **{"state": "completed", **query}).json()
    assert sorted(job["Meta"]["jobId"] for job in jobs) == [1000 + n for n in range(JOBS) if expected(n)]


def test_samples_have_a_row_each_with_units_and_job_columns(client: httpx.Client) -> None:
    table = pq.read_table(io.BytesIO(exported(client, format="parquet", user="ute", limit=2).content))
    rows = table.to_pylist()
    points = 4  # of the first two jobs of ute
    assert len(rows) == 2 * points * 6
    assert {row["metric"] for row in rows} == {"cpu_load", "flops_any"}
    row = next(row for row in rows if row["component"] == "1" and row["metric"] == "flops_any")
    number = row["job_id"] - 1000
    project = "lab" if number % 3 else "physics"
    assert {key: row[key] for key in ("user", "project", "cluster", "scope", "hostname", "unit")} == {
        "user": "ute", "project": project, "cluster": "small", "scope": "core", "hostname": "n01",
        "unit": "GF/s",
    }  # fmt: skip
    assert row["value"] == 4.0
    assert int(row["time"].timestamp()) == START + number
    assert all(row["component"] is None for row in rows if row["scope"] == "node")


def test_gaps_are_null_in_tables(client: httpx.Client) -> None:
    table = pq.read_table(io.BytesIO(exported(client, format="parquet", metric="cpu_load").content))
    archived = [row["value"] for row in table.to_pylist() if row["job_id"] == 1000]
    assert len(archived) == 2 * 60
    assert archived.count(None) == 2 * 8


def test_csv(client: httpx.Client) -> None:
    answer = exported(client, format="csv", tag="app:code1", limit=1, metric="cpu_load")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["value"] for row in rows] == ["1.0", "1.12", "1.25", "1.38", "2.0", "2.12", "2.25", "2.38"]
    moment = START + int(rows[1]["job_id"]) - 1000 + 10
    assert rows[1]["time"] == time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))
    jobs = exported(client, format="csv", table="jobs", state="completed").text
    assert len(list(csv.DictReader(io.StringIO(jobs)))) == JOBS + 1


def test_one_job_in_every_format(site: Server, client: httpx.Client) -> None:
    id = next(
        job["id"] for job in client.get("/api/jobs/", params=LIST).json()["jobs"] if job["jobId"] == 1004
    )
    path = f"/api/jobs/{id}/export"
    folder = f"small/1/004/{START + 4}"
    files = files_of(exported(client, path).content)
    stored = site.folder / "var" / "job-archive"
    assert sorted(files) == sorted(
        ["version.txt", "small/cluster.json", f"{folder}/meta.json", f"{folder}/data.json"]
    ) or sorted(files) == sorted(
        ["version.txt", "small/cluster.json", f"{folder}/meta.json", f"{folder}/data.json.gz"]
    )
    for name, body in files.items():
        assert body == (stored / name).read_bytes()
    document = exported(client, path + "/", format="json", metric="flops_any", scope="core").json()
    assert document["Meta"]["jobId"] == 1004
    assert document["Meta"]["statistics"]["cpu_load"]["avg"] == 2.5
    assert list(document["Data"]) == ["flops_any"]
    assert list(document["Data"]["flops_any"]) == ["core"]
    cut = files_of(exported(client, path, format="tar", metric="cpu_load").content)
    data = next(body for name, body in cut.items() if "data.json" in name)
    assert list(json.loads(data)) == ["cpu_load"]
    rows = pq.read_table(io.BytesIO(exported(client, path, format="parquet", scope="node").content))
    assert set(rows["scope"].to_pylist()) == {"node"}
    assert exported(client, path, format="csv").text.count("\n") == rows.num_rows // 2 * 3 + 1


def test_a_running_job_has_no_place_in_an_archive_but_data(client: httpx.Client) -> None:
    id = client.get("/api/jobs/", params={"state": "running"}).json()["jobs"][0]["id"]
    refused = client.get(f"/api/jobs/{id}/export", params={"format": "tar"})
    assert (refused.status_code, refused.json()["error"]) == (
        422,
        f"job {id} cannot be exported as tar: the job is running",
    )
    document = exported(client, f"/api/jobs/{id}/export", format="json").json()
    assert document["Meta"]["jobState"] == "running"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"format": "xml"}, "format must be one of"),
        ({"table": "people", "format": "csv"}, "table must be one of"),
        ({"table": "jobs", "format": "json"}, "table goes with"),
        ({"scope": "galaxy"}, "unmarshaling scope failed"),
        ({"after": "x"}, "invalid query parameter value: after"),
        ({"limit": "0"}, "limit must be >= 1"),
        ({"state": "stopped"}, "invalid query parameter value: state"),
        ({"tag": "mine:secret"}, "there is no tag 'mine:secret'"),
        ({"page": "2"}, "invalid query parameter: page"),
        ({"start-time": "5"}, "invalid query parameter value: startTime"),
    ],
)
def test_what_is_refused(client: httpx.Client, query: dict[str, str], message: str) -> None:
    answer = client.get("/api/jobs/export/", params=query)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_who_sees_which_jobs(site: Server) -> None:
    with site.client("both") as user:  # roles user and api: own jobs alone
        assert user.get("/api/jobs/export").status_code == 401
        (own,) = exported(user, "/userapi/jobs/export", format="json").json()
        assert own["Meta"]["jobId"] == 1000 + PRIVATE
        assert user.get("/userapi/jobs/1/export").status_code == 422
    with site.client("root") as admin:
        assert len(ids(admin)) == JOBS + 2
    assert httpx.get(site.url + "/api/jobs/export").status_code == 401
    with site.client() as client:
        assert client.get("/api/jobs/999999/export").status_code == 422
        assert client.get("/api/jobs/x/export").status_code == 400


def test_clients_that_break_off_free_their_places(client: httpx.Client) -> None:
    query = {"format": "csv", "project": "own"}  # 30 MB: more than sockets hold
    bodies: list[Iterator[bytes]] = []
    with contextlib.ExitStack() as broken_off:
        for _ in range(8):
            stream = client.stream(
                "GET", "/api/jobs/export", params=query, headers={"Accept-Encoding": "identity"}
            )
            answer = broken_off.enter_context(stream)
            assert answer.status_code == 200
            bodies.append(answer.iter_raw(10))  # forgotten, it would close the connection
            next(bodies[-1])
        full = client.get("/api/jobs/export", params=query)
        assert (full.status_code, full.json()["error"]) == (503, "8 exports are under way, try again later")
    eventually(lambda: client.get("/api/jobs/export", params={"limit": 1}).status_code == 200)


def test_an_unreadable_entry_costs_itself(site: Server, client: httpx.Client) -> None:
    place = site.folder / "var" / "job-archive" / "small" / "1" / "007" / str(START + 7)
    kept = place.rename(place.with_name("hidden"))
    try:
        report = json.loads(files_of(exported(client, state="completed").content)["export.json"])
        assert report["jobs"] == JOBS
        assert [(job["jobId"], job["reason"]) for job in report["skippedJobs"]] == [
            (1007, "the job is not in the archive")
        ]
        jobs = exported(client, format="json").json()
        (lost,) = [job for job in jobs if "Error" in job and job["Meta"]["jobId"] == 1007]
        assert lost["Error"] == "job 1007 on small: it is not in the job archive"
    finally:
        kept.rename(place)


def test_the_documented_example_reads_an_export(
    site: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "export.md"
    example = re.search(r"```python\n(.*?)```", page.read_text(), re.S)
    assert example is not None
    monkeypatch.setenv("CC_URL", site.url)
    monkeypatch.setenv("CC_TOKEN", site.token("adapter"))
    exec(example[1], {})
    assert "flops_any" in capsys.readouterr().out
