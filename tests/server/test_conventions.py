"""What holds for every request and answer. Contract: spec/rest-api.md 1.4, 1.5."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import select
import zlib

import pytest

from tests.server.running import Server

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}
JOB = {
    "user": "ute", "project": "lab", "cluster": "small", "startTime": 1700000000, "numNodes": 1,
    "resources": [{"hostname": "n01"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/jobs/", 200), ("/api/none", 404), ("/", 200), ("/img/none", 404), ("/login", 200)],
)
def test_headers_of_every_answer(server: Server, path: str, status: int) -> None:
    with server.client() as client:
        answer = client.get(path)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert (
            "frame-ancestors 'none'; object-src 'none'; base-uri 'self'"
            in answer.headers["content-security-policy"]
        )
        assert "Origin" in answer.headers["vary"]
        assert "strict-transport-security" not in answer.headers
        secure = client.get(path, headers={"X-Forwarded-Proto": "https"})
        assert secure.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_cors(server: Server) -> None:
    with server.client() as client:
        asked = {"Origin": "https://else", "Access-Control-Request-Method": "POST"}
        for path in ("/api/jobs/", "/nowhere", "/api/write"):
            allowed = client.options(path, headers=asked | {"Access-Control-Request-Headers": "Content-Type"})
            assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
            for header, value in (("Headers", "X-Auth-Token"), ("Method", "DELETE")):
                refused = client.options(path, headers=asked | {f"Access-Control-Request-{header}": value})
                assert refused.status_code == 200
                assert not any(name.startswith("access-control-allow") for name in refused.headers)
        answer = client.get("/api/jobs/", headers={"Origin": "https://else"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert "access-control-allow-origin" not in client.get("/api/jobs/").headers
        assert client.options("/api/jobs/").status_code == 405


def test_cross_site_writes_are_blocked(server: Server) -> None:
    with server.client() as client:
        for path in ("/api/jobs/start_job/", "/api/write", "/login"):
            blocked = client.post(path, headers={"Sec-Fetch-Site": "cross-site"})
            assert (blocked.status_code, blocked.text) == (403, "cross-site request blocked")
        for value in ("same-origin", "same-site", "none"):
            assert client.post("/api/jobs/start_job/", headers={"Sec-Fetch-Site": value}).status_code == 400
        assert client.get("/api/jobs/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_unknown_paths_and_wrong_methods_come_before_authentication(server: Server) -> None:
    missing = {"status": "Resource not found", "error": "the requested endpoint does not exist"}
    with server.client("") as client:
        for path in ("/api/none", "/userapi/none", "/frontend/none/", "/config/none", "/api/jobs/1/2/3"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (404, missing), path
        assert "text/html" in client.get("/none").headers["content-type"]
        wrong = client.delete("/api/jobs/start_job/")
        assert (wrong.status_code, wrong.content) == (405, b"")
        assert wrong.headers["allow"] == "POST, PUT"


@pytest.mark.parametrize("name", ["start_job", "stop_job", "used_nodes", "edit_meta", "delete_job", "export"])
def test_fixed_names_win_over_ids(server: Server, name: str) -> None:
    with server.client() as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for slash in ("", "/"):
                answer = client.request(method, f"/api/jobs/{name}{slash}")
                assert "integer expected" not in answer.text, method
                if answer.status_code == 405:
                    assert answer.headers["allow"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs"), ("GET", "/userapi/jobs"), ("GET", "/api/jobs/1"),
        ("GET", "/api/jobs/metrics/1"), ("GET", "/api/jobs/used_nodes"),
        ("POST", "/api/jobs/start_job"), ("PUT", "/api/jobs/stop_job"),
        ("POST", "/api/jobs/stop_job/1"), ("PATCH", "/api/jobs/tag_job/1"), ("DELETE", "/api/tags"),
        ("POST", "/api/jobs/edit_meta"), ("DELETE", "/api/jobs/delete_job/1"), ("GET", "/api/clusters"),
        ("DELETE", "/api/jobs/delete_job_before/1"), ("POST", "/api/nodestate"), ("GET", "/api/users"),
        ("POST", "/api/write"), ("POST", "/metricstore/api/write"), ("GET", "/api/debug"),
        ("POST", "/api/free"),
        ("POST", "/api/healthcheck"), ("GET", "/metricstore/api/debug"), ("GET", "/api/archiver"),
    ],
)  # fmt: skip
def test_paths_work_with_and_without_slash(server: Server, method: str, path: str, slash: str) -> None:
    with server.client() as client:
        answer = client.request(method, path + slash)
        assert answer.status_code not in (301, 302, 307, 308, 404, 405) or "finding job" in answer.text
        assert "does not exist" not in answer.text or "finding job" in answer.text


@pytest.mark.parametrize(("coding", "unpack"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_answers_are_compressed_when_asked(server: Server, coding: str, unpack: object) -> None:
    with server.client() as client:
        for path in ("/api/clusters/", "/api/jobs/?items-per-page=1", "/api/none", "/login", "/healthz"):
            with client.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
                packed = b"".join(answer.iter_raw())
            assert answer.headers["content-encoding"] == coding, path
            assert "Accept-Encoding" in answer.headers["vary"]
            assert unpack(packed) == client.get(path, headers={"Accept-Encoding": "identity"}).content  # type: ignore[operator]
        plain = client.get("/api/clusters/", headers={"Accept-Encoding": "gzip;q=0, br"})
        assert "content-encoding" not in plain.headers


def test_json_bodies_may_have_any_content_type(server: Server) -> None:
    """`curl -d` says it sends a form; an adapter asks for application/ld+json."""
    with server.client() as client:
        for number, kind in enumerate(
            ("application/x-www-form-urlencoded", "text/plain", "", "multipart/form-data")
        ):
            answer = client.post(
                "/api/jobs/start_job/",
                content=json.dumps({**JOB, "jobId": 5100 + number}),
                headers={"Content-Type": kind, "Accept": "application/ld+json"},
            )
            assert answer.status_code == 201, answer.text
            assert answer.headers["content-type"] == "application/json"
        started = answer.json()["id"]
        edited = client.patch(
            f"/api/jobs/edit_meta/{started}",
            content=b'{"key":"a","value":"b"}',
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert edited.json()["metaData"] == {"a": "b"}
    with server.client("root") as client:
        curl = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.post("/api/user/max", content=b'{"add-role":"user"}', headers=curl).status_code == 200
        assert client.post("/api/user/max", content=b"remove-role=user", headers=curl).status_code == 200
        assert client.post("/api/user/max?add-role=user").status_code == 200
        assert client.post("/api/user/max", files={"remove-role": (None, "user")}).status_code == 200


def test_bodies_in_chunks_and_of_megabytes(server: Server) -> None:
    script = "#!/bin/bash\n" + "echo ä\n" * 500_000
    body = json.dumps({**JOB, "jobId": 5200, "metaData": {"jobScript": script}}).encode()
    with server.client() as client:
        pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
        started = client.post("/api/jobs/start_job/", content=pieces)
        assert started.status_code == 201, started.text
        found = client.get(f"/api/jobs/{started.json()['id']}").json()
        assert found["Meta"]["metaData"]["jobScript"] == script


def test_forms_have_a_limit(server: Server) -> None:
    with server.browser("root") as client:
        large = client.post("/config/notice/", data={"new-content": "x" * 11_000_000})
        assert large.status_code == 413
        longer = client.post("/config/notice/", data={"new-content": "ä" * 5001})
        assert (longer.status_code, "10000 bytes" in longer.text) == (400, True)


DECODING = [
    ({"NUMHWTHREADS": 4, "numHwthreads": 2}, 201, ""),
    ({"numHWThreads": None, "walltime": None, "tags": None, "metaData": None}, 201, ""),
    ({"exclusive": 7, "shared": "none"}, 201, ""),
    ({"exclusive": 7}, 400, "/exclusive"),
    ({"shared": ""}, 201, ""),
    ({"shared": "all"}, 400, "/shared"),
    ({"monitoringStatus": 4}, 400, "/monitoringStatus"),
    ({"metaData": {"a": 1}}, 400, "/metaData/a"),
    ({"resources": [{"hostname": "n01", "cpu": 1}]}, 400, "in /resources/0"),
    ({"walltime": 1.0}, 400, "/walltime"),
    ({"walltime": True}, 400, "/walltime"),
    ({"walltime": 2**63}, 400, "/walltime"),
    ({"numNodes": 2**31}, 400, "/numNodes"),
    ({"duration": "1"}, 400, "/duration"),
    ({"jobId": None}, 400, "'jobId' is required"),
    ({"concurrentJobs": {"items": [{"id": 1, "jobId": 2}], "count": 1}}, 201, ""),
]


@pytest.mark.parametrize("case", range(len(DECODING)))
def test_decoding(server: Server, case: int) -> None:
    change, status, text = DECODING[case]
    with server.client() as client:
        answer = client.post("/api/jobs/start_job/", json={**JOB, "jobId": 5300 + case, **change})
        assert (answer.status_code, text in answer.text) == (status, True), answer.text
        if status == 400:
            assert answer.json()["status"] == "Bad Request"
            assert answer.json()["error"].startswith("parsing request body failed: ")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b" ", 400), (b"null", 400), (b"[]", 400), (b"{", 400), (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"walltime":1e3}', 400), (b'{"walltime":NaN}', 400), (b'{"walltime":' + b"9" * 5000 + b"}", 400),
    ],
)  # fmt: skip
def test_bodies_that_are_none(server: Server, body: bytes, status: int) -> None:
    with server.client() as client:
        for path in ("start_job/", "stop_job/", "stop_job/1", "edit_meta/", "edit_meta/1"):
            method = "PATCH" if path.startswith("edit") else "POST"
            answer = client.request(method, f"/api/jobs/{path}", content=body)
            assert answer.status_code == status, (path, answer.text)
            assert set(answer.json()) == {"status", "error"}
        assert client.request("DELETE", "/api/jobs/delete_job/", content=body).status_code == status
        tags = client.post("/api/jobs/tag_job/999999", content=body)
        assert tags.status_code == (404 if body in (b"[]", b"null") else 400)


def test_bytes_after_the_first_value_are_ignored(server: Server) -> None:
    with server.client() as client:
        body = json.dumps({**JOB, "jobId": 5400}).encode() + b"} and more \x00"
        assert client.post("/api/jobs/start_job/", content=body).status_code == 201


def test_numbers_in_paths_and_queries(server: Server) -> None:
    with server.client() as client:
        for bad in ("x", "1_0", "1.0", "٣", "9223372036854775808", "%20", "--1"):
            for path, text in (
                (f"/api/jobs/{bad}", "integer expected in path for id"),
                (f"/api/jobs/delete_job_before/{bad}", "integer expected"),
            ):
                answer = client.request("DELETE" if "before" in path else "GET", path)
                assert (answer.status_code, text in answer.text) == (400, True), path
            data = client.get(f"/api/jobs/metrics/{bad}")
            assert (data.status_code, data.json()["data"]) == (200, None)
            assert client.get("/api/jobs/", params={"page": bad}).status_code == 400
        assert client.get("/api/jobs/9223372036854775807").status_code == 422
        last = client.get("/api/jobs/?page=9223372036854775807&items-per-page=9223372036854775807")
        assert last.json()["jobs"] == []


def early(server: Server, path: str, length: int) -> http.client.HTTPConnection:
    """A request that has sent its headers and nothing of its body yet."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("PUT", path)
    connection.putheader("X-Auth-Token", server.token("adapter"))
    connection.putheader("Content-Length", str(length))
    connection.endheaders()
    return connection


@pytest.mark.parametrize("path", ["/api/none", "/api/machine_state/a%5cb/c", "/api/jobs/"])
def test_connections_outlive_an_answer_that_needs_no_body(server: Server, path: str) -> None:
    connection = early(server, path, 2)
    with contextlib.closing(connection):
        arrived, _, _ = select.select([connection.sock], [], [], 0.3)
        assert not arrived, "answered before the body, which costs the connection"
        connection.send(b"{}")
        with connection.getresponse() as answer:
            assert 400 <= answer.status < 500
            assert answer.headers["connection"] is None
            answer.read()
        kept = connection.sock
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        assert connection.sock is kept


def test_an_answer_before_a_long_body_says_that_the_connection_ends(server: Server) -> None:
    with contextlib.closing(early(server, "/api/none", 1 << 20)) as connection:
        answer = connection.getresponse()
        assert answer.status == 404
        assert answer.headers["connection"] == "close"
        answer.read()
