"""The public dashboard by session and by token. Contract: spec/web-ui.md 6.14, 9.21, 10."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Response, expect

from tests.browser.centre import ACCOUNTS, Centre
from tests.browser.conftest import OpenPage

PATH = "/monitoring/dashboard/alpha"
WALL = {"width": 1920, "height": 1080}


def test_a_display_needs_its_token_and_shows_nobody(visit: OpenPage, centre: Centre) -> None:
    assert httpx.get(centre.url + PATH).status_code == 401
    assert httpx.get(f"{centre.url}{PATH}?token=guessed").status_code == 401
    assert httpx.get(f"{centre.url}/frontend/display/alpha").status_code == 401

    admin = visit("root1", "/config?tab=admin")
    form = admin.get_by_test_id("display-new")
    form.get_by_label("Where it hangs").fill("machine room")
    form.get_by_role("button").click()
    link = admin.get_by_test_id("display-links").get_by_role("link").first.get_attribute("href") or ""
    expect(admin.get_by_test_id("table-displays")).to_contain_text("machine room")
    token = link.partition("token=")[2]
    assert token not in (centre.server.folder / "var" / "displays.json").read_text()

    page = visit("", "/imprint", viewport=WALL)
    page.goto("about:blank")  # a late answer to the first page would have no body any more
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(link)
    wall = page.get_by_test_id("dashboard")
    expect(wall).to_have_attribute("data-state", "ready")
    for plot in ("utilization", "nodes-roofline", "states", "node-states"):
        expect(wall.get_by_test_id(f"plot-{plot}")).to_be_visible()
    expect(wall).to_contain_text("Running jobs")
    expect(page.get_by_text("Session expired")).to_have_count(0)
    expect(page.get_by_role("link", name="Close the dashboard")).to_have_count(0)  # there is nowhere to go
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(size) == [1920, 1080]

    names = {word for name, (_, full, _) in ACCOUNTS.items() for word in (name, full) if word}
    secrets = names | {"bob", "carl", "proj01", "proj02", "5001", "run-5002", "live-5001", "hpc_user"}
    texts = [answer.text() for answer in answers if "assets" not in answer.url and answer.ok]
    assert any('"clusterMetrics"' in text for text in texts)
    for text in texts:
        assert not [secret for secret in secrets if re.search(rf"\b{re.escape(secret)}\b", text)]

    # it opens this dashboard and nothing else
    for path in ("/monitoring/jobs/", "/monitoring/status/alpha", "/"):
        assert httpx.get(f"{centre.url}{path}?token={token}").status_code == 401, path
    query = {"query": "{ jobs { count } }"}
    assert httpx.post(f"{centre.url}/query?token={token}", json=query).status_code == 401

    admin.get_by_test_id("table-displays").get_by_role("button", name="Revoke").click()
    expect(admin.get_by_test_id("table-displays")).to_have_count(0)
    assert httpx.get(link).status_code == 401
    assert httpx.get(f"{centre.url}/frontend/display/alpha?token={token}").status_code == 401


def test_with_a_session_the_dashboard_can_be_closed(visit: OpenPage) -> None:
    page = visit("root1", PATH, viewport=WALL)
    expect(page.get_by_test_id("dashboard")).to_have_attribute("data-state", "ready")
    page.get_by_role("link", name="Close the dashboard").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("/$"))
