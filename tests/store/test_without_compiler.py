"""Kernels as the plain Python they are written in: what a debugger shows must be what the compiler makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize(
    "name",
    ["grammar", "sentences", "ingest_twin", "resampling", "json_arrays", "json_text", "blocks", "packing"],
)
def test_tests_of_kernels_pass_without_compiler(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", FOLDER / f"test_{name}.py"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert " passed" in run.stdout
