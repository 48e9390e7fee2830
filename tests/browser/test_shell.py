"""What each role may see and where the search leads. Contract: spec/web-ui.md 2.1, 2.3 to 2.5, 10."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.centre import Centre
from tests.browser.conftest import OpenPage

LABELS: dict[str, list[str]] = {
    "alice": ["My Jobs", "Job Search", "Tags"],
    "manny": ["My Jobs", "Managed Jobs", "Tags", "Managed Users", "Managed Projects"],
    "sue": ["My Jobs", "Jobs", "Tags", "Users", "Projects", "Nodes", "Analysis"],
    "root1": ["My Jobs", "Jobs", "Tags", "Users", "Projects", "Nodes", "Analysis", "Status", "Logs"],
    "apionly": [],
}
ORDER = ("apionly", "alice", "manny", "sue", "root1")
LOWEST = {
    "/": "apionly", "/config": "apionly",
    "/monitoring/jobs/": "alice", "/monitoring/tags/": "alice", "/monitoring/compare": "alice",
    "/monitoring/users/": "manny", "/monitoring/projects/": "manny",
    "/monitoring/systems/alpha": "sue", "/monitoring/systems/list/alpha/gpu": "sue",
    "/monitoring/node/alpha/a1": "sue", "/monitoring/analysis/beta": "sue",
    "/monitoring/status/alpha": "root1", "/monitoring/status/detail/alpha": "root1",
    "/monitoring/dashboard/alpha": "root1", "/monitoring/logs": "root1",
}  # fmt: skip


def menu(page: Page) -> list[str]:
    """Words of the items of the menu that show."""
    return [text.strip() for text in page.locator("#menu > ul > li").all_inner_texts()]


@pytest.mark.parametrize("role", LABELS)
def test_menu_has_exactly_the_items_of_the_role(visit: OpenPage, role: str) -> None:
    page = visit(role, "/config", viewport={"width": 1600, "height": 1000})
    expect(page.get_by_test_id("nav-settings")).to_be_visible()
    assert menu(page) == LABELS[role]
    page.set_viewport_size({"width": 1400, "height": 900})
    staff = role in ("sue", "root1")
    before = [label for label in LABELS[role] if label not in ("Nodes", "Analysis", "Status", "Logs")]
    expect(page.locator("#menu > ul > li")).to_have_count(len(before) + staff)
    assert menu(page) == before + ["Info"] * staff
    page.set_viewport_size({"width": 1000, "height": 900})
    groups = ["Jobs", "Groups", "Info"][: {"apionly": 0, "alice": 1, "manny": 2}.get(role, 3)]
    expect(page.locator("#menu > ul > li")).to_have_count(len(groups))
    assert menu(page) == groups
    page.wait_for_function("document.documentElement.scrollWidth <= 1000")
    page.set_viewport_size({"width": 600, "height": 900})
    page.get_by_test_id("nav-menu").click()
    expect(page.get_by_test_id("nav-home")).to_be_visible()
    expect(page.get_by_test_id("nav-jobs")).to_have_count(0 if role == "apionly" else 1)


def test_menus_name_what_they_lead_to(visit: OpenPage) -> None:
    page = visit("root1", "/monitoring/jobs/", viewport={"width": 1600, "height": 1000})
    expect(page.get_by_test_id("nav-jobs")).to_have_attribute("aria-current", "page")
    page.get_by_test_id("nav-nodes").click()
    for entry in ("nodes-alpha", "nodelist-alpha", "nodelist-alpha-main", "nodelist-alpha-gpu", "nodes-beta"):
        expect(page.get_by_test_id(f"nav-{entry}")).to_be_visible()
    expect(page.get_by_test_id("nav-nodelist-beta-small")).to_have_count(0)  # one subcluster is the cluster
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("nav-nodes-alpha")).to_have_count(0)
    page.get_by_test_id("nav-users").click()
    page.get_by_test_id("nav-users-beta-running").click()
    expect(page).to_have_url(re.compile(r"/monitoring/users/\?cluster=beta&startTime=last30d&state=running$"))


def test_skip_link_is_the_first_stop(visit: OpenPage) -> None:
    page = visit("alice", "/monitoring/tags/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_text("Skip to content")
    expect(skip).to_be_in_viewport()
    footer = page.locator("footer")
    for words in ("Imprint", "Privacy Policy", "Version", "Hash", "Built"):
        expect(footer).to_contain_text(words)


@pytest.mark.parametrize("role", ORDER)
def test_pages_and_their_data_are_for_the_roles_of_the_contract(centre: Centre, role: str) -> None:
    cookies = {"session": centre.session(role)["value"]}
    with httpx.Client(base_url=centre.url, cookies=cookies, timeout=30) as client:
        for path, lowest in LOWEST.items():
            expected = 200 if ORDER.index(role) >= ORDER.index(lowest) else 403
            assert client.get(path).status_code == expected, (role, path)
        refused = role in ("alice", "manny", "apionly")
        for query in (
            '{ nodeMetrics(cluster: "alpha", metrics: ["cpu_load"], from: "2020-01-01T00:00:00Z",'
            ' to: "2020-01-01T01:00:00Z") { host } }',
            '{ nodeStates(filter: []) { state count } }',
        ):  # fmt: skip
            answer = client.post("/query", json={"query": query}).json()
            assert bool(answer.get("errors")) == refused, (role, answer)
        assert (client.get("/config/users/").status_code == 200) == (role == "root1")
        for path in ("/monitoring/nowhere", "/monitoring/systems/gamma", "/monitoring/job/99999999"):
            assert client.get(path).status_code in (403, 404), path
    with httpx.Client(base_url=centre.url, timeout=30) as nobody:
        assert nobody.get("/monitoring/jobs/").status_code == 401


def test_job_of_somebody_else_is_an_unknown_job(centre: Centre) -> None:
    with httpx.Client(base_url=centre.url, cookies={"session": centre.session("alice")["value"]}) as client:
        pages = [client.get(f"/monitoring/job/{number}") for number in (centre.jobs["J8"], 99_999_999)]
    assert [page.status_code for page in pages] == [404, 404]
    assert pages[0].text == pages[1].text


def test_login_leads_to_the_wanted_page_only_on_this_site(visit: OpenPage, centre: Centre) -> None:
    wanted = "/monitoring/jobs/?state=running&project=a%26b"
    with httpx.Client(base_url=centre.url) as client:
        assert client.get(wanted).status_code == 401
    page = visit("", wanted)
    for password in ("wrong", "alice"):
        page.fill("#username", "alice")
        page.fill("#password", password)
        page.click("button[type=submit]")
        if password == "wrong":
            expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page).to_have_url(centre.url + wanted)
    expect(page.get_by_test_id("filter-pill-project")).to_contain_text("a&b")
    for evil in ("//evil.example", "https://evil.example/", "/\\evil.example"):
        answer = page.request.post(
            f"{centre.url}/login",
            form={"username": "alice", "password": "alice", "redirect": evil},
            max_redirects=0,
        )
        assert answer.headers["location"] in ("/", centre.url + "/"), evil


SEARCHES: list[tuple[str, str, str]] = [
    ("alice", " jobId : 5002 ", r"/monitoring/jobs/\?jobId=5002$"),
    ("alice", "5002", r"/monitoring/jobs/\?jobId=5002$"),
    ("alice", "jobName:run-10001", r"/monitoring/jobs/\?startTime=last30d&jobName=run-10001$"),
    ("alice", "projectId:a&b+50% ü#1", r"/jobs/\?projectMatch=eq&project=a%26b%2B50%25\+%C3%BC%231$"),
    ("alice", "arrayJobId:5090", r"/monitoring/jobs/\?startTime=last30d&arrayJobId=5090$"),
    ("sue", "username:alice", r"/monitoring/users/\?user=alice&startTime=last30d$"),
    ("sue", "name:Ångström", r"/monitoring/users/\?user=alice$"),
    ("sue", "alice", r"/monitoring/user/alice$"),
    ("sue", "proj02", r"/monitoring/jobs/\?projectMatch=eq&project=proj02$"),
]  # fmt: skip


def test_search_leads_to_what_was_named(visit: OpenPage) -> None:
    pages: dict[str, Page] = {}
    for role, typed, target in SEARCHES:
        if role not in pages:
            pages[role] = visit(role, "/monitoring/tags/")
        page = pages[role]
        page.get_by_test_id("search").fill(typed)
        page.get_by_test_id("search").press("Enter")
        expect(page).to_have_url(re.compile(target))


def test_search_without_a_result_tells_nothing_about_others(visit: OpenPage, centre: Centre) -> None:
    answers: list[Any] = []
    with httpx.Client(base_url=centre.url, cookies={"session": centre.session("alice")["value"]}) as client:
        for text in ("username:bob", "username:nobody", "name:Manny", "name:Nobody", "a:b:c", ""):
            answer = client.get("/search", params={"searchId": text})
            assert answer.status_code == 200
            answers.append(re.sub(r"(?s).*<main|</main>.*", "", answer.text).replace(text or "\0", "…"))
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    page = visit("alice", "/monitoring/tags/")
    page.get_by_test_id("search").fill("5008")  # a job of bob
    page.get_by_test_id("search").press("Enter")
    expect(page.get_by_test_id("count")).to_have_text("0 jobs")


@pytest.mark.parametrize(
    "path", ["/", "/config", "/monitoring/tags/", "/monitoring/systems/alpha", "/monitoring/logs"]
)
def test_a_page_names_the_files_of_its_view_in_its_head(visit: OpenPage, centre: Centre, path: str) -> None:
    """They are on their way before the first script has run, and none comes twice."""
    page = visit("root1", "/imprint")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(urlsplit(one.url).path))
    with page.expect_response(lambda one: urlsplit(one.url).path == path) as answer:
        page.goto(centre.server.url + path)
    named = re.findall(r"<(/assets/[^>]+)>", answer.value.headers["link"])
    expect(page.locator("main h1")).to_be_visible()
    assert named
    assert {name: asked.count(name) for name in named} == dict.fromkeys(named, 1)
    for name in named:
        assert page.request.get(centre.server.url + name).status == 200
