"""The archive when the process dies at any step of a write: every job is whole, old or new."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccserver.archive import BrokenEntry, FileArchive
from ccserver.model.metrics import JobData
from tests.archive.jobs import data, job


def longer(document: JobData) -> JobData:
    """More than 2000 bytes, so that it is written compressed."""
    for scopes in document.values():
        for metric in scopes.values():
            metric.series[:] = [replace(one, data=np.zeros(2000, np.float32)) for one in metric.series]
    return document


def change(root: Path, action: str) -> None:
    archive = FileArchive(root)
    if action == "edit":
        archive.update_meta("demo", 4711042, 1700000400, lambda one: setattr(one, "user", "new"))
    else:
        archive.import_job(job(user="new"), longer(data()))


def died(root: Path, action: str, step: int) -> bool:
    """Whether a process that kills itself before the given step was killed; False when it came to its end."""
    return _killed(root, action, lambda: _die_before(step)) == signal.SIGKILL


def _killed(root: Path, action: str, prepare: Callable[[], None]) -> int:
    """The signal that ended a process making the change, 0 if it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            prepare()
            change(root, action)
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def _die_writing(size: int) -> None:
    """At the byte of any file that lies `size` bytes behind its begin."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _die_before(step: int) -> None:
    """A step is anything that changes the file system."""
    left = step
    changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event in changes:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


@pytest.mark.parametrize("action", ["new", "replace", "edit"])
def test_a_kill_at_any_step_leaves_whole_jobs(tmp_path: Path, action: str) -> None:
    step = 0
    seen: set[tuple[str, int]] = set()
    while True:
        root = tmp_path / f"{action}{step}"
        root.mkdir()
        archive = FileArchive(root)
        archive.open()
        if action != "new":
            archive.import_job(job(user="old"), data())
        killed = died(root, action, step)
        entries = list(archive.iterate())
        assert not any(isinstance(entry, BrokenEntry) for entry in entries), entries
        for entry in entries:
            assert not isinstance(entry, BrokenEntry)
            points = len(archive.load_data(entry)["mem_bw"]["node"].series[0].data)
            seen.add((entry.user, points))
            archive.load_files(entry.cluster, entry.job_id, entry.start_time)
        # what was left behind is in nobody's way
        archive.import_job(job(user="again"), data())
        assert [entry.user for entry in archive.iterate() if not isinstance(entry, BrokenEntry)] == ["again"]
        if not killed:
            break
        step += 1
    assert step >= 3
    old, new = ("old", 3), ("new", 3 if action == "edit" else 2000)
    whole = {"new": {new}, "replace": {old, new, ("old", 2000)}, "edit": {old, new}}[action]
    assert seen <= whole
    assert new in seen


@pytest.mark.parametrize("action", ["new", "replace", "edit"])
@pytest.mark.parametrize("size", [0, 1, 50, 300])
def test_a_kill_within_a_file_leaves_the_old_one(tmp_path: Path, action: str, size: int) -> None:
    archive = FileArchive(tmp_path)
    archive.open()
    if action != "new":
        archive.import_job(job(user="old"), data())
    assert _killed(tmp_path, action, lambda: _die_writing(size)) == signal.SIGXFSZ
    entries = [entry for entry in archive.iterate() if not isinstance(entry, BrokenEntry)]
    assert [entry.user for entry in entries] == ([] if action == "new" else ["old"])
    for entry in entries:
        archive.load_data(entry)
