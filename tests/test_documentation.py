"""docs/configuration.md and docs/install.md name what the program has, no less and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from ccserver.cli import SWITCHES, VALUES
from ccserver.config.loading import SECTIONS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text()
NAMED = set(re.findall(r"`([a-z-]+(?:\[\])?\.[a-z0-9.\[\]-]+)`", PAGE))


def keys_of(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    """Every key of a section that holds a value, not a further object."""
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        inner = schema["items"]
        if inner.get("type") == "object":
            yield from keys_of(inner, prefix + "[]")
            return
    if "properties" not in schema:
        yield prefix
        return
    for name, member in schema["properties"].items():
        yield from keys_of(member, f"{prefix}.{name}")


def configurable() -> set[str]:
    folder = resources.files("ccserver.config") / "schemas"
    return {
        key
        for section in SECTIONS
        for key in keys_of(json.loads((folder / f"{section}.json").read_text()), section)
    }


def test_every_key_is_described_and_every_described_key_exists() -> None:
    assert configurable() - NAMED == set()
    assert {
        name for name in NAMED if name.split(".")[0].removesuffix("[]") in SECTIONS
    } - configurable() == set()


def test_every_flag_is_described() -> None:
    flags = set(re.findall(r"`-([a-z-]+)(?: <[^`]*)?`", PAGE)) - {"help", "h", "wal"}
    assert flags >= {*SWITCHES, *VALUES}
    assert {name for name in flags if f"| `-{name}" in PAGE} <= {*SWITCHES, *VALUES}


def test_every_variable_is_described() -> None:
    source = "".join(path.read_text() for path in (ROOT / "ccserver").rglob("*.py"))
    read = set(
        re.findall(r'"((?:JWT|SESSION|CROSS_LOGIN|LDAP|OID|PROMETHEUS|NOTIFY|WATCHDOG)_[A-Z0-9_]+)"', source)
    )
    assert {name for name in read if f"`{name}`" not in PAGE} <= {"WATCHDOG_PID"}


@pytest.mark.parametrize("name", ["config.json", "minimal.json"])
def test_the_samples_can_be_loaded(name: str, caplog: pytest.LogCaptureFixture) -> None:
    from ccserver.config import load

    load(ROOT / "config" / name, {})
    assert not caplog.records


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_unit_is_what_the_contract_says() -> None:
    unit = Path(ROOT / "config" / "ccserver.service").read_text()
    for line in (
        "Type=notify", "NotifyAccess=all", "Restart=on-failure", "RestartSec=30", "TimeoutStopSec=100",
        "WantedBy=multi-user.target", "After=network-online.target", "Wants=network-online.target",
    ):  # fmt: skip
        assert line in unit.splitlines(), line
    assert re.search(r"ExecStart=\S+ --config ./config.json --server$", unit, re.MULTILINE)
