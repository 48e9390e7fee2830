"""The programs the demo starts: how they run, how they end, and where their output goes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import trio

from ccserver.demo.errors import DemoError

PIDS = "demo-children.json"


def program(name: str) -> str:
    """Path of a program of this Python environment, else of the search path. Raises DemoError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(f"the program {name} is not installed; run `make setup`")
    return found


class Child:
    """One program in a session of its own, so that Ctrl-C in the terminal reaches the demo alone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.directory = directory
        self.log = directory / "log" / f"{name}.log"
        self._environment = {**os.environ, **environment} if environment else None
        self.process: trio.Process | None = None

    async def start(self) -> None:
        """Starts it with output appended to its log."""
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                self.command,
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _remember(self.directory, self.process.pid)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def wait(self) -> str:
        """Waits for the end and says how it came."""
        assert self.process is not None
        code = await self.process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def stop(self, patience: float) -> None:
        """Asks it to end, then insists."""
        if self.process is None or not self.alive:
            return
        self.process.terminate()
        with trio.move_on_after(patience):
            await self.process.wait()
        if self.alive:
            self.process.kill()
            await self.process.wait()

    def kill(self) -> None:
        if self.process is not None and self.alive:
            self.process.kill()

    def last_words(self, lines: int = 5) -> str:
        """End of its log, indented for an error message."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "".join(f"\n    {line}" for line in text.splitlines()[-lines:])


def end_leftovers(directory: Path) -> int:
    """Ends programs of a demo that was killed before it could; returns how many there were."""
    try:
        known = json.loads((directory / PIDS).read_text())
    except (OSError, ValueError):
        return 0
    left = []
    for pid, created in known:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1.0:  # the number may belong to somebody else by now
                process.send_signal(signal.SIGTERM)
                left.append(process)
    _, stubborn = psutil.wait_procs(left, timeout=15)
    for process in stubborn:
        process.kill()
    forget(directory)
    return len(left)


def forget(directory: Path) -> None:
    (directory / PIDS).unlink(missing_ok=True)


def _remember(directory: Path, pid: int) -> None:
    path = directory / PIDS
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = []
    with contextlib.suppress(psutil.Error):
        known.append([pid, psutil.Process(pid).create_time()])
    known = [entry for entry in known if psutil.pid_exists(entry[0])]
    path.write_text(json.dumps(known))
