"""What every page begins with, per role. Contract: spec/web-ui.md 2.2, 3.2."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.server.running import ACCOUNTS, Server

PROMISED = {
    "user", "clusters", "config", "resampling", "version", "notice", "emissionConstant",
    "shortRunningJobsDuration", "features", "page",
}  # fmt: skip
OWN = {"authentication", "defaults", "statusForSupport", "shortJobStorm", "presentation"}
"""Beyond those of the contract."""
ROLES = {"both": "api", "ute": "user", "max": "manager", "sue": "support", "boss": "admin"}
LEVELS = {"adapter": 1, "both": 2, "ute": 2, "max": 3, "sue": 4, "boss": 5}
SENSITIVE = re.compile(r"passw|token|secret|hash|key|\$2[aby]\$|argon", re.IGNORECASE)


def boot(client: httpx.Client, path: str = "/config") -> dict[str, Any]:
    page = client.get(path)
    assert page.status_code == 200
    found = re.search(r'id="boot">(.*?)</script>', page.text)
    assert found
    assert len(re.findall(r'type="application/json"', page.text)) == 1
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize("name", LEVELS)
def test_the_boot_payload_of_each_role(server: Server, name: str) -> None:
    with server.browser(name) as client:
        data = boot(client)
    assert data.keys() == PROMISED | OWN
    roles = sorted(ACCOUNTS[name].split(","))
    projects = ["lab"] if name == "max" else []
    assert data["user"] == {
        "username": name, "name": "", "email": "", "roles": roles, "authLevel": LEVELS[name],
        "projects": projects,
    }  # fmt: skip
    assert all(one.keys() == {"name", "subClusters", "partitions"} for one in data["clusters"])
    assert all(isinstance(key, str) and not isinstance(value, dict) for key, value in data["config"].items())
    assert data["version"].keys() == {"version", "hash", "buildTime"}
    assert data["page"] == {"name": "config", "params": {}}
    assert data["resampling"] is None or data["resampling"].keys() == {
        "minimumPoints", "trigger", "resolutions",
    }  # fmt: skip
    assert isinstance(data["notice"], str)
    assert isinstance(data["emissionConstant"], int | float)
    assert isinstance(data["shortRunningJobsDuration"], int)
    assert ("scramble" in data["features"]) == ("admin" in roles)


@pytest.mark.parametrize("name", LEVELS)
def test_nothing_sensitive_and_nobody_else_is_in_it(server: Server, name: str) -> None:
    with server.browser(name) as client:
        data = boot(client)
    del data["version"]["hash"]  # of the build
    others = set(ACCOUNTS) - {name}
    texts = set(strings(data)) - {"admin"}
    assert not texts & others
    assert not [text for text in texts if SENSITIVE.search(text)]
    keys = server.keys()
    assert keys.session is not None
    raw = json.dumps(data)
    assert keys.session.hex() not in raw
    assert ("lab" in texts) == (name == "max")


def strings(value: Any) -> list[str]:
    """All texts, those of keys too."""
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []
