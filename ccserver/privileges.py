"""From root to an account that owns nothing but the installation. Source: spec/operations.md 11.2."""

from __future__ import annotations

import grp
import logging
import os
import pwd

from ccserver.config.errors import ConfigError

_log = logging.getLogger(__name__)


def drop_privileges(user: str, group: str) -> None:
    """Become `user` and `group` for good; an empty name leaves that part (a user brings its own group along).

    Raises ConfigError for unknown names and when the system refuses. All threads follow.
    """
    if not user and not group:
        return
    account = _account(user) if user else None
    group_id = _group(group) if group else account.pw_gid if account else os.getgid()
    if os.geteuid() != 0 and os.getegid() == group_id and (account is None or os.geteuid() == account.pw_uid):
        return  # systemd's User= has done it already
    try:
        if account is not None:
            os.initgroups(account.pw_name, group_id)
        else:
            os.setgroups([group_id])
        os.setresgid(group_id, group_id, group_id)
        if account is not None:
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    except OSError as error:
        raise ConfigError(f"/main/user: cannot become {user or group}: {error.strerror}") from None
    _log.info("running as user %d, group %d", os.geteuid(), os.getegid())


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"/main/user: there is no user {name!r} on this machine") from None


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"/main/group: there is no group {name!r} on this machine") from None
