"""The flat config.json of versions 1.2 to 1.4 is read as it was meant. Contract: spec/operations.md 8.10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccserver.config import Config, ConfigError, load

VERSION_1_2: dict[str, Any] = {
    "addr": "127.0.0.1:8081",
    "user": "cc", "group": "cc",
    "apiAllowedIPs": ["10.0.0.1"],
    "validate": True,
    "session-max-age": "24h",
    "short-running-jobs-duration": 120,
    "machine-state-dir": "./var/machines",
    "stop-jobs-exceeding-walltime": 3600,
    "archive": {
        "kind": "file", "path": "./var/archive", "compression": 3,
        "retention": {"policy": "move", "age": 365, "includeDB": True, "location": "/backup"},
    },
    "jwts": {
        "cookieName": "portal", "validateUser": True, "max-age": "2000h", "trustedIssuer": "https://p",
        "syncUserOnLogin": True,
    },
    "ldap": {
        "url": "ldaps://ldap", "user_base": "ou=people", "search_dn": "cn=reader",
        "user_bind": "uid={username}",
        "user_filter": "(&(objectclass=posixAccount))", "username_attr": "displayName",
        "sync_interval": "24h",
        "sync_del_old_users": True, "syncUserOnLogin": True,
    },
    "clusters": [
        {
            "name": "fritz",
            "metricDataRepository": {
                "kind": "cc-metric-store", "url": "http://store:8082", "token": "secret"
            },
            "filterRanges": {"numNodes": {"from": 1, "to": 64}},
        },
        {
            "name": "alex",
            "metricDataRepository": {
                "kind": "cc-metric-store", "url": "http://b:1", "token": "t", "metricRenamings": {"a": "b"},
            },
        },
    ],
    "ui-defaults": {
        "plot_list_selectedMetrics": ["cpu_load"], "plot_list_jobsPerPage": 50, "plot_view_plotsPerRow": 4,
        "plot_view_showPolarplot": False, "plot_general_colorscheme": ["#00bfff"],
    },
}  # fmt: skip

VERSION_1_4: dict[str, Any] = {
    "addr": "127.0.0.1:8081",
    "archive": {"kind": "file", "path": "./var/archive"},
    "oidc": {"provider": "https://idp", "syncUserOnLogin": True, "updateUserOnLogin": True},
    "enable-resampling": {"trigger": 30, "resolutions": [600, 300]},
    "emission-constant": 317,
    "cron-frequency": {"duration-worker": "6m", "footprint-worker": "11m"},
}


def loaded(folder: Path, document: dict[str, Any]) -> Config:
    path = folder / "config.json"
    path.write_text(json.dumps(document))
    return load(path, {})


def test_every_key_of_version_1_2_finds_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = loaded(tmp_path, VERSION_1_2)
    main = config.main
    assert (main.host, main.port, main.user, main.group) == ("127.0.0.1", 8081, "cc", "cc")
    assert (main.api_allowed_ips, main.validate, main.session_max_age) == (("10.0.0.1",), True, 86400)
    assert (main.short_running_jobs_duration, main.stop_jobs_exceeding_walltime) == (120, 3600)
    assert main.machine_state_dir == "./var/machines"
    assert (config.archive.path, config.archive.compression) == ("./var/archive", 3)
    assert config.archive.retention == {
        "policy": "move", "age": 365, "include-db": True, "target-path": "/backup"
    }  # fmt: skip
    jwts, ldap = config.auth.jwts, config.auth.ldap
    assert jwts is not None
    assert (jwts.cookie_name, jwts.validate_user, jwts.trusted_issuer) == ("portal", True, "https://p")
    assert (jwts.sync_user_on_login, jwts.max_age) == (True, 2000 * 3600)
    assert ldap is not None
    assert (ldap.username_attr, ldap.sync_interval, ldap.sync_del_old_users) == ("displayName", 86400, True)
    assert ldap.sync_user_on_login
    assert [(one.scope, one.url, one.kind) for one in config.metric_store_external] == [
        ("fritz", "http://store:8082", "cc-metric-store"), ("alex", "http://b:1", "cc-metric-store")
    ]  # fmt: skip
    defaults = config.ui.defaults
    assert defaults["metricConfig_jobListMetrics"] == ["cpu_load"]
    assert (defaults["plotConfiguration_plotsPerRow"], defaults["jobView_showPolarPlot"]) == (4, False)
    assert "layout of versions before 1.5" in caplog.text
    assert "unknown" not in caplog.text
    assert "secret" not in caplog.text


def test_keys_of_versions_1_3_and_1_4(tmp_path: Path) -> None:
    config = loaded(tmp_path, VERSION_1_4)
    assert config.auth.oidc is not None
    assert (config.auth.oidc.provider, config.auth.oidc.update_user_on_login) == ("https://idp", True)
    assert config.main.resampling is not None
    assert config.main.resampling.resolutions == (600, 300)
    assert (config.cron.duration_worker, config.cron.footprint_worker) == (360, 660)
    assert config.main.emission_constant == 317


def test_the_archive_as_the_documentation_called_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"addr": "h:1", "job-archive": {"kind": "file", "path": "/a"}})
    assert config.archive.path == "/a"


def test_faults_are_named_where_the_file_has_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json: /addr: expected a string, found 7"):
        loaded(tmp_path, VERSION_1_2 | {"addr": 7})
    with pytest.raises(ConfigError, match=r"/auth/ldap/nonsense: unknown key"):
        loaded(tmp_path, VERSION_1_2 | {"ldap": VERSION_1_2["ldap"] | {"nonsense": 1}})


def test_an_unknown_key_is_a_warning_with_the_nearest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded(tmp_path, VERSION_1_2 | {"apiAlowedIPs": []})
    assert "did you mean 'apiAllowedIPs'" in caplog.text


def test_todays_layout_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/main: the section is missing"):
        loaded(tmp_path, {"archive": {"kind": "file"}, "auth": {"jwts": {"max-age": ""}}})
