"""What a Slurm adapter does in a day. Contract: spec/rest-api.md 7."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.server.running import Server, eventually

LIST = {"state": "running", "items-per-page": 9999999, "page": 1, "with-metadata": "false"}


def test_walk_through(server: Server) -> None:
    start = int(time.time()) - 600
    job = {
        "cluster": "small", "subCluster": "", "partition": "main", "project": "lab", "user": "ute",
        "shared": "none", "jobState": "", "resources": [{"hostname": "n01", "hwthreads": [0, 1]}],
        "energyFootprint": None, "footprint": None,
        "metaData": {"jobName": "solver", "jobScript": "#!/bin/bash\nsrun \"ä\"\n"},
        "concurrentJobs": {"items": None, "count": 0}, "energy": 0, "arrayJobId": 7, "walltime": 3600,
        "jobId": 7, "duration": 0, "numHwthreads": 2, "numNodes": 1, "statistics": None, "startTime": start,
    }  # fmt: skip
    stop = {"jobId": 7, "cluster": "small", "jobState": "completed", "stopTime": start + 600}
    with server.client() as client:
        client.headers["accept"] = "application/ld+json"
        empty = client.get("/api/jobs/", params=LIST)
        assert empty.json() == {"jobs": [], "items": 9999999, "page": 1}
        assert client.post("/api/nodestate/", json=node_states()).status_code == 200

        started = client.post("/api/jobs/start_job/", json=job)
        assert started.status_code == 201
        assert started.json()["msg"] == "success"
        listed = client.get("/api/jobs/", params=LIST).json()["jobs"]
        assert [(one["jobId"], one["cluster"], one["jobState"]) for one in listed] == [
            (7, "small", "running")
        ]
        assert client.post("/api/jobs/start_job/", json=job).status_code == 422

        write_samples(client, start)
        stopped = client.post("/api/jobs/stop_job/", json=stop)
        assert stopped.status_code == 200, stopped.text
        assert (stopped.json()["duration"], stopped.json()["jobState"]) == (600, "completed")
        assert client.post("/api/jobs/stop_job/", json=stop).status_code == 422

        path = f"/api/jobs/{started.json()['id']}"
        eventually(lambda: client.get(path).json()["Meta"]["monitoringStatus"] == 3)
        found = client.get(path, params={"all-metrics": "true"}).json()
        assert found["Meta"]["metaData"]["jobScript"] == job["metaData"]["jobScript"]
        load = found["Data"]["cpu_load"]["node"]["series"][0]
        assert load["hostname"] == "n01"
        values = [value for value in load["data"] if value is not None]
        assert len(values) >= 55
        assert set(values) == {2.5}

        done = client.get("/api/jobs/", params={"state": "completed"}).json()["jobs"]
        assert done[0]["statistics"]["cpu_load"]["avg"] == 2.5

        later = job | {"startTime": start + 86400}
        again = client.post("/api/jobs/start_job/", json=later)
        assert again.status_code == 201
        ended = client.post("/api/jobs/stop_job/", json=stop | {"stopTime": start + 86460})
        assert ended.json()["id"] == again.json()["id"]
        assert ended.json()["duration"] == 60


def node_states() -> dict[str, object]:
    nodes = [
        {"hostname": host, "states": [state], "cpusAllocated": 0, "memoryAllocated": 0, "gpusAllocated": 0,
         "jobsRunning": 0}
        for host, state in (("n01", "IDLE"), ("n02", "DOWN"), ("stranger", "IDLE"))
    ]  # fmt: skip
    return {"cluster": "small", "nodes": nodes}


def write_samples(client: httpx.Client, start: int) -> None:
    lines = [f"cpu_load,hostname=n01,type=node value=2.5 {start + 10 * step}" for step in range(60)]
    lines += [
        f"flops_any,hostname=n01,type=hwthread,type-id={thread} value={thread + 1} {start + 10 * step}"
        for step in range(60)
        for thread in range(2)
    ]
    answer = client.post("/api/write/", params={"cluster": "small"}, content="\n".join(lines))
    assert (answer.status_code, answer.content) == (200, b""), answer.text
    assert answer.headers["content-type"] == "application/json"


def test_clients_of_the_first_releases(server: Server) -> None:
    job = {
        "jobId": 800, "user": "ute", "project": "lab", "cluster": "small", "partition": "main",
        "exclusive": 1, "startTime": 1700100000, "numNodes": 2,
        "resources": [{"hostname": "n01"}, {"hostname": "n02"}],
    }  # fmt: skip
    with server.client() as client:
        started = client.put("/api/jobs/start_job", json=job)
        assert started.status_code == 201
        stop = {"cluster": "small", "jobState": "completed", "stopTime": 1700103600}
        stopped = client.put(f"/api/jobs/stop_job/{started.json()['id']}", json=stop)
        assert stopped.status_code == 200
        assert stopped.json()["shared"] == "none"
        assert client.post("/api/jobs/stop_job/99999", json=stop).status_code == 422
        assert client.post("/api/jobs/stop_job/x", json=stop).status_code == 400


def test_what_start_refuses(server: Server) -> None:
    good = {
        "jobId": 900, "user": "ute", "project": "lab", "cluster": "small", "startTime": 1700200000,
        "numNodes": 1, "resources": [{"hostname": "n01"}],
    }  # fmt: skip
    cases = {
        "no such cluster: big": {"cluster": "big"},
        "len(resources) does not equal numNodes (1 vs 2)": {"numNodes": 2},
        "'resources' and 'user' should not be empty": {"user": ""},
        "unknown field": {"nonsense": 1},
        "/numNodes: expected an integer": {"numNodes": "1"},
    }
    with server.client() as client:
        for message, change in cases.items():
            answer = client.post("/api/jobs/start_job/", json=good | change)
            assert answer.status_code == 400
            assert message in answer.json()["error"]
            assert answer.json()["status"] == "Bad Request"
        assert client.post("/api/jobs/start_job/", content="").status_code == 400
        stop = {"jobId": 901, "cluster": "small", "stopTime": 1}
        assert client.post("/api/jobs/stop_job/", json=stop).status_code == 404


def test_list_parameters(server: Server) -> None:
    refused = {
        "state": "stopped", "items-per-page": "0", "page": "-1", "start-time": "5", "colour": "red",
    }  # fmt: skip
    with server.client() as client:
        for key, value in refused.items():
            assert client.get("/api/jobs/", params={key: value}).status_code == 400, key
        answer = client.get(
            "/api/jobs/", params={"state": ["completed", "failed"], "start-time": "0-2000000000"}
        )
        assert answer.status_code == 200
        with_metadata = client.get("/api/jobs/?with-metadata=")
        assert with_metadata.status_code == 200


def test_tags_metadata_and_deletion(server: Server) -> None:
    job = {
        "jobId": 1000, "user": "ute", "project": "lab", "cluster": "small", "startTime": 1700300000,
        "numNodes": 1, "resources": [{"hostname": "n02"}],
    }  # fmt: skip
    with server.client() as client:
        number = client.post("/api/jobs/start_job/", json=job).json()["id"]
        tag = [{"type": "review", "name": "odd", "scope": "global"}]
        for _ in range(2):
            tagged = client.post(f"/api/jobs/tag_job/{number}", json=tag)
            assert tagged.status_code == 200, tagged.text
            assert [(one["type"], one["name"]) for one in tagged.json()["tags"]] == [("review", "odd")]
        untagged = client.request("DELETE", f"/api/jobs/tag_job/{number}", json=tag)
        assert "tags" not in untagged.json()
        edited = client.patch(f"/api/jobs/edit_meta/{number}", json={"key": "message", "value": "hello"})
        assert edited.json()["metaData"] == {"message": "hello"}
        by_request = {"jobId": 1000, "cluster": "small", "payload": {"key": "more", "value": "x"}}
        edited = client.patch("/api/jobs/edit_meta/", json=by_request)
        assert edited.json()["metaData"] == {"message": "hello", "more": "x"}
        assert client.patch("/api/jobs/edit_meta/99999", json={"key": "a", "value": "b"}).status_code == 404
        gone = client.request("DELETE", "/api/jobs/delete_job/", json={"jobId": 1000})
        assert gone.json() == {"msg": f"Successfully deleted job {number}"}
        assert client.get(f"/api/jobs/{number}").status_code == 422
        deleted = client.request("DELETE", "/api/tags/", json=tag)
        assert deleted.text == "Deleted Tags from DB: 1 successfull of 1 requested\n"


def test_other_readers(server: Server) -> None:
    with server.client() as client:
        assert client.get("/api/jobs/used_nodes").status_code == 400
        assert "usedNodes" in client.get("/api/jobs/used_nodes?ts=2000000000").json()
        cluster = client.get("/api/clusters/?cluster=small").json()["clusters"][0]
        assert cluster["subClusters"][0]["nodes"] == "n[01-03]"
        assert client.get("/api/clusters?cluster=none").status_code == 400
        missing = client.get("/api/jobs/metrics/99999").json()
        assert missing["data"] is None
        assert missing["error"]["message"]
        assert client.get("/api/jobs/metrics/1?scope=galaxy").status_code == 400


def test_walk_through_with_the_files_of_an_adapter(installation: Server, fixtures: Path) -> None:
    """Contract: spec/rest-api.md 7, with real bodies to the byte."""
    cluster = installation.folder / "var" / "job-archive" / "testcluster"
    cluster.mkdir()
    shutil.copy(fixtures / "rest" / "cluster-testcluster.json", cluster / "cluster.json")
    read: Callable[[str], bytes] = lambda name: (fixtures / "rest" / name).read_bytes()  # noqa: E731
    now = int(time.time()) // 60 * 60
    start = json.loads(read("adapter-start_job.json")) | {"startTime": now - 600}
    stop = json.loads(read("adapter-stop_job.json")) | {"stopTime": now}
    installation.start()
    try:
        with installation.client() as client:
            client.headers.update({"accept": "application/ld+json", "Content-Type": "application/json"})
            assert client.get("/api/jobs/", params=LIST).json()["jobs"] == []
            reported = client.post("/api/nodestate/", content=read("adapter-nodestate.json"))
            assert (reported.status_code, reported.content) == (200, b"")
            started = client.post("/api/jobs/start_job/", json=start)
            assert (started.status_code, started.json()["msg"]) == (201, "success")
            (running,) = client.get("/api/jobs/", params=LIST).json()["jobs"]
            assert (running["jobId"], running["subCluster"], running["monitoringStatus"]) == (
                777001,
                "sc1",
                1,
            )
            assert running["metaData"] is None
            assert client.post("/api/jobs/start_job/", json=start).status_code == 422
            line = "load_one,cluster=testcluster,hostname=host123,type=node value=0.25"
            lines = [f"{line} {now - 600 + 60 * step}" for step in range(10)]
            assert client.post("/api/write", content="\n".join(lines)).status_code == 200
            stopped = client.post("/api/jobs/stop_job/", json=stop)
            assert stopped.status_code == 200
            assert (stopped.json()["duration"], stopped.json()["jobState"]) == (600, "completed")
            assert (stopped.json()["metaData"], stopped.json()["statistics"]) == (None, None)
            assert client.post("/api/jobs/stop_job/", json=stop).status_code == 422
            path = f"/api/jobs/{started.json()['id']}"
            eventually(lambda: client.get(path).json()["Meta"]["monitoringStatus"] == 3)
            data = client.get(path, params={"all-metrics": "true"}).json()["Data"]
            series = data["load_one"]["node"]["series"]
            assert [value for value in series[0]["data"] if value is not None] == [0.25] * 10
            (done,) = client.get("/api/jobs/?state=completed").json()["jobs"]
            assert done["statistics"]["load_one"] == {
                "unit": {"base": ""},
                "avg": 0.25,
                "min": 0.25,
                "max": 0.25,
            }
            tagged = client.post(f"/api/jobs/tag_job/{done['id']}", content=read("tag_job.json"))
            assert [(tag["name"], tag["scope"]) for tag in tagged.json()["tags"]] == [
                ("odd", "global"), ("internal", "admin"),
            ]  # fmt: skip
            edited = client.patch(f"/api/jobs/edit_meta/{done['id']}", content=read("edit_meta.json"))
            assert edited.json()["metaData"]["note"] == "checked by operator"
            again = client.post("/api/jobs/start_job/", json=start | {"startTime": now - 600 + 86400})
            assert again.status_code == 201
            ended = client.post("/api/jobs/stop_job/", json=stop | {"stopTime": now + 86400})
            assert ended.json()["id"] == again.json()["id"]
            old = client.post("/api/jobs/start_job/", content=read("legacy-start_job-v1.2.json"))
            body = read("legacy-stop_job-by-id.json")
            assert (
                client.post(f"/api/jobs/stop_job/{old.json()['id']}", content=body).json()["duration"] == 3600
            )
            assert client.get("/api/archiver/").json()["limit"] == 128
            entry = cluster / "777" / "001" / str(now - 600) / "meta.json"
            assert [tag["name"] for tag in json.loads(entry.read_bytes())["tags"]] == ["internal", "odd"]
            untagged = client.request("DELETE", "/api/tags/", content=read("tag_job.json"))
            assert untagged.text == "Deleted Tags from DB: 2 successfull of 2 requested\n"
            assert client.request("DELETE", "/api/tags/", content=read("tag_job.json")).status_code == 500
            eventually(lambda: "tags" not in json.loads(entry.read_bytes()))
            eventually(lambda: client.get("/api/archiver/").json()["untagging"] == 0)
    finally:
        assert installation.stop() == 0


def test_of_equal_starts_at_the_same_time_one_wins(server: Server) -> None:
    """Over two connections, each warm, released together."""
    rounds = 60
    barrier = threading.Barrier(2)

    def start(_: int) -> list[int]:
        answers = []
        with server.client() as client:
            client.get("/api/jobs/?items-per-page=1")
            for number in range(rounds):
                body = {
                    "jobId": 70_000 + number, "user": "ute", "cluster": "small", "startTime": 1700000000,
                    "numNodes": 1, "resources": [{"hostname": "n01"}],
                }  # fmt: skip
                barrier.wait(30)
                answers.append(client.post("/api/jobs/start_job/", json=body).status_code)
        return answers

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(start, range(2))
    assert [sorted(pair) for pair in zip(first, second, strict=True)] == [[201, 422]] * rounds


def test_a_list_of_all_jobs_is_sent_while_it_is_read(server: Server) -> None:
    with server.client() as client:
        for number in range(1100):
            body = {
                "jobId": 80_000 + number, "user": "many", "project": "many", "cluster": "small",
                "startTime": 1600000000 + number // 7, "numNodes": 1, "resources": [{"hostname": "n01"}],
            }  # fmt: skip
            assert client.post("/api/jobs/start_job/", json=body).status_code == 201
        listed = client.get("/api/jobs/?project=many&items-per-page=9999999").json()
        assert (len(listed["jobs"]), listed["items"], listed["page"]) == (1100, 9999999, 1)
        order = [(job["startTime"], job["id"]) for job in listed["jobs"]]
        assert order == sorted(order, reverse=True)
        pages = [
            client.get(f"/api/jobs/?project=many&items-per-page=600&page={page}").json()["jobs"]
            for page in (1, 2, 3)
        ]
        assert [job["id"] for page in pages for job in page] == [id for _, id in order]
