"""A server that speaks S3, on a free port of the loopback interface, with one empty bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.server.running import free_port


@contextmanager
def s3_server() -> Iterator[dict[str, Any]]:
    """Yields the section `archive` of a configuration that uses the bucket."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
    )
    try:
        for _ in range(600):
            try:
                assert httpx.put(f"{url}/jobs").status_code == 200
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        yield {
            "kind": "s3", "bucket": "jobs", "endpoint": url, "access-key": "key", "secret-key": "secret",
            "use-path-style": True,
        }  # fmt: skip
    finally:
        process.terminate()
        process.wait()
