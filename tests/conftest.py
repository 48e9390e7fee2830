"""Shared fixtures: where data of other projects lies, and what happens when a service is not installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a kernel may compile it.
settings.register_profile("kernels", deadline=None)
settings.load_profile("kernels")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder with data of other projects; tests that need it are skipped on a clone without it."""
    path = Path(os.environ.get("CC_FIXTURES", ROOT.parent / "shared" / "fixtures"))
    if not path.is_dir():
        if os.environ.get("REQUIRE_FIXTURES"):
            pytest.fail(f"REQUIRE_FIXTURES is set and {path} does not exist")
        pytest.skip(f"no fixtures at {path}")
    return path


def require_program(*names: str) -> str:
    """Path of the first installed program; skips the test, or fails it when services are required."""
    for name in names:
        if path := shutil.which(name):
            return path
    if os.environ.get("REQUIRE_SERVICES"):
        pytest.fail(f"REQUIRE_SERVICES is set and none of {', '.join(names)} is installed")
    pytest.skip(f"none of {', '.join(names)} is installed")
