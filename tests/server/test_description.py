"""The description of the HTTP interface: complete, made from the code, shown without any other host."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ccserver.config import Config
from ccserver.config.sections import ApiSubjects, Main
from ccserver.model.strict import Shape
from ccserver.rest.openapi import openapi, path_of
from ccserver.rest.overrides import Overrides
from ccserver.rest.reference import documented, reference
from ccserver.rest.routes import TABLE, described
from tests.conftest import ROOT
from tests.server.running import Server
from tests.server.site_routes import spelled


def test_the_page_in_docs_is_the_one_the_code_makes() -> None:
    made = reference()
    assert (ROOT / "docs" / "rest.md").read_text() == made, (
        "run python -m ccserver.rest.reference > docs/rest.md"
    )


def test_every_route_of_the_application_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    from ccserver.rest import application

    built: list[Any] = []
    make = application.new_application
    monkeypatch.setattr(application, "new_application", lambda: built.append(make()) or built[0])
    config = Config(main=Main(machine_state_dir="states"))
    web = SimpleNamespace(
        site=SimpleNamespace(config=config, store=None, database=None),
        gate=SimpleNamespace(sessions=object(), tokens=None),
        job_writes=SimpleNamespace(start=None, stop=None),
        overrides=Overrides(),
        login=object(),
        oidc=object(),
        development=True,
    )
    application.create_application(cast(Any, web), {})
    rules = {spelled(rule.rule) for rule in built[0].url_map.iter_rules()}
    assert len(rules) > 60
    missing = sorted(rule for rule in rules if not documented(rule))
    assert not missing, f"not in docs/rest.md: {missing}"


def test_openapi_has_every_route_and_method_once() -> None:
    document = openapi()
    for route in TABLE:
        for method in route.methods.lower().split():
            assert method in document["paths"][path_of(route.rule)]
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_openapi_names_only_what_it_holds() -> None:
    document = openapi()
    named: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                named.add(part["$ref"].removeprefix("#/components/schemas/"))
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(document)
    assert named == set(document["components"]["schemas"])


def test_what_the_configuration_does_not_offer_is_not_described() -> None:
    over_nats = Config(main=Main(api_subjects=ApiSubjects("jobs", "nodes")))
    assert "/api/jobs/start_job/" not in described(over_nats)
    assert "/api/jobs/tag_job/<id>" in described(over_nats)
    assert not any("machine_state" in rule for rule in described(Config()))


def test_json_bodies_are_described_by_what_reads_them() -> None:
    """The three that are read by another library or not at all have a media type instead."""
    for route in TABLE:
        body = route.operation.body
        assert body is None or isinstance(body, Shape) or "/" in body, route.rule


def test_swagger_shows_it_from_this_server_alone(server: Server) -> None:
    with server.client("") as client:
        page = client.get("/swagger/")
        assert page.status_code == 200
        assert "unsafe" not in page.headers["content-security-policy"].split("style-src")[0]
        assert not re.search(r"https?://", page.text)
        for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert client.get(path).status_code == 200, path
        document = client.get("/swagger/doc.json").json()
        assert document["openapi"] == "3.1.0"
        assert "/api/jobs/start_job/" in document["paths"]
        assert client.get("/swagger/swagger-editor.js").status_code == 404
        assert client.get("/swagger/..%2f__init__.py").status_code == 404


def test_without_dev_there_is_no_swagger(installation: Server, tmp_path: Path) -> None:
    installation.start(development=False)
    try:
        with installation.client("") as client:
            assert client.get("/swagger/").status_code == 404
            assert client.get("/swagger/doc.json").status_code == 404
    finally:
        assert installation.stop() == 0
