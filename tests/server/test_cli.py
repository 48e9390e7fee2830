"""The command line: flags, order, exit status, and how little it needs to answer."""

from __future__ import annotations

import fcntl
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.running import Server, ccserver


def test_version_needs_no_configuration(tmp_path: Path) -> None:
    done = ccserver(tmp_path, "--version")
    assert done.returncode == 0
    lines = dict(line.split("\t") for line in done.stdout.splitlines()[1:])
    assert lines["SQL db version:"] == "11"
    assert lines["Job archive version:"] == "3"


def test_version_imports_nothing_heavy() -> None:
    code = (
        "import sys; from ccserver.cli import main\n"
        "try: main(['-version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numba', 'trio', 'quart', 'sqlalchemy', 'jsonschema'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("flag", ["-nonsense", "-server=perhaps", "-ver", "-config"])
def test_wrong_usage_is_exit_status_2(tmp_path: Path, flag: str) -> None:
    done = ccserver(tmp_path, flag)
    assert done.returncode == 2
    assert "usage:" in done.stderr


@pytest.mark.parametrize("flag", ["-h", "-help", "--help"])
def test_help(tmp_path: Path, flag: str) -> None:
    done = ccserver(tmp_path, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-add-user" in done.stdout


def test_init_writes_a_startable_installation_once(tmp_path: Path) -> None:
    assert ccserver(tmp_path, "-init").returncode == 0
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert (tmp_path / "var/job-archive/version.txt").read_text().strip() == "3"
    assert ccserver(tmp_path).returncode == 0
    before = (tmp_path / ".env").read_text()
    (tmp_path / "config.json").unlink()
    again = ccserver(tmp_path, "-init")
    assert again.returncode == 0
    assert "exists" in again.stdout
    assert (tmp_path / ".env").read_text() == before
    assert not (tmp_path / "config.json").exists()


def test_keys_are_fresh_for_every_installation(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        ccserver(tmp_path / name, "-init")
    one, other = ((tmp_path / name / ".env").read_text().splitlines()[1:] for name in "ab")
    assert not set(one) & set(other)


def test_without_server_flag_it_says_so(installation: Server) -> None:
    done = ccserver(installation.folder)
    assert done.returncode == 0
    assert "server flag not set" in done.stdout


def test_an_unreadable_configuration_is_one_clear_line(installation: Server) -> None:
    (installation.folder / "config.json").write_text('{"main": {"addr": 8080}')
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "config.json: line 1 column" in done.stderr


def test_in_a_directory_without_installation(tmp_path: Path) -> None:
    done = ccserver(tmp_path, "-server")
    assert done.returncode == 1
    assert "config.json: there is no such file; change to the installation, or set one up" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_broken_dotenv_is_named_without_its_content(installation: Server) -> None:
    (installation.folder / ".env").write_text("SESSION_KEY\nsecret words\n")
    done = ccserver(installation.folder)
    assert done.returncode == 1
    assert ".env:1" in done.stderr
    assert "secret" not in done.stderr


def test_without_session_key_the_server_refuses(installation: Server) -> None:
    path = installation.folder / ".env"
    path.write_text("".join(line for line in path.open() if "SESSION_KEY" not in line))
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "SESSION_KEY is not set" in done.stderr


def test_a_missing_database_is_refused_and_not_created(installation: Server) -> None:
    path = installation.folder / "var/job.db"
    path.unlink()
    done = ccserver(installation.folder, "-server")
    assert done.returncode == 1
    assert "-migrate-db" in done.stderr
    assert not path.exists()
    assert ccserver(installation.folder, "-migrate-db").returncode == 0
    assert ccserver(installation.folder).returncode == 0


@pytest.mark.parametrize(
    "specification", ["only", "name:user", ":user:secret", "ann:wizard:secret", "root:user:x"]
)
def test_an_account_that_cannot_be_added(installation: Server, specification: str) -> None:
    done = ccserver(installation.folder, "-add-user", specification)
    assert done.returncode == 1
    assert "-add-user" in done.stderr
    assert "secret" not in done.stderr


def test_a_password_may_contain_colons_and_accounts_can_go_again(installation: Server) -> None:
    assert ccserver(installation.folder, "-add-user", "ann:user,api:a:b:c").returncode == 0
    assert ccserver(installation.folder, "-jwt", "ann").returncode == 0
    assert ccserver(installation.folder, "-del-user", "ann").returncode == 0
    done = ccserver(installation.folder, "-jwt", "ann")
    assert done.returncode == 1
    assert "unknown user" in done.stderr


def test_accounts_can_be_added_while_the_server_runs(installation: Server) -> None:
    installation.start()
    assert ccserver(installation.folder, "-add-user", "ann:user:secret").returncode == 0
    form = {"username": "ann", "password": "secret"}
    with installation.client("") as client:
        assert client.post("/login", data=form).status_code == 302
        assert ccserver(installation.folder, "-del-user", "ann").returncode == 0
        assert client.post("/login", data=form).status_code == 401
    assert installation.stop() == 0


def test_checkpoints_are_cleaned_up_by_command(installation: Server) -> None:
    done = ccserver(installation.folder, "-cleanup-checkpoints")
    assert done.returncode == 0, done.stderr
    assert "0 files older than the retention removed, 0 samples archived" in done.stdout
    (directory,) = installation.folder.rglob("*checkpoints")
    with open(directory / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ccserver(installation.folder, "-cleanup-checkpoints")
    assert done.returncode == 1
    assert "is in use by another metric store" in done.stderr


def test_tags_are_applied_by_command(installation: Server) -> None:
    done = ccserver(installation.folder, "-apply-tags")
    assert done.returncode == 0, done.stderr
    assert "AppTagger: 0 jobs looked at\nJobClassTagger: 0 jobs looked at\n" in done.stdout


def test_log_lines_carry_priority_level_and_place(installation: Server) -> None:
    config = json.loads((installation.folder / "config.json").read_text())
    config["unknown-section"] = {}
    (installation.folder / "config.json").write_text(json.dumps(config))
    done = ccserver(installation.folder, "-logdate")
    assert done.returncode == 0
    assert done.stderr.startswith("<4>[WARNING]  2")
    assert "loading.py:" in done.stderr


def test_optimizing_and_forcing_the_database(installation: Server) -> None:
    assert "optimized" in ccserver(installation.folder, "-optimize-db").stdout
    import sqlite3

    with sqlite3.connect(installation.folder / "var/job.db") as connection:
        connection.execute("UPDATE schema_migrations SET dirty = 1")
    assert ccserver(installation.folder).returncode == 1
    assert ccserver(installation.folder, "-force-db").returncode == 0
    assert ccserver(installation.folder).returncode == 0
