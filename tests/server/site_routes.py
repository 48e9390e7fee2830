"""Which routes a server has, asked from the application itself."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from ccserver.app import build_access, build_site
from ccserver.config import load, read_dotenv, read_keys
from ccserver.opening import open_archive, open_site_database
from ccserver.rest.application import create_application
from ccserver.rest.gateway import Gateway
from ccserver.rest.templates import Templates
from ccserver.rest.web import Web


def spelled(rule: str) -> str:
    """A rule as people write it: without the names that its parameter may not take."""
    return re.sub(r"<name\([^)]*\):", "<", rule)


@contextlib.contextmanager
def application(folder: Path) -> Iterator[Gateway]:
    """The application of an installation, not served."""
    with contextlib.chdir(folder):
        config, keys = load(Path("config.json"), {}), read_keys(read_dotenv(Path(".env"), {}))
        database = open_site_database(config)
        site = build_site(config, database, open_archive(config))
        access = build_access(config, keys, site.users)
        web = Web(site, access.gate, access.login, access.issuer, Templates(), None, True, "test")
        gateway = create_application(web, {"/frontend/events": _nothing})
        try:
            assert isinstance(gateway, Gateway)
            yield gateway
        finally:
            if site.store is not None:
                site.store.close()
            database.close()


async def _nothing(scope: object, receive: object, send: object) -> None:
    raise AssertionError("is not served")


def routes(gateway: Gateway) -> set[tuple[str, str]]:
    """Method and rule of every route; mounts have a method of their own."""
    rules = gateway._pages.url_map.iter_rules()  # type: ignore[attr-defined]
    found = {(method, spelled(rule.rule)) for rule in rules for method in rule.methods - {"HEAD", "OPTIONS"}}
    return found | {("MOUNT", path) for path in gateway._mounts}
