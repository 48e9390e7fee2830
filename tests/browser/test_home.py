"""The first page. Contract: spec/web-ui.md 6.1."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage


def test_the_table_of_clusters_has_its_columns_by_role(visit: OpenPage, centre: Centre) -> None:
    everybody = ["Name", "Running Jobs", "Total Jobs", "Nodes idle"]
    staff = [
        "Name",
        "Running Jobs",
        "Total Jobs",
        "Nodes allocated",
        "Nodes idle",
        "Nodes down",
        "Last data",
        "Views",
    ]
    for role, heads in (("alice", everybody), ("root1", staff)):
        page = visit(role, "/")
        table = page.get_by_test_id("table-clusters")
        expect(table.locator("thead th[scope=col]")).to_have_text(heads)
        expect(table.locator("tbody th[scope=row]")).to_have_text(["alpha", "beta"])
        running = table.get_by_test_id("cluster-alpha").get_by_role("link").first
        expect(running).to_have_text(re.compile(r"^\d+ jobs?$"))
        expect(running).to_have_attribute("href", "/monitoring/jobs/?cluster=alpha&state=running")
    row = table.get_by_test_id("cluster-alpha")
    used = centre.query("root1", '{ allocatedNodes(cluster: "alpha") { count } }')["allocatedNodes"]
    allocated = sum(one["count"] for one in used)
    expect(row.locator("td").nth(2)).to_have_text(str(allocated))
    expect(row.locator("td").nth(3)).to_have_text(f"{44 - allocated} of 44")
    expect(row.locator("td").nth(4)).to_have_text("0")
    expect(page.get_by_test_id("last-data-alpha")).to_have_text(re.compile(" ago$"))
    expect(page.get_by_test_id("last-data-beta")).to_have_text("none")


def test_the_table_stands_before_its_counts(visit: OpenPage, centre: Centre) -> None:
    held: list[Route] = []
    hold = True

    def keep(route: Route) -> None:
        if hold and "query Home" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page = visit("alice", "/monitoring/tags/")
    page.route("**/query", keep)
    page.goto(f"{centre.url}/")
    row = page.get_by_test_id("cluster-alpha")
    expect(row.get_by_role("link").first).to_have_text("… jobs")
    expect(page.get_by_test_id("panel-running")).to_have_attribute("data-state", "loading")
    hold = False
    for route in held:
        route.continue_()
    expect(row.get_by_role("link").first).to_have_text(re.compile(r"^\d+ jobs?$"))


def test_own_running_jobs_carry_their_hints_and_saved_views_lead_back(
    visit: OpenPage, centre: Centre
) -> None:
    page = visit("alice", "/")
    running = page.get_by_test_id("panel-running")
    expect(running.get_by_role("heading")).to_have_text("My running jobs")
    expect(running.locator("li")).to_have_count(min(centre.count("alice", [{"state": ["running"]}]), 5))
    hints = centre.query(
        "alice", "query($id: ID!) { job(id: $id) { hints { id } } }", id=str(centre.jobs["J1"])
    )
    first = hints["job"]["hints"][0]["id"]
    expect(running.locator("li", has_text="5001").locator(f"[data-hint='{first}']")).to_be_visible()
    views = page.get_by_test_id("panel-views")
    expect(views).to_contain_text("None yet")
    made = page.request.post(
        f"{centre.url}/frontend/views/",
        form={"name": "my failures", "route": "/monitoring/jobs/", "query": "state=failed", "project": ""},
    )
    assert made.ok
    try:
        page.reload()
        views.get_by_role("link", name="my failures").click()
        expect(page).to_have_url(f"{centre.url}/monitoring/jobs/?state=failed")
    finally:
        assert page.request.delete(f"{centre.url}/frontend/views/?id={made.json()['id']}").ok
