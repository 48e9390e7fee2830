"""What docs/install.md tells a new operator works; an installation of cc-backend 1.5 runs without an edit."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ccserver.auth.users import hash_password
from ccserver.config.keys import new_key_lines
from ccserver.database import migrate
from tests.conftest import ROOT
from tests.server.running import Server, environment, eventually

PAGE = (ROOT / "docs" / "install.md").read_text()


def commands() -> list[str]:
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return block[1].strip().splitlines()


def run(folder: Path, command: str) -> str:
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(
        shell, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def software(folder: Path) -> None:
    """What `git clone` and `make setup` leave behind, as far as the commands use it."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    program = folder / ".venv" / "bin" / "ccserver"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ccserver.cli "$@"\n')
    program.chmod(0o755)
    shutil.copytree(ROOT / "config", folder / "config")


def test_ten_commands_to_a_site_with_tls(tmp_path: Path) -> None:
    listed = commands()
    assert len(listed) == 10
    software(tmp_path)
    # The first four make an account, fetch the software and build it; the last one belongs to systemd.
    output = [run(tmp_path, command) for command in listed[4:8]]
    assert listed[8] == "exit"
    token = re.search(r"^JWT: .* (\S+)$", output[-1], re.MULTILINE)
    assert token is not None
    server = Server(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace("0.0.0.0:8443", f"127.0.0.1:{server.port}"))
    unit = (tmp_path / "config" / "ccserver.service").read_text()
    start = re.search(r"^ExecStart=/opt/monitoring/.venv/bin/ccserver (.*)$", unit, re.MULTILINE)
    assert start is not None
    assert listed[9].count("/opt/monitoring/config/ccserver.service") == 1
    server.flags = start[1].split()
    server.start(wait=False)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    trusting.check_hostname = False
    url = f"https://127.0.0.1:{server.port}"
    with httpx.Client(base_url=url, verify=trusting, timeout=30) as client:

        def ready() -> bool:
            try:
                return client.get("/readyz").status_code == 200
            except httpx.TransportError:
                return False

        eventually(ready, 120)
        bearer = {"Authorization": f"Bearer {token[1]}"}
        assert client.get("/api/clusters/", headers=bearer).json() == {"clusters": []}
        form = {"username": "admin", "password": "choose a password"}
        assert client.post("/login", data=form).status_code == 302
        assert client.get("/config/users/").json()[0]["username"] == "admin"
    assert server.stop() == 0, server.log


CONFIG_1_5 = {
    "main": {
        "addr": "127.0.0.1:8080", "api-allowed-ips": ["*"], "embed-static-files": True,
        "db": "./var/job.db", "session-max-age": "168h", "short-running-jobs-duration": 300,
        "emission-constant": 317, "enable-job-taggers": True, "validate": False,
        "stop-jobs-exceeding-walltime": 3600, "machine-state-dir": "./var/machine-state",
        "systemd-unit": "clustercockpit.service",
        "resampling": {"minimum-points": 600, "trigger": 300, "resolutions": [240, 60]},
        "db-config": {
            "cache-size-mb": 64, "soft-heap-limit-mb": 1024, "max-open-connections": 4,
            "max-idle-connections": 4, "max-idle-time-minutes": 10, "busy-timeout-ms": 60000,
        },
        "nodestate-retention": {
            "policy": "move", "age": 24, "target-kind": "file", "target-path": "./var/nodestates",
            "max-file-size-mb": 128,
        },
    },
    "cron": {"commit-job-worker": "2m", "duration-worker": "5m", "footprint-worker": "10m"},
    "archive": {
        "kind": "file", "path": "./var/job-archive", "compression": 7,
        "retention": {
            "policy": "copy", "age": 7, "include-db": False, "omit-tagged": "user", "format": "parquet",
            "target-kind": "file", "target-path": "./var/copies", "max-file-size-mb": 512,
        },
    },
    "auth": {
        "jwts": {
            "max-age": "2000h", "cookie-name": "", "trusted-issuer": "", "validate-user": False,
            "sync-user-on-login": True, "update-user-on-login": False,
        }
    },
    "metric-store": {
        "retention-in-memory": "200000h", "memory-cap": 1, "num-workers": 2, "checkpoint-interval": "12h",
        "checkpoints": {"file-format": "wal", "directory": "./var/checkpoints", "max-wal-size": 0},
        "cleanup": {"mode": "delete"},
        "nats-subscriptions": [{"subscribe-to": "hpc-nats", "cluster-tag": "testc"}],
    },
    "ui": {
        "job-list": {"use-paging": False, "show-footprint": True},
        "node-list": {"use-paging": True},
        "job-view": {
            "show-polar-plot": True, "show-footprint": True, "show-roofline": True, "show-stat-table": True,
        },
        "metric-config": {
            "job-list-metrics": ["cpu_load"], "job-view-plot-metrics": ["cpu_load"],
            "job-view-table-metrics": ["cpu_load"],
            "clusters": [
                {
                    "name": "emmy", "job-list-metrics": ["cpu_load"],
                    "sub-clusters": [{"name": "main", "job-list-metrics": ["cpu_load"]}],
                }
            ],
        },
        "plot-configuration": {
            "color-background": True, "plots-per-row": 3, "line-width": 3, "color-scheme": ["#00bfff"],
        },
    },
}  # fmt: skip
FIRST_SAMPLE = 1_700_000_017  # of the checkpoints among the fixtures
TAGS = (("old", "global"), ("mine", "demo"), ("staff", "admin"), ("secret", "ann"))


@pytest.mark.parametrize(("checkpoints", "samples"), [("json", 11), ("bin", 11), ("wal", 1)])
def test_a_site_of_version_1_5_runs_as_it_lies_there(
    fixtures: Path, tmp_path: Path, checkpoints: str, samples: int
) -> None:
    archive = tmp_path / "var" / "job-archive"
    shutil.copytree(fixtures / "job-archive", archive)
    shutil.copytree(fixtures / "metric-store/checkpoints" / checkpoints, tmp_path / "var" / "checkpoints")
    (archive / "README.md").unlink()
    (archive / "testc").mkdir()
    shutil.copy(fixtures / "metric-store/jobdata/cluster-testc.json", archive / "testc" / "cluster.json")
    (tmp_path / ".env").write_text("\n".join(new_key_lines()) + "\nLDAP_ADMIN_PASSWORD=x\n")
    config = json.loads(json.dumps(CONFIG_1_5))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config["main"]["addr"] = f"127.0.0.1:{probe.getsockname()[1]}"
    (tmp_path / "config.json").write_text(json.dumps(config))
    database = tmp_path / "var" / "job.db"
    migrate(database)
    meta = next(archive.glob("emmy/1403/244/*/meta.json"))
    job = json.loads(meta.read_text())
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO hpc_user (username, password, roles) VALUES ('demo', ?, '[\"admin\", \"api\"]')",
            (hash_password("demo").replace("$2b$", "$2a$"),),
        )
        connection.execute("INSERT INTO hpc_user (username, ldap, roles) VALUES ('ann', 1, '[\"user\"]')")
        settings = (("jobList_usePaging", "true"), ("plot_list_jobsPerPage", "50"))
        for key, value in settings:
            connection.execute("INSERT INTO configuration VALUES ('demo', ?, ?)", (key, value))
        connection.execute(
            "INSERT INTO job (job_id, cluster, subcluster, start_time, hpc_user, project, duration, walltime,"
            " job_state, resources, num_nodes, shared, monitoring_status)"
            " VALUES (?, 'emmy', 'main', ?, ?, 'lab', ?, 86400, 'completed', ?, ?, 'none', 3)",
            (job["jobId"], job["startTime"], job["user"], job["duration"], json.dumps(job["resources"]),
             job["numNodes"]),
        )  # fmt: skip
        for number, tag in enumerate(TAGS):
            names = "INSERT INTO tag (id, tag_type, tag_name, tag_scope) VALUES (?, 'kind', ?, ?)"
            connection.execute(names, (number, *tag))
            connection.execute("INSERT INTO jobtag (job_id, tag_id) VALUES (1, ?)", (number,))
    before = {path: path.read_bytes() for path in (tmp_path / "config.json", tmp_path / ".env", meta)}

    server = Server(tmp_path)
    server.port = int(config["main"]["addr"].rpartition(":")[2])
    server.flags = ["--config", "./config.json", "--server", "--loglevel", "info"]
    server.start()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.post("/login", data={"username": "demo", "password": "demo"}).status_code == 302
        query = "{ jobs { count items { jobId tags { name scope } } } }"
        found = client.post("/query", json={"query": query}).json()["data"]["jobs"]
        assert (found["count"], found["items"][0]["jobId"]) == (1, job["jobId"])
        tags = {(tag["name"], tag["scope"]) for tag in found["items"][0]["tags"]}
        assert tags == set(TAGS) - {("secret", "ann")}
        assert '"jobList_usePaging":true' in client.get("/").text
        accounts = client.get("/config/users/").json()
        assert [(one["username"], one["roles"]) for one in accounts] == [
            ("ann", ["user"]), ("demo", ["api", "admin"]),
        ]  # fmt: skip
        metrics = client.post("/query", json={"query": '{ jobMetrics(id: "1") { name } }'}).json()
        assert metrics["data"]["jobMetrics"]
        token = client.get("/frontend/jwt/?username=demo").text
    with httpx.Client(base_url=server.url, headers={"X-Auth-Token": token}, timeout=60) as client:
        names = {one["name"] for one in client.get("/api/clusters/").json()["clusters"]}
        assert names == {"emmy", "fritz", "testc"}
        span = {"cluster": "testc", "from": FIRST_SAMPLE, "to": FIRST_SAMPLE + 660}
        query = span | {"queries": [{"metric": "cpu_load", "host": "n01"}]}
        eventually(lambda: client.get("/readyz").status_code == 200, 60)
        values = client.post("/api/query", json=query).json()["results"][0][0]["data"]
        present = [value for value in values if value is not None]
        assert (len(present), present[0]) == (samples, 4.0)
        assert client.get("/api/jobs/1").status_code == 200
    assert server.stop() == 0, server.log
    assert "[ERROR]" not in server.log, server.log
    assert "cache_size_mb=64, soft_heap_limit_mb=1024" in server.log
    assert {path: path.read_bytes() for path in before} == before
    assert os.path.exists(tmp_path / "var" / "checkpoints")
