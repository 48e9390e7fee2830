"""The OpenAPI document, fuzzed: whatever is sent, nothing of the server breaks, and answers are as described.

Only where the contract itself says 500 (a tag that is unknown or may not be written) is a 500 accepted, and a
crash would still be found: its traceback would be in the log.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.server.running import Server

SETTINGS = """
[[operations]]
include-path-regex = "^/api/(tags/|jobs/tag_job/|jobs/start_job/)|^/frontend/logs/"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "500"]
"""
JOB = {
    "user": "ute", "project": "lab", "cluster": "small", "startTime": 1700000000, "numNodes": 1,
    "resources": [{"hostname": "n01"}],
}  # fmt: skip
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


@pytest.mark.parametrize(("phases", "examples"), [("fuzzing", 4)])
def test_nothing_breaks(installation: Server, phases: str, examples: int) -> None:
    installation.configure(lambda config: config["main"].update({"machine-state-dir": "./var/machines"}))
    installation.start()
    with installation.client() as client:
        for number in (1, 2, 3):  # so that small ids are those of jobs
            assert client.post("/api/jobs/start_job/", json={**JOB, "jobId": number}).status_code == 201
        assert (
            client.post("/api/jobs/stop_job/", json={"jobId": 2, "stopTime": 1700000100}).status_code == 200
        )
    settings = installation.folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    with installation.browser("root") as browser:
        session = browser.cookies["session"]
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings),
        "run", f"{installation.url}/swagger/doc.json",
        "--header", f"X-Auth-Token: {installation.token('root')}", "--header", f"Cookie: session={session}",
        "--checks", CHECKS, "--phases", phases, "--max-examples", str(examples), "--mode", "all",
        "--seed", "1", "--workers", "1", "--continue-on-failure", "--no-color", "--no-shrink",
        "--generation-database", "none", "--suppress-health-check", "all",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=installation.folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        assert installation.stop() == 0
    assert "Traceback" not in installation.log, installation.log
