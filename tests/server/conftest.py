"""A fresh installation per test, or a running server per module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import Server, set_up
from tests.server.wire import Wire


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation to copy: setting one up takes a second or more."""
    folder = tmp_path_factory.mktemp("template")
    set_up(folder)
    return folder


@pytest.fixture
def installation(template: Path, tmp_path: Path) -> Iterator[Server]:
    """A server to start; it ends with the test, also with one that fails."""
    installation = _copy(template, tmp_path / "site")
    yield installation
    installation.end()


@pytest.fixture(scope="module")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server shared by the tests of one module; it must end cleanly."""
    server = _copy(template, tmp_path_factory.mktemp("server") / "site")
    server.start()
    yield server
    status = server.stop()
    assert status == 0, server.log
    assert "[CRITICAL]" not in server.log
    assert "Traceback" not in server.log, server.log


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return server.token("adapter")


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with Wire(server) as wire:
        yield wire


def _copy(template: Path, folder: Path) -> Server:
    shutil.copytree(template, folder)
    server = Server(folder)
    server.configure()
    return server
