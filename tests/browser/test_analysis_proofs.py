"""Analysis, compare, tags and one user. Contract: spec/web-ui.md 6.3, 6.6 to 6.8, 10."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage
from tests.browser.test_differences import variables

LARGEST = """query($f: [JobFilter!]) { jobsStatistics(filter: $f, groupBy: PROJECT, sortBy: TOTALNODEHOURS,
    page: {itemsPerPage: 10, page: 1}) { id totalNodeHours } }"""


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


# --- analysis


def test_analysis_looks_at_the_last_six_hours_unless_asked(visit: OpenPage, centre: Centre) -> None:
    page = visit("sue", "/monitoring/tags/")
    asked = variables(page, "query Totals")
    page.goto(f"{centre.url}/monitoring/analysis/alpha")
    expect(page.get_by_test_id("panel-totals")).to_have_attribute("data-state", "ready")
    assert {"startTime": {"range": "last6h"}} in asked[0]["filter"]
    total = centre.count("sue", [{"cluster": {"eq": "alpha"}}, {"startTime": {"range": "last6h"}}])
    expect(page.get_by_test_id("count")).to_have_text(f"{total} jobs")
    expect(page.get_by_test_id("evaluated")).to_have_count(0)


def test_analysis_of_many_jobs_evaluates_some_and_says_so(visit: OpenPage, centre: Centre) -> None:
    where = [{"cluster": {"eq": "alpha"}}, {"startTime": {"range": "last30d"}}]
    total = centre.count("sue", where)
    assert total > 500
    query = (
        "query($f: [JobFilter!]) { jobsFootprints(filter: $f, metrics: [], sample: true) { jobs { id } } }"
    )
    some = len(centre.query("sue", query, f=where)["jobsFootprints"]["jobs"])
    assert some in (499, 500)  # without J4, should it be one of them
    page = visit("sue", "/monitoring/analysis/alpha?startTime=last30d")
    for panel in ("roofline", "averages", "scatter"):
        shown = page.get_by_test_id(f"panel-{panel}")
        expect(shown.get_by_test_id("evaluated")).to_contain_text(f"evaluated {some} of {total} jobs")
        expect(shown).to_have_attribute("data-state", "ready")
    for plot in ("plot-roofline", "plot-average-flops_any", "plot-scatter-flops_any-mem_bw"):
        expect(page.get_by_test_id(plot)).to_have_attribute("data-points", re.compile("[1-9]"))
    # totals and histograms of durations are of all jobs
    expect(page.get_by_test_id("plot-durations")).to_have_attribute("data-sum", str(total))


def test_analysis_choices_change_the_numbers_and_are_kept(visit: OpenPage, centre: Centre) -> None:
    address = "/monitoring/analysis/alpha?startTime=last30d"
    page = visit("root1", address)
    page.get_by_test_id("top-entity").select_option("project")
    page.get_by_test_id("top-category").select_option("totalNodeHours")
    where = [{"cluster": {"eq": "alpha"}}, {"startTime": {"range": "last30d"}}]
    rows = centre.query("root1", LARGEST, f=where)["jobsStatistics"]
    table = page.get_by_test_id("plot-top").locator("table")
    expect(table.locator("thead th").nth(1)).to_have_text("node h")
    expect(table.locator("tbody th").first).to_have_text(rows[0]["id"])
    wanted = {row["id"]: row["totalNodeHours"] for row in rows if row["totalNodeHours"]}

    def shown() -> dict[str, int]:
        lines = table.locator("tbody tr").all_inner_texts()  # names and numbers of one moment
        cells = [[cell.strip() for cell in line.split("\t")] for line in lines]
        return {line[0]: number(line[1]) for line in cells if line[0] != "Others"}

    for _ in range(200):  # the heading follows the choice at once, the rows when the server has answered
        if shown() == wanted:
            break
        page.wait_for_timeout(100)
    assert shown() == wanted
    plot = page.get_by_test_id("plot-average-flops_any")
    expect(plot).to_have_attribute("data-sum", re.compile("[1-9]"))
    before = plot.get_attribute("data-sum") or ""
    page.get_by_test_id("weight").select_option("coreHours")
    expect(plot).not_to_have_attribute("data-sum", before)
    after = float(plot.get_attribute("data-sum") or 0)
    assert after == pytest.approx(8 * float(before), rel=0.02)  # 8 cores a node
    page = visit("root1", address)
    expect(page.get_by_test_id("top-entity")).to_have_value("project")
    expect(page.get_by_test_id("top-category")).to_have_value("totalNodeHours")


# --- compare


def drag(page: Page, plot: str, start: float, end: float) -> None:
    """From one part of the width to another."""
    box = page.get_by_test_id(f"plot-{plot}").locator("svg[data-plot]").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()


def test_jobs_without_measurements_are_gaps_in_a_comparison(visit: OpenPage, centre: Centre) -> None:
    wanted = ",".join(str(centre.jobs[name]) for name in ("J2", "J4", "J5"))
    page = visit("root1", f"/monitoring/compare?sel={wanted}")
    table = page.get_by_test_id("table-compare")
    expect(table.locator("tbody tr")).to_have_count(3)
    for plot in ("resources", "cpu_load", "mem_bw"):
        expect(page.get_by_test_id(f"plot-{plot}")).to_have_attribute("data-points", "3")
    unmonitored = table.locator("tbody tr", has_text="5004")
    expect(unmonitored.get_by_text("n/a", exact=True)).to_have_count(12)  # 4 metrics times min, avg, max
    partly = table.locator("tbody tr", has_text="5005")
    expect(partly.get_by_text("n/a", exact=True)).to_have_count(3)  # mem_bw was not measured
    expect(page.get_by_test_id("panel-compare")).to_contain_text("1 job without statistics")
    expect(page.get_by_test_id("plot-mem_bw").locator("rect.band")).to_have_count(1)


def test_comparison_sorts_zooms_and_is_the_same_under_its_address(visit: OpenPage, centre: Centre) -> None:
    names = ("J2", "J5", "J6", "J7", "J8")
    wanted = ",".join(str(centre.jobs[name]) for name in names)
    page = visit("root1", f"/monitoring/compare?sel={wanted}")
    table = page.get_by_test_id("table-compare")
    expect(table.locator("tbody tr")).to_have_count(5)
    table.get_by_role("button", name=re.compile("mem_used max")).click()
    truth = centre.query(
        "root1",
        """query($f: [JobFilter!]) { jobsMetricStats(filter: $f, metrics: ["mem_used"]) {
             jobId stats { data { max } } } }""",
        f=[{"dbId": wanted.split(",")}],
    )["jobsMetricStats"]
    falling = sorted(truth, key=lambda job: -job["stats"][0]["data"]["max"])
    expect(table.locator("tbody th")).to_have_text([job["jobId"] for job in falling])
    drag(page, "cpu_load", 0.15, 0.5)
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    ranges = page.locator("[data-xrange]")
    expect(page.locator("[data-xrange='']")).to_have_count(0)
    zoomed = [plot.get_attribute("data-xrange") for plot in ranges.all()]
    assert len(zoomed) == 5
    assert len(set(zoomed)) == 1
    points = page.get_by_test_id("plot-resources").get_attribute("data-points")
    assert points in ("2", "3")
    page.goto(page.url)
    expect(page.get_by_test_id("plot-resources")).to_have_attribute("data-points", points)
    expect(table.locator("tbody th")).to_have_text([job["jobId"] for job in falling])
    page.get_by_test_id("zoom-reset").click()
    expect(page.get_by_test_id("plot-resources")).to_have_attribute("data-points", "5")


# --- tags


def tags_of(page: Page) -> dict[str, str]:
    """Number by name on the tags page."""
    expect(page.get_by_test_id("panel-tags")).to_have_attribute("data-state", re.compile("ready|empty"))
    found = {}
    for item in page.locator("[data-testid=panel-tags] li").all():
        link = item.get_by_role("link")
        found[re.sub(r"\s+\d+$", "", link.inner_text().strip()).split(": ")[-1]] = item.inner_text()
    return found


def test_tags_are_shown_and_deleted_by_right(visit: OpenPage, centre: Centre) -> None:
    create = "mutation($n: String!, $s: String!) { createTag(type: $t, name: $n, scope: $s) { id } }"
    create = create.replace("($n", "($t: String!, $n")
    add = "mutation($job: ID!, $tags: [ID!]!) { addTagsToJob(job: $job, tagIds: $tags) { id } }"
    made = {}
    for owner, name, scope, job in (
        ("root1", "on-alice", "global", "J2"),
        ("root1", "on-bob", "global", "J8"),
        ("root1", "of-admins", "admin", "J2"),
        ("alice", "mine-unused", "alice", ""),
        ("manny", "of-manny", "manny", "J2"),
    ):
        tag = centre.query(owner, create, t="proof", n=name, s=scope)["createTag"]["id"]
        made[name] = tag
        if job:
            centre.query(owner, add, job=str(centre.jobs[job]), tags=[tag])
    try:
        visible = {
            "alice": {"on-alice", "mine-unused"},
            "sue": {"on-alice", "on-bob", "of-admins"},
            "root1": {"on-alice", "on-bob", "of-admins"},
            "manny": {"on-alice", "of-manny"},
        }
        removable = {
            "alice": {"mine-unused"},
            "sue": set(),
            "root1": {"on-alice", "on-bob", "of-admins"},
            "manny": {"of-manny"},
        }
        for role, names in visible.items():
            page = visit(role, "/monitoring/tags/?q=proof")
            assert set(tags_of(page)) == names, role
            for name in names:
                item = page.get_by_test_id(f"tag-{made[name]}")
                expected = 1 if name in removable[role] else 0
                expect(item.get_by_role("button", name=re.compile("Delete"))).to_have_count(expected)
                expect(item.get_by_role("button", name=re.compile("Rename"))).to_have_count(expected)
        page = visit("alice", "/monitoring/tags/?q=proof")
        page.get_by_test_id(f"tag-{made['on-alice']}").get_by_role("link").click()
        expect(page.get_by_test_id("count")).to_have_text("1 job")
        page.goto(f"{centre.url}/monitoring/tags/")
        for button, left in (("Cancel", 1), ("Delete", 0)):
            page.get_by_role("button", name="Delete the tag proof: mine-unused").click()
            dialog = page.get_by_test_id("dialog-confirm")
            expect(dialog).to_contain_text("No job carries it.")
            dialog.get_by_role("button", name=button, exact=True).click()
            expect(page.get_by_test_id(f"tag-{made['mine-unused']}")).to_have_count(left)
        # what the page does not offer the server refuses
        cookie = {"session": centre.session("sue")["value"]}
        remove = f"mutation {{ removeTagFromList(tagIds: [{made['on-bob']}]) }}"
        answer = httpx.post(f"{centre.url}/query", json={"query": remove}, cookies=cookie)
        assert "not authorized" in answer.text
    finally:
        for name in ("on-alice", "on-bob", "of-admins"):
            centre.query("root1", f"mutation {{ removeTagFromList(tagIds: [{made[name]}]) }}")
        centre.query("manny", f"mutation {{ removeTagFromList(tagIds: [{made['of-manny']}]) }}")


def test_jobs_without_a_tag_and_with_no_accelerator_can_be_asked_for(visit: OpenPage, centre: Centre) -> None:
    hostile = str(centre.tags["hostile"])
    base = [{"user": {"eq": "alice"}}, {"cluster": {"eq": "alpha"}}]
    everything, tagged = centre.count("root1", base), centre.count("root1", [*base, {"tags": [hostile]}])
    page = visit("root1", "/monitoring/jobs/?user=alice&userMatch=eq&cluster=alpha")
    expect(page.get_by_test_id("count")).to_have_text(re.compile(str(everything)))
    page.get_by_test_id("filters-open").click()
    page.get_by_role("button", name="Tags", exact=True).click()
    page.get_by_role("button", name="Without check:").click()
    page.get_by_test_id("apply").click()
    expect(page).to_have_url(re.compile(f"tagNot={hostile}"))
    expect(page.get_by_test_id("count")).to_have_text(re.compile(str(everything - tagged)))
    expect(page.get_by_test_id("filter-pill-tagNot")).to_contain_text("check:")
    page.get_by_test_id("filters-open").click()
    page.get_by_role("button", name="Resources", exact=True).click()
    for field in ("from", "to"):
        page.get_by_test_id("range-numAccelerators").get_by_label(f"Accelerators {field}").fill("0")
    page.get_by_test_id("apply").click()
    expect(page).to_have_url(re.compile("numAccelerators=exactly-0"))
    expect(page.get_by_test_id("filter-pill-numAccelerators")).to_contain_text("exactly 0")
    none = centre.count("root1", [*base, {"numAccelerators": {"from": 0, "to": 0, "exact": 0}}])
    expect(page.get_by_test_id("count")).to_have_text(re.compile(str(none - tagged)))
    assert none < everything
    page.reload()
    expect(page.get_by_test_id("count")).to_have_text(re.compile(str(none - tagged)))


# --- one user


def test_histograms_of_a_user_follow_bins_and_state(visit: OpenPage, centre: Centre) -> None:
    page = visit("alice", "/monitoring/user/alice")
    asked = variables(page, "query Totals")
    plot = page.get_by_test_id("plot-histogram-mem_bw")
    expect(plot).to_have_attribute("data-sum", re.compile("[1-9]"))
    total = plot.get_attribute("data-sum") or ""
    with page.expect_response(lambda answer: '"bins":50' in (answer.request.post_data or "")):
        page.get_by_test_id("metric-bins").select_option("50")
    assert asked[-1]["bins"] == 50
    expect(plot).to_have_attribute("data-sum", total)
    page.goto(f"{centre.url}/monitoring/user/alice?state=running")
    expect(page.get_by_test_id("total-jobs")).to_have_text("1")
    expect(page.get_by_test_id("plot-histogram-mem_bw")).to_have_attribute("data-sum", "1")  # from live data
    cookie = {"session": centre.session("alice")["value"]}
    assert httpx.get(f"{centre.url}/monitoring/user/bob", cookies=cookie).status_code == 404


# --- tags of a job, history of a node


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        ("alice", ["Private (alice)"]),
        ("sue", ["Private (sue)", "Global"]),
        ("root1", ["Private (root1)", "Global", "Admin"]),
    ],
)
def test_job_is_tagged_in_the_scopes_of_the_role(
    visit: OpenPage, centre: Centre, role: str, scopes: list[str]
) -> None:
    job = centre.jobs["J9"]
    page = visit(role, f"/monitoring/job/{job}")
    facts = page.get_by_test_id(f"jobinfo-{job}")
    page.get_by_test_id("tags-manage").click()
    dialog = page.get_by_test_id("dialog-tags")
    dialog.get_by_test_id("tag-search").fill("role: x")
    expect(dialog.get_by_test_id("tag-scope").locator("option")).to_have_text(scopes)
    for number, label in enumerate(scopes):
        name = f"{role}-{number}"
        dialog.get_by_test_id("tag-search").fill(f"role: {name}")
        dialog.get_by_test_id("tag-scope").select_option(label=label)
        dialog.get_by_test_id("tag-create").click()
        expect(facts).to_contain_text(f"role: {name}")  # without a reload
        dialog.get_by_role("button", name=f"Remove role: {name}").click()
        expect(facts).not_to_contain_text(f"role: {name}")
    create = {"query": 'mutation { createTag(type: "role", name: "forbidden", scope: "admin") { id } }'}
    if "Admin" not in scopes:
        cookie = {"session": centre.session(role)["value"]}
        assert "not authorized" in httpx.post(f"{centre.url}/query", json=create, cookies=cookie).text


def test_changes_of_a_nodes_state_are_marked(visit: OpenPage, centre: Centre) -> None:
    for states in (["allocated"], ["down"], ["allocated"]):
        report = {"cluster": "alpha", "nodes": [{"hostname": "a31", "states": states}]}
        assert centre.api.post("/api/nodestate/", json=report).status_code == 200
    page = visit("sue", "/monitoring/node/alpha/a31")
    expect(page.get_by_test_id("plot-cpu_load-a31")).to_have_attribute("data-state", "ready")
    changes = page.get_by_test_id("node-events")
    expect(changes).to_contain_text("2 changes")
    changes.locator("summary").click()
    expect(changes.get_by_role("listitem").first).to_contain_text("down")
