"""Where files of an archive may lie besides a local tree: one small interface over directories and buckets.

Contract: spec/job-archive.md 21. S3 is spoken by pyarrow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow.fs

from ccserver.archive.file import replacing

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"


class PlaceError(ValueError):
    """A section does not name a place; the message begins with the key."""


class Place(Protocol):
    """Files by keys like `cluster/cluster.json`. All methods raise OSError."""

    def folders(self, key: str = "") -> list[str]:
        """Names of the folders in a folder, byte-wise sorted; those with a leading dot are left out."""

    def files(self, key: str) -> dict[str, int]:
        """Keys and sizes of all files below a folder."""

    def has(self, key: str) -> bool: ...

    def reading(self, key: str) -> IO[bytes]: ...

    def writing(self, key: str, content_type: str) -> Any:
        """A context with a file to write to; it appears under its key when the context ends well."""


class Directory:
    """A directory of this machine; it is created where it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def folders(self, key: str = "") -> list[str]:
        entries = (self._path / key).iterdir() if (self._path / key).is_dir() else ()
        names = [one.name for one in entries if one.is_dir() and not one.name.startswith(".")]
        return sorted(names, key=os.fsencode)

    def files(self, key: str) -> dict[str, int]:
        found = (self._path / key).rglob("*")
        return {str(one.relative_to(self._path)): one.stat().st_size for one in found if one.is_file()}

    def has(self, key: str) -> bool:
        return (self._path / key).is_file()

    def reading(self, key: str) -> IO[bytes]:
        return (self._path / key).open("rb")

    @contextmanager
    def writing(self, key: str, content_type: str) -> Iterator[IO[bytes]]:
        path = self._path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            yield file


class Bucket:
    """A bucket of S3, or of anything that speaks it."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        """`section` has the keys of a section `archive` of kind `s3`, kebab-case or camelCase."""

        def text(name: str) -> str:
            words = name.split("-")
            camel = words[0] + "".join(map(str.capitalize, words[1:]))
            value = section.get(name, section.get(camel)) or ""
            if not isinstance(value, str):
                raise PlaceError(f"{name}: a text is needed")
            return value

        self.name = text("bucket")
        if not self.name:
            raise PlaceError("bucket: a text is needed")
        options: dict[str, Any] = {"region": text("region") or "us-east-1"}
        if text("access-key") and text("secret-key"):
            options |= {"access_key": text("access-key"), "secret_key": text("secret-key")}
        if endpoint := text("endpoint"):
            path_style = section.get("use-path-style", section.get("usePathStyle", False))
            options |= {"endpoint_override": endpoint, "force_virtual_addressing": not path_style}
        try:
            self._store = pyarrow.fs.S3FileSystem(**options)
        except (OSError, ValueError) as error:
            raise PlaceError(f"endpoint: {error}") from None

    def __str__(self) -> str:
        return f"s3://{self.name}"

    def accessible(self) -> bool:
        return bool(self._store.get_file_info(self.name).type != pyarrow.fs.FileType.NotFound)

    def folders(self, key: str = "") -> list[str]:
        selector = pyarrow.fs.FileSelector(self._key(key).rstrip("/"), allow_not_found=True)
        found = self._store.get_file_info(selector)
        names = [one.base_name for one in found if one.type == pyarrow.fs.FileType.Directory]
        return sorted((name for name in names if not name.startswith(".")), key=os.fsencode)

    def files(self, key: str) -> dict[str, int]:
        selector = pyarrow.fs.FileSelector(self._key(key), recursive=True, allow_not_found=True)
        found = self._store.get_file_info(selector)
        start = len(self.name) + 1
        return {one.path[start:]: one.size for one in found if one.type == pyarrow.fs.FileType.File}

    def has(self, key: str) -> bool:
        return bool(self._store.get_file_info(self._key(key)).type == pyarrow.fs.FileType.File)

    def reading(self, key: str) -> IO[bytes]:
        return self._store.open_input_file(self._key(key))  # type: ignore[no-any-return]

    @contextmanager
    def writing(self, key: str, content_type: str) -> Iterator[IO[bytes]]:
        file = self._store.open_output_stream(
            self._key(key),
            compression=None,  # otherwise names that end in .gz would be packed again
            metadata={"Content-Type": content_type},
        )
        try:
            yield file
        except BaseException:
            file.abort()
            raise
        file.close()

    def remove(self, key: str) -> None:
        self._store.delete_file(self._key(key))

    def remove_folder(self, key: str) -> None:
        """Every object below; what remains is an empty object that stands for the parent folder."""
        self._store.delete_dir(self._key(key))

    def _key(self, key: str) -> str:
        return f"{self.name}/{key}"


def place_of(section: Mapping[str, Any]) -> Directory | Bucket:
    """Where Parquet files lie: `{"kind": "file", "path": ...}` or a bucket. Raises PlaceError."""
    kind = section.get("kind")
    if kind == "s3":
        return Bucket(section)
    if kind != "file":
        raise PlaceError(f"kind: {kind!r} is not supported, only file, s3 are")
    if not isinstance(path := section.get("path"), str) or not path:
        raise PlaceError("path: a text is needed")
    return Directory(Path(path))


def read(place: Place, key: str) -> bytes:
    with place.reading(key) as file:
        return file.read()


def write(place: Place, key: str, body: bytes, content_type: str = JSON) -> None:
    with place.writing(key, content_type) as file:
        file.write(body)
