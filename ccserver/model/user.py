"""Who asks: the authenticated principal of a request and what the roles mean."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("anonymous", "api", "user", "manager", "support", "admin")
ASSIGNABLE_ROLES = ("api", "user", "manager", "support", "admin")
SOURCE_LOCAL, SOURCE_LDAP, SOURCE_TOKEN, SOURCE_OIDC = range(4)
_BY_POWER = ("admin", "support", "manager", "user", "api", "anonymous")


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated account. `source`: 0 local, 1 LDAP, 2 token, 3 OIDC. Source: spec/operations.md 1."""

    username: str
    roles: frozenset[str]
    projects: tuple[str, ...] = ()
    name: str = ""
    email: str = ""
    source: int = 0
    presentation: str = ""
    """Secret of a session in presentation mode, which shows pseudonyms; empty: names are shown."""

    @property
    def level(self) -> int:
        """5 admin, 4 support, 3 manager, 2 user, 1 api, 0 anonymous, 6 when no known role is held."""
        for role in _BY_POWER:
            if role in self.roles:
                return ROLES.index(role)
        return 6

    @property
    def api_only(self) -> bool:
        return self.roles == frozenset({"api"})

    @property
    def sees_restricted_metrics(self) -> bool:
        """Whether metrics that are marked `restrict` show in lists and plots."""
        return not self.roles & {"user", "manager"}

    @property
    def sees_all_jobs(self) -> bool:
        return self.api_only or bool(self.roles & {"admin", "support"})
