"""Automatic tags of jobs: which taggers there are, and running one over all finished jobs.

Source: spec/job-archive.md 17, spec/rest-api.md 4.6.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ccserver.jobs.filters import JobFilter
from ccserver.jobs.repository import JobRepository
from ccserver.jobs.tags import TagError, TagRepository
from ccserver.jobs.watched import WatchedFolder
from ccserver.model.job import JOB_STATES, Job, Tag

log = logging.getLogger(__name__)

_FINISHED = [state for state in JOB_STATES if state not in ("running", "pending", "suspended")]
_LARGEST_SCRIPT = 1 << 20  # characters of a job script that are searched


class TaggerBusy(Exception):
    """There is no tagger of that name, or it runs over all jobs already."""


class Tagger(Protocol):
    """`kind` start: called when a job was started; stop: after it was archived."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Literal["start", "stop"]: ...

    def tag(self, job: Job) -> None: ...


@dataclass(frozen=True, slots=True)
class TaggerState:
    name: str
    kind: str
    running: bool


class Taggers:
    """The taggers of a site. `close` ends runs under way between two jobs."""

    def __init__(self, jobs: JobRepository, taggers: Iterable[Tagger]) -> None:
        self._jobs = jobs
        self._taggers = {tagger.name: tagger for tagger in taggers}
        self._running: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def states(self) -> list[TaggerState]:
        with self._lock:
            return [
                TaggerState(one.name, one.kind, one.name in self._running) for one in self._taggers.values()
            ]

    def hooks(self, kind: Literal["start", "stop"]) -> list[Callable[[Job], None]]:
        """What to call for each job that was started, or archived."""
        return [tagger.tag for tagger in self._taggers.values() if tagger.kind == kind]

    def start(self, name: str) -> None:
        """Run a tagger over all finished jobs, in a thread of its own. Raises TaggerBusy."""
        with self._lock:
            if name not in self._taggers:
                raise TaggerBusy(f"there is no tagger {name!r}")
            if name in self._running:
                raise TaggerBusy(f"tagger {name} is running already")
            thread = threading.Thread(target=self._run_in_background, args=(name,), name=name, daemon=True)
            self._running[name] = thread
            thread.start()

    def run(self, name: str) -> int:
        """Go over all finished jobs; returns how many."""
        count = 0
        for job in self._jobs.iterate([JobFilter(state=_FINISHED)]):
            if self._closing.is_set():
                break
            count += 1
            try:
                self._taggers[name].tag(job)
            except Exception:
                log.exception("tagger %s: job %d", name, job.id)
        return count

    def close(self, timeout: float) -> None:
        self._closing.set()
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(timeout)

    def _run_in_background(self, name: str) -> None:
        began = time.monotonic()
        try:
            count = self.run(name)
            log.info("tagger %s: %d jobs in %.1f s", name, count, time.monotonic() - began)
        except Exception:
            log.exception("tagger %s", name)
        finally:
            with self._lock:
                del self._running[name]


def attach_missing(tags: TagRepository, job: Job, kind: str, names: Iterable[str]) -> None:
    """Attach global tags of one type that a job does not bear; one that cannot be costs itself."""
    present = {tag.name for tag in tags.of_job(job.id) if tag.type == kind}
    for name in names:
        if name not in present:
            try:
                tags.attach(job, [Tag(kind, name)], None)
            except TagError as error:
                log.warning("job %d: tag %s %s could not be attached: %s", job.id, kind, name, error)


class ApplicationTagger:
    """Recognises applications by what the job script says; one file of patterns per application.

    The folder is read again when it changes. A pattern must begin before the first `#` of a line.
    """

    name = "AppTagger"
    kind: Literal["start", "stop"] = "start"

    def __init__(self, folder: Path, jobs: JobRepository, tags: TagRepository) -> None:
        self._patterns = WatchedFolder[Mapping[str, Sequence[re.Pattern[str]]]](
            folder, _applications, {}, "no applications are recognised"
        )
        self._jobs = jobs
        self._tags = tags

    def tag(self, job: Job) -> None:
        """Attach a global tag of type `app` for every application found in the job's script."""
        patterns = self._patterns.current()
        metadata = job.metadata or self._jobs.metadata_of([job.id]).get(job.id) if patterns else None
        script = (metadata or {}).get("jobScript", "")[:_LARGEST_SCRIPT].lower()
        if not script:
            return
        found = [name for name, choices in patterns.items() if any(one.search(script) for one in choices)]
        if not found:
            return
        attach_missing(self._tags, job, "app", found)


def _applications(files: Sequence[Path]) -> Mapping[str, Sequence[re.Pattern[str]]]:
    return {path.stem: _patterns(path) for path in files}


def _patterns(path: Path) -> list[re.Pattern[str]]:
    """One pattern per line; those that cannot be compiled are logged and left out."""
    patterns = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not (text := line.strip()):
            continue
        try:
            # spelled out per line: [^#] alone would run over line ends and cost the square of their number
            patterns.append(re.compile(rf"(?m)^[^#\n]*{text}", re.ASCII))
        except re.error as error:
            log.warning("%s:%d: no regular expression: %s", path, number, error)
    return patterns
