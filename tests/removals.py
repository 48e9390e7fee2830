"""Security tests that notice when their defence is gone: `python -m tests.removals [row ...]`.

Each row of spec/operations.md 14, and what else an attacker tries, has removals: a defence taken out of a
scratch copy of the sources, and the tests that must fail then. A removal that no test notices is printed and
makes the exit status 1. All of them take about ten minutes; tests/test_removals.py only checks that the
table still fits the sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Removal:
    """`edits` are file, text and what stands there instead; `tests` are arguments of pytest."""

    row: str
    defence: str
    edits: tuple[tuple[str, str, str], ...]
    tests: str


def removal(row: str, defence: str, tests: str, *edits: str) -> Removal:
    triples = tuple(zip(edits[::3], edits[1::3], edits[2::3], strict=True))
    return Removal(row, defence, triples, tests)


SECURITY = "tests/server/test_security.py::"
ACCESS = "tests/server/test_access.py::"
PAGES = "tests/server/test_pages.py::"
OIDC_FILE = "tests/server/test_oidc.py"
OIDC = OIDC_FILE + "::"
LDAP = "tests/auth/test_ldap.py::"
JWT = "tests/auth/test_jwt_login.py::"
OPERATIONS = "tests/server/test_operations.py::"

REMOVALS = (
    removal(
        "S1", "an empty secret verifies nothing", JWT + "test_an_empty_secret_verifies_nothing",
        "ccserver/auth/jwt_login.py", "if not self._secret:", "if False:",
        "ccserver/auth/jwt_login.py", "_decoded(token, self._secret,", '_decoded(token, self._secret or b"\\0",',
    ),
    removal(
        "S1", "no login by secret without a key", SECURITY + "test_s1_no_login_by_secret_without_a_key",
        "ccserver/app.py", "(keys.cross_login_secret or keys.cross_login_public)", "True",
        "ccserver/app.py", "if keys.cross_login_secret:", "if True:",
        "ccserver/app.py", "SecretAuthenticator(keys.cross_login_secret,", 'SecretAuthenticator(b"\\0",',
    ),
    removal(
        "S2", "names of filtered metrics", SECURITY + "test_s2_metric_names_are_names",
        "ccserver/jobs/filters.py", "if not _IDENTIFIER.fullmatch(item.metric_name):", "if False:",
        "ccserver/jobs/filters.py", "if not _IDENTIFIER.fullmatch(key):", "if False:",
    ),
    removal(
        "S2", "names of metrics in histograms", SECURITY + "test_s2_metric_names_are_names",
        "ccserver/graphql/resolvers/statistics.py",
        "for name in self.metrics if _METRIC_NAME.fullmatch(name)]", "for name in self.metrics]",
    ),
    removal(
        "S3", "names of footprints to sort by", SECURITY + "test_s3_sort_fields_come_from_a_list",
        "ccserver/jobs/filters.py", "if not _IDENTIFIER.fullmatch(order.field):", "if False:",
        "ccserver/jobs/filters.py", "if not _IDENTIFIER.fullmatch(key):", "if False:",
    ),
    removal(
        "S3", "the list of columns to sort by", SECURITY + "test_s3_sort_fields_come_from_a_list",
        "ccserver/jobs/filters.py", "if name not in SORTABLE:", "if name not in job.c:",
    ),
    removal(
        "S4", "no paths as names of clusters and hosts",
        "tests/store/test_lineprotocol.py::test_a_bad_line_costs_itself_only",
        "ccstore/kernels/ingest.py", "if c == 47 or c == 92 or c < 32 or c == 127 or "
        "(c == 46 and i + 1 < end and text[i + 1] == 46):\n            return False\n    return True\n\n\n"
        "@part\ndef good_type", "if c == 10:\n            return False\n    return True\n\n\n"
        "@part\ndef good_type",
    ),
    removal(
        "S5", "names of machine states", ACCESS + "test_machine_states",
        "ccserver/rest/machine.py", 'or any(part in name for part in ("..", "/", "\\\\", "\\0"))', "",
    ),
    removal(
        "S6", "no credentials across origins", PAGES + "test_cross_origin_requests",
        "ccserver/rest/gateway.py", '(b"access-control-allow-origin", b"*"), (b"access-control-allow-methods"',
        '(b"access-control-allow-origin", b"*"), (b"access-control-allow-credentials", b"true"), '
        '(b"access-control-allow-methods"',
    ),
    removal(
        "S6", "headers of every answer", PAGES + "test_security_headers_are_everywhere",
        "ccserver/rest/gateway.py", '(b"x-frame-options", b"DENY"),', "",
    ),
    removal(
        "S6", "HSTS on https only", PAGES + "test_security_headers_are_everywhere",
        "ccserver/rest/gateway.py", "            if https:\n", "            if True:\n",
    ),
    removal(
        "S7", "JSON inside of pages", SECURITY + "test_s7_texts_stay_texts",
        "ccserver/rest/templates.py", ".decode().translate(_ESCAPES)", ".decode()",
    ),
    removal(
        "S7", "texts in templates", SECURITY + "test_s7_texts_stay_texts",
        "ccserver/rest/templates.py", "autoescape=True", "autoescape=False",
    ),
    removal(
        "S7", "no HTML from data in the web interface", SECURITY + "test_s7_the_web_interface_sets_no_html",
        "frontend/src/lib/ui/Icon.svelte", "</span>", "{@html label}</span>",
    ),
    removal(
        "S8", "names are bound", SECURITY + "test_s8_identities_are_bound",
        "ccserver/jobs/filters.py", "own = job.c.hpc_user == viewer.username",
        "own = literal_column(f\"job.hpc_user = '{viewer.username}'\")",
    ),
    removal(
        "S8", "projects are bound", SECURITY + "test_s8_projects_are_bound",
        "ccserver/jobs/filters.py", "job.c.project.in_(viewer.projects))",
        "job.c.project.in_([literal_column(f\"'{one}'\") for one in viewer.projects]))",
    ),
    removal(
        "S9", "the cost of a query", SECURITY + "test_s9_complexity_and_paging",
        "ccserver/graphql/documents.py", "COST_LIMIT = 5000", "COST_LIMIT = 10**9",
    ),
    removal(
        "S9", "pages of REST", SECURITY + "test_s9_complexity_and_paging",
        "ccserver/rest/jobs.py", "    if value < 1:\n        raise HttpError(400, f\"{name} must be >= 1\")\n", "",
    ),
    removal(
        "S10", "writes from another site", PAGES + "test_cross_site_writes_are_blocked",
        "ccserver/rest/gateway.py", '== b"cross-site"', '== b"never"',
    ),
    removal(
        "S10", "queries are JSON by POST", SECURITY + "test_s10_queries_are_json_by_post",
        "ccserver/graphql/view.py",
        'if method != "POST" or content_type.split(";")[0].strip().lower() != JSON:', "if False:",
    ),
    removal(
        "S11", "the warning about events nobody signs",
        SECURITY + "test_s11_unauthenticated_subjects_are_named_in_the_log",
        "ccserver/broker/events.py", "_log.warning(\n            \"events on NATS", "_log.debug(\n            \"events on NATS",
    ),
    removal(
        "S12", "no start without SESSION_KEY",
        "tests/server/test_cli.py::test_without_session_key_the_server_refuses",
        "ccserver/app.py", "    if keys.session is None:\n", "    if False:\n",
    ),
    *(
        removal(
            "S13", f"the flag {flag} of the cookie",
            ACCESS + "test_login_sets_a_cookie_and_returns_to_the_wanted_page",
            "ccserver/auth/sessions.py", text, instead,
        )
        for flag, text, instead in (
            ("HttpOnly", "; HttpOnly", ""),
            ("SameSite", "; SameSite=Lax", ""),
            ("Secure", '"; Secure" if secure else ""', '""'),
            ("Max-Age", "int(min(max_age, LONGEST_AGE))", "int(LONGEST_AGE)"),
        )
    ),
    removal(
        "S14", "logins lead to local paths", ACCESS + "test_login_never_leads_elsewhere",
        "ccserver/auth/login.py", '    if not target.startswith("/") or', "    return True\n    if",
    ),
    removal(
        "S14", "no control characters in such a path", ACCESS + "test_login_never_leads_elsewhere",
        "ccserver/auth/login.py", "if any(ord(character) < 0x20 or ord(character) == 0x7F", "if any(False",
    ),
    removal(
        "S15", "tokens are signed with EdDSA", ACCESS + "test_broken_tokens",
        "ccserver/auth/tokens.py", 'self._key, algorithms=["EdDSA"],',
        'self._key if "EdDSA" in str(jwt.get_unverified_header(token)) else self._key.public_bytes_raw(), '
        'algorithms=["EdDSA", "HS256"],',
    ),
    removal(
        "S15", "tokens are signed", ACCESS + "test_broken_tokens",
        "ccserver/auth/tokens.py", 'self._key, algorithms=["EdDSA"], options=DECODING,',
        'self._key, algorithms=["EdDSA"], options={**DECODING, "verify_signature": '
        'jwt.get_unverified_header(token)["alg"] != "none"},',
    ),
    removal(
        "S15", "the shared secret knows HS256 and HS512 only", JWT + "test_refused_by_secret",
        "ccserver/auth/jwt_login.py", '["HS256", "HS512"]', '["HS256", "HS512", "HS384"]',
    ),
    removal(
        "S15", "cookies know EdDSA only", JWT + "test_refused_cookies",
        "ccserver/auth/jwt_login.py", 'self._key_for(token, peer), ["EdDSA"]',
        'self._key_for(token, peer) if "HS" not in jwt.get_unverified_header(token)["alg"] '
        'else self._key_for(token, peer).public_bytes_raw(), ["EdDSA", "HS256"]',
    ),
    removal(
        "S16", "our key verifies no foreign issuer", JWT + "test_refused_cookies",
        "ccserver/auth/jwt_login.py", '        if issuer is None or issuer == "":\n', "        if True:\n",
    ),
    removal(
        "S16", "the issuer's key verifies its own tokens only", JWT + "test_refused_cookies",
        "ccserver/auth/jwt_login.py", '        if issuer is None or issuer == "":\n            return self._own_key\n'
        "        if issuer == self._options.trusted_issuer:\n", "        if True:\n",
    ),
    removal(
        "S17", "filters are escaped", LDAP + "test_names_are_no_patterns",
        "ccserver/auth/ldap.py", "={escape_filter_chars(username)}))", "={username}))",
        "ccserver/auth/ldap.py", "if username in known else None", "",
    ),
    removal(
        "S17", "names in a DN are escaped", LDAP + "test_a_name_cannot_reach_another_entry",
        "ccserver/auth/ldap.py", "escape_rdn(username))", "username)",
    ),
    removal(
        "S17", "no bind without a password", LDAP + "test_an_empty_password_opens_nothing",
        "ccserver/auth/ldap.py", "if not password or not _plain(username):", "if not _plain(username):",
    ),
    removal(
        "S17", "a silent directory is given up", LDAP + "test_a_silent_directory_is_given_up",
        "ccserver/auth/ldap.py", "receive_timeout=_OPERATION_TIMEOUT,", "",
    ),
    removal(
        "S17", "certificates of the directory are verified", LDAP + "test_certificates_are_verified",
        "ccserver/auth/ldap.py", "ssl.CERT_REQUIRED", "ssl.CERT_NONE",
    ),
    removal(
        "S18", "the state", OIDC + "test_a_login_somebody_else_began",
        "ccserver/rest/oidc.py", "if not hmac.compare_digest(request.args.get(\"state\", \"\").encode(), state.encode()):",
        "if False:",
    ),
    removal(
        "S18", "the nonce", OIDC + "test_tampered",
        "ccserver/auth/oidc.py",
        "if not isinstance(shown, str) or not secrets.compare_digest(shown.encode(), nonce.encode()):", "if False:",
    ),
    removal(
        "S18", "the code challenge", OIDC_FILE,
        "ccserver/auth/oidc.py", "state=state, code_verifier=verifier, nonce=nonce", "state=state, nonce=nonce",
        "ccserver/auth/oidc.py", "code_verifier=verifier,\n", "\n",
    ),
    removal(
        "S18", "the signature of the ID token", OIDC + "test_tampered",
        "ccserver/auth/oidc.py", 'options={"require": ["exp", "iat", "sub"]},',
        'options={"require": ["exp", "iat", "sub"], "verify_signature": False},',
    ),
    removal(
        "S18", "the audience of the ID token", OIDC + "test_tampered",
        "ccserver/auth/oidc.py", 'options={"require": ["exp", "iat", "sub"]},',
        'options={"require": ["exp", "iat", "sub"], "verify_aud": False},',
    ),
    removal(
        "S18", "one user in both answers", OIDC + "test_tampered",
        "ccserver/auth/oidc.py", 'if answer.get("sub") != claims["sub"]:', "if False:",
    ),
    removal(
        "S18", "no account without a name", OIDC + "test_nobody_without_name",
        "ccserver/auth/oidc.py", "        if not username:\n", "        if False:\n",
    ),
    removal(
        "S18", "roles of other applications", OIDC + "test_without_roles_one_is_a_user",
        "ccserver/auth/oidc.py", '.get(self._client)).get("roles")', '.get("wiki")).get("roles")',
    ),
    removal(
        "S19", "the signature of the cookie", SECURITY + "test_s19_garbage_is_no_session",
        "ccserver/auth/sessions.py", "return_timestamp=True)\n        except BadData:\n            return None",
        "return_timestamp=True)\n        except BadData:\n"
        "            import datetime\n"
        "            content, issued = self._serializer.load_payload(value.split('.')[0].encode()), "
        "datetime.datetime.now()",
    ),
    removal(
        "S19", "the content of the cookie", SECURITY + "test_s19_garbage_is_no_session",
        "ccserver/auth/sessions.py", "if not isinstance(username, str) or not username or not _texts(roles) or not roles:",
        "if not username:",
    ),
    removal(
        "S19", "the cookie is an object", SECURITY + "test_s19_garbage_is_no_session",
        "ccserver/auth/sessions.py", "        if not isinstance(content, dict):\n            return None\n", "",
    ),
    removal(
        "S20", "five attempts", ACCESS + "test_five_attempts_then_a_pause",
        "ccserver/auth/login.py", "admitted = level >= 1.0", "admitted = True",
    ),
    removal(
        "S20", "who tries is told by the connection", ACCESS + "test_five_attempts_then_a_pause",
        "ccserver/rest/login.py", "peer=credentials.peer", "peer=credentials.client_address",
    ),
    removal(
        "S21", "api beside other roles opens no jobs", SECURITY + "test_s21_the_role_api_adds_no_rows",
        "ccserver/model/user.py", 'return self.roles == frozenset({"api"})', 'return "api" in self.roles',
    ),
    removal(
        "S22", "administration is for admins", SECURITY + "test_s22_nobody_raises_himself",
        "ccserver/auth/guards.py", 'admits=lambda roles: "admin" in roles', "admits=lambda roles: True",
    ),
    removal(
        "S22", "tokens for oneself only", SECURITY + "test_s22_nobody_raises_himself",
        "ccserver/rest/frontend.py",
        'if username != call.principal.username and "admin" not in call.principal.roles:', "if False:",
    ),
    removal(
        "S22", "logs are for admins", SECURITY + "test_s22_nobody_raises_himself",
        "ccserver/rest/journal.py", 'if "admin" not in call.principal.roles:', "if False:",
    ),
    removal(
        "S22", "settings are one's own", SECURITY + "test_s22_nobody_raises_himself",
        "ccserver/rest/frontend.py", "call.site.store_setting, call.principal.username,",
        'call.site.store_setting, form.get("user", call.principal.username),',
    ),
    removal(
        "S23", "reserved scopes are not names", SECURITY + "test_s23_reserved_scopes_belong_to_roles",
        "ccserver/jobs/scopes.py", '    if scope == ADMIN:\n        return viewer.api_only or "admin" in viewer.roles\n', "",
    ),
    removal(
        "S23", "private tags are private", SECURITY + "test_s23_reserved_scopes_belong_to_roles",
        "ccserver/jobs/scopes.py", '"support"})\n    return scope == viewer.username', '"support"})\n    return True',
    ),
    removal(
        "S23", "a rebuild keeps scopes", "tests/jobs/test_init_db.py::test_tags_keep_their_scope",
        "ccserver/jobs/tags.py", "_attach(connection, job_id, Tag(asked.type, asked.name, asked.scope or GLOBAL))",
        "_attach(connection, job_id, Tag(asked.type, asked.name, GLOBAL))",
    ),
    removal(
        "S24", "words for journalctl", ACCESS + "test_log_viewer_takes_plain_words_only",
        "ccserver/rest/journal.py", "if value and not _WORDS.fullmatch(value):", "if False:",
    ),
    removal(
        "S24", "a word is no option", SECURITY + "test_s24_a_word_is_no_option",
        "ccserver/rest/journal.py", 'arguments.append(f"--grep={search}")', 'arguments += ["--grep", search]',
    ),
    removal(
        "S25", "login tokens are masked", SECURITY + "test_s25_secrets_are_in_no_log_and_no_answer",
        "ccserver/rest/gateway.py", '    if "login-token" in query:\n', "    if False:\n",
    ),
    removal(
        "S25", "passwords are not logged", SECURITY + "test_s25_secrets_are_in_no_log_and_no_answer",
        "ccserver/auth/local.py", '"login of %r from %s failed: wrong password", attempt.username,',
        '"login of %r from %s failed: wrong password", attempt.password,',
    ),
    removal(
        "S25", "headers are not logged", SECURITY + "test_s25_secrets_are_in_no_log_and_no_answer",
        "ccserver/rest/gateway.py", '        headers = _first_values(scope)\n',
        '        headers = _first_values(scope)\n        _log.debug("%s", headers)\n',
    ),
    removal(
        "S26", "tokens of deleted accounts", SECURITY + "test_s26_tokens_of_deleted_users_stop_working",
        "ccserver/auth/tokens.py", "        if not self._validate_user:\n", "        if True:\n",
    ),
    removal(
        "S27", "tokens expire", SECURITY + "test_s27_times_of_tokens_are_honoured_without_leeway",
        "ccserver/auth/tokens.py", '"verify_exp": True', '"verify_exp": False',
    ),
    removal(
        "S27", "tokens begin", SECURITY + "test_s27_times_of_tokens_are_honoured_without_leeway",
        "ccserver/auth/tokens.py", '"verify_nbf": True', '"verify_nbf": False',
    ),
    removal(
        "S27", "remembered tokens expire as well", SECURITY + "test_s27_a_remembered_token_expires",
        "ccserver/auth/tokens.py", "if verified is None or not verified.valid_from <= self._clock() < verified.expires:",
        "if verified is None:",
    ),
    removal(
        "S28", "no playground", SECURITY + "test_s28_nothing_for_developers",
        "ccserver/rest/playground.py", "if not web.development:", "if False:",
    ),
    removal(
        "S28", "no description of the interface", SECURITY + "test_s28_nothing_for_developers",
        "ccserver/rest/application.py", "    if web.development:\n", "    if True:\n",
    ),
    removal(
        "S28", "no introspection", SECURITY + "test_s28_nothing_for_developers",
        "ccserver/rest/graphql.py", "introspection=call.web.development", "introspection=True",
    ),
    removal(
        "S29", "logging out takes a POST", SECURITY + "test_s29_a_link_changes_nothing",
        "ccserver/rest/login.py", 'routes.open("/logout", "POST"', 'routes.open("/logout", "POST GET"',
    ),
    removal(
        "S30", "groups are dropped", OPERATIONS + "test_privileges_are_dropped_for_good",
        "ccserver/privileges.py", "os.initgroups(account.pw_name, group_id)", "pass",
    ),
    removal(
        "S30", "the saved group is dropped", OPERATIONS + "test_privileges_are_dropped_for_good",
        "ccserver/privileges.py", "os.setresgid(group_id, group_id, group_id)", "os.setresgid(group_id, group_id, 0)",
    ),
    removal(
        "S30", "the saved user is dropped", OPERATIONS + "test_privileges_are_dropped_for_good",
        "ccserver/privileges.py", "os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)",
        "os.setresuid(account.pw_uid, account.pw_uid, 0)",
    ),
    removal(
        "S31", "clusters are configured", SECURITY + "test_s31_only_configured_clusters_become_directories",
        "ccserver/jobs/checks.py", '    if job.cluster not in clusters:\n        raise InvalidJob(f"no such cluster: {job.cluster}")\n'
        "    try:\n        job.subcluster = clusters.assign_subcluster(job.cluster, job.subcluster, job.resources)\n"
        "    except ClusterError as error:\n        raise InvalidJob(str(error)) from error\n", "",
    ),
    removal(
        "S32", "files of the frontend only", PAGES + "test_only_built_files_are_served",
        "ccserver/rest/static.py", "joined = safe_join(str(place), name)", 'joined = f"{place}/{name}"',
        "ccserver/rest/static.py", " and path.resolve().is_relative_to(place.resolve())", "",
    ),
    removal(
        "S33", "crashes tell nothing (interfaces)", SECURITY + "test_s33_crashes_tell_strangers_nothing",
        "ccserver/rest/application.py", 'error_answer(500, "internal error, see the log of the server")',
        "error_answer(500, str(error))",
    ),
    removal(
        "S33", "crashes tell nothing (pages)", SECURITY + "test_s33_crashes_tell_strangers_nothing",
        "ccserver/rest/application.py", '"Something went wrong; the server\'s log knows what."', "str(error)",
    ),
    removal(
        "S34", "a failed start touches nothing",
        "tests/server/test_shutdown.py::test_a_port_in_use_is_one_clear_line_and_touches_nothing",
        "ccserver/rest/sockets.py", "            for other in sockets:\n                other.close()\n"
        '            raise AddressInUse(f"cannot listen on {host}:{port}: {_reason(error)}") from None\n',
        "            raise\n",
    ),
    removal(
        "S34", "a second signal is none", "tests/server/test_shutdown.py::test_a_second_signal_changes_nothing",
        "ccserver/app.py", "signal.signal(number, signal.SIG_IGN)", "signal.signal(number, signal.SIG_DFL)",
        "ccserver/process.py", "signal.signal(number, lambda received, _: noted.append(received))", "pass",
    ),
    removal(
        "sessions", "no replay after logout", SECURITY + "test_a_session_ends_with_the_logout",
        "ccserver/rest/login.py", '        self._sessions.end(credentials.cookies.get(COOKIE, ""))\n', "",
    ),
    removal(
        "sessions", "nor after a restart", SECURITY + "test_the_end_of_a_session_survives_a_restart",
        "ccserver/app.py", "projects_of, EndedSessions(_ENDED_SESSIONS)", "projects_of, EndedSessions()",
    ),
    removal(
        "sessions", "a planted session is not used", SECURITY + "test_a_planted_session_is_not_used",
        "ccserver/rest/login.py", "self._sessions.cookie(self._sessions.issue(principal), secure)",
        "self._sessions.cookie(credentials.cookies.get(COOKIE) or self._sessions.issue(principal), secure)",
    ),
    removal(
        "limits", "the size of headers", SECURITY + "test_large_headers_and_forms_are_refused",
        "ccserver/rest/listener.py", "h11_max_incomplete_size = _MOST_BYTES_OF_HEADERS", "h11_max_incomplete_size = 1 << 30",
    ),
    removal(
        "limits", "the size of a login", SECURITY + "test_large_headers_and_forms_are_refused",
        "ccserver/rest/framework.py", '"max_content_length": _LARGEST_LOGIN, ', "",
    ),
    removal(
        "limits", "the time of a login", "tests/server/test_patience.py",
        "ccserver/rest/framework.py", ', "body_timeout": _LOGIN_PATIENCE', "",
    ),
    removal(
        "limits", "the time of headers", "tests/server/test_patience.py",
        "ccserver/rest/listener.py", "self._patience = HEADER_PATIENCE\n", "self._patience = 300.0\n",
    ),
    removal(
        "limits", "the time of the next headers", "tests/server/test_patience.py",
        "ccserver/rest/listener.py", "            self._waiting.deadline = min(", "            max(",
    ),
    removal(
        "limits", "the time of a handshake", "tests/server/test_patience.py",
        "ccserver/rest/listener.py", "ssl_handshake_timeout = 20.0", "ssl_handshake_timeout = 300.0",
    ),
    removal(
        "accounts", "unknown names take as long", SECURITY + "test_unknown_users_take_as_long_as_known_ones",
        "ccserver/auth/login.py", "            self._accounts.verify_password(attempt.username, attempt.password)\n", "",
    ),
    removal(
        "accounts", "so do accounts without password", "tests/database/test_users.py::test_every_check_computes_one_hash",
        "ccserver/auth/users.py", "        try:\n            matches = bcrypt.checkpw(",
        "        if not usable:\n            return None\n        try:\n            matches = bcrypt.checkpw(",
    ),
    removal(
        "accounts", "one message for all", ACCESS + "test_wrong_password_and_unknown_user_look_the_same",
        "ccserver/auth/local.py", "raise LoginRefused(WRONG_CREDENTIALS)", 'raise LoginRefused("Wrong password")',
    ),
    removal(
        "accounts", "the allow list", SECURITY + "test_the_allow_list",
        "ccserver/auth/guards.py", "if address not in self._allowed:", "if False:",
    ),
)  # fmt: skip


def unnoticed(one: Removal, scratch: Path) -> str:
    """What pytest said when the tests passed all the same; nothing when they failed."""
    for package in {path.partition("/")[0] for path, _, _ in one.edits if not (scratch / path).exists()}:
        _copy(package, scratch)  # a copy of ccstore compiles its kernels: only who edits them needs one
    originals = {path: (scratch / path).read_text() for path, _, _ in one.edits}
    for path, text, instead in one.edits:
        source = (scratch / path).read_text()
        (scratch / path).write_text(source.replace(text, instead, 1))
    environment = os.environ | {"PYTHONPATH": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    if any(path.startswith("ccstore/") for path in originals):
        environment["CCSTORE_KERNEL_CACHE"] = str(scratch / "kernels")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *one.tests.split()]
    try:
        done = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        for path, source in originals.items():
            (scratch / path).write_text(source)
        shutil.rmtree(scratch / "ccstore", ignore_errors=True)
    failed = done.returncode == 1 and "error" not in done.stdout.splitlines()[-1]
    return "" if failed else done.stdout[-3000:]


def _copy(name: str, scratch: Path) -> None:
    shutil.copytree(ROOT / name, scratch / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))


def main() -> int:
    wanted = sys.argv[1:]
    chosen = [one for one in REMOVALS if not wanted or one.row in wanted]
    chosen.sort(key=lambda one: wanted.index(one.row) if wanted else 0)
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name in ("ccserver", "tests", "frontend", "config", "docs"):
            _copy(name, scratch)
        for name in ("pyproject.toml", "README.md", "startDemo.sh"):
            shutil.copy(ROOT / name, scratch)
        for one in chosen:
            said = unnoticed(one, scratch)
            print(f"{'MISSED' if said else 'noticed':8} {one.row:9} {one.defence}", flush=True)
            if said:
                missed.append(one)
                print(said)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} removals noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
