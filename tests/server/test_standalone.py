"""The metric store as a server of its own. Contract: spec/metric-store.md 6, 7, 8, 11.2, 12, 13."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ccserver.config import ConfigError
from ccserver.rest.monitoring import Monitor
from ccserver.rest.store_application import TokenDoor, create_store_application
from ccserver.standalone.backend import Backend
from ccserver.standalone.command import SWITCHES, VALUES
from ccserver.standalone.config import load
from ccstore import Metric, MetricStore, StoreOptions
from tests.conftest import ROOT
from tests.server.running import environment, eventually, free_port
from tests.server.test_broker import Broker

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
START = 1700000000
METRICS = {
    "cpu_load": {"frequency": 60, "aggregation": None},
    "flops_any": {"frequency": 60, "aggregation": "sum"},
}


def token(key: Any = KEY, algorithm: str = "EdDSA", **claims: Any) -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


class Store:
    """A folder with config.json and the process that serves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config: dict[str, Any] = {
            "main": {"addr": f"127.0.0.1:{self.port}", "jwt-public-key": PUBLIC},
            # Long enough for the samples of the contract's examples.
            "metric-store": {"retention-in-memory": "80000h", "memory-cap": 1},
            "metrics": METRICS,
        }

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "config.json").write_text(json.dumps(self.config))
        command = [sys.executable, "-m", "ccserver.standalone", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.config))
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "ccserver.standalone", "--loglevel", "info", "-logdate"]
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdout=log, stderr=log
            )
        eventually(self._ready, 120)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        return False

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(30) == 0, self.log
        finally:
            self.process.kill()
            self.process.wait()
        assert "Traceback" not in self.log

    def client(self, authorization: str | None = None) -> httpx.Client:
        shown = f"Bearer {token()}" if authorization is None else authorization
        headers = {"Authorization": shown} if shown else {}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    if store.process is not None and store.process.poll() is None:
        store.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("store"))
    store.start()
    lines = [
        f"cpu_load,hostname=n0{host} value={10 * (host - 1) + value} {START + 17 + 60 * i}"
        for host in (1, 2)
        for i, value in enumerate((4.0, 5.168, 6.152, 6.796))
    ]
    lines += [
        f"flops_any,hostname=n01,type=hwthread,type-id={thread} value={10 * thread + 1} {START + 17 + 60 * i}"
        for thread in (0, 1)
        for i in range(4)
    ]
    with store.client() as client:
        assert client.post("/api/write/?cluster=testc", content="\n".join(lines)).status_code == 200
    yield store
    store.stop()


def test_a_get_with_a_body_is_answered(running: Store) -> None:
    body = {
        "cluster": "testc", "from": START + 17, "to": START + 257, "with-padding": False,
        "queries": [
            {"metric": "cpu_load", "host": "n01"},
            {"metric": "flops_any", "host": "n01", "type": "hwthread", "type-ids": ["0", "1"]},
            {"metric": "flops_any", "host": "n01", "type": "hwthread", "type-ids": ["0", "1", "9"],
             "aggreg": True},
            {"metric": "nosuch", "host": "n01"},
            {"metric": "cpu_load", "host": "nosuch"},
        ],
    }  # fmt: skip
    with running.client() as client:
        for method, path in (
            ("GET", "/api/query/"),
            ("POST", "/api/query?version=v2"),
            ("GET", "/metricstore/api/query"),
        ):
            rows = client.request(method, path, json=body).raise_for_status().json()["results"]
            assert rows[0][0]["data"] == pytest.approx([4.0, 5.168, 6.152, 6.796], abs=0.001)
            assert {k: rows[0][0][k] for k in ("from", "to", "resolution")} == {
                "from": START + 17, "to": START + 257, "resolution": 60,
            }  # fmt: skip
            assert [one["data"][0] for one in rows[1]] == [1.0, 11.0]
            assert [one["data"] for one in rows[2]] == [[12.0] * 4]
            assert rows[3] == [
                {"error": "[METRICSTORE]> unknown metric: nosuch", "from": 0, "to": 0, "resolution": 0,
                 "avg": 0, "min": 0, "max": 0}
            ]  # fmt: skip
            assert rows[4] == []


def test_all_nodes(running: Store) -> None:
    body = {"cluster": "testc", "from": START + 17, "to": START + 137, "for-all-nodes": ["cpu_load"]}
    with running.client() as client:
        answer = client.request("GET", "/api/query", json=body).json()
        assert [one["host"] for one in answer["queries"]] == ["n01", "n02"]
        assert answer["results"][1][0]["data"] == pytest.approx([14.0, 15.168], abs=0.001)
        assert client.post("/api/query", json=body | {"cluster": ""}).status_code == 400


def test_golden_queries(fixtures: Path, store: Store) -> None:
    document = json.loads((fixtures / "metric-store/jobdata/cluster-testc.json").read_text())
    store.config["metrics"] = {
        m["name"]: {"frequency": m["timestep"], "aggregation": m.get("aggregation")}
        for m in document["metricConfig"]
    }
    store.start()
    deviating = ("padded", "after the data", "gaps in one thread", "minimum-points 10")
    stream = (fixtures / "metric-store/lineprotocol/stream-12-steps.lp").read_bytes()
    compared = 0
    with store.client() as client:
        assert client.post("/api/write", content=stream).status_code == 200
        for case in json.loads((fixtures / "metric-store/query/query-golden.json").read_text()):
            if any(word in case["name"] for word in deviating):
                continue
            # The file holds requests of the internal interface, whose switches are off when absent.
            switches = {name: case["request"].get(name, True) for name in ("with-stats", "with-padding")}
            answer = client.request("GET", "/api/query/", json=case["request"] | switches)
            if "error" in case:
                assert answer.status_code == 400, case["name"]
                continue
            for wanted, got in zip(case["response"]["results"], answer.json()["results"], strict=True):
                assert len(wanted) == len(got), case["name"]
                for one, other in zip(wanted, got, strict=True):
                    assert other.get("error") == one.get("error")
                    assert other.get("data", []) == pytest.approx(one.get("data", []), abs=0.0006), case[
                        "name"
                    ]
                    assert (other["from"], other["to"]) == (one["from"], one["to"])
                    compared += 1
    assert compared > 20


def test_a_bad_line_is_named(running: Store) -> None:
    lines = "cpu_load,hostname=x value=1.0 1700000017\ncpu_load,hostname=x value=oops 1700000077"
    with running.client() as client:
        answer = client.post("/api/write/?cluster=other", content=lines)
        assert answer.status_code == 400
        assert answer.json() == {
            "status": "Bad Request", "error": "1 of 2 lines rejected; line 2: value", "accepted": 1,
            "dropped": 0, "rejected_total": 1,
            "rejected": [
                {"line": 2, "reason": "value", "text": "cpu_load,hostname=x value=oops 1700000077"}
            ],
        }  # fmt: skip
        packed = gzip.compress(lines.splitlines()[0].encode())
        headers = {"Content-Encoding": "gzip"}
        assert client.post("/api/write?cluster=other", content=packed, headers=headers).status_code == 200


def test_health_free_and_debug(running: Store) -> None:
    with running.client() as client:
        asked = {"cluster": "testc", "nodes": ["n01", "nope"], "metric-names": ["cpu_load", "clock"]}
        states = client.request("GET", "/api/healthcheck", json=asked).json()
        assert states["n01"]["State"] == "failed"  # its samples are years old
        assert json.loads(states["n01"]["HealthMetrics"]) == {"degraded": ["cpu_load"], "missing": ["clock"]}
        assert states["nope"] == {"State": "failed", "HealthMetrics": ""}
        assert client.request("GET", "/api/healthcheck", json={"x": 1}).status_code == 400
        client.post("/api/write?cluster=gone", content="cpu_load,hostname=x value=1 1700000017")
        tree = client.get("/api/debug/?selector=gone:x").json()["data"]
        assert tree["cpu_load"][0]["start"] == START + 17
        assert client.get("/api/debug?selector=nosuch").status_code == 400
        freed = client.post(f"/api/free?to={START + 10**6}", json=[["gone"]])
        assert freed.text == "buffers freed: 1\n"
        assert client.post("/api/free", json=[]).status_code == 400


def test_wrong_paths_methods_and_bodies(running: Store) -> None:
    with running.client() as client:
        assert client.get("/api/write").status_code == 405
        assert client.get("/api/free").status_code == 405
        assert client.get("/nosuch").status_code == 404
        answer = client.post("/api/query", content="{")
        assert (answer.status_code, answer.json()["status"]) == (400, "Bad Request")
        backwards = {"cluster": "testc", "from": 2, "to": 1}
        assert "invalid time range" in client.post("/api/query", json=backwards).json()["error"]


PATHS = [("GET", "/api/query"), ("POST", "/api/write"), ("POST", "/api/free?to=0"), ("GET", "/api/debug"),
         ("GET", "/api/healthcheck")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nothing_without_a_token(running: Store, method: str, path: str) -> None:
    with running.client("") as client:
        answer = client.request(method, path)
        assert (answer.status_code, answer.text) == (401, "Use JWT Authentication")


@pytest.mark.parametrize(
    "bad",
    [
        token(Ed25519PrivateKey.generate()),
        token(exp=1),
        token(b"0" * 32, "HS256"),
        token(None, "none"),
        "rubbish",
    ],
)
def test_tokens_that_prove_nothing(running: Store, bad: str) -> None:
    with running.client(f"Bearer {bad}") as client:
        for method, path in PATHS:
            answer = client.request(method, path)
            assert answer.status_code == 401
            assert "token" in answer.text


def test_without_a_key_everybody_reads_and_writes(store: Store) -> None:
    store.config["main"] = {"addr": f"0.0.0.0:{store.port}"}
    store.start()
    with store.client("") as client:
        assert client.post("/api/write?cluster=c", content="cpu_load,hostname=h value=1").status_code == 200
        assert client.post("/api/query", json={"cluster": "c"}).status_code == 200
        assert client.post("/api/free?to=0", json=[]).status_code == 401
        assert client.get("/api/debug").status_code == 401


def test_samples_survive_a_clean_stop(store: Store) -> None:
    store.start()
    with store.client() as client:
        client.post("/api/write?cluster=c", content=f"cpu_load,hostname=h value=7 {START}")
    store.stop()
    store.start()
    body = {"cluster": "c", "from": START, "to": START + 60, "queries": [{"metric": "cpu_load", "host": "h"}]}
    with store.client() as client:
        assert client.post("/api/query", json=body).json()["results"][0][0]["data"] == [7.0]


def old_checkpoint(directory: Path) -> None:
    host = directory / "c" / "h"
    host.mkdir(parents=True)
    metric = {"frequency": 60, "start": START, "data": [3.0]}
    (host / f"{START}.json").write_text(json.dumps({"metrics": {"cpu_load": metric}, "children": {}}))


def test_old_checkpoints_are_imported_by_command(store: Store) -> None:
    old_checkpoint(store.folder / "old")
    done = store.run("-import-checkpoints", "old")
    assert done.returncode == 0, done.stderr
    assert "1 samples of 1 hosts" in done.stdout
    assert len(list((store.folder / "var/checkpoints").glob("*.checkpoint"))) == 1
    assert store.run("-import-checkpoints", "nowhere").returncode == 1
    assert store.run("-cleanup-checkpoints").returncode == 0


def test_samples_from_nats_go_to_the_cluster_of_their_subscription(store: Store) -> None:
    broker = Broker()
    subscriptions = [{"subscribe-to": "hpc", "cluster-tag": name} for name in ("fritz", "alex")]
    store.config["metric-store"]["nats-subscriptions"] = subscriptions
    store.config["nats"] = {"address": broker.settings.address}
    broker.start()
    try:
        store.start()
        eventually(lambda: "NATS: connected" in store.log)
        time.sleep(0.3)
        tagged = f"cpu_load,hostname=t,cluster=own value=2 {START}\n"
        broker.publish("hpc", [f"cpu_load,hostname=h value=1 {START}\n{tagged}".encode()])

        def hosts() -> dict[str, list[str]]:
            with store.client() as client:
                tree = client.get("/api/debug").json()["data"]
            return {cluster: sorted(found) for cluster, found in tree.items()}

        eventually(lambda: hosts() == {"fritz": ["h"], "alex": ["h"], "own": ["t"]})
    finally:
        broker.kill()


def test_the_sample_configuration_of_the_reference(fixtures: Path, store: Store) -> None:
    config = json.loads((fixtures / "metric-store/config/ccms-config.json").read_text())
    config["main"]["addr"] = f"127.0.0.1:{store.port}"
    config["nats"]["address"] = f"nats://127.0.0.1:{free_port()}"
    store.config = config
    store.start()
    assert "publicly known" in store.log
    with store.client("") as client:
        assert client.get("/api/query").status_code == 401


@pytest.mark.parametrize("name", ["ccms-config-legacy.json", "ccms-config-fau-legacy.json"])
def test_old_layouts_are_explained(fixtures: Path, name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(fixtures / "metric-store/config" / name)
    for word in ("/http-api: ", "/checkpoints: ", "/archive: ", "/retention-in-memory: "):
        assert word in str(raised.value)
    assert ("/nats: " in str(raised.value)) == (name == "ccms-config-legacy.json")


def write_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    config: dict[str, Any] = {
        "metric-store": {"retention-in-memory": "1h", "memory-cap": 1}, "metrics": METRICS,
    }  # fmt: skip
    change(config)
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def test_unknown_keys_are_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def change(config: dict[str, Any]) -> None:
        config["metric-store"]["checkpoints"] = {"restore": "48h", "directory": "x"}
        config["metric-store"]["retention"] = 5
        config["extra"] = {}

    config = load(write_config(tmp_path, change))
    assert (config.port, config.host, config.public_key) == (8082, "0.0.0.0", None)
    assert "/metric-store/retention: unknown key; did you mean 'retention-in-memory'?" in caplog.text
    assert "/metric-store/checkpoints/restore: is gone" in caplog.text
    assert "unknown section" in caplog.text


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ("metrics", {"a": {"frequency": 0}}, "/metrics/a/frequency"),
        ("metrics", {"a": {}}, "/metrics/a/frequency: is missing"),
        ("metric-store", {"memory-cap": 1}, "/metric-store/retention-in-memory: is missing"),
        ("main", {"addr": "8082"}, "/main/addr"),
        ("main", {"jwt-public-key": "XZY"}, "/main/jwt-public-key: is not base64"),
        ("main", {"https-cert-file": "x"}, "/main/https-key-file"),
    ],
)
def test_faults_of_a_configuration(tmp_path: Path, section: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(write_config(tmp_path, lambda config: config.update({section: value})))
    assert words in str(raised.value)


def test_a_section_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/metrics: the section is missing"):
        load(write_config(tmp_path, lambda config: config.pop("metrics")))


def test_flags_have_one_or_two_dashes(store: Store) -> None:
    for dashes in ("-", "--"):
        done = store.run(f"{dashes}version")
        assert (done.returncode, done.stdout.split(" ")[0]) == (0, "ccstore")
        assert store.run(f"{dashes}config=nosuch.json").returncode == 1
    assert store.run("-nosuch").returncode == 2


def test_used_nodes_are_asked_from_the_backend(store: Store) -> None:
    """A stand-alone store has no such route; the answers of a real one are in test_adapter.py."""
    import http.server
    import threading

    asked: list[tuple[str, str]] = []
    answers = [b'{"usedNodes":{"c":["h1","h2"],"d":null}}', b'{"c":["h1"]}', b"[]"]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[len(asked) - 1])

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", store.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        backend = Backend(f"http://127.0.0.1:{store.port}/", "secret")
        try:
            assert backend.used_nodes(5) == {"c": ["h1", "h2"], "d": ()}
            assert backend.used_nodes(5) == {"c": ["h1"]}
            with pytest.raises(ValueError, match="no map"):
                backend.used_nodes(5)
        finally:
            server.shutdown()
            thread.join()
    assert asked[0] == ("/api/jobs/used_nodes?ts=5", "Bearer secret")
    with pytest.raises(OSError, match="refused"):
        backend.used_nodes(5)


def keys_of(schema: dict[str, Any], place: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        row = inner.get("items", {})
        if inner.get("properties"):
            yield from keys_of(inner, f"{place}.{name}")
        elif row.get("properties"):
            yield from keys_of(row, f"{place}.{name}[]")
        else:
            yield f"{place}.{name}"


def test_every_key_flag_and_route_is_documented(tmp_path: Path) -> None:
    text = (ROOT / "docs/ccstore.md").read_text()
    schemas = files("ccserver.config") / "schemas"
    keys = [
        key
        for section, name in (("main", "store-main"), ("nats", "nats"), ("metric-store", "metric-store"))
        for key in keys_of(json.loads((schemas / f"{name}.json").read_text()), section)
    ]
    assert len(keys) > 25
    assert [key for key in keys if f"`{key}`" not in text] == []
    assert [flag for flag in (*SWITCHES, *VALUES) if f"`-{flag}" not in text] == []
    store = MetricStore({"*": [Metric("m", 60)]}, StoreOptions())
    gateway = create_store_application(store, TokenDoor(None), Monitor(store), anonymous_free=True)
    rules = {rule.rule for rule in gateway._pages.url_map.iter_rules()}  # type: ignore[attr-defined]
    routes = {rule.removeprefix("/metricstore") for rule in (*rules, *gateway._mounts)}  # type: ignore[attr-defined]
    assert {route for route in routes if f"`{route}`" not in text} == set()
    assert {"/api/query", "/api/write", "/metrics"} <= routes


def test_samples_of_configurations_load() -> None:
    config = load(ROOT / "config/ccstore.json")
    assert (config.port, len(config.metrics)) == (8082, 9)
    unit = (ROOT / "config/ccstore.service").read_text()
    assert "Type=notify" in unit
    assert "bin/ccstore --config" in unit


def test_figures_are_for_holders_of_a_token(running: Store) -> None:
    with running.client("") as client:
        assert client.get("/metrics").status_code == 401
    with running.client() as client:
        answer = client.get("/metrics/")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "ccstore_stored_samples_total" in answer.text
    assert 'ccserver_info{version="' in answer.text


HOSTILE = [
    b"[",
    b"null",
    b'{"from":' + b"9" * 400 + b"}",
    b'{"from":-9223372036854775808,"to":9223372036854775807}',
    b'{"from":5,"to":4}',
    b'{"from":"12"}',
    b'{"from":1.5}',
    b'{"from":NaN}',
    b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"cluster":"\xff"}',
    b'{"cluster":"\\ud800"}',
    b'{"queries":{}}',
    b'{"queries":[{"metric":"cpu_load","host":"n01","scale-by":1e400}]}',
    b'{"queries":[{"metric":"cpu_load","type-ids":[true]}]}',
    b'{"for-all-nodes":["cpu_load"]}',
    b'{"resample-algo":"best"}',
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_bodies_are_refused(running: Store, body: bytes) -> None:
    with running.client() as client:
        answer = client.post("/api/query", content=body)
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"status", "error"}


def test_odd_numbers_are_answered(running: Store) -> None:
    rows = [
        {"metric": "cpu_load", "host": "n01", "resolution": 10**30},
        {"metric": "cpu_load", "host": "n01", "resolution": -5},
        {"metric": "cpu_load", "host": "n01", "scale-by": 1e300},
        {"metric": "cpu_load", "host": "n01", "scale-by": -1e-300},
        {"metric": "cpu_load", "hostname": "n01", "type": "node", "type-ids": [1]},
        {"metric": "cpu_load", "host": "n01", "type": "core", "type-ids": [0] * 2000},
        {"metric": "cpu_load", "host": None, "unknown": {"deep": []}},
    ]
    body = {"cluster": "testc", "from": START + 17, "to": START + 257, "queries": rows}
    with running.client() as client:
        answer = client.post("/api/query", json=body)
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert [len(row) for row in results] == [1, 1, 1, 1, 1, 0, 0]
        assert results[2][0]["data"] == [None] * 4
        wide = {**body, "from": 0, "to": 60 * (10**7 + 1), "queries": rows[:1]}
        ((refused,),) = client.post("/api/query", json=wide).json()["results"]
        assert "ask for a shorter range" in refused["error"]
        chunks = (b" " * (1 << 20) for _ in range(18))
        assert client.post("/api/query", content=chunks).status_code == 413


def test_systemd_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"\0ccstore-test-{store.port}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name)
        listener.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        store.start()
        told = [listener.recv(1000) for _ in range(4)]
        assert any(b"READY=1" in message for message in told)
        assert any(b"WATCHDOG=1" in message for message in told)
        store.stop()
        end = b""
        while b"STOPPING=1" not in end:
            end = listener.recv(1000)
