"""Reading and checking config.json. Source: spec/operations.md 8."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ccserver.config.address import split_address
from ccserver.config.build import build_config
from ccserver.config.durations import DurationError, parse_duration
from ccserver.config.errors import ConfigError
from ccserver.config.legacy import KEYS, is_flat, sectioned
from ccserver.config.sections import Config

_log = logging.getLogger(__name__)

SECTIONS = ("main", "auth", "cron", "archive", "metric-store", "metric-store-external", "nats", "ui")
_TYPES = {
    "object": "an object", "array": "an array", "string": "a string", "integer": "an integer",
    "boolean": "true or false", "number": "a number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    file: Path
    pointer: str
    value: Any


def load(path: Path, environment: Mapping[str, str]) -> Config:
    """Read, check and complete the configuration; `environment` resolves `env:NAME` values.

    Raises ConfigError whose message has one line per fault: file, JSON pointer, expected and found.
    """
    document = read_document(path)
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected one object of sections, found {_shown(document)}")
    flat = is_flat(document)
    sections, unknown = sections_of(path, sectioned(path, document) if flat else document)
    for name in unknown:
        known = (*SECTIONS, *KEYS) if flat else SECTIONS
        _log.warning("%s: unknown section %r%s", path, name, nearest(name, known))
    if "main" not in sections:
        raise ConfigError(f"{path}: /main: the section is missing")
    if flat:  # faults are to be found where the file has the keys
        sections["main"] = replace(sections["main"], pointer="")
    faults = [
        fault
        for name, section in sections.items()
        for unknown_keys in (True, False)
        for fault in check(name, section, unknown_keys=unknown_keys)
    ]
    if faults:
        raise ConfigError("\n".join(faults))
    try:
        return build_config({name: section.value for name, section in sections.items()}, environment)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_document(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}: line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None


def sections_of(
    path: Path, document: dict[str, Any], names: Sequence[str] = SECTIONS
) -> tuple[dict[str, Section], list[str]]:
    """The known sections, also those in files of their own (`<name>-file`), and keys that are none."""
    sections: dict[str, Section] = {}
    unknown: list[str] = []
    for key, value in document.items():
        name = key.removesuffix("-file")
        if key in names:
            sections[key] = Section(path, f"/{key}", value)
        elif key.endswith("-file") and name in names:
            if name in document:
                raise ConfigError(f"{path}: /{key}: the section {name} is given twice, here and as /{name}")
            if not isinstance(value, str):
                raise ConfigError(f"{path}: /{key}: expected a path, found {_shown(value)}")
            sections[name] = Section(Path(value), "", read_document(Path(value)))
        else:
            unknown.append(key)
    return sections, unknown


def check(schema_name: str, section: Section, *, unknown_keys: bool) -> Iterator[str]:
    """Faults of a section: keys that nobody knows, or everything else."""
    import jsonschema

    file = resources.files("ccserver.config").joinpath("schemas", f"{schema_name}.json")
    schema = json.loads(file.read_text())
    validator = jsonschema.Draft202012Validator(schema, format_checker=_formats())
    for error in sorted(validator.iter_errors(section.value), key=lambda error: list(map(str, error.path))):
        if (error.validator == "additionalProperties") is not unknown_keys:
            continue
        pointer = section.pointer + "".join(f"/{part}" for part in error.absolute_path)
        for text in _described(error, pointer):
            yield f"{section.file}: {text}"


def _described(error: Any, pointer: str) -> Iterator[str]:
    secret = any(word in pointer.lower() for word in ("password", "secret", "token"))
    found = "something else" if secret else _shown(error.instance)
    pointer = pointer or "/"
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            for key in error.instance:
                if key not in known:
                    yield f"{pointer.rstrip('/')}/{key}: unknown key{nearest(key, known)}"
        case "required":
            for key in error.validator_value:
                if key not in error.instance:
                    yield f"{pointer.rstrip('/')}/{key}: is missing"
        case "type":
            yield f"{pointer}: expected {_kinds(error.validator_value)}, found {found}"
        case "enum":
            choices = ", ".join(map(str, error.validator_value))
            yield f"{pointer}: expected one of {choices}, found {found}"
        case "minimum":
            yield f"{pointer}: expected at least {error.validator_value}, found {found}"
        case "minLength":
            yield f"{pointer}: must not be empty"
        case "format":
            yield f"{pointer}: {_format_hint(error.validator_value)}, found {found}"
        case _:
            yield f"{pointer}: {error.message if not secret else 'is not valid'}"


def _kinds(names: str | list[str]) -> str:
    return " or ".join(_TYPES.get(name, name) for name in ([names] if isinstance(names, str) else names))


def _format_hint(name: str) -> str:
    if name == "address":
        return 'expected host:port, for example "127.0.0.1:8080"'
    return "expected a duration like 48h or 1h30m"


def _formats() -> Any:
    import jsonschema

    checker = jsonschema.FormatChecker(formats=())

    @checker.checks("duration", raises=DurationError)
    def duration(value: object) -> bool:
        return not isinstance(value, str) or parse_duration(value) >= 0

    @checker.checks("duration-or-empty", raises=DurationError)
    def duration_or_empty(value: object) -> bool:
        return not isinstance(value, str) or value == "" or parse_duration(value) >= 0

    @checker.checks("address")
    def address(value: object) -> bool:
        return not isinstance(value, str) or split_address(value) is not None

    return checker


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
