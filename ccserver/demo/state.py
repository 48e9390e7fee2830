"""What the demo remembers between two starts: `demo-state.json` in its directory."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ccserver.demo.errors import DemoError

FILE = "demo-state.json"


@dataclass(slots=True)
class State:
    """Times are seconds since epoch; 0 and empty mean not yet."""

    stage: str = "setup"  # "setup" until the first start has written everything, then "ready"
    seed: int = 1
    broker_port: int = 0
    imported: str = ""  # archive taken over at the first start
    history_start: int = 0
    history_end: int = 0
    history_done_to: int = 0  # samples and jobs from here to history_end are in
    last_sample: int = 0
    scheduler: dict[str, Any] = field(default_factory=dict)
    unreported: list[list[Any]] = field(default_factory=list)  # [job number, stop time, state]
    next_local_job: int = 1

    def save(self, directory: Path) -> None:
        """Replaces the file in one step, so that a kill leaves the old or the new one."""
        target = directory / FILE
        fresh = target.with_suffix(".tmp")
        fresh.write_text(json.dumps(asdict(self)))
        os.replace(fresh, target)


def load(directory: Path) -> State | None:
    """The state of a directory, None if no demo has been there. Raises DemoError for an unreadable file."""
    path = directory / FILE
    try:
        return State(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DemoError(f"{path} is damaged ({error}); remove {directory} to begin anew") from error
