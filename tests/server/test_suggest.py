"""Search as you type. Contract: spec/web-ui.md 9.6."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.running import Server, eventually


def suggested(server: Server, user: str, text: str, **more: Any) -> list[tuple[str, str]]:
    with server.browser(user) as client:
        answer = client.get("/frontend/suggest", params={"q": text, **more})
    assert answer.status_code == 200, answer.text
    return [(one["kind"], one["label"]) for one in answer.json()]


@pytest.fixture(scope="module")
def filled(server: Server) -> Server:
    """Jobs of two users and projects."""
    with server.client() as client:
        for number, user, project, name in (
            (7701, "ute", "suggestlab", "suggest-flow"),
            (7702, "max", "otherproject", "suggest-heat"),
        ):
            job = {
                "jobId": number, "cluster": "small", "subCluster": "main", "user": user, "project": project,
                "numNodes": 1, "walltime": 3600, "shared": "none", "startTime": 1_700_000_000 + number,
                "resources": [{"hostname": "n01"}], "metaData": {"jobName": name},
            }  # fmt: skip
            answer = client.post("/api/jobs/start_job/", json=job)
            assert answer.status_code == 201, answer.text
    eventually(lambda: suggested(server, "boss", "7701"))
    return server


def test_a_job_is_found_by_its_number(filled: Server) -> None:
    assert suggested(filled, "boss", "7701") == [("job", "7701")]
    assert suggested(filled, "ute", "7701") == [("job", "7701")]


def test_nothing_of_others_is_suggested(filled: Server) -> None:
    assert suggested(filled, "ute", "7702") == []
    assert suggested(filled, "ute", "otherpro") == []
    assert suggested(filled, "ute", "n01") == []  # nodes are for support
    assert suggested(filled, "ute", "max") == []  # so are accounts


def test_staff_finds_people_projects_and_nodes(filled: Server) -> None:
    assert ("project", "otherproject") in suggested(filled, "sue", "otherpro")
    assert suggested(filled, "sue", "n0") == [("node", "n01"), ("node", "n02"), ("node", "n03")]
    assert ("user", "max") in suggested(filled, "sue", "max")


def test_a_manager_finds_only_people_whose_jobs_are_visible(filled: Server) -> None:
    assert ("user", "max") in suggested(filled, "max", "max")
    assert ("user", "sue") not in suggested(filled, "max", "sue")


def test_short_texts_and_limits(filled: Server) -> None:
    assert suggested(filled, "sue", "n") == []
    assert len(suggested(filled, "sue", "n0", limit=2)) == 2
    with filled.browser("sue") as client:
        assert client.get("/frontend/suggest", params={"q": "n0", "limit": 0}).status_code == 400
    assert suggested(filled, "sue", "%_") == []  # no wildcards


def test_a_session_is_needed(filled: Server) -> None:
    with filled.client("") as client:
        assert client.get("/frontend/suggest", params={"q": "n0"}).status_code == 401
