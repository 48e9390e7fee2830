"""The playground is there in development only, under a policy that lets it talk to this server alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ccserver.rest import playground
from ccserver.rest.framework import new_application
from ccserver.rest.templates import Templates
from ccserver.rest.web import Routes


async def asked(development: bool) -> Any:
    app = new_application()
    web: Any = SimpleNamespace(development=development, templates=Templates())
    playground.register(Routes(app, web, {}), web)
    return await app.test_client().get("/playground")


@pytest.mark.parametrize(("development", "status"), [(True, 200), (False, 404)])
async def test_only_in_development(development: bool, status: int) -> None:
    assert (await asked(development)).status_code == status


async def test_its_policy_knows_no_other_host() -> None:
    answer = await asked(True)
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "http" not in answer.headers["Content-Security-Policy"]
