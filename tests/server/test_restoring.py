"""What a server answers while its metric store is still being read from disk."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from ccserver.app import build_access, build_site
from ccserver.config import load
from ccserver.opening import open_archive, open_site_database
from ccserver.rest.application import create_application
from ccserver.rest.gateway import Application
from ccserver.rest.templates import Templates
from ccserver.rest.web import Web
from ccserver.site import Site
from tests.server.running import Server


@pytest.fixture
def site(installation: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(installation.folder)
    config = load(installation.folder / "config.json", {})
    site = build_site(config, open_site_database(config), open_archive(config))
    yield site
    site.database.close()


@pytest.fixture
def application(installation: Server, site: Site) -> Application:
    access = build_access(site.config, installation.keys(), site.users)
    web = Web(site, access.gate, access.login, access.issuer, Templates(), None, False, "0")
    return create_application(web)


async def test_queries_wait_and_writes_do_not(
    installation: Server, site: Site, application: Application
) -> None:
    assert site.store is not None
    now = int(time.time()) // 10 * 10
    query = {"cluster": "small", "from": now - 10, "to": now + 10}
    query |= {"queries": [{"metric": "cpu_load", "host": "n01"}]}
    headers = {"X-Auth-Token": installation.token("adapter")}
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        for path in ("/readyz", "/api/query"):
            answer = await client.request("GET", path, json=query)
            assert answer.status_code == 503, path
            assert int(answer.headers["retry-after"]) >= 1
        assert (await client.get("/healthz")).status_code == 200
        line = f"cpu_load,hostname=n01 value=8 {now}\n"
        assert (await client.post("/api/write?cluster=small", content=line)).status_code == 200
        site.store.restore()
        assert (await client.get("/readyz")).status_code == 200
        found = (await client.post("/api/query", json=query)).json()["results"][0][0]["data"]
        assert 8 in found
    site.store.close()
