"""Which archive entries still name a deleted tag, on disk: the database knows no more of it.

One small file per deleted tag in `<database>-untagging/`: the ids of the jobs that carried it, as 64-bit
numbers in the machine's order. It is there before the tag is gone from the database and goes when all entries
are rewritten; rewriting one twice changes nothing, so after a crash all in the files are done again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Untagging:
    """Jobs that lost one tag. `done` is to be called once their archive entries say so."""

    ids: array[int]
    _file: Path

    def done(self) -> None:
        self._file.unlink(missing_ok=True)


class UntaggingNotes:
    """The files beside a database."""

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(f"{database.name}-untagging")

    def add(self, tag_id: int, ids: Sequence[int]) -> Untagging:
        """Note durably that these jobs lose a tag. Raises OSError."""
        self._folder.mkdir(exist_ok=True)
        file = self._folder / f"{tag_id}.ids"
        begun = file.with_suffix(".new")
        numbers = array("q", ids)
        with begun.open("wb") as stream:
            numbers.tofile(stream)
            stream.flush()
            os.fsync(stream.fileno())
        begun.replace(file)
        return Untagging(numbers, file)

    def left(self) -> Iterator[Untagging]:
        """What an earlier process did not finish."""
        for file in sorted(self._folder.glob("*.ids")):
            numbers: array[int] = array("q")
            content = file.read_bytes()
            numbers.frombytes(content[: len(content) // numbers.itemsize * numbers.itemsize])
            if numbers:
                yield Untagging(numbers, file)
