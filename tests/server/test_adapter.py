"""What a Slurm adapter does in a day. Contract: spec/rest-api.md 7."""

from __future__ import annotations

import time

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
