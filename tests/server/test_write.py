"""Line protocol over HTTP, and reading it back. Contract: spec/metric-store.md 6."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.server.running import Server, eventually


def samples(client: httpx.Client, host: str, start: int, count: int) -> list[float | None]:
    body = {
        "cluster": "small",
        "from": start,
        "to": start + 10 * count,
        "queries": [{"metric": "cpu_load", "host": host}],
    }
    answer = client.post("/api/query", json=body)
    assert answer.status_code == 200, answer.text
    row = answer.json()["results"][0]
    return row[0]["data"] if row else []


def lines(host: str, start: int, count: int) -> bytes:
    one = b"cpu_load,hostname=%s value=%d %d\n"
    return b"".join(one % (host.encode(), i, start + 10 * i) for i in range(count))


@pytest.fixture
def start() -> int:
    return int(time.time()) // 10 * 10 - 600


def test_a_good_body_is_answered_empty(server: Server, start: int) -> None:
    with server.client() as client:
        for path in ("/api/write", "/api/write/", "/metricstore/api/write"):
            answer = client.post(path, params={"cluster": "small"}, content=lines("n01", start, 3))
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-type"] == "application/json"
        assert samples(client, "n01", start, 3) == [0, 1, 2]
        assert client.post("/api/write").status_code == 200


def test_one_bad_line_costs_itself_only(server: Server, start: int) -> None:
    body = lines("n02", start, 2) + b"cpu_load,hostname=n02 value=oops 1\n" + lines("n02", start + 20, 1)
    with server.client() as client:
        answer = client.post("/api/write?cluster=small", content=body)
        assert answer.status_code == 400
        found = answer.json()
        assert found["status"] == "Bad Request"
        assert found["error"] == "1 of 4 lines rejected; line 3: value"
        assert (found["accepted"], found["rejected_total"]) == (3, 1)
        assert found["rejected"][0]["line"] == 3
        assert found["rejected"][0]["text"] == "cpu_load,hostname=n02 value=oops 1"
        assert samples(client, "n02", start, 3) == [0, 1, 0]


def test_line_numbers_count_through_a_body_of_many_parts(server: Server, start: int) -> None:
    many = lines("n03", start, 30) * 700  # more than one part
    bad = b"cpu_load,hostname=n03 value=oops 1\n"
    with server.client() as client:
        found = client.post("/api/write?cluster=small", content=many + bad).json()
        assert found["rejected"][0]["line"] == 21001
        assert found["accepted"] == 21000


def test_gzip_and_chunked_bodies(server: Server, start: int) -> None:
    body = lines("n04", start, 20)

    def pieces() -> Iterator[bytes]:
        for position in range(0, len(body), 37):
            yield body[position : position + 37]

    with server.client() as client:
        packed = client.post(
            "/api/write?cluster=small", content=gzip.compress(body), headers={"Content-Encoding": "gzip"}
        )
        assert packed.status_code == 200
        assert samples(client, "n04", start, 20) == list(range(20))
        assert client.post("/api/write?cluster=small", content=pieces()).status_code == 200
        lying = client.post("/api/write", content=body, headers={"Content-Encoding": "gzip"})
        assert lying.status_code == 400
        cut = gzip.compress(body)[:-12]
        assert client.post("/api/write", content=cut, headers={"Content-Encoding": "gzip"}).status_code == 400
        unknown = client.post("/api/write", content=body, headers={"Content-Encoding": "br"})
        assert unknown.status_code == 415


def test_what_arrived_before_a_client_broke_off_is_stored(server: Server, start: int) -> None:
    body = lines("n05", start, 5) + b"cpu_load,hostname=n05 val"
    head = (
        f"POST /api/write?cluster=small HTTP/1.1\r\nhost: x\r\nx-auth-token: {server.token('adapter')}\r\n"
        "content-length: 100000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
    with server.client() as client:
        eventually(lambda: samples(client, "n05", start, 5) == [0, 1, 2, 3, 4])


def test_only_post_writes(server: Server) -> None:
    with server.client() as client:
        answer = client.get("/api/write")
        assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


def test_queries(server: Server, start: int) -> None:
    with server.client() as client:
        client.post("/api/write?cluster=small", content=lines("n06", start, 4))
        body = {
            "cluster": "small", "from": start, "to": start + 40, "some-new-key": 1,
            "queries": [
                {"metric": "cpu_load", "host": "n06"}, {"metric": "nosuch", "host": "n06"},
                {"metric": "cpu_load", "hostname": "nobody", "type": None},
            ],
        }  # fmt: skip
        found = client.request("GET", "/api/query/", json=body).json()["results"]
        assert found[0][0]["data"] == [0, 1, 2, 3]
        assert (found[0][0]["avg"], found[0][0]["max"]) == (1.5, 3)
        assert found[1][0]["error"] == "[METRICSTORE]> unknown metric: nosuch"
        assert found[2] == []
        bare = client.post("/api/query", json=body | {"with-data": False}).json()["results"]
        assert "data" not in bare[0][0]
        for_all = {"cluster": "small", "from": start, "to": start + 40, "for-all-nodes": ["cpu_load"]}
        answer = client.post("/api/query", json=for_all).json()
        assert len(answer["queries"]) == len(answer["results"])
        assert {"metric": "cpu_load", "host": "n06", "resolution": 0, "aggreg": False} in answer["queries"]
        assert client.post("/api/query", json=body | {"to": start - 1}).status_code == 400
        assert client.post("/api/query", content="{").status_code == 400


def test_health_free_and_debug(server: Server, start: int) -> None:
    now = int(time.time()) // 10 * 10
    with server.client() as client:
        client.post("/api/write?cluster=small", content=lines("n07", now - 20, 3))
        asked = {"cluster": "small", "nodes": ["n07", "nope"], "metric-names": ["cpu_load"]}
        found = client.request("GET", "/api/healthcheck", json=asked).json()
        assert found["n07"] == {"State": "full", "HealthMetrics": '{"degraded":[],"missing":[]}'}
        assert found["nope"] == {"State": "failed", "HealthMetrics": ""}
        assert client.request("GET", "/api/healthcheck", json=asked | {"x": 1}).status_code == 400
        assert client.post("/api/free", json=[]).status_code == 400
        assert client.post("/api/free?to=soon", json=[]).status_code == 400
        freed = client.post("/api/free?to=1", json=[["small", "n07"]])
        assert freed.text == "buffers freed: 0\n"
