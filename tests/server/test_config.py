"""Reading config.json, .env and keys: what is accepted, and what is said about the rest."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ccserver.config import ConfigError, DotenvError, load, read_dotenv, read_keys
from ccserver.config.durations import DurationError, parse_duration

MINIMAL: dict[str, Any] = {"main": {}}


def write(folder: Path, document: Any) -> Path:
    path = folder / "config.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def refusal(folder: Path, document: Any) -> str:
    path = write(folder, document)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return str(caught.value).replace(str(path), "config.json")


def test_site_sets_what_users_begin_with(tmp_path: Path) -> None:
    ui = {"theme": "dark", "density": "groups", "landing": "/monitoring/jobs/", "hotkeys": False,
          "documentation": "https://docs.example/hpc"}  # fmt: skip
    config = load(write(tmp_path, {"main": {}, "ui": ui}), {})
    assert {key: config.ui.defaults[f"ui_{key}"] for key in ui} == ui
    with pytest.raises(ConfigError, match="landing"):
        load(write(tmp_path, {"main": {}, "ui": {"landing": "//elsewhere.example"}}), {})


def test_defaults_of_an_empty_main_section(tmp_path: Path) -> None:
    config = load(write(tmp_path, MINIMAL), {})
    assert (config.main.host, config.main.port) == ("127.0.0.1", 8080)
    assert config.main.session_max_age == 168 * 3600
    assert config.cron.footprint_worker == 600
    assert config.archive.path == "./var/job-archive"
    assert config.metric_store is None
    assert config.ui.defaults["plotConfiguration_plotsPerRow"] == 3


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"main": {"addr": 8080}}, "config.json: /main/addr: expected a string, found 8080"),
        (
            {"main": {"addr": "8080"}},
            'config.json: /main/addr: expected host:port, for example "127.0.0.1:8080", found "8080"',
        ),
        ({"main": {"adr": "x:1"}}, "config.json: /main/adr: unknown key; did you mean 'addr'?"),
        ({"auth": {}}, "config.json: /main: the section is missing"),
        (
            {"main": {}, "metric-store": {"memory-cap": 1}},
            "config.json: /metric-store/retention-in-memory: is missing",
        ),
        (
            {"main": {}, "cron": {"duration-worker": "5 minutes"}},
            'config.json: /cron/duration-worker: expected a duration like 48h or 1h30m, found "5 minutes"',
        ),
        (
            {"main": {"nodestate-retention": {"policy": "move"}}},
            "config.json: /main/nodestate-retention/target-path: move needs to know where to",
        ),
        (
            {"main": {}, "archive": {"kind": "file", "retention": {"policy": "copy", "target-kind": "s3"}}},
            "config.json: /archive/retention/target-bucket: copy needs to know where to",
        ),
        (
            {"main": {}, "archive": {"kind": "tape"}},
            'config.json: /archive/kind: expected one of file, s3, sqlite, found "tape"',
        ),
        ("[1]", "config.json: expected one object of sections, found an array"),
        ('{"main": {},}', "config.json: line 1 column 13: Expecting property name enclosed in double quotes"),
        (
            {"main": {}, "nats": {"address": "nats://h:1", "password": 7}},
            "config.json: /nats/password: expected a string, found something else",
        ),
    ],
)
def test_a_fault_is_named_with_file_place_and_expectation(
    tmp_path: Path, document: Any, message: str
) -> None:
    found = refusal(tmp_path, document)
    # Other Python versions word the syntax error differently.
    assert found.split(": Exp")[0] == message.split(": Exp")[0] if "column" in message else found == message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"main": {"addr": 1, "user": 2}, "cron": {"x": "1s"}}).count("\n") == 2


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file or directory$"):
        load(tmp_path / "none.json", {})


def test_a_section_may_live_in_its_own_file(tmp_path: Path) -> None:
    part = tmp_path / "store.json"
    part.write_text('{"retention-in-memory": "1h", "memory-cap": 2}')
    config = load(write(tmp_path, {"main": {}, "metric-store-file": str(part)}), {})
    assert config.metric_store is not None
    assert (config.metric_store.retention, config.metric_store.memory_cap) == (3600, 2_000_000_000)
    part.write_text('{"retention-in-memory": 1, "memory-cap": 2}')
    with pytest.raises(ConfigError, match=r"store\.json: /retention-in-memory: expected a string"):
        load(tmp_path / "config.json", {})
    part.unlink()
    with pytest.raises(ConfigError, match=r"store\.json: cannot be read"):
        load(tmp_path / "config.json", {})


def test_the_database_may_come_from_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path, {"main": {"db": "env:JOB_DB"}})
    assert load(path, {"JOB_DB": "/data/job.db"}).main.db == "/data/job.db"
    with pytest.raises(ConfigError, match="JOB_DB it refers to is not set"):
        load(path, {})


def test_metric_lists_per_cluster_become_suffixed_keys(tmp_path: Path) -> None:
    clusters = [
        {"name": "c", "job-list-metrics": ["a"], "sub-clusters": [{"name": "s", "job-list-metrics": ["b"]}]}
    ]
    config = load(write(tmp_path, {"main": {}, "ui": {"metric-config": {"clusters": clusters}}}), {})
    assert config.ui.defaults["metricConfig_jobListMetrics:c"] == ["a"]
    assert config.ui.defaults["metricConfig_jobListMetrics:c:s"] == ["b"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("48h", 172800), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("0", 0), ("10us", 1e-5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1d", "5", "h", "1h 30m", "-1h", "1h30"])
def test_no_durations(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration(text)


def test_dotenv_lines(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# comment\n\nPLAIN=a b # rest\nexport QUOTED='x # $PLAIN'\n"
        'DOUBLE="l1\\nl2 \\"q\\" $PLAIN"  # c\nGIVEN=file\nEMPTY=\n'
    )
    assert read_dotenv(path, {"GIVEN": "environment"}) == {
        "PLAIN": "a b",
        "QUOTED": "x # $PLAIN",
        "DOUBLE": 'l1\nl2 "q" a b',
        "EMPTY": "",
    }
    assert read_dotenv(tmp_path / "absent", {}) == {}


@pytest.mark.parametrize("line", ["no equals sign", 'A="open', "A='x' y", "1A=x"])
def test_a_dotenv_line_nobody_can_read(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(f"OK=1\n{line}\n")
    with pytest.raises(DotenvError, match=r"\.env:2: "):
        read_dotenv(path, {})


def test_a_private_key_is_seed_and_public_key() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    keys = read_keys({"JWT_PRIVATE_KEY": base64.b64encode(seed + public).decode()})
    assert keys.jwt_seed == seed
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(ConfigError, match="JWT_PRIVATE_KEY"):
        read_keys({"JWT_PRIVATE_KEY": base64.b64encode(seed + other).decode()})


@pytest.mark.parametrize(
    ("name", "value"),
    [("JWT_PUBLIC_KEY", "%%%"), ("JWT_PUBLIC_KEY", "AAAA"), ("SESSION_KEY", "AAAA"), ("SESSION_KEY", "x")],
)
def test_an_unusable_key_is_fatal_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        read_keys({name: value})
    assert value not in str(caught.value).replace(name, "")


def test_an_unusable_key_of_another_site_only_switches_its_login_off() -> None:
    assert read_keys({"CROSS_LOGIN_JWT_PUBLIC_KEY": "AAAA"}).cross_login_public is None
