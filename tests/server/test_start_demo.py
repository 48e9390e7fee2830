"""`startDemo.sh` from an archive to the first page. Contract: spec/operations.md 11.6."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx

from tests.conftest import ROOT
from tests.server.running import Server, environment, eventually

# Everything as it is, but on a port that is free.
PROGRAM = """#!/bin/sh
[ "$1" != -server ] || sed -i 's/"addr": *"[^"]*"/"addr": "127.0.0.1:{port}"/' config.json
exec {python} -m ccserver.cli "$@"
"""


def test_a_site_stands_after_one_command(tmp_path: Path, fixtures: Path) -> None:
    software, folder = tmp_path / "software", tmp_path / "site"
    folder.mkdir()
    server = Server(folder)
    program = software / ".venv" / "bin" / "ccserver"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(port=server.port, python=sys.executable))
    program.chmod(0o755)
    script = shutil.copy(ROOT / "startDemo.sh", software)

    refused = subprocess.run([script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "job-archive-demo.tar is missing" in refused.stderr
    assert not (folder / "var").exists()

    with tarfile.open(folder / "job-archive-demo.tar", "w") as archive:
        archive.add(fixtures / "job-archive", "job-archive")
    for _first_and_again in range(2):
        with (folder / "server.log").open("ab") as log:
            server.process = subprocess.Popen([script], cwd=folder, env=environment(), stdout=log, stderr=log)
        try:
            eventually(server.ready, 120)
            form = {"username": "demo", "password": "demo"}
            with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
                assert browser.post("/login", data=form).status_code == 200
                jobs = browser.post("/query", json={"query": "{ jobs { count } }"}).json()
            assert jobs["data"]["jobs"]["count"] > 0
            assert server.stop() == 0, server.log
        finally:
            server.end()
