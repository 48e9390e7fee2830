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
        "addr": "127.0.0.1:8080", "short-running-jobs-duration": 300, "emission-constant": 317,
        "api-allowed-ips": ["*"], "enable-job-taggers": False, "validate": False,
        "resampling": {"minimum-points": 600, "trigger": 300, "resolutions": [240, 60]},
        "db-config": {"cache-size-mb": 64, "max-open-connections": 4},
    },
    "cron": {"commit-job-worker": "2m", "duration-worker": "5m", "footprint-worker": "10m"},
    "archive": {"kind": "file", "path": "./var/job-archive", "retention": {"policy": "none"}},
    "auth": {"jwts": {"max-age": "2000h"}},
    "metric-store": {
        "retention-in-memory": "48h", "memory-cap": 1, "checkpoint-interval": "12h",
        "checkpoints": {"file-format": "wal", "directory": "./var/checkpoints", "max-wal-size": 0},
        "cleanup": {"mode": "delete"},
    },
    "ui": {"job-list": {"use-paging": False, "show-footprint": True}},
}  # fmt: skip


def test_a_site_of_version_1_5_runs_as_it_lies_there(fixtures: Path, tmp_path: Path) -> None:
    archive = tmp_path / "var" / "job-archive"
    shutil.copytree(fixtures / "job-archive", archive)
    shutil.copytree(fixtures / "metric-store" / "checkpoints" / "wal", tmp_path / "var" / "checkpoints")
    (archive / "README.md").unlink()
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
            (hash_password("demo"),),
        )
        connection.execute(
            "INSERT INTO job (job_id, cluster, subcluster, start_time, hpc_user, project, duration, walltime,"
            " job_state, resources, num_nodes, shared, monitoring_status)"
            " VALUES (?, 'emmy', 'main', ?, ?, 'lab', ?, 86400, 'completed', ?, ?, 'none', 3)",
            (job["jobId"], job["startTime"], job["user"], job["duration"], json.dumps(job["resources"]),
             job["numNodes"]),
        )  # fmt: skip
        connection.execute("INSERT INTO tag (id, tag_type, tag_name) VALUES (1, 'kind', 'old')")
        connection.execute("INSERT INTO jobtag (job_id, tag_id) VALUES (1, 1)")
    before = {path: path.read_bytes() for path in (tmp_path / "config.json", tmp_path / ".env", meta)}

    server = Server(tmp_path)
    server.port = int(config["main"]["addr"].rpartition(":")[2])
    server.flags = ["--config", "./config.json", "--server", "--loglevel", "info"]
    server.start()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert client.post("/login", data={"username": "demo", "password": "demo"}).status_code == 302
        query = "{ jobs { count items { jobId tags { name } } } }"
        found = client.post("/query", json={"query": query}).json()["data"]["jobs"]
        assert found == {"count": 1, "items": [{"jobId": job["jobId"], "tags": [{"name": "old"}]}]}
        metrics = client.post("/query", json={"query": '{ jobMetrics(id: "1") { name } }'}).json()
        assert metrics["data"]["jobMetrics"]
        token = client.get("/frontend/jwt/?username=demo").text
    with httpx.Client(base_url=server.url, headers={"X-Auth-Token": token}, timeout=60) as client:
        names = {one["name"] for one in client.get("/api/clusters/").json()["clusters"]}
        assert names == {"emmy", "fritz"}
        assert client.get("/api/jobs/1").status_code == 200
    assert server.stop() == 0, server.log
    assert "[ERROR]" not in server.log, server.log
    assert {path: path.read_bytes() for path in before} == before
    assert os.path.exists(tmp_path / "var" / "checkpoints")
