"""Each filter set in its editor, by mouse and by keyboard. Contract: spec/web-ui.md 4.1, 10 (jobs list)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage
from tests.browser.test_jobs_filters import listed, says

Step = tuple[str, str, str]  # what to do, the name of the control, what to type or choose


@dataclass(frozen=True)
class Case:
    """What is done in an editor, and the keys of the address that follow."""

    editor: str
    steps: Sequence[Step]
    pairs: Sequence[tuple[str, str]]
    filters: Sequence[dict[str, Any]]


CASES = {
    "cluster": Case(
        "Cluster/SubCluster/Partition",
        [("pick", "beta", "")],
        [("cluster", "beta")],
        [{"cluster": {"eq": "beta"}}],
    ),
    "places": Case(
        "Cluster/SubCluster/Partition",
        [("pick", "alpha", ""), ("pick", "gpu", ""), ("pick", "batch", "")],
        [("cluster", "alpha"), ("subCluster", "gpu"), ("partition", "batch")],
        [{"cluster": {"eq": "alpha"}}, {"subCluster": {"eq": "gpu"}}, {"partition": {"eq": "batch"}}],
    ),
    "states": Case(
        "Job States",
        [("press", "Deselect All", ""), ("tick", "timeout", ""), ("tick", "failed", "")],
        [("state", "failed"), ("state", "timeout")],
        [{"state": ["failed", "timeout"]}],
    ),
    "sharing": Case(
        "Job States", [("pick", "Shared", "")], [("shared", "multi_user")], [{"shared": "multi_user"}]
    ),
    "schedule": Case("Job States", [("pick", "Batch", "")], [("schedule", "batch")], [{"schedule": "batch"}]),
    "more": Case(
        "Duration",
        [("type", "More than, minutes", "10")],
        [("duration", "morethan-600")],
        [{"duration": {"from": 600, "to": 0}}],
    ),
    "less": Case(
        "Duration",
        [("pick", "Less than", ""), ("type", "Less than, hours", "1")],
        [("duration", "lessthan-3600")],
        [{"duration": {"from": 0, "to": 3600}}],
    ),
    "between": Case(
        "Duration",
        [
            ("pick", "Between", ""),
            ("type", "Between, from, minutes", "10"),
            ("type", "Between, to, hours", "2"),
        ],
        [("duration", "600-7200")],
        [{"duration": {"from": 600, "to": 7200}}],
    ),
    "host": Case(
        "Resources",
        [("choose", "How the hostname is compared", "Contains"), ("type", "Hostname", "a1")],
        [("node", "a1"), ("nodeMatch", "contains")],
        [{"node": {"contains": "a1"}}],
    ),
    "nodes": Case(
        "Resources",
        [("type", "Nodes from", "2"), ("type", "Nodes to", "8")],
        [("numNodes", "2-8")],
        [{"numNodes": {"from": 2, "to": 8}}],
    ),
    "beyond the slider": Case(
        "Resources",
        [("type", "Hardware Threads to", "5000")],
        [("numHWThreads", "lessthan-5000")],
        [{"numHWThreads": {"from": 0, "to": 5000}}],
    ),
    "slider": Case(
        "Resources",
        [("slide", "Nodes, lower end", "2")],
        [("numNodes", "morethan-2")],
        [{"numNodes": {"from": 2, "to": 0}}],
    ),
    "no accelerator": Case(
        "Resources",
        [("type", "Accelerators from", "0"), ("type", "Accelerators to", "0")],
        [("numAccelerators", "exactly-0")],
        [{"numAccelerators": {"from": 0, "to": 0, "exact": 0}}],
    ),
    "energy": Case(
        "Energy",
        [("type", "Energy to", "0.15")],
        [("energy", "lessthan-0.15")],
        [{"energy": {"from": 0, "to": 0.15}}],
    ),
    "statistics": Case(
        "Statistics",
        [("type", "flops_any (avg) from", "100.5"), ("type", "flops_any (avg) to", "120")],
        [("stat", "flops_any_avg-100.5-120")],
        [{"metricStats": [{"metricName": "flops_any_avg", "range": {"from": 100.5, "to": 120}}]}],
    ),
    "name": Case(
        "Names and Numbers",
        [("type", "job name", "run-1000")],
        [("jobName", "run-1000")],
        [{"jobName": {"contains": "run-1000"}}],
    ),
    "user": Case(
        "Names and Numbers",
        [("choose", "How the user is compared", "Equal To"), ("type", "user", "alice")],
        [("user", "alice"), ("userMatch", "eq")],
        [{"user": {"eq": "alice"}}],
    ),
    "users": Case(
        "Names and Numbers",
        [("type", "user", "bob, carl")],
        [("user", "bob"), ("user", "carl")],
        [{"user": {"in": ["bob", "carl"]}}],
    ),
    "project": Case(
        "Names and Numbers",
        [("type", "project", "oj0")],
        [("project", "oj0")],
        [{"project": {"contains": "oj0"}}],
    ),
    "numbers": Case(
        "Names and Numbers",
        [("type", "job number", "5002 5006")],
        [("jobId", "5002"), ("jobId", "5006")],
        [{"jobId": {"in": ["5002", "5006"]}}],
    ),
    "array": Case(
        "Names and Numbers",
        [("type", "array job", "5090")],
        [("arrayJobId", "5090")],
        [{"arrayJobId": 5090}],
    ),
}

ROLES: dict[str, Any] = {
    "pick": "radio",
    "tick": "checkbox",
    "press": "button",
    "choose": "combobox",
    "slide": "slider",
}


def control(editor: Locator, step: Step) -> Locator:
    action, name, _ = step
    if action == "type":
        return editor.get_by_label(name, exact=True)
    return editor.get_by_role(ROLES[action], name=name, exact=True)


def by_mouse(editor: Locator, step: Step) -> None:
    action, _, value = step
    found = control(editor, step)
    if action in ("pick", "tick"):
        found.check()
    elif action == "press":
        found.click()
    elif action == "choose":
        found.select_option(value)
    else:
        found.fill(value)
        found.dispatch_event("change")


def reach(page: Page, found: Locator) -> None:
    """Tabs to a control; in a group of radio buttons, to the one that can be reached."""
    same = """(one, two) => one === two
        || (one.type === 'radio' && one.name === two.name && one.form === two.form)"""
    for _ in range(60):
        if found.evaluate(f"one => ({same})(one, document.activeElement)"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{found} is not reached with the Tab key")


def by_keyboard(page: Page, editor: Locator, step: Step) -> None:
    action, _, value = step
    found = control(editor, step)
    reach(page, found)
    if action == "pick":
        for _ in range(10):
            if found.is_checked():
                break
            page.keyboard.press("ArrowDown")
    elif action == "slide":
        page.keyboard.press("ArrowRight")
    elif action == "choose":
        page.keyboard.type(value)
    elif action == "type":
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    else:
        page.keyboard.press("Space")


def asked(data: str | None) -> list[dict[str, Any]]:
    variables: dict[str, Any] = json.loads(data or "{}")["variables"]
    filters: list[dict[str, Any]] = variables["filter"]
    return filters


def is_list(data: str | None, wanted: Sequence[dict[str, Any]]) -> bool:
    return "hasNextPage" in (data or "") and asked(data) == list(wanted)


def newest(centre: Centre, filters: Sequence[dict[str, Any]]) -> list[str]:
    """The numbers of the first ten jobs as the server lists them."""
    answer = centre.query(
        "root1",
        """query ($filter: [JobFilter!]) {
            jobs(filter: $filter, page: {page: 1, itemsPerPage: 10},
                 order: {field: "startTime", type: "col", order: DESC}) { items { jobId } } }""",
        filter=list(filters),
    )
    return [str(row["jobId"]) for row in answer["jobs"]["items"]]


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
@pytest.mark.parametrize("name", CASES)
def test_a_filter_is_set_in_its_editor(visit: OpenPage, centre: Centre, name: str, how: str) -> None:
    case = CASES[name]
    expected = centre.count("root1", case.filters)
    page = visit("root1", "/monitoring/jobs/?density=compact")
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [])))
    opener = page.get_by_test_id("filters-open")
    entry = page.get_by_role("button", name=case.editor, exact=True)
    if how == "mouse":
        opener.click()
        entry.click()
    else:
        opener.focus()
        page.keyboard.press("Enter")
        reach(page, entry)
        page.keyboard.press("Enter")
    editor = page.get_by_role("dialog", name=case.editor)
    expect(editor).to_be_visible()
    for step in case.steps:
        if how == "mouse":
            by_mouse(editor, step)
        else:
            by_keyboard(page, editor, step)
    with page.expect_request(lambda request: is_list(request.post_data, case.filters)):
        if how == "mouse":
            editor.get_by_test_id("apply").click()
        else:
            reach(page, editor.get_by_test_id("apply"))
            page.keyboard.press("Enter")
    expect(editor).to_have_count(0)
    for again in (False, True) if how == "mouse" else (False,):
        if again:
            page.reload()
        expect(page.get_by_test_id("count")).to_have_text(says(expected))
        pills = {key for key, _ in case.pairs if not key.endswith("Match")}
        expect(page.locator("[data-testid^=filter-pill-]")).to_have_count(len(pills))
        for key in pills:
            expect(page.get_by_test_id(f"filter-pill-{key}")).to_be_visible()
        keys = {key for key, _ in case.pairs}
        found = [pair for pair in parse_qsl(urlsplit(page.url).query) if pair[0] in keys]
        assert found == list(case.pairs)
        expect(page.locator("[data-testid^=job-row-]").nth(min(expected, 10) - 1)).to_be_visible()
        assert listed(page)[:10] == newest(centre, case.filters)


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ("Only Short Jobs", ("duration", "lessthan-300")),
        ("Exclude Short Jobs", ("duration", "morethan-300")),
        ("Last 6 hrs", ("startTime", "last6h")),
        ("Last 24 hrs", ("startTime", "last24h")),
        ("Last 7 days", ("startTime", "last7d")),
        ("Last 30 days", ("startTime", "last30d")),
    ],
)
def test_quick_selections_need_no_editor(visit: OpenPage, entry: str, pair: tuple[str, str]) -> None:
    page = visit("root1", "/monitoring/jobs/?density=compact")
    page.get_by_test_id("filters-open").click()
    page.get_by_role("button", name=re.compile(f"^{entry}")).click()
    expect(page.get_by_test_id(f"filter-pill-{pair[0]}")).to_be_visible()
    assert pair in parse_qsl(urlsplit(page.url).query)


def test_start_times_are_named_or_typed(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?density=compact&startTime=last7d", timezone_id="UTC")
    pill = page.get_by_test_id("filter-pill-startTime")
    pill.get_by_role("button").first.click()
    editor = page.get_by_test_id("filter-modal-startTime")
    expect(editor.get_by_label("Range")).to_have_value("last7d")
    editor.get_by_role("button", name="Reset Range").click()
    month = 30 * 86400
    first, last = (editor.get_by_label(name, exact=True).input_value() for name in ("From", "To"))
    span = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    assert span.total_seconds() == month
    editor.get_by_label("To", exact=True).fill("")
    editor.get_by_label("From", exact=True).fill("2024-01-01T00:00")
    page.keyboard.press("Enter")
    start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
    expect(page).to_have_url(re.compile(f"startTime={start}-0"))
    expect(pill).to_contain_text("since 2024-01-01 00:00")
    wanted = [{"startTime": {"from": "2024-01-01T00:00:00Z"}}]
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", wanted)))


def test_an_editor_is_left_reset_and_refuses_what_makes_no_sense(visit: OpenPage, centre: Centre) -> None:
    page = visit("root1", "/monitoring/jobs/?density=compact&state=failed")
    url = page.url
    pill = page.get_by_test_id("filter-pill-state")
    for leave in ("Escape", "Close"):
        pill.get_by_role("button").first.click()
        editor = page.get_by_test_id("filter-modal-state")
        editor.get_by_label("timeout").check()
        if leave == "Escape":
            page.keyboard.press("Escape")
        else:
            editor.get_by_role("button", name="Close", exact=True).last.click()
        expect(editor).to_have_count(0)
        assert page.url == url
        expect(pill.get_by_role("button").first).to_be_focused()
    pill.get_by_role("button").first.click()
    editor.get_by_role("button", name="Deselect All").click()
    expect(editor.get_by_test_id("apply")).to_be_disabled()
    expect(editor.get_by_role("alert")).to_have_text("Choose at least one state.")
    editor.get_by_role("button", name="Select All", exact=True).click()
    expect(editor.get_by_test_id("apply")).to_be_enabled()
    editor.get_by_role("button", name="Reset", exact=True).click()
    expect(pill).to_have_count(0)
    expect(page.get_by_test_id("count")).to_have_text(says(centre.count("root1", [])))
